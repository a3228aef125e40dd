"""The fourth step: which conversations are kept, what each picture is asked, in which order they lie, and in which shard.

Questions are balanced over all that is kept (negatives/balance.py), so they come after everything that leaves samples out. What
then has neither questions nor anything else to say goes, and the choice is made again without it.

How many samples of each sort are kept so that the shares that a recipe wants come true, and as many as possible stay, is a
linear program over sorts of samples (all that have the same source and the same numbers of answers per language and polarity);
a second one spreads what has to go evenly, so that a share is not met by dropping all long conversations.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.converse import askable_from_json, rules_of
from skymm.curation.building.manifest import file_of
from skymm.curation.building.storage import read_lines
from skymm.curation.negatives.balance import Askable, Asked, balance
from skymm.recipe import DataRecipe

Pick = tuple[str, int, list[Asked]]
"""A part of conversations, the number of a line of it, and what its picture is asked."""
SOURCE, ANSWERS, CHINESE, DECIDED, NEGATIVE, ROOM = range(6)
ASKED = ROOM  # once it is known how many questions came into the room
_ROUNDS = 5
_NEEDS = {
    "captions": "captions need a source with captions",
    "names": "names need boxes or facts",
    "turns": "turns need one with conversations",
    "negatives": "negatives need captions that name things, or boxes of which it is known what was looked for: COCO's own, "
    "lists of what is absent, or complete = true",
    "preferences": "preferences need boxes, or captions that name things",
}


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
    sorts, askables = _conversations(directory, names, lines)
    chosen, questions, silent = _Chooser(recipe, sorts, askables).choose()
    if not len(chosen):
        raise ValueError(f"{why}; and no two pictures have different answers to the same question")
    order = shuffled(chosen, f"{recipe.seed}/order")
    starts = np.cumsum([0, *(line["conversations"] for line in lines)])

    def pick(number: int) -> Pick:
        part = int(np.searchsorted(starts, number, side="right")) - 1
        return lines[part]["part"], number - int(starts[part]), questions.get(number, [])

    shards = (
        [pick(int(number)) for number in order[first : first + recipe.samples_per_shard]]
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
    return f"{name}: {', '.join(told)} ({', '.join(dict.fromkeys(_NEEDS[task] for task in tasks))})"


def _conversations(
    directory: Path, names: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, list[Askable]]:
    """[conversations, 6]: source, answers, Chinese ones, those that affirm or deny, negative ones, room for questions; and
    what each may be asked.
    """
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    askables: list[Askable] = []
    tables = []
    for line in lines:
        source, sorts = names.index(line["source"]), []
        for data in read_lines(file_of(directory, line["files"], ".jsonl")):
            sorts.append((source, *data["sort"]))
            askables.append(askable_from_json(data["askable"], known))
        tables.append(np.array(sorts, dtype=np.int64).reshape(-1, 6))
    return np.concatenate(tables), askables


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
        recipe, names = self.recipe, np.array(list(self.recipe.sources))
        table = self.sorts[those].copy()
        table[:, ASKED] = [len(questions.get(int(number), ())) for number in those]
        sorts, sort_of, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
        named = names[sorts[:, SOURCE]]
        wanted_of = {name: source.share for name, source in recipe.sources.items() if source.share is not None}
        shares = Shares(wanted_of, recipe.chinese_share, recipe.negative_share, recipe.num_samples)
        # Questions have the share by themselves. Turns of sources that all lean to one side cannot have it: nothing is made up
        # to even them out, and no source is thrown away for it.
        decided, denied = table[:, DECIDED].sum(), table[:, NEGATIVE].sum()
        loose = replace(shares, negative=None)
        wanted = keep(named, sorts, counts, shares if not questions or 0 < denied < decided else loose)
        if questions and set(named[wanted > 0]) < set(named):
            wanted = keep(named, sorts, counts, loose)
        return those[_chosen(sort_of.reshape(-1), wanted, f"{recipe.seed}/keep").astype(np.int64)]


def _chosen(sort_of: np.ndarray, wanted: np.ndarray, seed: str) -> np.ndarray:
    """Numbers of the kept conversations: of each sort as many as wanted, those that the seed puts first."""
    indices = np.arange(len(sort_of), dtype=np.uint64)
    order = np.lexsort((scatter(indices, seed), sort_of))
    begins = np.searchsorted(sort_of[order], np.arange(len(wanted)))
    rank = np.arange(len(order)) - begins[sort_of[order]]
    return np.sort(indices[order[rank < wanted[sort_of[order]]]])


# --- orders -----------------------------------------------------------------------------------------------------------------


def scatter(indices: np.ndarray, seed: str) -> np.ndarray:
    """A pseudo-random uint64 for each uint64 index (splitmix64 of the index plus a hash of the seed).

    Sorting by it shuffles. Two indices never get the same number, so ties cannot happen.
    """
    start = np.uint64(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    with np.errstate(over="ignore"):
        mixed = indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def shuffled(indices: np.ndarray, seed: str) -> np.ndarray:
    """The indices in an order that the seed decides."""
    return indices[np.argsort(scatter(indices, seed), kind="stable")]


# --- shares -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shares:
    """What a recipe wants. `sources`: of the samples, for those sources that say so; the others: of all answers."""

    sources: Mapping[str, float]
    chinese: float | None = None
    negative: float | None = None
    num_samples: int | None = None


def keep(named: np.ndarray, sorts: np.ndarray, counts: np.ndarray, shares: Shares) -> np.ndarray:
    """How many samples of each sort are kept: whole numbers, which meet the shares but for rounding.

    `named`: [sorts], the source of each; `sorts`: [sorts, 6], what one sample of it has (SOURCE, ANSWERS, ...), where questions
    come on top of answers, in whichever language is wanted; `counts`: [sorts], how many samples there are.

    Raises ValueError, saying what the samples would allow, where no mixture meets them all, or not with `num_samples`.
    """
    count = counts.astype(float)
    balance, limits = _balance(named, sorts, shares)
    total = _most(count, balance, limits, shares.num_samples)
    if total is None or total < 1:
        raise ValueError(_why_impossible(named, sorts, counts, shares))
    if shares.num_samples is not None and total < shares.num_samples - 0.5:
        raise ValueError(
            f"num_samples is {shares.num_samples}, but with these shares the {counts.sum()} samples that there are give "
            f"{int(total)} at most; lower num_samples, change the shares, or add data to what is short"
        )
    kept = _even(named, count, balance, limits, total, free=set(named) - shares.sources.keys())
    # Whole numbers whose running sums differ by at most a half from those of the given ones.
    return np.diff(np.floor(np.cumsum(np.round(kept, 6)) + 0.5).astype(int), prepend=0)


def _balance(named: np.ndarray, sorts: np.ndarray, shares: Shares) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose product with the numbers of kept samples is zero when a share is met, and rows where it is at most zero."""
    _, answers, chinese, decided, negative, asked = sorts.T.astype(float)
    rows = [(named == name) - share for name, share in shares.sources.items()]
    limits: list[np.ndarray] = []
    if shares.chinese is not None:
        least = chinese - shares.chinese * (answers + asked)
        if asked.any():
            limits = [least, -least - asked]
        else:
            rows.append(least)
    if shares.negative is not None:
        rows.append(negative - shares.negative * decided)
    return np.array(rows).reshape(-1, len(sorts)), np.array(limits).reshape(-1, len(sorts))


