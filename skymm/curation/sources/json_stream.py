"""JSON files larger than memory: the entries of their lists, one after another.

The standard decoder does the decoding, an entry at a time, from a window over the file that moves on with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from skymm.curation.sources.text_files import opened

LONGEST = 32 * 1024 * 1024
"""Characters of one entry. The longest of the public files have a hundredth of that."""

_CHUNK = 256 * 1024
_SPACE = " \t\r\n"
_TAIL = 16  # characters; within so many from the window's end, a mistake may only be that the rest is not read yet


@dataclass(frozen=True, slots=True)
class Entry:
    """`name` is the key of the list that an entry is from ("" in a file that is one list), `number` counts in it from 1.
    What is no list is an entry by itself, number 0.
    """

    name: str
    number: int
    line: int
    value: Any


def entries(path: str | Path) -> Iterator[Entry]:
    """The entries of a file that is a list, or of all lists of a file that is one object. Not a number (NaN) is null.

    Raises ValueError naming file, line and entry: no JSON, cut short, or neither list nor object.
    """
    with opened(path) as file:
        window = _Window(file, Path(path))
        start = window.peek()
        if start not in ("[", "{"):
            raise window.mistake(f"found {start or 'nothing'!r}, expected a list or an object")
        yield from window.entries_of("") if start == "[" else window.members()
        if window.peek():
            raise window.mistake(f"found {window.peek()!r} after the end, expected one list or object")


def values(path: str | Path) -> Iterator[Entry]:
    """The entries of a file that is a list, or the values of one that has them one after another (JSON lines).

    Raises ValueError as `entries` does.
    """
    with opened(path) as file:
        window = _Window(file, Path(path))
        if window.peek() == "[":
            yield from window.entries_of("")
            if window.peek():
                raise window.mistake(f"found {window.peek()!r} after the end of the list, expected nothing")
            return
        while window.peek():
            window.number += 1
            yield Entry("", window.number, window.line(), window.value())


class _Window:
    """The part of the file that is being read. `at` is where; everything before it may be forgotten."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self.file, self.path = file, path
        self.text, self.at, self.ended = "", 0, False
        self.number, self.name = 0, ""
        self._line, self._counted = 1, 0
        self._decoder = json.JSONDecoder(parse_constant=lambda _: None)

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        found = self.peek()
        if found not in expected:
            raise self.mistake(f"found {found!r}, expected {' or '.join(expected)}" if found else "the file ends here")
        self.at += 1
        return found

    def entries_of(self, name: str) -> Iterator[Entry]:
        """What is in the list that begins here."""
        self.name, self.number = name, 0
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.number += 1
            self.peek()
            yield Entry(name, self.number, self.line(), self.value())
            if self.take(",", "]") == "]":
                return

    def members(self) -> Iterator[Entry]:
        """What is in the object that begins here."""
        self.take("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            self.name, self.number = "", 0
            name = self.value() if self.peek() == '"' else self.take('"')
            self.take(":")
            if self.peek() == "[":
                yield from self.entries_of(name)
            else:
                yield Entry(name, 0, self.line(), self.value())
            if self.take(",", "}") == "}":
                return

    def value(self) -> Any:
        """The value that begins here, whole."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self.text, self.at)
                if self.ended or not self._may_go_on(end):
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                if self.ended or not self._may_be_unread(error):
                    raise self._explained(error) from error
            except (ValueError, RecursionError) as error:
                raise self.mistake(f"nothing that can be decoded ({error})") from error
            if len(self.text) - self.at > LONGEST:
                raise self.mistake(f"one entry is longer than {LONGEST} characters; is a quotation mark missing?")
            self._more()

    def mistake(self, what: str) -> ValueError:
        of = f" of {self.name!r}" if self.name else ""
        entry = f", entry {self.number}{of}" if self.number else ""
        return ValueError(f"{self.path}, line {self.line()}{entry}: {what}")

    def _may_go_on(self, end: int) -> bool:
        """Whether what was decoded may be the beginning of a number, cut where the window ends: 1 of 1.5e3."""
        return len(self.text) - end < _TAIL and not self.text[end : end + 1].strip("0123456789.eE+-")

    def _may_be_unread(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _TAIL

    def _explained(self, error: json.JSONDecodeError) -> ValueError:
        cut = self.ended and self._may_be_unread(error)
        self.at = min(error.pos, len(self.text))
        return self.mistake("the file ends here; was it cut short?" if cut else f"not JSON ({error.msg})")

    def _more(self) -> bool:
        self.line()
        size = max(_CHUNK, len(self.text) - self.at)  # twice as much each time, or a long entry is decoded too often
        more = self.file.read(size)
        self.text, self.at, self._counted = self.text[self.at :] + more, 0, 0
        self.ended = not more
        return not self.ended
