"""The marks by which published conversations say where a picture stands in a text: `<image>` and its many kin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

MARK = re.compile(
    r"(?P<label>Picture[ \t]*\d+[ \t]*:[ \t]*)?<img>(?P<path>[^<>\n]+)</img>"  # Qwen-VL
    r"|(?P<named><image[ _]?\d+>|<\|image_\d+\|>)"  # MiniCPM-V, MMMU, Phi-3-vision
    r"|(?P<clip><video>|<VideoHere>|<\|video\|>|(?:<\|vision_start\|>)?(?:<\|video_pad\|>)+(?:<\|vision_end\|>)?)"
    r"|<image>|<ImageHere>|<image_placeholder>|<\|image\|>|<IMG_CONTEXT>|<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>"
)
VIDEO = re.compile(r"<video>|<VideoHere>|<\|video\|>|<\|video_pad\|>")
SOUND = re.compile(r"<audio>|<\|audio\|>")
PLACE = "\ufffc"
"""Where a picture stands in a text while its place is being found: Unicode's own stand-in for what is no character."""

_LEADING = re.compile(rf"\A(?:{PLACE}(?P<space>\s*))+")
_TRAILING = re.compile(rf"(?:\s*{PLACE})+\Z")


@dataclass(frozen=True, slots=True)
class Clip:
    """What a table has for a video."""

    cell: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture or a clip at its place. `cell`: what a table has for one (a path, bytes, ...; a Clip); None: the next of the
    row's own, or the one that the row calls `name`.
    """

    cell: Any = None
    name: str = ""
    is_clip: bool = False


def pieces_of(text: str, alone: bool) -> list[str | Shown]:
    """A text in its parts. `alone`: no other picture is shown, so that `Picture 1: <img>path</img>` is one mark; of several,
    the numbers are words that later words may mean.
    """
    pieces: list[str | Shown] = []
    at = 0
    for match in MARK.finditer(text):
        start = match.start() + (len(match["label"]) if match["label"] and not alone else 0)
        pieces += [
            text[at:start],
            Shown(match["path"] and match["path"].strip(), match["named"] or "", bool(match["clip"])),
        ]
        at = match.end()
    return [*pieces, text[at:]]


def means_picture(text: str, mark: re.Pattern[str] = MARK) -> bool:
    """Whether a text of a row without pictures was written about one: a mark stands at an end of a line. Amid a sentence it
    may be one about HTML.
    """
    for match in mark.finditer(text):
        before, after = text[: match.start()].rpartition("\n")[2], text[match.end() :].partition("\n")[0]
        if match[0].startswith("<img>") or not before.strip() or not after.strip(" \t\r.?!。？！"):
            return True
    return False


def unmarked(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without its marks, and where they stood; no places where all of them stand before it.

    Space between a mark and the nearer end of the text is nobody's; space amid the text stays.
    """
    text = text.strip()
    leading = _LEADING.match(text)
    first = leading[0].count(PLACE) if leading else 0
    space, text = (leading["space"], text[leading.end() :]) if leading else ("", text)
    if first and PLACE not in text:
        return text, ()
    text = text if "\n" in space else space + text  # a blank is of the sentence that begins with a picture
    text = _TRAILING.sub(lambda match: PLACE * match[0].count(PLACE), text)
    parts = text.split(PLACE)
    places, at = [0] * first, 0
    for part in parts[:-1]:
        at += len(part)
        places.append(at)
    return "".join(parts), tuple(places)
