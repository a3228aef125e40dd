"""Whole builds: shares that come true, nothing lost, and what a stopped, another or an earlier build left behind."""

import io
import json
import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from built import card, conversations, digests
from curation.sources import miniatures
from elsewhere import Elsewhere, cli
from photos import pairs_of, photos
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.curation.building import build as building
from skymm.curation.building import converse, read
from skymm.curation.building.build import build
from skymm.curation.filters.leakage import LeakageIndex
from skymm.data.shard_writing import write_shards
from skymm.data.shards import expand, read_shard
from skymm.images import read_header
from skymm.recipe import DataRecipe, parse


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("photos") / "in", 160)


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("few") / "in", 24)


def recipe_of(table: Path, *tasks: str, **fields) -> DataRecipe:
    return parse({"sources": {"a": pairs_of(table, *tasks)}, **fields}, DataRecipe)


def test_shares_come_true_within_a_percent(table, tmp_path):
    sources = {"mine": pairs_of(table, "captions", "negatives", share=0.6), "yours": pairs_of(table, "negatives")}
    shares = {"chinese_share": 0.4, "negative_share": 0.35, "samples_per_shard": 40, "filters": {"duplicates": None}}
    found = conversations(build(parse({"sources": sources, **shares}, DataRecipe), tmp_path / "out"))
    answers = [turn for one in found for turn in one.targets]
    assert sum(turn.language == "zh" for turn in answers) / len(answers) == pytest.approx(0.4, abs=0.01)
    decided = [turn for turn in answers if turn.kind != "caption"]
    assert sum(turn.polarity == "negative" for turn in decided) / len(decided) == pytest.approx(0.35, abs=0.01)
    assert sum(one.extra["source"] == "mine" for one in found) / len(found) == pytest.approx(0.6, abs=0.01)
    assert len(found) > 150, "and most samples stay"


def test_no_source_is_thrown_away_for_a_share_that_it_cannot_have(few, tmp_path):
    """A source three quarters of whose answers deny, where half should: questions that are made have the share, it stays."""
    said = (
        ("dog", "Yes.", "positive"),
        ("cat", "No.", "negative"),
        ("bus", "No.", "negative"),
        ("cup", "No.", "negative"),
    )
    turns = []
    for thing, answer, polarity in said:
        turns += [Turn("user", f"Is there a {thing}?", ("jpg",) if not turns else ())]
        turns += [Turn("assistant", answer, (), polarity, "existence", "en")]
    samples = [(Conversation(str(number), tuple(turns)), {"jpg": miniatures.picture(number)}) for number in range(6)]
    write_shards(samples, tmp_path / "in", "s")
    told = {"format": "shards", "shards": str(tmp_path / "in"), "tasks": ["turns"]}
    sources = {"asked": pairs_of(few, "negatives"), "told": told}
    recipe = parse({"sources": sources, "negative_share": 0.5, "filters": {"duplicates": None}}, DataRecipe)
    found = Counter(one.extra["source"] for one in conversations(build(recipe, tmp_path / "out")))
    assert found["told"] == 6 and found["asked"] > 6


def test_every_question_has_its_twin_at_another_picture_and_the_order_is_mixed(table, tmp_path):
    recipe = recipe_of(table, "captions", "negatives", num_samples=120)
    found = conversations(build(recipe, tmp_path / "out"))
    asked: dict[tuple[str, str], Counter] = {}
    for one in found:
        texts = [question.text for question in one.turns[::2]]
        assert len(set(texts)) == len(texts)
        kinds = [answer.kind for answer in one.targets]
        assert kinds == sorted(kinds, key=lambda kind: kind == "caption"), "captions would answer what comes after them"
        for question, answer in zip(one.turns[::2], one.targets):
            if answer.kind != "caption":
                asked.setdefault((answer.kind, question.text), Counter())[answer.polarity] += 1
    assert sum(told.total() for told in asked.values()) > 200
    assert all(told["positive"] == told["negative"] for told in asked.values())
    assert len(found) == len({one.key for one in found}) == 120
    indices = [int(one.key.split("_")[1].split("-")[0]) for one in found]
    assert indices != sorted(indices)


def test_the_parts_of_a_recipe_share_no_picture(table, tmp_path):
    keys = {}
    for part in (None, "train", "held_out"):
        recipe = recipe_of(table, "captions", part=part, held_out_share=0.25, filters={"duplicates": None})
        keys[part] = {one.key for one in conversations(build(recipe, tmp_path / str(part)))}
    assert keys["train"] | keys["held_out"] == keys[None] and not keys["train"] & keys["held_out"]
    assert 0.15 < len(keys["held_out"]) / len(keys[None]) < 0.35


