"""Shards: tars of `KEY.jpg` (png, webp, gif, bmp, tif) members and one `KEY.json` each, read as encoded bytes.

A sample with several images names its members `KEY.0.jpg`, `KEY.1.jpg`, ...; what follows the first dot is the name by
which a Turn shows the image. Files written here are ordinary webdataset shards. They are read with the standard
library's tarfile, with webdataset's rule for keys: webdataset passes over links and damaged headers without a word,
and importing it loads torch, which looking at data should not have to wait for.

Shards lie on disk, or wherever fsspec reaches: `s3://`, `hf://`, `gs://`, `http(s)://`, ...; `pipe:COMMAND` is what a command
of the shell prints. A shard from elsewhere is fetched whole into memory before its first sample is read.
"""

from __future__ import annotations

import io
import json
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from glob import glob, has_magic
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from skymm.conversation import BadSample, Conversation, parse

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
FEATURES = ".features.safetensors"  # after an image's name: what the towers saw in it
CARD = "card.json"
EXPECTED = "KEY.jpg|jpeg|png|webp|gif|bmp|tif|tiff and KEY.json (only KEY.json where its turns show no image)"
_BLOCK = 512  # bytes; a tar is made of such blocks and ends with zeroed ones
_THREADS, _FILES_AT_A_TIME = 32, 128
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|pipe:")


class ShardError(ValueError):
    """A shard that cannot be read: damaged, unsafe, or with members of another schema. Names the file."""


@dataclass(frozen=True, slots=True, order=True)
class RemoteShard:
    """A shard that is no file of this machine, by its address. `name`: the last part of it, or a pipe's whole command."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        return self.address if self.address.startswith("pipe:") else self.address.rpartition("/")[2]

    def resolve(self) -> RemoteShard:
        """As a Path's: the one name of the file."""
        return self

    def read(self) -> bytes:
        """All of it. Raises ShardError for a command that fails, OSError for what cannot be fetched."""
        if not self.address.startswith("pipe:"):
            file_system, path = _file_system(self.address)
            return file_system.cat_file(path)
        done = subprocess.run(self.address.removeprefix("pipe:"), shell=True, stdout=subprocess.PIPE)
        if done.returncode:
            raise ShardError(f"{self}: the command ended with exit code {done.returncode}; run it by hand to see why")
        return done.stdout

    def size(self) -> int | None:
        """Bytes; None where nobody knows without reading it. Raises FileNotFoundError."""
        if self.address.startswith("pipe:"):
            return None
        file_system, path = _file_system(self.address)
        return file_system.info(path)["size"]


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


# --- finding ----------------------------------------------------------------------------------------------------------


def expand(shards: str | Path | Sequence[str | Path], *, remote: bool = False) -> list[Any]:
    """Shards named by a file, a directory (searched with its subdirectories), a glob, a brace pattern
    (`train-{00000..00099}.tar`), an address of such, or a list of these; sorted within each, in the given order between them.

    A list of Paths, with `remote` also of RemoteShards. Raises ValueError naming what was looked for where nothing is found,
    and for addresses where only files of this machine will do.
    """
    names = [str(name) for name in ([shards] if isinstance(shards, str | Path) else shards)]
    addresses = [name for name in names if _ADDRESS.match(name)]
    if addresses and not remote:
        raise ValueError(f"{addresses[0]} is no file of this machine, which is wanted here; fetch the shards first")
    paths = [None if name in addresses else Path(name).expanduser() for name in names]
    existing = iter(sizes([path for path in paths if path is not None]))
    found = []
    for name, path in zip(names, paths):
        if path is None:
            found.append(_remote(name))
        # A name that exists is meant as it is written, even where it holds braces or brackets.
        else:
            found.append([path] if next(existing) is not None else _named_by(name, path))
    return [path for each in found for path in each]


def _named_by(name: str, path: Path) -> list[Path]:
    """Files that a name stands for which is none itself."""
    patterns = [path] if path.exists() else [Path(each).expanduser() for each in _braces(name)]
    found = [[each] if size is not None else _searched(each) for each, size in zip(patterns, sizes(patterns))]
    if not any(found):
        raise ValueError(f"no shards found: looked for {name!r}; expected .tar files there")
    return [each for part in found for each in part]


def _braces(name: str) -> list[str]:
    import braceexpand

    return list(braceexpand.braceexpand(name))


def _searched(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("*.tar"))
    if has_magic(str(path)):
        paths = [Path(name) for name in glob(str(path), recursive=True)]
        return sorted(path for path, size in zip(paths, sizes(paths)) if size is not None)
    raise ValueError(f"no shards found: {str(path)!r} does not exist; name a .tar file, a directory or a pattern")


