"""Graded Chinese sentences with their translations, to be translated both ways; text only."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

from skymm.curation.record import Record, Rejected
from skymm.curation.sources.phrases import translation
from skymm.recipe.sources import HskSource

_NO_TRANSLATION = re.compile(r"^\W*(?:placeholder|ph)\b|[\u4e00-\u9fff]", re.IGNORECASE)


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


class Source:
    """A sentence gives two records, one per direction: in one conversation, the first question would hold the second answer."""

    rows_per_part = 1000

    def __init__(self, recipe: HskSource) -> None:
        self.licence = recipe.licence or "CC-BY-SA-4.0, hsk-sentences-audio"

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
