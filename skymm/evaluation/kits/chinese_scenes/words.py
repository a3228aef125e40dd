"""The words that are drawn and the sentences that are asked: words.toml and sentences.toml, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

Text = tuple[str, str]  # Chinese, English
SCRIPTS = ("simplified", "traditional")


@dataclass(frozen=True, slots=True)
class Word:
    """What is written, in simplified and in traditional characters, and what it means."""

    simplified: str
    traditional: str
    english: str

    def written(self, script: str) -> str:
        return self.traditional if script == "traditional" else self.simplified

    @property
    def same_in_both(self) -> bool:
        return self.simplified == self.traditional

    @property
    def scripts(self) -> tuple[str, ...]:
        """The scripts in which it is drawn: once where both are the same."""
        return ("both",) if self.same_in_both else SCRIPTS

    @property
    def text(self) -> Text:
        return self.simplified, self.english


Group = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that has an emoji. The English of its `text` has its article, if any; `also` are other right names for it.

    Things of one `kin` could be taken for each other: they never stand in one picture, and none is asked for in vain
    where another one is.
    """

    char: str
    text: Text
    also: tuple[str, ...]
    kin: str

    @property
    def names(self) -> tuple[str, ...]:
        bare = self.text[1].removeprefix("a ").removeprefix("an ")
        return (*self.text, bare, *self.also)


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files("skymm.evaluation.kits.chinese_scenes").joinpath(name).read_text("utf-8"))


@cache
def words() -> dict[str, Any]:
    """What words.toml holds, by the names of its tables; what each is for is said there."""
    table = _table("words.toml")
    things = {
        char: Thing(char, tuple(row["names"]), tuple(row["also"]), row.get("kin", char))
        for char, row in table.pop("things").items()
    }
    return {**_read(table), "things": things}


def _read(value: Any) -> Any:
    """[simplified, traditional, English] is a word, [Chinese, English] a text."""
    if isinstance(value, dict):
        return {name: _read(one) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 3 and all(isinstance(one, str) for one in value):
        return Word(*value)
    return tuple(map(_read, value))


@cache
def sentences() -> dict[str, dict[str, list[str]]]:
    return _table("sentences.toml")


def sentence(name: str, **fields: str | int | Text | Word | Thing) -> Text:
    """A sentence of the table (`menus.price`) in both languages, with a word or a text in the language of each."""
    part, key = name.split(".")
    chinese, english = sentences()[part][key]

    def said(index: int) -> dict[str, str | int]:
        texts = {name: value if isinstance(value, str | int | tuple) else value.text for name, value in fields.items()}
        return {name: value[index] if isinstance(value, tuple) else value for name, value in texts.items()}

    return chinese.format(**said(0)), english.format(**said(1))
