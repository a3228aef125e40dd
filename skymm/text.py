"""Text in Chinese and English: which of the two it is, one form for comparing, and its words."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cache
from types import ModuleType


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Ideographs with their extensions, and the zero that Chinese numbers use.
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN_RUN = re.compile(f"[{_HAN}]+")
_OTHER_WORD = re.compile(f"[^\\W_{_HAN}]+(?:['’.-][^\\W_{_HAN}]+)*")
_RUN = re.compile(f"(?P<han>{_HAN_RUN.pattern})|{_OTHER_WORD.pattern}")
_LATIN = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]+")
# Letters of other scripts; single Greek ones are formulas.
_OTHER_SCRIPT = re.compile(
    f"(?:(?![\u0370-\u03ff])[^\\W\\d_A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff{_HAN}])+|[\u0370-\u03ff]{{3,}}"
)
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc]")
_CHINESE_ALONE = re.compile("[的了是这這们們吗嗎呢吧着个裡哪您她它]")
# Function words, for text in Latin letters. Those of the third sort stand in names as well: Los Angeles, De Niro.
_ENGLISH = _set(
    "a an the of and in on at with to is are was were be by for from its his her their this that there it as or near into "
    "over two three some one not no yes up out while under next"
)
_NOT_ENGLISH = _set(
    "un une dans avec sont qui sous près deux leur ein eine einen einem einer und das auf mit ist sind dem vor zwei neben "
    "una unos unas está están por sobre junto gli nel nella della sono è uma são dois ao een zijn twee naar och på är ett av "
    "og ved są jest się na ve bir yang dengan sedang seorang sebuah một và của trong trên"
)
_RARELY_ENGLISH = _set(
    "la le les el los las lo de du des del al von van da do en di con sur est et aux der dos uno il che um em ile er se y"
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def language_of(text: str) -> str:
    """ "zh" or "en", by share: an ideograph weighs as much as a word of letters. Without either: "en"."""
    num_han, num_words = count_units(text)
    return "zh" if num_han > 0 and num_han >= num_words else "en"


def foreign(text: str) -> bool:
    """Whether a text is in neither Chinese nor English: by its script, by what only Japanese writes, or, where it is in
    Latin letters, by function words and accents. A few foreign words in a sentence of either are none; what is too short to
    tell is not foreign.
    """
    text = normalise(text)
    num_han, num_latin, num_other = (sum(map(len, found.findall(text))) for found in (_HAN_RUN, _LATIN, _OTHER_SCRIPT))
    num_kana = len(_KANA.findall(text))
    if num_other and num_other > num_kana and 2 * num_other > num_other + num_latin + 2 * num_han:
        return True
    if num_kana or num_han:
        outside = any(not _encodes(one, "shift_jis") for one in text if _HAN_RUN.match(one))
        chinese = num_kana <= num_han if outside else _CHINESE_ALONE.search(text) and 5 * num_kana <= num_han
        if (num_kana or _only_japanese(text)) and not chinese:
            return 2 * (num_kana + num_han) > num_latin
    if num_han >= num_latin / 4:
        return False
    found = [word.casefold() for word in _OTHER_WORD.findall(text)]
    english, sure, likely = (len(of.intersection(found)) for of in (_ENGLISH, _NOT_ENGLISH, _RARELY_ENGLISH))
    accented = sum(not word.isascii() and word.isalpha() for word in found)
    if len(found) < 3 or english >= sure + likely > 0:
        return False
    return sure + likely >= 2 or (not english and (sure > 0 or (len(found) >= 4 and 3 * accented >= len(found))))


def _only_japanese(text: str) -> bool:
    """Whether ideographs are among it that Japanese has and Chinese of neither script: 駅, 桜, 働."""
    return any(
        _encodes(one, "shift_jis") and not _encodes(one, "gb2312") and not _encodes(one, "big5")
        for one in text
        if one != "〇" and _HAN_RUN.match(one)
    )


def _encodes(character: str, encoding: str) -> bool:
    try:
        return bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False


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
    try:
        import jieba  # here, for it takes a second to load its dictionary
    except ImportError as error:  # beside an exported model, which reads and writes without it
        raise ValueError("Chinese is cut into words by jieba: pip install jieba") from error

    jieba.setLogLevel(logging.WARNING)  # it announces that dictionary on stderr
    return jieba
