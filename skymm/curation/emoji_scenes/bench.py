"""Held-out emoji scenes as a benchmark in MME's layout, in two languages."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from skymm.conversation import LANGUAGES
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.instructions import KINDS, Fact
from skymm.curation.emoji_scenes.parts import pool
from skymm.curation.emoji_scenes.scene import Scene, draw_scene, draw_writing, encode, render
from skymm.curation.sources import emoji
from skymm.recipe import EmojiScenesRecipe

SUFFIX = {"en": " Please answer yes or no.", "zh": "请回答是或否。"}
_OURS = re.compile(r"\d{3,}\.(?:jpg|txt)")


def bench_sizes(recipe: EmojiScenesRecipe, part: str) -> dict[str, int]:
    """Subtask -> number of images; nothing for a part that has no concepts."""
    if not any(pool(recipe, style, part) for style in recipe.styles):
        return {}
    if part != "train":
        return {"existence": recipe.bench_images}
    return {subtask: recipe.bench_images * (5 if subtask == "existence" else 1) for subtask in KINDS}


def write_subtask(recipe: EmojiScenesRecipe, out: Path, part: str, subtask: str, num_images: int) -> list[Path]:
    """One Yes and one No question per image, the same in both languages. Returns the files written."""
    written: list[Path] = []
    made = 0
    for attempt in range(100 * num_images):
        rng = random.Random(f"{recipe.seed}/{out.name}/{subtask}/{attempt}")
        style = rng.choice(recipe.styles)
        chars = pool(recipe, style, part)
        if made == num_images:
            break
        if not chars:
            continue
        scene = _bench_scene(rng, recipe, subtask, chars, style)
        # Things that were trained on may be asked for in vain among things that were not.
        pair = instructions.pair(rng, subtask, scene, chars if part == "train" else chars + pool(recipe, style))
        if pair is None:
            continue
        written += _write_question_files(out, subtask, f"{made:03d}", scene, pair)
        made += 1
    return written


def remove_leftovers(out: Path, written: Collection[Path]) -> None:
    """Pictures and questions that are not among those written go: a larger recipe that was stopped here left them, and they
    would be asked.
    """
    for directory in (out / language / subtask for language in LANGUAGES for subtask in KINDS):
        if not directory.is_dir():
            continue
        for path in directory.iterdir():
            if _OURS.fullmatch(path.name) and path not in written:
                path.unlink()
        for emptied in (directory, directory.parent):
            if not any(emptied.iterdir()):
                emptied.rmdir()


def _bench_scene(
    rng: random.Random, recipe: EmojiScenesRecipe, subtask: str, chars: Sequence[str], style: str
) -> Scene:
    if subtask == "OCR":
        return draw_writing(rng, rng.choice([(c.en, c.zh) for c in map(emoji.find, chars)])[rng.randrange(2)])
    if subtask == "text_translation":
        return draw_writing(rng, emoji.find(rng.choice(chars)).zh)
    if subtask == "numerical_calculation":
        return draw_writing(rng, f"{rng.randint(1, 9)} + {rng.randint(1, 9)} =")
    max_items = min(recipe.max_items, len(chars))
    return draw_scene(rng, chars, style, max_items=max_items, repeat_share=0.6 if subtask == "count" else 0.3)


def _write_question_files(out: Path, subtask: str, stem: str, scene: Scene, pair: tuple[Fact, Fact]) -> list[Path]:
    written = []
    for index, language in enumerate(LANGUAGES):
        directory = out / language / subtask
        directory.mkdir(parents=True, exist_ok=True)
        picture, questions = directory / f"{stem}.jpg", directory / f"{stem}.txt"
        picture.write_bytes(encode(render(scene)))
        lines = [
            f"{fact.question[index]}{SUFFIX[language]}\t{instructions.ENGLISH_VERDICT[fact.polarity]}" for fact in pair
        ]
        questions.write_text("".join(line + "\n" for line in lines), "utf-8")
        written += [picture, questions]
    return written