def test_a_source_that_loses_too_much_stops_the_build(tmp_path):
    source = {**miniatures.pairs(tmp_path / "in"), "tasks": ["captions"]}
    recipe = parse({"sources": {"a": source}, "max_rejected": 0.1}, DataRecipe)
    refusal = r"source a: \d+ of \d+ samples cannot .*picture is missing.* max_rejected = 0.1"
    with pytest.raises(ValueError, match=refusal):
        build(recipe, tmp_path / "out")


def test_only_what_a_change_touches_is_made_anew_and_a_finished_build_is_left_alone(table, tmp_path):
    out = tmp_path / "out"

    def recipe(**changes) -> DataRecipe:
        return recipe_of(table, "captions", "negatives", **changes)

    with pytest.raises(ValueError, match=r"num_samples is 1000, .* give 160 at most"):
        build(recipe(num_samples=1000), out)
    before = {path: path.stat().st_mtime_ns for path in (out / ".build" / "records").iterdir()}
    assert before
    with pytest.raises(ValueError, match="num_samples is 999"):
        build(recipe(num_samples=999, seed=7), out)
    for path, when in before.items():
        assert path.stat().st_mtime_ns == when, "reading does not depend on the seed or the number"
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text("utf-8").splitlines()]
    made = [line for line in lines if line["piece"].startswith("conversations of a-") and line["inputs"]]
    assert len(made) == 2, "conversations do, and are made again"
    build(recipe(num_samples=100), out)
    assert len(conversations(out)) == 100
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "train-00000.tar"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    build(recipe(num_samples=100), out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(ValueError, match=r"holds shards of another recipe \(seed: 0 -> 1\)"):
        build(recipe(num_samples=100, seed=1), out)


def test_a_picture_that_changes_meanwhile_is_noticed(tmp_path):
    own = photos(tmp_path / "own", 12)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="num_samples"):
        build(recipe_of(own, "captions", num_samples=99), out)
    recipe = recipe_of(own, "captions", num_samples=12)
    Image.new("RGB", (64, 64), "red").save(own.parent / "3.jpg")
    with pytest.raises(ValueError, match=r"3.jpg: a picture of a_.*, changed since this build looked at it"):
        build(recipe, out)
    (own.parent / "3.jpg").unlink()
    with pytest.raises(ValueError, match=r"3.jpg: a picture of a_.*, gone since this build looked at it"):
        build(recipe, out)


def open_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_large_pictures_are_scaled_down(tmp_path):
    own = photos(tmp_path / "own", 4)
    Image.effect_noise((500, 300), 90).convert("RGB").save(own.parent / "1.jpg")
    out = build(recipe_of(own, "captions", max_side=200), tmp_path / "out")
    headers = [read_header(each.members["jpg"], each.key) for shard in expand(out) for each in read_shard(shard)]
    assert Counter((header.width, header.height) for header in headers) == {(200, 120): 1, (64, 64): 3}
    see_through = Image.effect_noise((500, 300), 90).convert("RGBA")
    see_through.putalpha(9)
    see_through.save(own.parent / "1.png")
    own.write_text(own.read_text("utf-8").replace("1.jpg", "1.png"), "utf-8")
    out = build(recipe_of(own, "captions", max_side=200), tmp_path / "transparent")
    pictures = [
        open_image(each.members[name]) for shard in expand(out) for each in read_shard(shard) for name in each.images
    ]
    assert [image.mode for image in pictures if image.width == 200] == ["RGBA"]


def test_preferences_have_a_rejected_answer(table, tmp_path):
    found = conversations(build(recipe_of(table, "preferences"), tmp_path / "out"))
    assert len(found) > 100
    for one in found:
        assert one.extra["rejected"] and one.extra["rejected"] != one.targets[-1].text and one.extra["error"]


# --- stopped builds ---------------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_and_run_again_gives_the_same_shards(table, tmp_path):
    fields = {"samples_per_shard": 8, "chinese_share": 0.5}
    began = time.monotonic()
    whole = digests(build(recipe_of(table, "captions", "negatives", **fields), tmp_path / "whole"))
    seconds = time.monotonic() - began
    source = {name: json.dumps(value) for name, value in pairs_of(table, "captions", "negatives").items()}
    source["caption_column"] = '{en = "en", zh = "zh"}'
    lines = [f"{name} = {value}" for name, value in fields.items()]
    lines += ["[sources.a]", *(f"{name} = {value}" for name, value in source.items())]
    (tmp_path / "recipe.toml").write_text("\n".join(lines) + "\n", "utf-8")

    def start(out: Path) -> Elsewhere:
        return Elsewhere(cli("data", "build", tmp_path / "recipe.toml", "--out", out, "--workers", 1))

    rng = random.Random(os.environ.get("SKYMM_SEED", "0"))
    num_kills = int(os.environ.get("SKYMM_KILLS", "2"))
    for number in range(num_kills):
        out = tmp_path / ("cut" if num_kills < 5 else f"cut{number}")
        process = start(out)
        # Most of the time a process only imports: the kill comes within the build itself.
        deadline = time.monotonic() + 120
        while not (out / "manifest.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.random() * seconds / 2)
        process.kill()
        process.wait()
        if num_kills >= 5 or number == num_kills - 1:
            assert start(out).wait() == 0
            assert digests(out) == whole


class Killed(BaseException):
    """As a kill: nothing catches it."""


def stop_at(monkeypatch, step: str, recipe: DataRecipe, out: Path) -> None:
    def killed(*args):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, step, killed)
        build(recipe, out)


