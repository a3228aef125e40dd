"""Questions about a picture as twins: the same one in Chinese and in English, with the same answer.

Yes/no questions come as pairs, one of each answer, so that saying yes to everything is worth half. Options are dealt so
that every letter is right equally often.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

from skymm.evaluation.kits.chinese_scenes.words import Text, Thing, Word, sentence, sentences

Form = Literal["yes_no", "choice", "short"]
LANGUAGES = ("zh", "en")
LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Twin:
    """A question in (Chinese, English), without the instruction that it ends with.

    `gold` is "yes" or "no" of a yes/no question. Of four `options` the first is right. `accepted` are the forms in which
    a short answer is right, in any language and script.
    """

    kind: str
    form: Form
    question: Text
    gold: str = ""
    options: tuple[Text, ...] = ()
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be drawn, and what is asked about it.

    Pictures of one `subject` show the same thing (one word in both scripts, say). `script` is that of the characters in
    it: "simplified", "traditional", "both" where they are the same in both; "" without any. `shown` is all that stands
    there, and `things` are all that are drawn in a scene of things.
    """

    family: str
    subject: str
    script: str
    draw: Callable[[], Image.Image] = field(repr=False)
    twins: tuple[Twin, ...]
    shown: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()


def pair(kind: str, claims: Iterable[Text]) -> tuple[Twin, Twin]:
    """The question that is answered with yes, and the one that is answered with no."""
    right, wrong = claims
    return Twin(kind, "yes_no", right, "yes"), Twin(kind, "yes_no", wrong, "no")


def choice(kind: str, question: Text, options: Iterable[str | Text | Word | Thing]) -> Twin:
    """The first option is right. A text in one language stands for both."""
    texts = tuple(
        one if isinstance(one, tuple) else (one, one) if isinstance(one, str) else one.text for one in options
    )
    assert len(set(texts)) == len(LETTERS), f"{question}: expected four different options, found {texts}"
    return Twin(kind, "choice", question, options=texts)


def short(kind: str, question: Text, accepted: Iterable[str]) -> Twin:
    return Twin(kind, "short", question, accepted=tuple(dict.fromkeys(accepted)))


def rows(pictures: Sequence[Picture], names: Sequence[str], seed: int) -> Iterator[dict[str, Any]]:
    """The questions as JSON objects, picture by picture, each twin in Chinese and then in English."""
    orders = _deal(pictures, random.Random(f"{seed}/letters"))
    for index, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        for number, twin in enumerate(picture.twins, 1):
            order = orders.get((index, number), ())
            for position, language in enumerate(LANGUAGES):
                yield _row(picture, name, number, twin, order, position, language)


def _deal(pictures: Sequence[Picture], rng: random.Random) -> dict[tuple[int, int], list[int]]:
    """(picture, question) -> the order of its options. The right one goes round the letters, kind after kind."""
    waiting = [
        (twin.kind, index, number)
        for index, picture in enumerate(pictures)
        for number, twin in enumerate(picture.twins, 1)
        if twin.form == "choice"
    ]
    orders, places = {}, []
    for _, index, number in sorted(waiting):
        places = places or rng.sample(range(len(LETTERS)), len(LETTERS))
        order = rng.sample(range(1, len(LETTERS)), len(LETTERS) - 1)
        order.insert(places.pop(), 0)
        orders[index, number] = order
    return orders


def _row(
    picture: Picture, name: str, number: int, twin: Twin, order: Sequence[int], position: int, language: str
) -> dict[str, Any]:
    text, gold = twin.question[position], twin.gold
    fields: dict[str, Any] = {"twin": f"{name}/{number}", "language": language, "kind": twin.kind, "form": twin.form}
    fields |= {"family": picture.family} | ({"script": picture.script} if picture.script else {})
    choices: Sequence[str] = ()
    if twin.form == "yes_no":
        choices = ("yes", "no")
    elif twin.form == "choice":
        options = {letter: twin.options[index][position] for letter, index in zip(LETTERS, order, strict=True)}
        text += "".join(f"\n{letter}. {option}" for letter, option in options.items())
        gold, choices = LETTERS[list(order).index(0)], LETTERS
        fields["options"] = options
    else:
        gold = twin.accepted[0]
        fields["accepted"] = list(twin.accepted)
    return {
        "id": f"{name}/{number}/{language}",
        "text": text + sentences()["endings"][twin.form][position],
        "gold": gold,
        "cluster": f"{picture.family}/{picture.subject}",
        "picture": name,
        "choices": list(choices),
        "fields": fields,
    }


# --- what is asked of any written word, where it stands ---------------------------------------------------------------------


def rival_of(word: Word, group: Sequence[Word], script: str) -> Word:
    """The word that is asked for in vain: the next one of the group that is drawn in this script too.

    Along the group every word is asked for with yes as often as with no: the words alone say nothing about the answer.
    """
    drawn = [other for other in group if script != "traditional" or not other.same_in_both]
    return drawn[(drawn.index(word) + 1) % len(drawn)]


def reading(word: Word, rival: Word, script: str, where: str) -> tuple[Twin, Twin]:
    """Does it say this? In the script of the picture."""
    place = sentence(f"where.{where}")
    return pair("reading", (sentence("words.says", where=place, text=one.written(script)) for one in (word, rival)))


