"""What may not be trained on: pictures and questions of benchmarks, as the index that a data build compares with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from skymm.curation.filters.leakage import LeakageIndex
from skymm.evaluation.run import questions_of
from skymm.recipe import EvalRecipe, load


def write_index(named: Sequence[str], path: Path) -> Path:
    """`named`: as in a data recipe, an evaluation recipe with its overrides ("eval/mme.toml root=DIR split=val").

    Raises ValueError for a recipe that is none and for a benchmark that is not on this disk.
    """
    index = LeakageIndex.build(question for text in named for question in _questions(text))
    path.parent.mkdir(parents=True, exist_ok=True)
    index.save(path)
    return path


def _questions(text: str) -> Iterator[tuple[str, list[bytes]]]:
    recipe_file, *overrides = shlex.split(text)
    for question in questions_of(load(recipe_file, EvalRecipe, overrides)):
        yield question.text, [image if isinstance(image, bytes) else image.read_bytes() for image in question.images]
