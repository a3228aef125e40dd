"""Writing that could stand on a sign or label and does not: what a wrong reading says."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from skymm.text import language_of, normalise

_COMMON = {
    "en": (
        *("STOP", "EXIT", "OPEN", "SALE", "TAXI", "HOTEL", "BANK", "PIZZA", "COFFEE", "POLICE", "SCHOOL", "PARKING"),
        *("ONE WAY", "NO PARKING", "WELCOME", "CLOSED", "FIRE", "BUS STOP", "FOR RENT", "CAFE", "MARKET", "YIELD"),
        *("ENTRANCE", "DANGER", "HAPPY BIRTHDAY", "LIBRARY", "HOSPITAL", "BAKERY", "SLOW", "PUSH", "PULL", "MENU"),
    ),
    "zh": (
        *("停", "出口", "入口", "营业中", "欢迎光临", "禁止停车", "小心地滑", "银行", "药店", "超市", "咖啡", "酒店"),
        *(
            "慢",
            "让",
            "出租",
            "火锅",
            "面馆",
            "书店",
            "医院",
            "学校",
            "生日快乐",
            "新年快乐",
            "禁止吸烟",
            "公交站",
            "停车场",
        ),
    ),
}
_DIGIT = re.compile(r"\d")


def other_writing(rng: random.Random, text: str, known: Sequence[str]) -> str | None:
    """Another text of the same kind that nothing known contains; None where every candidate could be there as well.

    A number differs in one digit; words come from what signs say, in the script and letter case of the text.
    """
    plain = [normalise(one).lower() for one in (text, *known)]

    def free(candidate: str) -> bool:
        small = normalise(candidate).lower()
        return not any(small in one or (one in small and one == plain[0]) for one in plain)

    digits = [match.start() for match in _DIGIT.finditer(text)]
    if digits:
        place = rng.choice(digits)
        others = [digit for digit in "0123456789" if digit != text[place]]
        candidates = [text[:place] + digit + text[place + 1 :] for digit in others]
    else:
        candidates = [_cased(one, text) for one in _COMMON[language_of(text)]]
        near = [one for one in candidates if abs(len(one) - len(text)) <= 3]
        candidates = near or candidates
    candidates = [one for one in candidates if free(one)]
    return rng.choice(candidates) if candidates else None


def _cased(candidate: str, text: str) -> str:
    if text.islower():
        return candidate.lower()
    return candidate.title() if text.istitle() else candidate
