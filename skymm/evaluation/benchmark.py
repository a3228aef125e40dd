"""What a benchmark is: a declaration and a few small pure functions. Adding one is adding one file and one recipe.

The file lies in `benchmarks/`, carries the benchmark's name and ends with `BENCHMARK = declared(NAME, ...)`; what there is to
say about it stands in `benchmarks/benchmarks.toml`.
"""

from __future__ import annotations

import difflib
import importlib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Literal, TypeVar

from skymm.recipe import EvalRecipe

Key, Value = TypeVar("Key"), TypeVar("Value")
YES_NO = ("yes", "no")
_BENCHMARKS = "skymm.evaluation.benchmarks"
Picture = Path | bytes  # an encoded image: a file, or its bytes where a benchmark ships them inside a table
# Tables that a scorer needs besides the answers, by what they are: labels, objects, ...; "response" is no table but the
# name of the column with the model's words, for answer files that leave it open.
Files = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Question:
    """One question as a benchmark asks it.

    `id` is the same in every run. `text` has the benchmark's own wording and instruction. `gold` is in the form that the
    official scorer compares with ("yes", "B", ...; "" where nothing is compared). Questions with the same `cluster` are
    about the same picture (or twin pictures): intervals resample them together. `choices` are what can be chosen between
    without generating: `YES_NO` or option letters; () for free text. `fields` holds what else scoring needs, as JSON types.
    `places` and `names` of the images are those of an Ask, where they do not all stand before the text.
    """

    id: str
    text: str
    gold: str
    cluster: str
    images: tuple[Picture, ...] = ()
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. `logits` are log-probabilities of the choices, where whoever answered could be asked for them.

    `failed`: there is no answer, since an endpoint refused; whatever a rule makes of an empty response, it is wrong.
    """

    question: Question
    response: str
    logits: Mapping[str, float] | None = None
    failed: bool = False


class Answers(list[Answer]):
    """Answers out of files. `expected`: how many questions they could be to, None where the files do not say; `left_over`:
    answers to none of these, which are not in the list.
    """

    def __init__(self, answers: Iterable[Answer] = (), expected: int | None = None, left_over: int = 0):
        super().__init__(answers)
        self.expected, self.left_over = expected, left_over


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that stands at the top: where it lies in the scores ("subtasks.color.acc"), and how it is shown."""

    key: str
    label: str
    unit: Literal["rate", "points"] = "rate"  # a fraction of 1, or points as published
    lower_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """How free answers are judged. `message`: what the judge is sent; `read`: the grade in what it says, None for none."""

    message: Callable[[Answer], str]
    read: Callable[[str], tuple[float, ...] | None]


def no_files(paths: Sequence[Path], files: Files) -> list[Answer]:
    """`read` of a benchmark that never published answer files."""
    if not paths[0].exists():
        raise ValueError(f"no predictions at {paths[0]}")
    raise ValueError(f"{paths[0]}: this benchmark has no official answer files; score predictions of `skymm eval run`")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark.

    Args:
        load: recipe -> questions, in the order they are asked in: those about one picture next to each other. Raises
            ValueError that says what was found and what is expected where files are missing.
        score: answers -> scores as JSON types, by the official rule; under "strict" the same from a bilingual reading with
            the share of "unknown". Groups are formed with `question.cluster` as part of their key, so that a cluster drawn
            twice counts twice. Parsing is cached: scores are recomputed hundreds of times for an interval.
        read: official answer files and `files` -> answers in official order.
        right: official verdict on one answer; None where there is none (captions, judged answers).
        strict: bilingual reading of one answer: one of the choices or "unknown"; None for free text.
        relabel: answers, a file of other labels for the same questions -> the answers under these; None where there are none.
        sizes: how many questions the release has in each of its parts; `part`: which part a question is of.
        main: the metric that multimodal gain and comparisons use; `metrics` are the ones shown, `main` among them.
    """

    name: str
    title: str
    size: str
    licence: str
    download: str  # what to get, and where from
    layout: str  # what `root` has to hold
    load: Callable[[EvalRecipe], list[Question]]
    score: Callable[[Sequence[Answer], Files], dict[str, Any]]
    metrics: tuple[Metric, ...]
    read: Callable[[Sequence[Path], Files], list[Answer]] = no_files
    right: Callable[[Answer], bool | None] = lambda answer: None
    strict: Callable[[Answer], str | None] = lambda answer: None
    tables: Mapping[str, str] = field(default_factory=dict)  # part of the scores -> what a report shows of its entries
    judge: Callable[[Files], Judge] | None = None  # who grades the answers, where a rule cannot
    judges: Literal["model", "tower"] = "model"  # a tower chooses between images instead of answering
    relabel: Callable[[Sequence[Answer], Path], Answers] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    part: Callable[[Question], str] = lambda question: ""
    is_made: bool = False  # on this machine, with as many items as the recipe wants
    strata: str | None = None  # field whose groups keep their size when clusters are resampled

    @property
    def main(self) -> Metric:
        return self.metrics[0]


def value_of(scores: Mapping[str, Any], key: str) -> Any:
    """The number at a dotted key; None where something on the way is missing."""
    for part in key.split("."):
        if not isinstance(scores, Mapping) or part not in scores:
            return None
        scores = scores[part]
    return scores


def find_image(directory: Path, name: str, benchmark: str) -> Path:
    """The picture of that name, which must be there. Raises ValueError that says where it was looked for."""
    path = directory / name
    if not path.is_file():
        where = "is no directory" if not directory.is_dir() else "has no such file"
        raise ValueError(f"{benchmark}: no image {name!r}: {directory} {where}; is the download complete?")
    return path


def picture_folder(recipe: EvalRecipe, *folders: Path) -> Path:
    """Where the pictures lie: as the recipe says, else the first of these folders that is there, else the first."""
    if recipe.images:
        return Path(recipe.images)
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def of_split(questions: Sequence[Question], recipe: EvalRecipe, field: str) -> list[Question]:
    """The questions whose field is the recipe's split; all without one. Raises ValueError naming what there is."""
    if recipe.split is None:
        return list(questions)
    chosen = [question for question in questions if question.fields[field] == recipe.split]
    if not chosen:
        there = ", ".join(sorted({question.fields[field] for question in questions}))
        raise ValueError(f"{recipe.root}: found no questions of split {recipe.split!r}, expected one of {there}")
    return chosen


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """The values of each key, keys in the order in which they come."""
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def once_each(answers: Iterable[Answer], where: str) -> list[Answer]:
    """The answers, each question once. Raises ValueError naming the question that is answered twice."""
    seen: set[str] = set()
    kept = []
    for answer in answers:
        if answer.question.id in seen:
            raise ValueError(f"{where}: question {answer.question.id} is answered twice")
        seen.add(answer.question.id)
        kept.append(answer)
    return kept


