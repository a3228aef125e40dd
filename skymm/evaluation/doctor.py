"""What a benchmark itself is worth, before any model is asked: copies, answers that the words give away, wrong labels,
questions that nobody can answer, and the smallest difference that it can resolve.

For every benchmark of yes/no questions or options that is read here, the yes/no questions of a user's own shards (`held_out`)
among them. Free text is left alone. The sentences stand in doctor.toml.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from skymm.curation.audit.guessing import GAIN, MIN_QUESTIONS, Guess, guess, reader
from skymm.curation.audit.guessing import Question as Guessed
from skymm.evaluation.benchmark import YES_NO, Answer, Benchmark, Picture, Question, benchmark, grouped
from skymm.evaluation.statistics import resolvable
from skymm.images import UnreadableImage, decode_image
from skymm.page import numbers
from skymm.page.document import Section, Sentences, Table
from skymm.recipe import EvalRecipe
from skymm.text import language_of, normalise
from skymm.verdict import NO, YES

# Of planning: the share that is right, and the correlation of two models' verdicts on a question.
_RIGHT, _ALIKE = 0.8, 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` stays the same, for scripts. `value` is a count of questions, or a share, of `of`; None where it is not known, and
    a pair of shares where it is a range. `do` is "" where nothing is wrong.
    """

    name: str
    what: str
    value: int | float | tuple[float, float] | None
    of: int
    shown: str
    do: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """A benchmark that was looked at. `groups`: by kind and language, what the words give away (`Guess`, as JSON)."""

    benchmark: str
    questions: int
    pictures: int
    findings: tuple[Finding, ...]
    groups: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def section(self) -> Section:
        """One table of what was found and what to do, and in a sentence what was looked at without finding anything."""
        words = _words()
        title = words["title"].format(name=self.benchmark, questions=self.questions, pictures=self.pictures)
        rows = [[one.what, one.shown, one.do] for one in self.findings if one.value != 0]
        clean = [one.what for one in self.findings if one.value == 0]
        told = [Section("", [Sentences([words["none"].format(what="; ".join(clean))])])] if clean else []
        return Section(title, [Table([words["what"], words["found"], words["do"]], rows, wordy=frozenset([2])), *told])


@cache
def _words() -> dict[str, str]:
    return tomllib.loads((resources.files(__package__) / "doctor.toml").read_text("utf-8"))


def examine(recipe: EvalRecipe) -> Examined:
    """Look at the questions of a recipe. Raises ValueError where they cannot be loaded, and where they are of free text."""
    one = benchmark(recipe.benchmark)
    loaded = one.load(recipe)
    questions = [question for question in loaded if question.choices]
    if not questions:
        raise ValueError(
            f"{recipe.root}: found {len(loaded)} questions of {one.name}, none with choices; expected a benchmark of yes/no "
            "questions or options: free text has no blind answer to compare with"
        )
    digests, broken, plain = _pictures(questions)
    copies: dict[tuple[Any, ...], list[Question]] = grouped(
        ((*(digests[place] for place in map(id, question.images)), _asked(question)), question)
        for question in questions
    )
    distinct = [those[0] for those in copies.values()]
    guesses = _guesses(one, questions, digests)
    findings = [
        *_copies(questions, copies),
        *_labels(one, questions, recipe),
        *_unanswerable(questions, broken, plain),
        _share(distinct),
        _guessed(guesses, len(questions)),
        *_options(questions, digests),
        *_resolution(distinct),
    ]
    num_pictures = len(set(digests.values())) or len({question.cluster for question in questions})
    return Examined(one.name, len(questions), num_pictures, tuple(findings), tuple(map(asdict, guesses)))


def _texts(question: Question) -> dict[str, str]:
    """The words of the options by their letters; none where a benchmark keeps none."""
    return {letter: str(text) for letter, text in dict(question.fields.get("options") or {}).items()}


def _asked(question: Question) -> str:
    """Words without the picture's cluster: options are part of what is asked, whether they stand in the text or not."""
    return normalise(" ".join([question.text, *_texts(question).values()])).lower()


def _finding(name: str, bad: Sequence[Question], of: int, **values: Any) -> Finding:
    """How many questions have something wrong with them, with the first ids."""
    shown = f"{len(bad)} of {of}" if bad else "none"
    do = _words()[f"{name}_do"].format(**values) if bad else ""
    return Finding(name, _words()[name], len(bad), of, shown, do, tuple(one.id for one in bad[:3]))


