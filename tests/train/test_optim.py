"""AdamW on fp32 masters."""

import pytest
import torch
from torch import nn

from skymm.train.optim import MasterAdamW, share_of_peak


def make(dtype=torch.float32, **options):
    torch.manual_seed(0)
    layer = nn.Linear(4, 3).to(dtype)
    groups = {"all": (list(layer.named_parameters()), 1e-2)}
    return layer, MasterAdamW(groups, **{"weight_decay": 0.1, "clip": 1.0} | options)


def learn(layer, optimizer, steps=5):
    for _ in range(steps):
        layer(torch.ones(2, 4, dtype=layer.weight.dtype)).pow(2).sum().backward()
        optimizer.step(1.0)


def test_in_fp32_it_is_torchs_adamw():
    layer, optimizer = make()
    twin, _ = make()
    theirs = torch.optim.AdamW(
        [{"params": [twin.weight], "weight_decay": 0.1}, {"params": [twin.bias], "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.98),
    )
    learn(layer, optimizer)
    for _ in range(5):
        theirs.zero_grad()
        twin(torch.ones(2, 4)).pow(2).sum().backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        theirs.step()
    # Ours is the fused one: how it rounds depends on the processor.
    torch.testing.assert_close(layer.weight, twin.weight, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(layer.bias, twin.bias, rtol=1e-6, atol=1e-7)


def test_small_updates_to_bf16_parameters_are_not_lost():
    layer = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.constant_(layer.weight, 1.0)
    optimizer = MasterAdamW({"all": (list(layer.named_parameters()), 1e-4)}, weight_decay=0.0, clip=1.0)
    for _ in range(60):
        layer(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
        optimizer.step(1.0)
    # Each update is a fortieth of what bf16 can tell apart at 1; sixty of them are not.
    assert layer.weight.item() < 1.0 and optimizer.masters["weight"].item() == pytest.approx(0.994, abs=1e-4)


def test_state_goes_through_and_continues_exactly():
    layer, optimizer = make(torch.bfloat16)
    learn(layer, optimizer, 3)
    saved = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    learn(layer, optimizer, 3)
    again, other = make(torch.bfloat16)
    other.load_state(saved)
    learn(again, other, 3)
    assert torch.equal(again.weight, layer.weight) and torch.equal(other.masters["weight"], optimizer.masters["weight"])


def test_state_of_other_parameters_is_refused():
    _, optimizer = make()
    with pytest.raises(ValueError, match="of other parameters"):
        optimizer.load_state({"other:master": torch.zeros(1)})


def test_a_part_without_gradient_is_named():
    layer, optimizer = make()
    layer.weight.sum().backward()
    with pytest.raises(ValueError, match="bias is trained but got no gradient"):
        optimizer.step(1.0)


def test_a_broken_gradient_stops_the_run():
    layer, optimizer = make()
    (layer(torch.ones(1, 4)).sum() * float("nan")).backward()
    with pytest.raises(ValueError, match="gradient norm is nan"):
        optimizer.step(1.0)


def test_schedule_rises_stays_and_falls():
    shares = [share_of_peak(step, 20, 3) for step in range(1, 21)]
    assert shares[:3] == [0.25, 0.5, 0.75] and set(shares[3:12]) == {1.0}
    assert shares[12:] == sorted(shares[12:], reverse=True) and 0 < shares[-1] < 0.2

    cosine = [share_of_peak(step, 20, 3, "cosine") for step in range(1, 21)]
    assert cosine[:3] == shares[:3] and cosine[3] == 1.0 and cosine[3:] == sorted(cosine[3:], reverse=True)
    assert cosine[3 + 17 // 2] == pytest.approx(0.02 + 0.98 * 0.5, abs=0.1) and 0.02 < cosine[-1] < 0.04
    assert {share_of_peak(step, 20, 3, "constant") for step in range(4, 21)} == {1.0}