@cache
def _declarations() -> dict[str, dict[str, Any]]:
    return tomllib.loads((package_files(_BENCHMARKS) / "benchmarks.toml").read_text("utf-8"))


def names() -> list[str]:
    """The benchmarks that there are."""
    return sorted(_declarations())


def benchmark(name: str) -> Benchmark:
    """Raises ValueError for a name that there is not, with the nearest one."""
    known = names()
    plain = name.lower().replace("-", "_")
    if plain not in known:
        near = difflib.get_close_matches(plain, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown benchmark {name!r}{hint} There are {', '.join(known)}.")
    module = importlib.import_module(f"{_BENCHMARKS}.{_declarations()[plain].get('file', plain)}")
    return next(one for one in vars(module).values() if isinstance(one, Benchmark) and one.name == plain)


def declared(
    name: str,
    *,
    official: Callable[[Answer], str] | None = None,
    count: Callable[[Sequence[Answer], Sequence[str]], dict[str, Any]] | None = None,
    **rules: Any,
) -> Benchmark:
    """A benchmark with its words from benchmarks.toml. `rules` are the fields of `Benchmark`.

    `official` reads an answer as the official scorer does: right is what equals the gold. `count` gives the scores of
    answers by what they were read as, first by the official reading, then by the strict one.
    """
    words = {key: tuple(one) if isinstance(one, list) else one for key, one in _declarations()[name].items()}
    words |= {"metrics": tuple(Metric(**metric) for metric in words["metrics"])}
    words.pop("file", None)
    if official is not None:
        rules.setdefault("right", lambda answer: not answer.failed and official(answer) == answer.question.gold)
    if official is not None and count is not None:
        strict = rules["strict"]
        rules["score"] = lambda answers, files: scored_twice(answers, count, official, strict)
        rules["strict"] = lambda answer: strict(answer) if answer.question.choices else None
    return Benchmark(name=name, **words, **rules)


def scored_twice(
    answers: Sequence[Answer],
    count: Callable[[Sequence[Answer], Sequence[str]], dict[str, Any]],
    official: Callable[[Answer], str],
    strict: Callable[[Answer], str],
) -> dict[str, Any]:
    """`count`'s scores of what answers say by the official reading; under "strict" those of the strict reading, with the
    share of "unknown". An official reading knows no such share, and where there is no answer it has nothing to read.
    """
    said = list(map(strict, answers))
    read = ["unknown" if answer.failed else official(answer) for answer in answers]
    unknown = said.count("unknown") / max(1, len(answers))
    return {**without_unknown(count(answers, read)), "strict": {**count(answers, said), "unknown": unknown}}


def without_unknown(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The same numbers without `unknown`, which belongs to the strict reading."""
    return {
        name: without_unknown(value) if isinstance(value, Mapping) else value
        for name, value in scores.items()
        if name != "unknown"
    }


def covered_scores(
    one: Benchmark, answers: Sequence[Answer], files: Files, expected: int | None = None
) -> dict[str, Any]:
    """The scores of what is there, with `answered` of `expected` questions: a part is never scored as if it were all.
    `left_over` are answers to questions that the labels do not have.

    `expected` is how many were asked; else what the answer files' labels say, else the size of the parts of the release
    that any answer is of.
    """
    if expected is None:
        expected = getattr(answers, "expected", None)
    if expected is None:
        expected = sum(one.sizes.get(part, 0) for part in {one.part(answer.question) for answer in answers})
    scores = {**one.score(answers, files), "answered": sum(not answer.failed for answer in answers)}
    scores["expected"] = max(expected, len(answers))
    if left_over := getattr(answers, "left_over", 0):
        scores["left_over"] = left_over
    return scores


def coverage_line(scores: Mapping[str, Any]) -> str:
    """How much is answered in words; "" where everything is answered and everything belongs."""
    answered, expected, left_over = scores["answered"], scores["expected"], scores.get("left_over", 0)
    parts = []
    if answered < expected:
        parts.append(
            f"only {answered} of {expected} questions are answered ({answered / expected:.1%}): scored on these"
        )
    if left_over:
        parts.append(f"{left_over} answers are to no question of the labels, and left out")
    return "; ".join(parts)
