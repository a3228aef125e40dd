"""The words of English captions, as CHAIR's scorers cut them and bring them to the singular or to their lemmas.

Singulars come in two readings: one that is right ("buses" and "bus" are a bus), and one that makes the mistakes of the
singulariser behind CHAIR's rule of 2018, which takes an s from words that are singular already: "bus" becomes "bu".

Lemmas are what CHAIR has been counted with since 2023 (OPERA's chair.py): NLTK's tokens and tags, WordNet's lemmas. With the
extra `chair` and NLTK's data they are NLTK's own, and so are the digits. Without, a table stands in for them: the plain
singular, but for what WordNet does to a few words, and every verb that is made of an object is that object ("tied" is a tie,
as it is for a tagger; "skiing" is skis, which for a tagger depends on the sentence). On five published files of 500 captions
the table gives CHAIRs of three, and is one caption off in two; CHAIRi is at most 0.1 points off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

# A full stop is a word of its own before a space, and at the end of the text. Before a quotation mark within the text it
# stays with its word, which is then no object: so the reference counts have it.
_FULL_STOP = re.compile(r"(?<![.\s])\.(?=\s|[\])}>\"'»”’ ]*$)")
# Marks that are words of their own wherever they stand; a comma or colon is not inside a number.
_APART = re.compile(r"[;@#$%&?!*\"“”«»„‘’`()\[\]{}<>—]|--+|\.{2,}|[:,](?!\d)")
_QUOTED = re.compile(r"('?)(.+?)('*)")
_CLITIC = re.compile(r"(.+?)('s|'m|'d|'ll|'re|'ve|n't)", re.I)

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

INSTALL = "pip install 'skymm[chair]'; python -m nltk.downloader punkt_tab averaged_perceptron_tagger_eng wordnet"
# WordNet has "men" as a noun of its own and makes vases a duct; it does not know all newer things.
_KEPT = frozenset(("men", "vases", "smartphones", "sailboards"))
_VERBS = {
    **{"tied": "tie", "tying": "tie", "seated": "seat", "born": "bear", "planted": "plant"},
    **{"skiing": "ski", "skied": "ski", "snowboarding": "snowboard", "skateboarding": "skateboard"},
    **{"boating": "boat", "kayaking": "kayak", "biking": "bike", "benched": "bench"},
    **{"groomed": "groom", "grooming": "groom", "monitoring": "monitor"},
}


def tokens(text: str) -> list[str]:
    """Words and marks, cut as a Penn Treebank tokeniser cuts them, which the official scorers use: "the dog's bowl." is
    the, dog, 's, bowl, and the full stop; "two-person" and "2.5" stay whole.
    """
    found: list[str] = []
    for piece in _APART.sub(r" \g<0> ", _FULL_STOP.sub(" .", text)).split():
        before, word, after = _QUOTED.fullmatch(piece).groups()
        clitic = _CLITIC.fullmatch(word)
        found += filter(None, [before, *(clitic.groups() if clitic else [word]), after])
    return found


@lru_cache(maxsize=1 << 16)
def singular(word: str, known: frozenset[str]) -> str:
    """The word of a list that a lower-case word is a form of; the word itself where it is in the list or no form is."""
    if word in known:
        return word
    candidates = [_IRREGULAR.get(word, "")]
    for ending, replacements in _ENDINGS:
        if word.endswith(ending):
            candidates += [word[: -len(ending)] + replacement for replacement in replacements]
    if word.endswith(_TAKE_ES):
        candidates.append(word[:-2])
    return next((candidate for candidate in candidates if candidate in known), word)


def singular_as_published(word: str, known: frozenset[str]) -> str:
    """The same with the published mistakes: what ends in s loses it even where it is singular ("tennis", "glass").

    For a list that knows "glas", so that "wine glass" is still found, as CHAIR's own tables do.
    """
    if word in _NOT_PUBLISHED:
        return word
    if word in known and word.endswith("s"):
        return word[:-1]
    return singular(word, known)


@lru_cache(maxsize=1)
def nltk_lemmas() -> tuple[str, Callable[[str], list[str]] | None]:
    """("nltk VERSION", text -> lemmas), or ("table", None) where NLTK or its data is not there."""
    try:
        import nltk
        from nltk.stem import WordNetLemmatizer

        lemmatizer = WordNetLemmatizer()

        def lemmas(text: str) -> list[str]:
            tagged = nltk.pos_tag(nltk.word_tokenize(text))
            kinds = {"J": "a", "V": "v", "N": "n", "R": "r"}
            return [lemmatizer.lemmatize(word, kinds.get(tag[:1], "n")) for word, tag in tagged]

        lemmas("two dogs")  # whether the data is there shows in use
    except (ImportError, LookupError):
        return "table", None
    return f"nltk {nltk.__version__}", lemmas


def lemmas(text: str, known: frozenset[str]) -> list[str]:
    """The lemmas of a lower-case text; from the table, singulars are those of words in the list."""
    _, exact = nltk_lemmas()
    if exact is not None:
        return exact(text)
    return [word if word in _KEPT else _VERBS.get(word) or singular(word, known) for word in tokens(text)]
