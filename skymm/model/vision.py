"""Towers: the frozen eyes. Pixels in, patch features out, and never a gradient.

Quality pairs are few and noisy pairs are many; a tower that already sees must not be spoiled by them, so there is no
switch to train one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from skymm import assets
from skymm.model import patch_encoder
from skymm.model.efficientnet_lite import REDUCTION, WIDTH, EfficientNetLite0
from skymm.model.pixels import Preprocessing

EMBEDDED_IMAGE_SIZE = 320
# EfficientNet-Lite was trained on (value - 127) / 128 with values in [0, 255], bicubic: MEAN_RGB and STDDEV_RGB in
# tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py.
EMBEDDED_MEAN, EMBEDDED_STD = (127 / 255,) * 3, (128 / 255,) * 3


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """What a recipe says about a tower.

    `name` is "efficientnet-lite0", a hub id or a directory. `image_size` (pixels of the square side), `layer` (see
    `PatchEncoder`; the embedded tower has only its last) and `revision` fall back to what the checkpoint or its family
    has.
    """

    name: str = assets.EMBEDDED_TOWER
    image_size: int | None = None
    layer: int | None = None
    revision: str | None = None


class Tower(nn.Module):
    """A frozen vision encoder: pixels (B, 3, S, S) -> patch features (B, N, D), row by row, in the tower's dtype.

    Build one with `load_tower` (weights) or `tower_from_config` (architecture only). `config` is JSON-able.
    """

    def __init__(self, encoder: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self.name: str = config["name"]
        self.preprocess_image = Preprocessing.from_config(config)
        self.grid: tuple[int, int] = tuple(config["grid"])
        self.width: int = config["width"]
        self._config = dict(config)
        self._fingerprint: str | None = None
        self.requires_grad_(False)
        super().train(False)

    def remember(self) -> None:
        """The weights are as they lie on disk, and whatever they are cast to later, these are they."""
        self._fingerprint = self.fingerprint_as_cast()

    @property
    def image_size(self) -> int:
        """Side of the square picture, in pixels."""
        return self.preprocess_image.image_size

    @property
    def num_patches(self) -> int:
        """N: patch features per picture."""
        return self.grid[0] * self.grid[1]

    @property
    def mean(self) -> tuple[float, float, float]:
        """Subtracted from channel values in [0, 1]."""
        return self.preprocess_image.mean

    @property
    def std(self) -> tuple[float, float, float]:
        """Divides channel values after the mean is subtracted."""
        return self.preprocess_image.std

    @property
    def resample(self) -> int:
        """Pillow's code of the resize filter."""
        return self.preprocess_image.resample

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of the features."""
        return next(self.parameters()).dtype

    def train(self, mode: bool = True) -> Tower:
        """Stays in eval whatever the model around it does: a frozen tower has no dropout to wake."""
        return super().train(False)

    # Not inference_mode: its tensors may not be saved for backward, and the resampler above needs just that.
    @torch.no_grad()
    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        expected = (3, self.image_size, self.image_size)
        if pixels_BCHW.ndim != 4 or tuple(pixels_BCHW.shape[1:]) != expected:
            raise ValueError(
                f"tower {self.name!r}: found pixels of shape {tuple(pixels_BCHW.shape)}, expected (batch, "
                f"{', '.join(map(str, expected))}); make them with this tower's `preprocess`"
            )
        return self.encoder(pixels_BCHW.to(self.dtype))

    def preprocess(self, image: Image.Image) -> Tensor:
        """Any picture -> float32 (3, S, S), normalised: squashed to the square, never cropped, deterministic."""
        return self.preprocess_image(image)

    def blank_features(self, device: torch.device | str | None = None) -> Tensor:
        """Zeros (1, N, D) in the shape of one picture's features, for a batch that shows none."""
        return torch.zeros(1, self.num_patches, self.width, dtype=self.dtype, device=device)

    def to_config(self) -> dict[str, Any]:
        """A JSON-able description from which `tower_from_config` builds the same architecture, without the weights."""
        return json.loads(json.dumps(self._config))

    def fingerprint(self) -> str:
        """16 hex digits that change with any weight as it lies on disk, the layer or the preprocessing.

        The width in which the tower is run is no part of it: the same eyes, opened wider.
        """
        return self._fingerprint or self.fingerprint_as_cast()

    def fingerprint_as_cast(self) -> str:
        """The same of the weights as they are now. Reads all of them."""
        return _digest(self.state_dict(), self._config)


