"""How MMMU reads answers, quirks included (eval/eval_utils.py of its repository), and a strict reading of open ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from skymm.evaluation.reading.letters import named_in, plain, voices_doubt
from skymm.text import normalise
from skymm.thoughts import without_thoughts

Value = str | float

_COMMAS = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
_SCIENTIFIC = re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+")
_SIMPLE = re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])")
_SIGNS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_STATED = re.compile(r"(?:答案|结果|结论)(?:应该|应|约)?(?:是|为|:|=)+ ?(?:约|大约)? ?")
_BESIDE_HAN = re.compile(r"(?<=[\u3400-\u9fff])(?=[\x00-\x7f])|(?<=[\x00-\x7f])(?=[\u3400-\u9fff])")


def parse_multi_choice(response: str, options: Mapping[str, str]) -> str | None:
    """The option that the official scorer reads; None where it draws one by lot.

    "(A)" anywhere, else "A" between spaces, else (in more than five words) an option's text; of several the last.
    """
    return _multi_choice(response, tuple(options.items()))


@lru_cache(maxsize=1 << 14)
def _multi_choice(response: str, options: tuple[tuple[str, str], ...]) -> str | None:
    for mark in ",.!?;:'":  # one after another: "C.," loses both, "C,." only the full stop
        response = response.strip(mark)
    response = f" {response} "
    for form in ("({})", " {} "):
        places = {letter: response.rfind(form.format(letter)) for letter, _ in options}
        if max(places.values(), default=-1) >= 0:
            return max(places, key=lambda letter: places[letter])
    if len(response.split()) > 5:
        lower = response.lower()
        places = {letter: lower.rfind(text.lower()) for letter, text in options}
        if max(places.values(), default=-1) >= 0:
            return max(places, key=lambda letter: places[letter])
    return None


@lru_cache(maxsize=1 << 14)
def open_right(response: str, golds: tuple[str, ...]) -> bool:
    """The official verdict on an open answer: a text of the gold inside what was said, or the same number."""
    wanted = [value for gold in golds for value in _values(gold)]
    for said in parse_open(response):
        if isinstance(said, str) and any(isinstance(value, str) and value in said for value in wanted):
            return True
        if isinstance(said, float) and said in wanted:
            return True
    return False


def parse_open(response: str) -> list[Value]:
    """Everything that the official scorer takes an open answer to say: what follows words like "is" and "answer" on
    every line (or all of it without any), with the numbers in it, to two decimals.
    """
    said = _key_parts(response)
    numbers = [number for part in said for rule in (_COMMAS, _SCIENTIFIC, _SIMPLE) for number in rule.findall(part)]
    return list(dict.fromkeys(value for text in said + numbers for value in _values(text)))


def _key_parts(response: str) -> list[str]:
    response = response.strip().strip(".").lower()
    lines = response.split("\n")
    found = []
    for number, line in enumerate(lines):
        signs = (*_SIGNS, "=") if number == len(lines) - 1 else _SIGNS
        shortest = ""
        for tail in (line.rpartition(sign)[2].strip() for sign in signs if sign in line):
            shortest = tail if not shortest or len(tail) < len(shortest) else shortest
        if shortest and shortest not in (":", ",", ".", "!", "?", ";", "'"):
            found.append(shortest)
    return found or [response]


def _values(text: str) -> list[Value]:
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]  # a lone letter is in every word


@lru_cache(maxsize=1 << 14)
def strict_open(response: str, golds: tuple[str, ...]) -> bool | None:
    """A strict verdict on an open answer in Chinese or English; None where it says nothing.

    Numbers compare as officially, texts as whole words that are not denied ("ion" is not in "option"), on what is stated as
    the answer where something is, with Chinese set apart from numbers. Thoughts do not count, nor does an answer that voices
    doubt.
    """
    text = normalise(without_thoughts(response).replace("\n", " ; ")).replace(" ; ", "\n")
    if not re.search(r"\w", text) or voices_doubt(text):
        return None
    stated = list(_STATED.finditer(text))
    if stated:
        text = text[stated[-1].end() :].split("\n")[0]
    said = parse_open(_BESIDE_HAN.sub(" ", text).rstrip("。"))
    wanted = {number: plain(gold) for number, gold in enumerate(golds) if isinstance(_values(gold)[0], str)}
    numbers = {value for gold in golds for value in _values(gold) if isinstance(value, float)}
    words = [value for value in said if isinstance(value, str)]
    return not numbers.isdisjoint(said) or any(
        named_in(text, {key: gold}) for text in words for key, gold in wanted.items()
    )
