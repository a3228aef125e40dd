"""The gathered loss is the full one, without the full logits."""

import torch
import torch.nn.functional as F
from torch import nn

from skymm.model.loss import IGNORE, gathered_cross_entropy


def setup(seed: int = 0):
    torch.manual_seed(seed)
    hidden = torch.randn(3, 9, 8, requires_grad=True)
    head = nn.Linear(8, 20, bias=False)
    labels = torch.randint(0, 20, (3, 9))
    labels[torch.rand(3, 9) < 0.6] = IGNORE
    return hidden, head, labels


def full_loss(hidden, head, labels):
    return F.cross_entropy(
        head(hidden)[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="sum"
    )


def test_equals_the_loss_over_full_logits_with_its_gradients():
    hidden, head, labels = setup()
    losses = gathered_cross_entropy(hidden, head, labels)
    assert len(losses) == int((labels[:, 1:] != IGNORE).sum())
    labels[:, 0] = IGNORE
    known = (labels != IGNORE).flatten().nonzero()[:, 0]
    assert torch.equal(losses, gathered_cross_entropy(hidden, head, labels, known)), "where they stand may be known"
    ours = torch.autograd.grad(losses.sum(), [hidden, head.weight])
    theirs = torch.autograd.grad(full_loss(hidden, head, labels), [hidden, head.weight])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs))


def test_chunks_change_nothing():
    hidden, head, labels = setup()
    whole = gathered_cross_entropy(hidden, head, labels)
    chunked = gathered_cross_entropy(hidden, head, labels, chunk_rows=2)
    assert torch.allclose(whole, chunked, atol=1e-6)
    ours = torch.autograd.grad(whole.sum(), hidden)[0]
    assert torch.allclose(ours, torch.autograd.grad(chunked.sum(), hidden)[0], atol=1e-6)


def test_the_head_sees_labelled_rows_only():
    hidden, head, labels = setup()
    seen = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    gathered_cross_entropy(hidden, head, labels)
    assert sum(seen) == int((labels[:, 1:] != IGNORE).sum())


def test_no_labels_give_an_empty_loss_with_a_graph():
    hidden, head, labels = setup()
    losses = gathered_cross_entropy(hidden, head, torch.full_like(labels, IGNORE))
    losses.sum().backward()
    assert len(losses) == 0 and hidden.grad.abs().sum() == 0
