"""What all sources share: how they list rows and make records of them, keys, rows that are refused, texts that can be used.

A source is one module of this folder, chosen by the `format` of its recipe (skymm/recipe/sources.py). It lists rows once, in
one process and in order, and touches tables only: a row is what they say of a picture and how its file may be called. Records
are made of rows in many processes, and only then are pictures opened. Both are pure: the same files give the same rows and the
same records on every machine.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.record import Caption, Facts, Record, Rejected, from_plain, to_plain
from skymm.curation.sources.pictures import Unusable, check_directories, find, named
from skymm.recipe.sources import Source as SourceRecipe
from skymm.tables import expect_names
from skymm.text import language_of
from skymm.text_files import json_entries

BROKEN = "row is broken"
Listed = tuple[str, str, Mapping[str, Sequence[str]]]
"""The kind of a file of JSON, the file, and its lists with the fields that their entries have ("": the file is a list)."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,96}")
_HALVES = re.compile("[\ud800-\udfff]")
_HASHED = re.compile(r".*-[0-9a-f]{16}")


class Source:
    """Something that gives records. Made from the recipe of its format: `Source(recipe)`."""

    rows_per_part = 512
    """How many rows one process takes at a time."""

    default_licence = "unknown"
    """Under what the data may be used, as far as its publishers say."""

    nothing_said = ("caption is missing", "")
    """Why a row is left out whose table says nothing of its picture."""

    def __init__(self, recipe: Any) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or self.default_licence
        self.forms: Counter[str] = Counter()
        """Of a format with several forms: how many rows of each `rows` has given."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Plain JSON data, streamed: enough to make records from without reading any table again.

        Raises ValueError, naming the file, for tables that are missing or of another format.
        """
        raise NotImplementedError

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        """The records of a row, mostly one. What cannot be used is Rejected with a reason, never left out."""
        try:
            if "refused" in row:
                raise Unusable(*row["refused"])
            yield self.record(row)
        except Unusable as error:
            yield Rejected(row["key"], error.reason, error.detail)

    def record(self, row: dict[str, Any]) -> Record:
        """The record of a row as `row_of` makes it: its picture is looked for, and shown first. Raises Unusable."""
        pictures = named([find(row["files"], self.recipe.images)])
        said = from_plain(Record, row)
        shown = (replace(turn, images=tuple(pictures)) for turn in said.turns[:1])
        return replace(said, pictures=pictures, turns=(*shown, *said.turns[1:]))

    def row_of(
        self,
        key: Any,
        files: str | Sequence[str],
        captions: Any = (),
        facts: Facts = Facts(),  # noqa: B008
        turns: Sequence[Turn] = (),
    ) -> dict[str, Any]:
        """The row of a picture that is called by the first of these names that is there, and what is said of it. Raises
        Unusable where that is nothing.
        """
        texts = tuple(captions_of(captions))
        if not (texts or turns or facts.things or facts.complete or facts.absent):
            raise Unusable(*self.nothing_said)
        return {**to_plain(Record(key_of(key), {}, texts, tuple(turns), facts)), "files": files}


class JoinedSource(Source):
    """A source whose tables say several things about an image, in any order: an image is a row. Keys are the images' ids."""

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        with Join() as join:
            yield from self.read(join)
            for image, said in join.images():
                try:
                    yield self.row(image, said)
                except Unusable as error:
                    yield refused(image, error.reason, error.detail)

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        """Puts what the files say into the join; gives rows that are refused."""
        for kind, path, lists in self.files():
            for name, number, said, entry in entries_of(path, lists):
                try:
                    self.take(join, kind, name, said)
                except Unusable as error:
                    place = f"{name or 'entry'} {number}"
                    detail = f"{path}, {place}: {error.detail or f'found {entry!r}'}"
                    yield refused(f"{Path(path).stem}-{place}", error.reason, detail[:300])

    def files(self) -> Iterator[Listed]:
        """What is read. Raises ValueError where something is not there."""
        raise NotImplementedError

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        """Puts an entry of the list `part` of a file of this kind into the join. Raises Unusable."""
        raise NotImplementedError

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        """What `row_of` makes of all that is said of an image. Raises Unusable."""
        raise NotImplementedError


def open_source(recipe: SourceRecipe) -> Source:
    """The source that a recipe describes."""
    module, _, name = (recipe.read_by or recipe.format).partition(".")
    return getattr(importlib.import_module(f"skymm.curation.sources.{module}"), name or "Source")(recipe)


# --- keys, and rows that are refused --------------------------------------------------------------------------------------


def key_of(name: Any) -> str:
    """A key out of a source's own id: itself where it is one already, else with `_` for other characters and a hash, so
    that two ids never become one key.
    """
    text = str(name)
    if _PLAIN.fullmatch(text) and not _HASHED.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', text)[:80]}-{digest}"


