"""Reading Chinese captions: things, numbers, colours, attributes, places and quoted writing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from skymm.curation.facts import chinese_words as closed
from skymm.curation.facts.chinese_phrases import Found, attributes_of, colours_in_phrase, names_in, number_in, pieces_of
from skymm.curation.facts.mention import Mention, Reading, Span, Stated
from skymm.curation.facts.quotations import quoted
from skymm.describing import RELATIONS
from skymm.lexicon import Form, kinds_of, load, part_of

_HAN = re.compile(r"[\u4e00-\u9fff]")
_CLAUSE = re.compile(r"[，。；！？,.;!?：:\n…（）()、\s]")
_SENTENCE = re.compile(r"[，。；！？,;!?\n…]")
_ALIVE = frozenset({"animal", "person", "plant", "vehicle", "food"})


def read_chinese(text: str) -> Reading:
    """Positions are in `text` as it is."""
    texts, hidden = quoted(text, "zh")
    plain = _without(text, hidden)
    pieces = pieces_of(text, hidden)
    found = [one for one in names_in(text, pieces) if one.forms]
    mentions = [_mention(plain, pieces, found, index) for index in range(len(found))]
    if closed.COLOURLESS.search(plain):
        mentions = [replace(mention, colours="", colour_span=None) for mention in mentions]
    if closed.MORE_OF_IT.search(plain):
        mentions = [replace(mention, number=None) for mention in mentions]
    return Reading(text, "zh", tuple(mentions), _relations(plain, mentions), texts)


def _without(text: str, hidden: Sequence[Span]) -> str:
    """Of the same length, for what is quoted denies nothing: the sign that says “禁止吸烟” is there."""
    for start, end in hidden:
        text = text[: start + 1] + "＿" * (end - start - 2) + text[end - 1 :]
    return text


def _mention(text: str, pieces: Sequence[Span], found: Sequence[Found], index: int) -> Mention:
    place = found[index]
    form = min(place.forms, key=lambda one: one.doubtful)
    word = load().words[form.word]
    behind = found[index - 1].end if index else 0
    left = text[behind : place.start]
    cut = max((match.end() for match in _CLAUSE.finditer(left)), default=0)
    # "黑、白相间的" is one description
    left, offset = left[cut:], behind + cut
    number, many, number_span, first = number_in(
        left, word.measure, "person" in kinds_of(word.en) or "animal" in kinds_of(word.en)
    )
    if word.form != "count":
        number, number_span = None, None
    if text[place.end : place.end + 1] == "们":
        many = True
    colours, colour_span = ("", None) if "person" in kinds_of(word.en) else colours_in_phrase(text, left, place)
    attributes = attributes_of(left, text[place.end :])
    starts = [position for position in (first, colour_span[0] if colour_span else None) if position is not None]
    if colour_span is not None and colour_span[0] < len(left):
        colour_span = (offset + colour_span[0], offset + colour_span[1])
    phrase = offset + min(starts) if starts and min(starts) <= len(left) else place.start
    return Mention(
        word.en,
        (place.start, place.end),
        (min(phrase, place.start), place.end),
        not form.doubtful and _sure(text, pieces, found, index, form),
        number,
        (offset + number_span[0], offset + number_span[1]) if number_span and number is not None else None,
        many,
        bool(closed.DEFINITE.search(left)) or (first is None and _came_before(found, index)),
        colours,
        colour_span,
        attributes,
    )


def _came_before(found: Sequence[Found], index: int) -> bool:
    """A noun without a number that was spoken of: 一只风筝, 风筝是红色的."""
    return any(one.forms == found[index].forms for one in found[:index])


def _sure(text: str, pieces: Sequence[Span], found: Sequence[Found], index: int, form: Form) -> bool:
    place = found[index]
    return (
        _ends_here(text, pieces, found, index, form)
        and not _denied(text, found, index)
        and not _imagined(text, found, place, form)
    )


def _ends_here(text: str, pieces: Sequence[Span], found: Sequence[Found], index: int, form: Form) -> bool:
    """Whether the noun is the head of its phrase: not of 狗 in 狗的玩具, nor of 电视 in 电视节目."""
    place = found[index]
    after = text[place.end :].removeprefix("们")
    if not after or not _HAN.match(after):
        return True
    following = next((one for one in found[index + 1 :]), None)
    if after.startswith("的"):
        if _is_photo_of(text):
            return True
        if "person" in kinds_of(form.word):
            return not closed.DEPICTIONS.match(after)
        if _relation_after().match(after) or closed.HAVING.search(text[: place.start]):
            return True
        return bool(following and part_of(following.forms[0].word, form.word))
    if closed.NOT_FOLLOWERS.match(after):
        return False
    if following and following.start == place.end and not following.forms[0].doubtful:
        return False
    return after[0] in closed.FOLLOWERS


def _is_photo_of(text: str) -> bool:
    """Whether the caption is no more than "a photo of ..."."""
    return bool(closed.PHOTO.match(text))


def _denied(text: str, found: Sequence[Found], index: int) -> bool:
    place = found[index]
    clause = _clause_start(text, place.start)
    said = text[clause : place.start]
    ended = max((match.end() for match in closed.NEGATION_ENDS.finditer(said)), default=0)
    for match in closed.NEGATIONS.finditer(said, ended):
        # "没戴帽子的男人": what is denied belongs to the man, and he is there.
        inner = [
            one for one in found[:index] if one.start >= clause + match.end() and text[one.end : one.end + 1] == "的"
        ]
        if not inner:
            return True
    return bool(closed.DENIED_AFTER.match(text, place.end))


def _imagined(text: str, found: Sequence[Found], place: Found, form: Form) -> bool:
    clause = _clause_start(text, place.start)
    before = text[clause : place.start]
    if _ALIVE & kinds_of(form.word) and closed.IMITATIONS.search(before):
        return True
    lead = closed.IMAGINED.search(before)
    # 画着猫的杯子, 像狗一样的云: what is made up is said of a thing that is there.
    made_up = [
        one
        for one in found
        if lead and clause + lead.start() <= one.start and one.end < place.start
        if text[one.end] == "的" or closed.COMPARED.match(text, one.end)
    ]
    if lead and not made_up:
        return True
    end = _SENTENCE.search(text, place.end)
    tail = text[place.end : end.start() if end else len(text)]
    return any(
        match[0].startswith("的") and not closed.CARRIES.search(tail[: match.start()])
        for match in closed.DEPICTIONS.finditer(tail)
    )


def _clause_start(text: str, position: int) -> int:
    return max((match.end() for match in _SENTENCE.finditer(text, 0, position)), default=0)


@lru_cache(maxsize=1)
def _relation_forms() -> dict[str, str]:
    forms = {form: one.en for one in RELATIONS.values() for form in (one.zh, *one.zh_also)}
    return dict(sorted(forms.items(), key=lambda item: (-len(item[0]), item[0])))


@lru_cache(maxsize=1)
def _relation_after() -> re.Pattern[str]:
    return re.compile(f"的(?:{'|'.join(_relation_forms())})")


def _relations(text: str, mentions: Sequence[Mention]) -> tuple[Stated, ...]:
    """猫(坐)在桌子上; 桌子上有一只猫; 桌子上的猫."""
    names = "|".join(_relation_forms())
    after = re.compile(rf"的?(?P<relation>{names})")
    there = re.compile(rf"的?(?P<relation>{names})(?:{closed.EXISTS}|的)")
    at = re.compile(rf"(?:们)?(?:正|都|正在|静静地|安静地|一起|悠闲地|懒洋洋地|独自|只是)*(?:{closed.POSTURES}着?)?在")
    stated = []
    for index in range(len(mentions) - 1):
        first, second = mentions[index], mentions[index + 1]
        if not (first.sure and second.sure) or first.word == second.word:
            continue
        between = text[first.span[1] : second.phrase[0]]
        subject, object_, match = None, None, None
        if at.fullmatch(between):
            subject, object_, match = index, index + 1, after.match(text, second.span[1])
        elif there.fullmatch(between):
            subject, object_ = index + 1, index
            match = after.match(text, first.span[1])
        if match is None or subject is None or object_ is None:
            continue
        name = _relation_forms()[match["relation"]]
        thing = load().words[mentions[object_].word]
        person = "person" in kinds_of(mentions[subject].word)
        if "clothes" in kinds_of(thing.en) or (
            name == "on" and person and {"phone", "computer", "screen"} & kinds_of(thing.en)
        ):
            continue
        stated.append(Stated(subject, name, object_, match.span("relation")))
    return tuple(stated)
