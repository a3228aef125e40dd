"""Pictures that are drawn on the spot: scenes of emoji, with questions that cannot be wrong, writing to read, and nothing."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from skymm.conversation import LANGUAGES, Turn
from skymm.curation import emoji
from skymm.curation.drawing import Layout, draw_text, layouts
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.scene import Scene, encode, numbered, render
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.negatives import kinds
from skymm.curation.negatives.balance import Askable, Asked, Rules
from skymm.curation.negatives.wording import about_pictures
from skymm.curation.record import Caption, Facts, Picture, Record, Thing
from skymm.curation.sources.source import Source
from skymm.curation.sources.translations import is_translation, sentences
from skymm.lexicon import vocabulary
from skymm.recipe.sources import EmojiScenesSource, WritingSource
from skymm.text import language_of

_MAX_CHARACTERS = {"zh": 26, "en": 64}  # of a text; longer ones are too small to read at a tower's size
_WORD_SHARE = 0.5
_ENGLISH_WORD = re.compile(r"[A-Za-z]{3,}")
_QUESTIONS = {
    "en": ("What is written in the picture?", "What does it say?", "Read the text in the picture."),
    "zh": ("图里写着什么？", "上面写着什么字？", "请读出图中的文字。"),
}


class Scenes(Source):
    """A row is the number of a scene; what is held out for judging, things and art styles of things, is in none of them.

    Its task "turns" asks about scenes, of every thing as often with answer yes as with no (building/asking.py).
    """

    rows_per_part = 50
    default_licence = "; ".join(emoji.LICENCES.values())

    def __init__(self, recipe: EmojiScenesSource) -> None:
        super().__init__(recipe)
        held_out = [char for char in recipe.concepts if emoji.find(char).held_out]
        if held_out:
            raise ValueError(f"concepts {' '.join(held_out)} are held out for judging; take them out of the recipe")
        plain = [concept.char for concept in emoji.concepts() if emoji.is_plain_thing(concept)]
        self._pools = emoji.pools(recipe.concepts or plain, recipe.styles)

    def rows(self) -> Iterator[dict[str, Any]]:
        for index in range(self.recipe.num_images):
            yield {"index": index}

    def record(self, row: dict[str, Any]) -> Record:
        seed = f"emoji_scenes/{self.recipe.seed}"
        scene = numbered(row["index"], seed, self._pools, self.recipe.max_items)
        said = zip(LANGUAGES, instructions.caption(scene).answer)
        return Record(
            f"{row['index']:08d}",
            {"jpg": Picture(data=encode(render(scene)))},
            tuple(Caption(text, language) for language, text in said),
            facts=facts_of(scene),
            extra={"scene": scene.facts()},
        )

    @property
    def most(self) -> int:
        return 2 * self.recipe.pairs_per_image

    def rules(self) -> Rules:
        return instructions.rules(dict.fromkeys(instructions.KINDS, 4))

    def askable(self, record: Record) -> Askable:
        scene = Scene.from_facts(record.extra["scene"])
        return instructions.askable(random.Random(record.key), scene, self._pools[scene.style])

    def exchange(self, record: Record, asked: Asked) -> tuple[Turn, Turn]:
        return instructions.fact(asked.label, asked.key, asked.polarity).turns(asked.language)


def facts_of(scene: Scene) -> Facts:
    """What is there, how often, on which side of what, and on which ground.

    None of it where a name is not one plain word: "dog face" and "guide dog" would make a question about a dog a wrong one.
    """
    named = {char: emoji.find(char).en for char in scene.chars}
    if not all(name.isascii() and name.isalpha() and name.islower() for name in named.values()):
        return Facts()
    things = [Thing(name, scene.count(char)) for char, name in named.items()]
    background = Thing("background", attributes=(scene.colour,))
    relations = ((named[one], relation, named[other]) for one, relation, other in instructions.relations(scene))
    return Facts((*things, background), tuple(relations))


class Writing(Source):
    """A row is a text and the number of its picture."""

    rows_per_part = 50

    def __init__(self, recipe: WritingSource) -> None:
        super().__init__(recipe)
        texts = "CC-BY-SA-4.0, hsk-sentences-audio" if recipe.texts == "hsk" else emoji.LICENCES["names"]
        self.licence = recipe.licence or f"{texts}; drawn with Noto fonts (OFL-1.1)"

    def rows(self) -> Iterator[dict[str, Any]]:
        pools = texts(self.recipe.texts)
        for index in range(self.recipe.num_images):
            rng = random.Random(f"writing/{self.recipe.seed}/{index}")
            language = ("zh", "en")[index % 2]
            kind = "words" if rng.random() < _WORD_SHARE else "sentences"
            yield {"index": index, "text": rng.choice(pools[language, kind])}

    def record(self, row: dict[str, Any]) -> Record:
        text, language = row["text"], language_of(row["text"])
        rng = random.Random(f"writing/{self.recipe.seed}/{row['index']}/picture")
        possible = [layout for layout in layouts() if layout.carries(text)]
        # Few texts can go from top to bottom; half of those that can do.
        layout = rng.choice(possible[-1:] if possible[-1].vertical and rng.random() < 0.5 else possible)
        asked = rng.choice(("en", "zh"))
        turns = (
            Turn("user", rng.choice(_QUESTIONS[asked]), ("jpg",)),
            Turn("assistant", text, (), "positive", "OCR", language),
        )
        return Record(
            f"{row['index']:08d}",
            {"jpg": Picture(data=encode(draw_text(rng, layout, text)))},
            captions(layout, text),
            turns,
            Facts(texts=(text,)),
            {"layout": layout.name},
        )


class Nothing(Source):
    """A row is the number of a picture. As turns it is described and asked for one of COCO's things, half the answers
    explained; as a caption it is "nothing" in both languages.
    """

    rows_per_part = 50
    default_licence = "drawn"

    def rows(self) -> Iterator[dict[str, Any]]:
        for index in range(self.recipe.num_images):
            yield {"index": index}

    def record(self, row: dict[str, Any]) -> Record:
        rng = random.Random(f"nothing/{self.recipe.seed}/{row['index']}")
        word, language = rng.choice(vocabulary("coco80")), LANGUAGES[row["index"] % 2]
        asked = Asked("existence/random", (word.en,), "negative", language, rng.getrandbits(32))
        question, answer = kinds.exchange(asked, facts_about(Record("")), last=False, explained_share=0.5)
        turns = (replace(question, images=("png",)), answer)
        for language in LANGUAGES:
            turns += (
                Turn("user", rng.choice(about_pictures()[language])),
                Turn(
                    "assistant",
                    rng.choice(about_pictures()[f"nothing_{language}"]),
                    (),
                    "negative",
                    "caption",
                    language,
                ),
            )
        captions = Caption("nothing", "en"), Caption("什么也没有", "zh")
        return Record(f"{row['index']:08d}", {"png": Picture(data=_empty(rng))}, captions, turns, Facts(absent=()))


def _empty(rng: random.Random, side: int = 224) -> bytes:
    """One colour, a slope from one to another, or noise in grey or in colours."""
    noise = np.random.default_rng(rng.getrandbits(32))
    ends, kind = noise.integers(0, 256, (2, 3)), rng.choice(("colour", "colour", "slope", "grey noise", "noise"))
    if kind.endswith("noise"):
        pixels = noise.normal(128, rng.uniform(20, 90), (side, side, 1 if kind == "grey noise" else 3))
    else:
        along = np.linspace(0, kind == "slope", side)[:, None, None]
        pixels = ends[0] * (1 - along) + ends[1] * along + np.zeros((side, side, 1))
    pixels = np.broadcast_to(pixels, (side, side, 3)).clip(0, 255).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(np.rot90(pixels, rng.randrange(4))).save(stored, "PNG")
    return stored.getvalue()


def captions(layout: Layout, text: str) -> tuple[Caption, Caption]:
    """What kind of writing it is and what it says, in both languages; the text stays in its own."""
    return Caption(layout.english.format(text), "en"), Caption(layout.chinese.format(text), "zh")


@lru_cache(maxsize=2)
def texts(kind: str) -> dict[tuple[str, str], list[str]]:
    """Texts by ("zh" or "en", "words" or "sentences"), each once, in their source's order: what the fonts have, and short
    enough to be read. Raises ValueError where the sentences are not installed.
    """
    found: dict[tuple[str, str], list[str]] = {}
    if kind == "hsk":
        entries = sentences()
        found["zh", "sentences"] = [entry["chinese"] for entry in entries]
        english = [entry["translation"].get("en", "") for entry in entries]
        found["en", "sentences"] = [text for text in english if is_translation(text)]
        found["zh", "words"] = [token["word"] for entry in entries for token in entry["tokens"]]
        found["en", "words"] = [
            word.lower() for text in found["en", "sentences"] for word in _ENGLISH_WORD.findall(text)
        ]
    else:
        names = [concept for concept in emoji.concepts() if not concept.held_out]
        found["zh", "words"] = found["zh", "sentences"] = [concept.zh for concept in names]
        found["en", "words"] = found["en", "sentences"] = [concept.en for concept in names]
    return {
        (language, size): [text for text in dict.fromkeys(map(str.strip, pool)) if _fits(text, language)]
        for (language, size), pool in found.items()
    }


def _fits(text: str, language: str) -> bool:
    """The fonts have all of GB 2312, and nothing is asked of them beyond it; and no text is of both languages."""
    try:
        text.encode("gb2312" if language == "zh" else "ascii")
    except UnicodeEncodeError:
        return False
    one_language = not _ENGLISH_WORD.search(text) if language == "zh" else True
    return 0 < len(text) <= _MAX_CHARACTERS[language] and language_of(text) == language and one_language