def _copies(questions: Sequence[Question], copies: Mapping[Any, Sequence[Question]]) -> Iterator[Finding]:
    total = len(questions)
    yield _finding("copies", [one for those in copies.values() for one in those[1:]], total, distinct=len(copies))
    against = [those[0] for those in copies.values() if len({one.gold for one in those}) > 1]
    yield _finding("against", against, len(copies))
    seen: Counter[str] = Counter(one.id for one in questions)
    yield _finding("ids", [one for one in {one.id: one for one in questions}.values() if seen[one.id] > 1], total)


def _labels(one: Benchmark, questions: Sequence[Question], recipe: EvalRecipe) -> Iterator[Finding]:
    """Against a list of mended labels: `files.labels`, or RePOPE's files below the root."""
    words, root = _words(), Path(recipe.root)
    path = Path(recipe.files["labels"]) if "labels" in recipe.files else root
    if one.relabel is None:
        yield Finding("known", words["known"], None, len(questions), words["nowhere"], "")
    elif path is root and not (root.is_dir() and any(root.rglob("*repope*.json*"))):
        yield Finding("known", words["known"], None, len(questions), words["unlisted"], words["unlisted_do"])
    else:
        listed = one.relabel([Answer(question, "") for question in questions], path)
        gold = {answer.question.id: answer.question.gold for answer in listed}
        wrong = [question for question in questions if gold.get(question.id, question.gold) != question.gold]
        yield _finding("wrong", wrong, len(questions))
        parts = {one.part(answer.question) for answer in listed}
        left = [question for question in questions if question.id not in gold and one.part(question) in parts]
        yield _finding("undecided", left, len(questions))


def _pictures(questions: Sequence[Question]) -> tuple[dict[int, str], set[int], set[int]]:
    """By the identity of a picture: its digest; which cannot be read; which are of one colour."""
    digests: dict[int, str] = {}
    looked: dict[str, tuple[bool, bool]] = {}
    files: dict[Path, str] = {}
    for picture in (picture for question in questions for picture in question.images):
        if id(picture) in digests:
            continue
        digest = files.get(picture) if isinstance(picture, Path) else None
        if digest is None:
            data = _bytes(picture)
            digest = hashlib.sha256(data if data is not None else str(picture).encode()).hexdigest()
            if digest not in looked:
                looked[digest] = _look(data)
            if isinstance(picture, Path):
                files[picture] = digest
        digests[id(picture)] = digest
    broken = {place for place, digest in digests.items() if looked[digest][0]}
    return digests, broken, {place for place, digest in digests.items() if looked[digest][1]}


def _bytes(picture: Picture) -> bytes | None:
    try:
        return picture if isinstance(picture, bytes) else picture.read_bytes()
    except OSError:
        return None


def _look(data: bytes | None) -> tuple[bool, bool]:
    """Whether a picture is unreadable, and whether it is of one colour."""
    try:
        image = decode_image(data or b"", "its picture")
    except UnreadableImage:
        return True, False
    extremes = image.convert("RGB").getextrema()
    return False, all(low == high for low, high in extremes)


def _unanswerable(questions: Sequence[Question], broken: set[int], plain: set[int]) -> Iterator[Finding]:
    total = len(questions)
    yield _finding("unreadable", [one for one in questions if broken & set(map(id, one.images))], total)
    yield _finding("blank", [one for one in questions if one.images and plain >= set(map(id, one.images))], total)
    none = [one for one in questions if one.gold.strip() in ("", "?")]
    yield _finding("no_gold", none, total)
    missing = {one.id for one in none}
    yield _finding(
        "no_option", [one for one in questions if one.id not in missing and one.gold not in one.choices], total
    )
    # Options that are pictures have no words: those that say nothing are not the same.
    options = [(one, [*filter(None, (normalise(text).lower() for text in _texts(one).values()))]) for one in questions]
    yield _finding("equal", [one for one, texts in options if len(set(texts)) < len(texts)], total)


# --- without looking ------------------------------------------------------------------------------------------------------


