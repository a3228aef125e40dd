"""Latents name what the answers say, in the LLM's own embedding table, without running the LLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from skymm.conversation import Conversation
from skymm.encoded import Encoded
from skymm.model.loss import words_loss


@dataclass(frozen=True, slots=True)
class Words:
    """A warm-up for the resampler."""

    metrics: ClassVar[tuple[str, ...]] = ()
    why_padded: ClassVar[str | None] = "the LLM is not run"

    def encode(self, chat: Any, conversation: Conversation) -> list[Encoded]:
        """The positions of one image, labelled with words. Raises BadSample for another number of images."""
        return [chat.encode_words(conversation)]

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """One loss for each latent that has a word; see `words_loss`."""
        features = model.look_at(inputs.get("pixel_values"), inputs.get("features"))
        latents_BTE = model.embed(inputs["input_ids"], features, inputs["image_positions"])
        losses = words_loss(latents_BTE, model.get_input_embeddings().weight, inputs["labels"])
        return losses.sum(), losses
