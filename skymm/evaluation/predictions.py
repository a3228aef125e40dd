"""The predictions file between answering and scoring: one line per question, with all that scoring needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.answering.protocol import Reply
from skymm.evaluation.benchmark import Answer, Benchmark, Question, once_each
from skymm.evaluation.benchmark import benchmark as registered
from skymm.evaluation.statistics import calibrating_temperature
from skymm.files import read_journal
from skymm.recipe import EvalRecipe, parse

PREDICTIONS = "predictions.jsonl"
_NEEDED = {"id", "index", "question", "prompt", "gold", "response", "cluster", "choices", "fields"} | {
    *("benchmark", "model", "weights", "mode", "images", "num_questions", "recipe")
}

_BESIDE = ("error", "finish_reason", "refusal", "reasoning_content", "num_tokens")  # of a reply, where it has them


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a predictions file holds. `failed` are the answers that an endpoint never gave: counted as unknown. `seconds` and
    `num_tokens` are of all answers, None where one does not say (files of before did not).
    """

    path: Path
    benchmark: str
    model: str
    mode: str
    images: bool
    recipe: EvalRecipe
    answers: list[Answer]
    num_questions: int
    failed: dict[str, str]
    weights: str | None
    decoding: Mapping[str, Any]
    seconds: float | None
    num_tokens: int | None

    @property
    def definition(self) -> Benchmark:
        return registered(self.benchmark)


def entry_of(question: Question, index: int, prompt: str, reply: Reply, setting: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the file. The question stands as the benchmark has it, the prompt as it was sent."""
    return {
        "id": question.id,
        "index": index,
        "question": question.text,
        "prompt": prompt,
        "gold": question.gold,
        "response": reply.text,
        "logits": dict(reply.logits) if reply.logits is not None else None,
        "cluster": question.cluster,
        "choices": list(question.choices),
        "fields": dict(question.fields),
        **{name: getattr(reply, name) for name in _BESIDE if getattr(reply, name) is not None},
        **setting,
    }


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Lines of a predictions file (or of the one in a directory). Raises ValueError naming the line that is damaged,
    unless it is the last: a killed run was writing it, and the question will be asked again.
    """
    path = file_of(path)
    if not path.is_file():
        raise ValueError(f"no predictions at {path}")
    return read_entries_with(_NEEDED, path, "prediction of `skymm eval run`")


def read_entries_with(needed: Set[str], path: Path, what: str) -> list[dict[str, Any]]:
    """The entries of a journal. Raises ValueError naming the line that lacks a field, and `what` it should have been."""
    entries = read_journal(path)
    for number, entry in enumerate(entries, 1):
        missing = needed - (set(entry) if isinstance(entry, dict) else set())
        if missing:
            raise ValueError(f"{path}, line {number}: no {what}; {sorted(missing)[0]!r} is missing")
    return entries


def file_of(path: str | Path) -> Path:
    path = Path(path)
    return path / PREDICTIONS if path.is_dir() else path


def is_predictions(path: Path) -> bool:
    """Whether a path is a predictions file of ours, or a directory with one: our lines say what they are of."""
    path = file_of(path)
    if not path.is_file() or path.suffix != ".jsonl":
        return False
    with path.open("rb") as file:
        start = file.readline()
    try:
        line = json.loads(start)
    except ValueError:
        return path.name == PREDICTIONS
    return path.name == PREDICTIONS or (isinstance(line, dict) and {"benchmark", "index", "gold"} <= set(line))


def read_predictions(path: str | Path, benchmark: Benchmark | None = None) -> Predictions:
    """The answers of a run in the order of the benchmark.

    Where the recipe names `files.labels` and the benchmark knows how, they are those under these labels.

    Raises ValueError for an empty file, another benchmark's, several runs in one, and a question answered twice.
    """
    path = file_of(path)
    lines = sorted(read_lines(path), key=lambda line: line["index"])
    if not lines:
        raise ValueError(f"{path} holds no answers yet")
    first = lines[0]
    if benchmark is not None and first["benchmark"] != benchmark.name:
        raise ValueError(f"{path}: predictions of benchmark {first['benchmark']!r}, expected {benchmark.name!r}")
    for name in ("benchmark", "model", "weights", "mode", "images"):
        other = next((line for line in lines if line[name] != first[name]), None)
        if other:
            raise ValueError(f"{path}: {name} is {first[name]!r} for {first['id']}, {other[name]!r} for {other['id']}")
    recipe, answers = parse(first["recipe"], EvalRecipe, str(path)), once_each(map(_answer, lines), str(path))
    num_questions, relabel = first["num_questions"], registered(first["benchmark"]).relabel
    if relabel is not None and "labels" in recipe.files:
        answers = relabel(answers, Path(recipe.files["labels"]))
        num_questions = answers.expected
    return Predictions(
        path=path,
        benchmark=first["benchmark"],
        model=first["model"],
        mode=first["mode"],
        images=first["images"],
        recipe=recipe,
        answers=answers,
        num_questions=num_questions,
        failed={line["id"]: line["error"] for line in lines if "error" in line},
        weights=first["weights"],
        decoding=first.get("decoding", {}),
        seconds=_sum(line.get("seconds") for line in lines),
        num_tokens=_sum(line.get("num_tokens") for line in lines),
    )


def _sum(numbers: Iterable[Any]) -> Any:
    """None where one of them is None."""
    known = list(numbers)
    return None if None in known else sum(known)


def _answer(line: Mapping[str, Any]) -> Answer:
    question = Question(
        line["id"], line["question"], line["gold"], line["cluster"], (), tuple(line["choices"]), line["fields"]
    )
    return Answer(question, line["response"], line.get("logits"), "error" in line)


def temperature_for(predictions: Predictions) -> float:
    """What calibrates yes and no in a run: see `calibrating_temperature`. Raises ValueError for one without such answers."""
    told = [
        (answer.logits["yes"] - answer.logits["no"], answer.question.gold == "yes")
        for answer in predictions.answers
        if answer.logits and {"yes", "no"} <= answer.logits.keys() and answer.question.gold in ("yes", "no")
    ]
    if not told:
        raise ValueError(f"{predictions.path}: no yes/no answers with log-probabilities; make some with --mode logits")
    return calibrating_temperature(*zip(*told))