def _guesses(one: Benchmark, questions: Sequence[Question], digests: Mapping[int, str]) -> list[Guess]:
    """What a reader of the words gets right, as the audit of data has it: halves by picture, each told by the other. Parts are
    taken by themselves, with the questions that they share: a rule that knows a file knows what is frequent in it.
    """
    groups = grouped(
        ((one.part(question) or str(question.fields.get("kind") or ""), language_of(question.text)), question)
        for question in questions
        if question.gold in question.choices
    )
    found = []
    for (kind, language), those in groups.items():
        rows = [Guessed(_half(q, digests), q.text, q.gold, q.gold if q.gold in YES_NO else None) for q in those]
        found.append(guess(kind, language, rows))
    return [guessed for guessed in found if guessed is not None]


def _half(question: Question, digests: Mapping[int, str]) -> int:
    """By the picture alone, so that no half learns from a picture of the other."""
    name = digests[id(question.images[0])] if question.images else question.cluster
    return hashlib.sha256(name.encode()).digest()[0] & 1


def _told_by_options(learned: Sequence[Question], asked: Sequence[Question]) -> int:
    """How many are right by taking the option whose own words most often are those of right ones; of equals the first."""
    rows = [
        Guessed(0, text, letter, YES if letter == one.gold else NO)
        for one in learned
        for letter, text in _texts(one).items()
    ]
    odds, right = reader(rows), 0
    for one in asked:
        scores = {letter: odds(Guessed(0, text, "", None)) for letter, text in _texts(one).items()}
        right += max(scores, key=scores.__getitem__) == one.gold
    return right


def _share(questions: Sequence[Question]) -> Finding:
    """How often each answer is the right one, of each different question."""
    words, asked = _words(), [one for one in questions if one.gold in one.choices]
    counts = Counter(one.gold for one in asked)
    if not counts:
        return Finding("share", words["share_none"], None, len(questions), numbers.NONE, "")
    answer, number = min(counts.items(), key=lambda row: (-row[1], row[0]))
    shown = ", ".join(f"{name} {numbers.rate(count / len(asked))}" for name, count in sorted(counts.items()))
    chance = sum(1 / len(one.choices) for one in asked) / len(asked)
    do = words["share_do"].format(answer=answer) if _above(number / len(asked), chance, len(asked)) else ""
    return Finding("share", words["share"].format(answer=answer), number / len(asked), len(asked), shown, do)


def _above(share: float, usual: float, count: int) -> bool:
    """Whether a share is above what is to be expected by more than a little, and more than chance; as the audit judges."""
    return share - usual >= max(GAIN, 3 * math.sqrt(0.25 / count))


def _guessed(guesses: Sequence[Guess], num_questions: int) -> Finding:
    words, total = _words(), sum(one.count for one in guesses)
    if not total:
        return Finding("guessed", words["guessed"], None, num_questions, words["guessed_few"], "")
    share = sum(one.guessed * one.count for one in guesses) / total
    shown, most = numbers.rate(share), max(guesses, key=lambda one: one.guessed)
    if len(guesses) > 1:
        shown += f"; {most.kind} {most.language} {numbers.rate(most.guessed)}"
    do = words["guessed_do"] if any(one.tells for one in guesses) else ""
    return Finding("guessed", words["guessed"], share, total, shown, do)


def _options(questions: Sequence[Question], digests: Mapping[int, str]) -> Iterator[Finding]:
    """Where options have words: what is right by these alone."""
    told = [one for one in questions if one.gold in one.choices and any(_texts(one).values())]
    sides = [[one for one in told if _half(one, digests) == half] for half in (0, 1)]
    if len(told) >= MIN_QUESTIONS and all(sides):
        right = _told_by_options(*sides) + _told_by_options(*reversed(sides))
        most = max(Counter(one.gold for one in told).values()) / len(told)
        do = _words()["guessed_do"] if _above(right / len(told), most, len(told)) else ""
        share = right / len(told)
        yield Finding("options", _words()["options"], share, len(told), numbers.rate(share), do)


def _resolution(questions: Sequence[Question]) -> Iterator[Finding]:
    sizes = list(Counter(one.cluster for one in questions).values())
    variance = 2 * _RIGHT * (1 - _RIGHT)
    for name, of_pair in (("paired", variance * (1 - _ALIKE)), ("unpaired", variance)):
        low, high = (resolvable(sizes, of_pair, alike) for alike in (0.0, 1.0))
        shown = " to ".join(f"{100 * one:.1f}" for one in dict.fromkeys((low, high))) + " points"
        do = _words()["resolution_do"] if name == "paired" else ""
        yield Finding(name, _words()[name], (low, high), len(questions), shown, do)
