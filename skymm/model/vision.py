"""Towers: the frozen eyes. Pixels in, patch features out, and no gradient unless a stage asks for it.

Quality pairs are few and noisy pairs are many; a tower that already sees must not be spoiled by them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from skymm.images import open_image


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How one tower wants its pixels: side, mean and std of channel values in [0, 1], Pillow's resample code.

    No weights here, so data workers can do it without any model.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: int = int(Image.Resampling.BICUBIC)

    def __post_init__(self) -> None:
        # JSON brings lists; tuples keep the value hashable and comparable.
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"found mean {self.mean} and std {self.std}, expected three numbers each, std above 0")
        if self.image_size < 1:
            raise ValueError(f"found image_size {self.image_size}, expected a number of pixels")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """From a tower's configuration, of which these are four fields."""
        return cls(config["image_size"], config["mean"], config["std"], config["resample"])

    def __call__(self, image: Image.Image) -> Tensor:
        """Any picture -> float32 (3, image_size, image_size), normalised.

        The whole picture is squashed to a square. Nothing is cropped away, since a question may be about a corner, and
        nothing is random, so features can be cached.
        """
        side = (self.image_size, self.image_size)
        resized = open_image(image).resize(side, Image.Resampling(self.resample))
        pixels_CHW = torch.from_numpy(np.array(resized)).permute(2, 0, 1).to(torch.float32)
        mean, std = torch.tensor(self.mean)[:, None, None], torch.tensor(self.std)[:, None, None]
        return pixels_CHW.div_(255).sub_(mean).div_(std).contiguous()


def preprocess(image: Image.Image, config: Mapping[str, Any]) -> Tensor:
    """Any picture -> float32 (3, S, S) as the tower of `config` (its `to_config()`) wants it; needs no tower."""
    return Preprocessing.from_config(config)(image)


class Tower(nn.Module):
    """A frozen vision encoder: pixels (B, 3, S, S) -> patch features (B, N, D), row by row, in the tower's dtype.

    `encoder` comes with its weights as they lie on disk; see `load_tower`. `config` is JSON-able: family, name, revision,
    layer, the fields of `Preprocessing`, width (D), grid (rows and columns of patches), vision (the encoder's own).
    `preprocess` makes its pixels.
    """

    def __init__(self, encoder: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self._config = json.loads(json.dumps(config))
        self.name: str = config["name"]
        self.preprocess = Preprocessing.from_config(config)
        self.grid: tuple[int, int] = tuple(config["grid"])
        self.width: int = config["width"]
        self.requires_grad_(False)
        super().train(False)
        self._fingerprint = self.fingerprint_as_cast()

    @property
    def image_size(self) -> int:
        """Side of the square picture, in pixels."""
        return self.preprocess.image_size

    @property
    def num_patches(self) -> int:
        """N: patch features per picture."""
        return self.grid[0] * self.grid[1]

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of the features."""
        return next(self.parameters()).dtype

    def train(self, mode: bool = True) -> Tower:
        """Stays in eval whatever the model around it does: features are the same in training and in answering."""
        return super().train(False)

    @property
    def trained(self) -> bool:
        """Whether any weight gets a gradient."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def unfreeze(self) -> None:
        """Gradients for all weights that the features depend on; blocks behind the layer that is read and heads get none."""
        weights = list(self.requires_grad_(True).parameters())
        with torch.enable_grad():
            reached = torch.autograd.grad(self.blank_features(weights[0].device).sum(), weights, allow_unused=True)
        for weight, gradient in zip(weights, reached):
            weight.requires_grad_(gradient is not None)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        expected = (3, self.image_size, self.image_size)
        if pixels_BCHW.ndim != 4 or tuple(pixels_BCHW.shape[1:]) != expected:
            raise ValueError(
                f"tower {self.name!r}: found pixels of shape {tuple(pixels_BCHW.shape)}, expected (batch, "
                f"{', '.join(map(str, expected))}); make them with this tower's `preprocess`"
            )
        return self.encoder(pixels_BCHW.to(self.dtype))

    def blank_features(self, device: torch.device | str | None = None) -> Tensor:
        """Zeros (1, N, D) in the shape of one picture's features, for a batch that shows none; of a tower that is trained,
        what it makes of a blank picture, so that its weights have a gradient on every rank.
        """
        if self.trained:
            return self(torch.zeros(1, 3, self.image_size, self.image_size, device=device))
        return torch.zeros(1, self.num_patches, self.width, dtype=self.dtype, device=device)

    def to_config(self) -> dict[str, Any]:
        """A JSON-able description, of the architecture and the preprocessing."""
        return json.loads(json.dumps(self._config))

    def fingerprint(self) -> str:
        """16 hex digits that change with any weight as it lies on disk, the layer or the preprocessing.

        The width in which the tower is run is no part of it: the same eyes, opened wider.
        """
        return self._fingerprint

    def fingerprint_as_cast(self) -> str:
        """The same of the weights as they are now. Reads all of them."""
        fields = ("family", "layer", *(field.name for field in dataclasses.fields(Preprocessing)))
        relevant = {field: self._config[field] for field in fields}
        digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]
