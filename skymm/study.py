"""One command for a comparison: train every arm with several seeds, ask all of them the same questions, and say which
differences are more than chance.

Everything that was finished is kept: a study that was stopped goes on, and one with a new arm trains only that. Intervals are
by picture (a picture's answers of all seeds go together), differences are paired, and predictions stay beside the table.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skymm import recipe as recipes
from skymm.progress import progress, say
from skymm.recipe import EvalRecipe, StageRecipe
from skymm.recipe.study import StudyBenchmark, StudyRecipe

NUM_RESAMPLES = 500


def study(recipe: StudyRecipe, out: Path, language: str = "en") -> Path:
    """Train, ask and compare; returns the page, in English or Chinese.

    Raises ValueError for arms that need each other in a circle, and whatever training and asking raise.
    """
    runs = [_Seed(recipe, seed, out / f"seed{seed}") for seed in recipe.seeds]
    for run in runs:
        for name in recipe.arms:
            run.ask(name)
    return report(recipe, out, language)


class _Seed:
    """All of a study with one seed."""

    def __init__(self, recipe: StudyRecipe, seed: int, out: Path):
        self.recipe, self.seed, self.out = recipe, seed, out
        self._making: list[str] = []
        self._made: dict[str, Path] = {}

    def made(self, name: str) -> Path:
        """The directory of a stage's model or of pairs, made now where it is not there; first what it needs."""
        if name not in self._made:
            if name in self._making:
                raise ValueError(f"a circle: {' -> '.join([*self._making, name])}")
            self._making.append(name)
            self._made[name] = self._train(name) if name in self.recipe.stages else self._make_pairs(name)
            self._making.remove(name)
        return self._made[name]

    def _train(self, name: str) -> Path:
        from skymm.train.features import BESIDE, build_features
        from skymm.train.loop import train
        from skymm.train.parts import model_for
        from skymm.train.state import DONE

        stage = self.recipe.stages[name]
        begins = [f"init={self.made(stage.after)}"] if stage.after else []
        own = [f"out={self.out / name}", f"seed={self.seed}"]
        recipe = recipes.load(stage.recipe, StageRecipe, [*self._filled(stage.set), *begins, *own])
        if recipe.features not in (None, BESIDE) and not (Path(recipe.out) / DONE).exists():
            say(f"{recipe.out}: looking once at every image that {recipe.features} lacks")
            build_features(recipe, model_for(recipe, None)[0])
        return train(recipe)

    def _make_pairs(self, name: str) -> Path:
        from skymm.answering.skymm_model import SkyMMAnswerer
        from skymm.data.shards import CARD
        from skymm.train.pairs.make import prefer
        from skymm.train.pairs.ways import Making

        pairs = self.recipe.pairs[name]
        # Other settings make other pairs, and a stage that has read these is then refused.
        settings = hashlib.sha256(pairs.model_dump_json().encode()).hexdigest()[:8]
        out = self.out / f"{name}-{settings}"
        if (out / CARD).exists():
            return out
        policy = None
        if pairs.model is not None:
            policy = SkyMMAnswerer.from_directory(self.made(pairs.model), max_new_tokens=pairs.max_new_tokens)
        making = Making(
            tuple(pairs.ways),
            answers=pairs.answers,
            temperature=pairs.temperature,
            describe=pairs.describe,
            max_new_tokens=pairs.max_new_tokens,
            seed=self.seed,
        )
        with progress() as bar:
            task = bar.add_task(f"seed {self.seed}: {name}", total=None, note="")
            prefer(
                pairs.shards,
                out,
                making,
                policy,
                balance_lengths=pairs.balance_lengths,
                begin=lambda n: bar.update(task, total=n),
                advance=lambda n: bar.advance(task, n),
            )
        return out

    def _filled(self, overrides: Sequence[str]) -> list[str]:
        """Overrides with directories in the places of names."""

        def directory(found: re.Match[str]) -> str:
            name = found[1]
            if name not in self.recipe.stages and name not in self.recipe.pairs:
                return found[0]
            return str(self.made(name))

        return [re.sub(r"\{(\w+)\}", directory, override) for override in overrides]

    def answers(self, arm: str, benchmark: str) -> Path:
        """Where they lie: those about blank pictures, or none, are not taken for those about the true ones."""
        shown = self.recipe.benchmarks[benchmark].pictures
        name = benchmark if shown == "true" else f"{benchmark}-{shown}"
        return self.out / "answers" / re.sub(r"\W+", "_", arm).strip("_") / name

    def ask(self, arm: str) -> None:
        """Every benchmark, by the arm's model as the arm decodes."""
        from skymm.answering.opening import open_answerer
        from skymm.evaluation.run import questions_of, run

        model, answerer = self.recipe.arms[arm].model, None
        spec = str(self.made(model)) if model in self.recipe.stages else model
        for name in self.recipe.asked(arm):
            benchmark = self.recipe.benchmarks[name]
            asked = self._eval_recipe(arm, benchmark)
            questions = questions_of(asked, benchmark.mode)
            if benchmark.pictures == "blank":  # whose colour it is tells nothing, so no wording is asked twice
                once = {one.text: one for one in reversed(questions)}
                questions = [replace(one, images=tuple(map(_blank, one.images))) for one in reversed(once.values())]
            if answerer is None:
                answerer = open_answerer(spec, max_new_tokens=asked.max_new_tokens)
            answerer.max_new_tokens = asked.max_new_tokens
            with progress() as bar:
                task = bar.add_task(f"seed {self.seed}: {arm}: {name}", total=len(questions), note="")
                run(
                    asked,
                    answerer,
                    self.answers(arm, name),
                    mode=benchmark.mode,
                    images=benchmark.pictures != "none",
                    questions=questions,
                    advance=lambda n, task=task, bar=bar: bar.advance(task, n),
                )
            if benchmark.probe and not (told := self.probed(arm, name)).exists():
                from skymm.evaluation import probe

                told.write_text("\n".join(probe.told(answerer, benchmark.probe, questions)) + "\n", "utf-8")

    def probed(self, arm: str, benchmark: str) -> Path:
        """What its towers and latents tell by themselves, in words, beside the answers."""
        return self.answers(arm, benchmark) / "probe.txt"

    def _eval_recipe(self, arm: str, benchmark: StudyBenchmark) -> EvalRecipe:
        overrides = [*self._filled(benchmark.set), *self.recipe.arms[arm].set]
        return recipes.load(benchmark.recipe, EvalRecipe, overrides)


