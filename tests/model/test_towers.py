"""Towers of every kind: frozen, recognisable, their features the model's own and their pixels its own image processor's; what
cannot serve is told when it is named.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from skymm.assets import TOWERS, AssetError, tower_weights_path
from skymm.model import patch_encoder
from skymm.model.efficientnet_lite import CPU_BATCH, EfficientNetLite, fold_checkpoint
from skymm.model.patch_encoder import load_tower
from skymm.model.vision import Preprocessing, preprocess

VIT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
SIDE = {"image_size": 32, "patch_size": 8}
PYRAMID = {"depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 12, 16], "image_size": 64}
TEXT = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SHORT = TEXT | {"max_position_embeddings": 8}
SWIN = {"image_size": 64, "embed_dim": 4, "depths": [1, 1, 1], "num_heads": [1, 1, 2], "window_size": 4}
CUSTOM = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "size": {"height": 32, "width": 32}}
CUSTOM_64 = CUSTOM | {"size": {"height": 64, "width": 64}}


def made(name: str, config: str | None = None, **settings) -> nn.Module:
    """transformers' model of that name with random weights."""
    torch.manual_seed(0)
    base = config or name.removesuffix("Model").removesuffix("ForConditionalGeneration").removesuffix(
        "ForImageClassification"
    )
    return getattr(transformers, name)(getattr(transformers, f"{base}Config")(**settings)).eval()


def internvl() -> nn.Module:
    sides = {"image_size": [32, 32], "patch_size": [8, 8]}
    vision = transformers.InternVLVisionConfig(**VIT, **sides)
    text = transformers.Qwen2Config(**TEXT)
    return made("InternVLForConditionalGeneration", text_config=text, vision_config=vision)


def llava() -> nn.Module:
    vision, text = transformers.CLIPVisionConfig(**VIT, **SIDE), transformers.LlamaConfig(**TEXT)
    return made("LlavaForConditionalGeneration", text_config=text, vision_config=vision)


def chinese_clip() -> nn.Module:
    text = TEXT | {"max_position_embeddings": 8, "type_vocab_size": 2}
    return made("ChineseCLIPModel", text_config=text, vision_config=VIT | SIDE, projection_dim=8)


