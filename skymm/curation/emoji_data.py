"""Shards and a benchmark out of emoji scenes: what a data recipe with `source = "emoji_scenes"` builds.

Stage 1 and stage 2 show the same images: a frozen tower then looks at each of them once. Which pictures are kept for
evaluation is decided by hashes of the emoji, never by chance: some concepts are never trained on, and some are trained on
in one art style only, so that the other style of the same thing can be asked about.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from skymm.conversation import LANGUAGES, Conversation, Turn
from skymm.curation import instructions
from skymm.curation.instructions import PAIRS, Fact
from skymm.curation.scenes import Scene, draw_scene, draw_writing, encode, render
from skymm.curation.sources import emoji
from skymm.data.shards import CARD, write_shards
from skymm.recipe import EmojiScenesRecipe

OPEN_KINDS = ("name", "layout")  # questions that are not answered with yes or no
SUFFIX = {"en": " Please answer yes or no.", "zh": "请回答是或否。"}


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


def build(recipe: EmojiScenesRecipe, out: str | Path, advance: Callable[[int], None] = lambda images: None) -> Path:
    """Write OUT/stage1, OUT/stage2 (shards) and OUT/bench/{en,zh} (official MME layout). What is complete is kept.

    `advance` is called with the number of images made, for a progress bar. The same recipe gives the same bytes.
    """
    out = Path(out)
    card = {
        "source": "emoji scenes",
        "licences": emoji.LICENCES,
        "recipe": recipe.model_dump(),
    }
    for stage, converse in (("stage1", _captions), ("stage2", _instructions)):
        directory = out / stage
        if (directory / CARD).exists():
            found = json.loads((directory / CARD).read_text("utf-8"))["recipe"]
            if found != recipe.model_dump():
                raise ValueError(f"{directory} was built from another recipe; remove {out} or build somewhere else")
            advance(recipe.num_images)
            continue
        samples = _samples(recipe, stage, converse, advance)
        write_shards(samples, directory, stage, max_samples=recipe.images_per_shard, card=card)
    for part, name in PARTS.items():
        if (out / name / CARD).exists():
            advance(sum(_bench_sizes(recipe, part).values()))
        else:
            _write_benchmark(recipe, out / name, part, advance)
            (out / name).mkdir(parents=True, exist_ok=True)
            (out / name / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return out


# --- training -----------------------------------------------------------------------------------------------------------


def _samples(
    recipe: EmojiScenesRecipe,
    stage: str,
    converse: Callable[[random.Random, EmojiScenesRecipe, Scene], list[Turn]],
    advance: Callable[[int], None],
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    for index in range(recipe.num_images):
        scene = _training_scene(recipe, index)
        # The questions about an image do not move its pixels: another random stream.
        turns = converse(random.Random(f"{recipe.seed}/{stage}/{index}"), recipe, scene)
        yield Conversation(f"{index:08d}", tuple(turns), {"scene": scene.facts()}), {"jpg": encode(render(scene))}
        advance(1)


def _training_scene(recipe: EmojiScenesRecipe, index: int) -> Scene:
    rng = random.Random(f"{recipe.seed}/scene/{index}")
    style = rng.choice(recipe.styles)
    chars = pool(recipe, style)
    chance = rng.random()
    if chance < recipe.word_share:
        concept = emoji.find(rng.choice(chars))
        return draw_writing(rng, rng.choice((concept.en, concept.zh)))
    if chance < recipe.word_share + recipe.sum_share:
        return draw_writing(rng, f"{rng.randint(1, 9)} + {rng.randint(1, 9)} =")
    return draw_scene(rng, chars, style, max_items=recipe.max_items)


def _captions(rng: random.Random, recipe: EmojiScenesRecipe, scene: Scene) -> list[Turn]:
    languages = list(LANGUAGES)
    rng.shuffle(languages)
    return _turns([(instructions.caption(scene), language) for language in languages])


def _instructions(rng: random.Random, recipe: EmojiScenesRecipe, scene: Scene) -> list[Turn]:
    """Several questions about one image: as many negatives as positives among the yes/no ones, languages in turn."""
    chars = pool(recipe, scene.style)
    wanted = [kind for kind, weight in recipe.kinds.items() for _ in range(weight)]
    pairs = [(kind, PAIRS[kind](rng, scene, chars)) for kind in wanted if kind in PAIRS]
    possible = [pair for _, pair in pairs if pair]
    while len(possible) < recipe.questions_per_image and possible:
        # Kinds that this picture cannot carry give their places to kinds that it can.
        kind = rng.choice([kind for kind, pair in pairs if pair])
        possible.append(PAIRS[kind](rng, scene, chars))
    rng.shuffle(possible)
    num_open = sum(recipe.kinds.get(kind, 0) for kind in OPEN_KINDS)
    # Positive and negative in turn; which of them comes first (and is one more of an odd number) is a coin's business.
    first = rng.randrange(2)
    chosen = possible[: recipe.questions_per_image - num_open]
    facts = [pair[(first + index) % 2] for index, pair in enumerate(chosen)]
    for kind in OPEN_KINDS:
        facts += [_open_fact(rng, kind, scene) for _ in range(recipe.kinds.get(kind, 0))]
    rng.shuffle(facts)
    first = rng.randrange(2)
    return _turns([(fact, LANGUAGES[(first + index) % 2]) for index, fact in enumerate(facts)])


def _open_fact(rng: random.Random, kind: str, scene: Scene) -> Fact:
    if not scene.items:
        return instructions.caption(scene)
    if kind == "layout":
        return instructions.layout(scene)
    nothing = instructions.empty_cell(rng, scene) if rng.random() < 0.5 else None
    return nothing or instructions.name(rng, scene)


def _turns(facts: Sequence[tuple[Fact, str]]) -> list[Turn]:
    turns: list[Turn] = []
    for fact, language in facts:
        turns += fact.turns(language, images=() if turns else ("jpg",))
    return turns


# --- judging ------------------------------------------------------------------------------------------------------------


def num_bench_images(recipe: EmojiScenesRecipe) -> int:
    """Images that the three benchmarks of a recipe have together."""
    return sum(sum(_bench_sizes(recipe, part).values()) for part in PARTS)


def _bench_sizes(recipe: EmojiScenesRecipe, part: str) -> dict[str, int]:
    """Subtask -> number of images; nothing for a part that has no concepts."""
    if not any(pool(recipe, style, part) for style in recipe.styles):
        return {}
    if part != "train":
        return {"existence": recipe.bench_images}
    return {subtask: recipe.bench_images * (5 if subtask == "existence" else 1) for subtask in PAIRS}


def _write_benchmark(recipe: EmojiScenesRecipe, out: Path, part: str, advance: Callable[[int], None]) -> None:
    """One Yes and one No question per image, the same in both languages; subtasks as MME names them."""
    for subtask, wanted in _bench_sizes(recipe, part).items():
        made = 0
        for attempt in range(100 * wanted):
            rng = random.Random(f"{recipe.seed}/{out.name}/{subtask}/{attempt}")
            style = rng.choice(recipe.styles)
            chars = pool(recipe, style, part)
            if made == wanted:
                break
            if not chars:
                continue
            scene = _bench_scene(rng, recipe, subtask, chars, style)
            # Things that were trained on may be asked for in vain among things that were not.
            pair = PAIRS[subtask](rng, scene, chars if part == "train" else chars + pool(recipe, style))
            if pair is None:
                continue
            _write_question_files(out, subtask, f"{made:03d}", scene, pair)
            made += 1
            advance(1)


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


def _write_question_files(out: Path, subtask: str, stem: str, scene: Scene, pair: tuple[Fact, Fact]) -> None:
    for index, language in enumerate(LANGUAGES):
        directory = out / language / subtask
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{stem}.jpg").write_bytes(encode(render(scene)))
        lines = [
            f"{fact.question[index]}{SUFFIX[language]}\t{instructions.ENGLISH_VERDICT[fact.polarity]}" for fact in pair
        ]
        (directory / f"{stem}.txt").write_text("".join(line + "\n" for line in lines), "utf-8")
