"""What is wrong with a translation, as far as a program can tell. Home of sacrebleu."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

from skymm.curation.translation.polarity import same_polarity
from skymm.text import count_units, language_of, normalise

# Words of English per unit of Chinese, with room for short texts. Wide enough for 99.8 % of the 4,271 translated
# sentences of hsk-sentences-audio 1.0.0 (the median is 0.67), tight enough for what was added or left out.
FEWEST, MOST, ROOM = 0.35, 1.1, 2
# Below, a synonym alone makes a round trip fail ("sofa", "couch").
SHORTEST_ROUND_TRIP = {"en": 4, "zh": 6}
_SENTENCE_END = re.compile(r"[.!?。！？；;，,\n]+")
_QUESTION, _ASKS_LAST = re.compile("[?？]"), re.compile(r"[?？][\"'”’」』)）\]\s]*$")
_STATES_LAST = re.compile(r"[.!。！][\"'”’」』)）\]\s]*$")
_LATIN_WORD = re.compile("[A-Za-z]+")
_LOOP = re.compile(r"(.{1,30}?)\1{3,}", re.S)


def find_fault(text: str, source: str, translation: str, target: str) -> str | None:
    """The reason why it cannot be used, or None. Texts come without what was protected; `source` and `target` are "en"
    or "zh".
    """
    if not any(map(str.isalpha, translation)):
        return "the translation is empty"
    if normalise(translation).casefold() == normalise(text).casefold():
        return "the translation is a copy"
    if not _is_in(translation, target):
        return "the translation is in the wrong language"
    if _changes_mood(text, translation):
        return "a question was answered or lost in translation"
    if not _of_fitting_length({source: text, target: translation}):
        return "the translation is too long or too short"
    if (_loops(translation) and not _loops(text)) or _most_repeated(translation) > max(2, _most_repeated(text)):
        return "the translation repeats itself"
    if not same_polarity(text, source, translation, target):
        return "yes and no were lost in translation"
    return None


def round_trip_tells(text: str, language: str) -> bool:
    """Whether a text is long enough to be compared with its translation's translation."""
    return sum(count_units(text)) >= SHORTEST_ROUND_TRIP[language]


def round_trip(text: str, back: str) -> float:
    """chrF (Popović 2015) of a text's translation, translated back: 0 to 100. Upper and lower case do not count."""
    return _chrf().sentence_score(normalise(back), [normalise(text)]).score


def require_round_trip() -> None:
    """Raises ValueError where the tool for it is missing; to be called before anything is translated."""
    _chrf()


@cache
def _chrf() -> Any:
    try:
        from sacrebleu.metrics import CHRF
    except ImportError as error:
        raise ValueError(
            "translations are compared with the original by sacrebleu, which is not installed: pip install sacrebleu, or "
            "set translation.min_round_trip = 0"
        ) from error
    return CHRF(lowercase=True)


def _is_in(text: str, language: str) -> bool:
    """English holds no ideograph; Chinese may hold names in Latin letters, and a word such as "logo", but not two."""
    num_han, _ = count_units(text)
    if language == "en":
        return num_han == 0
    foreign = sum(1 for word in _LATIN_WORD.findall(text) if word.islower())
    return language_of(text) == "zh" and foreign <= 1 + num_han / 12


def _changes_mood(text: str, translation: str) -> bool:
    """A question without its mark may well get one."""
    if _QUESTION.search(text):
        return not _QUESTION.search(translation)
    return bool(_STATES_LAST.search(text) and _ASKS_LAST.search(translation))


def _of_fitting_length(texts: dict[str, str]) -> bool:
    chinese, english = sum(count_units(texts["zh"])), sum(count_units(texts["en"]))
    return FEWEST * chinese - ROOM <= english <= MOST * chinese + ROOM


def _loops(text: str) -> bool:
    """A few characters or words over and over, as models do that cannot find the end; rows of dots or dashes are none."""
    runs = (match for match in _LOOP.finditer(normalise(text).lower()))
    return any(len(run[0]) >= 8 and any(map(str.isalpha, run[1])) for run in runs)


def _most_repeated(text: str) -> int:
    """How often its most frequent clause of some length stands in it."""
    clauses = Counter(clause.strip().lower() for clause in _SENTENCE_END.split(text))
    return max((count for clause, count in clauses.items() if len(clause) >= 6), default=0)
