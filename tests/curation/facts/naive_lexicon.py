"""The lexicon's table read by itself, for checks that share no code with what they check."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).parents[3] / "skymm" / "lexicon.tsv"


@lru_cache(maxsize=1)
def rows() -> dict[str, dict[str, list[str]]]:
    found = {}
    for line in TABLE.read_text("utf-8").splitlines()[1:]:
        cells = (line.split("\t") + [""] * 10)[:10]
        if line.startswith("#") or cells[0] == "-":
            continue
        name = cells[0].split("/")[0]
        english = [form.lstrip("?*") for form in [cells[0], *cells[2].split(", ")] if form]
        chinese = [form.lstrip("?") for form in [cells[1], *cells[3].split(", ")] if form]
        found[name] = {"en": english, "zh": chinese, "kinds": [kind for kind in cells[4].split(", ") if kind],
                       "belongs": [one for one in cells[7].split(", ") if one]}  # fmt: skip
    return found


def above(name: str) -> set[str]:
    return {name}.union(*(above(kind) for kind in rows()[name]["kinds"])) if rows()[name]["kinds"] else {name}


@lru_cache(maxsize=512)
def line(name: str) -> frozenset[str]:
    """The word, all that it is a kind of, and all that are a kind of it."""
    return frozenset(above(name) | {other for other in rows() if name in above(other)})


@lru_cache(maxsize=512)
def _pattern(name: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    english = {part for form in rows()[name]["en"] for part in form.split("/")}
    plurals = {f"{form}s" for form in english} | {f"{form}es" for form in english}
    alternatives = "|".join(sorted(map(re.escape, english | plurals)))
    return re.compile(rf"(?<![a-z])(?:{alternatives})(?![a-z])", re.I), tuple(rows()[name]["zh"])


def says(text: str, name: str) -> bool:
    """Whether a text has one of the names of the word in it, in either language."""
    english, chinese = _pattern(name)
    return bool(english.search(text)) or any(form in text for form in chinese)
