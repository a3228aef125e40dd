"""A run in numbers: every score, rate and table entry of it, each with its resamples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skymm.evaluation.benchmark import Answer, Benchmark, value_of
from skymm.evaluation.report.seeing import Run, confidences, seeing_counts, seeing_rates
from skymm.evaluation.statistics import Bootstrap, Calibration, Interval, Rates, calibration, cluster_bootstrap

RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with its numbers. `label` tells it from the others of its benchmark.

    `bootstrap` has "official.KEY" and "strict.KEY" of the benchmark's metrics, "table.KEY.ENTRY" of its tables and
    "seeing.NAME" of `seeing_rates`; None without answers. `error` says why the benchmark's own scorer gave no scores (a
    benchmark may need all answers about a picture); the rest is there nevertheless.
    """

    run: Run
    label: str
    bootstrap: Bootstrap | None
    calibration: Calibration | None
    about_yes: bool
    units: Mapping[str, str]  # table -> "rate" or "points"
    error: str | None = None

    @property
    def benchmark(self) -> Benchmark:
        return self.run.benchmark

    def interval(self, name: str) -> Interval | None:
        return self.bootstrap.interval(name) if self.bootstrap else None

    def value(self, name: str) -> float | None:
        return self.bootstrap.values.get(name) if self.bootstrap else None

    def entries(self, table: str) -> list[str]:
        """Names of a table's entries, in its own order."""
        start = f"table.{table}."
        names = self.bootstrap.values if self.bootstrap else {}
        return [name.removeprefix(start) for name in names if name.startswith(start)]


def measure(run: Run, label: str, n: int = RESAMPLES, seed: int = SEED) -> Measured:
    """Score a run and n resamples of it. An error of the scorer is kept, not raised."""
    if not run.answers:
        return Measured(run, label, None, None, False, {})
    benchmark, files, error = run.benchmark, run.files, None
    fields: dict[str, str] = {}
    units: dict[str, str] = {}
    try:
        scores = benchmark.score(run.answers, files)
    except ValueError as reason:
        error = str(reason)
    else:
        for table in benchmark.tables:
            entries = value_of(scores, table)
            field = _field(entries, benchmark) if isinstance(entries, Mapping) else None
            if field is not None:
                fields[table], units[table] = field, _unit(entries, field, benchmark)

    def statistics(answers: Sequence[Answer]) -> dict[str, float | None]:
        return _official(benchmark.score(answers, files), benchmark, fields)

    def count(answers: Sequence[Answer]) -> np.ndarray:
        return seeing_counts(answers, benchmark)

    def rates(counts: np.ndarray) -> dict[str, float | None]:
        return {f"seeing.{name}": value for name, value in seeing_rates(counts).items()}

    confidence, outcome, about_yes = confidences(run.answers)
    return Measured(
        run,
        label,
        cluster_bootstrap(run.answers, None if error else statistics, benchmark.strata, n, seed, Rates(count, rates)),
        calibration(confidence, outcome),
        about_yes,
        units,
        error,
    )


def _official(scores: Mapping[str, Any], benchmark: Benchmark, fields: Mapping[str, str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric in benchmark.metrics:
        found[f"official.{metric.key}"] = _number(value_of(scores, metric.key))
        found[f"strict.{metric.key}"] = _number(value_of(scores, f"strict.{metric.key}"))
    for table, field in fields.items():
        for name, entry in (value_of(scores, table) or {}).items():
            found[f"table.{table}.{name}"] = _number(entry if not field else value_of(entry, field))
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _field(entries: Mapping[str, Any], benchmark: Benchmark) -> str | None:
    """What an entry of a table shows: its score, else what the benchmark is led by, else accuracy, else its first number.

    "" where entries are numbers themselves, None where there is no number.
    """
    if any(_number(entry) is not None for entry in entries.values()):
        return ""
    rows = [entry for entry in entries.values() if isinstance(entry, Mapping)]
    numbers = dict.fromkeys(name for row in rows for name, value in row.items() if _number(value) is not None)
    wanted = ["score", benchmark.main.key.split(".")[-1], "accuracy", "acc", *numbers]
    return next((name for name in wanted if name in numbers), None)


def _unit(entries: Mapping[str, Any], field: str, benchmark: Benchmark) -> str:
    """That of the metric of this name; else rates are fractions of 1 by the contract, so what goes beyond is points."""
    known = {metric.key.split(".")[-1]: metric.unit for metric in reversed(benchmark.metrics)}
    if field in ("score", *known):
        return known.get(field, benchmark.main.unit)
    numbers = [_number(entry if not field else value_of(entry, field)) for entry in entries.values()]
    return "points" if any(number is not None and number > 1 for number in numbers) else "rate"
