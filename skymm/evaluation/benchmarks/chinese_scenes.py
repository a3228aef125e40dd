"""Chinese scenes: signs, menus, couplets, tickets and emoji of Chinese life, every question in Chinese and in English.

The questions and pictures are made on this machine by the kit of the same name, so nobody else has a scorer for them: the
strict bilingual reading IS the official one here, and `strict` repeats it with the share of unknown answers.

- yes/no: `verdict.yes_no`; options: `letters.option_letter`.
- Short answers (what is written, a price, a time, which way, what it is called) are right when the answer, or what it
  states in its first sentence, is one of the accepted forms: in either language and script, whatever the marks, the case
  and the spaces. A list of possible answers is wrong, and so is the right one with something else beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from skymm.evaluation.benchmark import Answer, Question, declared, find_image, grouped, picture_folder
from skymm.evaluation.kits.chinese_scenes import scenes as kit
from skymm.evaluation.reading.letters import option_letter
from skymm.recipe import EvalRecipe
from skymm.tables import read_json
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

UNKNOWN = "unknown"


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions, picture by picture, each in Chinese and then in English.

    `root` is made first where there is nothing (seconds). `split` is one kind of picture: signs, menus, ... Raises
    ValueError where something else lies there, or where it has been changed since it was made.
    """
    if recipe.split is not None and recipe.split not in kit.FAMILIES:
        raise ValueError(f"chinese_scenes: found split {recipe.split!r}, expected one of {', '.join(kit.FAMILIES)}")
    root = kit.build(recipe.root)
    pictures = picture_folder(recipe, root / kit.PICTURES)
    return [
        Question(
            row["id"],
            row["text"],
            row["gold"],
            row["cluster"],
            (find_image(pictures, f"{row['picture']}.png", "chinese_scenes"),),
            tuple(row["choices"]),
            row["fields"],
        )
        for row in read_json(root / kit.QUESTIONS)
        if recipe.split in (None, row["fields"]["family"])
    ]


# --- what an answer says ------------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"[*_`#]+|</?[a-z][^<>]*>|<\|[^|<>]*\|>?")
_FIRST_SENTENCE = re.compile(r"(?:[^.!?。;]|\.(?=\d)|(?<=\b[ap])\.|(?<=\b[ap]\.m)\.|(?<=\bno)\.)+", re.I)
_LABEL = re.compile(r"(?:(?:the |my |final |short )*answer(?: is)?|答案?|回答)(?: ?[是为])? ?: ?", re.I)
_QUOTED = re.compile(r"[\"“「『《]([^\"“”「」『』《》]+)[\"”」』》]")
_BRACKETED = re.compile(r"\(([^()]*)\)")
_HAN = re.compile("[\u3400-\u9fff]")
# Behind these words stands what is stated; with a denial before it, it is not.
_STATES = re.compile(
    r"\b(?:is|are|says?|reads?|costs?|charges?|closes|leaves|at|should|must|shows?|called|written as)\b:? |"
    r"(?:写着|写的是|(?<![不而])是|为|叫做?|应该|应当|应|要|需要) ?:? ?|(?<=\D): ?",
    re.I,
)
_DENIED = re.compile(r"\b(?:not|never|no)\b|n't\b|[不没]", re.I)
_PLACE = re.compile(
    r" (?:at|in|on) the (?:(?:top|bottom) (?:left|right)|picture|image|sign|signboard|plate|banner|card|menu|ticket|notice)$|"
    r"(?:开车|发车|出发|关门|闭馆|这?(?:几|[一二两三四五六])个字)$",
    re.I,
)
_ARTICLE = re.compile(r"(?:an?|the) ", re.I)


@lru_cache(maxsize=1 << 16)
def short_right(response: str, accepted: tuple[str, ...]) -> bool:
    """Whether a short answer says one of the accepted forms, and nothing else."""
    forms = {_reduced(form) for form in accepted}
    return any(_reduced(said) in forms for said in _said(response))


@lru_cache(maxsize=1 << 16)
def _reduced(text: str) -> str:
    """Lower-case letters, characters and figures without marks and spaces; a point between figures stays."""
    text = _ARTICLE.sub("", normalise(text).lower().strip(" .,:;!?'\"-"), count=1)
    return re.sub(r"(?!(?<=\d)\.(?=\d))[\W_]", "", text)