# kind -> (model, where its tower is, tokens before the patches, the layer that is customary)
KINDS = {
    "clip": (lambda: made("CLIPModel", text_config=SHORT, vision_config=VIT | SIDE), "vision_model", 1, -2),
    "clip_vision": (lambda: made("CLIPVisionModel", **VIT, **SIDE), "", 1, -2),
    "siglip": (lambda: made("SiglipModel", text_config=SHORT, vision_config=VIT | SIDE), "vision_model", 0, -2),
    "siglip_vision": (lambda: made("SiglipVisionModel", **VIT, **SIDE), "", 0, -2),
    "dinov2": (lambda: made("Dinov2Model", **VIT, **SIDE), "", 1, -1),
    "dinov2 registers": (lambda: made("Dinov2WithRegistersModel", **VIT, **SIDE), "", 5, -1),
    "vit": (lambda: made("ViTForImageClassification", **VIT, **SIDE), "vit", 1, -1),
    "dinov3_vit": (lambda: made("DINOv3ViTModel", **VIT, **SIDE, num_register_tokens=4), "", 5, -1),
    "metaclip_2": (lambda: made("MetaClip2Model", text_config=SHORT, vision_config=VIT | SIDE), "vision_model", 1, -2),
    "chinese_clip": (chinese_clip, "vision_model", 1, -2),
    "llava": (llava, "model.vision_tower", 1, -2),
    "internvl": (internvl, "model.vision_tower", 1, -1),
    "aimv2": (lambda: made("Aimv2VisionModel", **VIT, **SIDE), "", 0, -1),
    "convnext": (lambda: made("ConvNextModel", **PYRAMID), "", 0, -1),
    "convnextv2": (lambda: made("ConvNextV2Model", **PYRAMID), "", 0, -1),
    "dinov3_convnext": (lambda: made("DINOv3ConvNextModel", **PYRAMID), "", 1, -1),
    "swin": (lambda: made("SwinModel", **SWIN), "", 0, -1),
}
PLAIN = tuple(KINDS)[:7]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """kind -> (the model, its directory)"""
    found = {}
    for kind, (make, *_) in KINDS.items():
        directory = tmp_path_factory.mktemp("tower") / kind
        found[kind] = make(), str(directory)
        found[kind][0].save_pretrained(directory)
        if kind not in PLAIN:  # of these the preprocessing is customary
            settings = CUSTOM_64 if kind in ("convnext", "convnextv2", "dinov3_convnext", "swin") else CUSTOM
            (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    return found


def pixels(count: int = 2, side: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def test_features_are_the_models_own(saved):
    """Of every layer, without class and register tokens, in both widths."""
    for kind, (model, directory) in saved.items():
        _, place, before, customary = KINDS[kind]
        for layer in (None, -1, -2, 1, 3) if kind in PLAIN else (None,):
            tower = load_tower(directory, layer=layer)
            shown = pixels(side=tower.image_size)
            with torch.no_grad():
                output = model.get_submodule(place)(pixel_values=shown, output_hidden_states=True)
            which = customary if layer is None else layer
            hidden = output.last_hidden_state if which == -1 else output.hidden_states[which]
            expected = (hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden)[:, before:]
            features = tower(shown)
            assert features.shape == (2, tower.num_patches, tower.width) == expected.shape, (kind, layer)
            torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5, msg=f"{kind}, layer {layer}")
        half = load_tower(directory, dtype=torch.bfloat16)
        assert half(shown).dtype == half.dtype == half.blank_features().dtype == torch.bfloat16
        torch.testing.assert_close(half(shown).float(), load_tower(directory)(shown), rtol=0.1, atol=0.1)


def test_frozen_until_it_is_unfrozen(saved):
    for kind in PLAIN:
        tower = load_tower(saved[kind][1])
        around = nn.Sequential(tower, nn.Linear(tower.width, 2)).train()
        assert not any(module.training for module in tower.modules())
        assert not any(parameter.requires_grad for parameter in tower.parameters())
        assert not tower(pixels()).requires_grad and around(pixels()).requires_grad
        tower.unfreeze()
        (around(pixels()).sum() + tower.blank_features().sum()).backward()
        missing = [name for name, one in tower.named_parameters() if one.requires_grad and one.grad is None]
        assert not missing and tower.trained and not any(module.training for module in tower.modules())


def test_what_the_features_do_not_depend_on_gets_no_gradient(saved):
    """DINOv2 has a vector for hidden patches, which no picture here has."""
    tower = load_tower(saved["dinov2"][1])
    tower.unfreeze()
    assert [name.split(".")[-1] for name, one in tower.named_parameters() if not one.requires_grad] == ["mask_token"]
    with torch.no_grad():
        assert not tower.blank_features().requires_grad


def test_fingerprint_knows_weights_size_and_layer_and_not_the_width_they_are_opened_in(saved, tmp_path):
    for kind in PLAIN:
        directory = saved[kind][1]
        first = load_tower(directory).fingerprint()
        assert len(first) == 16 and int(first, 16) >= 0
        half = load_tower(directory, dtype=torch.bfloat16)
        assert half.fingerprint() == load_tower(directory).double().fingerprint() == first != half.fingerprint_as_cast()
        others = [load_tower(directory, image_size=64).fingerprint(), load_tower(directory, layer=1).fingerprint()]
        changed = KINDS[kind][0]()
        with torch.no_grad():
            next(one for name, one in changed.named_parameters() if "patch" in name).view(-1)[0] += 1
        changed.save_pretrained(tmp_path / kind)
        assert len({first, load_tower(str(tmp_path / kind)).fingerprint(), *others}) == 4, kind


def test_other_sizes_interpolate_positions_and_lose_no_pixel(saved, tmp_path):
    for kind in PLAIN:
        tower = load_tower(saved[kind][1], image_size=48)
        assert tower.grid == (6, 6) and tower(pixels(side=48)).shape == (2, 36, 16)
        with pytest.raises(ValueError, match=r"found image_size 50 for patches of 8 pixels, expected .* 48 or 56"):
            load_tower(saved[kind][1], image_size=50)
    # google/siglip-so400m-patch14-384 is one whose trained side holds no whole patches: 27 of 14 in 384 pixels.
    made("SiglipVisionModel", **VIT, **SIDE | {"image_size": 30}).save_pretrained(tmp_path)
    assert load_tower(str(tmp_path))(pixels(side=30)).shape == (2, 9, 16)
    assert load_tower(saved["convnext"][1], image_size=96).grid == (3, 3)


def test_what_cannot_serve_is_told_when_it_is_named(saved, tmp_path):
    vit_mae = made("ViTMAEModel", **VIT, **SIDE)
    oblong = made("ViTModel", **VIT, image_size=[64, 32], patch_size=16)
    cases = [
        ({"name": "./nowhere"}, "nothing at .* expected a directory"),
        ({"name": "efficientnet-lite0", "image_size": 300}, "found image_size 300, expected a multiple of 32"),
        ({"name": "efficientnet-lite0", "layer": -2}, "found layer -2, expected -1"),
        ({"name": saved["clip"][1], "layer": -4}, "found vision layer -4, expected 1 to 3, or -3 to -1"),
        (
            {"name": saved["convnext"][1], "layer": -2},
            "layer -2, expected -1: the layers of a convnext have other grids",
        ),
        ({"name": saved["aimv2"][1], "image_size": 48}, r"cannot see pictures of 48 pixels.*it was trained with 32"),
        (
            {"model": vit_mae},
            r"\(vit_mae\) returned features of shape \(1, 5, 16\) for one picture, expected 16 patches",
        ),
        ({"model": oblong, "image_size": 64}, r"found image_size = \[64, 32\] of a vit, expected a square"),
        ({"settings": CUSTOM | {"size": {"height": 64, "width": 32}}}, "64 pixels high and 32 wide, and only squares"),
        ({"settings": CUSTOM | {"do_flip_channel_order": True}}, "wants blue before red"),
        ({"config": None}, "no configuration could be read"),
        ({"config": transformers.Siglip2VisionConfig(hidden_size=16)}, "NaFlex"),
        (
            {"config": transformers.LlamaConfig(hidden_size=16, num_attention_heads=2)},
            r"\(llama\): found image_size = None",
        ),
        # Names a text model's weights a vision model: everything is missing.
        (
            {"model": made("CLIPTextModel", **SHORT), "config": transformers.CLIPVisionConfig(**VIT, **SIDE)},
            "tensors of a clip_vision_model are missing or of another shape",
        ),
    ]
    for index, (given, message) in enumerate(cases):
        directory = tmp_path / str(index)
        directory.mkdir()
        if "model" in given or "settings" in given:
            (given.pop("model", None) or made("ViTModel", **VIT, **SIDE)).save_pretrained(directory)
            settings = given.pop("settings", CUSTOM)
            (directory / "preprocessor_config.json").write_text(json.dumps(settings))
        if config := given.pop("config", None):
            config.save_pretrained(directory)
            (directory / "preprocessor_config.json").unlink(missing_ok=True)
        with pytest.raises(ValueError, match=message):
            load_tower(given.pop("name", str(directory)), **given)
    assert load_tower(str(tmp_path / "8"), image_size=64).image_size == 64, "squashed when it is asked for"


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
SETTINGS = (
    {},
    {"do_normalize": False},
    {"do_rescale": False},
    {"do_rescale": False, "do_normalize": False},
    {"rescale_factor": 1 / 127.5},
    {"rescale_factor": 1 / 127.5, "do_normalize": False},
    {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}, "do_center_crop": True, "resample": 2},
    {"size": {"height": 48, "width": 48}, "resample": 3},
    {"size": {"height": 48, "width": 48}, "resample": 1, "do_normalize": False},
)


