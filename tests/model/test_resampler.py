"""Any number of patches in, exactly K latents out."""

import pytest
import torch
import torch.nn.functional as F

from skymm.model import resampler as resampler_module
from skymm.model.resampler import PerceiverResampler


def make(grids=((2, 3),), widths=(10,), **options) -> PerceiverResampler:
    torch.manual_seed(0)
    return PerceiverResampler(
        grids=list(grids),
        context_widths=list(widths),
        **{"num_latents": 5, "num_layers": 2, "num_heads": 4, "width": 16, "embedding_width": 12, "embedding_rms": 0.3}
        | options,
    )


def test_one_and_two_towers_give_k_latents_as_loud_as_words():
    for grids, widths in ((((2, 3),), (10,)), (((2, 3), (4, 4)), (10, 7))):
        resampler = make(grids, widths)
        features = [torch.randn(3, rows * columns, width) for (rows, columns), width in zip(grids, widths)]
        latents = resampler(features)
        assert latents.shape == (3, 5, 12)
        assert torch.allclose(latents.pow(2).mean(-1).sqrt(), torch.tensor(0.3), atol=1e-3)


def test_latents_differ_from_each_other_and_between_images():
    latents = make()([torch.randn(2, 6, 10)])
    assert (latents[0, 0] - latents[0, 1]).norm() > 0.1 and (latents[0] - latents[1]).norm() > 0.05


def test_position_counts():
    features = torch.randn(1, 6, 10)
    resampler = make()
    assert not torch.allclose(resampler([features]), resampler([features.flip(1)]), atol=1e-4)


def test_images_of_a_batch_do_not_see_each_other():
    features = torch.randn(3, 6, 10)
    resampler = make()
    assert torch.allclose(resampler([features])[1], resampler([features[1:2]])[0], atol=1e-6)


def test_every_parameter_learns():
    resampler = make()
    resampler([torch.randn(2, 6, 10)]).pow(3).sum().backward()
    assert [
        name for name, parameter in resampler.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ] == []


def test_cpu_attention_is_torchs():
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 11, 8), torch.randn(2, 4, 11, 8)
    ours = resampler_module._attend(query, key, value)
    assert torch.allclose(ours, F.scaled_dot_product_attention(query, key, value), atol=1e-5)


def test_another_number_of_patches_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="gave 7 patches, expected 6"):
        make()([torch.randn(1, 7, 10)])


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 16 is not a multiple of num_heads 3"):
        make(num_heads=3)
