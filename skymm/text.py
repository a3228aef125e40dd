"""Text in Chinese and English: which of the two it is, one form for comparing, and its words."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cache
from types import ModuleType

# Ideographs with their extensions, and the zero that Chinese numbers use.
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN_RUN = re.compile(f"[{_HAN}]+")
_OTHER_WORD = re.compile(f"[^\\W_{_HAN}]+(?:['’.-][^\\W_{_HAN}]+)*")
_RUN = re.compile(f"(?P<han>{_HAN_RUN.pattern})|{_OTHER_WORD.pattern}")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def language_of(text: str) -> str:
    """ "zh" or "en", by share: an ideograph weighs as much as a word of letters. Without either: "en"."""
    num_han, num_words = count_units(text)
    return "zh" if num_han > 0 and num_han >= num_words else "en"


def count_units(text: str) -> tuple[int, int]:
    """Ideographs, and words of letters: what texts of the two languages are measured in. Figures are neither."""
    num_han = sum(map(len, _HAN_RUN.findall(text)))
    return num_han, sum(1 for word in _OTHER_WORD.findall(text) if not word.isdigit())


def normalise(text: str) -> str:
    """One form for comparing: NFKC (full-width letters and marks become half-width), no invisible characters, and
    single spaces. Letter case stays.
    """
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).split())


def words(text: str) -> list[str]:
    """Words in reading order, lower-cased and without punctuation: runs of ideographs as jieba cuts them, others as
    runs of letters and digits ("don't", "3.5" and "t-shirt" stay whole).
    """
    found: list[str] = []
    for match in _RUN.finditer(normalise(text).lower()):
        found.extend(_cut(match[0]) if match["han"] else [match[0]])
    return found


def frequency(word: str) -> int:
    """How often a Chinese word stands in the text that jieba's dictionary was counted on; 0 for words it does not have."""
    jieba = _jieba()
    jieba.dt.check_initialized()
    return jieba.get_FREQ(word) or 0


def _cut(han: str) -> list[str]:
    return _jieba().lcut(han)


@cache
def _jieba() -> ModuleType:
    import jieba  # here, for it takes a second to load its dictionary

    jieba.setLogLevel(logging.WARNING)  # it announces that dictionary on stderr
    return jieba
