"""What questions about one image share is read once, and nothing changes by it."""

import pytest
import torch

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer, common_start

IMAGE = 99


@pytest.mark.parametrize(
    ("prompts", "groups", "shared"),
    [
        ([[1, IMAGE, 2, 3], [1, IMAGE, 2, 4, 5]], "aa", 3),
        ([[1, IMAGE, 2, 3], [1, IMAGE, 2]], "aa", 2),  # the last token is never shared: its logits are wanted
        ([[1, IMAGE, 2, 3], [1, IMAGE, 2, 3]], "aa", 3),
        ([[1, IMAGE, 2, 3], [1, IMAGE, 2, 4]], "ab", 0),  # nobody to share with
        ([[1, IMAGE, 2, 3], [1, IMAGE, 2, 4], [7, IMAGE, 8, 9]], "aab", 3),  # within groups, not between them
        ([[1, IMAGE, IMAGE, 2], [1, IMAGE, 3, 4]], "aa", 0),  # an image would be cut off
    ],
)
def test_how_much_is_shared(prompts, groups, shared):
    assert common_start(prompts, groups, IMAGE) == shared


@pytest.fixture
def answerer(tiny_model):
    return SkyMMAnswerer(*tiny_model)


@pytest.mark.parametrize("said", [(), (5,), (5, 7)])
def test_the_logits_are_those_of_reading_everything(answerer, monkeypatch, said):
    from test_local_models import BLUE, GREEN, RED

    asks = [
        Ask("Is it red?", (RED,)),
        Ask("是一个很长很长的问题吗？", (RED,)),
        Ask("a", (GREEN,)),
        Ask("Is it blue or green?", (BLUE,)),
        Ask("Is it red?", (BLUE,)),
    ]
    rows = []
    language_model = answerer.model.language_model
    hook = language_model.register_forward_hook(
        lambda module, args, kwargs, output: rows.append(tuple(kwargs["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    with torch.inference_mode():
        shared = answerer.next_logits(asks, [said] * len(asks))
        monkeypatch.setattr("skymm.answering.skymm_model.common_start", lambda *arguments: 0)
        whole = answerer.next_logits(asks, [said] * len(asks))
    hook.remove()
    torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-4)
    (starts, start_length), (rests, rest_length), (everything, length) = rows
    assert (starts, rests, everything) == (3, 5, 5) and start_length + rest_length == length
    assert start_length > answerer.model.config.num_latents


def test_text_only_questions_share_their_system_turn_too(answerer, monkeypatch):
    asks = [Ask("Is it red?"), Ask("Was it?")]
    with torch.inference_mode():
        shared = answerer.next_logits(asks, [(), ()])
        monkeypatch.setattr("skymm.answering.skymm_model.common_start", lambda *arguments: 0)
        torch.testing.assert_close(shared, answerer.next_logits(asks, [(), ()]), rtol=1e-4, atol=1e-4)
