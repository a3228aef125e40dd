"""Any transformers vision model as pixels -> patch features, through public calls only.

CLIP, SigLIP and fixed-size SigLIP 2, Chinese CLIP, DINOv2 (with or without registers), plain ViT, and whatever else has
a square `image_size`, a `patch_size` and returns its patches last.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from skymm.model.pixels import Preprocessing

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

LAST = -1


@dataclass(frozen=True, slots=True)
class Family:
    """What is customary for one model type when neither the recipe nor the checkpoint says otherwise."""

    layer: int = LAST
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resample: int = int(Image.Resampling.BICUBIC)


# Contrastive models serve their last layer to the pooled vector; the one before is the better description of places
# (LLaVA, https://arxiv.org/abs/2310.03744). Self-supervised ones are meant to be read at the end, after the last norm.
FAMILIES = {
    "clip_vision_model": Family(-2, CLIP_MEAN, CLIP_STD),
    "chinese_clip_vision_model": Family(-2, CLIP_MEAN, CLIP_STD),
    "siglip_vision_model": Family(-2, HALF, HALF),
    "dinov2": Family(),
    "dinov2_with_registers": Family(),
    "vit": Family(LAST, HALF, HALF, int(Image.Resampling.BILINEAR)),
}


class PatchEncoder(nn.Module):
    """Pixels (B, 3, H, W) -> patch features (B, N, D) of one layer of a transformers vision model, row by row.

    `layer` counts as `hidden_states` do: -2 is the output of the last block but one, 1 that of the first block; -1 is
    `last_hidden_state`, with the final norm where the model has one. Blocks after the chosen one are not even built.
    Class and register tokens stand before the patches and are dropped.
    """

    def __init__(self, model: nn.Module, layer: int, num_patches: int, interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self.wants_hidden = layer != LAST
        self.num_patches = num_patches
        # DINOv2 always fits its positions to the picture and has no such argument; the others do it when asked.
        asks = interpolate and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        self.extra_arguments = {"interpolate_pos_encoding": True} if asks else {}

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        output = self.model(
            pixel_values=pixels_BCHW, output_hidden_states=self.wants_hidden, return_dict=True, **self.extra_arguments
        )
        hidden = output.hidden_states[-1] if self.wants_hidden else output.last_hidden_state
        if hidden.ndim != 3 or hidden.shape[1] < self.num_patches:
            raise ValueError(
                f"{type(self.model).__name__} returned features of shape {tuple(hidden.shape)}, expected (batch, at "
                f"least {self.num_patches} patches, width); this model cannot serve as a tower"
            )
        return hidden[:, hidden.shape[1] - self.num_patches :]


def read_vision_config(name: str, revision: str | None) -> transformers.PretrainedConfig:
    """The vision part of a checkpoint's configuration. Raises ValueError when there is none, or none for a tower."""
    try:
        config = transformers.AutoConfig.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"vision tower {name!r}: no configuration could be read ({_first_line(error)}); expected a hub id or a "
            "directory with a vision model's config.json"
        ) from error
    vision = getattr(config, "vision_config", config)
    if vision.model_type == "siglip2_vision_model":
        raise ValueError(
            f"vision tower {name!r} is a NaFlex SigLIP 2, which takes pictures of varying shape; expected one of fixed "
            "size, such as google/siglip2-base-patch16-224"
        )
    for field in ("hidden_size", "num_hidden_layers", "image_size", "patch_size"):
        if not isinstance(getattr(vision, field, None), int):
            raise ValueError(
                f"vision tower {name!r} ({vision.model_type}): found {field} = {getattr(vision, field, None)!r}, "
                f"expected one number; use a model with square patches, such as {', '.join(sorted(FAMILIES))}"
            )
    return vision


def read_preprocessing(
    name: str, revision: str | None, vision: transformers.PretrainedConfig, image_size: int | None
) -> Preprocessing:
    """Side, mean, std and resample: the given side, else the checkpoint's image processor, else what is customary."""
    try:
        # Only the JSON is read: building the processor object would need torchvision for some families.
        found, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
    except OSError:
        found = {}
    family = FAMILIES.get(vision.model_type)
    if family is None and "image_mean" not in found:
        raise ValueError(
            f"vision tower {name!r} ({vision.model_type}) has no preprocessor_config.json with image_mean and "
            f"image_std, and its kind has no custom; use one of {', '.join(sorted(FAMILIES))}, or add that file"
        )
    family = family or Family()
    return Preprocessing(
        image_size or _side(found) or vision.image_size,
        found.get("image_mean") or family.mean,
        found.get("image_std") or family.std,
        found.get("resample") if found.get("resample") is not None else family.resample,
    )


