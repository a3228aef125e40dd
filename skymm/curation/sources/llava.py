"""LLaVA's format: a list of {id, image, conversations}, and what has grown out of it (ShareGPT4V, LLaVA-CN, ...)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.record import Record, Rejected
from skymm.curation.sources.pictures import MISSING, check_directories, find, named
from skymm.curation.sources.rows import Unusable, broken, expect_names, key_of, record_of, text_of
from skymm.curation.sources.tables import read_rows
from skymm.recipe.sources import LlavaSource
from skymm.text import language_of

LICENCE = (
    "as its publishers say: LLaVA-Instruct CC-BY 4.0 and OpenAI's terms of use; LLaVA-Pretrain those of CC3M, LAION, SBU and "
    "BLIP; ShareGPT4V CC-BY-NC 4.0; pictures under the terms of their own sources"
)
_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt"), "assistant"),
    "system": "system",
}
_MARKER = re.compile(r"<image>[ \t]*\n|[ \t]*<image>")  # with the line end behind it, or the space before it
# Where the marker stands alone it means a picture, even if the entry has none; amid a text it may be one about HTML.
_ALONE = re.compile(r"\A\s*<image>\s*\n|\n\s*<image>\s*\Z|\A\s*<image>\s*\Z")


class Source:
    """An entry is a record. Keys are the entry's id and its place in the table, for ids are there several times."""

    rows_per_part = 512

    def __init__(self, recipe: LlavaSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or LICENCE

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        path = Path(self.recipe.table)
        number = 0
        for number, row in enumerate(read_rows(path), 1):
            if row.problem:
                yield broken(path, f"entry {number}", f"line {row.line}: {row.problem}")
                continue
            if number == 1:
                expect_names(row.cells.keys(), ["conversations"], f"{path}, entry 1", "field")
            entry = row.cells
            yield {
                "key": f"{key_of(entry.get('id', path.stem))}-{number}",
                "images": entry.get("image", entry.get("images")),
                "conversations": entry.get("conversations"),
            }
        if not number:
            raise ValueError(f"{path}: found no entries")

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        images = row["images"] if isinstance(row["images"], list) else [row["images"]] if row["images"] else []
        if not all(isinstance(name, str) for name in images):
            raise Unusable(MISSING, f"found {str(images)[:60]}, expected names")
        said = _said(row["conversations"])
        pictures = named([find(name, self.recipe.images) for name in images])
        return Record(row["key"], pictures, turns=_turns(said, list(pictures)))


def _said(conversations: Any) -> list[tuple[str, str]]:
    """(role, text) of what is said, in a system turn if there is one, then user and assistant by turns."""
    if not isinstance(conversations, list) or not conversations:
        raise Unusable("conversation is missing", f"found {str(conversations)[:60]!r}")
    said = []
    for number, turn in enumerate(conversations, 1):
        if not isinstance(turn, dict) or _ROLES.get(str(turn.get("from")).lower()) is None:
            raise Unusable("unknown speaker", f"turn {number}: {str(turn)[:60]}")
        role = _ROLES[turn["from"].lower()]
        if role != "system" or number > 1 or turn.get("value"):  # an empty system prompt is none
            said.append((role, text_of(turn.get("value"), "turn is empty")))
    roles = [role for role, _ in said]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or len(spoken) % 2 or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise Unusable("turns out of order", f"found {', '.join(roles)}"[:200])
    return said


def _turns(said: list[tuple[str, str]], names: list[str]) -> tuple[Turn, ...]:
    """`names` go where the markers stand, or all to the first question where there is none."""
    asked = [text for role, text in said if role == "user"]
    if not names:
        if any(_ALONE.search(text) for text in asked):
            raise Unusable(MISSING, "the entry names none, but its text has a marker for one")
        return tuple(Turn(role, text, language=_language(role, text)) for role, text in said)
    marked = sum(text.count("<image>") for text in asked)
    if marked not in (0, len(names)):
        raise Unusable("markers and pictures differ", f"{marked} markers, {len(names)} pictures")
    turns: list[Turn] = []
    left = list(names)
    for role, text in said:
        if role != "user":
            turns.append(Turn(role, text, language=_language(role, text)))
            continue
        count = text.count("<image>") if marked else len(left)
        plain = _MARKER.sub("", text) if marked else text
        turns.append(Turn(role, text_of(plain, "turn is empty"), tuple(left[:count])))
        del left[:count]
    return tuple(turns)


def _language(role: str, text: str) -> str | None:
    return language_of(text) if role == "assistant" else None
