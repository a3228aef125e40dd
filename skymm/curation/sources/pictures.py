"""Pictures that tables name: found in given directories only, and known by their first bytes."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from skymm.curation.record import Picture
from skymm.data.shards import unsafe
from skymm.images import UnreadableImage, format_of
from skymm.video import frames_of

MISSING = "picture is missing"
EMPTY = "picture is empty"
UNREADABLE = "picture cannot be read"
OUTSIDE = "picture is outside of its directory"
OTHER = "no known picture format"
_SUFFIXES = {"JPEG": "jpg", "TIFF": "tif"} | {kind: kind.lower() for kind in ("PNG", "WebP", "GIF", "BMP")}
_HEAD = 256  # bytes
# Where an object has its picture: the Hugging Face hub's {bytes, path}, OpenAI's {url}, Anthropic's {data}, ...
_CELLS = ("bytes", "image_url", "url", "image", "path", "base64", "data", "source", "value")
_BASE64 = re.compile(
    r"data:[^,]{0,100};base64,(?P<data>.*)"
    r"|(?=/9j/|iVBORw0KGgo|UklGR|R0lGOD|Qk0|SUkq|TU0A)(?P<bare>[A-Za-z0-9+/\s]{200,}=*)",  # as their first bytes are written
    re.DOTALL,
)


class Unusable(Exception):
    """Why a row gives no record: a reason that is the same for every row, and more about this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def check_directories(directories: str | Sequence[str]) -> None:
    """Raises ValueError for one that is not there, before a million pictures are missing one by one."""
    for directory in [directories] if isinstance(directories, str) else directories:
        if not os.path.isdir(directory):
            raise ValueError(f"no directory at {directory}, where the pictures should be")


def find(names: str | Sequence[str], directories: str | Sequence[str]) -> Picture:
    """The first of the names (paths below a directory) in the first directory that has it.

    Links are followed: who keeps the pictures elsewhere has put them there. What a table says is not trusted so far.
    Raises Unusable: missing everywhere, empty, or named by `..` or by an absolute path that leads elsewhere.
    """
    names = [names] if isinstance(names, str) else names
    directories = [directories] if isinstance(directories, str) else directories
    names = [_below(name, directories) for name in names]
    for name in names:
        if unsafe(name):
            raise Unusable(OUTSIDE, name)
    for directory in directories:
        for name in names:
            path = os.path.join(directory, name)
            try:
                status = os.stat(path)
            except (OSError, ValueError):  # also names that no file system takes
                continue
            if not stat.S_ISREG(status.st_mode):  # a directory, or a pipe that would be waited for
                continue
            if not status.st_size:
                raise Unusable(EMPTY, path)
            return Picture(path)
    raise Unusable(MISSING, f"{names[0]} in {', '.join(directories)}")


def picture_of(cell: Any, directories: str | Sequence[str]) -> Picture:
    """What a cell of a table has for a picture: a path, the bytes or base64 of it, a data URL, an id that its file is called
    by, or an object with one of these. Raises Unusable, also for addresses, which nobody fetched.
    """
    while isinstance(cell, dict):
        cell = next((cell[name] for name in _CELLS if cell.get(name) not in (None, "")), None)
    if isinstance(cell, bytes):
        return Picture(data=cell)
    if type(cell) is int:
        return find([f"{cell}.jpg", f"{cell}.png"], directories)
    if not isinstance(cell, str) or not cell.strip():
        raise Unusable(MISSING, f"the table says {str(cell)[:60]!r}")
    name = cell.strip()
    if match := _BASE64.fullmatch(name):
        try:
            return Picture(data=base64.b64decode(match["data"] or match["bare"]))
        except ValueError as error:
            raise Unusable(UNREADABLE, f"{name[:40]}...: {error}") from error
    if "://" in name[:12] and not name.startswith("file://"):
        raise Unusable("picture is an address", f"{name[:80]}; fetch it first, and give the file's name")
    return find(name.removeprefix("file://"), directories)


def clip_of(
    cell: Any, directories: str | Sequence[str], num_frames: int, fps: float | None
) -> list[tuple[Picture, float | None]]:
    """The frames of what a cell has for a video, with their seconds. Raises Unusable, and ValueError without PyAV."""
    clip = picture_of(cell, directories)
    where = clip.path or "a clip in the table"
    try:
        frames = frames_of(clip.path or clip.read(), where, num_frames=num_frames, fps=fps)
    except (UnreadableImage, OSError) as error:
        raise Unusable(UNREADABLE, str(error)) from error
    return [(Picture(data=frame.data), frame.seconds) for frame in frames]


def _below(name: str, directories: Sequence[str]) -> str:
    """An absolute path that leads into one of the directories, as the path below it."""
    for directory in directories:
        root = os.path.join(os.path.abspath(directory), "")
        if name.startswith(root):
            return name[len(root) :]
    return name


def suffix_of(picture: Picture) -> str:
    """jpg, png, webp, gif, bmp or tif, by the first bytes. Raises Unusable for everything else."""
    size = _HEAD if picture.size is None else min(_HEAD, picture.size)
    try:
        head = replace(picture, size=size).read()[:size]
    except OSError as error:
        raise Unusable(UNREADABLE, str(error)) from error
    if not head:
        raise Unusable(EMPTY, picture.path)
    found = format_of(head)
    if found not in _SUFFIXES:
        found = found if found.startswith("an ") else f"first bytes {head[:8]!r}"
        raise Unusable(OTHER, f"{picture.path}: {found}".removeprefix(": "))
    return _SUFFIXES[found]


def named(pictures: Sequence[Picture], seconds: Sequence[float | None] = ()) -> dict[str, Picture]:
    """The pictures by their member names: "jpg" for one, "0.jpg", "1.png" for several, "2.frame.jpg" where it has a time."""
    suffixes = [suffix_of(picture) for picture in pictures]
    suffixes = [suffix if second is None else f"frame.{suffix}" for suffix, second in zip_longest(suffixes, seconds)]
    if len(pictures) == 1:
        return {suffixes[0]: pictures[0]}
    return {f"{index}.{suffix}": picture for index, (suffix, picture) in enumerate(zip(suffixes, pictures))}