def _blank(picture: Any) -> bytes:
    import io

    from skymm.damage import blank
    from skymm.images import open_image

    stored = io.BytesIO()
    blank(open_image(picture if isinstance(picture, bytes) else picture.read_bytes(), "its picture")).save(
        stored, "PNG"
    )
    return stored.getvalue()


# --- what came out --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A number of an arm, its mean over the seeds with an interval by picture, that of each seed, and its difference to
    the arm that this one is compared with (None for that arm itself).
    """

    arm: str
    benchmark: str
    metric: str
    value: Any
    seeds: tuple[float | None, ...]
    difference: Any


def report(recipe: StudyRecipe, out: Path, language: str = "en") -> Path:
    """Print the table; write study.json with every number and study.html with table and figures; returns the page."""
    found = list(_compared(recipe, out))
    rows = [
        {
            "arm": one.arm,
            "benchmark": one.benchmark,
            "metric": one.metric,
            "value": None if one.value is None else [one.value.value, one.value.low, one.value.high],
            "seeds": one.seeds,
            "difference": None
            if one.difference is None
            else [one.difference.value, one.difference.low, one.difference.high],
        }
        for one in found
    ]
    (out / "study.json").write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", "utf-8")
    _print_table(recipe, found)
    probed = list(_probed(recipe, out))
    for line in probed:
        print(line)
    return _write_page(recipe, found, probed, out / "study.html", language)


def _probed(recipe: StudyRecipe, out: Path) -> Iterator[str]:
    for seed in recipe.seeds:
        run = _Seed(recipe, seed, out / f"seed{seed}")
        for arm in recipe.arms:
            for name in recipe.asked(arm):
                if recipe.benchmarks[name].probe:
                    lines = run.probed(arm, name).read_text("utf-8").splitlines()
                    yield f"{arm}, {name}, seed {seed}: {'; '.join(lines)}"


def _compared(recipe: StudyRecipe, out: Path) -> Iterator[Found]:
    from skymm.evaluation.benchmark import value_of
    from skymm.evaluation.predictions import read_predictions
    from skymm.evaluation.run import score_of
    from skymm.evaluation.statistics import cluster_bootstrap, paired_difference

    for name, benchmark in recipe.benchmarks.items():
        bootstraps: dict[str, Any] = {}
        seeds: dict[str, list[Mapping[str, Any]]] = {}
        arms = [arm for arm in recipe.arms if name in recipe.asked(arm)]
        for arm in arms:
            read = [
                read_predictions(_Seed(recipe, seed, out / f"seed{seed}").answers(arm, name)) for seed in recipe.seeds
            ]
            seeds[arm] = [score_of(one) for one in read]

            def scored(
                answers: Sequence[Any], read: Sequence[Any] = read, keys: Sequence[str] = tuple(benchmark.metrics)
            ):
                """The mean over the seeds, each scored by itself."""
                of_seed: dict[str, list[Any]] = {}
                for answer in answers:
                    of_seed.setdefault(answer.question.fields["seed"], []).append(answer)
                scores = [score_of(replace(read[0], answers=those)) for those in of_seed.values()]
                return {key: _mean([value_of(one, key) for one in scores]) for key in keys}

            answers = [
                replace(
                    answer,
                    question=replace(
                        answer.question,
                        id=f"{seed}/{answer.question.id}",
                        fields={**answer.question.fields, "seed": str(seed)},
                    ),
                )
                for seed, one in zip(recipe.seeds, read)
                for answer in one.answers
            ]
            bootstraps[arm] = cluster_bootstrap(answers, scored, n=NUM_RESAMPLES)
        for arm in arms:
            against = recipe.against(arm)
            for key in benchmark.metrics:
                yield Found(
                    arm,
                    name,
                    key,
                    bootstraps[arm].interval(key),
                    tuple(value_of(scores, key) for scores in seeds[arm]),
                    None if arm == against else paired_difference(bootstraps[arm], bootstraps[against], key),
                )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _columns(recipe: StudyRecipe) -> list[tuple[str, str, str]]:
    return [
        (name, key, f"{title}" if len(recipe.benchmarks) == 1 else f"{name}: {title}")
        for name, benchmark in recipe.benchmarks.items()
        for key, title in benchmark.metrics.items()
    ]


def _cells(recipe: StudyRecipe, found: Sequence[Found], arm: str) -> list[tuple[str, str]]:
    """(number, its interval with the difference where that is more than chance) of each column."""
    from skymm.page.numbers import NONE, bounds, difference, rate

    by_place = {(one.arm, one.benchmark, one.metric): one for one in found}
    cells = []
    for name, key, _ in _columns(recipe):
        one = by_place.get((arm, name, key))  # None: not asked
        if one is None or one.value is None:
            cells.append((NONE, ""))
            continue
        told = bounds(one.value.low, one.value.high, "rate")
        if one.difference is not None and one.difference.excludes(0):
            told += f" {difference(one.difference.value, 'rate')}"
        cells.append((rate(one.value.value), told))
    return cells


def _print_table(recipe: StudyRecipe, found: Sequence[Found]) -> None:
    """As Markdown, which is what goes into a README."""
    print("| arm | " + " | ".join(title for _, _, title in _columns(recipe)) + " |")
    print("|---|" + "---|" * len(_columns(recipe)))
    for arm in recipe.arms:
        cells = [f"{number} {told}".strip() for number, told in _cells(recipe, found, arm)]
        print(f"| {arm} | " + " | ".join(cells) + " |")


def _write_page(recipe: StudyRecipe, found: Sequence[Found], probed: Sequence[str], path: Path, language: str) -> Path:
    from skymm.page.charts import interval_chart
    from skymm.page.document import Cell, Figure, Figures, Page, Section, Table, read_words, write_page
    from skymm.page.drawing import PERCENT

    words = read_words(__package__, "study", language)
    rows = [[arm, *(Cell(*cell) for cell in _cells(recipe, found, arm))] for arm in recipe.arms]
    notes = [words["means"].format(seeds=", ".join(map(str, recipe.seeds))), *probed]
    figures, by_place = [], {(one.arm, one.benchmark, one.metric): one.value for one in found}
    for title in dict.fromkeys(title for one in recipe.benchmarks.values() for title in one.metrics.values()):
        places = [
            (name, key) for name, one in recipe.benchmarks.items() for key in one.metrics if one.metrics[key] == title
        ]
        names = [name for name, _ in places]
        marks = [(arm, [by_place.get((arm, *place)) for place in places]) for arm in recipe.arms]
        figures.append(Figure(title, interval_chart(title, marks, names, PERCENT), [*enumerate(names)]))
    sections = [
        Section("", [Table([words["arm"], *(title for _, _, title in _columns(recipe))], rows, notes)]),
        Section(words["intervals"], [Figures(figures)]),
    ]
    return write_page(Page(words["title"], words["html_language"], "", sections), path)
