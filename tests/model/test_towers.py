"""Own towers: of every kind the features are the model's own, the pixels its own image processor's; what cannot serve is told
when it is named.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

from skymm.model import patch_encoder
from skymm.model.patch_encoder import load_tower

VIT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIDE = {"image_size": 64, "patch_size": 16}
PYRAMID = {"depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 12, 16], "image_size": 64}
TEXT = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def metaclip():
    text = TEXT | {"max_position_embeddings": 8}
    return transformers.MetaClip2Model(transformers.MetaClip2Config(text_config=text, vision_config=VIT | SIDE))


def llava():
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**TEXT), vision_config=transformers.CLIPVisionConfig(**VIT, **SIDE)
    )
    return transformers.LlavaForConditionalGeneration(config)


def internvl():
    sides = {"image_size": [64, 64], "patch_size": [16, 16]}
    config = transformers.InternVLConfig(
        text_config=transformers.Qwen2Config(**TEXT), vision_config=transformers.InternVLVisionConfig(**VIT, **sides)
    )
    return transformers.InternVLForConditionalGeneration(config)


# kind -> (model, where its tower is, tokens before the patches, layer)
SERVE = {
    "convnext": (lambda: transformers.ConvNextModel(transformers.ConvNextConfig(**PYRAMID)), "", 0, -1),
    "convnextv2": (lambda: transformers.ConvNextV2Model(transformers.ConvNextV2Config(**PYRAMID)), "", 0, -1),
    "dinov3_convnext": (
        lambda: transformers.DINOv3ConvNextModel(transformers.DINOv3ConvNextConfig(**PYRAMID)),
        "",
        1,
        -1,
    ),
    "dinov3_vit": (
        lambda: transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**VIT, **SIDE, num_register_tokens=4)),
        "",
        5,
        -1,
    ),
    "swin": (
        lambda: transformers.SwinModel(
            transformers.SwinConfig(image_size=64, embed_dim=4, depths=[1, 1, 1], num_heads=[1, 1, 2], window_size=4)
        ),
        "",
        0,
        -1,
    ),
    "aimv2": (lambda: transformers.Aimv2VisionModel(transformers.Aimv2VisionConfig(**VIT, **SIDE)), "", 0, -1),
    "metaclip_2": (metaclip, "vision_model", 1, -2),
    "llava": (llava, "model.vision_tower", 1, -2),
    "internvl": (internvl, "model.vision_tower", 1, -1),
}
CUSTOM = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "size": {"height": 64, "width": 64}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", SERVE)
def test_features_are_the_models_own(tmp_path, kind, dtype):
    make, place, before, layer = SERVE[kind]
    torch.manual_seed(0)
    model = make().eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CUSTOM))
    tower = load_tower(str(tmp_path), dtype=dtype)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        output = model.get_submodule(place)(pixel_values=pixels, output_hidden_states=True)
    hidden = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
    if hidden.ndim == 4:
        hidden = hidden.flatten(2).transpose(1, 2)
    features = tower(pixels)
    assert features.dtype == tower.dtype == dtype
    assert features.shape == (2, tower.num_patches, tower.width) == hidden[:, before:].shape
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(features.float(), hidden[:, before:], rtol=tolerance, atol=tolerance)


def test_layers_of_a_pyramid_have_other_grids(tmp_path):
    SERVE["convnext"][0]().save_pretrained(tmp_path)
    assert load_tower(str(tmp_path), image_size=96).grid == (3, 3)
    with pytest.raises(
        ValueError, match="found vision layer -2, expected -1: the layers of a convnext have other grids"
    ):
        load_tower(str(tmp_path), layer=-2)


@pytest.mark.parametrize(
    ("model", "spec", "message"),
    [
        (SERVE["aimv2"][0], {"image_size": 96}, r"cannot see pictures of 96 pixels.*it was trained with 64"),
        (
            lambda: transformers.ViTMAEModel(transformers.ViTMAEConfig(**VIT, **SIDE)),
            {},
            r"\(vit_mae\) returned features of shape \(1, 5, 16\) for one picture, expected 16 patches",
        ),
        (
            lambda: transformers.ViTModel(transformers.ViTConfig(**VIT, image_size=[64, 32], patch_size=16)),
            {"image_size": 64},
            r"found image_size = \[64, 32\] of a vit, expected a square",
        ),
    ],
)
def test_what_cannot_serve_is_told_when_it_is_named(tmp_path, model, spec, message):
    model().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CUSTOM))
    with pytest.raises(ValueError, match=message):
        load_tower(str(tmp_path), **spec)


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"do_normalize": False},
        {"do_rescale": False},
        {"do_rescale": False, "do_normalize": False},
        {"rescale_factor": 1 / 127.5},
        {"rescale_factor": 1 / 127.5, "do_normalize": False},
        {
            "size": {"shortest_edge": 48},
            "crop_size": {"height": 48, "width": 48},
            "do_center_crop": True,
            "resample": 2,
        },
        {"size": {"height": 48, "width": 48}, "resample": 3},
        {"size": {"height": 48, "width": 48}, "resample": 1, "do_normalize": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("family", ["CLIP", "ViT", "Siglip"])
def test_pixels_are_those_of_the_towers_own_image_processor(tmp_path, family, settings):
    """Of a square picture; others are squashed here and cropped there, which is said."""
    config = getattr(
        transformers, {"CLIP": "CLIPVisionConfig", "ViT": "ViTConfig", "Siglip": "SiglipVisionConfig"}[family]
    )
    kind = {"CLIP": "CLIPVisionModel", "ViT": "ViTModel", "Siglip": "SiglipVisionModel"}[family]
    getattr(transformers, kind)(config(**VIT, **SIDE)).save_pretrained(tmp_path)
    processor = getattr(transformers, f"{family}ImageProcessorPil")(**{**CUSTOM, "do_center_crop": False, **settings})
    processor.save_pretrained(tmp_path)
    expected = processor(PICTURE, return_tensors="pt")["pixel_values"][0]
    tower = load_tower(str(tmp_path))
    torch.testing.assert_close(tower.preprocess(PICTURE), expected.float(), rtol=1e-5, atol=1e-5)


def test_pictures_that_are_no_squares_are_refused_or_squashed_when_asked_for(tmp_path):
    transformers.ViTModel(transformers.ViTConfig(**VIT, **SIDE)).save_pretrained(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(CUSTOM | {"size": {"height": 64, "width": 32}}))
    with pytest.raises(
        ValueError, match="64 pixels high and 32 wide, and only squares are shown here; give `image_size`"
    ):
        load_tower(str(tmp_path))
    assert load_tower(str(tmp_path), image_size=64).image_size == 64
    file.write_text(json.dumps(CUSTOM | {"do_flip_channel_order": True}))
    with pytest.raises(ValueError, match="wants blue before red"):
        load_tower(str(tmp_path))


def test_a_timm_tower_without_timm_says_what_is_missing(tmp_path):
    import importlib.util

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
    assert (found.image_size, found.mean, found.std, found.resample) == (48, (0.5,) * 3, (0.25,) * 3, 2)

    class Stub(torch.nn.Module):
        def __init__(self, prefix):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
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
    model = transformers.ViTModel(transformers.ViTConfig(**VIT, **SIDE))
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