def resolve_layer(vision: transformers.PretrainedConfig, layer: int | None) -> int:
    """The layer asked for, or the family's; ValueError when the model has no such layer."""
    if layer is None:
        return FAMILIES.get(vision.model_type, Family()).layer
    depth = vision.num_hidden_layers
    if not (1 <= layer <= depth or -depth <= layer <= -1):
        raise ValueError(f"found vision layer {layer}, expected 1 to {depth}, or -{depth} to -1 counted from the end")
    return layer


def patch_grid(vision: transformers.PretrainedConfig, image_size: int) -> tuple[int, int]:
    """Rows and columns of patches. A side other than the trained one must hold whole patches: no pixel is lost."""
    patch = vision.patch_size
    if image_size != vision.image_size and (image_size % patch or image_size < patch):
        below = max(image_size // patch, 1) * patch
        raise ValueError(
            f"found image_size {image_size} for patches of {patch} pixels, expected a multiple such as {below} or "
            f"{below + patch}, or the {vision.image_size} it was trained with"
        )
    return image_size // patch, image_size // patch


def load_patch_encoder(
    name: str,
    revision: str | None,
    vision: transformers.PretrainedConfig,
    layer: int,
    image_size: int,
    dtype: torch.dtype,
) -> PatchEncoder:
    """Read the vision part of a checkpoint, up to `layer`. ValueError when a tensor that is needed is not in it."""
    config, arguments = _shortened(vision, layer)
    # Unused text weights and blocks are expected and would be reported at length; what is missing we check ourselves.
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        model, report = transformers.AutoModel.from_pretrained(
            name,
            revision=revision,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **arguments,
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"vision tower {name!r}: its weights could not be read ({_first_line(error)})") from error
    finally:
        transformers.logging.set_verbosity(verbosity)
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if missing:
        raise ValueError(
            f"vision tower {name!r}: {len(missing)} tensors of a {vision.model_type} are missing or of another shape, "
            f"as {missing[0]!r}; "
            "expected a complete checkpoint of that model or of one that contains it"
        )
    return _encoder(model, vision, layer, image_size)


def new_patch_encoder(vision: dict[str, Any], layer: int, image_size: int) -> PatchEncoder:
    """The same with random weights, to be filled from a complete export. `vision` is the configuration as a dict."""
    whole = transformers.AutoConfig.for_model(**vision)
    config, arguments = _shortened(whole, layer)
    return _encoder(transformers.AutoModel.from_config(config, **arguments), whole, layer, image_size)


def _encoder(model: nn.Module, vision: transformers.PretrainedConfig, layer: int, image_size: int) -> PatchEncoder:
    rows, columns = patch_grid(vision, image_size)
    return PatchEncoder(model, layer, rows * columns, interpolate=image_size != vision.image_size)


def _shortened(
    vision: transformers.PretrainedConfig, layer: int
) -> tuple[transformers.PretrainedConfig, dict[str, Any]]:
    """A configuration without what is never used (blocks after `layer`, pooling heads), and the model's arguments."""
    config = copy.deepcopy(vision)
    if layer != LAST:
        config.num_hidden_layers = layer if layer > 0 else config.num_hidden_layers + 1 + layer
    if config.model_type == "siglip_vision_model":
        config.vision_use_head = False
    # Classification checkpoints have no pooler, and a randomly initialised one would spoil the fingerprint.
    return config, {"add_pooling_layer": False} if config.model_type == "vit" else {}


def _side(found: dict[str, Any]) -> int | None:
    for field in ("crop_size", "size"):
        size = found.get(field)
        if field == "crop_size" and found.get("do_center_crop") is False:
            continue
        if isinstance(size, int):
            return size
        if isinstance(size, dict):
            side = size.get("height") or size.get("shortest_edge")
            if side:
                return int(side)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
