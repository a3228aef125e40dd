"""Any number of patches in, exactly K latents out."""

import pytest
import torch
import torch.nn.functional as F

from skymm.model import resampler as resampler_module
from skymm.model.resampler import resampler_of

TWO = {"grids": ((2, 3), (4, 4)), "widths": (10, 7), "num_latents": 6}


def make(grids=((2, 3),), widths=(10,), **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return resampler_of(
        grids=list(grids),
        context_widths=list(widths),
        **{"num_latents": 5, "num_layers": 2, "num_heads": 4, "width": 16, "embedding_width": 12, "embedding_rms": 0.3}
        | options,
    )


def seen(grids=((2, 3),), widths=(10,), count=3, **_) -> list[torch.Tensor]:
    """Features of so many images."""
    return [torch.randn(count, rows * columns, width) for (rows, columns), width in zip(grids, widths)]


@pytest.mark.parametrize("mixing", ["joint", "interleaved", "additive"])
def test_any_towers_give_k_latents_as_loud_as_words_and_every_parameter_learns(mixing):
    three = {"grids": ((2, 3), (4, 4), (3, 3)), "widths": (10, 7, 8), "num_latents": 6}
    for towers in [three, TWO, *([{"num_latents": 6}] if mixing == "joint" else [])]:
        resampler = make(**towers, mixing=mixing)
        latents = resampler(seen(**towers))
        assert latents.shape == (3, 6, 12)
        assert torch.allclose(latents.pow(2).mean(-1).sqrt(), torch.tensor(0.3), atol=1e-3)
        latents.pow(3).sum().backward()
        assert [name for name, one in resampler.named_parameters() if one.grad is None or not one.grad.any()] == []


def test_interleaved_latents_are_those_of_the_towers_in_turn():
    features, resampler = seen(**TWO), make(**TWO, mixing="interleaved")
    mixed = resampler(features)
    for turn, (grid, width) in enumerate(zip(TWO["grids"], TWO["widths"])):
        alone = make((grid,), (width,), num_latents=3)
        alone.load_state_dict(resampler.towers[turn].state_dict())
        assert torch.equal(mixed[:, turn::2], alone([features[turn]]))


def test_additive_context_is_the_weighted_sum_on_the_finest_grid():
    features, resampler = seen(**TWO), make(**TWO, mixing="additive", weights=[3.0, 1.0])
    small, large = (
        project(F.layer_norm(one, one.shape[-1:])) for project, one in zip(resampler.context_projections, features)
    )
    rows = small.unflatten(1, (2, 3)).permute(0, 3, 1, 2)
    small = F.interpolate(rows, size=(4, 4), mode="bilinear").flatten(2).transpose(1, 2)
    expected = 0.75 * small + 0.25 * large + resampler.positions[0]
    assert torch.allclose(resampler.context(resampler.project(features)), expected, atol=1e-6)
    assert list(resampler.state_dict()) == list(make(**TWO, mixing="additive").state_dict()), (
        "weights are no parameters"
    )
    same = make(((2, 2), (2, 2)), (4, 4), mixing="additive")
    one, other = seen(((2, 2), (2, 2)), (4, 4))
    one, other = same.project([one, other])
    assert torch.allclose(same.context([one, other]), (one + other) / 2 + same.positions[0], atol=1e-6)


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


@pytest.mark.parametrize("mixing", ["joint", "interleaved", "additive"])
def test_features_drop_out_while_it_trains_only(mixing):
    resampler, features = make(**TWO, mixing=mixing, dropout=0.5), seen(**TWO)
    plain = make(**TWO, mixing=mixing)
    assert not torch.equal(resampler(features), resampler(features))
    assert torch.equal(resampler.eval()(features), plain(features))