def test_shards_of_a_longer_recipe_that_was_stopped_are_gone(few, tmp_path, monkeypatch):
    out = tmp_path / "out"
    stop_at(monkeypatch, "write_card", recipe_of(few, "captions", samples_per_shard=6), out)
    assert (out / "train-00003.tar").exists(), "all four are there, and no card"
    (out / "train-00004.tar.partial").write_bytes(b"half")
    others = ["train-notes.tar", "val-00003.tar", "train-00003.tar.txt"]
    for name in others:
        (out / name).write_bytes(name.encode())
    recipe = recipe_of(few, "captions", samples_per_shard=12)
    build(recipe, out)
    assert {name: (out / name).read_text() for name in others} == {name: name for name in others}, "the user's"
    for name in others:
        (out / name).unlink()
    assert digests(out) == digests(build(recipe, tmp_path / "new")) and len(conversations(out)) == 24


def test_killed_while_cleaning_up(few, tmp_path, monkeypatch):
    """Before it, or when either of the two is gone already; and another recipe, which is refused, cleans up nothing."""
    out, recipe = tmp_path / "out", recipe_of(few, "captions", samples_per_shard=12)
    stop_at(monkeypatch, "_tidy", recipe, out)
    assert (out / "card.json").exists() and (out / "manifest.jsonl").exists() and any((out / ".build").iterdir())
    before = digests(out)
    with pytest.raises(ValueError, match="holds shards of another recipe"):
        build(recipe_of(few, "captions", samples_per_shard=6), out)
    assert digests(out) == before
    finished = [out / name for name in ("card.json", "train-00000.tar", "train-00001.tar")]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in finished]
    for left in (None, "manifest.jsonl", ".build/rows/a.jsonl"):
        if left:
            (out / left).parent.mkdir(parents=True, exist_ok=True)
            (out / left).write_text("{}\n")
        build(recipe, out)
        assert sorted(out.iterdir()) == finished, left
        assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in finished] == before, left


# --- two builds in one process, at the same places: the second one knows nothing of the first -------------------------------


def test_statistics_are_those_of_the_build(tmp_path):
    """Absent things are asked for by how often they are seen: with another build's statistics, others would be."""
    converse._statistics.cache_clear()
    strategies = {"strategies": ["adversarial"], "kinds": {"existence": 1}}
    asked = []
    for place, first in ((tmp_path / "one", 0), (tmp_path / "one", 100), (tmp_path / "two", 100)):
        shutil.rmtree(place, ignore_errors=True)
        recipe = recipe_of(photos(place / "in", 40, first), "negatives", negatives=strategies)
        found = digests(build(recipe, place / "out"))
        asked.append({name: digest for name, digest in found.items() if name.endswith(".tar")})
    assert asked[0] != asked[1] == asked[2]


def test_the_leakage_index_is_that_of_the_build(tmp_path):
    """Where the command puts it; and where a stopped build goes on after it changed."""
    read._filters.cache_clear()
    table = photos(tmp_path / "in", 12)
    out, index = tmp_path / "out", tmp_path / "out" / ".build" / "leakage.npz"
    filters = {"leakage": ["eval/mme.toml"], "duplicates": None}
    steps = [((2, 5, 7), None, 9), ((1,), None, 11), ((2, 5, 7), 99, None), ((1,), 11, 11)]
    for leaked, num_samples, left in steps:
        if num_samples is None or left is None:
            shutil.rmtree(out, ignore_errors=True)
        index.parent.mkdir(parents=True, exist_ok=True)
        LeakageIndex.build([("", [(table.parent / f"{number}.jpg").read_bytes() for number in leaked])]).save(index)
        recipe = recipe_of(table, "captions", filters=filters, num_samples=num_samples)
        if left is None:
            with pytest.raises(ValueError, match=r"num_samples is 99, .* give 9 at most"):
                build(recipe, out, leakage=index)
            continue
        build(recipe, out, leakage=index)
        assert card(out)["sources"]["a"]["left out"] == {"picture of an evaluation set": len(leaked)}
        assert len(conversations(out)) == left
