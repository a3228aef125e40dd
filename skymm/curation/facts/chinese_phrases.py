"""Chinese noun phrases: the names of things in a caption, and what stands before them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from skymm.curation.facts import chinese_words as closed
from skymm.curation.facts.mention import Span
from skymm.describing import chinese_attributes, chinese_colours, chinese_numbers, colours_in
from skymm.lexicon import Form, load
from skymm.text import words

_HAN = re.compile(r"[\u4e00-\u9fff]")
_LONGEST = 5  # jieba's words that together make one name


class Found(NamedTuple):
    start: int
    end: int
    forms: tuple[Form, ...]


def pieces_of(text: str, hidden: Sequence[Span]) -> list[Span]:
    """Where jieba's words lie in the text, without what is quoted."""
    pieces, position = [], 0
    lowered = text.lower()
    for word in words(text):
        start = lowered.find(word, position)
        if start < 0:  # another form of a character, which normalising made plain
            continue
        position = start + len(word)
        if not any(begin <= start < end for begin, end in hidden):
            pieces.append((start, position))
    return pieces


def names_in(text: str, pieces: Sequence[Span]) -> list[Found]:
    """The longest names from left to right that end where a word ends. One that begins within a word (两人, 骑马) has only
    what may stand before a name in front of it.
    """
    found, index = [], 0
    while index < len(pieces):
        match = _longest(text, pieces, index)
        if match is None:
            index += 1
            continue
        one, index = match
        found.append(one)
    return found


def _longest(text: str, pieces: Sequence[Span], index: int) -> tuple[Found, int] | None:
    names = load().chinese
    start = pieces[index][0]
    for size in range(min(_LONGEST, len(pieces) - index), 0, -1):
        last = index + size - 1
        end = pieces[last][1]
        if end - start != sum(after - before for before, after in pieces[index : last + 1]):
            continue  # something that is no word stands between
        for begin in range(start, min(pieces[index][1], end)):
            lead = text[start:begin]
            if lead and not closed.BEFORE.fullmatch(lead):
                continue
            for stop in range(end, max(begin, pieces[last][0]), -1):
                tail = text[stop:end]
                name = text[begin:stop].lower()
                if name in names and (not tail or closed.AFTER.fullmatch(tail)) and not _measures(text, begin, stop):
                    return Found(begin, stop, names[name]), last + 1
    return None


def _measures(text: str, start: int, end: int) -> bool:
    """Whether a name only counts another: 头 of 两头大象, 盘 of 一盘西兰花."""
    counted = end - start == 1 and start > 0 and text[start - 1] in "一两二三四五六七八九十几俩每这那半"
    return counted and bool(_HAN.match(text, end)) and text[end] not in closed.FOLLOWERS | {"的"}


@lru_cache(maxsize=1)
def _numbers() -> re.Pattern[str]:
    return re.compile(
        rf"(?<![第另其几数十百千万半多两二三四五六七八九点\d])(?P<number>[一两二三四五六七八九十俩]|\d+)(?P<measure>[{closed.MEASURES}对]?)"
        rf"(?P<rest>|[^，。{closed.DONE}]{{0,10}}的(?:小|大|老)?|[^，。的在跑坐站走看吃喝玩放停是{closed.DONE}]{{0,4}})$"
    )


def number_in(left: str, measure: str, alive: bool) -> tuple[int | None, bool | None, Span | None, int | None]:
    """(number, whether several, where the number stands, where the phrase begins), positions within `left`."""
    match = _numbers().search(left)
    if match is None or (not match["measure"] and (match["rest"] or not alive)):
        several = closed.MANY.search(left)
        return None, True if several else None, None, several.start() if several else None
    if match["measure"] in ("张", "幅", "块") and measure not in ("张", "幅", "块"):
        return None, None, None, None  # 一张狗的照片
    said = match["number"]
    number = chinese_numbers().get(said)
    exactly = not re.search(r"(?:至少|超过|多于|大约|约|近|将近|不止|最多|或|到|上|和第)$", left[: match.start()])
    if match["measure"] == "对":
        return (2 if said == "一" and alive else None), True, None, match.start()
    if number is None or not exactly or re.match(r"[多几来余]", match["rest"]):
        return None, True, None, match.start()
    if said in ("一", "1"):
        only = left[: match.start()].endswith(("只有", "仅有", "只", "唯一的"))
        return (1 if only else None), False, (match.span("number") if only else None), match.start()
    return number, True, match.span("number"), match.start()


@lru_cache(maxsize=1)
def _colour_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    table = chinese_colours()
    full = "|".join(form for form in table if form.endswith("色"))
    stems = "|".join(form for form in table if not form.endswith("色"))
    any_ = f"(?:{full}|{stems})"
    several = rf"(?:{any_}(?:和|与|、|及)?)*{any_}(?:两色|双色|三色)?(?:相间|相衬)?"
    # a stem alone stands right before the noun, or is one of several
    return (
        re.compile(
            rf"(?P<colours>(?:{any_}(?:和|与|、|及)?)*(?:{full}|{any_}{any_}|{any_}相间|(?:{stems})(?:白|黑|红|黄|蓝|绿|灰|棕)?相间)(?:相间)?)(?:的)?[^的，]{{0,4}}$"
        ),
        re.compile(rf"(?<![空明雪清表])(?P<colours>{stems})(?:的|大|小|老)?$"),
        re.compile(
            rf"(?:的?(?:毛|毛色|颜色|车身|身体|外壳))?(?:都|全)?是(?P<colours>{several})的?(?=$|[，。,.;；！!、])"
        ),
    )


def colours_in_phrase(text: str, left: str, place: Found) -> tuple[str, Span | None]:
    """The span is within `left`, or in the text after the noun ("猫是黑色的"), and covers the name of the colour."""
    before, alone, after = _colour_patterns()
    match = before.search(left) or alone.search(left)
    if match is not None and not re.search(r"(?:浅|偏|接近|非)$", left[: match.start()]):
        return _named(match["colours"]), match.span("colours")
    match = after.match(text, place.end)
    if match is None:
        return "", None
    return _named(match["colours"]), None


def _named(said: str) -> str:
    """ "黑白相间" -> "black and white" """
    table = chinese_colours()
    names = [table[part] for part in re.findall("|".join(table), said)]
    joined = " and ".join(dict.fromkeys(names))
    assert colours_in(joined), said
    return joined


@lru_cache(maxsize=1)
def _attribute_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    long = "|".join(form for form in chinese_attributes() if len(form) > 1)
    return (
        re.compile(rf"(?P<said>{long})(?:的)?[^的，]{{0,3}}$|(?P<size>[大小])(?:的)?$"),
        re.compile(rf"(?:都)?(?:是|很)(?P<said>{long})的?(?=$|[，。,.;；！!])"),
    )


def attributes_of(left: str, right: str) -> tuple[str, ...]:
    """What stands before the noun (木制长椅) or is said after it (长椅是空的)."""
    before, after = _attribute_patterns()
    table = chinese_attributes()
    found = []
    if match := before.search(left):
        found.append(table[match["said"] or match["size"]])
    if match := after.match(right):
        found.append(table[match["said"]])
    return tuple(dict.fromkeys(found))


def stem_of(said: str, stem: str) -> str | None:
    """Another color in the form of the one said: 红色 -> 蓝色, 红 -> 蓝; None where that form has no other."""
    if said.endswith("色"):
        return f"{stem}色"
    return stem if len(said) == len(stem) == 1 and stem in "红黄蓝绿黑白灰" else None
