"""Yes, no or unknown, read from an answer in Chinese or English.

A strict reading: it prefers "unknown" to a guess, above all to a wrong yes. An answer is cut into clauses, and each is an
answer that is stated ("the answer is no", \\boxed{no}, {"answer": "no"}, "so no"), a plain yes or no, a statement about
what was asked (`statements`), a doubt, or nothing. What is stated outweighs plain words, these outweigh statements, two of
a kind that differ are no answer unless a correction stands between them ("yes ... wait, no"). How all of these are worded
stands in verdict.toml.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from skymm.statements import Asked, asked_of, content, is_denial, names_another, states, within
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.wording import Wording

YES, NO, UNKNOWN = "yes", "no", "unknown"
_LONGEST = 20_000  # characters of an answer that are read: the first and the last half of it
_SAYS = Wording("skymm", "verdict.toml", "verdict")

_BOXED = re.compile(r"\\boxed\s*\{\s*((?:\\\w+\s*\{)?[^{}]*)\}+")
_MARKUP = re.compile(
    r"</?[a-z][^<>]*>|<\|[^|<>]*\|>?|\\(?:textbf|text|mathrm|mathbf|boldsymbol)|"
    r"[*_`~#>\"“”«»「」『』【】¡¿\[\]{}|$\\]+|"
    "[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]+"
)
_SENTENCE_END = re.compile(r"(?<=\?)|[!。;\n]+|\.{2,}|\.(?![\d\w])|…+")
_NAMED = re.compile(r"([^:—–]{1,60}?)(?:: *| *[—–]+ *| -+ )([^:—–]{1,200})")
_JSON = re.compile(r"\{[^{}]*\}|\[[^\[\]{}]*\]")
_SIGNS = {YES: "✅✔☑👍🆗⭕", NO: "❌✖✗✘👎🚫🙅"}


@dataclass(slots=True)
class _Evidence:
    """What was said since the last correction."""

    stated: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    after_stated: list[str] = field(default_factory=list)
    doubt: bool = False
    waits: bool = False  # a correction announced that something else would come

    def verdict(self) -> str | None:
        """None where nothing was said at all."""
        if self.stated:
            against = {*self.plain, *self.after_stated} - {self.stated[-1]}
            return UNKNOWN if against else self.stated[-1]
        found = self.plain or self.about
        if self.doubt or len(set(found) | set(self.about)) > 1:
            return UNKNOWN
        return found[0] if found else UNKNOWN if self.waits else None


@lru_cache(maxsize=1 << 16)
def yes_no(text: str, question: str = "") -> str:
    """ "yes", "no" or "unknown": what an answer to a yes/no question says, in Chinese or English.

    Statements ("there is a cat, but no dog") are read by what the question asks for. Without the question a denial is taken
    for a no, and an affirmation says nothing.
    """
    text = _SAYS["quoted"].sub(r"\1", without_thoughts(text))
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    said = _boxed(text) or _in_json(text)
    if said is not None:
        return said
    asked = asked_of(_plain(question))
    lines = _plain(_SAYS["option"].sub("", _SAYS["runaway"].split(text.strip())[0]))
    if not lines:
        signs = {verdict for verdict, marks in _SIGNS.items() if any(mark in text for mark in marks)}
        return signs.pop() if len(signs) == 1 else UNKNOWN
    if _SAYS["refused"].search(lines):
        return UNKNOWN
    found = [_Evidence()]
    for sentence in _sentences(lines):
        _read(sentence, asked, found)
    verdicts = [one.verdict() for one in found]
    last = next((verdict for verdict in reversed(verdicts) if verdict is not None), None)
    if last is None:
        return YES if _SAYS["sure"].fullmatch(lines.strip(" .!,")) else UNKNOWN
    return last


def _plain(text: str) -> str:
    """One form: normalised, simplified as far as it matters here, lower-case, without markup and signs, in its lines."""
    lines = (
        _MARKUP.sub(" ", normalise(line).translate(_simplified()).lower().replace("’", "'"))
        for line in re.split(r"[\r\n]+", text)
    )
    plain = "\n".join(filter(None, (" ".join(line.split()).strip(" -•·") for line in lines)))
    return _SAYS.in_one_form(plain).strip()


@cache
def _simplified() -> dict[int, int]:
    return str.maketrans(*_SAYS.table["simplified"])


def _boxed(text: str) -> str | None:
    boxes = _BOXED.findall(text)
    found = _short(boxes[-1]) if boxes else UNKNOWN
    return found if found != UNKNOWN else None


def _in_json(text: str) -> str | None:
    """What the last JSON (or Python) object says under a name like "answer", or with its only yes or no; else None."""
    for piece in reversed(_JSON.findall(text)):
        try:
            value = json.loads(piece)
        except ValueError:
            try:
                value = ast.literal_eval(piece)
            except (SyntaxError, ValueError, MemoryError, RecursionError, TypeError):
                continue
        if isinstance(value, dict):
            named = [one for key, one in value.items() if _SAYS["answer_keys"].fullmatch(str(key))]
            values = named[-1:] or list(value.values())
        else:
            values = list(value) if isinstance(value, list | tuple) else []
        said = {_value(one) for one in values} - {UNKNOWN}
        if len(said) == 1:
            return said.pop()
        if isinstance(value, dict) and value:
            return UNKNOWN
    return None


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    return _short(value) if isinstance(value, str) else UNKNOWN


def _short(text: str) -> str:
    """What a text says that is nothing but a yes or a no, maybe with a reason behind a comma."""
    plain = _plain(text)
    return _plain_verdict(plain.strip(" .,!。")) or _plain_verdict(re.split(r"[,.;。]", plain)[0].strip()) or UNKNOWN


@cache
def _plain_rules() -> list[tuple[str, re.Pattern[str]]]:
    return [(rule["says"], _SAYS.compiled(rule["when"])) for rule in _SAYS.table["plain"]]


def _plain_verdict(clause: str) -> str | None:
    """What a clause says that is nothing but a yes or a no."""
    return next((verdict for verdict, pattern in _plain_rules() if pattern.fullmatch(clause)), None)


def _leading(clause: str) -> tuple[str | None, str]:
    """The yes or no that a clause begins with, and what comes behind it."""
    for verdict in (YES, NO):
        if lead := _SAYS[f"leading_{verdict}"].match(clause):
            return verdict, clause[lead.end() :]
    return None, clause


def _sentences(lines: str) -> Iterator[str]:
    """Sentences that are no questions, a label on a line of its own together with what it labels."""
    label = ""
    for piece in _SENTENCE_END.split(lines):
        piece = " ".join(piece.split()).strip(" ,'-—•·")
        if _SAYS["label_alone"].fullmatch(piece.rstrip(" :")):
            label = f"{piece.rstrip(' :')}: "
        elif piece and not piece.endswith("?"):
            yield label + piece
            label = ""


def _read(sentence: str, asked: Asked | None, found: list[_Evidence]) -> None:
    """Adds what a sentence says to what was found since the last correction; a new correction begins anew."""
    sentence, stated = _stated(sentence, asked)
    named = _NAMED.fullmatch(sentence)
    if named and _plain_verdict(re.split(r"[,(]", named[2])[0].strip(" .")) and names_another(named[1], asked):
        return  # "cat: yes" above "dog: no"
    concludes, goes_on = False, None
    for clause in _SAYS["clause_end"].split(sentence):
        clause = clause.strip(" ,.:'-")
        if _SAYS["at_first"].match(clause):
            continue
        if _SAYS["wait"].match(clause):
            found.append(_Evidence(waits=True))
            clause = _SAYS["wait"].sub("", clause).strip(" ,.")
        while _SAYS["instead"].match(clause) and (len(found) > 1 or found[-1].plain or found[-1].about):
            if found[-1].plain or found[-1].about:
                found.append(_Evidence())
            clause = _SAYS["instead"].sub("", clause).strip(" ,.")
        if lead := _SAYS["concludes"].match(clause):
            concludes, clause = True, clause[lead.end() :]
        if (polite := _SAYS["polite"].match(clause)) and _plain_verdict(clause) is None:
            clause = clause[polite.end() :]
        if clause.strip():
            goes_on = _clause(clause.strip(" ,"), asked, found[-1], concludes, goes_on)
    if stated == UNKNOWN:
        found[-1].doubt = True
    elif stated:
        found[-1].stated.append(stated)
        found[-1].after_stated.clear()


def _stated(sentence: str, asked: Asked | None) -> tuple[str, str | None]:
    """What stands before "the answer is", and what is stated behind it; all of the sentence where nothing is."""
    stated = list(_SAYS["stated"].finditer(sentence))
    if not stated or _SAYS["not_stated"].search(sentence[: stated[-1].start()]):
        return sentence, None
    before, tail = sentence[: stated[-1].start()], sentence[stated[-1].end() :].strip(" '")
    first = re.split(r"[,:()—–;]| - | (?=(?:because|since|as|but)\b)|(?=因为)", tail)[0].strip(" .'")
    said = (
        (UNKNOWN if _SAYS["unsure"].search(first) else None)
        or _plain_verdict(first)
        or _plain_verdict(_SAYS["polite"].sub("", first))
        or _leading(first)[0]
        or states(first, asked)
    )
    return (before, said) if said else (sentence, None)


def _clause(clause: str, asked: Asked | None, found: _Evidence, concludes: bool, goes_on: str | None) -> str | None:
    """Adds what the clause says to what was found; returns what the next one may go on with."""
    said = _plain_verdict(clause)
    if said == UNKNOWN:
        found.doubt = True
    elif said:
        (found.stated if concludes else found.plain).append(said)
    if said:
        return None
    leading, rest = _leading(clause)
    if leading and rest:
        found.plain.append(leading)
        clause, goes_on = rest.strip(" ,"), None
    unsure = _SAYS["unsure"]
    if unsure.search(clause) and not _SAYS["firm"].search(clause):
        found.doubt = found.doubt or within(content(unsure.sub(" ", clause)), asked)
        return None
    about = states(clause, asked, goes_on=goes_on) if asked or not found.plain else None
    if about:
        (found.stated if concludes else found.about).append(about)
        if found.stated and not concludes:
            found.after_stated.append(about)
    return "not" if is_denial(clause) else "said"
