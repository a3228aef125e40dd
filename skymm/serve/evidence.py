"""Where in a picture the answer to a yes/no question comes from: a map that is shown only if it passed a test.

Blocks of patch features are occluded, between the towers and the resampler, and the log-odds of the answer are read again: a
block without which they fall is evidence. The towers look once, and all versions of the picture are one batch. Occlusion is
Zeiler & Fergus (arXiv 1311.2901), here of features instead of pixels; the test is a deletion test (Petsiuk et al., RISE,
1806.07421) against chance: taking away what the map marks must cost the answer more than taking away as much elsewhere.
Whether a map that passed also points at the thing that was asked for is another question, which `Pointing` answers where
boxes are known (the pointing game of Zhang et al., 1608.00507).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from PIL import Image
from torch import Tensor

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer

CELLS = 7  # a map has at most as many rows and columns
DRAWS = 20  # random deletions: a map without any meaning passes once in 21 times
LEAST = 0.2  # log-odds that deleting must cost: less moves no probability by more than five points
_BATCH = 32  # versions of a picture in one forward pass
Box = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the picture's sides
Cells = frozenset[int]  # row by row


@dataclass(frozen=True, slots=True)
class EvidenceMap:
    """How much the log-odds of an answer fall without each cell of a picture, and how the map did in its test.

    `cost` (side * side) is in nats, row by row; `marked` are the cells that it points out; `deleted` is what taking all of
    them away at once costs, and `by_chance` what random deletions of as many cells cost.
    """

    side: int
    answer: str
    log_odds: float
    cost: tuple[float, ...]
    marked: Cells
    deleted: float
    by_chance: tuple[float, ...]

    @property
    def beaten(self) -> int:
        """How many random deletions cost less."""
        return sum(other < self.deleted for other in self.by_chance)

    @property
    def passed(self) -> bool:
        """Whether the map is to be trusted."""
        return passes(self.deleted, self.by_chance)

    @property
    def peak(self) -> tuple[float, float]:
        """The middle of the costliest cell, as shares of the picture's width and height."""
        row, column = divmod(max(range(len(self.cost)), key=lambda cell: self.cost[cell]), self.side)
        return (column + 0.5) / self.side, (row + 0.5) / self.side

    def over(self, picture: Image.Image) -> Image.Image:
        """The picture with the marked cells lit and in their colours, the others gray and dark."""
        small = Image.new("L", (self.side, self.side))
        most = max(max(self.cost), 1e-9)
        small.putdata(
            [
                round(255 * (0.4 + 0.6 * max(0.0, one) / most)) * (cell in self.marked)
                for cell, one in enumerate(self.cost)
            ]
        )
        gray = picture.convert("L").point(lambda value: value * 0.4).convert("RGB")
        return Image.composite(picture.convert("RGB"), gray, small.resize(picture.size, Image.Resampling.BICUBIC))


class Occlusion:
    """One picture of a question with two choices, whose cells can be hidden: what does the likelier answer lose?

    Raises ValueError for an ask that has not one image and two choices, and for towers that give less than 2 x 2 patches.
    """

    def __init__(self, answerer: SkyMMAnswerer, ask: Ask):
        if len(ask.images) != 1 or len(ask.choices) != 2:
            found = f"{len(ask.images)} images and the choices {ask.choices}"
            raise ValueError(f"{ask.id}: found {found}, expected one image and two choices")
        self._answerer, self._ask = answerer, ask
        self._grids = [tower.grid for tower in answerer.model.towers]
        self.side = min(CELLS, *(min(grid) for grid in self._grids))
        if self.side < 2:
            raise ValueError(
                f"{answerer.name}: its towers give {self._grids} patches, too few to say where anything is"
            )
        self._features = answerer.features_of(ask)
        (whole,) = answerer.choose_by(ask, self._features)
        self.answer = max(whole, key=lambda choice: whole[choice])
        self.log_odds = self._log_odds(whole)

    def cost(self, hidden: Sequence[Cells]) -> list[float]:
        """How much the log-odds fall with these cells hidden, each set of them for itself."""
        found: list[float] = []
        for first in range(0, len(hidden), _BATCH):
            part = hidden[first : first + _BATCH]
            versions = [_without(one, grid, self.side, part) for one, grid in zip(self._features, self._grids)]
            found += (self.log_odds - self._log_odds(one) for one in self._answerer.choose_by(self._ask, versions))
        return found

    def test(self, marked: Cells, seed: int = 0) -> tuple[float, tuple[float, ...]]:
        """What hiding these cells costs, and what random ones cost: of a map `deleted` and `by_chance`."""
        deleted, *by_chance = self.cost([marked, *_elsewhere(marked, self.side, random.Random(seed))])
        return deleted, tuple(by_chance)

    def _log_odds(self, choices: dict[str, float]) -> float:
        (other,) = choices.keys() - {self.answer}
        return choices[self.answer] - choices[other]


