"""The COCO objects that a caption mentions, as CHAIR finds them and by a strict reading in Chinese and English.

CHAIR (Rohrbach et al., arXiv 1809.02156): the caption is cut into words, each is made singular, two words that are one
thing are joined, and what then stands in a list of synonyms is a mention of its class. The list is the official
synonyms.txt, or the same with the pairs of words as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.reading.coco_objects import chinese_objects
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
    "tennis racket" are found), Chinese by the names of `coco_objects`.
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
