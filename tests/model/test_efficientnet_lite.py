"""Our batch-norm-free EfficientNet-Lite0 computes what the reference package computes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from skymm.assets import tower_weights_path
from skymm.model.efficientnet_lite import CPU_BATCH, EfficientNetLite0, fold_checkpoint


@pytest.fixture(scope="module")
def ours() -> EfficientNetLite0:
    model = EfficientNetLite0()
    model.load_checkpoint(tower_weights_path())
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    return package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(tower_weights_path())).eval()


@pytest.mark.parametrize("side", [224, 320])
def test_equals_the_reference(side: int, ours: EfficientNetLite0, reference: torch.nn.Module) -> None:
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side)).clamp(-1, 1)
    with torch.no_grad():
        expected_BCHW = reference.extract_features(pixels)
    found_BND = ours(pixels)
    assert found_BND.shape == (2, (side // 32) ** 2, 1280)
    # Row-major: patch n is row n // W, column n % W.
    torch.testing.assert_close(found_BND, expected_BCHW.flatten(2).transpose(1, 2), atol=1e-4, rtol=0)


def test_sides_may_differ_but_must_hold_whole_patches(ours: EfficientNetLite0) -> None:
    assert ours(torch.zeros(1, 3, 64, 96)).shape == (1, 6, 1280)
    with pytest.raises(ValueError, match="found 64 x 100 pixels, expected sides divisible by 32"):
        ours(torch.zeros(1, 3, 64, 100))


def test_large_batches_are_cut_without_a_trace(ours: EfficientNetLite0) -> None:
    pixels = torch.randn(CPU_BATCH + 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    one_by_one = torch.cat([ours(picture[None]) for picture in pixels])
    torch.testing.assert_close(ours(pixels), one_by_one, atol=1e-4, rtol=0)


def test_the_callers_pixels_are_left_alone(ours: EfficientNetLite0) -> None:
    pixels = torch.randn(1, 3, 64, 64).to(memory_format=torch.channels_last)
    before = pixels.clone()
    ours(pixels)
    assert torch.equal(pixels, before)


def test_bfloat16_points_the_same_way(ours: EfficientNetLite0) -> None:
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2)).clamp(-1, 1)
    half = EfficientNetLite0().requires_grad_(False)
    half.load_state_dict(ours.state_dict())
    found = half.to(torch.bfloat16)(pixels.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert F.cosine_similarity(found.float(), ours(pixels), dim=-1).min() > 0.99


def test_a_foreign_checkpoint_is_named() -> None:
    weights = torch.load(tower_weights_path(), weights_only=True)
    del weights["_blocks.3._bn1.running_var"]
    with pytest.raises(ValueError, match=r"lack 1 of \d+ tensors, first '_blocks.3._bn1.running_var'"):
        fold_checkpoint(weights)
