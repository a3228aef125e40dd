"""What AMBER's descriptions name: CHAIR, Cover, Hal and Cog (Wang et al., arXiv 2311.07397), as far as tables go.

The official rule but for three things. A noun is every word of AMBER's list, for there is no tagger. It is made singular by
rule and not by WordNet. And a thing is in the picture when it is annotated or associated with what is (relation.json), for
there are no word vectors to find near synonyms with: CHAIR and Hal come out too high, Cover and Cog too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.reading.mentions import state_of
from skymm.evaluation.reading.singular import singular
from skymm.evaluation.reading.tokens import tokens
from skymm.tables import read_json, read_text

COUNTED_FROM = 0.001  # where the official counts begin that something is divided by, so that nothing is divided by zero
NOTE = (
    "not comparable with published numbers: every word of AMBER's list counts as a noun, singulars are made by rule, and "
    "words are the same or not, where the official scorer also takes near synonyms by word vectors"
)

Associations = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False, slots=True)
class WordLists:
    """`known`: every word of the associations, which are the nouns here; `safe`: those that are never invented."""

    associations: Associations
    known: frozenset[str]
    safe: frozenset[str]


def description_scores(
    described: Sequence[tuple[str, Mapping[str, Any]]], relation: Path, safe_words: Path
) -> dict[str, Any]:
    """From (description, annotation with `truth`: things in the picture, `hallu`: likely inventions).

    `chair`: nouns that are neither in the picture nor safe / nouns; `cover`: things in the picture that are named / all;
    `hal`: descriptions with an invented noun; `cog`: likely inventions that are named / all. Raises ValueError.
    """
    lists = _word_lists(relation, safe_words, state_of(relation, safe_words))
    counts = [
        _counted(text, tuple(annotation["truth"]), tuple(annotation["hallu"]), lists) for text, annotation in described
    ]
    invented, nouns, covered, true, guessed, likely = [*map(sum, zip(*counts))] or [0] * 6
    innocent = sum(not made_up for made_up, *_ in counts)
    return {
        "chair": invented / (nouns + COUNTED_FROM),
        "cover": covered / (true + COUNTED_FROM),
        "hal": 1 - innocent / (len(counts) + COUNTED_FROM),
        "cog": guessed / (likely + COUNTED_FROM),
        "num_descriptions": len(counts),
        "note": NOTE,
    }


@lru_cache(maxsize=4)
def _word_lists(relation: Path, safe_words: Path, state: tuple[int, ...]) -> WordLists:
    (associations,) = read_json(relation)
    known = frozenset(associations).union(*associations.values())
    return WordLists(associations, known, frozenset(read_text(safe_words).split("\n")))


@lru_cache(maxsize=1 << 14)
def _counted(text: str, truth: tuple[str, ...], hallu: tuple[str, ...], lists: WordLists) -> tuple[int, ...]:
    """Invented nouns, nouns, covered things of how many, likely inventions named of how many."""
    # With capitals as they stand: a noun that begins a sentence is none of the list, officially too.
    nouns = [noun for noun in (singular(token, lists.known) for token in tokens(text)) if noun in lists.known]
    true, likely = _places(truth, lists.associations), _places(hallu, lists.associations)
    counting = [noun for noun in nouns if noun not in lists.safe]
    invented = [noun for noun in counting if noun not in true]
    covered = {true[noun] for noun in counting if noun in true}
    guessed = {likely[noun] for noun in invented if noun in likely}
    return len(invented), len(nouns), len(covered), len(truth), len(guessed), len(hallu)


def _places(names: Sequence[str], associations: Associations) -> dict[str, int]:
    """Word -> the thing that it counts for; a word associated with one thing counts for that before it counts for itself,
    which is the official order.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        for other in associations.get(name, ()):
            places.setdefault(other, place)
    for place, name in enumerate(names):
        places.setdefault(name, place)
    return places
