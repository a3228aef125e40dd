"""A tower by its name: the embedded one, or any transformers vision model, through public calls only.

CLIP, MetaCLIP 2, SigLIP and fixed-size SigLIP 2, Chinese CLIP, DINOv2 and 3, plain ViT, ConvNeXt, InternVL's, timm's, the
tower inside a LLaVA, and whatever else sees squares of one size and returns a square of features. A picture of one grey is
shown when the tower is named: what cannot serve is told there, and not in the first step.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedConfig

from skymm.model.efficientnet_lite import REDUCTION, SCALES, WIDTH, EfficientNetLite
from skymm.model.language import quietly
from skymm.model.named import assets_for, check_model_name
from skymm.model.vision import Preprocessing, Tower

LAST = -1
EMBEDDED_IMAGE_SIZE = 320
# EfficientNet-Lite was trained on (value - 127) / 128 with values in [0, 255], bicubic: MEAN_RGB and STDDEV_RGB in
# tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py.
EMBEDDED_MEAN, EMBEDDED_STD = (127 / 255,) * 3, (128 / 255,) * 3
WEIGHTS = "model.safetensors"
MOST_EXTRA = 16
"""Class and register tokens."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is customary for one model type when neither the recipe nor the checkpoint says otherwise."""

    layer: int = LAST
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of ImageNet
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    resample: int = int(Image.Resampling.BICUBIC)


