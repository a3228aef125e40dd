"""Contrast while decoding: what a model would say without seeing is taken off what it says.

Two readings of one question, the picture (p) and less of it (q): none at all ("blind"), the same with noise on it ("noised"),
or one that shows nothing ("calibrated"). A word that comes from the habits of the LLM is likely in both.

Writing: l = (1 + strength) * log p - strength * log q, at every token whose likeliest candidate has less than `gate`; among
the candidates with p >= beta * max p; elsewhere log p as it is. With noise this is VCD (Leng et al., arXiv 2311.16922),
without a picture classifier-free guidance of scale 1 + strength (Sanchez et al., 2306.17806). M3ID (Favero et al., 2403.14003)
has a gate, and a strength that grows as the picture is forgotten: exp(growth * t) - 1 after t tokens of an answer. Gates are
in CHASD (2605.23344), too.

Comparing choices: the same formula on their log-probabilities; calibrated, log p - strength * log q (Zhao et al., "Calibrate
Before Use", 2102.09690: what a choice has without content is a habit), once for every question text. What all choices have
together stays as it was.

Much of what was published for such methods is a shift towards "yes", or plain greedy decoding under another name: beta alone
turns sampling into it (Yin et al., "The Mirage of Performance Gains", 2504.10020). `skymm eval compare` judges accordingly.

transformers has a processor of this kind (`UnbatchedClassifierFreeGuidanceLogitsProcessor`), for one text-only prompt at a
time: it takes neither images nor padding, and knows neither gate nor plausibility.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor

from skymm.answering.protocol import Ask
from skymm.damage import blank, noised
from skymm.images import open_image
from skymm.recipe import ContrastRecipe


def with_less(ask: Ask, contrast: ContrastRecipe) -> Ask:
    """The same question with less of its images than there is: the one whose answer is taken off."""
    if contrast.kind == "blind":
        history = tuple(replace(turn, images=(), places=()) for turn in ask.history)
        return replace(ask, images=(), places=(), names=(), history=history)
    if contrast.kind == "calibrated":
        # One blank picture for all, so that what it says depends on the text alone, whatever is asked first.
        return replace(ask, images=(_blank(),) * len(ask.images))
    return replace(ask, images=tuple(_noised(image, contrast.noise_step, ask.id) for image in ask.images))


@lru_cache(maxsize=1)
def _blank() -> bytes:
    return _png(blank(Image.new("RGB", (336, 336))))


@lru_cache(maxsize=128)  # questions about one picture come one after another
def _noised(image: bytes, step: int, name: str) -> bytes:
    picture = open_image(image, f"image of {name}")
    return _png(noised(picture, step, hashlib.sha256(image).hexdigest()))


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


def strength_after(contrast: ContrastRecipe, written: int) -> float:
    """How much is taken off the token that follows so many of an answer."""
    if contrast.growth is None:
        return contrast.strength
    # Capped, so that long answers stay finite: long before, the difference alone counts.
    return contrast.strength * math.expm1(min(contrast.growth * written, 20.0))


def contrasted(seen_AV: Tensor, less_AV: Tensor, contrast: ContrastRecipe, written: Sequence[int]) -> Tensor:
    """Scores (A, V) of the next token from its logits with the picture and with less of it; -inf where it is not plausible.

    `written`: tokens that each of the A answers has so far. A row whose gate is closed keeps its logits.
    """
    strength_A1 = seen_AV.new_tensor([[strength_after(contrast, count)] for count in written], dtype=torch.float32)
    log_p, log_q = (torch.log_softmax(logits.float(), dim=-1) for logits in (seen_AV, less_AV))
    top_A1 = log_p.amax(-1, keepdim=True)
    mixed_AV = (1 + strength_A1) * log_p - strength_A1 * log_q
    if contrast.beta > 0:
        mixed_AV = mixed_AV.masked_fill(log_p < top_A1 + math.log(contrast.beta), -math.inf)
    return torch.where(top_A1.exp() < contrast.gate, mixed_AV, seen_AV.float())


def contrasted_choices(
    seen: Mapping[str, float], less: Mapping[str, float], contrast: ContrastRecipe
) -> dict[str, float]:
    """Log-probabilities of choices, which begin an answer, from those with the picture and with less of it."""
    if is_sure(seen, contrast):
        return dict(seen)
    strength = strength_after(contrast, 0)
    weight = 1 if contrast.kind == "calibrated" else 1 + strength
    mixed = {choice: weight * value - strength * less[choice] for choice, value in seen.items()}
    moved = _log_sum(seen) - _log_sum(mixed)
    return {choice: value + moved for choice, value in mixed.items()}


def is_sure(seen: Mapping[str, float], contrast: ContrastRecipe) -> bool:
    """Whether the gate is closed for these choices."""
    return math.exp(max(seen.values())) >= contrast.gate


def _log_sum(values: Mapping[str, float]) -> float:
    return float(torch.logsumexp(torch.tensor([*values.values()], dtype=torch.float64), 0))
