"""Answering and scoring are two steps, with a predictions file between them.

`run` asks every question of a benchmark once and appends each answer to OUT/predictions.jsonl; after a kill it goes on
where the file ends. `score_predictions` needs that file only, so scores can be recomputed without any model.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skymm.evaluation.answerers import Answerer
from skymm.evaluation.benchmarks import mme
from skymm.recipe import EvalRecipe

PREDICTIONS = "predictions.jsonl"


def run(
    recipe: EvalRecipe, answerer: Answerer, out: str | Path, advance: Callable[[int], None] = lambda questions: None
) -> Path:
    """Ask the benchmark's questions and return the predictions file. `advance` is called with the number of answers.

    Each line holds the question as it stands in the benchmark, the prompt as sent, the raw answer, the gold answer, the
    model, the decoding and the versions of what ran. Raises ValueError when the file is of another model or recipe.
    """
    questions = mme.load(recipe.root)
    path = Path(out) / PREDICTIONS
    path.parent.mkdir(parents=True, exist_ok=True)
    setting = {
        "benchmark": recipe.benchmark,
        "model": answerer.name,
        "suffix": recipe.suffix,
        "decoding": {"do_sample": False, "max_new_tokens": recipe.max_new_tokens},
    }
    done = _answered(path, setting)
    waiting = [(name, question) for name, question in _named(questions) if name not in done]
    advance(len(questions) - len(waiting))
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
    with path.open("a", encoding="utf-8") as file:
        for start in range(0, len(waiting), recipe.batch_size):
            batch = waiting[start : start + recipe.batch_size]
            prompts = [with_suffix(question.question, recipe) for _, question in batch]
            answers = answerer.answer(
                [(question.image.read_bytes(), prompt) for (_, question), prompt in zip(batch, prompts)]
            )
            for (name, question), prompt, answer in zip(batch, prompts, answers, strict=True):
                line = {
                    "id": name,
                    "subtask": question.subtask,
                    "image": question.image.name,
                    "question": question.question,
                    "prompt": prompt,
                    "answer": question.answer,
                    "response": answer,
                    **setting,
                    "versions": versions,
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            advance(len(batch))
    return path


def with_suffix(question: str, recipe: EvalRecipe) -> str:
    """The question with the recipe's suffix in place of the benchmark's own; unchanged when the recipe has none."""
    if recipe.suffix is None:
        return question
    bare = question.removesuffix(recipe.official_suffix).rstrip()
    return f"{bare} {recipe.suffix}".strip()


def read_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Lines of a predictions file. Raises ValueError naming the line that is damaged, unless it is the last."""
    path = Path(path)
    if path.is_dir():
        path = path / PREDICTIONS
    if not path.is_file():
        raise ValueError(f"no predictions at {path}")
    lines = path.read_text("utf-8").splitlines()
    predictions = []
    for number, line in enumerate(lines, 1):
        try:
            predictions.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break  # a killed run was writing it; the question will be asked again
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
    return predictions


def score_predictions(path: str | Path) -> dict[str, Any]:
    """Official and strict scores of a predictions file of MME, as `mme.score` gives them."""
    return mme.score(results_of(read_predictions(path), str(path)))


def results_of(predictions: list[dict[str, Any]], where: str) -> dict[str, list[mme.Row]]:
    """Predictions as MME result rows. Raises ValueError for another benchmark's file or a question answered twice."""
    seen = set()
    results: dict[str, list[mme.Row]] = {}
    for prediction in predictions:
        if prediction.get("benchmark") != "mme":
            raise ValueError(f"{where}: predictions of benchmark {prediction.get('benchmark')!r}, expected 'mme'")
        if prediction["id"] in seen:
            raise ValueError(f"{where}: question {prediction['id']} is answered twice")
        seen.add(prediction["id"])
        row = mme.Row(*(prediction[name] for name in ("image", "question", "answer", "response")))
        results.setdefault(prediction["subtask"], []).append(row)
    return results


def _named(questions: list[mme.Question]) -> list[tuple[str, mme.Question]]:
    """A name for every question that stays the same between runs: subtask, image, first or second."""
    named, counts = [], {}
    for question in questions:
        image = f"{question.subtask}/{question.image.name}"
        counts[image] = counts.get(image, 0) + 1
        named.append((f"{image}/{counts[image]}", question))
    return named


def _answered(path: Path, setting: dict[str, Any]) -> set[str]:
    if not path.exists():
        return set()
    predictions = read_predictions(path)
    for prediction in predictions:
        different = [name for name, value in setting.items() if prediction.get(name) != value]
        if different:
            name = different[0]
            raise ValueError(
                f"{path} holds answers with {name} {prediction.get(name)!r}, this run has {setting[name]!r}; "
                "give another --out"
            )
    # Without a half-written last line, so that the next answer starts a line of its own.
    text = "".join(json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions)
    partial = path.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    partial.rename(path)
    return {prediction["id"] for prediction in predictions}
