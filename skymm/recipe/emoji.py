"""Scenes of emoji: the data that is made on the spot."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skymm.recipe.strict import Strict


class EmojiScenesRecipe(Strict):
    """Scenes of emoji with bilingual captions and questions, and a benchmark in MME's layout, made on this machine."""

    source: Literal["emoji_scenes"]
    concepts: list[str] = Field([], description="emoji characters; empty: all of them")
    styles: list[Literal["twemoji", "openmoji"]] = Field(["twemoji", "openmoji"], min_length=1)
    num_images: int = Field(1000, ge=1)
    images_per_shard: int = Field(250, ge=1)
    max_items: int = Field(4, ge=1, le=4)
    word_share: float = Field(0.10, ge=0, le=1, description="images that show a written word")
    sum_share: float = Field(0.04, ge=0, le=1, description="images that show a written sum")
    questions_per_image: int = Field(8, ge=2)
    kinds: dict[str, int] = Field(
        {
            "existence": 5,
            "count": 1,
            "position": 1,
            "color": 1,
            "OCR": 3,
            "text_translation": 1,
            "numerical_calculation": 3,
        }
        | {"name": 1, "layout": 0},
        description="pairs of questions of each kind per image at most, and open questions (name, layout)",
    )
    bench_images: int = Field(6, ge=1, description="per subtask of the benchmark; five times as many for existence")
    seed: int = 0
