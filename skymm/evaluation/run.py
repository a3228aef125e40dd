"""Answering and scoring are two steps, with a predictions file between them.

`run` asks every question of a benchmark once and appends each answer to OUT/predictions.jsonl; after a kill it goes on
where the file ends. `score_predictions` needs that file only, so scores can be recomputed without any model. `agreement`
says how far comparing choices agrees with writing, on a sample: what logits mode owes its readers.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import random
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from skymm.answering.protocol import Answerer, Ask, Mode, Reply
from skymm.evaluation.benchmark import Answer, Files, Picture, Question, benchmark, covered_scores
from skymm.evaluation.judge import GRADES
from skymm.evaluation.predictions import PREDICTIONS, Predictions, entry_of, read_lines, read_predictions
from skymm.files import Journal, alone_in
from skymm.images import UnreadableImage, decode_image
from skymm.recipe import EvalRecipe, load
from skymm.thoughts import without_thoughts

AGREEMENT = "agreement.json"
CUT, REFUSED, UNREADABLE = "thoughts were cut", "refused", "unreadable picture"  # why there is no answer
Place = tuple[int, Question]  # a question and where it stands in the benchmark


def run(
    recipe: EvalRecipe,
    answerer: Answerer,
    out: str | Path,
    *,
    mode: Mode = "generate",
    images: bool = True,
    questions: Sequence[Question] | None = None,
    advance: Callable[[int], None] = lambda questions: None,
    enough: Callable[[Sequence[Question]], bool] | None = None,
) -> Path:
    """Ask the benchmark's questions and return the predictions file.

    `images=False` asks the same without pictures. `questions` are the recipe's, where they are loaded already. `advance` is
    called with the number of answers. Questions about one image stay in one batch. What got no answer (an endpoint refused
    it, its picture cannot be read) is asked again; everything else is asked once, however often a run is killed, but with
    a larger `max_new_tokens` what was cut. `enough` is called with the questions of each batch when they are answered, and ends
    the run where it says so; batches then come from here and there in the benchmark.

    Raises ValueError when the file is of another model (or of the same before more training), recipe or mode, when the
    benchmark's files have changed since, when another run is writing there, and when the answerer cannot decode as asked.
    """
    questions = questions_of(recipe, mode) if questions is None else questions
    if hasattr(answerer, "contrast"):
        answerer.contrast = recipe.contrast
    elif recipe.contrast is not None:
        raise ValueError(
            f"{answerer.name} is no model whose next token this machine decides: it cannot be asked with contrast"
        )
    path = Path(out) / PREDICTIONS
    path.parent.mkdir(parents=True, exist_ok=True)
    setting = {
        "benchmark": benchmark(recipe.benchmark).name,
        "model": answerer.name,
        "weights": answerer.weights,
        "mode": mode,
        "images": images,
        "num_questions": len(questions),
        "decoding": {**answerer.decoding, "max_new_tokens": recipe.max_new_tokens},
        # Keys that came later and say nothing are left out, so that earlier answers are gone on with.
        "recipe": recipe.model_dump() | {"contrast": recipe.contrast and recipe.contrast.model_dump(exclude_none=True)},
        "versions": {name: importlib.metadata.version(name) for name in ("skymm", "torch", "transformers", "peft")},
    }
    busy = f"{path.parent}: another run is writing its answers there; wait for it, or give another --out"
    with alone_in(path.parent, busy):
        done = _answered(path, setting, {question.id: prompt_of(question, recipe) for question in questions})
        waiting = [place for place in _longest_first(questions) if place[1].id not in done]
        advance(len(questions) - len(waiting))
        journal = Journal(path)
        batches: Any = _batches(waiting, max(recipe.batch_size, answerer.batch_size))
        batches = iter(batches if enough is None else _here_and_there([*batches]))
        while at_once := list(islice(batches, getattr(answerer, "processes", 1))):
            asked: list[list[tuple[Place, Ask]]] = [[] for _ in at_once]
            for batch, kept in zip(at_once, asked):
                for index, question in batch:
                    try:
                        ask = ask_of(question, recipe, images)
                        look(ask)
                    except (UnreadableImage, OSError) as error:  # costs this question, and not the run
                        reply = Reply("", error=f"{UNREADABLE}: {error}")
                        journal.add(entry_of(question, index, prompt_of(question, recipe), reply, setting))
                        advance(1)
                    else:
                        kept.append(((index, question), ask))
            asked = [kept for kept in asked if kept]
            answered, began = 0, time.perf_counter()
            for place, number, reply in _replies(answerer, [[ask for _, ask in kept] for kept in asked], mode):
                (index, question), ask = asked[place][number]
                # Since the answer before: answers may come all at once, so it is the sum over a run that means something.
                seconds, began = time.perf_counter() - began, time.perf_counter()
                entry = entry_of(question, index, ask.prompt, _settled(reply, recipe), setting)
                journal.add({**entry, "seconds": round(seconds, 6)})
                answered += 1
                advance(1)
            asks = sum(map(len, asked))
            assert answered == asks, f"{answerer.name} gave {answered} replies to {asks} asks"
            if enough is not None and enough([question for batch in at_once for _, question in batch]):
                break
    return path


def _replies(answerer: Answerer, batches: Sequence[Sequence[Ask]], mode: Mode) -> Iterator[tuple[int, int, Reply]]:
    """(place of the batch, number in it, reply); batches are answered side by side by who has processes for that."""
    if hasattr(answerer, "answer_batches"):
        yield from answerer.answer_batches(batches, mode)
        return
    for place, asks in enumerate(batches):
        for number, reply in answerer.answer(asks, mode):
            yield place, number, reply


def _settled(reply: Reply, recipe: EvalRecipe) -> Reply:
    """With an error where what was said is no answer: a refusal, or thoughts that were cut before one came."""
    if reply.error is not None or without_thoughts(reply.text).strip():
        return reply
    reason = reply.finish_reason
    if reply.refusal or reason == "content_filter":
        return replace(reply, error=f"{REFUSED}: {reply.refusal or reason}", finish_reason=reason or "refusal")
    if reason == "length" or reply.text.strip():
        error = f"{CUT}: no answer in {recipe.max_new_tokens} new tokens"
        return replace(reply, error=error, finish_reason=reason or "length")
    return reply


def unanswered(path: Path) -> list[str]:
    """What got no answer in a predictions file: a sentence for each reason, with keys, and what to do."""
    lines = read_lines(path)
    found: dict[str, list[str]] = {}
    for line in lines:
        if "error" in line:
            reason = line["error"].partition(":")[0]
            found.setdefault(reason if reason in (CUT, UNREADABLE) else line["error"], []).append(line["id"])
    said = []
    for reason, names in found.items():
        again = "with a larger max_new_tokens" if reason == CUT or reason.startswith(REFUSED) else "run it again"
        first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        said.append(
            f"{len(names)} of {len(lines)} questions got no answer and count as unknown ({first}: {reason}); "
            f"{again} they are asked again"
        )
    return said


def questions_of(recipe: EvalRecipe, mode: Mode = "generate") -> list[Question]:
    """The benchmark's questions. Raises ValueError for none, doubled ids, and a mode that they cannot be asked in."""
    if recipe.num_items is not None and not benchmark(recipe.benchmark).is_made:
        raise ValueError(f"{recipe.benchmark} has the items that were published; take num_items out of the recipe")
    questions = benchmark(recipe.benchmark).load(recipe)
    if not questions:
        raise ValueError(f"{recipe.root}: found no questions of {recipe.benchmark}")
    if recipe.contrast is not None and recipe.contrast.kind == "calibrated" and mode != "logits":
        raise ValueError("contrast of kind calibrated is of choices that are compared; use --mode logits, or blind")
    if recipe.contrast is not None and recipe.contrast.growth is not None and mode == "logits":
        raise ValueError(
            "contrast.growth is of answers that are written, and choices are compared before; leave it out"
        )
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise ValueError(f"{recipe.root}: question {question.id} of {recipe.benchmark} stands there twice")
        seen.add(question.id)
    if mode == "logits" and not any(question.choices for question in questions):
        raise ValueError(
            f"{recipe.benchmark} is answered in free text, which has no choices to compare; use --mode generate"
        )
    return questions