@pytest.mark.parametrize("family", ["CLIP", "ViT", "Siglip"])
def test_pixels_are_those_of_the_towers_own_image_processor(saved, tmp_path, family):
    """Of a square picture; others are squashed here and cropped there, which is said."""
    directory = saved[family.lower()][1]
    vision = patch_encoder._read_config(directory, {})
    for index, settings in enumerate(SETTINGS):
        kind = getattr(transformers, f"{family}ImageProcessorPil")
        processor = kind(**{**CUSTOM_64, "do_center_crop": False, **settings})
        processor.save_pretrained(tmp_path / str(index))
        expected = processor(PICTURE, return_tensors="pt")["pixel_values"][0].float()
        found = patch_encoder.read_preprocessing(str(tmp_path / str(index)), None, vision, None)(PICTURE)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, msg=str(settings))


def test_the_checkpoints_own_preprocessing_wins(tmp_path):
    made("CLIPVisionModel", **VIT, **SIDE).save_pretrained(tmp_path)
    assert load_tower(str(tmp_path)).preprocess.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    own = {"crop_size": {"height": 40, "width": 40}, "size": {"shortest_edge": 64}, "resample": 2}
    own |= {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(own))
    assert load_tower(str(tmp_path)).preprocess == Preprocessing(40, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 2)
    assert load_tower(str(tmp_path), image_size=16).image_size == 16


