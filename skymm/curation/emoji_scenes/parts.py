"""Which emoji belong to training and which to judging: decided by hashes of the characters, never by chance."""

from __future__ import annotations

import hashlib

from skymm.curation.sources import emoji
from skymm.recipe import EmojiScenesRecipe

PARTS = {"train": "bench", "new_style": "bench_new_style", "new_concept": "bench_new_concept"}


def pool(recipe: EmojiScenesRecipe, style: str, part: str = "train") -> list[str]:
    """Concepts of one art style that belong to a part: "train", "new_style" (trained on, but never in this style) or
    "new_concept" (never trained on). Raises ValueError for a character that is no emoji."""
    chars = [emoji.find(char).char for char in recipe.concepts] or [concept.char for concept in emoji.concepts()]
    return [char for char in chars if _part(char, style) == part]


def _part(char: str, style: str) -> str:
    if emoji.find(char).held_out:
        return "new_concept"
    digest = hashlib.sha256(f"style of {char}".encode()).digest()
    withheld = emoji.STYLES[digest[0] % 2] if digest[1] < 256 * 0.2 else None
    return "new_style" if style == withheld else "train"
