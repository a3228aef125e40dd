"""Towers of every family: frozen, patches only, recognisable, and fed the whole picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn

from skymm.model.patch_encoder import load_tower
from skymm.model.vision import Preprocessing, Tower, preprocess

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 50,
    "max_position_embeddings": 8,
}


def small_model(kind: str) -> nn.Module:
    torch.manual_seed(0)
    match kind:
        case "clip":
            return transformers.CLIPModel(transformers.CLIPConfig(text_config=TEXT, vision_config=SMALL))
        case "clip_vision_model":
            return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SMALL))
        case "siglip":
            return transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=SMALL))
        case "siglip_vision_model":
            return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SMALL))
        case "dinov2":
            return transformers.Dinov2Model(transformers.Dinov2Config(**SMALL))
        case "dinov2_with_registers":
            return transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**SMALL))
        case "vit":
            return transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL))
    raise AssertionError(kind)


KINDS = ("clip", "clip_vision_model", "siglip", "siglip_vision_model", "dinov2", "dinov2_with_registers", "vit")
PREFIX = {"clip": 1, "clip_vision_model": 1, "dinov2": 1, "dinov2_with_registers": 5, "vit": 1}


@pytest.fixture(params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, nn.Module, Path]:
    model = small_model(request.param).eval()
    model.save_pretrained(tmp_path / "model")
    return request.param, model, tmp_path / "model"


def pixels(count: int = 2, side: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def expected_features(kind: str, model: nn.Module, layer: int | None) -> torch.Tensor:
    """What the untouched transformers model says at that layer, without its class and register tokens."""
    part = {"clip": "vision_model", "siglip": "vision_model", "vit": "vit"}.get(kind)
    vision = getattr(model, part) if part else model
    with torch.no_grad():
        output = vision(pixel_values=pixels(), output_hidden_states=True)
    hidden = output.last_hidden_state if layer in (None, -1) else output.hidden_states[layer]
    return hidden[:, PREFIX.get(kind, 0) :]


@pytest.mark.parametrize("layer", [None, -1, -2, 1, 3])
def test_features_are_the_models_own(saved: tuple[str, nn.Module, Path], layer: int | None) -> None:
    kind, model, directory = saved
    tower = load_tower(str(directory), layer=layer)
    custom = -2 if kind.startswith(("clip", "siglip")) else -1
    features = tower(pixels())
    assert features.shape == (2, tower.num_patches, tower.width) == (2, 16, 16)
    expected = expected_features(kind, model, custom if layer is None else layer)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_frozen_for_ever(saved: tuple[str, nn.Module, Path]) -> None:
    tower = load_tower(str(saved[2]))
    around = nn.Sequential(tower, nn.Linear(tower.width, 2)).train()
    assert not any(module.training for module in tower.modules())
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    # Even when somebody thaws the parameters, no graph is built through the tower, but one is built above it.
    around.requires_grad_(True)
    assert not tower(pixels()).requires_grad
    around(pixels()).sum().backward()
    assert around[1].weight.grad is not None


def test_fingerprint_knows_weights_size_and_layer_and_not_the_width_they_are_opened_in(
    saved: tuple[str, nn.Module, Path],
) -> None:
    _, model, path = saved
    directory = str(path)
    first = load_tower(directory).fingerprint()
    assert len(first) == 16 and int(first, 16) >= 0
    assert (
        load_tower(directory, dtype=torch.bfloat16).fingerprint()
        == load_tower(directory).double().fingerprint()
        == first
    )
    others = [load_tower(directory, image_size=64), load_tower(directory, layer=1)]
    with torch.no_grad():
        next(one for name, one in model.named_parameters() if "patch" in name).view(-1)[0] += 1
    model.save_pretrained(path)
    assert len({first, load_tower(directory).fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_other_sizes_interpolate_positions(saved: tuple[str, nn.Module, Path]) -> None:
    tower = load_tower(str(saved[2]), image_size=48)
    assert tower.grid == (6, 6)
    assert tower(pixels(side=48)).shape == (2, 36, 16)
    with pytest.raises(ValueError, match=r"found image_size 50 for patches of 8 pixels, expected .* 48 or 56"):
        load_tower(str(saved[2]), image_size=50)


def test_the_checkpoints_own_preprocessing_wins(tmp_path: Path) -> None:
    small_model("clip").save_pretrained(tmp_path)
    assert load_tower(str(tmp_path)).preprocess.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    file = tmp_path / "preprocessor_config.json"
    own = {"crop_size": {"height": 40, "width": 40}, "size": {"shortest_edge": 64}, "resample": 2}
    file.write_text(json.dumps(own | {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1]}))
    tower = load_tower(str(tmp_path))
    assert tower.preprocess == Preprocessing(40, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 2)
    assert load_tower(str(tmp_path), image_size=16).image_size == 16


def test_trained_sides_that_hold_no_whole_patches_are_allowed(tmp_path: Path) -> None:
    # google/siglip-so400m-patch14-384 is one: 27 patches of 14 in 384 pixels.
    config = transformers.SiglipVisionConfig(**SMALL | {"image_size": 30})
    transformers.SiglipVisionModel(config).save_pretrained(tmp_path)
    assert load_tower(str(tmp_path))(pixels(side=30)).shape == (2, 9, 16)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "./nowhere"}, "nothing at .* expected a directory"),
        ({"name": "efficientnet-lite0", "image_size": 300}, "found image_size 300, expected a multiple of 32"),
        ({"name": "efficientnet-lite0", "layer": -2}, "found layer -2, expected -1"),
    ],
)
def test_wrong_specs_are_explained(spec: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_tower(**spec)


def test_wrong_checkpoints_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no configuration could be read"):
        load_tower(str(tmp_path))
    small_model("clip").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="found vision layer -4, expected 1 to 3, or -3 to -1"):
        load_tower(str(tmp_path), layer=-4)
    # Names a text model's weights a vision model: everything is missing.
    transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)).save_pretrained(tmp_path)
    transformers.CLIPVisionConfig(**SMALL).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="tensors of a clip_vision_model are missing or of another shape"):
        load_tower(str(tmp_path))
    transformers.Siglip2VisionConfig(hidden_size=16).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="NaFlex"):
        load_tower(str(tmp_path))
    transformers.LlamaConfig(hidden_size=16, num_attention_heads=2).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"\(llama\): found image_size = None"):
        load_tower(str(tmp_path))


def test_wrong_pixels_are_refused() -> None:
    tower = load_tower("efficientnet-lite0", image_size=64)
    with pytest.raises(ValueError, match=r"found pixels of shape \(1, 3, 32, 32\), expected \(batch, 3, 64, 64\)"):
        tower(torch.zeros(1, 3, 32, 32))


def test_the_embedded_tower_sees(tmp_path: Path) -> None:
    from PIL import Image

    tower = load_tower("efficientnet-lite0")
    assert isinstance(tower, Tower)
    assert (tower.image_size, tower.grid, tower.width, tower.num_patches) == (320, (10, 10), 1280, 100)
    # (value - 127) / 128: the trained scale of the Lite models.
    assert tower.preprocess(Image.new("RGB", (5, 9), (255, 127, 0)))[:, 0, 0].tolist() == pytest.approx(
        [1.0, 0.0, -127 / 128], abs=1e-6
    )
    left_red = Image.new("RGB", (640, 400), "white")
    left_red.paste("red", (0, 0, 320, 400))
    features = tower(tower.preprocess(left_red)[None])[0].reshape(10, 10, 1280)
    similar = nn.functional.cosine_similarity
    assert similar(features[5, 1], features[6, 1], dim=0) > similar(features[5, 1], features[5, 8], dim=0)
    assert torch.equal(preprocess(left_red, tower.to_config()), tower.preprocess(left_red))
    assert tower.blank_features().shape == (1, 100, 1280)
    half = load_tower("efficientnet-lite0", dtype=torch.bfloat16)
    assert half.dtype == half(tower.preprocess(left_red)[None]).dtype == half.blank_features().dtype == torch.bfloat16
    assert tower.fingerprint() == half.fingerprint() != half.fingerprint_as_cast()
