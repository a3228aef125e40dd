"""What the words of every page have to be: the same ones in both languages, each really translated."""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping


def assert_bilingual(words: Mapping[str, Mapping[str, str]], alike: Collection[str] = ()) -> None:
    """`words`: language -> name -> text with `{places}`. Only those named `alike` may be, and are, the same in both."""
    english, chinese = words["en"], words["zh"]
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        assert _places(text) == _places(chinese[name]), name
        assert (text == chinese[name]) == (name in alike), f"{name}: {text!r} and {chinese[name]!r}"


def _places(text: str) -> set[str]:
    return {place for _, place, _, _ in string.Formatter().parse(text) if place}
