"""Everyday visible things by their English and Chinese names, and which names could be said of the same thing.

The words stand in lexicon.tsv, one a line. It says for each what else it is called, what it is a kind of, what it belongs
to, and how a sentence uses it. A form that begins with `?` may mean something else as well: where it stands nothing is
known to be there, and nothing like it may be asked as absent. One with `*` is a verb or an adjective too.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from skymm.text import normalise

COLUMNS = ("en", "zh", "en_also", "zh_also", "kinds", "measure", "form", "belongs", "worn", "flags")
NOTHING = "-"  # the name in the lines of forms that contain a thing's name and are no thing

Vocabulary = tuple["Word", ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A thing that can be seen.

    `kinds` is what it is a kind of and `belongs` what it is a part of, is worn by or stands in as a matter of course: both
    name other words. `measure` counts it in Chinese, `form` is "count", "mass" (no plural) or "plural" (no singular).
    `worn` is the Chinese verb for having it on or with one (戴, 穿, 拿). `flags`: "unsaid", captions leave it out even where
    it is there; "vague", too wide or too rare to be asked for; "place", where one is rather than what one sees; others
    name vocabularies that it is in ("coco80").
    """

    en: str
    zh: str
    plural: str
    kinds: tuple[str, ...] = ()
    measure: str = "个"
    form: str = "count"
    belongs: tuple[str, ...] = ()
    worn: str = ""
    flags: tuple[str, ...] = ()

    @property
    def askable(self) -> bool:
        return not {"vague", "place"}.intersection(self.flags)


class Form(NamedTuple):
    """One way to write a word. `doubtful`: it may mean something else; `noun_only` False: it is a verb or adjective too."""

    word: str
    doubtful: bool = False
    noun_only: bool = True
    plural: bool | None = False  # None: the same in the plural


class Lexicon(NamedTuple):
    """`english` forms go by their parts ("hot", "dog"), `chinese` ones by what is written; () is a form that names nothing."""

    words: Mapping[str, Word]
    english: Mapping[tuple[str, ...], tuple[Form, ...]]
    chinese: Mapping[str, tuple[Form, ...]]


