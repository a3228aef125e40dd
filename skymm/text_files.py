"""Text files of strangers: byte order marks, wrong encodings, what is no text at all, and JSON larger than memory."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from skymm.text import count_units, language_of

# UTF-32 before UTF-16, whose little-endian mark it begins with.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_XML = 'an XML file; boxes in the XML of Pascal VOC are read by format = "boxes"'
_HTML = "an HTML page; the download may have asked for a login"
_NO_TEXT = {
    b"<!doctype html": _HTML,
    b"<html": _HTML,
    b"<?xml": _XML,
    b"<annotation": _XML,
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"\x1f\x8b": "compressed (gzip); unpack it first",
    b"pk\x03\x04": "compressed (zip); unpack it first",
    b"7z\xbc\xaf": "compressed (7z); unpack it first",
    b"par1": "a parquet file, and a text table was expected",
}
_GUESSES = ("utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be")
# Of what is Chinese, a part of this size is written with the commonest characters, in either script; of bytes that are read in
# a wrong encoding, hardly any.
_COMMON = frozenset(
    "的一是不了在人有我他这這中大来來上国國个個到说說们們为為子和你地出道也时時年得就那要下以生会會自着著去之过過家学學对對可她里裡后後"
    "小么麼心多天而能好都然没沒日于於起还還发發成事只作当當想看文无無开開手两兩只隻男女孩狗猫貓红紅黑白色车車水山花边邊张張站坐"
)
_COMMON_SHARE = 0.15
_HIRAGANA = re.compile("[\u3041-\u3096]")


@contextmanager
def opened(path: str | Path, encoding: str = "utf-8", *, unpack: bool = False) -> Iterator[TextIO]:
    """A text file, line ends as they are. A byte order mark has the last word on the encoding. `unpack`: it is gzip.

    Raises ValueError naming the file: missing, empty, no text at all, and (while it is read, with the line) bytes that are
    not of the encoding, with the one that would fit.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no table at {path}" + (": that is a directory" if path.is_dir() else ""))
    open_file = gzip.open if unpack else open
    try:
        with open_file(path, "rb") as file:
            head = file.read(4096)
        name = _encoding_of(path, head, encoding)
        with open_file(path, "rt", encoding=name, newline="") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: cannot be unpacked ({error}); was the download cut short?") from error
    except UnicodeError as error:
        with open_file(path, "rb") as file:  # once more, by lines: decoders read ahead and do not know where they were
            raise ValueError(_explained(path, file, name)) from error


