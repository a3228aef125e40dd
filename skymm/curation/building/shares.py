"""How many samples of each sort are kept so that the shares that a recipe wants come true, and as many as possible stay.

A linear program over sorts of samples (all that have the same source and the same numbers of answers per language and
polarity), and a second one that spreads what has to go evenly, so that a share is not met by dropping all long conversations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Sort:
    """`count` samples that are alike for balancing. `answers` are those of one sample, `chinese` and `negative` among them;
    `decided` affirm or deny (None: all). `questions` come on top, in whichever language is wanted.
    """

    source: str
    answers: int
    chinese: int
    negative: int
    count: int
    decided: int | None = None
    questions: int = 0

    @property
    def total(self) -> int:
        return self.answers + self.questions

    def share_of(self, field: str) -> tuple[float, float] | None:
        """The least and the most that it can have of "chinese" or "negative"."""
        if field == "chinese":
            return (self.chinese / self.total, (self.chinese + self.questions) / self.total) if self.total else None
        decided = self.answers if self.decided is None else self.decided
        return (self.negative / decided, self.negative / decided) if decided else None


@dataclass(frozen=True, slots=True)
class Shares:
    """What a recipe wants. `sources`: of the samples, for those sources that say so; the others: of all answers."""

    sources: Mapping[str, float]
    chinese: float | None = None
    negative: float | None = None
    num_samples: int | None = None


def keep(sorts: Sequence[Sort], shares: Shares) -> list[int]:
    """How many samples of each sort are kept: whole numbers, which meet the shares but for rounding.

    Raises ValueError, saying what the samples would allow, where no mixture meets them all, or not with `num_samples`.
    """
    count = np.array([sort.count for sort in sorts], dtype=float)
    balance, limits = _balance(sorts, shares)
    total = _most(count, balance, limits, shares.num_samples)
    if total is None or total < 1:
        raise ValueError(_why_impossible(sorts, shares))
    if shares.num_samples is not None and total < shares.num_samples - 0.5:
        raise ValueError(
            f"num_samples is {shares.num_samples}, but with these shares the {int(count.sum())} samples that there are give "
            f"{int(total)} at most; lower num_samples, change the shares, or add data to what is short"
        )
    return _rounded(_even(sorts, count, balance, limits, total))


def _balance(sorts: Sequence[Sort], shares: Shares) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose product with the numbers of kept samples is zero when a share is met, and rows where it is at most zero."""
    rows = [[float(sort.source == name) - share for sort in sorts] for name, share in shares.sources.items()]
    limits: list[list[float]] = []
    if shares.chinese is not None:
        least = [sort.chinese - shares.chinese * sort.total for sort in sorts]
        if any(sort.questions for sort in sorts):
            limits = [least, [-low - sort.questions for low, sort in zip(least, sorts)]]
        else:
            rows.append(least)
    if shares.negative is not None:
        decided = [sort.answers if sort.decided is None else sort.decided for sort in sorts]
        rows.append([sort.negative - shares.negative * number for sort, number in zip(sorts, decided)])
    return tuple(np.array(those, dtype=float).reshape(len(those), len(sorts)) for those in (rows, limits))


def _most(count: np.ndarray, balance: np.ndarray, limits: np.ndarray, limit: int | None) -> float | None:
    """The largest number of samples that meets the balance; None: none does."""
    from scipy.optimize import linprog

    upper = np.vstack([limits, np.ones((int(limit is not None), len(count)))])
    most = np.append(np.zeros(len(limits)), [] if limit is None else [float(limit)])
    solved = linprog(
        -np.ones(len(count)),
        *((upper, most) if len(upper) else (None, None)),
        *((balance, np.zeros(len(balance))) if len(balance) else (None, None)),
        bounds=list(zip(np.zeros(len(count)), count)),
    )
    return -solved.fun if solved.status == 0 else None


def _even(
    sorts: Sequence[Sort], count: np.ndarray, balance: np.ndarray, limits: np.ndarray, total: float
) -> np.ndarray:
    """Kept numbers x with that total whose mixture within each source differs least, in the worst case, from the source's.

    Variables: x, then y (kept per source), then t; |x - y * count / size of the source| <= t * count.
    """
    from scipy.optimize import linprog
    from scipy.sparse import bmat, csr_matrix, diags, identity

    names = sorted({sort.source for sort in sorts})
    member = csr_matrix([[float(sort.source == name) for sort in sorts] for name in names])
    fair = diags(count) @ member.T @ diags(1 / (member @ count))
    slack = csr_matrix(-count[:, None])
    one = identity(len(count))

    def alone(rows: np.ndarray) -> list[csr_matrix]:
        """Rows about x only."""
        return [csr_matrix(rows), csr_matrix((len(rows), len(names))), csr_matrix((len(rows), 1))]

    equalities = [alone(np.ones((1, len(count)))), [member, -identity(len(names)), csr_matrix((len(names), 1))]]
    upper = [[one, -fair, slack], [-one, fair, slack]]
    solved = linprog(
        np.append(np.zeros(len(count) + len(names)), 1.0),
        bmat(upper + ([alone(limits)] if len(limits) else [])).tocsr(),
        np.zeros(2 * len(count) + len(limits)),
        bmat(equalities + ([alone(balance)] if len(balance) else [])).tocsr(),
        np.append(total, np.zeros(len(names) + len(balance))),
        bounds=[*((0.0, most) for most in count), *((0.0, None) for _ in names), (0.0, None)],
    )
    assert solved.status == 0, solved.message  # the first program found a solution
    return solved.x[: len(count)]


def _rounded(kept: np.ndarray) -> list[int]:
    """Whole numbers whose running sums differ by at most a half from those of the given ones."""
    sums = np.floor(np.cumsum(np.round(kept, 6)) + 0.5).astype(int)
    return np.diff(sums, prepend=0).tolist()


def _why_impossible(sorts: Sequence[Sort], shares: Shares) -> str:
    """Each share alone, and what it would have to be."""
    told = [
        f"{name} is {share:g} of the samples, and there are none of it"
        for name, share in shares.sources.items()
        if not any(sort.source == name for sort in sorts)
    ]
    for field in ("chinese", "negative"):
        wanted = getattr(shares, field)
        if wanted is None:
            continue
        reached = [both for sort in sorts if (both := sort.share_of(field))]
        low, high = (min(low for low, _ in reached), max(high for _, high in reached)) if reached else (0.0, 0.0)
        told.append(f"{field}_share is {wanted:g}, single samples have between {low:.2f} and {high:.2f}")
    return (
        f"no mixture of the {sum(sort.count for sort in sorts)} samples meets all shares: {'; '.join(told)}. Add data to "
        "what is short, or change the shares"
    )
