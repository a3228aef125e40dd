"""From a picture to the numbers a tower expects. No weights here, so data workers can do it without any model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from skymm.images import open_image


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How one tower wants its pixels: side, mean and std of channel values in [0, 1], Pillow's resample code."""

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