def evidence_map(picture: Occlusion) -> EvidenceMap:
    """The map with its test."""
    windows = list(_windows(picture.side))
    falls = picture.cost(windows)
    cost = []
    for cell in range(picture.side**2):
        covering = [fall for window, fall in zip(windows, falls) if cell in window]
        cost.append(sum(covering) / len(covering))
    marked = _marked(cost)
    return EvidenceMap(picture.side, picture.answer, picture.log_odds, tuple(cost), marked, *picture.test(marked))


def passes(deleted: float, by_chance: Sequence[float]) -> bool:
    """Whether deleting costs something, and more than every random deletion."""
    return deleted >= LEAST and all(other < deleted for other in by_chance)


def _windows(side: int) -> Iterator[Cells]:
    """Overlapping squares of 2 x 2 cells, which hide more of a thing than single ones; single cells where there are few.

    Those at the edges hang over, so that every cell is in four of them.
    """
    if side <= 3:
        yield from (frozenset({cell}) for cell in range(side * side))
        return
    for top, left in product(range(-1, side), repeat=2):
        rows, columns = (range(max(0, first), min(side, first + 2)) for first in (top, left))
        yield frozenset(row * side + column for row in rows for column in columns)


def _marked(cost: Sequence[float]) -> Cells:
    """Cells that cost at least half of what the costliest does, a quarter of the picture at most."""
    ranked = sorted(range(len(cost)), key=lambda cell: -cost[cell])[: max(1, len(cost) // 4)]
    return frozenset(cell for cell in ranked if cost[cell] >= cost[ranked[0]] / 2)


def _elsewhere(marked: Cells, side: int, rng: random.Random) -> list[Cells]:
    """As many other cells at random: half of the draws scattered, half of the same shape, moved and wrapped around the edges.

    Scattered cells leave something of everything, so the same shape is the harder rival.
    """
    found: list[Cells] = []
    while len(found) < DRAWS:
        drawn = frozenset(rng.sample(range(side * side), len(marked)))
        if len(found) % 2:
            down, right = rng.randrange(side), rng.randrange(side)
            drawn = frozenset((cell // side + down) % side * side + (cell + right) % side for cell in marked)
        if 2 * len(drawn & marked) <= len(marked):  # mostly somewhere else
            found.append(drawn)
    return found


def _without(features_1NC: Tensor, grid: tuple[int, int], side: int, occluded: Sequence[Cells]) -> Tensor:
    """Versions (V, N, C): a patch whose middle lies in an occluded cell becomes the mean of the picture's patches."""
    rows, columns = grid
    cell_of = [
        int((row + 0.5) / rows * side) * side + int((column + 0.5) / columns * side)
        for row in range(rows)
        for column in range(columns)
    ]
    hidden_VN = torch.tensor([[cell in cells for cell in cell_of] for cells in occluded], device=features_1NC.device)
    return torch.where(hidden_VN[..., None], features_1NC.mean(1, keepdim=True), features_1NC)