def plural_of(noun: str) -> str:
    """The regular plural; irregular ones stand in the table."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def parts_of(form: str) -> tuple[str, ...]:
    """The words of an English form, hyphens being spaces."""
    return tuple(form.lower().replace("-", " ").split())


def find(name: str) -> Word | None:
    """The word that a name in either language means, singular or plural; where it may mean several, the first of the table."""
    lexicon = load()
    plain = normalise(name).lower()
    if plain in lexicon.words:
        return lexicon.words[plain]
    forms = lexicon.chinese.get(plain) or lexicon.english.get(parts_of(plain)) or ()
    best = min(forms, key=lambda form: form.doubtful, default=None)
    return lexicon.words[best.word] if best else None


def vocabulary(name: str) -> Vocabulary:
    """The words of a vocabulary such as "coco80", in the order of the table. Raises ValueError for one that is not there."""
    found = tuple(word for word in load().words.values() if name in word.flags)
    if not found:
        raise ValueError(f"vocabulary {name!r}: the lexicon has no word of it, expected coco80")
    return found


@lru_cache(maxsize=1 << 14)
def kinds_of(name: str) -> frozenset[str]:
    """The word itself and everything that it is a kind of: dog -> dog, animal."""
    found, open_ = set(), [name]
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_.extend(load().words[one].kinds)
    return frozenset(found)


@lru_cache(maxsize=1 << 17)
def akin(first: str, second: str) -> bool:
    """Whether two words could be said of one thing: the same, one a kind of the other, or one name for both."""
    if first in kinds_of(second) or second in kinds_of(first):
        return True
    return bool(_names_of(first) & _names_of(second))


@lru_cache(maxsize=1 << 17)
def part_of(part: str, whole: str) -> bool:
    """Whether the first belongs to the second: hair to a woman, a wheel to a bus, an oven to a kitchen."""
    owners = {owner for kind in kinds_of(part) for owner in load().words[kind].belongs}
    return any(owner in kinds_of(whole) or whole in kinds_of(owner) for owner in owners)


def related(first: str, second: str) -> bool:
    """Whether asking one as absent while the other is there could contradict: akin, or one is part of the other.

    Names in either language; what is not in the lexicon is related to what is written the same.
    """
    a, b = find(first), find(second)
    if a is None or b is None:
        return normalise(first).lower() == normalise(second).lower()
    return akin(a.en, b.en) or part_of(a.en, b.en) or part_of(b.en, a.en)


@lru_cache(maxsize=1)
def load() -> Lexicon:
    """The whole table, read once. Raises ValueError, naming the line, where it contradicts itself."""
    table = files("skymm") / "lexicon.tsv"
    lines = table.read_text("utf-8").splitlines()
    rows = [
        (number, dict(zip(COLUMNS, [cell.strip() for cell in cells] + [""] * len(COLUMNS))))
        for number, cells in enumerate(csv.reader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE), 2)
        if cells and not cells[0].startswith("#")
    ]
    words: dict[str, Word] = {}
    english: dict[tuple[str, ...], list[Form]] = {}
    chinese: dict[str, list[Form]] = {}
    for number, row in rows:
        if row["en"] == NOTHING:
            for text in _listed(row["en_also"]):
                english.setdefault(parts_of(text), [])
                english.setdefault(parts_of(plural_of(text)), [])
            for text in _listed(row["zh_also"]):
                chinese.setdefault(text, [])
            continue
        word = _word(row)
        if word.en in words:
            raise ValueError(f"{table}:{number}: {word.en!r} stands there twice, expected each word once")
        words[word.en] = word
        for text in (row["en"], *_listed(row["en_also"])):
            _add_english(english, text, word)
        for text in (row["zh"], *_listed(row["zh_also"])):
            _add(chinese, text.lstrip("?").lower(), Form(word.en, text.startswith("?"), plural=None))
    for number, row in rows:
        unknown = [name for name in (*_listed(row["kinds"]), *_listed(row["belongs"])) if name not in words]
        if unknown:
            raise ValueError(f"{table}:{number}: {row['en']!r} names {unknown[0]!r}, expected a word of the table")
    return Lexicon(words, _settled(english, words), _settled(chinese, words))


def _word(row: Mapping[str, str]) -> Word:
    name, _, plural = row["en"].partition("/")
    form = row["form"] or "count"
    return Word(
        name,
        row["zh"],
        plural or (name if form != "count" else plural_of(name)),
        tuple(_listed(row["kinds"])),
        row["measure"],
        form,
        tuple(_listed(row["belongs"])),
        row["worn"],
        tuple(row["flags"].split()),
    )


def _listed(cell: str) -> list[str]:
    return [text.strip() for text in cell.split(",") if text.strip()]


def _add_english(english: dict[tuple[str, ...], list[Form]], text: str, word: Word) -> None:
    bare = text.lstrip("?*")
    marks = text[: len(text) - len(bare)]
    singular, _, plural = bare.partition("/")
    form = Form(word.en, "?" in marks, "*" not in marks)
    if word.form == "plural":
        _add(english, parts_of(singular), form._replace(plural=True))
        return
    plural = plural or plural_of(singular)
    same = plural == singular
    _add(english, parts_of(singular), form._replace(plural=None if same else False))
    if not same:
        _add(english, parts_of(plural), form._replace(plural=True))


def _add(forms: dict, key: object, form: Form) -> None:
    """A form that a word has twice keeps the more careful reading of the two."""
    known = forms.setdefault(key, [])
    for index, other in enumerate(known):
        if other.word == form.word:
            careful = (other.doubtful or form.doubtful, other.noun_only and form.noun_only)
            known[index] = other._replace(doubtful=careful[0], noun_only=careful[1])
            return
    known.append(form)


def _settled(forms: Mapping, words: Mapping[str, Word]) -> dict:
    """A form of several words is doubtful, but for the word that bears it as its name."""
    settled = {}
    for key, those in forms.items():
        if len(those) > 1:
            text = key if isinstance(key, str) else " ".join(key)
            own = [form for form in those if text in (words[form.word].en, words[form.word].zh)]
            those = [form if own == [form] else form._replace(doubtful=True) for form in those]
        settled[key] = tuple(those)
    return settled


@lru_cache(maxsize=1 << 14)
def _names_of(name: str) -> frozenset[object]:
    lexicon = load()
    index = _by_word()
    assert name in lexicon.words, name
    return index[name]


@lru_cache(maxsize=1)
def _by_word() -> Mapping[str, frozenset[object]]:
    found: dict[str, set[object]] = {name: set() for name in load().words}
    for forms in (load().english, load().chinese):
        for key, those in forms.items():
            for form in those:
                found[form.word].add(key)
    return {name: frozenset(keys) for name, keys in found.items()}
