"""The chosen answer rather than the rejected one: DPO, and what mDPO adds so that the picture is what decides.

With r(answer) = log p(answer) - log p(answer) under the model that the stage starts from, summed over the answer's tokens:

    loss = -log sigmoid(beta * (r(chosen) - r(rejected)))                            DPO (arXiv 2305.18290, equation 7)
         + image_weight * -log sigmoid(beta * (r(chosen) - r(chosen, damaged picture)))    mDPO (2406.11839, equation 5)
         + anchor_weight * -log sigmoid(beta * r(chosen))                                  mDPO (equation 6, delta = 0)
         + sft_weight * mean over the tokens of -log p(chosen)

r(chosen, damaged picture) compares with the same model at the same damaged picture. A pair without pictures has no such term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from skymm.conversation import BadSample, Conversation
from skymm.damage import noised
from skymm.data.stream import UNWANTED
from skymm.encoded import IGNORE, Encoded
from skymm.recipe import PreferenceRecipe, StageRecipe
from skymm.train.objectives.answers import Answers

METRICS = ("reward_margin", "accuracy", "chosen_log_ratio", "rejected_log_ratio")
"""beta * (r(chosen) - r(rejected)), how often it is above 0, and both r, in nats."""


@dataclass(frozen=True, slots=True)
class Preference:
    """`answers`: how answers are encoded, and their losses. `languages`: of the answers that are compared."""

    answers: Answers
    terms: PreferenceRecipe
    languages: tuple[str, ...]
    seed: int
    why_padded: ClassVar[str | None] = None
    metrics: ClassVar[tuple[str, ...]] = METRICS

    @classmethod
    def of(cls, recipe: StageRecipe) -> Preference:
        """Raises ValueError for a recipe that says what a preference cannot be."""
        if recipe.init is None:
            raise ValueError(
                'objective = "preference" needs `init`: what an answer gains is told by comparing with the model that the '
                "stage starts from, and a new one has nothing to say yet"
            )
        asked = {name: getattr(recipe, name) for name in ("negative_share", "max_turns", "liger")}
        unfit = [name for name, value in asked.items() if value is not None and value is not False]
        if unfit:
            raise ValueError(f'{unfit[0]} does nothing with objective = "preference"; leave it out')
        return cls(Answers(recipe.max_length), recipe.preference, tuple(recipe.languages), recipe.seed)

    def encode(self, chat: Any, conversation: Conversation) -> list[Encoded]:
        """The conversation with its chosen and with its rejected answer, of which alone is learned.

        Raises BadSample where no answer is rejected, both are the same, their language is not wanted, or they cannot fit.
        """
        *before, chosen = conversation.turns
        rejected = conversation.extra.get("rejected")
        if chosen.language not in (None, *self.languages):
            raise BadSample(f"{conversation.key}: the chosen answer is in {chosen.language!r}", UNWANTED)
        if not isinstance(rejected, str) or not rejected.strip() or chosen.role != "assistant":
            raise BadSample(f"{conversation.key}: `rejected` is {rejected!r}, expected a text", "no rejected answer")
        if rejected.strip() == chosen.text.strip():
            raise BadSample(f"{conversation.key}: chosen and rejected are the same: {rejected[:60]!r}", "equal answers")
        pair = [conversation, replace(conversation, turns=(*before, replace(chosen, text=rejected)))]
        both = [self.answers.encode(chat, one)[0] for one in pair]
        kept, had = min(len(one.targets) for one in both), len(conversation.targets)
        if any(len(one.targets) > kept for one in both):  # the same questions are left out before both
            both = [self.answers.encode(chat, one.with_pairs(range(had - kept, had)))[0] for one in pair]
        for one in both:
            one.targets = one.targets[-1:]
            first = one.targets[0][1]
            one.labels[:first] = [IGNORE] * first
        # The rejected one begins with the position that predicts its first token.
        before_it = takewhile(lambda ids: ids[0] == ids[1], zip(both[0].ids, both[1].ids[: both[1].targets[0][1] - 1]))
        shared = sum(1 for _ in before_it)
        if chat.image_token_id not in both[1].ids[shared:]:
            both[1].shared = shared
        return both

    @property
    def damage(self) -> Callable[[Image.Image, str], Image.Image] | None:
        """Picture, its key -> what the chosen answer is set against, the same every time; None: there is no such term."""
        return partial(_noised, self.terms.damage_step, self.seed) if self.terms.image_weight else None

    def log_probs(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """Of the answers (chosen, rejected, chosen, rejected, ...), then of the chosen ones at damaged pictures; fp32."""
        ours = ("answer_lengths", "reference", "damaged")
        _, losses = self.answers.losses(model, {name: value for name, value in inputs.items() if name not in ours})
        return -torch.segment_reduce(losses, "sum", lengths=inputs["answer_lengths"], unsafe=True)

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """(sum of the losses of the pairs, (P, 1 + metrics): the loss of each, and what the log shows of it)."""
        terms, reference_P3 = self.terms, inputs["reference"]
        answers = self.log_probs(model, inputs)
        count = len(reference_P3)
        ratios_P2 = answers[: 2 * count].view(count, 2) - reference_P3[:, :2]
        chosen_P, rejected_P = ratios_P2.unbind(1)
        losses_P = -F.logsigmoid(terms.beta * (chosen_P - rejected_P))
        if terms.anchor_weight:
            losses_P = losses_P - terms.anchor_weight * F.logsigmoid(terms.beta * chosen_P)
        if terms.sft_weight:
            lengths_P = inputs["answer_lengths"][: 2 * count : 2]
            losses_P = losses_P - terms.sft_weight * answers[: 2 * count : 2] / lengths_P
        if "damaged" in inputs:
            which_D = inputs["damaged"]
            gain_D = chosen_P[which_D] - (answers[2 * count :] - reference_P3[which_D, 2])
            losses_P = losses_P.index_add(0, which_D, -terms.image_weight * F.logsigmoid(terms.beta * gain_D))
        margin_P = terms.beta * (chosen_P - rejected_P)
        shown = torch.stack([losses_P, margin_P, (margin_P > 0).float(), chosen_P, rejected_P], 1)
        return losses_P.sum(), shown


def _noised(step: int, seed: int, image: Image.Image, key: str) -> Image.Image:
    return noised(image, step, f"{seed}/{key}")
