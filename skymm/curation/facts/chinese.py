"""Parsing Chinese captions: things, numbers, colours, attributes, places and quoted writing.

A noun is taken for what is there only where the characters around it leave no other reading: the patterns of grammar.zh.toml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise

from skymm.curation.facts.parsed_caption import (
    LIVING_AND_MORE,
    Mention,
    Noun,
    ParsedCaption,
    Span,
    StatedRelation,
    grammar,
    is_place,
    pattern,
    quoted,
)
from skymm.lexicon import CHINESE_NUMBERS, colours_in, forms_of, kinds_of, load, part_of
from skymm.text import words

_HAN = re.compile(r"[\u4e00-\u9fff]")
_CLAUSE = re.compile(r"[，。；！？,.;!?：:\n…（）()、\s]")
_SENTENCE = re.compile(r"[，。；！？,;!?\n…]")
_LONGEST = 5  # jieba's words that together make one name


_pattern = partial(pattern, language="zh")


def parse_chinese(text: str) -> ParsedCaption:
    """Positions are in `text` as it is."""
    texts, hidden = quoted(text, "zh")
    # What is quoted denies nothing: the sign that says “禁止吸烟” is there.
    plain = text
    for start, end in hidden:
        plain = plain[: start + 1] + "＿" * (end - start - 2) + plain[end - 1 :]
    caption = _Caption(plain, [noun for noun in _nouns_in(text, hidden) if noun.forms])
    colourless, more_of_it = (_pattern(name).search(plain) is not None for name in ("colourless", "more_of_it"))
    mentions = [caption.mention(index).without(colourless, more_of_it) for index in range(len(caption.nouns))]
    return ParsedCaption(text, "zh", tuple(mentions), _relations(plain, mentions), texts)


# --- the names of things ----------------------------------------------------------------------------------------------


def _word_spans(text: str, hidden: Sequence[Span]) -> list[Span]:
    """Where jieba's words lie in the text, without what is quoted."""
    spans, position = [], 0
    lowered = text.lower()
    for word in words(text):
        start = lowered.find(word, position)
        if start < 0:  # another form of a character, which normalising made plain
            continue
        position = start + len(word)
        if not any(begin <= start < end for begin, end in hidden):
            spans.append((start, position))
    return spans


def _nouns_in(text: str, hidden: Sequence[Span]) -> list[Noun]:
    """The longest names from left to right that end where a word ends. One that begins within a word (两人, 骑马) has only
    what may stand before a name in front of it.
    """
    spans = _word_spans(text, hidden)
    found, index = [], 0
    while index < len(spans):
        noun, index = _longest_name(text, spans, index)
        if noun is not None:
            found.append(noun)
    return found


def _longest_name(text: str, spans: Sequence[Span], index: int) -> tuple[Noun | None, int]:
    """The longest name that begins in a word, and which word comes after it."""
    names = load().chinese
    start = spans[index][0]
    for last in range(min(index + _LONGEST, len(spans)) - 1, index - 1, -1):
        end = spans[last][1]
        if end - start != sum(after - before for before, after in spans[index : last + 1]):
            continue  # something that is no word stands between
        for begin in range(start, min(spans[index][1], end)):
            if begin > start and not _pattern("before").fullmatch(text, start, begin):
                continue
            for stop in range(end, max(begin, spans[last][0]), -1):
                name = text[begin:stop].lower()
                ends_well = stop == end or _pattern("after").fullmatch(text, stop, end)
                if name in names and ends_well and not _only_counts(text, begin, stop):
                    return Noun(begin, stop, names[name]), last + 1
    return None, index + 1


def _only_counts(text: str, start: int, end: int) -> bool:
    """Whether a name only counts another: 头 of 两头大象, 盘 of 一盘西兰花."""
    counted = end - start == 1 and start > 0 and text[start - 1] in "一两二三四五六七八九十几俩每这那半"
    return counted and bool(_HAN.match(text, end)) and text[end] not in "的" + grammar("zh")["followers"]


# --- what is said of them ---------------------------------------------------------------------------------------------


