"""Lemmas as CHAIR has been counted with since 2023 (OPERA's chair.py): NLTK's tokens and tags, WordNet's lemmas.

With the extra `chair` and NLTK's data they are NLTK's own, and so are the digits. Without, a table stands in for them: the
plain singular, but for what WordNet does to a few words, and every verb that is made of an object is that object ("tied"
is a tie, as it is for a tagger; "skiing" is skis, which for a tagger depends on the sentence). On five published files of
500 captions the table gives CHAIRs of three, and is one caption off in two; CHAIRi is at most 0.1 points off.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache

from skymm.evaluation.reading.singular import singular
from skymm.evaluation.reading.tokens import tokens

INSTALL = "pip install 'skymm[chair]'; python -m nltk.downloader punkt_tab averaged_perceptron_tagger_eng wordnet"
# WordNet has "men" as a noun of its own and makes vases a duct; it does not know all newer things.
_KEPT = frozenset(("men", "vases", "smartphones", "sailboards"))
_VERBS = {
    **{"tied": "tie", "tying": "tie", "seated": "seat", "born": "bear", "planted": "plant"},
    **{"skiing": "ski", "skied": "ski", "snowboarding": "snowboard", "skateboarding": "skateboard"},
    **{"boating": "boat", "kayaking": "kayak", "biking": "bike", "benched": "bench"},
    **{"groomed": "groom", "grooming": "groom", "monitoring": "monitor"},
}


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


def lemmas(text: str, known: Container[str]) -> list[str]:
    """The lemmas of a lower-case text; from the table, singulars are those of words in the list."""
    _, exact = nltk_lemmas()
    if exact is not None:
        return exact(text)
    return [word if word in _KEPT else _VERBS.get(word) or singular(word, known) for word in tokens(text)]
