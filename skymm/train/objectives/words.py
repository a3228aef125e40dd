"""Latents name what the answers say, each thing in places of its own and in any order, without running the LLM.

Shape legend: B images, K latents, E embedding width, W words of the batch, S slots, P places of a slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skymm.conversation import BadSample, Conversation
from skymm.encoded import IGNORE, Encoded
from skymm.text import normalise, words

_BETWEEN = re.compile(r"[^\w\s'’-]+")
# They end a phrase and name nothing that could be seen. 红色的苹果 is one phrase: particles are only left out.
_FUNCTION_WORDS = frozenset(
    {"a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "to", "with", "is", "are", "there", "it", "this"}
    | {"that", "和", "与", "及", "或", "在", "有", "是", "一个"}
)
_PARTICLES = frozenset({"的", "了", "着"})

# Cosines are small numbers: one of _EVEN makes a word as likely as not. For every word that is said of an image there are
# dozens that are not, and for every slot with a phrase several without.
_TEMPERATURE, _EVEN, _SAID, _BLANK = 0.05, 0.3, 3.0, 0.3


@dataclass(frozen=True, slots=True)
class Words:
    """A warm-up for the resampler."""

    metrics: ClassVar[tuple[str, ...]] = ()
    why_padded: ClassVar[str | None] = "the LLM is not run"

    def encode(self, chat: Any, conversation: Conversation) -> list[Encoded]:
        """The places of one image, labelled with the phrases of the answers: each in a slot of its own, filled up with line
        breaks, which say nothing. What does not fit is cut, and one slot stays empty. The places of a language in which
        nothing is said are IGNORE. Raises BadSample for another number of images than one.
        """
        if len(conversation.images) != 1:
            found = f"{conversation.key}: {len(conversation.images)} images; the words objective needs one"
            raise BadSample(found, "not one image")
        count = chat.num_latents
        encoded = Encoded(conversation.key, [chat.image_token_id] * count, [IGNORE] * count, conversation.images)
        blank = chat.word_ids("\n")[-1]
        for chinese, (start, end, size) in enumerate(slots_of(count)):
            turns = [turn for turn in conversation.targets if (turn.language == "zh") == chinese]
            if not turns:
                continue
            # A blank before a word is how most vocabularies spell it inside a sentence, where questions will have it.
            found = [("" if chinese else " ") + phrase for turn in turns for phrase in phrases(turn.text)]
            ids = [chat.word_ids(phrase)[:size] for phrase in found[: (end - start) // size - 1]]
            labels = [label for phrase in ids for label in phrase + [blank] * (size - len(phrase))]
            encoded.labels[start:end] = labels + [blank] * (end - start - len(labels))
            encoded.targets.append((turns[0], start, end))
        return [encoded]

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """One loss for each labelled place; see `words_loss`."""
        features = model.look_at(inputs.get("pixel_values"), inputs.get("features"))
        latents_BKE = model.embed(inputs["input_ids"], features, inputs["image_positions"])
        losses = words_loss(latents_BKE, model.get_input_embeddings().weight, inputs["labels"])
        return losses.sum(), losses


def slots_of(num_latents: int) -> list[tuple[int, int, int]]:
    """(first place, end, places of a slot) for English and for Chinese, which takes more tokens in most vocabularies.

    Three tenths of an image's places are for English.
    """
    first = round(0.3 * num_latents)
    spans = ((0, first, 2), (first, num_latents, 4))
    return [(start, end, max(1, min(size, (end - start) // 2))) for start, end, size in spans]


def phrases(text: str) -> Iterator[str]:
    """What stands between marks and function words: "A red car and two dogs." -> "red car", "two dogs"."""
    for piece in _BETWEEN.split(normalise(text)):
        phrase: list[str] = []
        for word in [*words(piece), ""]:
            if word and word not in _FUNCTION_WORDS:
                phrase += [word] * (word not in _PARTICLES)
            elif phrase:
                yield (" " if phrase[0].isascii() else "").join(phrase)
                phrase = []


def words_loss(latents_BKE: Tensor, embedding_VE: Tensor, labels_BK: Tensor) -> Tensor:
    """How well latents name their words in the LLM's own embedding table, whatever slots the phrases of an image stand in.

    Slots of labels go to slots of latents at least cost, as objects to queries in DETR (Carion et al. 2020, arXiv
    2005.12872), for the things of a picture have no order. Then each place: cross entropy over the words of the batch, which
    tells words apart, plus twice the cosine distance to the right one: the LLM has to read it as that word, not as its
    nearest neighbour. And for each image a binary cross entropy of every word of the batch, as likely as latents are near
    it: a softmax alone sets the things of a picture against each other, and against the line break that most slots say.

    Args:
        latents_BKE: of B images. embedding_VE: the LLM's token embeddings. labels_BK: as `Words.encode` places them.

    Returns:
        losses of the labelled places in row-major order, fp32, shape (count,).
    """
    latents_BKE = F.normalize(latents_BKE.float(), dim=-1)
    losses_BK = latents_BKE.new_zeros(labels_BK.shape)
    vocabulary, index = labels_BK[labels_BK != IGNORE].unique(return_inverse=True)
    index_BK = labels_BK.new_full(labels_BK.shape, IGNORE).masked_scatter(labels_BK != IGNORE, index)
    words_WE = F.normalize(embedding_VE[vocabulary].float(), dim=-1)
    for start, end, size in slots_of(labels_BK.shape[1]):
        said = index_BK[:, end - 1] != IGNORE
        if said.any():
            cosines = latents_BKE[said] @ words_WE.T
            losses_BK[said, start:end] = _of_language(cosines, index_BK[said, start:end], start, size)
    return losses_BK[labels_BK != IGNORE]


def _of_language(cosines_BKW: Tensor, index_BR: Tensor, start: int, size: int) -> Tensor:
    """Losses of the R places from `start` on, of images of which something is said in their language; the last is blank."""
    num_images, room = index_BR.shape
    slots, blank = room // size, index_BR[0, -1]
    own_BRW = cosines_BKW[:, start : start + room]
    costs_BRW = 2 * (1 - own_BRW) - (own_BRW / _TEMPERATURE).log_softmax(-1)
    weights_BR = torch.where(index_BR == blank, _BLANK, 1.0)
    losses_BR = weights_BR * costs_BRW.gather(2, index_BR[..., None])[..., 0]
    placed_BSP = index_BR[:, : slots * size].unflatten(1, (slots, size))
    # [image, slot of latents, slot of labels, place]
    costs_BSPW = costs_BRW[:, : slots * size].unflatten(1, (slots, size))[:, :, None].expand(-1, -1, slots, -1, -1)
    moved_BSSP = costs_BSPW.gather(4, placed_BSP[:, None, :, :, None].expand(-1, slots, -1, -1, 1))[..., 0]
    moved_BSSP = moved_BSSP * weights_BR[:, : slots * size].unflatten(1, (slots, size))[:, None]
    latent_BS = _matched(moved_BSSP.sum(-1))
    label_S = torch.arange(slots, device=index_BR.device)
    matched_BSP = moved_BSSP[torch.arange(num_images, device=index_BR.device)[:, None], latent_BS, label_S]
    losses_BR = torch.cat([matched_BSP.flatten(1), losses_BR[:, slots * size :]], dim=1)

    words_W = index_BR[index_BR != blank].unique()
    is_said_BW = F.one_hot(index_BR, cosines_BKW.shape[-1]).amax(1)[:, words_W]
    likely_BW = (cosines_BKW[..., words_W] / _TEMPERATURE).logsumexp(1) - _EVEN / _TEMPERATURE
    said_BW = _SAID * F.softplus(-likely_BW) + 2 * (1 - cosines_BKW[..., words_W].amax(1))
    named_B1 = torch.where(is_said_BW > 0, said_BW, F.softplus(likely_BW)).sum(1, keepdim=True)
    return losses_BR + named_B1 / is_said_BW.sum(1, keepdim=True).clamp(min=1)


def _matched(costs_BSS: Tensor) -> Tensor:
    """For each slot of labels the slot of latents, at least cost in sum. Costs that are no numbers are left to whoever looks at
    the loss.
    """
    from scipy.optimize import linear_sum_assignment

    latents = [linear_sum_assignment(costs.T)[1] for costs in costs_BSS.detach().nan_to_num().cpu().numpy()]
    return torch.as_tensor(np.stack(latents), device=costs_BSS.device)