class _Caption:
    """`text` is without what is quoted."""

    def __init__(self, text: str, nouns: Sequence[Noun]) -> None:
        self.text, self.nouns = text, nouns

    def mention(self, index: int) -> Mention:
        text, noun = self.text, self.nouns[index]
        form = noun.form
        word = load().words[form.word]
        person, animal = (kind in kinds_of(word.en) for kind in ("person", "animal"))
        offset = self.nouns[index - 1].end if index else 0
        # "黑、白相间的" is one description
        offset = max((match.end() for match in _CLAUSE.finditer(text, offset, noun.start)), default=offset)
        left = text[offset : noun.start]
        number, many, number_span, first = _number_in(left, word.measure, person or animal)
        if word.form != "count" or number is None:
            number, number_span = None, None
        if text.startswith("们", noun.end):
            many = True
        colours, colour_span = ("", None) if person else _colours_in(text, left, noun)
        begins = [one for one in (first, colour_span[0] if colour_span else None) if one is not None]
        return Mention(
            word.en,
            (noun.start, noun.end),
            (offset + min(begins, default=len(left)), noun.end),
            not form.doubtful and self._is_sure(index),
            number,
            _moved(number_span, offset),
            many,
            bool(_pattern("definite").search(left)) or (first is None and self._came_before(index)),
            colours,
            _moved(colour_span, offset),
            _attributes_of(left, text[noun.end :]),
        )

    def _came_before(self, index: int) -> bool:
        """A noun without a number that was spoken of: 一只风筝, 风筝是红色的."""
        return any(one.forms == self.nouns[index].forms for one in self.nouns[:index])

    def _is_sure(self, index: int) -> bool:
        """Whether the text says that it is there."""
        return self._ends_here(index) and not self._denied(index) and not self._imagined(index)

    def _ends_here(self, index: int) -> bool:
        """Whether the noun is the head of its phrase: not of 狗 in 狗的玩具, nor of 电视 in 电视节目."""
        noun = self.nouns[index]
        after = self.text[noun.end :].removeprefix("们")
        if not _HAN.match(after):
            return True
        following = self.nouns[index + 1] if index + 1 < len(self.nouns) else None
        if after.startswith("的"):
            if _pattern("photo").match(self.text):
                return True
            if "person" in kinds_of(noun.form.word):
                return not _pattern("depictions").match(after)
            if after.startswith(_relation_after()) or _pattern("having").search(self.text[: noun.start]):
                return True
            return bool(following and part_of(following.forms[0].word, noun.form.word))
        if _pattern("not_followers").match(after):
            return False
        if following and following.start == noun.end and not following.forms[0].doubtful:
            return False
        return after[0] in grammar("zh")["followers"]

    def _clause_start(self, position: int) -> int:
        return max((match.end() for match in _SENTENCE.finditer(self.text, 0, position)), default=0)

    def _denied(self, index: int) -> bool:
        noun = self.nouns[index]
        clause = self._clause_start(noun.start)
        said = self.text[clause : noun.start]
        ended = max((match.end() for match in _pattern("negation_ends").finditer(said)), default=0)
        for match in _pattern("negations").finditer(said, ended):
            # "没戴帽子的男人": what is denied belongs to the man, and he is there.
            denied = clause + match.end()
            if not any(one.start >= denied and self.text.startswith("的", one.end) for one in self.nouns[:index]):
                return True
        return bool(_pattern("denied_after").match(self.text, noun.end))

    def _imagined(self, index: int) -> bool:
        """Toys, pictures, comparisons: what is named but not there."""
        noun = self.nouns[index]
        clause = self._clause_start(noun.start)
        before = self.text[clause : noun.start]
        if LIVING_AND_MORE & kinds_of(noun.form.word) and _pattern("imitations").search(before):
            return True
        lead = _pattern("imagined").search(before)
        # 画着猫的杯子, 像狗一样的云: what is made up is said of a thing that is there.
        if lead and not any(
            clause + lead.start() <= one.start and one.end < noun.start and self._describes(one) for one in self.nouns
        ):
            return True
        end = _SENTENCE.search(self.text, noun.end)
        tail = self.text[noun.end : end.start() if end else len(self.text)]
        return any(
            match[0].startswith("的") and not _pattern("carries").search(tail[: match.start()])
            for match in _pattern("depictions").finditer(tail)
        )

    def _describes(self, noun: Noun) -> bool:
        return self.text[noun.end] == "的" or _pattern("compared").match(self.text, noun.end) is not None


def _moved(span: Span | None, offset: int) -> Span | None:
    return None if span is None else (offset + span[0], offset + span[1])