def ask_of(question: Question, recipe: EvalRecipe, images: bool = True) -> Ask:
    about = (prompt_of(question, recipe), tuple(map(_bytes, question.images)) if images else (), question.choices)
    where = {"places": question.places, "names": question.names} if images else {}
    return Ask(*about, question.id, **where)


def look(ask: Ask) -> None:
    """Raises UnreadableImage where one of the pictures does not decode."""
    for picture in ask.images:
        _look(picture)


@lru_cache(maxsize=4)  # questions about one picture come one after another
def _look(picture: bytes) -> None:
    decode_image(picture, "its picture")


def prompt_of(question: Question, recipe: EvalRecipe) -> str:
    """The question with the recipe's suffix in place of the benchmark's own; unchanged when the recipe has none."""
    if recipe.suffix is None:
        return question.text
    before = question.text.removesuffix(recipe.official_suffix)
    bare = before.rstrip()
    # The new instruction stands where the old one stood: behind a space, or on a line of its own.
    return f"{bare}{before[len(bare) :] or ' '}{recipe.suffix}".strip()


def score_predictions(path: str | Path, files: Files | None = None) -> dict[str, Any]:
    """Official and strict scores of a predictions file, as the benchmark's own `score` gives them."""
    return score_of(read_predictions(path), files)


