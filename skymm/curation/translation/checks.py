"""What is wrong with a translation, as far as a program can tell. Home of sacrebleu.

Above all yes has to stay yes: data about what is not in a picture is worth nothing once a "no" was lost in translation.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

from skymm.text import count_units, language_of, normalise

# Words of English per unit of Chinese, with room for short texts: wide enough for 99.8 % of the 4,271 translated sentences of
# hsk-sentences-audio 1.0.0, tight enough for what was added or left out.
FEWEST, MOST, ROOM = 0.35, 1.1, 2
# Below, a synonym alone makes a round trip fail ("sofa", "couch").
SHORTEST_ROUND_TRIP = {"en": 4, "zh": 6}
_SENTENCE_END = re.compile(r"[.!?。！？；;，,\n]+")
_QUESTION, _ASKS_LAST = re.compile("[?？]"), re.compile(r"[?？][\"'”’」』)）\]\s]*$")
_STATES_LAST = re.compile(r"[.!。！][\"'”’」』)）\]\s]*$")
_LATIN_WORD = re.compile("[A-Za-z]+")
_LOOP = re.compile(r"(.{1,30}?)\1{3,}", re.S)
_YES = {
    "en": r"yes|yeah|yep|yup|correct|right|true|indeed|sure|certainly|of course|exactly",
    "zh": "是|对(?!不)|對|有(?!没)|没错|沒錯|正确|当然|嗯|可以|存在",
}
_NO = {
    "en": r"no|nope|not|false|incorrect|wrong|never|none|nothing|neither|there (?:is|are|was|were)(?: not?\b|n['’]t)",
    "zh": "不|没|沒|否|无|無|并没|并不|并非|未|错|假的",
}
# "Yes" and no more: a translation has to be as clear.
_ALONE = {
    "en": r"(?:yes|yeah|yep|no|nope|correct|incorrect|true|false)",
    "zh": "(?:是|是的|对|对的|有|有的|正确|否|不|不是|不是的|不对|没有|没|无)",
}
# Words that deny and hardly ever do anything else, and all that may stand for them in the other language. Of the same
# sentences one fails, and it is wrong.
_DENIES = {
    "en": r"\b(?:no(?!\.\s*0| choice)|not(?! only| until)|none|nothing(?! but)|nobody|nowhere|never(?!theless)|neither"
    r"|cannot|without)\b|\b(?!don['’]t worry|doesn['’]t\b.*\buntil|didn['’]t\b.*\buntil)\w+n['’]t\b",
    "zh": "(?<!有)没有(?!关系)|(?<!是)不是|不存在|看不[到见清]|并[未非没不]|不在|没出现",
}
_MAY_DENY = {
    "en": r"\b(?:no|not|none|nothing|nobody|nowhere|never|neither|nor|without|cannot|lacks?|lacking|absent|missing|free of"
    r"|fails?|failed|instead|rather|except|un(?!der|til|it|i|less)\w+|invisible|invalid|\w+less)\b|n['’]t\b",
    "zh": "[不没沒无無未非别莫勿否禁止缺除]",
}


def find_fault(text: str, source: str, translation: str, target: str) -> str | None:
    """The reason why it cannot be used, or None. Texts come without what was protected; `source` and `target` are "en"
    or "zh".
    """
    loops = _loops(translation) and not _loops(text)
    faults = {
        "the translation is empty": not any(map(str.isalpha, translation)),
        "the translation is a copy": normalise(translation).casefold() == normalise(text).casefold(),
        "the translation is in the wrong language": not _is_in(translation, target),
        "a question was answered or lost in translation": _changes_mood(text, translation),
        "the translation is too long or too short": not _of_fitting_length({source: text, target: translation}),
        "the translation repeats itself": loops or _most_repeated(translation) > max(2, _most_repeated(text)),
        "yes and no were lost in translation": not same_polarity(text, source, translation, target),
    }
    return next((fault for fault, found in faults.items() if found), None)


def round_trip_tells(text: str, language: str) -> bool:
    """Whether a text is long enough to be compared with its translation's translation."""
    return sum(count_units(text)) >= SHORTEST_ROUND_TRIP[language]


def round_trip(text: str, back: str) -> float:
    """chrF (Popović 2015) of a text's translation, translated back: 0 to 100. Upper and lower case do not count."""
    return chrf().sentence_score(normalise(back), [normalise(text)]).score


@cache
def chrf() -> Any:
    """The tool for it. Raises ValueError where it is missing; to be called before anything is translated."""
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


def verdict(text: str, language: str) -> str | None:
    """ "yes" or "no", where an answer begins with one."""
    text = text.strip().lower()
    end = r"\b" if language == "en" else ""
    if re.match(rf"\W*(?:{_YES[language]}){end}", text):
        return "yes"
    return "no" if re.match(rf"\W*(?:{_NO[language]}){end}", text) else None


def same_polarity(text: str, source: str, translation: str, target: str) -> bool:
    """Languages: "en" and "zh", in either direction. What is quoted does not count; give texts without it."""
    said, became = verdict(text, source), verdict(translation, target)
    if re.fullmatch(rf"\W*{_ALONE[source]}\W*", text.strip(), re.I):
        return said == became
    if said and became and said != became:
        return False
    of = {source: text.lower(), target: translation.lower()}
    return all(
        not re.search(_DENIES[one], of[one], re.S) or re.search(_MAY_DENY[other], of[other]) is not None
        for one, other in (("en", "zh"), ("zh", "en"))
    )
