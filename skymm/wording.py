"""Wordings as data: regular expressions and words that stand in a TOML table beside the code that reads texts with them."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from importlib.resources import files
from typing import Any


class Wording:
    """One section of a table, read when it is first needed.

    A rule is a list of regular expressions, tried in their order. `@name@` in one stands for all of another rule.
    """

    def __init__(self, package: str, file: str, section: str):
        self._package, self._file, self._section = package, file, section
        self._rules: dict[str, re.Pattern[str]] = {}

    @cached_property
    def table(self) -> dict[str, Any]:
        """The section as it stands in the file."""
        return tomllib.loads(files(self._package).joinpath(self._file).read_text("utf-8"))[self._section]

    def __getitem__(self, name: str) -> re.Pattern[str]:
        """The rule of this name, compiled."""
        if name not in self._rules:
            self._rules[name] = self.compiled(self.table[name])
        return self._rules[name]

    def compiled(self, expressions: list[str]) -> re.Pattern[str]:
        return re.compile("|".join(map(self._expanded, expressions)))

    def _expanded(self, expression: str) -> str:
        return re.sub("@([a-z_]+)@", lambda match: "|".join(map(self._expanded, self.table[match[1]])), expression)

    @cached_property
    def words(self) -> dict[str, frozenset[str]]:
        """The sets of words under `words`."""
        return {name: frozenset(text.split()) for name, text in self.table["words"].items()}

    @cached_property
    def _forms(self) -> list[tuple[re.Pattern[str], str]]:
        return [(self.compiled([expression]), plain) for expression, plain in self.table["one_form"]]

    def in_one_form(self, text: str) -> str:
        """The text with what is said in many ways said in one, as `one_form` lists it."""
        for pattern, plain in self._forms:
            text = pattern.sub(plain, text)
        return text