def score_of(predictions: Predictions, files: Files | None = None) -> dict[str, Any]:
    """`files` go before those that the recipe named, and these before grades that lie beside the predictions. `answered` of
    `expected` questions have an answer.
    """
    named = {**files_of(predictions), **(files or {})}
    one, answers = predictions.definition, predictions.answers
    if one.relabel is not None and files and "labels" in files:
        answers = one.relabel(answers, Path(files["labels"]))
        return covered_scores(one, answers, named)
    return covered_scores(one, answers, named, predictions.num_questions)


def files_of(predictions: Predictions) -> dict[str, Path]:
    """The tables that a run's recipe names, and the grades that lie beside its answers."""
    beside = predictions.path.with_name(GRADES)
    named = {"grades": beside} if beside.is_file() else {}
    return named | {name: Path(value) for name, value in predictions.recipe.files.items()}


def _here_and_there(batches: Sequence[list[Place]]) -> list[list[Place]]:
    """All of them, in an order whose first few stand for the whole: steps of the golden ratio."""
    places = (int(len(batches) * ((0.5 + step * 0.6180339887) % 1)) for step in range(len(batches)))
    return [batches[place] for place in dict.fromkeys([*places, *range(len(batches))])]


def size_of(question: Question, images: bool = True) -> int:
    """About how many tokens it is to read: a picture counts as 48, four letters or one Chinese character as one."""
    num_ascii = sum(character.isascii() for character in question.text)
    return 48 * len(question.images) * images + len(question.text) - num_ascii + num_ascii // 4


def _longest_first(questions: Sequence[Question]) -> list[Place]:
    """In an order in which little of a batch is padding, and none waits for one that is written at length: those without
    choices, then by their number of pictures, then by length. Questions about the same pictures stay together.
    """
    together: list[list[Place]] = []
    for place in enumerate(questions):
        if together and place[1].images and place[1].images == together[-1][-1][1].images:
            together[-1].append(place)
        else:
            together.append([place])

    def longest(places: list[Place]) -> tuple[bool, int, int]:
        return max((not one.choices, len(one.images), size_of(one)) for _, one in places)

    return [place for places in sorted(together, key=longest, reverse=True) for place in places]


def _batches(waiting: Sequence[Place], batch_size: int) -> Iterator[list[Place]]:
    """Batches of at least `batch_size` questions, cut between images; never more than twice as many."""
    batch: list[Place] = []
    for place in waiting:
        same_images = batch and place[1].images and place[1].images == batch[-1][1].images
        if len(batch) >= (2 * batch_size if same_images else batch_size):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _bytes(picture: Picture) -> bytes:
    return picture if isinstance(picture, bytes) else picture.read_bytes()


# What must agree for answers to be of one run; where files lie and how many are asked at a time does not matter.
_SAME_RUN = ("benchmark", "model", "weights", "mode", "images")
_SAME_RECIPE = ("benchmark", "split", "suffix", "official_suffix", "max_new_tokens", "contrast")