def copied(word: Word, where: str) -> Twin:
    """What does it say? Answered in the characters of either script."""
    question = sentence("words.copied", where=sentence(f"where.{where}"))
    return short("reading", question, (word.simplified, word.traditional))


def translated(word: Word, group: Sequence[Word], where: str, rng: random.Random) -> Twin:
    """What does it mean? The wrong options are others of its group."""
    others = rng.sample([other for other in group if other != word], 3)
    question = sentence("words.translated", where=sentence(f"where.{where}"))
    return choice("translation", question, (one.english for one in (word, *others)))


def written_facts(word: Word, group: Sequence[Word], script: str, where: str, rng: random.Random) -> list[Twin]:
    """The questions that a sign with one word on it is good for, whatever kind of sign."""
    rival, place = rival_of(word, group, script), sentence(f"where.{where}")
    twins = [*reading(word, rival, script, where), translated(word, group, where, rng)]
    if script == "traditional":
        claims = (sentence("words.paired", where=place, text=one.simplified) for one in (word, rival))
        return [*twins, *pair("script", claims)]
    if script == "simplified":
        others = [other for other in group if other != word]
        differing = [other for other in others if not other.same_in_both]
        wrong = rng.sample(differing, min(3, len(differing)))
        wrong += rng.sample([other for other in others if other not in wrong], 3 - len(wrong))
        question = sentence("words.rewritten", where=place)
        twins.append(choice("script", question, (one.traditional for one in (word, *wrong))))
    return [*twins, copied(word, where)]


# --- the forms in which a short answer is right, as people write them -------------------------------------------------------

_DIGITS = "零一二三四五六七八九"
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def han_number(number: int) -> str:
    """A number from 0 to 999 in Chinese, as it is spoken: 10 is 十, 105 is 一百零五."""
    assert 0 <= number < 1000
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += f"{_DIGITS[tens]}十" if tens > 1 or hundreds else "十"
    elif hundreds and ones:
        text += "零"
    return text + (_DIGITS[ones] if ones or not number else "")


def english_number(number: int) -> str:
    """A number from 0 to 999 in English words: 105 is "one hundred and five"."""
    assert 0 <= number < 1000
    if number >= 100:
        rest = f" and {english_number(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")


def price_forms(yuan: int) -> tuple[str, ...]:
    """A price in yuan, in figures or words, with or without the currency. The first is how it is printed."""
    units = ("", "元", "块", "塊", "块钱", "塊錢", "圆", "元钱", "人民币", " yuan", " RMB", " CNY", " renminbi")
    chinese, english = han_number(yuan), english_number(yuan)
    numbers = (str(yuan), chinese, chinese.replace("二百", "两百"), f"{yuan}.0", f"{yuan}.00")
    numbers += (english, english.replace(" and ", " "))
    before = (f"{unit}{number}" for unit in ("RMB ", "CNY ") for number in numbers)
    return (f"{yuan}元", *(number + unit for number in numbers for unit in units), *before)


def number_forms(number: str, *units: str) -> tuple[str, ...]:
    """A number on a door: figures, spoken one by one or as a number, with or without the word behind it."""
    spoken = "".join(_DIGITS[int(digit)] for digit in number)
    plain = (number, spoken, spoken.replace("零", "〇"), han_number(int(number)))
    english = (f"{word}{number}" for word in ("room ", "no. ", "number ", "no "))
    return (*plain, *(one + unit for one in plain for unit in units), *english)


def time_forms(hour: int, minute: int) -> tuple[str, ...]:
    """A time of the day, of 24 hours or of 12."""
    half = hour - 12 if hour > 12 else hour
    parts = ("上午", "早上", "早晨") if hour < 12 else ("中午", "下午") if hour == 12 else ("下午", "晚上", "傍晚")
    forms = [f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{hour:02}:{minute:02}:00"]
    for shown in dict.fromkeys((hour, half)):
        spoken = [f"{name}{mark}" for name in (str(shown), han_number(shown)) for mark in "点點时時"]
        if minute:
            spoken = [
                f"{one}{rest}" for one in spoken for rest in (f"{minute}分", f"{minute}", f"{han_number(minute)}分")
            ]
            spoken += [f"{one}{han_number(minute)}" for one in (f"{han_number(shown)}点", f"{han_number(shown)}點")]
            if minute == 30:
                spoken += [f"{name}{mark}半" for name in (str(shown), han_number(shown)) for mark in "点點"]
        else:
            spoken += [f"{one}整" for one in spoken] + [f"{one}钟" for one in spoken] + [f"{one}鐘" for one in spoken]
        spoken += [f"{shown}:{minute:02}"]
        if shown == hour:
            forms += spoken
        forms += [part + one for part in parts for one in spoken]
    suffixes = (
        ("am", " a.m.", " in the morning") if hour < 12 else ("pm", " p.m.", " in the afternoon", " in the evening")
    )
    forms += [f"{half}:{minute:02}{suffix}" for suffix in suffixes]
    if not minute:
        forms += [f"{half}{suffix}" for suffix in suffixes] + ([f"{half} o'clock"] if hour == half else [])
    return tuple(dict.fromkeys(forms))
