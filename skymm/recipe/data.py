"""What a data recipe says: sources, what is made of them, what is kept out, and in which shares."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from skymm.recipe.loading import FilePath, Strict, parse, read
from skymm.recipe.sources import Source


@lru_cache(maxsize=1)
def question_kinds() -> Mapping[str, int]:
    """The kinds of questions that can be made, and how many of each if nothing else is said: the tables of questions.toml."""
    table = tomllib.loads((files("skymm") / "questions.toml").read_text("utf-8"))
    return {kind: sentences["pairs"] for kind, sentences in table.items()}


def _question_kind(name: str) -> str:
    if name not in question_kinds():
        *others, last = map(repr, question_kinds())
        raise PydanticCustomError("question_kind", f"input should be {', '.join(others)} or {last}")
    return name


class NegativesRecipe(Strict):
    """Questions about what is not there, each with a twin at another picture that has it. `kinds`: pairs per sample at most."""

    kinds: dict[Annotated[str, AfterValidator(_question_kind)], int] = Field(
        default_factory=lambda: dict(question_kinds())
    )
    strategies: list[Literal["random", "popular", "adversarial"]] = Field(
        ["random", "popular", "adversarial"],
        min_length=1,
        description="how absent things are chosen, as POPE does: any, the most frequent, those that go with what is there",
    )
    pairs_per_sample: int = Field(4, ge=1, description="at most; each is two questions")
    explained_share: float = Field(0.5, ge=0, le=1, description="of the answers that say more than yes or no")


class TranslationRecipe(Strict):
    """Conversations are translated into the other language, beside the original or in its place."""

    model: str = Field(description="hub id or directory of a seq2seq or chat model, or openai:URL#MODEL")
    back_model: str | None = Field(
        None, description="for the round trip, where `model` translates one way only, as opus-mt models do"
    )
    to: Literal["zh", "en"]
    keep_original: bool = True
    sources: list[str] = Field([], description="names of sources; empty: all")
    protect: list[str] = Field(
        [], description="names that stay as they are, besides numbers, quotations and placeholders"
    )
    min_round_trip: float = Field(30.0, ge=0, le=100, description="chrF of the text translated back; 0: no check")
    cache: FilePath = Field("runs/translations.sqlite", description="what was translated once is not asked again")
    batch_size: int = Field(16, ge=1)
    max_new_tokens: int = Field(512, ge=1)


class DuplicatesRecipe(Strict):
    """The first of several alike is kept. `match`: whether both the pictures and the words must be alike, or one of them."""

    match: Literal["both", "images", "texts", "either"] = "both"
    hash_distance: int = Field(
        4, ge=0, le=16, description="differing bits of 64 (perceptual hash) that are still the same picture"
    )
    text_similarity: float = Field(
        0.9, ge=0.5, le=1, description="Jaccard similarity of character 3-grams (MinHash); below 0.76 slow on millions"
    )


class AgreementRecipe(Strict):
    """Pictures and captions have to agree, says any CLIP-like model."""

    model: str = Field(description="hub id or directory; use a Chinese CLIP for Chinese captions")
    min_score: float = Field(0.2, ge=-1, le=1, description="cosine similarity")
    languages: list[Literal["en", "zh"]] = Field(["en", "zh"], description="captions that the model can read")
    batch_size: int = Field(64, ge=1)


class FiltersRecipe(Strict):
    """What is kept out. None switches a filter off; all that goes is counted under the filter's reason.

    Of several captions the bad ones go, and the sample only with the last; a conversation is cut before its first bad turn.
    """

    min_words: int | None = Field(
        2, ge=1, description="of a caption, as jieba cuts Chinese; an answer may be as short as Yes"
    )
    max_words: int | None = Field(512, ge=1, description="of a caption, an answer, a question")
    max_repetition: float | None = Field(
        0.5, gt=0, le=1, description="share of word 3-grams that repeat earlier ones; long runs of one character go too"
    )
    languages: bool = Field(
        True, description="other languages than Chinese and English; not where a source says its language"
    )
    boilerplate: bool = Field(
        True, description="placeholders, file names, camera names, shop phrases, click-here, HTML, wrong encodings"
    )
    min_side: int | None = Field(32, ge=1, description="pixels")
    max_aspect: float | None = Field(5.0, ge=1)
    max_pixels: int = Field(64 * 1024 * 1024, ge=1)
    blank: bool = Field(True, description="pictures of one colour")
    max_uses: int | None = Field(
        500, ge=1, description="different texts with the same picture; beyond it is a placeholder, and all of them go"
    )
    duplicates: DuplicatesRecipe | None = DuplicatesRecipe()
    leakage: list[str] = Field(
        [], description="evaluation recipes (eval/mme.toml root=DIR) whose pictures and questions may not be trained on"
    )
    agreement: AgreementRecipe | None = None


class DataRecipe(Strict):
    """A set of shards: `skymm data build RECIPE --out DIR`."""

    sources: dict[str, Source] = Field(min_length=1)
    part: Literal["train", "held_out"] | None = Field(
        None, description="one of two parts that share no picture, by the hash of its key; None: everything"
    )
    held_out_share: float = Field(0.1, gt=0, lt=1, description="of the rows, where there are parts")
    num_samples: int | None = Field(None, ge=1, description="None: as many as the shares allow")
    chinese_share: float | None = Field(None, ge=0, le=1, description="of the answers; None: as the sources have it")
    negative_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of the answers that affirm or deny, which captions do not; None: half of the questions that are made here",
    )
    script: Literal["simplified", "traditional"] | None = Field("simplified", description="of Chinese; None: as it is")
    max_turns: int | None = Field(None, ge=1, description="questions per sample at most; the first ones are kept")
    max_side: int | None = Field(
        None, ge=32, description="larger pictures are scaled down to this longer side, as JPEG"
    )
    samples_per_shard: int = Field(1000, ge=1)
    seed: int = 0
    max_rejected: float = Field(0.5, ge=0, le=1, description="share of a source's rows; above it the build stops")
    negatives: NegativesRecipe = NegativesRecipe()
    translation: TranslationRecipe | None = None
    filters: FiltersRecipe = FiltersRecipe()


EmojiKind = Literal[
    "existence", "count", "position", "color", "OCR", "text_translation", "numerical_calculation", "name", "layout"
]


def _whole_or_part(number: float) -> float:
    if not (0 <= number <= 1 or (number > 1 and number % 1 == 0)):
        raise PydanticCustomError("number_of_kind", "input should be 0, a part of 1, or a whole number")
    return number


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
    kinds: dict[EmojiKind, Annotated[float, AfterValidator(_whole_or_part)]] = Field(
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
        description="pairs of questions of each kind per image at most, and open questions (name, layout); "
        "0.2: one for a fifth of the images",
    )
    bench_images: int = Field(6, ge=1, description="per subtask of the benchmark; five times as many for existence")
    seed: int = 0


def load_data(path: str | Path, overrides: Sequence[str] = ()) -> DataRecipe | EmojiScenesRecipe:
    """A data recipe of either sort: one `source` that makes scenes and a benchmark, or `sources` to curate."""
    data = read(path, overrides)
    return parse(data, EmojiScenesRecipe if "source" in data else DataRecipe, str(path))