def _said(response: str) -> Iterator[str]:
    """What may be the answer in an answer: all of it, its first line, its first sentence, and what that states."""
    text = _MARKUP.sub("", without_thoughts(response))
    lines = [normalise(line) for line in text.splitlines() if line.strip()]
    # A label on a line of its own belongs to the next line.
    if len(lines) > 1 and _LABEL.fullmatch(lines[0].rstrip(" :") + ":"):
        del lines[0]
    if not lines:
        return
    first = _LABEL.sub("", lines[0], count=1) if _LABEL.match(lines[0]) else lines[0]
    yield from (normalise(text), first)
    found = _FIRST_SENTENCE.match(first)
    sentence = found[0].strip() if found else first
    for one in _without_gloss(sentence):
        yield one
        quoted = set(_QUOTED.findall(one))
        if len(quoted) == 1 and not _DENIED.search(one.split(min(quoted))[0]):
            yield quoted.pop()
        plain = _PLACE.sub("", one)
        yield plain
        for match in _STATES.finditer(plain):
            if not _DENIED.search(plain[: match.start()]):
                yield plain[match.end() :]


def _without_gloss(sentence: str) -> Iterator[str]:
    """The sentence, and without its brackets; or what is in them, when only that is in Chinese."""
    yield sentence
    bracketed = _BRACKETED.findall(sentence)
    if bracketed:
        outside = _BRACKETED.sub(" ", sentence).strip()
        yield outside
        if len(bracketed) == 1 and _HAN.search(bracketed[0]) and not _HAN.search(outside):
            yield bracketed[0]


def said(answer: Answer) -> str:
    """ "yes", "no", an option's letter, or "unknown"; for short answers "right", "wrong" or "unknown" (nothing there)."""
    fields = answer.question.fields
    if fields["form"] == "yes_no":
        return yes_no(answer.response, answer.question.text)
    if fields["form"] == "choice":
        return option_letter(answer.response, fields["options"])
    if not _reduced(without_thoughts(answer.response)):
        return UNKNOWN
    return "right" if short_right(answer.response, tuple(fields["accepted"])) else "wrong"


def _gold(question: Question) -> str:
    return "right" if question.fields["form"] == "short" else question.gold


# --- scores -------------------------------------------------------------------------------------------------------------


def count(answers: Sequence[Answer], verdicts: Sequence[str]) -> dict[str, Any]:
    """Scores as plain JSON types; None where there is nothing to divide by.

    `acc` is the share of all answers that are right, `yes_ratio` the share of yes among the answers to yes/no questions
    (half of them are right with yes), `gap` the accuracy in Chinese less that in English on questions that were
    answered in both (`num_twins`). `languages`, `kinds`, `forms` and `scripts` have `acc` and `num_questions` by name;
    `scripts` covers the pictures with characters ("both": the same in simplified and traditional). `strict` has the same
    with `unknown`, the share of answers that say nothing readable.
    """
    rows = [_Row(answer, verdict) for answer, verdict in zip(answers, verdicts)]
    gap, num_twins = _gap(rows)
    return {
        **_rates(rows),
        "yes_ratio": _share(row.verdict == "yes" for row in rows if row.fields["form"] == "yes_no"),
        "gap": gap,
        "num_twins": num_twins,
        "languages": _by(rows, "language"),
        "kinds": _by(rows, "kind"),
        "forms": _by(rows, "form"),
        "scripts": _by(rows, "script"),
    }


class _Row:
    """An answer with its verdict."""

    def __init__(self, answer: Answer, verdict: str):
        self.answer, self.verdict, self.fields = answer, verdict, answer.question.fields
        self.right = verdict == _gold(answer.question)


def _rates(rows: Sequence[_Row]) -> dict[str, Any]:
    unknown = _share(row.verdict == UNKNOWN for row in rows)
    return {"acc": _share(row.right for row in rows), "num_questions": len(rows), "unknown": unknown}


def _share(outcomes: Iterable[bool]) -> float | None:
    counted = list(outcomes)
    return sum(counted) / len(counted) if counted else None


def _by(rows: Sequence[_Row], field: str) -> dict[str, dict[str, Any]]:
    groups = grouped((row.fields[field], row) for row in rows if field in row.fields)
    return {name: _rates(group) for name, group in groups.items()}


def _gap(rows: Sequence[_Row]) -> tuple[float | None, int]:
    twins: dict[tuple[str, str], dict[str, bool]] = {}
    for row in rows:
        key = (row.answer.question.cluster, row.fields["twin"])
        twins.setdefault(key, {})[row.fields["language"]] = row.right
    both = [twin["zh"] - twin["en"] for twin in twins.values() if len(twin) == 2]
    return (sum(both) / len(both) if both else None), len(both)


BENCHMARK = declared(
    "chinese_scenes",
    load=load,
    count=count,
    official=said,
    right=lambda answer: said(answer) == _gold(answer.question),
    strict=said,
)
