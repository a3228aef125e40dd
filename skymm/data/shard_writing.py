"""Shards written: the same samples give the same bytes on any machine, and a shard is whole or not there."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation, parse
from skymm.data.shards import CARD, is_image_name, split_name, unsafe
from skymm.files import whole_file

_SHARD = re.compile(r"(.+)-\d{5,}\.tar(?:\.partial)?")


def write_shards(
    samples: Iterable[tuple[Conversation, Mapping[str, bytes]]],
    directory: str | Path,
    prefix: str,
    max_samples: int = 1000,
    card: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write conversations and their encoded images (by member suffix) as `PREFIX-00000.tar`, ... and a `card.json`.

    The same samples give the same bytes on any machine. A shard appears under its name only when it is whole, and the
    card (what `card` says: licences, source, recipe; and counts and a sha256 per shard) comes last: where there is a
    card, the directory is complete. Shards of the same prefix without a card are leftovers and are replaced.

    Raises ValueError where the directory already has a card, and for samples that could not be read back.
    """
    directory = Path(directory)
    if (directory / CARD).exists():
        raise ValueError(f"{directory} already holds finished shards ({CARD}): choose another directory or remove it")
    if max_samples < 1:
        raise ValueError(f"max_samples is {max_samples}, expected at least 1")
    directory.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Any]] = []
    remaining = iter(samples)
    for first in remaining:
        path = directory / f"{prefix}-{len(shards):05d}.tar"
        shards.append(write_shard(path, chain([first], islice(remaining, max_samples - 1))))
    if not shards:
        raise ValueError(f"nothing to write to {directory}: the source gave no samples")
    write_card(directory, card or {}, shards)
    return [directory / shard["name"] for shard in shards]


def write_shard(path: Path, samples: Iterable[tuple[Conversation, Mapping[str, bytes]]]) -> dict[str, Any]:
    """Write one shard. Returns its name, num_samples, sha256, and num_images, languages and polarities of its answers.

    Raises ValueError for samples that could not be read back.
    """
    written: set[str] = set()
    num_images, languages, polarities = 0, Counter(), Counter()
    with whole_tar(path) as tar:
        for conversation, images in samples:
            _check_writable(conversation, images, written)
            written.add(conversation.key)
            for suffix, data in sorted({**images, "json": conversation.to_json().encode("utf-8")}.items()):
                add_member(tar, f"{conversation.key}.{suffix}", data)
            num_images += len(images)
            languages.update(turn.language or "unknown" for turn in conversation.targets)
            polarities.update(turn.polarity or "unknown" for turn in conversation.targets)
    digest = sha256_of(path)
    counts = {"num_images": num_images, "languages": dict(languages), "polarities": dict(polarities)}
    return {"name": path.name, "num_samples": len(written), "sha256": digest, **counts}


def write_card(directory: Path, card: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> None:
    """What the directory holds, out of what `write_shard` returned for each; with it the directory is complete.

    Shards of the same prefix that are not among them are leftovers of a run that was stopped, maybe of another recipe: they
    go first, or training would read them.
    """
    names = {shard["name"] for shard in shards}
    prefixes = {name.rpartition("-")[0] for name in names}
    for path in directory.iterdir():
        named = _SHARD.fullmatch(path.name)
        if named and named[1] in prefixes and path.name not in names:
            path.unlink()
    sums = {name: sum((Counter(shard[name]) for shard in shards), Counter()) for name in ("languages", "polarities")}
    totals = {
        **{name: sum(shard[name] for shard in shards) for name in ("num_samples", "num_images")},
        **{name: dict(sorted(counts.items())) for name, counts in sums.items()},
        "shards": [{name: shard[name] for name in ("name", "num_samples", "sha256")} for shard in shards],
    }
    write_json(directory / CARD, {**card, **totals})


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """A file for people and programs, whole or not there."""
    with whole_file(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


@contextmanager
def whole_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar that appears under its name when it is whole."""
    with whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        yield tar


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """One more file of the tar: of no owner and no time, so that equal samples are equal files."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_writable(conversation: Conversation, images: Mapping[str, bytes], written: set[str]) -> None:
    key = conversation.key
    if key in written:
        raise ValueError(f"{key}: this key is already in the shard; every sample needs a key of its own")
    split = None if unsafe(key) or key.startswith("./") else split_name(f"{key}.json")
    if split != (key, "json"):
        raise ValueError(f"{key!r} cannot be a key: it becomes a file name, so no dots, no leading '/' and no '..'")
    for name in images:
        if not is_image_name(name) or "/" in name or name.startswith("."):
            raise ValueError(f"{key}: image name {name!r}, expected a suffix such as 'webp' or '0.jpg'")
    if conversation.images and set(conversation.images) != set(images):
        raise ValueError(f"{key}: the turns show {sorted(set(conversation.images))}, the images are {sorted(images)}")
    # What is written must be readable: the reader's rules on turns hold here too.
    parse(conversation.to_json(), key, tuple(images))