def identity(value: Any) -> int | str | None:
    """An id as published, "7" and 7 being one; None for what is none."""
    if type(value) is int and 0 <= value < 10**18:  # nearly always, and there are millions
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    if not is_unicode(text):
        return None
    return int(text) if text.isdecimal() and len(text) < 19 and str(int(text)) == text else text or None


def id_in(said: Mapping[str, Any], *fields: str) -> int | str:
    """The id under the first of the fields that is there. Raises Unusable where it is none."""
    found = identity(next((said[field] for field in fields if field in said), None))
    if found is None:
        raise Unusable(BROKEN)
    return found


def refused(key: Any, reason: str, detail: str = "") -> dict[str, Any]:
    """A row that was seen to be useless while tables were read, and will be rejected."""
    return {"key": key_of(key), "refused": [reason, detail]}


def broken(path: str | Path, place: str, found: Any) -> dict[str, Any]:
    """A refused row that is none of its table. `place` names it within the file; the key knows no directories."""
    return refused(f"{Path(path).stem}-{place}", BROKEN, f"{path}, {place}: {str(found)[:120]}")


# --- texts ----------------------------------------------------------------------------------------------------------------


def text_of(value: Any, reason: str) -> str:
    """A text without space around it. Raises Unusable with the reason where there is none, or nothing UTF-8 can say."""
    if not isinstance(value, str) or not value.strip():
        raise Unusable(reason, "" if value is None or value == "" else f"found {str(value)[:60]!r}")
    if not is_unicode(value):
        raise Unusable("text is not Unicode", f"found {value[:60]!r}")
    return value.strip()


def is_unicode(text: str) -> bool:
    """False for halves of characters, which JSON can name (`\\ud83d`) and UTF-8 cannot."""
    return not _HALVES.search(text)


def captions_of(cell: Any, language: str | None = None) -> list[Caption]:
    """The captions of a cell, a text or a list of them, also a list written as JSON; a language that is not given is told by
    the script. Raises Unusable for what is no text: numbers, and objects written as JSON.
    """
    assert language is None or language in LANGUAGES
    cell = _listed(cell)
    texts = [text for text in (cell if isinstance(cell, list | tuple) else [cell]) if text is not None and text != ""]
    found = [text_of(text, "caption is no text") for text in texts if not (isinstance(text, str) and text.isspace())]
    return [Caption(text, language or language_of(text)) for text in dict.fromkeys(found)]


def _listed(cell: Any) -> Any:
    if not isinstance(cell, str) or cell.lstrip()[:1] not in ("[", "{"):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise Unusable("caption is no text", f"found {cell[:60]!r}")


# --- tables about images ----------------------------------------------------------------------------------------------------


def entries_of(path: str, lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, dict[str, Any], Any]]:
    """(list, number from 1, entry or {} where it is no object, entry) of these lists of a JSON file; "" is the file itself.

    Raises ValueError where a list is not there, or its first entry lacks one of the fields that are named for it.
    """
    found: dict[str, None] = {}
    for entry in json_entries(path, whole="" in lists):
        found.setdefault(entry.name)
        if entry.name in lists:
            said = entry.value if isinstance(entry.value, dict) else {}
            if entry.number == 1:
                place = f"{entry.name or 'entry'} 1"
                expect_names(said.keys(), lists[entry.name], f"{path}, {place}", "field")
            yield entry.name, entry.number, said, entry.value
    if "" in lists and not found:
        raise ValueError(f"{path}: found no entries")
    expect_names(found, lists, path, "list")


class Join:
    """Takes what tables say about images and gives it back image by image: gigabytes, in any order, with a file on disk in
    the place of memory. A context manager: its file goes with it.
    """

    def __enter__(self) -> Join:
        self._directory = tempfile.TemporaryDirectory(prefix="skymm-join-")
        self._database = sqlite3.connect(Path(self._directory.name) / "join.sqlite", isolation_level=None)
        # Nothing here outlives the process, so nothing has to survive a crash.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._database.execute(f"PRAGMA {setting}")
        # No type: numbers stay numbers and sort as such, before texts.
        self._database.execute("CREATE TABLE said (image, kind TEXT, value TEXT)")
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()
        self._directory.cleanup()

    def add(self, image: int | str, kind: str, value: Any) -> None:
        """`value`: plain JSON data."""
        self._database.execute("INSERT INTO said VALUES (?, ?, ?)", (image, kind, json.dumps(value)))

    def images(self) -> Iterator[tuple[int | str, dict[str, list[Any]]]]:
        """(image, values by kind) in the order of the ids, values in the order in which they were added."""
        self._database.execute("CREATE INDEX by_image ON said (image)")
        said = self._database.execute("SELECT image, kind, value FROM said ORDER BY image, rowid")
        for image, lines in groupby(said, key=lambda line: line[0]):
            values: dict[str, list[Any]] = {}
            for _, kind, value in lines:
                values.setdefault(kind, []).append(json.loads(value))
            yield image, values
