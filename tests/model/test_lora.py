"""LoRA in one operation is peft's LoRA: the same numbers, the same gradients, and out of the way where peft does more."""

import copy
from functools import partial

import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skymm.model import language, lora
from skymm.model.lora import lora_linear

WIDTH, OUT, RANK = 5, 7, 2


def operands(bias=True):
    torch.manual_seed(0)
    shapes = {"x": (2, 3, WIDTH), "weight": (OUT, WIDTH), "bias": (OUT,), "a": (RANK, WIDTH), "b": (OUT, RANK)}
    made = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    for name in ("x", "a", "b"):
        made[name].requires_grad_()
    return made if bias else {**made, "bias": None}


def test_values_and_gradients_are_those_of_the_formula():
    for bias in (True, False):
        made = operands(bias)
        x, weight, offset, a, b = made.values()
        expected = x @ weight.T + 1.5 * (x @ a.T) @ b.T + (0 if offset is None else offset)
        torch.testing.assert_close(lora_linear(*made.values(), 1.5), expected)
        gradients = partial(lora_linear, weight_OI=weight, bias=offset, scale=1.5)
        torch.autograd.gradcheck(lambda x, a, b, of=gradients: of(x, a_RI=a, b_OR=b), (x, a, b))


def test_what_needs_no_gradient_costs_none():
    """A stage that trains the resampler alone needs the gradient of x only."""
    products = {}
    for frozen in ((), ("x",), ("a",), ("b",), ("a", "b")):
        made = operands()
        for name in frozen:
            made[name] = made[name].detach()
        out = lora_linear(*made.values(), 1.0)
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
        products[frozen] = counter.get_total_flops()
        assert {name for name in ("x", "a", "b") if made[name].grad is None} == set(frozen)
    assert max(count for frozen, count in products.items() if frozen) < products[()]


@pytest.fixture
def adapted(tiny_llm):
    """(an LLM with LoRA that does something, a copy of it with peft's own layers)."""
    llm = language.load_llm(str(tiny_llm), dtype=torch.float64, attention="sdpa")
    assert lora.add(llm, rank=RANK, alpha=3, dropout=0.0, targets=["q_proj", "down_proj"]) == ["down_proj", "q_proj"]
    torch.manual_seed(1)
    for _, parameter in lora.parameters(llm):
        nn.init.normal_(parameter)
    fused = [module for module in llm.modules() if isinstance(module, Linear)]
    assert len(fused) == lora.num_adapted(llm) == 4 and all(type(module) is not Linear for module in fused)
    theirs = copy.deepcopy(llm)
    for module in theirs.modules():
        if isinstance(module, Linear):
            module.__class__ = Linear
    return llm, theirs


def calls(monkeypatch):
    """How often the one operation is used from now on."""
    seen = []
    monkeypatch.setattr(lora, "lora_linear", lambda *given: seen.append(1) or lora_linear(*given))
    return seen


def test_an_llm_learns_the_same_as_with_pefts_layers(adapted, monkeypatch):
    seen = calls(monkeypatch)
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    grads = []
    for llm in adapted:
        language.wake(llm, True)
        llm(input_ids=ids, labels=ids).loss.backward()
        grads.append({name: parameter.grad for name, parameter in lora.parameters(llm)})
    assert len(seen) == lora.num_adapted(adapted[0]), "only one of the two uses it"
    for name, grad in grads[0].items():
        assert grad.abs().max() > 0
        torch.testing.assert_close(grad, grads[1][name])


@pytest.mark.parametrize(
    "case", ["off", "merged", "two at once", "whole matrix trained", "other dtype", "dropout", "compiled"]
)
def test_what_peft_does_beyond_the_formula_is_left_to_peft(adapted, monkeypatch, case):
    ours, theirs = adapted
    seen = calls(monkeypatch)
    ids = torch.tensor([[1, 2, 3]])
    plain = ours(input_ids=ids).logits
    assert seen
    seen.clear()
    found = []
    for llm in (ours, theirs):
        layers = [module for module in llm.modules() if isinstance(module, Linear)]
        if case == "off":
            llm.disable_adapters()
        elif case == "merged":
            for layer in layers:
                layer.merge()
        elif case == "two at once":
            torch.manual_seed(2)
            llm.add_adapter(copy.deepcopy(llm.peft_config["default"]), "second")
            llm.set_adapter(["default", "second"])
            for layer in layers:
                nn.init.normal_(layer.lora_B["second"].weight)
        elif case == "whole matrix trained":
            for layer in layers:
                layer.base_layer.weight.requires_grad_()
        elif case == "other dtype":
            for _, parameter in lora.parameters(llm):
                parameter.data = parameter.data.float()
        elif case == "dropout":
            torch.manual_seed(3)
            for layer in layers:
                layer.lora_dropout["default"] = nn.Dropout(0.5)
            language.wake(llm, True)
        else:
            monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        found.append(llm(input_ids=ids).logits)
    assert not seen
    torch.testing.assert_close(found[0], found[1])
    if case in ("merged", "whole matrix trained", "compiled"):
        torch.testing.assert_close(found[0], plain)
    elif case != "other dtype":
        assert not torch.allclose(found[0], plain)


def test_dropout_sleeps_outside_of_training(adapted, monkeypatch):
    llm, _ = adapted
    seen = calls(monkeypatch)
    for module in llm.modules():
        if isinstance(module, Linear):
            module.lora_dropout["default"] = nn.Dropout(0.5).eval()
    llm(input_ids=torch.tensor([[1, 2]]))
    assert len(seen) == lora.num_adapted(llm)
