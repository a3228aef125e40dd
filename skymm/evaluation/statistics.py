"""How sure a score is: intervals from resampled pictures, paired comparisons, calibration.

Questions about one picture are not independent, so whole clusters are resampled, never single questions: with m
questions about each of k pictures the interval is that of k observations where a picture's answers go together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from skymm.evaluation.benchmark import Answer, Benchmark, Files, value_of

Numbers = Mapping[str, float | None]
Statistics = Callable[[Sequence[Answer]], Numbers]  # None where a number has no meaning on these answers


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the bounds of its 95 % interval (bounds None where resampling can say nothing)."""

    value: float
    low: float | None = None
    high: float | None = None

    def excludes(self, number: float) -> bool:
        return self.low is not None and self.high is not None and not self.low <= number <= self.high


@dataclass(frozen=True, slots=True)
class Rates:
    """Statistics that follow from counts which add up over clusters: each cluster is counted once, not n times.

    `count`: the answers of one cluster -> (k,). `numbers`: the counts of all clusters summed, (k,) -> statistics.
    """

    count: Callable[[Sequence[Answer]], np.ndarray]
    numbers: Callable[[np.ndarray], Numbers]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Statistics of a sample (`values`) and of its resamples (`drawn`: name -> (n,), nan where there was no number).

    `asked` is what was resampled: two bootstraps with the same `asked` drew the same clusters in every resample.
    """

    values: Numbers
    drawn: Mapping[str, np.ndarray]
    asked: frozenset[tuple[str, str, str, str]]
    num_clusters: int
    seed: int

    def interval(self, name: str, level: float = 0.95) -> Interval | None:
        """Percentile interval of a statistic; None where the sample has no such number."""
        value = self.values.get(name)
        return None if value is None else _percentile(value, self.drawn[name], self.num_clusters, level)


def cluster_bootstrap(
    answers: Sequence[Answer],
    statistics: Statistics | None = None,
    strata: str | None = None,
    n: int = 500,
    seed: int = 0,
    rates: Rates | None = None,
) -> Bootstrap:
    """Statistics recomputed on n resamples of the answers (Efron's percentile bootstrap on clusters).

    A resample draws, with replacement and within each stratum, as many clusters as the stratum has, each with all of
    its answers; the second draw of a cluster `c` is cluster `c#2`, so that groups formed by cluster stay apart. `strata`
    is a field of the questions. What is drawn depends on the questions and the seed alone, not on the answers: two
    models with the same questions are resampled alike, so their resamples can be paired.

    Raises ValueError without answers.
    """
    if not answers:
        raise ValueError("no answers to resample, expected at least one")
    clusters = _clusters(answers)
    draws = list(_draws(clusters, strata, n, seed))
    values: dict[str, float | None] = {}
    drawn: dict[str, np.ndarray] = {}

    def keep(found: Numbers, resamples: Iterable[Numbers]) -> None:
        values.update(found)
        drawn.update({name: np.full(n, np.nan) for name in found})
        for row, numbers in enumerate(resamples):
            for name, value in numbers.items():
                if name in found and value is not None:
                    drawn[name][row] = value

    if statistics is not None:
        keep(statistics(answers), map(statistics, _resamples(clusters, draws)))
    if rates is not None:
        counts = np.stack([rates.count(members) for members in clusters.values()])
        keep(rates.numbers(counts.sum(0)), (rates.numbers(counts[draw].sum(0)) for draw in draws))
    return Bootstrap(values, drawn, frozenset(_asked(answer, strata) for answer in answers), len(clusters), seed)


def score_intervals(
    benchmark: Benchmark, answers: Sequence[Answer], files: Files, n: int = 500
) -> dict[str, tuple[float | None, float | None]]:
    """95 % bounds of a benchmark's metrics by the official reading, by their keys; pictures are resampled with all of their
    answers, those of several splits together.
    """

    def statistics(those: Sequence[Answer]) -> Numbers:
        scores = benchmark.score(those, files)
        return {one.key: value_of(scores, one.key) for one in benchmark.metrics}

    boot = cluster_bootstrap(answers, statistics, benchmark.strata, n)
    found = {one.key: boot.interval(one.key) for one in benchmark.metrics}
    return {key: (one.low, one.high) for key, one in found.items() if one is not None}


def paired_difference(a: Bootstrap, b: Bootstrap, name: str, level: float = 0.95) -> Interval | None:
    """The difference a - b of a statistic on the same questions, each resample giving one difference.

    None where one of them has no such number. Raises ValueError where the questions or the draws are not the same.
    """
    if a.asked != b.asked:
        raise ValueError(
            f"found {len(a.asked)} and {len(b.asked)} questions of which {len(a.asked & b.asked)} are the same, "
            "expected the same questions on both sides; compare runs of one benchmark that are both complete"
        )
    first, second = a.values.get(name), b.values.get(name)
    if first is None or second is None:
        return None
    if (len(a.drawn[name]), a.seed) != (len(b.drawn[name]), b.seed):
        raise ValueError(
            f"found {len(a.drawn[name])} resamples of seed {a.seed} and {len(b.drawn[name])} of seed {b.seed}, "
            "expected the same draws on both sides"
        )
    return _percentile(first - second, a.drawn[name] - b.drawn[name], a.num_clusters, level)


def _percentile(value: float, drawn: np.ndarray, num_clusters: int, level: float) -> Interval:
    found = drawn[~np.isnan(drawn)]
    # One cluster drawn again and again is no interval, and a number that most resamples do not have has none either.
    if num_clusters < 2 or len(found) * 2 < len(drawn) or not len(found):
        return Interval(value)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _asked(answer: Answer, strata: str | None) -> tuple[str, str, str, str]:
    question = answer.question
    return question.id, question.text, question.cluster, str(question.fields.get(strata)) if strata else ""


def _clusters(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.question.cluster, []).append(answer)
    return {name: found[name] for name in sorted(found)}  # the draws must not depend on the order of the answers


def _draws(clusters: Mapping[str, list[Answer]], strata: str | None, n: int, seed: int) -> Iterator[np.ndarray]:
    """Which clusters each resample has, by their place: (num_clusters,), a place as often as it is drawn."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, members in enumerate(clusters.values()):
        # A picture may serve several strata: it is then of their own kind.
        kinds = {str(answer.question.fields.get(strata)) for answer in members} if strata else set()
        groups.setdefault(tuple(sorted(kinds)), []).append(place)
    members_of = [np.array(places) for places in groups.values()]
    generator = np.random.default_rng(seed)
    for _ in range(n):
        yield np.concatenate([np.sort(generator.choice(places, size=len(places))) for places in members_of])


def _resamples(clusters: Mapping[str, list[Answer]], draws: Iterable[np.ndarray]) -> Iterator[list[Answer]]:
    names, mark = list(clusters), "#"
    while any(mark in name for name in names):
        mark += "#"
    copies = {(place, 1): members for place, members in enumerate(clusters.values())}
    for draw in draws:
        resample: list[Answer] = []
        times: Counter[int] = Counter()
        for place in draw.tolist():
            times[place] += 1
            key = (place, times[place])
            if key not in copies:
                label = f"{names[place]}{mark}{times[place]}"
                copies[key] = [_relabelled(answer, label) for answer in clusters[names[place]]]
            resample += copies[key]
        yield resample


def _relabelled(answer: Answer, cluster: str) -> Answer:
    return replace(answer, question=replace(answer.question, cluster=cluster))


def resolvable(sizes: Sequence[int], variance: float, alike: float, power: float = 0.8, level: float = 0.05) -> float:
    """The smallest difference of two shares that a two-sided test at `level` finds with the probability `power`:

    (z(1 - level/2) + z(power)) * sqrt(variance * deff / n), of n = sum(sizes) questions in clusters of `sizes`
    (Miller, "Adding Error Bars to Evals", arXiv 2411.00640, on planning). `variance` is of the difference on one question:
    for models that are right with probability p, 2 p (1 - p) on different questions (unpaired), and 2 p (1 - p) (1 - r)
    on the same ones, where r is the correlation of their verdicts (paired). deff = 1 + alike * (sum(sizes^2) / n - 1) is
    Kish's design effect (Survey Sampling, 1965), `alike` the correlation within a cluster: 0 where questions about a picture
    are independent, 1 where a picture decides all of its questions. Raises ValueError without questions.
    """
    total = sum(sizes)
    if not total:
        raise ValueError("found no questions, expected some to plan with")
    effect = 1 + alike * (sum(size * size for size in sizes) / total - 1)
    z = NormalDist().inv_cdf
    return (z(1 - level / 2) + z(power)) * math.sqrt(variance * effect / total)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Questions that only one of two models gets right, and how likely a split at least so uneven is by chance."""

    only_a: int
    only_b: int
    p: float


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> McNemar:
    """McNemar's exact test: under no difference, the questions that only one gets right are fair coin tosses.

    p is two-sided, from the binomial distribution; 1 where they never differ. Raises ValueError for unequal lengths.
    """
    if len(right_a) != len(right_b):
        raise ValueError(f"found {len(right_a)} and {len(right_b)} verdicts, expected one of each on every question")
    only_a = sum(bool(a) and not b for a, b in zip(right_a, right_b))
    only_b = sum(bool(b) and not a for a, b in zip(right_a, right_b))
    differing = only_a + only_b
    return McNemar(only_a, only_b, float(binomtest(only_a, differing).pvalue) if differing else 1.0)


def share(hits: int, count: int) -> Interval:
    """A share of independent trials with Wilson's interval. Raises ValueError without any trial."""
    bounds = binomtest(hits, count).proportion_ci(0.95, "wilson")
    return Interval(hits / count, float(bounds.low), float(bounds.high))


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """How often a positive one has the higher score than a negative one, ties counting half: the area under the ROC curve,
    which is Mann and Whitney's U (1947) as a share. It asks for no threshold, so it says what a model knows, however it leans.

    None where there are no positive or no negative ones. Raises ValueError for unequal lengths.
    """
    if len(scores) != len(positive):
        raise ValueError(f"found {len(scores)} scores and {len(positive)} truths, expected as many")
    found, truth = np.asarray(scores, float), np.asarray(positive, bool)
    above, below = found[truth], np.sort(found[~truth])
    if not len(above) or not len(below):
        return None
    beaten = below.searchsorted(above, "left") + below.searchsorted(above, "right")  # twice: a tie counts half
    return float(beaten.sum() / (2 * len(above) * len(below)))


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose confidence lies in (low, high]: how many, their mean confidence, the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    correct: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected calibration error, Brier score and the bins that hold anything."""

    ece: float
    brier: float
    count: int
    bins: tuple[Bin, ...]


def calibration(confidence: Sequence[float], correct: Sequence[bool], bins: int = 10) -> Calibration | None:
    """How far confidence can be taken at its word; None without predictions.

    ECE = sum over bins of (count / total) * |mean confidence - share correct|, over equal bins (low, high] of [0, 1]
    (Guo et al., arXiv 1706.04599); Brier = mean of (confidence - correct)^2 (Brier, 1950).
    Raises ValueError for a confidence outside [0, 1] and for unequal lengths.
    """
    if len(confidence) != len(correct):
        raise ValueError(f"found {len(confidence)} confidences and {len(correct)} outcomes, expected as many")
    if not len(confidence):
        return None
    said, truth = np.asarray(confidence, float), np.asarray(correct, float)
    outside = said[~((said >= 0) & (said <= 1))]
    if len(outside):
        raise ValueError(f"found a confidence of {outside[0]}, expected numbers from 0 to 1")
    edges = np.linspace(0, 1, bins + 1)
    places = np.digitize(said, edges[1:-1], right=True)
    counts, confidences, right = (np.bincount(places, each, bins) for each in (None, said, truth))
    found = [
        Bin(
            *map(float, edges[one : one + 2]),
            int(counts[one]),
            confidences[one] / counts[one],
            right[one] / counts[one],
        )
        for one in counts.nonzero()[0]
    ]
    ece = math.fsum(one.count / len(said) * abs(one.confidence - one.correct) for one in found)
    return Calibration(ece, float(np.mean((said - truth) ** 2)), len(said), tuple(found))


def calibrating_temperature(log_odds: Sequence[float], is_so: Sequence[bool]) -> float:
    """The temperature T for which sigmoid(log-odds / T) has the least log loss (Guo et al., arXiv 1706.04599), .05 to 20.

    Raises ValueError where only one of the two outcomes occurs: then the surest would be the best.
    """
    odds, truth = np.asarray(log_odds, float), np.asarray(is_so, bool)
    if truth.all() or not truth.any():
        raise ValueError(f"found {len(truth)} outcomes that are all alike, expected some of both")
    signed = np.where(truth, odds, -odds)
    found = minimize_scalar(
        lambda log_t: float(np.logaddexp(0, -signed / math.exp(log_t)).mean()),
        bounds=(math.log(0.05), math.log(20)),
        method="bounded",
    )
    return math.exp(found.x)
