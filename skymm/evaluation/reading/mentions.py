"""The COCO objects that a caption mentions, as CHAIR finds them and by a strict reading in Chinese and English.

CHAIR (Rohrbach et al., arXiv 1809.02156): the caption is cut into words, each is made singular, two words that are one
thing are joined, and what then stands in a list of synonyms is a mention of its class. The list is the official
synonyms.txt, or the same with the pairs of words as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from skymm import lexicon
from skymm.evaluation.reading.english import lemmas, singular, singular_as_published, tokens
from skymm.tables import read_json, read_text
from skymm.text import normalise, words

Mention = tuple[str, tuple[str, ...]]  # what was said, and the classes of which it is one (in English always one)

# CHAIR's rules beside the synonyms: an age before an animal and "passenger" before a vehicle are no person.
_ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
_PAIRS = {
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS},
    **{f"passenger {vehicle}": vehicle for vehicle in ("jet", "train")},
    **{pair: pair for pair in ("home plate", "train track")},  # neither a plate nor a train
    **{"bow tie": "tie", "toilet seat": "toilet", "wine glas": "wine glass"},
}


@dataclass(frozen=True, eq=False, slots=True)
class Vocabulary:
    """The lists of CHAIR. `classes`: name -> class; `pairs`: two words -> what they are together; `singulars`: word ->
    singular as the official scorer makes it, None for the built-in rules that make the same; `parts`: every word of all
    these.
    """

    classes: Mapping[str, str]
    pairs: Mapping[str, str]
    singulars: Mapping[str, str] | None
    parts: frozenset[str]


def read_vocabulary(vocab: Path, singulars: Path | None = None) -> Vocabulary:
    """From synonyms.txt (a line for each class, its name first, then synonyms) or JSON with inverse_synonym_dict and
    double_word_dict; `singulars` is JSON, word -> singular. Raises ValueError saying what is missing.
    """
    # What was read from the files is kept until they change.
    paths = (vocab, singulars)
    return _vocabulary(
        vocab, singulars, tuple(path.stat().st_mtime_ns if path and path.is_file() else 0 for path in paths)
    )


@lru_cache(maxsize=8)
def _vocabulary(vocab: Path, singulars: Path | None, state: tuple[int, ...]) -> Vocabulary:
    if vocab.suffix.lower() == ".json":
        tables = _table(vocab)
        missing = [name for name in ("inverse_synonym_dict", "double_word_dict") if name not in tables]
        if missing:
            raise ValueError(f"{vocab}: found {sorted(tables)[:6]}, expected {' and '.join(missing)} (or synonyms.txt)")
        classes, pairs = tables["inverse_synonym_dict"], tables["double_word_dict"]
    else:
        # With the spaces around some names of the official file: names that begin with one are never met.
        lines = [line.strip().split(", ") for line in read_text(vocab).split("\n") if line.strip()]
        classes = {name: names[0] for names in lines for name in names}
        if max(map(len, lines), default=0) < 2:
            raise ValueError(f"{vocab}: found no line 'name, synonym, synonym', expected CHAIR's synonyms.txt")
        pairs = {name.strip(): name.strip() for name in classes if " " in name.strip()} | _PAIRS
        pairs.pop("dining table", None)  # none officially, and a table is one alone
    parts = frozenset(part.lower() for name in (*classes, *pairs) for part in name.split())
    return Vocabulary(classes, pairs, _table(singulars) if singulars else None, parts)


def _table(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if len(values) != 1 or not isinstance(values[0], dict):
        raise ValueError(f"{path}: expected one JSON object, a table with names")
    return values[0]


@lru_cache(maxsize=1 << 16)
def official_mentions(vocabulary: Vocabulary, caption: str) -> tuple[Mention, ...]:
    """The mentions that the official scorer of 2018 counts, repeated ones too."""
    table = vocabulary.singulars
    plain = [
        singular_as_published(word, vocabulary.parts) if table is None else table.get(word, word)
        for word in tokens(caption.lower())
    ]
    return tuple(_objects(_joined(plain, vocabulary.pairs), vocabulary.classes))


@lru_cache(maxsize=1 << 16)
def lemma_mentions(vocabulary: Vocabulary, caption: str) -> tuple[Mention, ...]:
    """The mentions that are counted since 2023: the same lists, met by lemmas."""
    return tuple(_objects(lemma_words(vocabulary, caption), vocabulary.classes))


def lemma_words(vocabulary: Vocabulary, caption: str) -> list[str]:
    """Lemmas and marks, pairs that are one thing as one: what CHAIR's length counts since 2023."""
    return _joined(lemmas(caption.lower(), vocabulary.parts), vocabulary.pairs)