def _number_in(left: str, measure: str, alive: bool) -> tuple[int | None, bool | None, Span | None, int | None]:
    """(number, whether several, where the number stands, where the phrase begins), positions within `left`."""
    match = _pattern("number").search(left)
    if match is None or (not match["measure"] and (match["rest"] or not alive)):
        several = _pattern("many").search(left)
        return None, True if several else None, None, several.start() if several else None
    first, said = match.start(), match["number"]
    if match["measure"] in ("张", "幅", "块") and measure not in ("张", "幅", "块"):
        return None, None, None, None  # 一张狗的照片
    if match["measure"] == "对":
        return (2 if said == "一" and alive else None), True, None, first
    number = CHINESE_NUMBERS.get(said)
    if (
        number is None
        or _pattern("not_exactly").search(left[:first])
        or match["rest"].startswith(("多", "几", "来", "余"))
    ):
        return None, True, None, first
    if number == 1:
        only = left[:first].endswith(("只有", "仅有", "只", "唯一的"))
        return (1 if only else None), False, (match.span("number") if only else None), first
    return number, True, match.span("number"), first


@lru_cache(maxsize=1)
def _colour_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Before a noun, alone before it, and after it."""
    forms = forms_of("colours", "zh")
    full = "|".join(form for form in forms if form.endswith("色"))
    stems = "|".join(form for form in forms if not form.endswith("色"))
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


def _colours_in(text: str, left: str, noun: Noun) -> tuple[str, Span | None]:
    """ "黑白相间" -> "black and white", and its span within `left`; none where it is said after the noun ("猫是黑色的")."""
    before, alone, after = _colour_patterns()
    match = before.search(left) or alone.search(left)
    if match is None or left[: match.start()].endswith(("浅", "偏", "接近", "非")):
        match = after.match(text, noun.end)
    if match is None:
        return "", None
    table = forms_of("colours", "zh")
    names = " and ".join(dict.fromkeys(table[part] for part in re.findall("|".join(table), match["colours"])))
    assert colours_in(names), match["colours"]
    return names, None if match.re is after else match.span("colours")


@lru_cache(maxsize=1)
def _attribute_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    long = "|".join(form for form in forms_of("attributes", "zh") if len(form) > 1)
    return (
        re.compile(rf"(?P<said>{long})(?:的)?[^的，]{{0,3}}$|(?P<size>[大小])(?:的)?$"),
        re.compile(rf"(?:都)?(?:是|很)(?P<said>{long})的?(?=$|[，。,.;；！!])"),
    )


def _attributes_of(left: str, right: str) -> tuple[str, ...]:
    """What stands before the noun (木制长椅) or is said after it (长椅是空的)."""
    before, after = _attribute_patterns()
    table = forms_of("attributes", "zh")
    found = []
    if match := before.search(left):
        found.append(table[match["said"] or match["size"]])
    if match := after.match(right):
        found.append(table[match["said"]])
    return tuple(dict.fromkeys(found))


# --- where things are -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _relation_after() -> tuple[str, ...]:
    return tuple(f"的{form}" for form in forms_of("relations", "zh"))


@lru_cache(maxsize=1)
def _relation_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The relation after a noun, and all that stands between 桌子 and 猫 in 桌子上有一只猫."""
    after = rf"的?(?P<relation>{'|'.join(forms_of('relations', 'zh'))})"
    return re.compile(after), re.compile(after + _pattern("exists").pattern)


def _relations(text: str, mentions: Sequence[Mention]) -> tuple[StatedRelation, ...]:
    """猫(坐)在桌子上; 桌子上有一只猫; 桌子上的猫."""
    after, there = _relation_patterns()
    stated = []
    for index, (first, second) in enumerate(pairwise(mentions)):
        if not (first.sure and second.sure) or first.word == second.word:
            continue
        between = text[first.span[1] : second.phrase[0]]
        if _pattern("at").fullmatch(between):
            subject, object_ = index, index + 1
        elif there.fullmatch(between):
            subject, object_ = index + 1, index
        else:
            continue
        match = after.match(text, mentions[object_].span[1])
        if match is None:
            continue
        name = forms_of("relations", "zh")[match["relation"]]
        if is_place(mentions[subject].word, name, mentions[object_].word):
            stated.append(StatedRelation(subject, name, object_, match.span("relation")))
    return tuple(stated)


def colour_like(said: str, stem: str) -> str | None:
    """Another color in the form of the one said: 红色 -> 蓝色, 红 -> 蓝; None where that form has no other."""
    if said.endswith("色"):
        return f"{stem}色"
    return stem if len(said) == len(stem) == 1 and stem in "红黄蓝绿黑白灰" else None