_CLIP = Family(-2, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = (0.5, 0.5, 0.5)
# Contrastive models serve their last layer to the pooled vector; the one before is the better description of places
# (LLaVA, https://arxiv.org/abs/2310.03744). Self-supervised ones are meant to be read at the end, after the last norm.
FAMILIES = {
    "clip_vision_model": _CLIP,
    "chinese_clip_vision_model": _CLIP,
    "metaclip_2_vision_model": _CLIP,
    "siglip_vision_model": Family(-2, _HALF, _HALF),
    "internvl_vision": Family(),
    "dinov3_vit": Family(),
    "dinov3_convnext": Family(),
    "convnext": Family(),
    "convnextv2": Family(),
    "dinov2": Family(),
    "dinov2_with_registers": Family(),
    "vit": Family(LAST, _HALF, _HALF, int(Image.Resampling.BILINEAR)),
}


def load_tower(
    name: str,
    *,
    image_size: int | None = None,
    layer: int | None = None,
    revision: str | None = None,
    dtype: torch.dtype | None = torch.float32,
    trust_remote_code: bool = False,
) -> Tower:
    """The tower that a recipe names, with its weights, frozen.

    Args:
        name: an embedded one ("efficientnet-lite0", "efficientnet-lite2"), a hub id or a directory. image_size (pixels of
            the square side), layer (see `PatchEncoder`; the embedded towers have only their last) and revision fall back to
            what the checkpoint or its family has.
        dtype: bfloat16 doubles the speed wherever the hardware has it. None: as on disk.

    Raises ValueError (AssetError for an embedded one) saying what is missing or does not fit.
    """
    family = name if name in SCALES else _saved_family(name)
    if family:
        return _embedded(name, family, image_size, layer).to(dtype)
    where = {"revision": revision, "trust_remote_code": trust_remote_code}
    source = check_model_name(name, "vision tower")
    vision = _read_config(source, where)
    preprocessing = read_preprocessing(source, revision, vision, image_size)
    side, layer = preprocessing.image_size, _resolve_layer(vision, layer)
    grid = patch_grid(vision, side)
    model = _read_weights(source, where, vision, layer)
    encoder = PatchEncoder(model, layer, grid, interpolate=side != _one(vision, "image_size"))
    grid, width = look(encoder, name, vision, side, grid)
    encoder.num_patches = grid[0] * grid[1]
    config = {
        "family": vision.model_type,
        "name": name,
        "revision": revision,
        "layer": layer,
        **dataclasses.asdict(preprocessing),
        "width": width,
        "grid": grid,
        "vision": json.loads(vision.to_json_string(use_diff=False)),
    }
    return Tower(encoder, config).to(dtype)


def _saved_family(name: str) -> str | None:
    """Which embedded tower `save_tower` has put into a directory; None where another, or none, lies there."""
    config = Path(name) / "config.json"
    kind = json.loads(config.read_text("utf-8")).get("model_type") if config.is_file() else None
    return kind if kind in SCALES else None


def save_tower(tower: Tower, directory: Path) -> None:
    """Write a tower into a directory that `load_tower` opens, with its fingerprint: weights as they lie on disk, in what
    they were loaded, and the preprocessing as it was found.
    """
    config = tower.to_config()
    found = {"image_mean": config["mean"], "image_std": config["std"], "resample": config["resample"]}
    found["size"] = {"height": config["image_size"], "width": config["image_size"]}
    directory.mkdir(parents=True)
    if config["family"] in SCALES:
        weights = {name: weight.contiguous() for name, weight in tower.encoder.state_dict().items()}
        save_file(weights, directory / WEIGHTS)
        (directory / "config.json").write_text(json.dumps({"model_type": config["family"]}), "utf-8")
        return
    tower.encoder.model.save_pretrained(directory)
    # Blocks behind the layer that is read are neither built nor saved, and yet counted: the layer is counted from the end.
    (directory / "config.json").write_text(json.dumps(config["vision"]), "utf-8")
    (directory / "preprocessor_config.json").write_text(json.dumps(found), "utf-8")


def _embedded(name: str, family: str, image_size: int | None, layer: int | None) -> Tower:
    size = EMBEDDED_IMAGE_SIZE if image_size is None else image_size
    if size < REDUCTION or size % REDUCTION:
        raise ValueError(
            f"vision tower {name!r}: found image_size {size}, expected a multiple of {REDUCTION}, such as 320"
        )
    if layer not in (None, LAST):
        raise ValueError(f"vision tower {name!r}: found layer {layer}, expected -1, the only one it has")
    encoder = EfficientNetLite(family)
    assets = None if name != family else assets_for(name)
    if assets:
        encoder.load_checkpoint(assets.tower_weights_path(name))
    elif name == family:
        raise ValueError(f"vision tower {name!r} comes with skymm, which is not installed: pip install skymm")
    else:
        encoder.load_state_dict(load_file(Path(name) / WEIGHTS))
    config = {
        "family": family,
        "name": name,
        "revision": assets.TOWERS[name].sha256 if assets else None,
        "layer": LAST,
        **dataclasses.asdict(Preprocessing(size, EMBEDDED_MEAN, EMBEDDED_STD)),
        "width": WIDTH,
        "grid": (size // REDUCTION, size // REDUCTION),
        "vision": {},
    }
    return Tower(encoder, config)


class PatchEncoder(nn.Module):
    """Pixels (B, 3, S, S) -> patch features (B, N, D) of one layer of a transformers vision model, row by row.

    `layer` counts as `hidden_states` do: -2 is the output of the last block but one, 1 that of the first block; -1 is
    `last_hidden_state`, with the final norm where the model has one. Blocks after the chosen one are not even built.
    Class and register tokens stand before the patches and are dropped.
    """

    def __init__(self, model: nn.Module, layer: int, grid: tuple[int, int], interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self.wants_hidden = layer != LAST
        self.num_patches = grid[0] * grid[1]
        # DINOv2 always fits its positions to the picture and has no such argument; the others do it when asked.
        asked = {"interpolate_pos_encoding": True} if interpolate else {}
        asked["do_pooling"] = False  # timm's
        known = inspect.signature(model.forward).parameters
        self.extra_arguments = {name: value for name, value in asked.items() if name in known}

    def hidden(self, pixels_BCHW: Tensor) -> Tensor:
        """What the model returns: (B, T, D) tokens, or a map (B, D, rows, columns)."""
        output = self.model(
            pixel_values=pixels_BCHW, output_hidden_states=self.wants_hidden, return_dict=True, **self.extra_arguments
        )
        return output.hidden_states[-1] if self.wants_hidden else output.last_hidden_state

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        hidden = self.hidden(pixels_BCHW)
        if hidden.ndim == 4:
            hidden = hidden.flatten(2).transpose(1, 2)
        return hidden[:, hidden.shape[1] - self.num_patches :]


@torch.no_grad()
def look(
    encoder: PatchEncoder, name: str, vision: PreTrainedConfig, side: int, grid: tuple[int, int]
) -> tuple[tuple[int, int], int]:
    """Rows, columns and width of what one grey picture becomes. Raises ValueError where that is no square of patches."""
    model = encoder.model.eval()
    grey = torch.zeros(1, 3, side, side, dtype=next(model.parameters()).dtype)
    try:
        hidden = encoder.hidden(grey)
    except Exception as error:  # whatever a model of a kind that is not known raises
        trained = _one(vision, "image_size")
        other = "" if side == trained else f"; it was trained with {trained}"
        raise ValueError(
            f"vision tower {name!r} ({vision.model_type}) cannot see pictures of {side} pixels: {_first_line(error)}{other}"
        ) from error
    if hidden.ndim == 4:
        return (hidden.shape[2], hidden.shape[3]), hidden.shape[1]
    tokens = hidden.shape[1] if hidden.ndim == 3 else 0
    if tokens and grid == (0, 0):  # timm's configuration does not say
        prefix = getattr(getattr(model, "timm_model", None), "num_prefix_tokens", 0)
        grid = (math.isqrt(tokens - prefix),) * 2
    patches = grid[0] * grid[1]
    if not 0 <= tokens - patches <= MOST_EXTRA or not patches:
        raise ValueError(
            f"vision tower {name!r} ({vision.model_type}) returned features of shape {tuple(hidden.shape)} for one picture, "
            f"expected {patches or 'a square of'} patches (and at most {MOST_EXTRA} other tokens before them); it hides or "
            f"merges patches and cannot serve as a tower; use one of {', '.join(sorted(FAMILIES))}"
        )
    return grid, hidden.shape[2]


# --- what a checkpoint says ---------------------------------------------------------------------------------------------


def _read_config(name: str, where: dict[str, Any]) -> PreTrainedConfig:
    """The vision part of a checkpoint's configuration. Raises ValueError when there is none, or none for a tower."""
    try:
        config = transformers.AutoConfig.from_pretrained(name, **where)
    except ImportError as error:
        raise ValueError(
            f"vision tower {name!r} needs a package that is not installed ({_first_line(error)}); timm's need timm, and a "
            "torchvision that was built for this torch"
        ) from error
    except (OSError, ValueError) as error:
        hint = ""
        if "trust_remote_code" in str(error):
            hint = "; it is made of code that lies beside its weights: read it, then set `trust_remote_code = true`"
        raise ValueError(
            f"vision tower {name!r}: no configuration could be read ({_first_line(error)}); expected a hub id or a "
            f"directory with a vision model's config.json{hint}"
        ) from error
    vision = getattr(config, "vision_config", config)
    if vision.model_type == "siglip2_vision_model":
        raise ValueError(
            f"vision tower {name!r} is a NaFlex SigLIP 2, which takes pictures of varying shape; expected one of fixed "
            "size, such as google/siglip2-base-patch16-224"
        )
    return vision


def read_preprocessing(
    name: str, revision: str | None, vision: PreTrainedConfig, image_size: int | None
) -> Preprocessing:
    """Side, mean, std and resample: the given side, else the checkpoint's image processor, else what is customary."""
    try:
        # Only the JSON is read: building the processor object would need torchvision for some families.
        found, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
    except OSError:
        found = {}
    timm = getattr(vision, "pretrained_cfg", None)
    if timm:
        by_name = {resample.name.lower(): int(resample) for resample in Image.Resampling}
        found = {
            "image_mean": timm.get("mean"),
            "image_std": timm.get("std"),
            "resample": by_name.get(timm.get("interpolation")),
            "size": dict(zip(("height", "width"), timm.get("input_size", ())[1:])),
        }
    trained, family = _one(vision, "image_size"), FAMILIES.get(vision.model_type)
    if family is None and "image_mean" not in found:
        raise ValueError(
            f"vision tower {name!r} ({vision.model_type}): found image_size = {trained!r} and no "
            "preprocessor_config.json with image_mean and image_std, and its kind has no custom; use one of "
            f"{', '.join(sorted(FAMILIES))}, or add that file"
        )
    if found.get("do_flip_channel_order"):
        raise ValueError(f"vision tower {name!r} wants blue before red (do_flip_channel_order), which is not done here")
    family = family or Family()
    side = image_size or _side(found, name) or trained
    if side is None:
        raise ValueError(
            f"vision tower {name!r} ({vision.model_type}): found image_size = None, expected a number of pixels"
        )
    # (value * factor - mean) / std, of values up to 255, is (share - mean / all) / (std / all), of shares up to 1.
    every = 255 * (found.get("rescale_factor") or 1 / 255) if found.get("do_rescale", True) else 255.0
    normalised, resample = found.get("do_normalize", True), found.get("resample")
    mean = (found.get("image_mean") or family.mean) if normalised else 0.0
    std = (found.get("image_std") or family.std) if normalised else 1.0
    resample = family.resample if resample is None else resample
    return Preprocessing(side, _scaled(mean, every), _scaled(std, every), resample)


def _scaled(values: Any, every: float) -> list[float]:
    """A number for all three channels, or one for each, as shares of all that a channel value can be."""
    values = [values] * 3 if isinstance(values, int | float) else values
    return values if every == 1 else [value / every for value in values]


def _side(found: dict[str, Any], name: str) -> int | None:
    """Of the pictures that the image processor makes. Raises ValueError where they are no squares."""
    for field in ("crop_size", "size"):
        size = found.get(field)
        if field == "crop_size" and found.get("do_center_crop") is False:
            continue
        if isinstance(size, list | tuple) and size:
            size = {"height": size[0], "width": size[-1]}
        if isinstance(size, int):
            return size
        side = isinstance(size, dict) and (size.get("height") or size.get("shortest_edge"))
        if side and size.get("width", side) != side:
            raise ValueError(
                f"vision tower {name!r}: its pictures are {size['height']} pixels high and {size['width']} wide, and "
                "only squares are shown here; give `image_size` to squash them to a square, or use another tower"
            )
        if side:
            return int(side)
    return None


def _resolve_layer(vision: PreTrainedConfig, layer: int | None) -> int:
    """The layer asked for, or the family's; ValueError when the model has no such layer."""
    if layer is None:
        return FAMILIES.get(vision.model_type, Family()).layer
    depth = getattr(vision, "num_hidden_layers", None)
    if layer != LAST and (_stages(vision) > 1 or not isinstance(depth, int)):
        raise ValueError(
            f"found vision layer {layer}, expected -1: the layers of a {vision.model_type} have other grids"
        )
    if layer != LAST and not (1 <= layer <= depth or -depth <= layer <= -1):
        raise ValueError(f"found vision layer {layer}, expected 1 to {depth}, or -{depth} to -1 counted from the end")
    return layer


def patch_grid(vision: PreTrainedConfig, image_size: int) -> tuple[int, int]:
    """Rows and columns of patches, (0, 0) where the configuration does not say. No pixel is lost: a side other than the
    trained one must hold whole patches.
    """
    stages, trained = _stages(vision), _one(vision, "image_size")
    patch = (_one(vision, "patch_size") or (4 if stages > 1 else 0)) * 2 ** (stages - 1)
    if not patch:
        return 0, 0
    if image_size != trained and (image_size % patch or image_size < patch):
        below = max(image_size // patch, 1) * patch
        raise ValueError(
            f"found image_size {image_size} for patches of {patch} pixels, expected a multiple such as {below} or "
            f"{below + patch}, or the {trained} it was trained with"
        )
    return image_size // patch, image_size // patch


def _stages(vision: PreTrainedConfig) -> int:
    """Of a pyramid: each but the first halves rows and columns."""
    return len(getattr(vision, "depths", None) or [1])


def _one(vision: PreTrainedConfig, field: str) -> int | None:
    """A number of pixels, which some configurations write as two. Raises ValueError when the two differ."""
    value = getattr(vision, field, None)
    if isinstance(value, list | tuple) and value:
        if len(set(value)) > 1:
            raise ValueError(f"found {field} = {list(value)} of a {vision.model_type}, expected a square")
        value = value[0]
    return value if isinstance(value, int) else None


# Where a VLM keeps its tower: a LLaVA, an InternVL.
_INSIDE = {r"^(model\.)?(vision_tower|vision_model|visual)\.(vision_model\.)?": ""}


def _read_weights(name: str, where: dict[str, Any], vision: PreTrainedConfig, layer: int) -> nn.Module:
    """The vision part of a checkpoint, without what is never used (blocks after `layer`, pooling heads).

    Raises ValueError when a tensor that is needed is not in it.
    """
    config = copy.deepcopy(vision)
    if layer != LAST:
        config.num_hidden_layers = layer if layer > 0 else config.num_hidden_layers + 1 + layer
    if config.model_type == "siglip_vision_model":
        config.vision_use_head = False
    # Classification checkpoints have no pooler, and a randomly initialised one would spoil the fingerprint.
    arguments = where | ({"add_pooling_layer": False} if config.model_type == "vit" else {})
    # MetaCLIP 2's vision part is known to transformers, though not to its AutoModel.
    kind = getattr(transformers, f"{type(vision).__name__.removesuffix('Config')}Model", transformers.AutoModel)
    if where["trust_remote_code"]:
        kind = transformers.AutoModel
    # Unused text weights and blocks are expected and would be reported at length; what is missing we check ourselves.
    arguments |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    first: list[str] = []
    try:
        for mapping in ({}, {"key_mapping": _INSIDE}):
            with quietly():
                model, report = kind.from_pretrained(name, config=config, dtype="auto", **arguments, **mapping)
            missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
            if not missing:
                return model
            first = first or missing
    except (OSError, ValueError, ImportError) as error:
        raise ValueError(f"vision tower {name!r}: its weights could not be read ({_first_line(error)})") from error
    raise ValueError(
        f"vision tower {name!r}: {len(first)} tensors of a {vision.model_type} are missing or of another shape, "
        f"as {first[0]!r}; expected a complete checkpoint of that model or of one that contains it"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
