"""Shards and a benchmark out of emoji scenes: what a data recipe with `source = "emoji_scenes"` builds.

Stage 1 and stage 2 show the same images: a frozen tower then looks at each of them once. Which pictures are kept for
evaluation is decided by hashes of the emoji, never by chance: some concepts are never trained on, and some are trained on
in one art style only, so that the other style of the same thing can be asked about.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES, Conversation, Turn
from skymm.curation.audit.leaks import find_leaks
from skymm.curation.building.manifest import NAME as MANIFEST
from skymm.curation.building.manifest import Manifest, Piece, entries, fingerprint
from skymm.curation.building.workers import Engine
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.bench import bench_sizes, remove_leftovers, write_subtask
from skymm.curation.emoji_scenes.instructions import KINDS, Fact
from skymm.curation.emoji_scenes.parts import PARTS, pool
from skymm.curation.emoji_scenes.scene import Scene, draw_scene, draw_writing, encode, rearranged, render
from skymm.curation.negatives.balance import Asked, Rules, balance
from skymm.curation.sources import emoji
from skymm.data.shard_writing import write_card, write_shard
from skymm.data.shards import CARD
from skymm.recipe import EmojiScenesRecipe, parse

OPEN_KINDS = ("name", "layout")  # questions that are not answered with yes or no
STAGES = ("stage1", "stage2")


def build(recipe: EmojiScenesRecipe, out: str | Path, engine: Engine | None = None) -> Path:
    """Write OUT/stage1, OUT/stage2 (shards) and OUT/bench*/{en,zh} (official MME layout). What is complete is kept.

    The same recipe gives the same bytes, whoever does the work. Raises ValueError where OUT holds another recipe's data.
    """
    out = Path(out)
    card = {"source": "emoji scenes", "licences": emoji.LICENCES, "recipe": recipe.model_dump()}
    waiting = [name for name in (*STAGES, *PARTS.values()) if not _finished(out / name, card)]
    if not waiting:
        (out / MANIFEST).unlink(missing_ok=True)
        return out
    out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(out, engine)
    pieces = _shards(recipe, out, waiting) + _subtasks(recipe, out)
    lines = manifest.make("drawing scenes", [piece for piece in pieces if piece.job["folder"] in waiting], draw)
    for folder in waiting:
        (out / folder).mkdir(exist_ok=True)
        of_it = [line for line in lines if line["folder"] == folder]
        if folder in STAGES:
            shards = [line["shard"] for line in of_it]
            workers = manifest.engine.workers
            leaks = {"guessed without looking": find_leaks(out / folder, shards, workers)} if folder == "stage2" else {}
            write_card(out / folder, {**card, **leaks}, shards)
        else:
            remove_leftovers(out / folder, {out / name for line in of_it for name in line["files"]})
            text = json.dumps(card, ensure_ascii=False, indent=2)
            (out / folder / CARD).write_text(text + "\n", "utf-8")
    (out / MANIFEST).unlink()
    return out


def _finished(directory: Path, card: Mapping[str, Any]) -> bool:
    if not (directory / CARD).exists():
        return False
    if json.loads((directory / CARD).read_text("utf-8"))["recipe"] != card["recipe"]:
        raise ValueError(
            f"{directory} was built from another recipe; remove {directory.parent} or build somewhere else"
        )
    return True


def _shards(recipe: EmojiScenesRecipe, out: Path, waiting: Sequence[str]) -> list[Piece]:
    ranges = range(0, recipe.num_images, recipe.images_per_shard)
    asked = _asked(recipe) if "stage2" in waiting else [[]] * recipe.num_images
    questions = {"stage1": [[]] * recipe.num_images, "stage2": [list(map(asdict, one)) for one in asked]}
    return [
        _piece(
            recipe,
            out,
            stage,
            number=number,
            first=first,
            asked=questions[stage][first : first + recipe.images_per_shard],
        )
        for stage in STAGES
        for number, first in enumerate(ranges)
    ]


def _subtasks(recipe: EmojiScenesRecipe, out: Path) -> list[Piece]:
    return [
        _piece(recipe, out, folder, part=part, subtask=subtask, images=images)
        for part, folder in PARTS.items()
        for subtask, images in bench_sizes(recipe, part).items()
    ]


def _piece(recipe: EmojiScenesRecipe, out: Path, folder: str, **fields: Any) -> Piece:
    job = {"out": str(out), "recipe": recipe.model_dump(), "folder": folder, **fields}
    name = " ".join(str(value) for name, value in (("", folder), *fields.items()) if name != "asked")
    return Piece(name, fingerprint(recipe.model_dump(), fields), job)


def draw(job: dict[str, Any]) -> dict[str, Any]:
    """Worker: one shard, or one subtask of a benchmark."""
    recipe, out, folder = parse(job["recipe"], EmojiScenesRecipe), Path(job["out"]), job["folder"]
    directory = out / folder
    directory.mkdir(parents=True, exist_ok=True)
    if folder in STAGES:
        path = directory / f"{folder}-{job['number']:05d}.tar"
        last = min(recipe.num_images, job["first"] + recipe.images_per_shard)
        shard = write_shard(path, _samples(recipe, folder, zip(range(job["first"], last), job["asked"], strict=True)))
        return {"folder": folder, "files": entries(out, [path]), "shard": shard}
    paths = write_subtask(recipe, directory, job["part"], job["subtask"], job["images"])
    return {"folder": folder, "files": entries(out, paths)}


# --- training -----------------------------------------------------------------------------------------------------------


def _asked(recipe: EmojiScenesRecipe) -> list[list[Asked]]:
    """What is asked of each scene: of every thing, number, place, color and word as often yes as no, over all of them."""
    found = []
    for index in range(recipe.num_images):
        scene = _training_scene(recipe, index)
        chars = pool(recipe, scene.style)
        found.append(instructions.askable(random.Random(f"{recipe.seed}/askable/{index}"), scene, chars))
    num_open = sum(recipe.kinds.get(kind, 0) for kind in OPEN_KINDS)
    quotas = {kind: 2 * number for kind, number in recipe.kinds.items() if kind in KINDS}
    rules = Rules(quotas, instructions.topics, closes=instructions.closes)
    return balance(found, [recipe.questions_per_image - num_open] * len(found), rules, str(recipe.seed))


def _samples(
    recipe: EmojiScenesRecipe, stage: str, scenes: Iterable[tuple[int, Sequence[dict[str, Any]]]]
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    for index, asked in scenes:
        scene = _training_scene(recipe, index)
        # The questions about an image do not move its pixels: another random stream.
        rng = random.Random(f"{recipe.seed}/{stage}/{index}")
        turns = _captions(rng, scene) if stage == "stage1" else _instructions(rng, recipe, scene, asked)
        yield Conversation(f"{index:08d}", tuple(turns), {"scene": scene.facts()}), {"jpg": encode(render(scene))}


def _training_scene(recipe: EmojiScenesRecipe, index: int) -> Scene:
    """Every third is the one before it, rearranged, so that there is another answer to the same question of place or number."""
    rng = random.Random(f"{recipe.seed}/scene/{index}")
    if index % 3 == 2 and (before := _training_scene(recipe, index - 1)).items:
        return rearranged(rng, before, recipe.max_items)
    style = rng.choice(recipe.styles)
    chars = pool(recipe, style)
    chance = rng.random()
    if chance < recipe.word_share:
        concept = emoji.find(rng.choice(chars))
        return draw_writing(rng, rng.choice((concept.en, concept.zh)))
    if chance < recipe.word_share + recipe.sum_share:
        return draw_writing(rng, f"{rng.randint(1, 9)} + {rng.randint(1, 9)} =")
    return draw_scene(rng, chars, style, max_items=recipe.max_items)


def _captions(rng: random.Random, scene: Scene) -> list[Turn]:
    languages = list(LANGUAGES)
    rng.shuffle(languages)
    return _turns([(instructions.caption(scene), language) for language in languages])


def _instructions(
    rng: random.Random, recipe: EmojiScenesRecipe, scene: Scene, asked: Sequence[dict[str, Any]]
) -> list[Turn]:
    """Open questions come last: what they tell would answer the others."""
    facts = [(instructions.fact(one["label"], tuple(one["key"]), one["polarity"]), one["language"]) for one in asked]
    kinds = [kind for kind in OPEN_KINDS for _ in range(recipe.kinds.get(kind, 0))]
    for kind in kinds or (["name"] if not facts else []):
        facts.append((_open_fact(rng, kind, scene), rng.choice(LANGUAGES)))
    return _turns(facts)


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