def test_every_picture_fits_and_nothing_of_it_is_cropped_away():
    plain = Preprocessing(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    modes, sizes = (
        ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "YCbCr"),
        ((1, 1), (3000, 2), (2, 3000), (16, 16)),
    )
    for mode, size in itertools.product(modes, sizes):
        seen = plain(Image.new(mode, size))
        assert seen.shape == (3, 16, 16) and seen.dtype == torch.float32 and seen.is_contiguous(), (mode, size)
        assert torch.isfinite(seen).all() and seen.min() >= 0 and seen.max() <= 1, (mode, size)
    image = Image.new("RGB", (160, 16), "white")
    image.paste("red", (0, 0, 20, 16))
    image.paste("blue", (140, 0, 160, 16))
    assert plain(image)[:, 8, 0].tolist() == pytest.approx([1, 0, 0], abs=0.05)
    assert plain(image)[:, 8, -1].tolist() == pytest.approx([0, 0, 1], abs=0.05)
    nearest = Preprocessing(16, plain.mean, plain.std, int(Image.Resampling.NEAREST))
    assert not torch.allclose(nearest(PICTURE), plain(PICTURE)), "the filter is used"
    white = Preprocessing(2, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))(Image.new("RGB", (3, 3), "white"))
    assert white[:, 1, 1].tolist() == pytest.approx([1.0, 3.0, 0.5])
    with pytest.raises(ValueError, match="expected three numbers each, std above 0"):
        Preprocessing(16, (0.5, 0.5, 0.5), (0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="found image_size 0"):
        Preprocessing(0, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))


def test_a_timm_tower_without_timm_says_what_is_missing(tmp_path):
    if importlib.util.find_spec("timm"):
        pytest.skip("timm is installed, and this is about its absence")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "timm_wrapper", "architecture": "vit_tiny"}))
    with pytest.raises(ValueError, match=r"needs a package that is not installed.*timm's need timm, and a torchvision"):
        load_tower(str(tmp_path))


def test_a_timm_tower_is_read_by_its_own_description():
    """With a stand-in for timm, which is not installed for tests: a configuration, and a model with its attributes."""
    about = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "input_size": [3, 48, 48], "interpolation": "bilinear"}
    vision = SimpleNamespace(model_type="timm_wrapper", pretrained_cfg=about)
    found = patch_encoder.read_preprocessing("nowhere-at-all", None, vision, None)
    assert found == Preprocessing(48, (0.5,) * 3, (0.25,) * 3, 2)

    class Stub(nn.Module):
        def __init__(self, prefix):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.timm_model = SimpleNamespace(num_prefix_tokens=prefix)

        def forward(self, pixel_values, do_pooling=None, output_hidden_states=None, return_dict=None):
            assert do_pooling is False
            tokens = 9 + self.timm_model.num_prefix_tokens
            return SimpleNamespace(last_hidden_state=torch.zeros(len(pixel_values), tokens, 8))

    for prefix in (0, 1, 5):
        grid = patch_encoder.patch_grid(vision, 48)
        encoder = patch_encoder.PatchEncoder(Stub(prefix), -1, grid, interpolate=False)
        assert patch_encoder.look(encoder, "timm", vision, 48, grid) == ((3, 3), 8)


def test_code_beside_the_weights_is_run_only_when_the_recipe_says_so(tmp_path):
    model = made("ViTModel", **VIT, **SIDE)
    save_file(model.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    config |= {"model_type": "my_vit", "auto_map": {"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text(
        "from transformers import ViTConfig, ViTModel\n"
        "class MyConfig(ViTConfig):\n    model_type = 'my_vit'\n"
        "class MyModel(ViTModel):\n    config_class = MyConfig\n"
    )
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CUSTOM))
    with pytest.raises(ValueError, match="read it, then set `trust_remote_code = true`"):
        load_tower(str(tmp_path))
    assert load_tower(str(tmp_path), trust_remote_code=True).grid == (4, 4)


