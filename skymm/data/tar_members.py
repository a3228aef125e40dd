"""Members of a tar of samples in file order: where their bytes lie, and which of them nobody may trust."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from skymm.data.names import split_name, unsafe

_BLOCK = 512  # bytes; a tar is made of such blocks and ends with zeroed ones


class ShardError(ValueError):
    """A shard that cannot be read: damaged, unsafe, or with members of another schema. Names the file."""


@dataclass(frozen=True, slots=True)
class Member:
    """A plain file of a tar. `name` is all of it, `key` and `suffix` what webdataset makes of it, `offset` and `size` are
    bytes of the tar.
    """

    name: str
    key: str
    suffix: str
    offset: int
    size: int


def members(file: BinaryIO, path: Path, expected: str) -> Iterator[Member]:
    """What belongs to samples; directories and the hidden files of some systems do not.

    Raises ShardError for names and kinds that have no place in a shard (absolute, `..`, links, devices), saying what is
    `expected`, and tarfile.ReadError for damage, which includes a missing end.
    """
    end = 0
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for info in tar:
            end = info.offset_data + -(-info.size // _BLOCK) * _BLOCK
            _refuse_unsafe(info, path, expected)
            split = split_name(info.name) if info.isreg() else None
            if split is not None:
                yield Member(info.name, *split, info.offset_data, info.size)
    # tarfile stops without a word at a damaged header and at a cut between two members: look for the end mark.
    file.seek(end)
    if file.read(_BLOCK) != bytes(_BLOCK):
        raise tarfile.ReadError(f"no end mark at byte {end}")


def _refuse_unsafe(info: tarfile.TarInfo, path: Path, expected: str) -> None:
    if not (info.isreg() or info.isdir()):
        raise ShardError(f"{path}: {info.name} is a link or a device; expected plain files only, {expected}")
    if info.issparse():  # its bytes do not lie in the tar as they are
        raise ShardError(f"{path}: {info.name} is a sparse file; expected plain files only, {expected}")
    if unsafe(info.name):
        raise ShardError(
            f"{path}: member {info.name!r} leads outside of the shard; expected relative names, {expected}"
        )