def read_text(path: str | Path) -> str:
    """UTF-8 text, whole. Raises ValueError naming the file."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file at {path}")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from error


def _encoding_of(path: Path, head: bytes, encoding: str) -> str:
    if not head:
        raise ValueError(f"{path} is empty (0 bytes); was the download cut short?")
    for start, found in _NO_TEXT.items():
        if head.lstrip().lower().startswith(start):
            raise ValueError(f"{path}: this is {found}")
    name = next((name for mark, name in _MARKS if head.startswith(mark)), encoding)
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ValueError(f"{path}: {encoding!r} is no encoding; utf-8, gb18030, big5 and utf-16 are") from error
    if b"\0" in head and not name.startswith(("utf-16", "utf-32")):
        raise ValueError(f"{path}: not {name} text but zero bytes in it{_advice(head, name)}")
    return name


def _explained(path: Path, lines: Any, encoding: str) -> str:
    for number, line in enumerate(lines, 1):
        try:
            line.decode(encoding)
        except UnicodeError as error:
            return f"{path}, line {number}: not {encoding} text ({error}){_advice(line, encoding)}"
    return f"{path}: not {encoding} text to its end; was the download cut short?"


def _advice(data: bytes, encoding: str) -> str:
    """The encoding in which bytes are text, where one of them is likelier than the others; else nothing is claimed."""
    found: list[tuple[float, str, str]] = []
    for guess in _GUESSES:
        wide = guess.startswith("utf-16")
        try:
            text = data[: len(data) // 2 * 2 if wide else None].decode(guess)
        except UnicodeError:
            continue
        if guess == "gb18030" and len(_HIRAGANA.findall(text)) > 1:  # it has them where EUC-JP has them
            return ""
        num_han, _ = count_units(text)
        share = 1.0 if guess == "utf-8" else sum(one in _COMMON for one in text) / num_han if num_han else 0.0
        # Two bytes of anything are some character of UTF-16, but seldom a line of text.
        if "\0" not in text and (share >= _COMMON_SHARE or (wide and (text.isascii() or "\n" in text))):
            found.append((share, guess, "Chinese" if language_of(text) == "zh" else "text"))
    if not found:
        return ""
    _, guess, script = max(found, key=lambda one: one[0])
    return f"; as {guess} it reads as {script}: say encoding = {guess!r}, or convert the file to {encoding}"


# --- JSON, an entry at a time: COCO's and Visual Genome's files would take six times their size of memory ------------------

LONGEST_ENTRY = 32 * 1024 * 1024
"""Characters of one entry. The longest of the public files have a hundredth of that."""

_CHUNK = 256 * 1024
_SPACE = " \t\r\n"
_WRAPPERS = ("data", "rows", "samples", "examples")
_PLAIN = r'"[^"]*"\s*:\s*(?:"[^"]*"|[\d.eE+-]+|null|true|false)\s*,\s*'
_WRAPPED = re.compile(rf'{{\s*(?:{_PLAIN})*"(?:{"|".join(_WRAPPERS)})"\s*:\s*\[')
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


def json_entries(path: str | Path, *, whole: bool = False) -> Iterator[Entry]:
    """The entries of a file that is a list, or of all lists of a file that is one object. Not a number (NaN) is null.

    whole: an object is not looked into, and other values may follow it, as in JSON lines. But one that only wraps a list,
        {"version": 1, "data": [...]}, is that list.

    Raises ValueError naming file, line and entry: no JSON, cut short, or neither list nor object.
    """
    with opened(path) as file:
        window = _Window(file, Path(path))
        start = window.peek()
        if start == "[":
            yield from window.items("")
        elif whole and window.wraps_list():
            yield from (replace(entry, name="") for entry in window.members() if entry.name in _WRAPPERS)
        elif whole:
            while window.peek():
                window.number += 1
                yield Entry("", window.number, window.line(), window.value())
        elif start == "{":
            yield from window.members()
        else:
            raise window.mistake(f"found {start or 'nothing'!r}, expected a list or an object")
        if window.peek():
            raise window.mistake(f"found {window.peek()!r} after the end, expected one list or object")


class _Window:
    """The part of the file that is being read. `at` is where; everything before it may be forgotten."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self.file, self.path = file, path
        self.text, self.at, self.ended = "", 0, False
        self.number, self.name = 0, ""
        self._line, self._counted = 1, 0
        self._decoder = json.JSONDecoder(parse_constant=lambda _: None)

    def wraps_list(self) -> bool:
        """Whether an object begins here that has plain values first, if anything, and then a list that is the file's."""
        return bool(_WRAPPED.match(self.text, self.at))

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def take(self, *expected: str) -> str:
        found = self.peek()
        if found not in expected:
            raise self.mistake(f"found {found!r}, expected {' or '.join(expected)}" if found else "the file ends here")
        self.at += 1
        return found

    def items(self, name: str) -> Iterator[Entry]:
        """What is in the list that begins here."""
        self.name, self.number, taken = name, 0, self.take("[")
        if self.peek() == "]":
            taken = self.take("]")
        while taken != "]":
            self.number += 1
            self.peek()
            yield Entry(name, self.number, self.line(), self.value())
            taken = self.take(",", "]")

    def members(self) -> Iterator[Entry]:
        """What is in the object that begins here."""
        taken = self.take("{")
        if self.peek() == "}":
            taken = self.take("}")
        while taken != "}":
            self.name, self.number = "", 0
            name = self.value() if self.peek() == '"' else self.take('"')
            self.take(":")
            if self.peek() == "[":
                yield from self.items(name)
            else:
                yield Entry(name, 0, self.line(), self.value())
            taken = self.take(",", "}")

    def value(self) -> Any:
        """The value that begins here, whole."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self.text, self.at)
                # The beginning of a number may be all that is read of it yet: 1 of 1.5e3.
                cut = len(self.text) - end < _TAIL and not self.text[end : end + 1].strip("0123456789.eE+-")
                if self.ended or not cut:
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _TAIL
                if self.ended or not cut:
                    self.at = min(error.pos, len(self.text))
                    what = "the file ends here; was it cut short?" if cut else f"not JSON ({error.msg})"
                    raise self.mistake(what) from error
            except (ValueError, RecursionError) as error:
                raise self.mistake(f"nothing that can be decoded ({error})") from error
            if len(self.text) - self.at > LONGEST_ENTRY:
                raise self.mistake(f"one entry is longer than {LONGEST_ENTRY} characters; is a quotation mark missing?")
            self._more()

    def mistake(self, what: str) -> ValueError:
        of = f" of {self.name!r}" if self.name else ""
        entry = f", entry {self.number}{of}" if self.number else ""
        return ValueError(f"{self.path}, line {self.line()}{entry}: {what}")

    def _more(self) -> bool:
        self.line()
        more = self.file.read(max(_CHUNK, len(self.text) - self.at))  # longer each time, or it is decoded too often
        self.text, self.at, self._counted = self.text[self.at :] + more, 0, 0
        self.ended = not more
        return not self.ended
