"""What a stage learns: how a conversation becomes what is read, and what is wrong with what a model makes of it.

Nobody else asks a recipe for its `objective`.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from skymm.conversation import Conversation
from skymm.encoded import Encoded
from skymm.recipe import StageRecipe
from skymm.train.objectives.answers import Answers
from skymm.train.objectives.preference import Preference
from skymm.train.objectives.words import Words


class Objective(Protocol):
    """One for each value of `objective`. It travels to data workers by pickle.

    `why_padded`: why conversations cannot stand in one row; None where they can. `metrics`: what is measured beside the
    loss; where there is something, answers are compared in pairs, and `losses` has a column for each behind the loss.
    """

    why_padded: str | None
    metrics: tuple[str, ...]

    def encode(self, chat: Any, conversation: Conversation) -> list[Encoded]:
        """The segments that are read together, by the model's ChatEncoder. Raises ValueError, BadSample with a reason."""

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """(sum of the losses, losses one by one in the order of the batch's groups), both with their graph.

        `inputs`: of a Batch, on the model's device. None in place of the second where only the sum is known.
        """


def objective_of(recipe: StageRecipe) -> Objective:
    """What the recipe asks for. Raises ValueError where the objective cannot do what it says."""
    if recipe.objective == "preference":
        return Preference.of(recipe)
    return {"answers": Answers(recipe.max_length, recipe.liger), "words": Words()}[recipe.objective]