def _most(count: np.ndarray, balance: np.ndarray, limits: np.ndarray, limit: int | None) -> float | None:
    """The largest number of samples that meets the balance; None: none does."""
    from scipy.optimize import linprog

    upper = np.vstack([limits, np.ones((int(limit is not None), len(count)))])
    most = np.append(np.zeros(len(limits)), [] if limit is None else [float(limit)])
    bounds = list(zip(np.zeros(len(count)), count))
    solved = linprog(-np.ones(len(count)), upper, most, balance, np.zeros(len(balance)), bounds)
    return -solved.fun if solved.status == 0 else None


def _even(
    named: np.ndarray, count: np.ndarray, balance: np.ndarray, limits: np.ndarray, total: float, free: set[str]
) -> np.ndarray:
    """Kept numbers x with that total whose mixture within each source differs least, in the worst case, from the source's;
    and, as far as that leaves it open, from each source of `free` (without a share of its own) the same part.

    Variables: x, then y (kept per source), then t and u; |x - y * count / size of the source| <= t * count, and for the free
    ones |y - their sum * size / their sizes| <= u * size.
    """
    from scipy.optimize import linprog
    from scipy.sparse import bmat, csr_matrix, diags, identity

    sources = np.unique(named)
    member = csr_matrix((named == sources[:, None]).astype(float))
    num_sources = len(sources)
    fair = diags(count) @ member.T @ diags(1 / (member @ count))
    slack = csr_matrix(-count[:, None])
    one = identity(len(count))
    is_free = np.isin(sources, list(free))
    size = (member @ count) * is_free
    apart = csr_matrix(np.diag(is_free.astype(float)) - np.outer(size / max(1.0, size.sum()), is_free))

    def alone(rows: np.ndarray) -> list[csr_matrix]:
        """Rows about x only."""
        return [csr_matrix(rows), csr_matrix((len(rows), num_sources)), csr_matrix((len(rows), 2))]

    equalities = [alone(np.ones((1, len(count)))), [member, -identity(num_sources), csr_matrix((num_sources, 2))]]
    slack, far = bmat([[slack, csr_matrix((len(count), 1))]]), np.stack([np.zeros(num_sources), -size], axis=1)
    upper = [[one, -fair, slack], [-one, fair, slack], [None, apart, csr_matrix(far)], [None, -apart, csr_matrix(far)]]
    solved = linprog(
        np.append(np.zeros(len(count) + num_sources), [1.0, 0.01]),
        bmat(upper + ([alone(limits)] if len(limits) else [])).tocsr(),
        np.zeros(2 * len(count) + 2 * num_sources + len(limits)),
        bmat(equalities + ([alone(balance)] if len(balance) else [])).tocsr(),
        np.append(total, np.zeros(num_sources + len(balance))),
        bounds=[*((0.0, most) for most in count), *[(0.0, None)] * (num_sources + 2)],
    )
    assert solved.status == 0, solved.message  # the first program found a solution
    return solved.x[: len(count)]


def _why_impossible(named: np.ndarray, sorts: np.ndarray, counts: np.ndarray, shares: Shares) -> str:
    """Each share alone, and what it would have to be."""
    told = [
        f"{name} is {share:g} of the samples, and there are none of it"
        for name, share in shares.sources.items()
        if name not in named
    ]
    _, answers, chinese, decided, negative, asked = sorts.T
    for field, wanted, least, most, whole in (
        ("chinese_share", shares.chinese, chinese, chinese + asked, answers + asked),
        ("negative_share", shares.negative, negative, negative, decided),
    ):
        if wanted is not None:
            some = whole > 0
            low, high = (least[some] / whole[some], most[some] / whole[some]) if some.any() else (np.zeros(1),) * 2
            told.append(f"{field} is {wanted:g}, single samples have between {low.min():.2f} and {high.max():.2f}")
    return (
        f"no mixture of the {counts.sum()} samples meets all shares: {'; '.join(told)}. Add data to what is short, or change "
        "the shares"
    )
