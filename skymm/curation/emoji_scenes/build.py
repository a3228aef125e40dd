"""Shards and a benchmark out of emoji scenes: what a data recipe with `source = "emoji_scenes"` builds.

Stage 1 and stage 2 show the same images: a frozen tower then looks at each of them once. Which pictures are kept for
evaluation is decided by hashes of the emoji, never by chance: some concepts are never trained on, and some are trained on
in one art style only, so that the other style of the same thing can be asked about.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES, Conversation, Turn
from skymm.curation.building.engines import Engine, Local
from skymm.curation.building.manifest import NAME as MANIFEST
from skymm.curation.building.manifest import Manifest, entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.bench import bench_sizes, remove_leftovers, write_subtask
from skymm.curation.emoji_scenes.instructions import PAIRS, Fact
from skymm.curation.emoji_scenes.parts import PARTS, pool
from skymm.curation.emoji_scenes.scene import Scene, draw_scene, draw_writing, encode, render
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
    shop = Workshop(out, Manifest(out), engine or Local())
    pieces = _shards(recipe, out) + _subtasks(recipe, out)
    lines = shop.make("drawing scenes", [piece for piece in pieces if piece.job["folder"] in waiting], draw)
    for folder in waiting:
        (out / folder).mkdir(exist_ok=True)
        of_it = [line for line in lines if line["folder"] == folder]
        if folder in STAGES:
            write_card(out / folder, card, [line["shard"] for line in of_it])
        else:
            remove_leftovers(out / folder, {out / name for line in of_it for name in line["files"]})
            text = json.dumps(card, ensure_ascii=False, indent=2)
            (out / folder / CARD).write_text(text + "\n", "utf-8")
    shop.manifest.path.unlink()
    return out


def _finished(directory: Path, card: Mapping[str, Any]) -> bool:
    if not (directory / CARD).exists():
        return False
    if json.loads((directory / CARD).read_text("utf-8"))["recipe"] != card["recipe"]:
        raise ValueError(
            f"{directory} was built from another recipe; remove {directory.parent} or build somewhere else"
        )
    return True


def _shards(recipe: EmojiScenesRecipe, out: Path) -> list[Piece]:
    ranges = range(0, recipe.num_images, recipe.images_per_shard)
    return [
        _piece(recipe, out, stage, number=number, first=first)
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
    name = " ".join(map(str, (folder, *fields.values())))
    return Piece(name, fingerprint(recipe.model_dump(), fields), job)


def draw(job: dict[str, Any]) -> dict[str, Any]:
    """Worker: one shard, or one subtask of a benchmark."""
    recipe, out, folder = parse(job["recipe"], EmojiScenesRecipe), Path(job["out"]), job["folder"]
    directory = out / folder
    directory.mkdir(parents=True, exist_ok=True)
    if folder in STAGES:
        path = directory / f"{folder}-{job['number']:05d}.tar"
        last = min(recipe.num_images, job["first"] + recipe.images_per_shard)
        shard = write_shard(path, _samples(recipe, folder, range(job["first"], last)))
        return {"folder": folder, "files": entries(out, [path]), "shard": shard}
    paths = write_subtask(recipe, directory, job["part"], job["subtask"], job["images"])
    return {"folder": folder, "files": entries(out, paths)}


# --- training -----------------------------------------------------------------------------------------------------------


def _samples(
    recipe: EmojiScenesRecipe, stage: str, indices: Iterable[int]
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    converse = {"stage1": _captions, "stage2": _instructions}[stage]
    for index in indices:
        scene = _training_scene(recipe, index)
        # The questions about an image do not move its pixels: another random stream.
        turns = converse(random.Random(f"{recipe.seed}/{stage}/{index}"), recipe, scene)
        yield Conversation(f"{index:08d}", tuple(turns), {"scene": scene.facts()}), {"jpg": encode(render(scene))}


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
