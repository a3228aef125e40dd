"""A suite: the benchmarks of a whole evaluation, which one command asks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skymm.recipe.loading import FilePath, Strict


class SuiteBenchmark(Strict):
    """A benchmark of a suite, and how it is asked."""

    recipe: FilePath = Field(description="of an evaluation: beside the suite's file, or as seen from where it runs")
    set: list[str] = Field([], description="key=value, as on a command line: root=MME_Benchmark")
    mode: Literal["generate", "logits"] = "generate"
    without_pictures: bool = Field(
        False, description="asks the same without pictures, and the base LLM: multimodal gain and leakage"
    )


class SuiteRecipe(Strict):
    """What a whole evaluation asks, in this order."""

    benchmarks: dict[str, SuiteBenchmark] = Field(min_length=1)
