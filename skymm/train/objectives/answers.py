"""Next token through the LLM, over the answers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from skymm.conversation import Conversation
from skymm.encoded import IGNORE, Encoded
from skymm.model.loss import gathered_cross_entropy, liger_cross_entropy


@dataclass(frozen=True, slots=True)
class Answers:
    """`max_length`: of a conversation, in tokens. `liger`: the loss by Liger's fused kernel, which gives its sum alone."""

    max_length: int
    liger: bool = False
    metrics: ClassVar[tuple[str, ...]] = ()
    why_padded: ClassVar[str | None] = None

    def encode(self, chat: Any, conversation: Conversation) -> list[Encoded]:
        """The whole conversation in the LLM's own chat form. Raises BadSample where it cannot fit."""
        encoded = chat.encode(conversation, max_length=self.max_length)
        assert encoded.labels[0] == IGNORE, (
            "a template writes something before an answer, which predicts its first token"
        )
        return [encoded]

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """One loss for each label. Padding stands right and attention is causal, so no real token ever sees it."""
        rest = {
            name: value for name, value in inputs.items() if name not in ("labels", "label_positions", "attention_mask")
        }
        hidden_BTE = model.hidden_states(**rest, use_cache=False).last_hidden_state
        given = (hidden_BTE, model.head, inputs["labels"], inputs["label_positions"])
        if self.liger:
            return liger_cross_entropy(*given), None
        losses = gathered_cross_entropy(*given)
        return losses.sum(), losses
