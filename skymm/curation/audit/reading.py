"""What is read of a sample's words: a yes or a no, the thing that is asked for, where it says it comes from.

These readings are narrow on purpose: what they cannot tell for sure is counted as neither. A yes or no is read where an answer
begins with the word and stops or pauses after it ("No, there is none.", 没有，图里没有狗。); a thing where a question asks for
nothing but its being there ("Is there a dog in the picture?", 图里有狗吗？). `skymm.verdict` reads more into an answer
("Nothing" as a no), as is right for what a model says to a yes/no question; here answers of every kind are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from skymm.curation.record import Facts
from skymm.text import normalise
from skymm.verdict import NO, UNKNOWN, YES

EXISTENCE_KINDS = ("existence", "object", "objects", "presence", "random", "popular", "adversarial")
"""Kinds of questions that ask whether a thing is there, as MME, POPE and others call them."""
CAPTION_KINDS = ("caption", "captions", "description", "layout")
"""Kinds of answers that say what is there; nobody expects negatives among them."""

_PAUSE = r"(?=$|[\"'”’)*]*\s*(?:$|[,.!;:\-—、。]))"
_YES = re.compile(rf"(?:yes|yeah|yep|correct|true)\b{_PAUSE}|(?:是的?|有的?|对的?|正确|存在|可以|能){_PAUSE}", re.I)
_NO = re.compile(
    rf"(?:no|nope|incorrect|false)\b{_PAUSE}|(?:不是的?|没有?|否|不对?|无|错误?|不存在|不可以|不能){_PAUSE}", re.I
)

_PLACE = r"(?: (?:in|on|at|within|inside) (?:the|this|that) (?:image|picture|photo|photograph|scene|figure))?"
_ENGLISH_THING = re.compile(
    rf"(?:(?:is|are) there|(?:does|do) (?:the|this) (?:image|picture|photo|scene)s? (?:contain|show|have)|"
    rf"(?:can|do) you see|(?:is|are|does|do)(?= .+ (?:visible|appear))) "
    rf"(?:(?:an?|any|some|the) )?(?P<thing>.+?)(?: visible| appear)?{_PLACE} ?\?.*",
    re.I,
)
_MEASURE = "[个個只隻条條张張辆輛朵把座头頭匹棵件架艘]"
_CHINESE_THING = re.compile(
    r"(?:请问|請問)?(?:你?能)?(?:在?[这這该該此]?[张張幅]?(?:图片|圖片|图像|圖像|图|圖|照片|画面|畫面|画)?(?:里面?|裡面?|中|上|当中)?,?)?"
    r"(?:是否)?(?:有没有|有沒有|存在|包含|出现了?|有|看到)"
    rf"(?:一{_MEASURE}|任何)?(?P<thing>[^?,。]+?)[吗嗎么]?(?:\?.*|$)"
)
_NUMBER = re.compile(
    rf"(?:(?:exactly|only|at least) )?(?:one|two|three|four|five|six|seven|eight|nine|ten|\d+) |"
    rf"[一两兩二三四五六七八九十\d]+{_MEASURE}"
)
_LONGEST_THING = 60  # letters; more is a sentence and no name


def yes_no(answer: str) -> str | None:
    """ "yes" or "no" where the answer begins with such a word in English or Chinese and stops or pauses there; else None."""
    beginning = normalise(answer[:64]).lstrip("\"'“‘(*")
    return YES if _YES.match(beginning) else NO if _NO.match(beginning) else None


def asked_thing(question: str, kind: str) -> str | None:
    """What a question asks the presence of, in its own words, lower-cased; None where it asks for something else."""
    if kind.partition("/")[0] not in (UNKNOWN, *EXISTENCE_KINDS):
        return None
    text = normalise(question[:300])
    match = _ENGLISH_THING.fullmatch(text) or _CHINESE_THING.fullmatch(text)
    thing = match["thing"].strip(" '\"“”").lower() if match else ""
    return thing if thing and len(thing) <= _LONGEST_THING and not _NUMBER.match(thing) else None


def things_there(extra: Mapping[str, Any]) -> set[str]:
    """Names, in small letters, of what the facts in a sample's JSON say is there; facts of another form say nothing."""
    try:
        return {thing.name.lower() for thing in Facts.from_json(extra["facts"]).things}
    except (AttributeError, KeyError, TypeError, ValueError):
        return set()


def source_and_licence(extra: Mapping[str, Any], card: Mapping[str, Any]) -> tuple[str, str]:
    """Of a sample: what it says itself, else what the card of its directory says, else "unknown"."""
    source = _said(extra.get("source")) or _said(card.get("source"))
    of_card = card.get("licences") or card.get("licence") or card.get("license")
    if isinstance(of_card, Mapping) and source in of_card:
        of_card = of_card[source]
    licence = _said(extra.get("licence") or extra.get("license")) or _said(of_card)
    return source or UNKNOWN, licence or UNKNOWN


def clean(text: str, most: int = 300) -> str:
    """At most so many letters of it, fit for any encoding (lone surrogates are legal in JSON and nowhere else)."""
    return text[:most].encode("utf-8", "replace").decode("utf-8")


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        value = "; ".join(dict.fromkeys(one for one in value if isinstance(one, str)))
    text = clean(" ".join(value.split())) if isinstance(value, str) else ""
    return "" if text.lower() in ("", UNKNOWN, "none", "n/a", "未知") else text
