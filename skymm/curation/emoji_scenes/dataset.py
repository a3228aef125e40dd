"""Shards and a benchmark out of emoji scenes: what a data recipe with `source = "emoji_scenes"` builds.

Stage 1 and stage 2 show the same images: a frozen tower then looks at each of them once. Which pictures are kept for
evaluation is decided by hashes of the emoji, never by chance: some concepts are never trained on, and some are trained on
in one art style only, so that the other style of the same thing can be asked about.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES, Conversation, Turn
from skymm.curation import emoji
from skymm.curation.audit.findings import find_leaks
from skymm.curation.building.manifest import NAME as MANIFEST
from skymm.curation.building.manifest import Manifest, Piece, entries
from skymm.curation.building.workers import Engine
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.instructions import KINDS, Fact
from skymm.curation.emoji_scenes.scene import Scene, draw_scene, draw_sum, draw_writing, encode, numbered, render
from skymm.curation.negatives.balance import Asked, balance
from skymm.data.shard_writing import write_card, write_json, write_shard
from skymm.data.shards import CARD
from skymm.recipe import EmojiScenesRecipe, parse

OPEN_KINDS = ("name", "layout")  # questions that are not answered with yes or no
STAGES = ("stage1", "stage2")
SUFFIX = {"en": " Please answer yes or no.", "zh": "请回答是或否。"}
_OURS = re.compile(r"\d{3,}\.(?:jpg|txt)")


def build(recipe: EmojiScenesRecipe, out: str | Path, engine: Engine | None = None) -> Path:
    """Write OUT/stage1, OUT/stage2 (shards) and OUT/bench*/{en,zh} (official MME layout). What is complete is kept.

    The same recipe gives the same bytes, whoever does the work. Raises ValueError where OUT holds another recipe's data.
    """
    out = Path(out)
    folders = (*STAGES, *emoji.PARTS.values())
    if [folder for folder in folders if not _finished(out / folder, recipe)]:
        out.mkdir(parents=True, exist_ok=True)
        manifest = Manifest(out, engine)
        lines = manifest.make("drawing scenes", list(_pieces(recipe)), draw)
        for folder in folders:
            _complete(out / folder, recipe, [line for line in lines if line["folder"] == folder], manifest.engine)
    (out / MANIFEST).unlink(missing_ok=True)
    return out


def _finished(directory: Path, recipe: EmojiScenesRecipe) -> bool:
    if not (directory / CARD).exists():
        return False
    if json.loads((directory / CARD).read_text("utf-8"))["recipe"] != recipe.model_dump():
        raise ValueError(
            f"{directory} was built from another recipe; remove {directory.parent} or build somewhere else"
        )
    return True


def _complete(directory: Path, recipe: EmojiScenesRecipe, lines: Sequence[Mapping[str, Any]], engine: Engine) -> None:
    """Takes away what a recipe that was stopped here left, and writes the card. `lines`: the manifest's."""
    card = {"source": "emoji scenes", "licences": emoji.LICENCES, "recipe": recipe.model_dump()}
    directory.mkdir(exist_ok=True)
    if directory.name in STAGES:
        shards = [line["shard"] for line in lines]
        if directory.name == "stage2":
            card["guessed without looking"] = find_leaks(directory, shards, engine)
        write_card(directory, card, shards)
        return
    written = {directory.parent / name for line in lines for name in line["files"]}
    for path in directory.glob("*/*/*"):  # pictures and questions that would be asked
        if path.parent.name in KINDS and _OURS.fullmatch(path.name) and path not in written:
            path.unlink()
    for emptied in (*directory.glob("*/*"), *directory.glob("*")):
        if emptied.is_dir() and not any(emptied.iterdir()):
            emptied.rmdir()
    write_json(directory / CARD, card)


def _pieces(recipe: EmojiScenesRecipe) -> Iterator[Piece]:
    """One for each shard and for each subtask of a benchmark."""
    asked = {"stage1": [[]] * recipe.num_images, "stage2": [list(map(asdict, one)) for one in _asked(recipe)]}
    for stage, of_scenes in asked.items():
        for number, first in enumerate(range(0, recipe.num_images, recipe.images_per_shard)):
            of_shard = of_scenes[first : first + recipe.images_per_shard]
            yield _piece(recipe, stage, number, first=first, asked=of_shard)
    for part, folder in emoji.PARTS.items():
        if any(emoji.pool(recipe.concepts, style, part) for style in recipe.styles):
            for subtask in KINDS if part == "train" else ("existence",):
                images = recipe.bench_images * (5 if part == "train" and subtask == "existence" else 1)
                yield _piece(recipe, folder, subtask, part=part, num_images=images)


def _piece(recipe: EmojiScenesRecipe, folder: str, name: str | int, **fields: Any) -> Piece:
    return Piece(f"{folder} {name}", {"recipe": recipe.model_dump(), "folder": folder, "name": name, **fields})


def draw(job: dict[str, Any]) -> dict[str, Any]:
    """Worker: one shard, or one subtask of a benchmark."""
    recipe, out, folder = parse(job["recipe"], EmojiScenesRecipe), Path(job["directory"]), job["folder"]
    directory = out / folder
    directory.mkdir(parents=True, exist_ok=True)
    if folder in STAGES:
        path = directory / f"{folder}-{job['name']:05d}.tar"
        shard = write_shard(path, _samples(recipe, folder, enumerate(job["asked"], job["first"])))
        return {"folder": folder, "files": entries(out, [path]), "shard": shard}
    paths = _write_subtask(recipe, directory, job["part"], job["name"], job["num_images"])
    return {"folder": folder, "files": entries(out, paths)}


