"""Which option an answer names by the option's own words, in Chinese or English: half of the strict reading of letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from skymm.text import normalise, words
from skymm.verdict import yes_no

UNSURE = re.compile(
    r"\b(?:not|n't) (?:\w+ )?(?:sure|certain|clear|possible|enough)\b|\bun(?:sure|certain|clear|able|known)\b|"
    r"\b(?:cannot|can not|can't|could not|couldn't) (?:\w+ )?(?:tell|say|know|answer|determine|determined|judge|confirm|see|"
    r"view|help|be determined)\b|\b(?:do not|don't|didn't|did not) (?:know|have enough|see (?:the|any|an) (?:image|picture))\b|"
    r"\b(?:hard|difficult|impossible) to\b|\b(?:maybe|perhaps|possibly|might|may be|could be|whether|sorry)\b|\bas an ai\b|"
    r"\bno way to\b|"
    r"不确定|不知道|不清楚|无法|没法|不能(?:确定|判断|回答)|难以|看不[清出到见]|(?<![不很])可能(?!性)|也许|或许|是否|是不是|抱歉|对不起"
)
_ALL_OR_NONE = re.compile(
    r"\b(?:none|all|both|neither|any|either) of (?:the|these|them|those)\b|"
    r"(?:以上|上述|这些|它们|两者|选项)(?:选项|答案)?(?:全部?|皆|均|都)|都[不没对是有正]"
)
_QUALITIES = "小大老白黑红黄蓝绿花灰棕"  # a 小狗 is a 狗
_TRIM = " \t.,:;!?'\"()。、-—…"
_ARTICLE = re.compile(r"(?:a|an|the) (?=.)")
STATED_WORDS = re.compile(
    r"\banswers?(?: is|:)|\b(?:correct|right|best) (?:option|choice|one)(?: is|:)|"
    r"(?:答案|结论|正确选项)(?:应该|应)?(?:就?是|为|选| ?:)"
)
_CLAUSE = re.compile(r"[,:;、]|\bbut\b|而是|但")
_DENIED_LEFT = re.compile(
    r"(?:\bnot(?! only)|n't|\bno(?! doubt)|\bnever|\bwithout|\bneither|\bnor|\brather than|\binstead of|\bother than|\bcannot|"
    r"\bunlike|\bexcept(?: for)?) (?:(?!it\b|is\b|are\b)[\w-]+ ){0,3}(?:[\w-]+ (?:or|nor) (?:the |an? )?)?$|"
    r"(?:不是|并非|没有|沒有|而非|除了|排除|看不到|没看到|不像|不属于|无)(?:(?!是).){0,6}$|(?:不|非|未|没)[^是的]{0,4}$"
)
_DENIED_RIGHT = re.compile(
    r" (?:is|are|was|were|does|do|can|could|would)(?:n't| (?:also )?not)\b| cannot\b|"
    r" (?:is|are|was|were) (?:incorrect|wrong|absent|missing|ruled out)\b|"
    r"(?:选项)?(?:是|都|也|并)?(?:不(?!仅|但|过|是|像)|没有|错误|可以排除|可排除|被排除)"
)


@lru_cache(maxsize=1 << 14)
def plain(text: str) -> str:
    """One form for comparing an answer with an option: normalised, lower-case, no article, no marks around it."""
    return (
        _ARTICLE.sub("", normalise(text).replace("’", "'").lower().strip(_TRIM), count=1).strip(_TRIM) if text else ""
    )


def mask(text: str, options: Iterable[str]) -> str:
    """The text without the options' own words: an option may well be "cannot be determined"."""
    for option in options:
        if len(option) > 1:
            text = _pattern(option).sub(" ", text)
    return text


def chosen_by_words(sentences: Sequence[str], options: Mapping[str, str]) -> str | None:
    """The key of the only option that is named and not denied; None where none or several are, or doubt is voiced.

    Options are `plain`. Where an answer is stated ("the answer is ...") only what follows counts. Where one option says
    yes and one says no, the answer is read as yes or no.
    """
    whole = " . ".join(sentence.lower() for sentence in sentences)
    masked = mask(whole, options.values())
    if UNSURE.search(masked) or _ALL_OR_NONE.search(masked):
        return None
    stated = [
        sentence[match.end() :][:400]
        for sentence in map(str.lower, sentences)
        for match in STATED_WORDS.finditer(sentence)
    ]
    named = {key for part in stated or [s.lower() for s in sentences] for key in named_in(part, options)}
    if len(named) == 1:
        return named.pop()
    return None if named else _by_verdict(". ".join(sentences), options)


def _by_verdict(text: str, options: Mapping[str, str]) -> str | None:
    keys: dict[str, list[str]] = {"yes": [], "no": [], "unknown": []}
    for key, option in options.items():
        keys[yes_no(option)].append(key)
    verdict = yes_no(text)
    return keys[verdict][0] if verdict != "unknown" and len(keys["yes"]) == len(keys["no"]) == 1 else None


def named_in(sentence: str, options: Mapping[str, str]) -> set[str]:
    """Keys of the options that a sentence names without denying them; a longer match hides the shorter inside it."""
    taken: list[tuple[int, int]] = []
    named = set()
    for key, option in sorted(options.items(), key=lambda item: -len(item[1])):
        for match in _pattern(option).finditer(sentence) if option else ():
            start, end = match.span()
            same = [key for key, other in options.items() if other == option]
            if any(start < stop and begin < end for begin, stop in taken) or not _whole_word(sentence, start, end):
                continue
            if key == same[-1]:
                taken.append((start, end))
            clause = _CLAUSE.split(sentence[:start])[-1]
            if not _DENIED_LEFT.search(clause) and not _DENIED_RIGHT.match(sentence[end:]):
                named.add(key)
    return named


@lru_cache(maxsize=1 << 14)
def _pattern(option: str) -> re.Pattern[str]:
    """Letters and digits do not stand next to others, and "3" is not in "3.5"."""
    left = r"(?<![a-z0-9])(?<!\d[.,])" if option[0].isascii() and option[0].isalnum() else ""
    right = r"(?![a-z0-9])(?![.,]\d)" if option[-1].isascii() and option[-1].isalnum() else ""
    return re.compile(left + re.escape(option) + right)


def _whole_word(sentence: str, start: int, end: int) -> bool:
    """Chinese has no spaces, so 猫 is in 熊猫 and 动物 in 动物园. Words end with their head: 大熊猫 is a 熊猫."""
    length = end - start
    if sentence[start:end].isascii() or length > 3:
        return True
    edges = _word_edges(sentence)
    return end in edges and (length > 1 or start in edges or sentence[start - 1] in _QUALITIES)


@lru_cache(maxsize=1 << 12)
def _word_edges(sentence: str) -> frozenset[int]:
    edges, position = set(), 0
    for word in words(sentence):
        start = sentence.find(word, position)
        if start >= 0:
            position = start + len(word)
            edges |= {start, position}
    return frozenset(edges)