def _answered(path: Path, setting: dict[str, Any], prompts: dict[str, str]) -> set[str]:
    """Ids of the questions that need not be asked again; the file is left with exactly those.

    Thoughts that were cut and refusals stay as they are, at the same max_new_tokens. With more of them every answer that was
    cut is asked for again, and the others stay: decoding is greedy, so they would come out the same.
    """
    if not path.exists():
        return set()
    kept: dict[str, dict[str, Any]] = {}
    recipe = setting["recipe"]
    for line in read_lines(path):
        told, failed = line.get("finish_reason"), "error" in line
        more = recipe["max_new_tokens"] > line["recipe"].get("max_new_tokens", 0)
        compared = [(name, line.get(name), setting[name]) for name in _SAME_RUN]
        for name in _SAME_RECIPE:
            if not (name == "max_new_tokens" and more and (told or failed)):
                compared.append((name, line["recipe"].get(name), recipe[name]))
        for name, found, wanted in compared:
            if found != wanted:
                raise ValueError(
                    f"{path} holds answers with {name} {found!r}, this run has {wanted!r}; give another --out"
                )
        if prompts.get(line["id"]) != line["prompt"]:
            raise ValueError(
                f"{path}: {line['id']} was asked as {line['prompt']!r}, now it is {prompts.get(line['id'])!r}: "
                f"the files at {recipe['root']} are not those of this run; give another --out"
            )
        no_answer = failed and (told is None or more)
        if not no_answer and not (told == "length" and more):
            # Files may have moved, and tables may have been named since.
            kept[line["id"]] = {**line, "recipe": recipe, "decoding": setting["decoding"]}
    Journal(path).rewrite(kept.values())
    return set(kept)


# --- logits against writing ---

AGREEMENT = "agreement.json"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `num_sampled` questions, `num_equal` were generated to the same verdict, `num_unknown` to none."""

    num_sampled: int
    num_equal: int
    num_unknown: int

    @property
    def sentence(self) -> str:
        return (
            f"logits and generate agree on {self.num_equal} of {self.num_sampled} sampled questions; "
            f"{self.num_unknown} generated answers say nothing readable"
        )


def agreement(
    recipe: EvalRecipe,
    answerer: Answerer,
    path: Path,
    num_sampled: int,
    *,
    seed: int = 0,
    questions: Sequence[Question] | None = None,
) -> Agreement:
    """Generate answers to a sample of the questions in a predictions file and compare verdicts, read strictly and
    bilingually. Written to agreement.json beside the file; a second call about the same answers reads it from there.
    """
    stored = path.with_name(AGREEMENT)
    of = hashlib.sha256(f"{num_sampled} {seed}".encode() + path.read_bytes()).hexdigest()[:16]
    if stored.exists():
        found = json.loads(stored.read_text("utf-8"))
        if found.pop("of") == of:
            return Agreement(**found)
    strict = benchmark(recipe.benchmark).strict
    predictions = read_predictions(path)
    compared = {answer.question.id: answer for answer in predictions.answers}
    asked = questions_of(recipe, "logits") if questions is None else questions
    eligible = [question for question in asked if question.choices and question.id in compared]
    sample = random.Random(seed).sample(eligible, min(num_sampled, len(eligible)))
    found = []
    for start in range(0, len(sample), recipe.batch_size):
        batch = sample[start : start + recipe.batch_size]
        asks = [ask_of(question, recipe, predictions.images) for question in batch]
        for index, reply in answerer.answer(asks, "generate"):
            if reply.error is not None:
                continue
            written = strict(Answer(batch[index], reply.text))
            found.append((written, strict(compared[batch[index].id])))
    result = Agreement(
        num_sampled=len(found),
        num_equal=sum(written == chosen for written, chosen in found),
        num_unknown=sum(written in (None, "unknown") for written, _ in found),
    )
    stored.write_text(json.dumps({**asdict(result), "of": of}, indent=2) + "\n", "utf-8")
    return result


# --- what may not be trained on ---


def write_leakage_index(named: Sequence[str], path: Path) -> Path:
    """The pictures and questions of benchmarks, as the index that a data build compares with.

    `named`: as in a data recipe, an evaluation recipe with its overrides ("eval/mme.toml root=DIR split=val").
    Raises ValueError for a recipe that is none and for a benchmark that is not on this disk.
    """
    from skymm.curation.filters.leakage import LeakageIndex

    def shown() -> Iterator[tuple[str, list[bytes]]]:
        for text in named:
            recipe_file, *overrides = shlex.split(text)
            for question in questions_of(load(recipe_file, EvalRecipe, overrides)):
                yield question.text, list(map(_bytes, question.images))

    index = LeakageIndex.build(shown())
    path.parent.mkdir(parents=True, exist_ok=True)
    index.save(path)
    return path
