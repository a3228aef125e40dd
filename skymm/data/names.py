"""Names of a shard's members: which are safe, and what of them is the key."""

from __future__ import annotations

from pathlib import PurePosixPath


def unsafe(name: str) -> bool:
    """Whether a member, unpacked, could land outside of its directory."""
    pure = PurePosixPath(name)
    return pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name


def split_name(name: str) -> tuple[str, str] | None:
    """Key and suffix (from the first dot of the file name on, as in webdataset); None for no part of a sample."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, dot, suffix = base.partition(".")
    return (f"{folder}{slash}{stem}", suffix.lower()) if stem and dot and suffix else None