@lru_cache(maxsize=1 << 16)
def strict_mentions(vocabulary: Vocabulary, caption: str) -> tuple[Mention, ...]:
    """The mentions in a caption in Chinese, English or both: English by the same lists with right singulars ("bus" and
    "tennis racket" are found), Chinese by `chinese_objects`.
    """
    classes = _strict_classes(vocabulary)
    found: list[Mention] = []
    for clause in _CLAUSE_END.split(normalise(caption)):
        cut = words(clause)
        found += chinese_objects(cut)
        found += _objects(_joined(_english_words(cut, vocabulary), vocabulary.pairs), classes)
    return tuple(found)


_CLAUSE_END = re.compile(r"[,;:!?、。…()\[\]\"“”]+|\.(?!\d)|\n")


@lru_cache(maxsize=8)
def _strict_classes(vocabulary: Vocabulary) -> Mapping[str, str]:
    """Without the names that no text has for their spaces and capitals (" cheesecake", "iPhone")."""
    return {name.strip().lower(): kind.strip() for name, kind in vocabulary.classes.items() if name.strip()}


def _english_words(cut: list[str], vocabulary: Vocabulary) -> list[str]:
    found: list[str] = []
    for word in cut:
        whole = re.sub(r"['’]s?$", "", word)
        apart = whole.split("-")
        plain = " ".join(singular(part, vocabulary.parts) for part in apart)
        # "hot-dog" is a hot dog, but "dog-friendly" is no dog.
        found += plain.split() if len(apart) == 2 and plain in vocabulary.pairs else [singular(whole, vocabulary.parts)]
    return found


def _joined(plain: list[str], pairs: Mapping[str, str]) -> list[str]:
    joined: list[str] = []
    position = 0
    while position < len(plain):
        pair = " ".join(plain[position : position + 2])
        joined.append(pairs.get(pair, plain[position]))
        position += 2 if pair in pairs else 1
    if "toilet" in joined and "seat" in joined:
        joined = [word for word in joined if word != "seat"]
    return joined


def _objects(joined: list[str], classes: Mapping[str, str]) -> list[Mention]:
    return [(word, (classes[word],)) for word in joined if word in classes]


# --- Chinese names ------------------------------------------------------------------------------------------------------

# The names are those of the lexicon's words that are of one of the 80 classes for certain; coco_objects.tsv has what else a
# Chinese caption calls these things. What is no such thing although it sounds like one (海狗 is no dog) is left out, and so
# are words that are wider than a class (车 may be a car, a bus or a bicycle, as "vehicle" may). Rooms and games are no
# objects: 卫生间 is no toilet, and 打网球 names no ball.

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


def chinese_objects(words: Sequence[str]) -> list[Mention]:
    """The objects named by the words of a clause, as `skymm.text.words` cuts it, in reading order.

    The longest run of words that is a name is taken, so that 热狗 and 泰迪熊 are no dog and no bear however they are cut.
    """
    names = chinese_names()
    found: list[Mention] = []
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
    return 1, _bare(words[position], names)


def _bare(word: str, names: Mapping[str, object]) -> str:
    """The word without what may stand around a name in it, where that leaves a name: 孩子们, 两人, 黑狗, 骑着马."""
    bare = word.removesuffix("们")
    if bare in names:
        return bare
    stripped = _BEFORE.sub("", bare)
    return stripped if stripped in names and bare not in _NOT_STRIPPED else word
