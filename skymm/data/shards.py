"""Shards on disk: tars of `KEY.jpg` (png, webp, gif, bmp, tif) members and one `KEY.json` each, read as encoded bytes.

A sample with several images names its members `KEY.0.jpg`, `KEY.1.jpg`, ...; what follows the first dot is the name by
which a Turn shows the image. Files written here are ordinary webdataset shards. They are read with the standard
library's tarfile, with webdataset's rule for keys: webdataset passes over links and damaged headers without a word,
and importing it loads torch, which looking at data should not have to wait for.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from skymm.conversation import BadSample, Conversation, parse
from skymm.data.sizes import sizes
from skymm.data.tar_members import Member, ShardError, members

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
FEATURES = ".features.safetensors"  # after an image's name: what the towers saw in it
CARD = "card.json"
EXPECTED = "KEY.jpg|jpeg|png|webp|gif|bmp|tif|tiff and KEY.json (only KEY.json where its turns show no image)"


@dataclass(frozen=True, slots=True)
class Sample:
    """The encoded members of one key, by suffix. `index` counts the samples of the shard from 0, in file order."""

    key: str
    members: dict[str, bytes]
    shard: str
    index: int

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images, in file order; also of those of which only the features are left."""
        names = (name.removesuffix(FEATURES) for name in self.members)
        return tuple(dict.fromkeys(name for name in names if is_image_name(name)))

    def image(self, name: str) -> bytes:
        """Encoded bytes of an image. Raises ValueError where they were left out."""
        if name not in self.members:
            raise ValueError(
                f"{self.shard}: {self.key} has no image {name}, only what is left of it: {sorted(self.members)}; say "
                'features = "shards" in the recipe, or name the shards that have the images'
            )
        return self.members[name]


def is_image_name(name: str) -> bool:
    """Whether a member suffix such as "webp" or "0.jpg" names an image."""
    return name.rpartition(".")[2] in IMAGE_SUFFIXES


def conversation_of(sample: Sample) -> Conversation:
    """The sample's Conversation; every image that its turns show is a member of the sample.

    Raises BadSample (reasons: missing json, bad json, missing image member), naming shard and key.
    """
    where = f"{sample.shard}: {sample.key}"
    if "json" not in sample.members:
        raise BadSample(f"{where}: found {sorted(sample.members)}, expected {EXPECTED}", "missing json")
    try:
        conversation = parse(sample.members["json"], sample.key, sample.images)
    except ValueError as error:
        raise BadSample(f"{sample.shard}: {error}", "bad json") from error
    except RecursionError as error:
        raise BadSample(f"{where}: nested too deeply to be a conversation", "bad json") from error
    for name in conversation.images:
        if name not in sample.images:
            found = list(sample.images) or "none"
            raise BadSample(f"{where}: shows image {name!r}, its image members: {found}", "missing image member")
    return conversation


def expand(shards: str | Path | Sequence[str | Path]) -> list[Path]:
    """Shard files named by a file, a directory (searched with its subdirectories), a glob, a brace pattern
    (`train-{00000..00099}.tar`), or a list of these; sorted within each, in the given order between them.

    Raises ValueError naming what was looked for where nothing is found.
    """
    names = [shards] if isinstance(shards, str | Path) else list(shards)
    paths = [Path(name).expanduser() for name in names]
    # A name that exists is meant as it is written, even where it holds braces or brackets.
    found = [
        [path] if size is not None else _named_by(str(name), path)
        for name, path, size in zip(names, paths, sizes(paths))
    ]
    return [path for each in found for path in each]


def _named_by(name: str, path: Path) -> list[Path]:
    """Files that a name stands for which is none itself."""
    import braceexpand  # comes with webdataset, and brings no torch

    patterns = [path] if path.exists() else [Path(each).expanduser() for each in braceexpand.braceexpand(name)]
    found = [[each] if size is not None else _searched(each) for each, size in zip(patterns, sizes(patterns))]
    if not any(found):
        raise ValueError(f"no shards found: looked for {name!r}; expected .tar files there")
    return [each for part in found for each in part]


def _searched(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("*.tar"))
    if has_magic(str(path)):
        paths = [Path(name) for name in glob(str(path), recursive=True)]
        return sorted(path for path, size in zip(paths, sizes(paths)) if size is not None)
    raise ValueError(f"no shards found: {str(path)!r} does not exist; name a .tar file, a directory or a pattern")


def read_shard(path: str | Path, start: int = 0) -> Iterator[Sample]:
    """The samples of one shard in file order, from the `start`-th on. Members stay encoded bytes, whatever they are.

    Raises ShardError: for a first sample without the members of a shard, for member names and kinds that have no place
    in one (absolute, `..`, links, devices), for an empty tar, and, after the samples before it, for damage.
    """
    path = Path(path)
    count = 0
    try:
        with path.open("rb") as file:
            for key, members in _samples(file, path, start):
                if count == 0:
                    _check_first(Sample(key, members, str(path), 0))
                if count >= start:
                    yield Sample(key, members, str(path), count)
                count += 1
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(
            f"{path}: damaged or cut short ({error}); {count} samples before the damage are readable. "
            "Fetch or write this shard again, or take it out of the list."
        ) from error
    if count == 0:
        raise ShardError(f"{path}: an empty tar; expected members {EXPECTED}")


def _samples(file: BinaryIO, path: Path, start: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members) in file order. Samples before `start` are not read, except the first, which is checked."""
    of_samples = groupby(members(file, path, EXPECTED), key=lambda member: member.key)
    for index, (key, group) in enumerate(of_samples):
        contents: dict[str, bytes] = {}
        for member in group:
            if member.suffix in contents:
                raise ShardError(f"{path}: {member.name} is there twice; expected each member once")
            contents[member.suffix] = _content(file, member) if index == 0 or index >= start else b""
        yield key, contents


def _content(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    content = file.read(member.size)
    if len(content) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return content


def _check_first(sample: Sample) -> None:
    """Refuse a whole shard of the wrong schema at once, before all of its samples are skipped one by one."""
    found = ", ".join(f"{sample.key}.{name}" for name in sample.members)
    if "json" not in sample.members:
        raise ShardError(f"{sample.shard}: its first sample has the members {found}; expected {EXPECTED}")
    if sample.images:
        return
    try:
        named = parse(sample.members["json"], sample.key).images
    except (ValueError, RecursionError):
        return  # one bad JSON is a matter for that sample, which is counted where it is used
    if named:
        raise ShardError(
            f"{sample.shard}: its first sample shows the images {list(named)} but has only {found}; expected {EXPECTED}"
        )
