"""A whole evaluation in one command: every benchmark of a recipe, and one report. How long it takes is said before it starts.

For that a few batches of each pass are asked first, here and there in the benchmark; the rest is taken to need as long for
every token as these did. Their answers are kept, as all are: a suite that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skymm.answering.protocol import Answerer, Mode
from skymm.evaluation.benchmark import Question, benchmark
from skymm.evaluation.gain import PASSES, refuse
from skymm.evaluation.predictions import read_lines
from skymm.evaluation.run import questions_of, run, size_of, unanswered
from skymm.evaluation.table import time_table
from skymm.progress import progress, say
from skymm.recipe import EvalRecipe, load
from skymm.recipe.suite import SuiteBenchmark, SuiteRecipe

REPORT = "report.html"
LEAST_BATCHES, MOST_BATCHES, MOST_SECONDS = 3, 8, 30.0
"""Of a pass, so that the time of the others can be told: as many as fit into these seconds."""
NUM_WRITTEN = 24
"""Tokens that an answer is taken to cost beside those of its question."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The questions of a benchmark, asked once. `name` is where below the suite's directory its answers lie."""

    name: str
    recipe: EvalRecipe
    mode: Mode
    questions: list[Question]
    images: bool = True
    base: bool = False

    def size(self, questions: Sequence[Question]) -> int:
        """In tokens, roughly."""
        return sum(size_of(one, self.images) + NUM_WRITTEN for one in questions)


def suite(
    recipe: SuiteRecipe,
    model: str,
    out: Path,
    *,
    beside: Path = Path(),
    base: str | None = None,
    only: Sequence[str] = (),
    at_most: float | None = None,
    processes: int = 1,
    language: str = "en",
) -> Path:
    """Ask everything and return the report's page.

    `beside`: the directory that recipes are looked for in. `base`: the model's base LLM, where the model does not know it.
    `only` these benchmarks. `at_most`: minutes. `processes`: of the model, as for `open_processes`.

    Raises ValueError where no benchmark's files are there, before anything is asked; where it would take more than
    `at_most`, before anything but a few batches is; and whatever `run` raises.
    """
    passes, lacking = passes_of(recipe, beside, only)
    for sentence in lacking.values():
        say(sentence)
    if not passes:
        raise ValueError("found the files of none of these benchmarks, expected those of one at least; see above")
    from skymm.answering.opening import open_answerer
    from skymm.answering.several import open_processes

    answerer = open_processes(model, processes, max_new_tokens=1)
    alone = None
    if any(one.base for one in passes):
        if base is None and not hasattr(answerer, "base_llm"):
            raise ValueError(
                f"the base LLM of {model} is not known; name it with --base, or set without_pictures=false"
            )
        alone = open_answerer(base, max_new_tokens=1) if base else answerer.base_llm()
    asked = [(one, alone if one.base else answerer) for one in passes]
    left = [_estimate(one, who, out / one.name) for one, who in asked]
    time_table(left)
    expected = sum(seconds for *_, seconds in left) / 60
    if at_most is not None and expected > at_most:
        longest, *_, seconds = max(left, key=lambda one: one[-1])
        raise ValueError(
            f"all of this would take {expected:.0f} minutes, expected {at_most:g} at most; {longest} takes longest "
            f"({seconds / 60:.0f}). Leave it out with --only, ask a part of it (benchmarks.NAME.set with split=... or "
            f"num_items=...), or allow more; the answers so far are kept in {out}"
        )
    began = time.perf_counter()
    for one, who in asked:
        for sentence in unanswered(_ask(one, who, out / one.name)):
            say(sentence)
    say(f"asked in {(time.perf_counter() - began) / 60:.1f} minutes; {expected:.1f} were expected")
    from skymm.evaluation.report.page import collect, write_report

    runs, gains = collect([out / one.name for one in passes])
    return write_report(runs, out / REPORT, language=language, gains=gains, lacking=list(lacking))


def passes_of(recipe: SuiteRecipe, beside: Path, only: Sequence[str] = ()) -> tuple[list[Pass], dict[str, str]]:
    """Everything that is to be asked; and of benchmarks whose files are not there, what to download."""
    for name in only:
        if name not in recipe.benchmarks:
            raise ValueError(f"found no benchmark {name!r}, expected one of {', '.join(recipe.benchmarks)}")
    passes: list[Pass] = []
    lacking: dict[str, str] = {}
    for name, one in recipe.benchmarks.items():
        if only and name not in only:
            continue
        asked = load(
            next((path for path in (beside / one.recipe, Path(one.recipe)) if path.is_file()), one.recipe),
            EvalRecipe,
            one.set,
        )
        of = benchmark(asked.benchmark)
        if of.judges == "tower":
            raise ValueError(f"{name}: {of.name} judges towers, and a suite asks models; take it out")
        if one.without_pictures:
            refuse(of.name)
        questions, absent = _there(asked, one)
        if questions is None:
            lacking[name] = f"{name}: skipped, no file at {absent}. Download {of.download}; root holds {of.layout}"
        elif one.without_pictures:
            for place, images, base in zip(PASSES, (True, False, False), (False, False, True)):
                passes.append(Pass(f"{name}/{place}", asked, one.mode, questions, images, base))
        else:
            passes.append(Pass(name, asked, one.mode, questions))
    return passes, lacking


def _there(asked: EvalRecipe, one: SuiteBenchmark) -> tuple[list[Question] | None, str]:
    """The questions; None and the paths that are missing where files are. What is made here is made."""
    beside = {"images": asked.images, **{f"files.{name}": path for name, path in asked.files.items()}}
    absent = [f"{key} = {path}" for key, path in beside.items() if path and not Path(path).exists()]
    is_there = Path(asked.root).exists()
    try:
        questions = None if absent else questions_of(asked, one.mode)
    except (ValueError, OSError):
        if is_there:
            raise
        questions = None
    return questions, ", ".join([*absent, *([] if is_there else [f"root = {asked.root}"])])


def _estimate(one: Pass, who: Answerer, out: Path) -> tuple[str, int, int, float]:
    """Ask a few batches; returns name, number of questions, how many of them are left, and the seconds that these take."""
    spent: list[tuple[float, int]] = []
    began = time.perf_counter()

    def enough(batch: Sequence[Question]) -> bool:
        nonlocal began
        seconds, began = time.perf_counter() - began, time.perf_counter()
        spent.append((seconds, one.size(batch)))
        is_long = sum(seconds for seconds, _ in spent) > MOST_SECONDS
        return len(spent) == MOST_BATCHES or (is_long and len(spent) >= LEAST_BATCHES)

    path = _ask(one, who, out, enough)
    if len(spent) > 2:  # while the first is asked much is loaded
        del spent[0]
    told = {line["id"] for line in read_lines(path)}
    rest = [question for question in one.questions if question.id not in told]
    seconds, size = map(sum, zip(*spent)) if spent else (0.0, 1)
    return one.name, len(one.questions), len(rest), seconds / size * one.size(rest)


def _ask(one: Pass, who: Answerer, out: Path, enough: Callable[[Sequence[Question]], bool] | None = None) -> Path:
    who.max_new_tokens = one.recipe.max_new_tokens
    with progress() as bar:
        task = bar.add_task(one.name, total=len(one.questions), note="" if enough is None else "how long will it take?")
        return run(
            one.recipe,
            who,
            out,
            mode=one.mode,
            images=one.images,
            questions=one.questions,
            enough=enough,
            advance=lambda answers: bar.advance(task, answers),
        )
