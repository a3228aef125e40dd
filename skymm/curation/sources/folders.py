"""Folders whose pictures have their captions beside them: `dog.jpg` and `dog.txt`, one caption a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from skymm.curation.sources.pictures import MISSING, find
from skymm.curation.sources.rows import Unusable, key_of, refused
from skymm.curation.sources.text_files import opened

# What somebody may have meant as a picture. Whether it is one that can be used is told by its bytes.
_PICTURES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp"),
    *(".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".svg"),
)
_LONGEST = 1024 * 1024  # characters of a caption file


def pictures_with_texts(folder: str | Path) -> Iterator[dict[str, Any]]:
    """Rows {key, image, text} of all pictures below a folder, sorted, one directory in memory at a time; `text` is None
    for a picture alone. A text alone is refused. Linked directories and hidden files are left alone.

    Raises ValueError where there is nothing of both.
    """
    empty = True
    for names in _directories(str(folder), ""):
        texts = {_stem(name): name for name in names if name.lower().endswith(".txt")}
        pictures = [name for name in names if name.lower().endswith(_PICTURES)]
        for name in pictures:
            yield {"key": key_of(name), "image": name, "text": texts.get(_stem(name))}
        with_picture = {_stem(name) for name in pictures}
        for stem, name in texts.items():
            if stem not in with_picture:
                yield refused(name, MISSING, f"{name} has no picture beside it")
        empty = empty and not pictures and not texts
    if empty:
        raise ValueError(f"{folder}: found no pictures, expected files like dog.jpg with their captions in dog.txt")


def texts_of(name: str, folder: str, encoding: str) -> list[str]:
    """The lines of a caption file. Raises Unusable."""
    try:
        path = find(name, folder).path
    except Unusable as error:
        raise Unusable("caption is missing", error.detail) from error
    try:
        with opened(path, encoding) as file:
            return file.read(_LONGEST).splitlines()
    except ValueError as error:
        raise Unusable("caption cannot be read", str(error)) from error


def _directories(root: str, below: str) -> Iterator[list[str]]:
    """The names of the files of each directory, relative to the root."""
    try:
        with os.scandir(os.path.join(root, below)) as found:
            entries = sorted((each for each in found if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError as error:
        raise ValueError(f"{os.path.join(root, below)}: cannot be listed ({error.strerror})") from error
    yield [f"{below}{each.name}" for each in entries if not each.is_dir()]
    for each in entries:
        if each.is_dir(follow_symlinks=False):
            yield from _directories(root, f"{below}{each.name}/")


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
