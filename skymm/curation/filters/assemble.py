"""All filters of a recipe, the cheap ones first."""

from __future__ import annotations

from collections.abc import Sequence

from skymm.curation.candidate import Candidate, Check
from skymm.curation.filters import text
from skymm.curation.filters.agreement import Agreement
from skymm.curation.filters.image import header_check, pixel_check
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.filters.outcome import Outcome
from skymm.curation.record import Record
from skymm.recipe.data import FiltersRecipe


def checks_of(recipe: FiltersRecipe, leakage: LeakageIndex | None = None) -> list[tuple[str, Check]]:
    """(name, check) of what keeps a whole sample out, in the order in which to ask."""
    checks = [("header", header_check(recipe)), ("pixels", pixel_check(recipe))]
    return checks + ([("leakage", leakage.check())] if leakage is not None else [])


class Filters:
    """Two steps: `prune` before any picture is read, `sift` for the candidates that are left. Made once in each process.

    Raises ValueError when the recipe names evaluation sets and no index of them is given.
    """

    def __init__(self, recipe: FiltersRecipe, leakage: LeakageIndex | None = None) -> None:
        if recipe.leakage and leakage is None:
            raise ValueError(
                f"filters.leakage names {recipe.leakage}, and there is no index of their pictures and questions"
            )
        self.recipe = recipe
        self._checks = checks_of(recipe, leakage)
        self._agreement = Agreement(recipe.agreement) if recipe.agreement is not None else None

    def prune(self, record: Record, *, named: bool = False) -> Outcome:
        """The record without captions and turns that are bad in themselves. `named`: its language was said in the recipe."""
        return text.prune(record, self.recipe, named=named)

    def sift(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """One outcome for each candidate. Whatever a check keeps out is not looked at by the next; pictures are decoded once.

        What stays may have lost captions: set `candidate.record = outcome.record` before asking for its signature.
        """
        outcomes = [Outcome(candidate.record) for candidate in candidates]
        left = list(range(len(candidates)))
        for _, check in self._checks:
            for number, reason in zip(left, check([candidates[number] for number in left])):
                if reason is not None:
                    outcomes[number] = Outcome(None, reason)
            left = [number for number in left if outcomes[number].record is not None]
        if self._agreement is not None and left:
            for number, outcome in zip(left, self._agreement.prune([candidates[number] for number in left])):
                outcomes[number] = outcome
        return outcomes
