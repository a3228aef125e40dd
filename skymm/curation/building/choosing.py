"""Fourth step: which conversations are kept, what each picture is asked, in which order they lie, and in which shard.

Questions are balanced over all that is kept (negatives/balance.py), so they come after everything that leaves samples out. What
then has neither questions nor anything else to say goes, and the choice is made again without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.asking import askable_from_json, rules_of
from skymm.curation.building.jsonl import read_lines
from skymm.curation.building.order import scatter, shuffled
from skymm.curation.building.shares import Shares, Sort, keep
from skymm.curation.negatives.balance import Askable, Asked, balance
from skymm.recipe import DataRecipe

Pick = tuple[str, list[int], list[int], list[list[Asked]]]
"""A part, numbers of its lines, their places within the shard, and what each picture is asked."""
SOURCE, ANSWERS, CHINESE, DECIDED, NEGATIVE, ROOM = range(6)
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """`shards`: what lies in each. `kept`: by source, how many samples and questions, and how many went and why."""

    shards: Iterator[list[Pick]]
    kept: Mapping[str, Mapping[str, int]]


def choose(directory: Path, recipe: DataRecipe, lines: Sequence[Mapping[str, Any]]) -> Choice:
    """`lines`: the manifest's, of all parts of conversations.

    Raises ValueError where the shares cannot be met, and where nothing is left. Memory: some 50 bytes per conversation, and
    what may be asked of those that may be asked something.
    """
    names = list(recipe.sources)
    why = f"no sample came out of any source. {'; '.join(_why_none(recipe, name, lines) for name in names)}"
    if not any(line["conversations"] for line in lines):
        raise ValueError(why)
    sorts = np.concatenate([_sorts(directory, line, names.index(line["source"])) for line in lines])
    chosen, questions, silent = _Chooser(recipe, sorts, _askables(directory, lines)).choose()
    if not len(chosen):
        raise ValueError(f"{why}; and no two pictures have different answers to the same question")
    order = shuffled(chosen, f"{recipe.seed}/order")
    starts = np.cumsum([0, *(line["conversations"] for line in lines)])
    shards = (
        _picks(order[first : first + recipe.samples_per_shard], starts, lines, questions)
        for first in range(0, len(order), recipe.samples_per_shard)
    )
    kept = {}
    for number, name in enumerate(names):
        all_of_it = sorts[:, SOURCE] == number
        mine = chosen[all_of_it[chosen]]
        gone = np.setdiff1d(np.flatnonzero(all_of_it), mine)
        no_twin = int(np.isin(gone, silent).sum())
        asked = sum(len(questions.get(int(one), ())) for one in mine)
        kept[name] = {"samples": len(mine), "questions": asked, "no twin": no_twin, "shares": len(gone) - no_twin}
    return Choice(shards, kept)


def _why_none(recipe: DataRecipe, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """What became of the records of a source that gave no sample."""
    of_it = [line for line in lines if line["source"] == name]
    dropped = sum((Counter(line["dropped"]) for line in of_it), Counter())
    tasks = recipe.sources[name].tasks
    told = [f"{sum(line['silent'] for line in of_it)} records gave nothing for tasks = {list(tasks)}"]
    told += [f"{count} captions or conversations were left out: {reason}" for reason, count in dropped.most_common(5)]
    needs = {
        "captions": "captions need a source with captions",
        "turns": "turns need one with conversations",
        "negatives": "negatives need captions that name things, or boxes of which it is known what was looked for: COCO's own, "
        "lists of what is absent, or complete = true",
        "preferences": "preferences need boxes, or captions that name things",
    }
    return f"{name}: {', '.join(told)} ({', '.join(dict.fromkeys(needs[task] for task in tasks))})"


def _sorts(directory: Path, line: Mapping[str, Any], source: int) -> np.ndarray:
    """(conversations, 6): source, answers, Chinese ones, those that affirm or deny, negative ones, room for questions."""
    table = np.load(_file(directory, line, f"{line['part']}.npy"), allow_pickle=False)
    return np.column_stack([np.full(len(table), source, dtype=np.uint16), table]).astype(np.int64)


def _askables(directory: Path, lines: Sequence[Mapping[str, Any]]) -> list[Askable]:
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    files = [_file(directory, line, ".askable.jsonl") for line in lines]
    return [askable_from_json(data, known) for file in files for data in read_lines(file)]


def _file(directory: Path, line: Mapping[str, Any], suffix: str) -> Path:
    return directory / next(file for file in line["files"] if file.endswith(suffix))


class _Chooser:
    def __init__(self, recipe: DataRecipe, sorts: np.ndarray, askables: Sequence[Askable]) -> None:
        self.recipe, self.sorts, self.askables = recipe, sorts, askables
        self.rules = rules_of(recipe)

    def choose(self) -> tuple[np.ndarray, dict[int, list[Asked]], np.ndarray]:
        """Numbers of what is kept, in order, the questions of each that has some, and numbers of what has nothing to say."""
        everything = pool = np.arange(len(self.sorts))
        for _ in range(_ROUNDS):
            questions, alive = self._ask(pool)
            if not len(alive):
                return alive, {}, everything
            kept = chosen = self._within_shares(alive, questions)
            silent = np.setdiff1d(everything, alive)
            if len(chosen) == len(alive):
                break
            questions, kept = self._ask(chosen)
            gone = np.setdiff1d(chosen, kept)
            silent = np.union1d(silent, gone)
            if not len(gone):
                break
            pool = np.setdiff1d(pool, gone)
        return kept, questions, silent

    def _ask(self, those: np.ndarray) -> tuple[dict[int, list[Asked]], np.ndarray]:
        """The questions of these, and which of them then have anything to say."""
        able = [int(number) for number in those if self.askables[number]]
        # Captions and turns count where a share of all answers is wanted; without one, half of the questions are in Chinese.
        others = self.sorts[those].sum(axis=0) * (self.recipe.chinese_share is not None)
        asked = balance(
            [self.askables[number] for number in able],
            [int(self.sorts[number, ROOM]) for number in able],
            replace(self.rules, answers=int(others[ANSWERS]), chinese=int(others[CHINESE])),
            f"{self.recipe.seed}/questions",
        )
        questions = {number: those for number, those in zip(able, asked) if those}
        speaking = [self.sorts[number, ANSWERS] > 0 or int(number) in questions for number in those]
        return questions, those[np.array(speaking, dtype=bool)]

    def _within_shares(self, those: np.ndarray, questions: Mapping[int, Sequence[Asked]]) -> np.ndarray:
        recipe, names = self.recipe, list(self.recipe.sources)
        table = self.sorts[those].copy()
        table[:, ROOM] = [len(questions.get(int(number), ())) for number in those]
        kinds, kind_of, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
        sorts = [
            Sort(names[source], *map(int, (answers, chinese, negative, count, decided, asked)))
            for (source, answers, chinese, decided, negative, asked), count in zip(kinds, counts)
        ]
        shares = Shares(
            {name: source.share for name, source in recipe.sources.items() if source.share is not None},
            recipe.chinese_share,
            recipe.negative_share,
            recipe.num_samples,
        )
        # Questions have the share by themselves. Turns of sources that all lean to one side cannot have it: nothing is made up
        # to even them out, and no source is thrown away for it.
        decided, denied = table[:, DECIDED].sum(), table[:, NEGATIVE].sum()
        loose = replace(shares, negative=None)
        wanted = keep(sorts, shares if not questions or 0 < denied < decided else loose)
        left = {sort.source for sort, number in zip(sorts, wanted) if number}
        if questions and left < {sort.source for sort in sorts}:
            wanted = keep(sorts, loose)
        return those[_chosen(kind_of.reshape(-1), np.array(wanted), f"{recipe.seed}/keep").astype(np.int64)]


def _chosen(kind_of: np.ndarray, wanted: np.ndarray, seed: str) -> np.ndarray:
    """Numbers of the kept conversations: of each kind as many as wanted, those that the seed puts first."""
    indices = np.arange(len(kind_of), dtype=np.uint64)
    order = np.lexsort((scatter(indices, seed), kind_of))
    begins = np.searchsorted(kind_of[order], np.arange(len(wanted)))
    rank = np.arange(len(order)) - begins[kind_of[order]]
    return np.sort(indices[order[rank < wanted[kind_of[order]]]])


def _picks(
    order: np.ndarray, starts: np.ndarray, lines: Sequence[Mapping[str, Any]], questions: Mapping[int, list[Asked]]
) -> list[Pick]:
    part_of = np.searchsorted(starts, order, side="right") - 1
    picks = []
    for part in np.unique(part_of):
        places = np.flatnonzero(part_of == part)
        numbers = order[places].astype(np.int64) - int(starts[part])
        asked = [questions.get(int(number), []) for number in order[places]]
        picks.append((lines[part]["part"], numbers.tolist(), places.tolist(), asked))
    return picks
