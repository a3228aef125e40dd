"""Frozen features beside the samples they are of: one more member per image, `KEY.NAME.features.safetensors`.

They are read in the order of the samples, from wherever shards are read, so they suit many machines and data larger than a
disk; the cache of `features.py` keeps one copy per image and suits one machine. A member is a plain safetensors file: bf16
tensors `tower-0`, `tower-1`, ... of shape (N, C), or int8 ones with `tower-0.scale` (N, 1) to multiply by, and in its header
the towers' fingerprints and the image's hash. What does not fit either is refused, never used.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from skymm.data.features import Precision, dequantise, image_key, quantise
from skymm.data.shards import FEATURES, Sample, conversation_of, read_shard
from skymm.images import open_image

_HEADER = "skymm"  # one entry, since safetensors writes several in no fixed order
_AGAIN = "write the features again (skymm data features RECIPE --into DIR), or take `features` out of the recipe"


@dataclass(frozen=True, slots=True)
class FeatureMembers:
    """Reads and writes members for one set of towers: their fingerprints and shapes (N, C)."""

    fingerprints: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]

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
        found = [_stored(tensors, index) for index in range(len(self.shapes))]
        shapes = tuple(tuple(one.shape) if one is not None else () for one in found)
        if shapes != self.shapes:
            raise ValueError(f"{where} has features of shapes {shapes}, expected {self.shapes}; {_AGAIN}")
        return found

    def member(self, features: Sequence[Tensor], image: bytes, precision: Precision) -> bytes:
        """Features (N, C) per tower of an image (its encoded bytes) as a member; the same ones are the same bytes."""
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

    def copy_shard(
        self,
        source: Path,
        target: Path,
        encode: Callable[[list[Image.Image]], list[Tensor]],
        *,
        precision: Precision = "bfloat16",
        min_side: int | None = None,
        drop_images: bool = False,
        batch_size: int = 32,
    ) -> int:
        """Write a shard once more, with features of every image that is shown; returns the number of images.

        `encode`: pictures -> features (I, N, C) per tower. The same shard gives the same bytes, and appears under its name
        only when it is whole. Raises ValueError naming shard and key for images that are unreadable or not there.
        """
        partial = target.with_name(f"{target.name}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        num_images = 0
        with partial.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            waiting: list[tuple[Sample, list[str]]] = []

            def write() -> None:
                pictures = [picture(sample, name, min_side=min_side) for sample, names in waiting for name in names]
                rows = zip(*encode(pictures)) if pictures else iter(())
                for sample, names in waiting:
                    stored = {name: self.member(next(rows), sample.image(name), precision) for name in names}
                    for name, data in _members(sample, stored, drop_images):
                        _add(tar, f"{sample.key}.{name}", data)
                waiting.clear()

            for sample in read_shard(source):
                names = list(dict.fromkeys(conversation_of(sample).images))
                waiting.append((sample, names))
                num_images += len(names)
                if sum(len(names) for _, names in waiting) >= batch_size:
                    write()
            write()
        partial.replace(target)
        return num_images


def picture(sample: Sample, name: str, *, min_side: int | None) -> Image.Image:
    """A sample's image, decoded as the model wants it (see `open_image`)."""
    return open_image(sample.image(name), f"{sample.shard}: {sample.key}.{name}", min_side=min_side)


def _stored(tensors: dict[str, Tensor], index: int) -> Tensor | None:
    values, scale = tensors.get(f"tower-{index}"), tensors.get(f"tower-{index}.scale")
    return values if values is None or scale is None else dequantise(values, scale)


def _members(sample: Sample, stored: dict[str, bytes], drop_images: bool) -> list[tuple[str, bytes]]:
    """The members of a sample in their order, each image followed by its features; older features are left behind."""
    members = []
    for name, data in sample.members.items():
        if name.endswith(FEATURES) or (drop_images and name in stored):
            pass
        else:
            members.append((name, data))
        if name in stored:
            members.append((f"{name}{FEATURES}", stored[name]))
    return members


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # of no owner and no time, so that equal samples are equal files
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))