# --- training -----------------------------------------------------------------------------------------------------------


def _training_scene(recipe: EmojiScenesRecipe, index: int) -> Scene:
    shares = (recipe.word_share, recipe.sum_share)
    pools = emoji.pools(recipe.concepts, recipe.styles)
    return numbered(index, f"{recipe.seed}/scene", pools, recipe.max_items, shares)


def _asked(recipe: EmojiScenesRecipe) -> list[list[Asked]]:
    """What is asked of each scene: of every thing, number, place, color and word as often yes as no, over all of them."""
    found, room = [], []
    for index in range(recipe.num_images):
        scene, numbers = _training_scene(recipe, index), _numbers(recipe, index)
        rng = random.Random(f"{recipe.seed}/askable/{index}")
        askable = instructions.askable(rng, scene, emoji.pool(recipe.concepts, scene.style))
        found.append({kind: both for kind, both in askable.items() if numbers.get(kind)})
        room.append(recipe.questions_per_image - sum(numbers.get(kind, 0) for kind in OPEN_KINDS))
    rules = instructions.rules({kind: 2 * math.ceil(recipe.kinds.get(kind, 0)) for kind in KINDS})
    return balance(found, room, rules, str(recipe.seed))


def _numbers(recipe: EmojiScenesRecipe, index: int) -> dict[str, int]:
    """How many of each kind this scene may be asked: a part of one is one for that part of the scenes."""
    rng = random.Random(f"{recipe.seed}/kinds/{index}")
    return {kind: int(number) + (rng.random() < number % 1) for kind, number in recipe.kinds.items()}


def _samples(
    recipe: EmojiScenesRecipe, stage: str, scenes: Iterable[tuple[int, Sequence[dict[str, Any]]]]
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    for index, asked in scenes:
        scene = _training_scene(recipe, index)
        # The questions about an image do not move its pixels: another random stream.
        rng = random.Random(f"{recipe.seed}/{stage}/{index}")
        facts = (
            _captions(rng, scene) if stage == "stage1" else _instructions(rng, _numbers(recipe, index), scene, asked)
        )
        turns: list[Turn] = []
        for fact, language in facts:
            turns += fact.turns(language, images=() if turns else ("jpg",))
        yield Conversation(f"{index:08d}", tuple(turns), {"scene": scene.facts()}), {"jpg": encode(render(scene))}


def _captions(rng: random.Random, scene: Scene) -> list[tuple[Fact, str]]:
    languages = list(LANGUAGES)
    rng.shuffle(languages)
    return [(instructions.caption(scene), language) for language in languages]


def _instructions(
    rng: random.Random, numbers: Mapping[str, int], scene: Scene, asked: Sequence[dict[str, Any]]
) -> list[tuple[Fact, str]]:
    """Open questions come last: what they tell would answer the others."""
    facts = [(instructions.fact(one["label"], tuple(one["key"]), one["polarity"]), one["language"]) for one in asked]
    kinds = [kind for kind in OPEN_KINDS for _ in range(numbers.get(kind, 0))]
    for kind in kinds or (["name"] if not facts else []):
        facts.append((_open_fact(rng, kind, scene), rng.choice(LANGUAGES)))
    return facts


def _open_fact(rng: random.Random, kind: str, scene: Scene) -> Fact:
    if not scene.items:
        return instructions.caption(scene)
    if kind == "layout":
        return instructions.layout(scene)
    nothing = instructions.empty_cell(rng, scene) if rng.random() < 0.5 else None
    return nothing or instructions.name(rng, scene)


# --- benchmarks: held-out scenes in MME's layout, in two languages --------------------------------------------------------


def _write_subtask(recipe: EmojiScenesRecipe, out: Path, part: str, subtask: str, num_images: int) -> list[Path]:
    """One Yes and one No question per image, the same in both languages. Returns the files written."""
    written: list[list[Path]] = []
    for attempt in range(100 * num_images):
        if len(written) == num_images:
            break
        rng = random.Random(f"{recipe.seed}/{out.name}/{subtask}/{attempt}")
        style = rng.choice(recipe.styles)
        chars = emoji.pool(recipe.concepts, style, part)
        if not chars:
            continue
        scene = _bench_scene(rng, recipe, subtask, chars, style)
        # Things that were trained on may be asked for in vain among things that were not.
        absent = chars if part == "train" else chars + emoji.pool(recipe.concepts, style)
        if pair := instructions.pair(rng, subtask, scene, absent):
            written.append(_write_question_files(out, subtask, f"{len(written):03d}", scene, pair))
    return list(chain.from_iterable(written))


def _bench_scene(
    rng: random.Random, recipe: EmojiScenesRecipe, subtask: str, chars: Sequence[str], style: str
) -> Scene:
    if subtask == "OCR":
        return draw_writing(rng, rng.choice([(c.en, c.zh) for c in map(emoji.find, chars)])[rng.randrange(2)])
    if subtask == "text_translation":
        return draw_writing(rng, emoji.find(rng.choice(chars)).zh)
    if subtask == "numerical_calculation":
        return draw_sum(rng)
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
            f"{fact.question[index]}{SUFFIX[language]}\t{instructions.ENGLISH_VERDICT[fact.polarity]}\n"
            for fact in pair
        ]
        questions.write_text("".join(lines), "utf-8")
        written += [picture, questions]
    return written
