"""Chinese names of COCO's 80 classes of objects, and finding them in a segmented text.

What the English synonyms of CHAIR are for English captions, this is for Chinese ones. The names are those of the lexicon's
words that are of one of the classes for certain; coco_objects.tsv has what else a Chinese caption calls these things. What is
no such thing although it sounds like one (海狗 is no dog) is left out, and so are words that are wider than a class (车 may be
a car, a bus or a bicycle, as "vehicle" may). Rooms and games are no objects: 卫生间 is no toilet, and 打网球 names no ball.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from skymm import lexicon

# Games as much as balls: a ball where they are counted ("一个足球"), a game elsewhere ("踢足球", "网球比赛").
_BALL_OR_GAME = frozenset(
    ("足球", "篮球", "网球", "棒球", "排球", "垒球", "橄榄球", "高尔夫球", "保龄球", "乒乓球", "台球")
)
_COUNTED = re.compile(r"[个颗只枚]$")
# A word that means something else after these: "给人温暖的感觉" has nobody in it, "三点钟" no clock.
_NOT_AFTER = {
    "人": re.compile(r"[给让令使叫引惹]$|^使得$"),
    "钟": re.compile(r"[点分秒]$"),
}
_NOT_STRIPPED = frozenset({"一床", "一刀", "大马"})  # a bed as a measure, at one stroke, Malaysia
# What may stand before a name within a word: numbers with their measures, how a thing looks, what is done with it.
_BEFORE = re.compile(
    r"^(?:(?:[一二两三四五六七八九十几数多各每]+[个只条位名群头匹张把]?|[黑白红黄蓝绿棕灰紫粉大小老幼新旧高长])+|"
    r"[骑牵抱拿遛撑打喂看坐握划][着了]?(?=[马牛羊狗猫鸟象熊伞书船刀]$))"
)
_LONGEST = 5  # words that together make one name, as they are segmented
_HAN = re.compile(r"[\u4e00-\u9fff]+")

Found = tuple[str, tuple[str, ...]]  # what was said, and the classes of which it is one


@lru_cache(maxsize=1)
def chinese_names() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Name -> the things that it names -> the classes of which each is one."""
    names = _names_of_the_lexicon()
    table = files("skymm.evaluation.reading") / "coco_objects.tsv"
    rows = [line.split("\t") for line in table.read_text("utf-8").splitlines() if not line.startswith("#")]
    for classes, cell in rows[1:]:
        if classes == "?":
            names = {name: things for name, things in names.items() if name not in cell.split()}
            continue
        things = tuple(tuple(thing.split("|")) for thing in classes.split("+") if thing != "-")
        names.update(dict.fromkeys(cell.split(), things))
    return names


def _names_of_the_lexicon() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Names of words that are of a class, or of a kind of it, whatever they mean."""
    classes = {word.en for word in lexicon.vocabulary("coco80")}
    found = {}
    for name, forms in lexicon.load().chinese.items():
        kinds = [classes & lexicon.kinds_of(form.word) for form in forms]
        if forms and all(kinds) and not any(form.doubtful for form in forms):
            found[name] = (tuple(sorted(frozenset().union(*kinds))),)
    return found


def chinese_objects(words: Sequence[str]) -> list[Found]:
    """The objects named by the words of a clause, as `skymm.text.words` cuts it, in reading order.

    The longest run of words that is a name is taken, so that 热狗 and 泰迪熊 are no dog and no bear however they are cut.
    """
    names = chinese_names()
    found: list[Found] = []
    position = 0
    while position < len(words):
        size, word = _longest_name(words, position, names)
        before = words[position - 1] if position else ""
        if word in _BALL_OR_GAME and _COUNTED.search(before):
            found.append((word, ("sports ball",)))
        elif word in names and not (word in _NOT_AFTER and _NOT_AFTER[word].search(before)):
            found.extend((word, classes) for classes in names[word])
        position += size
    return found


def _longest_name(words: Sequence[str], position: int, names: Mapping[str, object]) -> tuple[int, str]:
    """How many words from here on make a name, and the name; else one, and the word.

    A name may begin within the first word, for Chinese puts the head last, and what is unknown to the dictionary is cut
    too late: 放风筝 is a word with 风筝 in it, and 和甜甜圈 is cut as 和甜甜, 圈.
    """
    for size in range(min(_LONGEST, len(words) - position), 0, -1):
        run = words[position : position + size]
        if not all(map(_HAN.fullmatch, run)):
            continue
        text = "".join(run)
        if text in names:
            return size, text
        shortest = 2 if size == 1 else 3
        for start in range(1, min(len(run[0]), len(text) - shortest + 1)):
            if text[start:] in names:
                return size, text[start:]
    return 1, _plain(words[position], names)


def _plain(word: str, names: Mapping[str, object]) -> str:
    """The word without what may stand around a name in it, where that leaves a name: 孩子们, 两人, 黑狗, 骑着马."""
    bare = word.removesuffix("们")
    if bare in names:
        return bare
    stripped = _BEFORE.sub("", bare)
    return stripped if stripped in names and bare not in _NOT_STRIPPED else word
