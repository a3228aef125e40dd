"""Frozen features, computed once: one memory-mapped file per tower and a list of keys.

A tower never changes, so neither do its features of an image. The key is a hash of the encoded image bytes; the directory
belongs to one set of towers (weights and preprocessing, by fingerprint) and refuses every other. Features are stored in
bf16. This file knows no model: what turns images into features is handed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

META, KEYS = "features.json", "keys.bin"
_KEY_BYTES = 16


def image_key(data: bytes) -> bytes:
    """Hash of an image's encoded bytes."""
    return hashlib.sha256(data).digest()[:_KEY_BYTES]


class FeatureCache:
    """Features by image key. `get` gives (N, C) bf16 per tower; `add` appends what is not there yet.

    Args:
        fingerprints: of the towers, in order. shapes: (N, C) per tower.

    Raises ValueError when the directory was made by other towers.
    """

    def __init__(self, directory: str | Path, *, fingerprints: Sequence[str], shapes: Sequence[tuple[int, int]]):
        self.directory = Path(directory)
        self.shapes = [tuple(shape) for shape in shapes]
        meta = {
            "version": 1,
            "dtype": "bfloat16",
            "fingerprints": list(fingerprints),
            "shapes": [list(s) for s in self.shapes],
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / META
        if path.exists():
            found = json.loads(path.read_text("utf-8"))
            if found != meta:
                raise ValueError(
                    f"{path} is of other towers: found {found}, expected {meta}; remove {self.directory} or name another"
                )
        else:
            path.write_text(json.dumps(meta, indent=2) + "\n", "utf-8")
        self._rows: dict[bytes, int] = {}
        self._read_keys()

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> list[Tensor]:
        """Raises KeyError for an image that was never added."""
        row = self._rows[key]
        return [torch.from_numpy(np.array(file[row])).view(torch.bfloat16) for file in self._files()]

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
                file.write(tensor.to(torch.bfloat16).cpu().contiguous().view(torch.uint8).numpy().tobytes())
        with (self.directory / KEYS).open("ab") as file:
            file.write(b"".join(batch))
        for key in batch:
            self._rows[key] = len(self._rows)
        self._maps = None
        return len(batch)

    _maps: list[np.ndarray] | None = None

    def _files(self) -> list[np.ndarray]:
        if self._maps is None:
            count = len(self._rows)
            self._maps = [
                np.memmap(self._path(index), dtype=np.int16, mode="r", shape=(count, *shape))
                for index, shape in enumerate(self.shapes)
            ]
        return self._maps

    def _path(self, index: int) -> Path:
        return self.directory / f"tower-{index}.bf16"

    def _row_bytes(self, index: int) -> int:
        return 2 * self.shapes[index][0] * self.shapes[index][1]

    def _read_keys(self) -> None:
        path = self.directory / KEYS
        data = path.read_bytes() if path.exists() else b""
        whole = len(data) // _KEY_BYTES
        for index in range(len(self.shapes)):
            size = self._path(index).stat().st_size if self._path(index).exists() else 0
            whole = min(whole, size // self._row_bytes(index))
        if whole * _KEY_BYTES != len(data):
            path.write_bytes(data[: whole * _KEY_BYTES])
        self._rows = {data[i * _KEY_BYTES : (i + 1) * _KEY_BYTES]: i for i in range(whole)}
