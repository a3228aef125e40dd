"""What the rows of all sources share: keys, rows that are refused, and texts that can be used."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.curation.record import Caption, Record, Rejected
from skymm.text import language_of

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,96}")
_HALVES = re.compile("[\ud800-\udfff]")
_HASHED = re.compile(r".*-[0-9a-f]{16}")


class Unusable(Exception):
    """Why a row gives no record: a reason that is the same for every row, and more about this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


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
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).strip() if isinstance(value, int | str) else ""
    if not is_unicode(text):
        return None
    return int(text) if text.isdecimal() and len(text) < 19 and str(int(text)) == text else text or None


def refused(key: Any, reason: str, detail: str = "") -> dict[str, Any]:
    """A row that was seen to be useless while tables were read. `record_of` rejects it."""
    return {"key": key_of(key), "refused": [reason, detail]}


def broken(path: str | Path, place: str, found: Any) -> dict[str, Any]:
    """A refused row that is none of its table. `place` names it within the file; the key knows no directories."""
    return refused(f"{Path(path).stem}-{place}", "row is broken", f"{path}, {place}: {str(found)[:120]}")


def record_of(row: dict[str, Any], make: Callable[[dict[str, Any]], Record]) -> Record | Rejected:
    """What `make` makes of the row, or why it does not."""
    if "refused" in row:
        return Rejected(row["key"], *row["refused"])
    try:
        return make(row)
    except Unusable as error:
        return Rejected(row["key"], error.reason, error.detail)


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


def expect_names(found: Collection[str], wanted: Collection[str], where: str, what: str = "column") -> None:
    """Raises ValueError for the first wanted name that is not among those found, with the one that may be meant."""
    for name in wanted:
        if name not in found:
            close = difflib.get_close_matches(name, [str(other) for other in found], 1, 0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{where}: no {what} {name!r}{hint} Found: {', '.join(map(str, found)) or 'none'}")