def _remote(name: str) -> list[RemoteShard]:
    """What an address stands for. A command is taken as it is, but for braces of numbers."""
    if name.startswith("pipe:"):
        return [RemoteShard(each) for each in (_braces(name) if ".." in name else [name])]
    found = []
    for address in _braces(name):
        file_system, path = _file_system(address)
        if has_magic(path):
            found += [file_system.unstrip_protocol(each) for each in sorted(file_system.glob(path))]
        elif path.endswith(".tar"):
            found.append(address)
        else:
            below = sorted(file_system.find(path))
            found += [file_system.unstrip_protocol(each) for each in below if each.endswith(".tar")]
    remote = [RemoteShard(address) for address in found]
    if not remote:
        raise ValueError(f"no shards found: looked for {name!r}; expected .tar files there")
    return remote


def _file_system(address: str) -> tuple[Any, str]:
    """fsspec's view of an address. Raises ValueError, naming the package to install, where it has none."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ValueError(f"{address} cannot be reached: {error}") from error


def sizes(shards: Sequence[Any]) -> list[int | None]:
    """Bytes of each file; None where there is none, or something else, such as a directory, or where nobody knows.

    Asked by several threads: on a network file system each answer is a wait, and waits add up.
    """
    return _together(_size, shards)


def identities(shards: Sequence[Any]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of each, as in make: what has others has other content. Names alone say little, there are
    many 00000.tar.
    """
    return _together(_identity, shards)


def _together(ask: Callable[[Any], Any], shards: Sequence[Any]) -> list[Any]:
    parts = [shards[start : start + _FILES_AT_A_TIME] for start in range(0, len(shards), _FILES_AT_A_TIME)]
    if len(parts) < 2:
        return [ask(shard) for shard in shards]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [answer for part in pool.map(lambda part: [ask(shard) for shard in part], parts) for answer in part]


def _size(shard: Path | RemoteShard) -> int | None:
    try:
        if isinstance(shard, RemoteShard):
            return shard.size()
        found = shard.stat()
    except (OSError, ValueError):  # a name that no file can have is no file
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _identity(shard: Path | RemoteShard) -> tuple[str, int, int]:
    if isinstance(shard, RemoteShard):
        return shard.address, shard.size() or 0, 0
    found = shard.stat()
    return str(shard.resolve()), found.st_size, found.st_mtime_ns


# --- reading ----------------------------------------------------------------------------------------------------------


def read_shard(shard: str | Path | RemoteShard, start: int = 0) -> Iterator[Sample]:
    """The samples of one shard in file order, from the `start`-th on. Members stay encoded bytes, whatever they are.

    Raises ShardError: for a first sample without the members of a shard, for member names and kinds that have no place
    in one (absolute, `..`, links, devices), for an empty tar, and, after the samples before it, for damage.
    """
    path = Path(shard) if isinstance(shard, str) else shard
    count = 0
    try:
        with io.BytesIO(path.read()) if isinstance(path, RemoteShard) else path.open("rb") as file:
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


def num_samples(shards: Sequence[Path | RemoteShard]) -> int:
    """How many samples shards hold: by the cards beside them, and of those without one by the members of the tar, whose
    contents are not read. Raises ShardError as `read_shard` does.
    """
    known: dict[Path, int] = {}
    for directory in {shard.parent for shard in shards if isinstance(shard, Path)}:
        card = directory / CARD
        entries = json.loads(card.read_text("utf-8")).get("shards", []) if card.exists() else []
        known |= {directory / one["name"]: one["num_samples"] for one in entries}
    return sum(known[shard] if shard in known else _counted(shard) for shard in shards)


def _counted(shard: Path | RemoteShard) -> int:
    try:
        with io.BytesIO(shard.read()) if isinstance(shard, RemoteShard) else shard.open("rb") as file:
            return sum(member.suffix == "json" for member in members(file, shard, EXPECTED))
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{shard}: damaged or cut short ({error}); fetch or write this shard again") from error


def _samples(file: BinaryIO, path: Path | RemoteShard, start: int) -> Iterator[tuple[str, dict[str, bytes]]]:
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


def members(file: BinaryIO, path: Path | RemoteShard, expected: str) -> Iterator[Member]:
    """The members of a tar that belong to samples, in file order; directories and the hidden files of some systems do not.

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


def _refuse_unsafe(info: tarfile.TarInfo, path: Path | RemoteShard, expected: str) -> None:
    kind = "a sparse file" if info.issparse() else "" if info.isreg() or info.isdir() else "a link or a device"
    if kind:  # the bytes of a sparse file do not lie in the tar as they are
        raise ShardError(f"{path}: {info.name} is {kind}; expected plain files only, {expected}")
    if unsafe(info.name):
        raise ShardError(
            f"{path}: member {info.name!r} leads outside of the shard; expected relative names, {expected}"
        )


def unsafe(name: str) -> bool:
    """Whether a member, unpacked, could land outside of its directory."""
    pure = PurePosixPath(name)
    return pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name


def split_name(name: str) -> tuple[str, str] | None:
    """Key and suffix (from the first dot of the file name on, as in webdataset); None for no part of a sample."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, dot, suffix = base.partition(".")
    return (f"{folder}{slash}{stem}", suffix.lower()) if stem and dot and suffix else None
