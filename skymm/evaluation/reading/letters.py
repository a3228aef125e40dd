"""Which option an answer chooses: the official rule of MMBench, and a strict reading in Chinese and English.

The strict reading prefers "unknown" to a guess. A letter that is stated ("the answer is B", 选B) outweighs one that leads
("B. dog"), that one a letter that is only mentioned ("option B"), and two of the same weight are a contradiction. Only
without letters do the options' own words count: the longest match, whole words, none that is denied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from skymm.evaluation.reading.letter_claims import (
    DENIED,
    FINAL,
    LEADING,
    MENTIONED,
    STATED,
    Claim,
    claims_of,
    sentences_of,
    unmarked,
)
from skymm.evaluation.reading.option_words import chosen_by_words, plain

UNKNOWN = "unknown"
REFUSED = "Z"  # what MMBench writes for an answer that chooses nothing

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_SEPARATORS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_OFFICIAL_STATED = re.compile(r"answer\s+is\s+\**([ABCD])", re.I)


def official_mmbench(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter that MMBench's exact matching reads (VLMEvalKit, `can_infer`); "Z" for a refusal, None where it gives
    up. A letter as `official_mmbench_letter` finds it, else the one option whose words are in the answer, unless the
    answer is more than twice as long as all options together.
    """
    return _official(text, tuple(choices.items()))


@lru_cache(maxsize=1 << 16)
def _official(text: str, options: tuple[tuple[str, str], ...]) -> str | None:
    choices = dict(options)
    return official_mmbench_letter(text, choices) or _official_words(text, choices)


def official_mmbench_letter(text: str, choices: Mapping[str, str]) -> str | None:
    """The first half of that rule: the only option letter among the words of an answer, if it is one of the last four;
    else the letter behind "answer is". Letters count in upper case, except behind "answer is".
    """
    if "Failed to obtain answer via API" in text:
        return None
    if any(refusal in text for refusal in _REFUSALS):
        return REFUSED
    words = text.translate(_SEPARATORS).split()
    letters = [letter for letter in choices if letter in words]
    if len(letters) == 1 and words.index(letters[0]) > len(words) - 5:
        return letters[0]
    if not letters and REFUSED in words:
        return REFUSED
    stated = _OFFICIAL_STATED.search(text)
    return stated[1].upper() if stated and stated[1].upper() in choices else None


def _official_words(text: str, choices: Mapping[str, str]) -> str | None:
    text = text.lower()
    if len(text) > 2 * sum(len(option) for option in choices.values()):
        return None
    contained = [letter for letter, option in choices.items() if option.lower() in text]
    return contained[0] if len(contained) == 1 else None


def option_letter(text: str, choices: Mapping[str, str]) -> str:
    """The key of the option that an answer chooses, read in Chinese or English, or "unknown".

    Args:
        choices: single letters, in either case, with the options' words ("" where they are not known).
    """
    return _option_letter(text, tuple(choices.items())) if choices else UNKNOWN


@lru_cache(maxsize=1 << 16)
def _option_letter(text: str, options: tuple[tuple[str, str], ...]) -> str:
    keys = {letter.upper(): letter for letter, _ in options}
    words = {letter.upper(): plain(unmarked(option)) for letter, option in options}
    whole = plain(unmarked(text))
    same = [letter for letter, option in words.items() if option and whole in (option, *_labelled(letter, option))]
    if len(same) == 1 and whole.upper() not in keys:
        return keys[same[0]]
    sentences = [sentence for sentence in sentences_of(text) if not sentence.endswith("?")]  # who asks does not answer
    claims = [
        claim if claim.rest.strip(" .)") else claim._replace(rest=following)
        for sentence, following in zip(sentences, [*sentences[1:], ""])
        for claim in claims_of(sentence, words)
    ]
    letter = _heaviest(claims)
    if letter is None:
        denied = {claim.letter for claim in claims if claim.weight == DENIED}
        letter = chosen_by_words(sentences, {key: option for key, option in words.items() if key not in denied})
    elif letter != UNKNOWN and _belied(letter, claims, words):
        return UNKNOWN
    return keys.get(letter or UNKNOWN, UNKNOWN)


def _labelled(letter: str, option: str) -> list[str]:
    """ "B. dog" and the like, as `plain` leaves it."""
    return [letter.lower() + mark + option for mark in (" ", ") ", ". ", ": ", ")", ".", ":", "、")]


def _heaviest(claims: Sequence[Claim]) -> str | None:
    """The letter that outweighs the others, "unknown" for a contradiction, None without letters."""
    denied = {claim.letter for claim in claims if claim.weight == DENIED}
    leading = {claim.letter for claim in claims if claim.weight == LEADING}
    for weight in (FINAL, STATED, LEADING, MENTIONED):
        letters = {claim.letter for claim in claims if claim.weight == weight}
        if letters:
            # Several leading letters only repeat the options.
            against_lead = weight == STATED and len(leading) == 1 and leading != letters
            return UNKNOWN if len(letters) > 1 or letters & denied or against_lead else letters.pop()
    return None


def _belied(letter: str, claims: Sequence[Claim], words: Mapping[str, str]) -> bool:
    """Whether the letter is followed by exactly the words of another option."""
    rests = {plain(claim.rest) for claim in claims if claim.letter == letter and claim.weight > MENTIONED} - {""}
    return words[letter] not in rests and any(option in rests for option in words.values())