_PREPROCESSING_FIELDS = tuple(field.name for field in dataclasses.fields(Preprocessing))


def _digest(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    relevant = {field: config[field] for field in ("family", "layer", *_PREPROCESSING_FIELDS)}
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def load_tower(
    spec: TowerSpec | Mapping[str, Any] | str, dtype: torch.dtype = torch.float32, *, trust_remote_code: bool = False
) -> Tower:
    """The tower that a recipe names, with its weights, frozen.

    bfloat16 doubles the speed wherever the hardware has it. Raises ValueError (AssetError for the embedded one) saying
    what is missing or does not fit.
    """
    spec = _as_spec(spec)
    if spec.name == assets.EMBEDDED_TOWER:
        config = _embedded_config(spec)
        encoder = EfficientNetLite0()
        encoder.load_checkpoint(assets.tower_weights_path())
    else:
        encoder, config = patch_encoder.load(
            spec.name, spec.revision, image_size=spec.image_size, layer=spec.layer, trust_remote_code=trust_remote_code
        )
    tower = Tower(encoder, json.loads(json.dumps(config)))
    tower.remember()
    return tower.to(dtype)


def tower_from_config(config: Mapping[str, Any]) -> Tower:
    """The architecture of `Tower.to_config()` with random weights, for checkpoints that bring all weights along."""
    if config["family"] == assets.EMBEDDED_TOWER:
        return Tower(EfficientNetLite0(), config)
    encoder = patch_encoder.new_patch_encoder(
        config["vision"], config["layer"], config["image_size"], tuple(config["grid"])
    )
    return Tower(encoder, config)


def preprocess(image: Image.Image, config: Mapping[str, Any]) -> Tensor:
    """Any picture -> float32 (3, S, S) as the tower of `config` (its `to_config()`) wants it; needs no tower."""
    return Preprocessing.from_config(config)(image)


def _as_spec(spec: TowerSpec | Mapping[str, Any] | str) -> TowerSpec:
    if isinstance(spec, TowerSpec):
        return spec
    fields = {"name": spec} if isinstance(spec, str) else dict(spec)
    known = [field.name for field in dataclasses.fields(TowerSpec)]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(f"vision tower: unknown field {unknown[0]!r}, expected {known}")
    return TowerSpec(**fields)


def _embedded_config(spec: TowerSpec) -> dict[str, Any]:
    size = EMBEDDED_IMAGE_SIZE if spec.image_size is None else spec.image_size
    if size < REDUCTION or size % REDUCTION:
        raise ValueError(
            f"vision tower {spec.name!r}: found image_size {size}, expected a multiple of {REDUCTION}, such as 320"
        )
    if spec.layer not in (None, patch_encoder.LAST):
        raise ValueError(f"vision tower {spec.name!r}: found layer {spec.layer}, expected -1, the only one it has")
    return {
        "family": assets.EMBEDDED_TOWER,
        "name": spec.name,
        "revision": assets.TOWER_SHA256,
        "layer": patch_encoder.LAST,
        "image_size": size,
        "mean": EMBEDDED_MEAN,
        "std": EMBEDDED_STD,
        "resample": int(Image.Resampling.BICUBIC),
        "width": WIDTH,
        "grid": (size // REDUCTION, size // REDUCTION),
        "vision": {},
    }
