"""Whole builds: every shipped recipe, the same bytes whoever does the work, shares that come true, nothing lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from built import card, conversations, digests
from curation.sources import miniatures
from photos import pairs_of, photos
from PIL import Image

from skymm.curation.building.build import build
from skymm.data.shards import expand, read_shard
from skymm.recipe import DataRecipe, parse


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("photos") / "in", 160)


def test_shares_come_true_within_a_percent(table, tmp_path):
    recipe = parse(
        {
            "sources": {
                "mine": pairs_of(table, "captions", "negatives", share=0.6),
                "yours": pairs_of(table, "negatives"),
            },
            "chinese_share": 0.4,
            "negative_share": 0.35,
            "samples_per_shard": 40,
            "filters": {"duplicates": None},
        },
        DataRecipe,
    )
    found = conversations(build(recipe, tmp_path / "out"))
    answers = [turn for one in found for turn in one.targets]
    assert sum(turn.language == "zh" for turn in answers) / len(answers) == pytest.approx(0.4, abs=0.01)
    decided = [turn for turn in answers if turn.kind != "caption"]
    assert sum(turn.polarity == "negative" for turn in decided) / len(decided) == pytest.approx(0.35, abs=0.01)
    assert sum(one.extra["source"] == "mine" for one in found) / len(found) == pytest.approx(0.6, abs=0.01)
    assert len(found) > 150, "and most samples stay"


def test_every_question_has_its_twin_at_another_picture_and_the_order_is_mixed(table, tmp_path):
    recipe = parse({"sources": {"a": pairs_of(table, "captions", "negatives")}, "num_samples": 120}, DataRecipe)
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


def test_a_source_that_loses_too_much_stops_the_build(tmp_path):
    recipe = parse(
        {"sources": {"a": {**miniatures.pairs(tmp_path / "in"), "tasks": ["captions"]}}, "max_rejected": 0.1},
        DataRecipe,
    )
    with pytest.raises(
        ValueError, match=r"source a: \d+ of \d+ samples cannot .*picture is missing.* max_rejected = 0.1"
    ):
        build(recipe, tmp_path / "out")


def test_what_is_there_twice_stays_once(table, tmp_path):
    recipe = parse({"sources": {"a": pairs_of(table, "captions"), "b": pairs_of(table, "captions")}}, DataRecipe)
    out = build(recipe, tmp_path / "out")
    assert len(conversations(out)) == 160
    assert card(out)["sources"]["b"]["left out"] == {"duplicate": 160} and card(out)["sources"]["a"]["left out"] == {}


def test_only_what_a_change_touches_is_made_anew(table, tmp_path):
    out = tmp_path / "out"

    def recipe(**changes) -> DataRecipe:
        return parse({"sources": {"a": pairs_of(table, "captions", "negatives")}, **changes}, DataRecipe)

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
    assert len(conversations(out)) == 100 and sorted(path.name for path in out.iterdir()) == [
        "card.json",
        "train-00000.tar",
    ]


def test_a_finished_build_is_left_alone_and_another_recipe_refused(table, tmp_path):
    recipe = parse({"sources": {"a": pairs_of(table, "captions")}}, DataRecipe)
    out = build(recipe, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    build(recipe, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(ValueError, match=r"holds shards of another recipe \(seed: 0 -> 1\)"):
        build(recipe.model_copy(update={"seed": 1}), out)


def test_a_picture_that_changes_meanwhile_is_noticed(table, tmp_path):
    own = photos(tmp_path / "own", 12)
    out = tmp_path / "out"
    recipe = parse({"sources": {"a": pairs_of(own, "captions")}, "num_samples": 99}, DataRecipe)
    with pytest.raises(ValueError, match="num_samples"):
        build(recipe, out)
    Image.new("RGB", (64, 64), "red").save(own.parent / "3.jpg")
    with pytest.raises(ValueError, match=r"3.jpg: a picture of a_.*, changed since this build looked at it"):
        build(recipe.model_copy(update={"num_samples": 12}), out)
    (own.parent / "3.jpg").unlink()
    with pytest.raises(ValueError, match=r"3.jpg: a picture of a_.*, gone since this build looked at it"):
        build(recipe.model_copy(update={"num_samples": 12}), out)


def test_large_pictures_are_scaled_down(tmp_path):
    own = photos(tmp_path / "own", 4)
    Image.effect_noise((500, 300), 90).convert("RGB").save(own.parent / "1.jpg")
    recipe = parse({"sources": {"a": pairs_of(own, "captions")}, "max_side": 200}, DataRecipe)
    from skymm.images import read_header

    sizes = Counter()
    for shard in expand(build(recipe, tmp_path / "out")):
        for sample in read_shard(shard):
            header = read_header(sample.members["jpg"], sample.key)
            sizes[header.width, header.height] += 1
    assert sizes == {(200, 120): 1, (64, 64): 3}


def test_preferences_have_a_rejected_answer(table, tmp_path):
    recipe = parse({"sources": {"a": pairs_of(table, "preferences")}}, DataRecipe)
    found = conversations(build(recipe, tmp_path / "out"))
    assert len(found) > 100
    for one in found:
        assert one.extra["rejected"] and one.extra["rejected"] != one.targets[-1].text and one.extra["error"]


def test_killed_at_any_moment_and_run_again_gives_the_same_shards(table, tmp_path):
    recipe = tmp_path / "recipe.toml"
    lines = [
        *(
            "samples_per_shard = 8",
            "chinese_share = 0.5",
            "[sources.a]",
            'format = "pairs"',
            'tasks = ["captions", "negatives"]',
        ),
        *(f"table = {json.dumps(str(table))}", f"images = {json.dumps(str(table.parent))}"),
        'caption_column = {en = "en", zh = "zh"}',
    ]
    recipe.write_text("\n".join(lines) + "\n", "utf-8")

    def start(out: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "skymm.cli", "data", "build", recipe, "--out", out, "--workers", "1"]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    began = time.monotonic()
    assert start(tmp_path / "whole").wait(120) == 0
    seconds = time.monotonic() - began
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
        process.send_signal(signal.SIGKILL)
        process.wait()
        if num_kills >= 5:
            assert start(out).wait(120) == 0
            assert digests(out) == digests(tmp_path / "whole")
    if num_kills < 5:
        assert start(tmp_path / "cut").wait(120) == 0
        assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
