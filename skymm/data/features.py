"""Frozen features, computed once: what the towers saw in an image, stored in one of two ways that are read alike.

A **cache** is a directory, one file per tower and an index of keys, where an image is stored once: for one machine. **Members**
lie beside the samples they are of, one more file of the shard per image (`KEY.NAME.features.safetensors`), and are read in
the order of the samples from wherever shards are read: for many machines, and for data larger than a disk.

A tower never changes, so neither do its features of an image. Both ways belong to one set of towers (weights and
preprocessing, by fingerprint) and to images by a hash of their encoded bytes; what does not fit is refused, never used. This
file knows no model: what turns images into features is handed in. Features are bf16, or int8 with one bf16 scale per
patch: half the space for an error of about 0.8 %.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import safetensors
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from skymm.data.key_index import KEY_BYTES, KeyIndex
from skymm.data.shard_writing import add_member, whole_tar
from skymm.data.shards import FEATURES, Sample, conversation_of, read_shard
from skymm.images import open_image

META = "features.json"
Precision = Literal["bfloat16", "int8"]
Encode = Callable[[list[Image.Image]], list[Tensor]]
"""Pictures -> features per tower, (I, N, C)."""
_SUFFIXES = {"bfloat16": "bf16", "int8": "int8"}
_HEADER = "skymm"  # one entry, since safetensors writes several in no fixed order
_AGAIN = "write the features again (skymm data features RECIPE --into DIR), or take `features` out of the recipe"


class StoredFeatures(Protocol):
    """Either way. `place`: where they are, for people."""

    place: str

    def of(self, sample: Sample, name: str) -> list[Tensor]:
        """Features (N, C) bf16 per tower of a sample's image. Raises ValueError where there are none, or other ones."""

    def holds(self, sample: Sample, name: str) -> bool:
        """Whether they are there, or have to be."""


def image_key(data: bytes) -> bytes:
    """Hash of an image's encoded bytes."""
    return hashlib.sha256(data).digest()[:KEY_BYTES]


def picture(sample: Sample, name: str, *, min_side: int | None) -> Image.Image:
    """A sample's image, decoded as the model wants it (see `open_image`)."""
    return open_image(sample.image(name), f"{sample.shard}: {sample.key}.{name}", min_side=min_side)


# --- a directory ------------------------------------------------------------------------------------------------------


