"""Text files of strangers: byte order marks, wrong encodings, and what only looks like a table."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from skymm.text import count_units, language_of

# UTF-32 before UTF-16, whose little-endian mark it begins with.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TABLES = (
    (b"<!doctype html", "an HTML page; the download may have asked for a login"),
    (b"<?xml", 'an XML file; boxes in the XML of Pascal VOC are read by format = "boxes"'),
    (b"<annotation", 'an XML file; boxes in the XML of Pascal VOC are read by format = "boxes"'),
    (b"<html", "an HTML page; the download may have asked for a login"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"\x1f\x8b", "compressed (gzip); unpack it first"),
    (b"pk\x03\x04", "compressed (zip); unpack it first"),
    (b"par1", "a parquet file, and a text table was expected"),
    (b"7z\xbc\xaf", "compressed (7z); unpack it first"),
)
_GUESSES = ("utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be")
# Of what is Chinese, a part of this size is written with the commonest characters, in either script; of bytes that are read in
# a wrong encoding, hardly any.
_COMMON = frozenset(
    "的一是不了在人有我他这這中大来來上国國个個到说說们們为為子和你地出道也时時年得就那要下以生会會自着著去之过過家学學对對可她里裡后後"
    "小么麼心多天而能好都然没沒日于於起还還发發成事只作当當想看文无無开開手两兩只隻男女孩狗猫貓红紅黑白色车車水山花边邊张張站坐"
)
_HIRAGANA = re.compile("[\u3041-\u3096]")
_COMMON_SHARE = 0.15


@contextmanager
def opened(path: str | Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file, line ends as they are. A byte order mark has the last word on the encoding.

    Raises ValueError naming the file: missing, empty, no text at all, and (while it is read, with the line) bytes that are
    not of the encoding, with the one that would fit.
    """
    path = Path(path)
    head = head_of(path)
    for start, found in _NO_TABLES:
        if head.lstrip().lower().startswith(start):
            raise ValueError(f"{path}: this is {found}")
    name = next((name for mark, name in _MARKS if head.startswith(mark)), encoding)
    if b"\0" in head and not name.startswith(("utf-16", "utf-32")):
        raise ValueError(f"{path}: not {name} text but zero bytes in it{_advice(head, name)}")
    try:
        file = path.open(encoding=name, newline="")
    except LookupError as error:
        raise ValueError(f"{path}: {encoding!r} is no encoding; utf-8, gb18030, big5 and utf-16 are") from error
    with file:
        try:
            yield file
        except UnicodeError as error:
            raise ValueError(_explained(path, name)) from error


def head_of(path: str | Path) -> bytes:
    """The first bytes of a table. Raises ValueError naming the file where it is missing or empty."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no table at {path}" + (": that is a directory" if path.is_dir() else ""))
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes); was the download cut short?")
    return head


def _explained(path: Path, encoding: str) -> str:
    """Reads the file once more, now by lines of bytes: decoders read ahead and do not know where they were."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
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
        share = sum(one in _COMMON for one in text) / num_han if num_han else 0.0
        # Two bytes of anything are some character of UTF-16, but seldom a line of text.
        if "\0" not in text and (
            guess == "utf-8" or share >= _COMMON_SHARE or (wide and (text.isascii() or "\n" in text))
        ):
            sure = 1.0 if guess == "utf-8" else share
            found.append((sure, guess, "Chinese" if language_of(text) == "zh" else "text"))
    if not found:
        return ""
    _, guess, script = max(found, key=lambda one: one[0])
    return f"; as {guess} it reads as {script}: say encoding = {guess!r}, or convert the file to {encoding}"