# --- the embedded one -----------------------------------------------------------------------------------------------------


def test_the_embedded_tower_sees():
    tower = load_tower("efficientnet-lite0")
    assert (tower.image_size, tower.grid, tower.width, tower.num_patches) == (320, (10, 10), 1280, 100)
    # (value - 127) / 128: the trained scale of the Lite models.
    scale = tower.preprocess(Image.new("RGB", (5, 9), (255, 127, 0)))[:, 0, 0].tolist()
    assert scale == pytest.approx([1.0, 0.0, -127 / 128], abs=1e-6)
    left_red = Image.new("RGB", (640, 400), "white")
    left_red.paste("red", (0, 0, 320, 400))
    features = tower(tower.preprocess(left_red)[None])[0].reshape(10, 10, 1280)
    near, far = (F.cosine_similarity(features[5, 1], other, dim=0) for other in (features[6, 1], features[5, 8]))
    assert near > far
    assert torch.equal(preprocess(left_red, tower.to_config()), tower.preprocess(left_red))
    assert tower.blank_features().shape == (1, 100, 1280)
    half = load_tower("efficientnet-lite0", dtype=torch.bfloat16)
    assert half.dtype == half(tower.preprocess(left_red)[None]).dtype == half.blank_features().dtype == torch.bfloat16
    assert tower.fingerprint() == half.fingerprint() != half.fingerprint_as_cast()
    with pytest.raises(ValueError, match=r"found pixels of shape \(1, 3, 32, 32\), expected \(batch, 3, 320, 320\)"):
        tower(torch.zeros(1, 3, 32, 32))


@pytest.fixture(scope="module", params=TOWERS)
def ours(request) -> EfficientNetLite:
    model = EfficientNetLite(request.param)
    try:
        model.load_checkpoint(tower_weights_path(request.param))
    except AssetError as error:
        pytest.skip(f"its weights are not here and cannot be fetched: {error}")
    return model.eval().requires_grad_(False)


def noise(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(height)).clamp(-1, 1)


def test_efficientnet_equals_the_reference_package(ours):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    # It fixes its padding for one side, and for the 260 pixels of Lite2 that is another one than for multiples of 32.
    reference = package.EfficientNet.from_pretrained(
        ours.name, weights_path=str(tower_weights_path(ours.name)), image_size=224
    ).eval()
    for side in (224, 320):
        with torch.no_grad():
            expected_BCHW = reference.extract_features(noise(2, side, side))
        found_BND = ours(noise(2, side, side))
        assert found_BND.shape == (2, (side // 32) ** 2, 1280)
        # Row-major: patch n is row n // W, column n % W.
        torch.testing.assert_close(found_BND, expected_BCHW.flatten(2).transpose(1, 2), atol=1e-4, rtol=0)
    half = EfficientNetLite(ours.name).requires_grad_(False)
    half.load_state_dict(ours.state_dict())
    found = half.to(torch.bfloat16)(noise(1, 224, 224).to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert F.cosine_similarity(found.float(), ours(noise(1, 224, 224)), dim=-1).min() > 0.99


def test_efficientnet_takes_any_batch_of_whole_patches_and_leaves_it_alone(ours):
    assert ours(torch.zeros(1, 3, 64, 96)).shape == (1, 6, 1280)
    with pytest.raises(ValueError, match="found 64 x 100 pixels, expected sides divisible by 32"):
        ours(torch.zeros(1, 3, 64, 100))
    many = noise(CPU_BATCH + 3, 64, 64).to(memory_format=torch.channels_last)
    before = many.clone()
    torch.testing.assert_close(ours(many), torch.cat([ours(one[None]) for one in many]), atol=1e-4, rtol=0)
    assert torch.equal(many, before)


def test_a_foreign_efficientnet_checkpoint_is_named():
    weights = torch.load(tower_weights_path(), weights_only=True)
    del weights["_blocks.3._bn1.running_var"]
    with pytest.raises(ValueError, match=r"lack 1 of \d+ tensors, first '_blocks.3._bn1.running_var'"):
        fold_checkpoint(weights, "efficientnet-lite0")