class FeatureCache:
    """Features by image key. `get` gives (N, C) bf16 per tower; `add` appends what is not there yet.

    Rows are read, not mapped: pages of a mapped file count as the memory of whoever looked at them, and after an epoch that
    is all of the cache.

    Args:
        fingerprints: of the towers, in order. shapes: (N, C) per tower. precision: of a new cache; None takes whatever is
            there, and bf16 where nothing is.

    Raises ValueError when the directory was made by other towers, or in another precision.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        fingerprints: Sequence[str],
        shapes: Sequence[tuple[int, int]],
        precision: Precision | None = None,
    ):
        self.directory, self.place = Path(directory), str(directory)
        self.fingerprints, self.shapes = list(fingerprints), [tuple(shape) for shape in shapes]
        path = self.directory / META
        found = json.loads(path.read_text("utf-8")) if path.exists() else None
        self.precision: Precision = precision or (found or {}).get("dtype", "bfloat16")
        meta = {
            "version": 1,
            "dtype": self.precision,
            "fingerprints": self.fingerprints,
            "shapes": [list(shape) for shape in self.shapes],
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        if found is not None and found != meta:
            raise ValueError(
                f"{path} is of other towers: found {found}, expected {meta}; remove {self.directory} or name another"
            )
        if found is None:
            path.write_text(json.dumps(meta, indent=2) + "\n", "utf-8")
        self._rows = KeyIndex(self.directory, self._num_whole_rows())

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the directory for itself, and is not sent the index."""
        options = {"fingerprints": self.fingerprints, "shapes": self.shapes, "precision": self.precision}
        return partial(FeatureCache, **options), (self.directory,)

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> list[Tensor]:
        """Raises KeyError for an image that was never added."""
        row, found = self._rows[key], []
        for index, shape in enumerate(self.shapes):
            size = self._row_bytes(index)
            content = np.fromfile(self._path(index), np.uint8, size, offset=row * size)
            if len(content) != size:
                raise ValueError(f"{self._path(index)} was cut short; remove {self.directory} and build it again")
            found.append(unpack(torch.from_numpy(content), shape, self.precision))
        return found

    def of(self, sample: Sample, name: str) -> list[Tensor]:
        """Features (N, C) per tower of a sample's image. Raises ValueError for one that was never added."""
        key = image_key(sample.image(name))
        if key not in self._rows:
            raise ValueError(
                f"{sample.shard}: an image of {sample.key} is not in the feature cache {self.directory}; "
                "build the cache from these shards, or remove `features` from the recipe"
            )
        return self.get(key)

    def holds(self, sample: Sample, name: str) -> bool:
        """Whether the image was added."""
        return image_key(sample.image(name)) in self._rows

    def add(
        self, images: Iterable[tuple[bytes, Image.Image]], encode: Encode, *, batch_size: int = 32
    ) -> Iterator[int]:
        """Append features of the images (key, picture) that are missing; yields how many are done, batch by batch.

        Rows are written before their keys: what a killed run leaves without a key is overwritten by the next one.
        """
        batch: dict[bytes, Image.Image] = {}
        for key, image in images:
            if key not in self._rows:
                batch[key] = image
            if len(batch) == batch_size:
                yield self._append(batch, encode)
                batch = {}
        if batch:
            yield self._append(batch, encode)

    def _append(self, batch: dict[bytes, Image.Image], encode: Encode) -> int:
        features = encode(list(batch.values()))
        for index, (tensor, shape) in enumerate(zip(features, self.shapes, strict=True)):
            if tuple(tensor.shape) != (len(batch), *shape):
                raise ValueError(
                    f"tower {index} gave features of shape {tuple(tensor.shape)}, expected {(len(batch), *shape)}"
                )
            with self._path(index).open("r+b" if self._path(index).exists() else "w+b") as file:
                file.seek(len(self._rows) * self._row_bytes(index))
                file.truncate()
                file.write(pack(tensor.cpu(), self.precision).numpy().tobytes())
        self._rows.append(list(batch))
        return len(batch)

    def _path(self, index: int) -> Path:
        return self.directory / f"tower-{index}.{_SUFFIXES[self.precision]}"

    def _row_bytes(self, index: int) -> int:
        num_patches, width = self.shapes[index]
        return num_patches * (2 * width if self.precision == "bfloat16" else width + 2)

    def _num_whole_rows(self) -> int:
        """Rows that every tower has whole."""
        sizes = [path.stat().st_size if path.exists() else 0 for path in map(self._path, range(len(self.shapes)))]
        return min(size // self._row_bytes(index) for index, size in enumerate(sizes))


def pack(features_INC: Tensor, precision: Precision) -> Tensor:
    """Features of I images -> bytes (I, row). int8: all values of a row, then the scales of its patches."""
    count = features_INC.shape[0]
    if precision == "bfloat16":
        return features_INC.to(torch.bfloat16).contiguous().view(torch.uint8).reshape(count, -1)
    parts = quantise(features_INC)
    return torch.cat([part.view(torch.uint8).reshape(count, -1) for part in parts], dim=1)


def unpack(row: Tensor, shape: tuple[int, int], precision: Precision) -> Tensor:
    """Bytes of one image -> features (N, C), bf16."""
    if precision == "bfloat16":
        return row.view(torch.bfloat16).reshape(shape)
    size = shape[0] * shape[1]
    scale_N1 = row[size:].clone().view(torch.bfloat16)[:, None]
    return dequantise(row[:size].view(torch.int8).reshape(shape), scale_N1)


def quantise(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features (..., C) -> int8 values of that shape and bf16 scales (..., 1)."""
    # The scale that is kept is the scale that divides, so rounding it costs nothing.
    scale = (features.float().abs().amax(-1, keepdim=True) / 127).clamp(min=1e-30).to(torch.bfloat16)
    values = (features.float() / scale.float()).round().clamp(-127, 127).to(torch.int8)
    return values, scale.contiguous()


def dequantise(values: Tensor, scale: Tensor) -> Tensor:
    """Back from `quantise`, bf16."""
    return (values.float() * scale.float()).to(torch.bfloat16)


# --- beside the samples -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeatureMembers:
    """Reads and writes members for one set of towers: their fingerprints and shapes (N, C).

    A member is a plain safetensors file: bf16 tensors `tower-0`, `tower-1`, ... of shape (N, C), or int8 ones with
    `tower-0.scale` (N, 1) to multiply by, and in its header the towers' fingerprints and the image's hash.
    """

    fingerprints: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    place: str = "beside the samples"

    def of(self, sample: Sample, name: str) -> list[Tensor]:
        """Features (N, C) bf16 per tower of a sample's image. Raises ValueError where there are none, or other ones."""
        where = f"{sample.shard}: {sample.key}.{name}{FEATURES}"
        data = sample.members.get(f"{name}{FEATURES}")
        if data is None:
            found = ", ".join(f"{sample.key}.{member}" for member in sample.members)
            raise ValueError(f"{where} is missing, found {found}; {_AGAIN}")
        try:
            size = int.from_bytes(data[:8], "little")
            header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_HEADER])
            fingerprints, image, tensors = tuple(header["fingerprints"]), header["image"], load(data)
        except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ValueError(f"{where} cannot be read ({error!r}); {_AGAIN}") from error
        if fingerprints != self.fingerprints:
            raise ValueError(
                f"{where} is of other towers: found {fingerprints}, expected {self.fingerprints}; {_AGAIN}"
            )
        if name in sample.members and image_key(sample.members[name]).hex() != image:
            raise ValueError(f"{where} is of another image than the one beside it; {_AGAIN}")
        found = [_tower(tensors, index) for index in range(len(self.shapes))]
        shapes = tuple(tuple(one.shape) if one is not None else () for one in found)
        if shapes != self.shapes:
            raise ValueError(f"{where} has features of shapes {shapes}, expected {self.shapes}; {_AGAIN}")
        return found

    def holds(self, sample: Sample, name: str) -> bool:
        """Always: an image without features is an error."""
        return True

    def copy_shard(
        self,
        source: Path,
        target: Path,
        encode: Encode,
        *,
        precision: Precision = "bfloat16",
        min_side: int | None = None,
        drop_images: bool = False,
        batch_size: int = 32,
    ) -> int:
        """Write a shard once more, with features of every image that is shown; returns the number of images.

        Each image is followed by its features; older features are left behind. The same shard gives the same bytes, and
        appears under its name only when it is whole. Raises ValueError naming shard and key for images that are unreadable
        or not there.
        """
        with whole_tar(target) as tar:

            def write(waiting: list[tuple[Sample, list[str]]]) -> int:
                pictures = [picture(sample, name, min_side=min_side) for sample, names in waiting for name in names]
                rows = zip(*encode(pictures)) if pictures else iter(())
                for sample, names in waiting:
                    seen = {name: self._member(next(rows), sample.image(name), precision) for name in names}
                    for name, data in sample.members.items():
                        if not name.endswith(FEATURES) and not (drop_images and name in seen):
                            add_member(tar, f"{sample.key}.{name}", data)
                        if name in seen:
                            add_member(tar, f"{sample.key}.{name}{FEATURES}", seen[name])
                return len(pictures)

            num_images, waiting = 0, []
            for sample in read_shard(source):
                waiting.append((sample, list(dict.fromkeys(conversation_of(sample).images))))
                if sum(len(names) for _, names in waiting) >= batch_size:
                    num_images += write(waiting)
                    waiting = []
            return num_images + write(waiting)

    def _member(self, features: Sequence[Tensor], image: bytes, precision: Precision) -> bytes:
        """Features (N, C) per tower of an image (its encoded bytes); the same ones are the same bytes."""
        shapes = tuple(tuple(one.shape) for one in features)
        if shapes != self.shapes:
            raise ValueError(f"the towers gave features of shapes {shapes}, expected {self.shapes}")
        tensors = {}
        for index, one in enumerate(features):
            if precision == "int8":
                tensors[f"tower-{index}"], tensors[f"tower-{index}.scale"] = quantise(one.cpu())
            else:
                tensors[f"tower-{index}"] = one.cpu().to(torch.bfloat16).contiguous()
        header = {"version": 1, "fingerprints": list(self.fingerprints), "image": image_key(image).hex()}
        return save(tensors, {_HEADER: json.dumps(header)})


def _tower(tensors: dict[str, Tensor], index: int) -> Tensor | None:
    values, scale = tensors.get(f"tower-{index}"), tensors.get(f"tower-{index}.scale")
    return values if values is None or scale is None else dequantise(values, scale)
