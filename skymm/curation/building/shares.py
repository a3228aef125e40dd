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
    """`count` samples that are alike for balancing. `answers` are those of one sample, `chinese` and `negative` among them."""

    source: str
    answers: int
    chinese: int
    negative: int
    count: int


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
    balance = _balance(sorts, shares)
    total = _most(count, balance, shares.num_samples)
    if total is None or total < 1:
        raise ValueError(_why_impossible(sorts, shares))
    if shares.num_samples is not None and total < shares.num_samples - 0.5:
        raise ValueError(
            f"num_samples is {shares.num_samples}, but with these shares the {int(count.sum())} samples that there are give "
            f"{int(total)} at most; lower num_samples, change the shares, or add data to what is short"
        )
    return _rounded(_even(sorts, count, balance, total))


def _balance(sorts: Sequence[Sort], shares: Shares) -> np.ndarray:
    """Rows whose product with the numbers of kept samples is zero when a share is met."""
    rows = [[float(sort.source == name) - share for sort in sorts] for name, share in shares.sources.items()]
    if shares.chinese is not None:
        rows.append([sort.chinese - shares.chinese * sort.answers for sort in sorts])
    if shares.negative is not None:
        rows.append([sort.negative - shares.negative * sort.answers for sort in sorts])
    return np.array(rows, dtype=float).reshape(len(rows), len(sorts))


def _most(count: np.ndarray, balance: np.ndarray, limit: int | None) -> float | None:
    """The largest number of samples that meets the balance; None: none does."""
    from scipy.optimize import linprog

    upper = (np.ones((1, len(count))), [float(limit)]) if limit is not None else (None, None)
    solved = linprog(-np.ones(len(count)), *upper, *_zero(balance), bounds=list(zip(np.zeros(len(count)), count)))
    return -solved.fun if solved.status == 0 else None


def _even(sorts: Sequence[Sort], count: np.ndarray, balance: np.ndarray, total: float) -> np.ndarray:
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
    equalities = [
        [csr_matrix(np.ones((1, len(count)))), csr_matrix((1, len(names))), csr_matrix((1, 1))],
        [member, -identity(len(names)), csr_matrix((len(names), 1))],
    ]
    if len(balance):
        equalities.append([csr_matrix(balance), csr_matrix((len(balance), len(names))), csr_matrix((len(balance), 1))])
    solved = linprog(
        np.append(np.zeros(len(count) + len(names)), 1.0),
        bmat([[one, -fair, slack], [-one, fair, slack]]).tocsr(),
        np.zeros(2 * len(count)),
        bmat(equalities).tocsr(),
        np.append(total, np.zeros(len(names) + len(balance))),
        bounds=[*((0.0, most) for most in count), *((0.0, None) for _ in names), (0.0, None)],
    )
    assert solved.status == 0, solved.message  # the first program found a solution
    return solved.x[: len(count)]


def _rounded(kept: np.ndarray) -> list[int]:
    """Whole numbers whose running sums differ by at most a half from those of the given ones."""
    sums = np.floor(np.cumsum(np.round(kept, 6)) + 0.5).astype(int)
    return np.diff(sums, prepend=0).tolist()


def _zero(balance: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    return (balance, np.zeros(len(balance))) if len(balance) else (None, None)


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
        reached = [getattr(sort, field) / sort.answers for sort in sorts if sort.answers]
        low, high = (min(reached), max(reached)) if reached else (0.0, 0.0)
        told.append(f"{field}_share is {wanted:g}, single samples have between {low:.2f} and {high:.2f}")
    return (
        f"no mixture of the {sum(sort.count for sort in sorts)} samples meets all shares: {'; '.join(told)}. Add data to "
        "what is short, or change the shares"
    )
