"""The sources that there are: one module each in this folder, found by the `format` of its recipe.

A source lists rows and makes records of them. Listing happens once, in one process and in order, and touches tables only
(captions, boxes, names of files); records are made in many processes, and only then are pictures opened. Both are pure:
the same files give the same rows and the same records on every machine.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Protocol

from skymm.curation.record import Record, Rejected
from skymm.recipe.sources import Source as SourceRecipe

_RENAMED = {"llava": "conversations"}


class Source(Protocol):
    """Something that gives records. Made from the recipe of its format: `Source(recipe)`."""

    rows_per_part: int
    """How many rows one process takes at a time."""

    licence: str
    """Under what the data may be used, as far as its publishers say; "unknown" where they do not."""

    # A source whose format has several forms also has `forms`, a Counter: how many rows of each `rows` has given.

    def rows(self) -> Iterator[dict[str, Any]]:
        """Plain JSON data, streamed: enough to make records from without reading any table again.

        Raises ValueError, naming the file, for tables that are missing or of another format.
        """
        ...

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        """The records of a row, mostly one. What cannot be used is Rejected with a reason, never left out."""
        ...


def open_source(recipe: SourceRecipe) -> Source:
    """The source that a recipe describes: class `Source` of the module that bears the format's name."""
    name = _RENAMED.get(recipe.format, recipe.format)
    return importlib.import_module(f"skymm.curation.sources.{name}").Source(recipe)
