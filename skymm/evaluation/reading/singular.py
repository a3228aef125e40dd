"""The singular of English nouns, for finding the words of a closed list in a text.

Two readings: one that is right ("buses" and "bus" are a bus), and one that makes the mistakes of the singulariser behind
CHAIR's rule of 2018, which takes an s from words that are singular already: "bus" becomes "bu".
"""

from __future__ import annotations

from collections.abc import Container

_IRREGULAR = {"people": "person", "mice": "mouse", "geese": "goose", "oxen": "ox", "feet": "foot", "teeth": "tooth"}
# What an ending is replaced by, tried from the top; the first result that the list knows is the singular.
_ENDINGS = (
    ("ies", ("y", "ie")),
    ("ves", ("f", "fe", "ve")),
    ("men", ("man",)),
    ("children", ("child",)),
    ("s", ("",)),
)
_TAKE_ES = ("ses", "xes", "zes", "ches", "shes", "oes")
# Words that the published singulariser leaves as they are, or turns into no word at all ("ties" into "ty").
_NOT_PUBLISHED = frozenset({"scissors", "ties", "canoes", "collies", "doggies", "magpies", "thieves"})


def singular(word: str, known: Container[str]) -> str:
    """The word of a list that a lower-case word is a form of; the word itself where it is in the list or no form is."""
    if word in known:
        return word
    if _IRREGULAR.get(word, "") in known:
        return _IRREGULAR[word]
    for ending, replacements in _ENDINGS:
        if word.endswith(ending):
            for replacement in replacements:
                candidate = word[: -len(ending)] + replacement
                if candidate in known:
                    return candidate
    if word.endswith(_TAKE_ES) and word[:-2] in known:
        return word[:-2]
    return word


def singular_as_published(word: str, known: Container[str]) -> str:
    """The same with the published mistakes: what ends in s loses it even where it is singular ("tennis", "glass").

    For a list that knows "glas", so that "wine glass" is still found, as CHAIR's own tables do.
    """
    if word in _NOT_PUBLISHED:
        return word
    if word in known and word.endswith("s"):
        return word[:-1]
    return singular(word, known)
