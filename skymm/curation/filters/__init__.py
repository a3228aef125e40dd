"""What is kept out of training: bad words, bad pictures, evaluation data, pictures that nobody described; and duplicates.

`Filters` is all that a builder needs for one sample at a time; `duplicates` looks at all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence

from skymm.curation.filters import text
from skymm.curation.filters.agreement import Agreement
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.filters.pictures import header_reason, pixel_reason
from skymm.curation.record import Candidate, Outcome, Record
from skymm.recipe.data import FiltersRecipe


class Filters:
    """Two steps: `prune` before any picture is read, `sift` for the candidates that are left. Made once in each process.

    Raises ValueError when the recipe names evaluation sets and no index of them is given.
    """

    def __init__(self, recipe: FiltersRecipe, leakage: LeakageIndex | None = None) -> None:
        if recipe.leakage and leakage is None:
            raise ValueError(
                f"filters.leakage names {recipe.leakage}, and there is no index of their pictures and questions"
            )
        self.recipe, self._leakage = recipe, leakage
        self._agreement = Agreement(recipe.agreement) if recipe.agreement is not None else None

    def prune(self, record: Record, *, named: bool = False) -> Outcome:
        """The record without captions and turns that are bad in themselves. `named`: its language was said in the recipe."""
        return text.prune(record, self.recipe, named=named)

    def sift(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """One outcome for each candidate. What a check keeps out is not looked at by the next, dearer one.

        What stays may have lost captions: set `candidate.record = outcome.record` before asking for its signature.
        """
        reasons = [self._reason(candidate) for candidate in candidates]
        outcomes = [Outcome(None if reason else each.record, reason) for each, reason in zip(candidates, reasons)]
        left = [number for number, reason in enumerate(reasons) if reason is None]
        if self._agreement is not None and left:
            for number, outcome in zip(left, self._agreement.prune([candidates[number] for number in left])):
                outcomes[number] = outcome
        return outcomes

    def _reason(self, candidate: Candidate) -> str | None:
        return (
            header_reason(candidate, self.recipe)
            or pixel_reason(candidate, self.recipe)
            or (self._leakage.reason(candidate) if self._leakage is not None else None)
        )
