"""Frozen features, computed once: one file per tower and an index of keys.

A tower never changes, so neither do its features of an image. The key is a hash of the encoded image bytes; the directory
belongs to one set of towers (weights and preprocessing, by fingerprint) and refuses every other. This file knows no model:
what turns images into features is handed in.

Rows are read, not mapped: pages of a mapped file count as the memory of whoever looked at them, and after an epoch that is all
of the cache. They are stored in bf16, or as int8 with one bf16 scale per patch: half the space for an error of about 0.8 %.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from skymm.data.key_index import KEY_BYTES, KeyIndex
from skymm.data.shards import Sample

META = "features.json"
Precision = Literal["bfloat16", "int8"]
_SUFFIXES = {"bfloat16": "bf16", "int8": "int8"}


def image_key(data: bytes) -> bytes:
    """Hash of an image's encoded bytes."""
    return hashlib.sha256(data).digest()[:KEY_BYTES]


class FeatureCache:
    """Features by image key. `get` gives (N, C) bf16 per tower; `add` appends what is not there yet.

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
        self.directory = Path(directory)
        self.fingerprints, self.shapes = list(fingerprints), [tuple(shape) for shape in shapes]
        path = self.directory / META
        found = json.loads(path.read_text("utf-8")) if path.exists() else None
        self.precision: Precision = precision or (found or {}).get("dtype", "bfloat16")
        meta = {
            "version": 1,
            "dtype": self.precision,
            "fingerprints": self.fingerprints,
            "shapes": [list(s) for s in self.shapes],
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
        """Another process opens the directory for itself: its index is no luggage."""
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

    def add(
        self,
        images: Iterable[tuple[bytes, Image.Image]],
        encode: Callable[[list[Image.Image]], list[Tensor]],
        *,
        batch_size: int = 32,
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

    def _append(self, batch: dict[bytes, Image.Image], encode: Callable[[list[Image.Image]], list[Tensor]]) -> int:
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


def quantise(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features (..., C) -> int8 values of that shape and bf16 scales (..., 1)."""
    # The scale that is kept is the scale that divides, so rounding it costs nothing.
    scale = (features.float().abs().amax(-1, keepdim=True) / 127).clamp(min=1e-30).to(torch.bfloat16)
    values = (features.float() / scale.float()).round().clamp(-127, 127).to(torch.int8)
    return values, scale.contiguous()


def dequantise(values: Tensor, scale: Tensor) -> Tensor:
    """Back from `quantise`, bf16."""
    return (values.float() * scale.float()).to(torch.bfloat16)


def unpack(row: Tensor, shape: tuple[int, int], precision: Precision) -> Tensor:
    """Bytes of one image -> features (N, C), bf16."""
    if precision == "bfloat16":
        return row.view(torch.bfloat16).reshape(shape)
    size = shape[0] * shape[1]
    scale_N1 = row[size:].clone().view(torch.bfloat16)[:, None]
    return dequantise(row[:size].view(torch.int8).reshape(shape), scale_N1)
