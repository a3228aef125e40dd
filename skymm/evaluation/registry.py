"""The benchmarks that there are: one module each under `benchmarks/`, found by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from skymm.evaluation import benchmarks
from skymm.evaluation.benchmark import Benchmark


def names() -> list[str]:
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")
    )


def benchmark(name: str) -> Benchmark:
    """Raises ValueError for a name that there is not, with the nearest one."""
    known = names()
    plain = name.lower().replace("-", "_")
    if plain not in known:
        near = difflib.get_close_matches(plain, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown benchmark {name!r}{hint} There are {', '.join(known)}.")
    return importlib.import_module(f"skymm.evaluation.benchmarks.{plain}").BENCHMARK
