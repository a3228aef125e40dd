"""Everyday visible things by their English and Chinese names, which names could be said of the same thing, and how things are
described: colours, other attributes, where they are, and how many.

The things stand in lexicon.tsv, one a line. It says for each what else it is called, what it is a kind of, what it belongs
to, and how a sentence uses it. A form that begins with `?` may mean something else as well: where it stands nothing is
known to be there, and nothing like it may be asked as absent. One with `*` is a verb or an adjective too. What is said of
things stands in describing.toml, each with what it may not be taken for: a wrong colour has to be one that nobody could see
instead of the right one, and a wrong attribute one that excludes it.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from skymm.text import normalise

NOTHING = "-"  # the name in the lines of forms that contain a thing's name and are no thing


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


def find(name: str) -> Word | None:
    """The word that a name in either language means, singular or plural; where it may mean several, the first of the table."""
    lexicon = load()
    plain = normalise(name).lower()
    if plain in lexicon.words:
        return lexicon.words[plain]
    forms = lexicon.chinese.get(plain) or lexicon.english.get(_parts(plain)) or ()
    best = min(forms, key=lambda form: form.doubtful, default=None)
    return lexicon.words[best.word] if best else None


def vocabulary(name: str) -> tuple[Word, ...]:
    """The words of a vocabulary such as "coco80", in the order of the table. Raises ValueError for one that is not there."""
    found = tuple(word for word in load().words.values() if name in word.flags)
    if not found:
        raise ValueError(f"vocabulary {name!r}: the lexicon has no word of it, expected coco80")
    return found


@lru_cache(maxsize=1 << 14)
def kinds_of(name: str) -> frozenset[str]:
    """The word itself and everything that it is a kind of: dog -> dog, animal."""
    return frozenset({name}.union(*map(kinds_of, load().words[name].kinds)))


@lru_cache(maxsize=1 << 17)
def akin(first: str, second: str) -> bool:
    """Whether two words could be said of one thing: the same, one a kind of the other, or one name for both."""
    if first in kinds_of(second) or second in kinds_of(first):
        return True
    return bool(_names()[first] & _names()[second])


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


@lru_cache(maxsize=1 << 10)
def relatives(name: str) -> frozenset[str]:
    """The word itself and all that could be said of the same thing, or of a part of it, or of what it is a part of."""
    return frozenset(other for other in load().words if related(name, other))


@lru_cache(maxsize=1)
def load() -> Lexicon:
    """The whole table, read once. Raises ValueError, naming the line, where it contradicts itself."""
    table = files("skymm") / "lexicon.tsv"
    reader = csv.DictReader(table.read_text("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
    rows = [
        (reader.line_num, {column: cell.strip() for column, cell in row.items()})
        for row in reader
        if not row["en"].startswith("#")
    ]
    words: dict[str, Word] = {}
    english: dict[tuple[str, ...], list[Form]] = {}
    chinese: dict[str, list[Form]] = {}
    for number, row in rows:
        if row["en"] == NOTHING:
            for text in _listed(row["en_also"]):
                english.setdefault(_parts(text), [])
                english.setdefault(_parts(plural_of(text)), [])
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
    plural = plural or (name if form != "count" else plural_of(name))
    kinds, belongs = _listed(row["kinds"]), _listed(row["belongs"])
    return Word(name, row["zh"], plural, kinds, row["measure"], form, belongs, row["worn"], tuple(row["flags"].split()))


def _parts(form: str) -> tuple[str, ...]:
    """The words of an English form, hyphens being spaces."""
    return tuple(form.lower().replace("-", " ").split())


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in cell.split(",") if text.strip())


def _add_english(english: dict[tuple[str, ...], list[Form]], text: str, word: Word) -> None:
    bare = text.lstrip("?*")
    marks = text[: len(text) - len(bare)]
    singular, _, plural = bare.partition("/")
    form = Form(word.en, "?" in marks, "*" not in marks)
    if word.form == "plural":
        _add(english, _parts(singular), form._replace(plural=True))
        return
    plural = plural or plural_of(singular)
    same = plural == singular
    _add(english, _parts(singular), form._replace(plural=None if same else False))
    if not same:
        _add(english, _parts(plural), form._replace(plural=True))


def _add(forms: dict, key: object, form: Form) -> None:
    """A form that a word has twice keeps the more careful reading of the two."""
    known = forms.setdefault(key, [])
    for index, other in enumerate(known):
        if other.word == form.word:
            known[index] = other._replace(
                doubtful=other.doubtful or form.doubtful, noun_only=other.noun_only and form.noun_only
            )
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


@lru_cache(maxsize=1)
def _names() -> Mapping[str, set[object]]:
    """Every form of each word, in either language."""
    found: dict[str, set[object]] = {name: set() for name in load().words}
    for forms in (load().english, load().chinese):
        for key, those in forms.items():
            for form in those:
                found[form.word].add(key)
    return found


# --- how things are described -----------------------------------------------------------------------------------------

_LISTS = ("en_also", "zh_also", "near", "excludes")
_ENGLISH_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = dict(enumerate(zip(_ENGLISH_NUMBERS, "一两三四五六七八九十", strict=True), 1))
"""1-10 as said before a noun, in English and before a Chinese measure word (hence 两)."""
_FIGURES = {str(number): number for number in NUMBERS}
ENGLISH_NUMBERS = {english: number for number, (english, _) in NUMBERS.items()} | _FIGURES
CHINESE_NUMBERS = {chinese: number for number, (_, chinese) in NUMBERS.items()} | {"二": 2, "俩": 2} | _FIGURES
"""As captions have them."""


@dataclass(frozen=True, slots=True)
class Description:
    """A line of describing.toml: a colour, another attribute or a relation. There it says what its fields mean."""

    en: str
    zh: str
    en_also: tuple[str, ...] = ()
    zh_also: tuple[str, ...] = ()
    rare: bool = False
    near: tuple[str, ...] = ()
    natural: bool = False
    group: str = ""
    predicate: str = ""
    en_predicate: str = ""
    excludes: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def _describing() -> dict[str, Any]:
    return tomllib.loads((files("skymm") / "describing.toml").read_text("utf-8"))


@lru_cache(maxsize=3)
def descriptions(sort: str) -> Mapping[str, Description]:
    """All "colours", "attributes" or "relations" by their English names, in the order of the table."""
    return {
        name: Description(name, **{key: _listed(value) if key in _LISTS else value for key, value in line.items()})
        for name, line in _describing()[sort].items()
    }


@lru_cache(maxsize=6)
def forms_of(sort: str, language: str) -> Mapping[str, str]:
    """How the descriptions of a sort are written -> their English names, in Chinese the longest first. Chinese colours are
    written with and without 色; stems that are other words alone (银, 金, 米) only with it.
    """
    those = descriptions(sort).values()
    if language == "en":
        return {form: one.en for one in those for form in (one.en, *one.en_also)}
    found = {form: one.en for one in those for form in (one.zh, *one.zh_also)}
    if sort == "colours":
        only_with_it = _listed(_describing()["other_words_alone"])
        full = {f"{stem}色": name for stem, name in found.items()}
        found = full | {stem: name for stem, name in found.items() if stem not in only_with_it}
    return dict(sorted(found.items(), key=lambda item: (-len(item[0]), item[0])))


def colours_in(attribute: str) -> tuple[str, ...] | None:
    """The colours that an attribute of a Thing names ("brown and white"), in its order; None where it is no colour."""
    names = tuple(forms_of("colours", "en").get(part, "") for part in attribute.lower().split(" and "))
    return names if all(names) else None


def confusable(first: str, second: str) -> bool:
    """Whether two colours (English names) could be said of one thing."""
    colours = descriptions("colours")
    return first == second or second in colours[first].near or first in colours[second].near


@lru_cache(maxsize=1 << 10)
def fits(group: str, name: str) -> bool:
    """Whether attributes of a group can be said of a thing at all: a car is no "young" one, and nobody is made of metal."""
    line = _describing()["groups"][group]
    allowed, barred = (kinds_of(name).intersection(_listed(line.get(key, ""))) for key in ("only", "never"))
    return bool(allowed) if "only" in line else not barred


@lru_cache(maxsize=2)
def places(sort: str) -> frozenset[str]:
    """Things that others are in ("containers"), or that all stand on ("ground")."""
    return frozenset(_listed(_describing()["places"][sort]))
