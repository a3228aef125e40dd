"""Stored features as a stage: built once, verified on use, refused when they are stale."""

import json
import os
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from skymm.cli import app
from skymm.conversation import Conversation, Turn
from skymm.data.features import image_key
from skymm.data.shard_writing import write_shards
from skymm.data.shards import ShardError, expand, identities, read_shard
from skymm.data.workers import Loader
from skymm.recipe import SourceRecipe
from skymm.train import loop
from skymm.train.features import (
    FINISHED,
    FinishedShards,
    build_features,
    cache_of,
    shards_of,
    verify,
    write_feature_shards,
)
from skymm.train.parts import mixture_of, preparation
from skymm.train.runlog import read_log


@pytest.fixture
def stage(tiny_stage, tmp_path):
    return tiny_stage.model_copy(update={"features": str(tmp_path / "features"), "steps": 3})


def test_every_image_is_looked_at_once_and_a_killed_build_goes_on(stage, tiny_model, monkeypatch):
    model, _ = tiny_model
    images = {image_key(sample.members["jpg"]) for path in shards_of(stage) for sample in read_shard(path)}
    seen = []
    encode = model.encode_images
    monkeypatch.setattr(model, "encode_images", lambda pixels: seen.append(len(pixels[0])) or encode(pixels))

    def stop(images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_features(stage, model, advance=stop)
    kept = len(cache_of(model, stage.features))
    counted = []
    cache = build_features(stage, model, advance=counted.append)
    assert len(cache) == len(images) == sum(seen) and all(key in cache for key in images)
    assert sum(counted) == 5 and kept > 0, "all shards"
    build_features(stage, model)
    assert sum(seen) == len(images)


def png(index):
    content = BytesIO()
    Image.new("RGB", (8, 8), (index, 0, 0)).save(content, "png")
    return content.getvalue()


def test_a_killed_build_reads_no_finished_shard_again(stage, tiny_model, tmp_path):
    """Shards that were finished are gone behind a name of the same size and time: read again, they would be damaged."""
    model, _ = tiny_model
    turns = (Turn("user", "q", ("png",)), Turn("assistant", "a"))
    pictures = [(Conversation(f"{index}", turns), {"png": png(index)}) for index in range(80)]
    paths = write_shards(pictures, tmp_path / "many", "m", max_samples=9)
    stage = stage.model_copy(update={"data": {"many": SourceRecipe(shards=str(paths[0].parent))}})
    last = paths[-1].read_bytes()
    paths[-1].write_bytes(last[:512])  # where the build dies
    with pytest.raises(ShardError):
        build_features(stage, model)
    finished = FinishedShards(stage.features, len(cache_of(model, stage.features)))
    done = [path for path, one in zip(paths, identities(paths)) if one in finished.images]
    assert len(done) == 7  # 63 of the 64 images that two batches had
    for path in done:
        found = path.stat()
        path.write_bytes(bytes(found.st_size))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    paths[-1].write_bytes(last)
    counted = []
    cache = build_features(stage, model, advance=counted.append)
    assert all(image_key(png(index)) in cache for index in range(80)) and sum(counted) == len(paths)


def test_training_reads_the_cache_and_learns_the_same(stage, tiny_model, tmp_path):
    without = stage.model_copy(update={"features": None, "out": str(tmp_path / "without")})
    computed = read_log(loop.train(without, quiet=True))
    for precision in ("bfloat16", "int8"):
        places = {"features": str(tmp_path / precision), "out": str(tmp_path / f"with-{precision}")}
        cached = stage.model_copy(update={"features_precision": precision, **places})
        build_features(cached, tiny_model[0])
        for one, other in zip(read_log(loop.train(cached, quiet=True)), computed, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=0.01)


def test_a_damaged_cache_is_refused_before_the_first_step(stage, tiny_model):
    cache = build_features(stage, tiny_model[0])
    path = next(cache.directory.glob("tower-0*"))
    data = bytearray(path.read_bytes())
    data[: len(data)] = (
        torch.randn(len(data) // 2, generator=torch.Generator().manual_seed(0))
        .to(torch.bfloat16)
        .view(torch.uint8)
        .numpy()
        .tobytes()
    )
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"are not those that tower 0 gives now.*build them again"):
        loop.train(stage, quiet=True)


def test_a_first_look_at_the_cache_does_not_read_all_shards(stage, tiny_model, tmp_path):
    """Words without images come first, and what comes after their first shard cannot be read at all."""
    model, _ = tiny_model
    cache = build_features(stage, model)
    turns = (Turn("user", "q"), Turn("assistant", "a"))
    [words] = write_shards([(Conversation("a", turns), {})], tmp_path / "words", "w")
    (tmp_path / "words" / "z.tar").write_bytes(b"damaged")
    source = next(iter(stage.data.values()))
    stage = stage.model_copy(update={"data": {"words": SourceRecipe(shards=str(words.parent)), "images": source}})
    verify(cache, model, stage)


def test_a_recipe_that_names_no_directory_says_so(tiny_stage, tiny_model):
    with pytest.raises(ValueError, match='add features = "runs/features"'):
        build_features(tiny_stage, tiny_model[0])


@pytest.mark.parametrize(("precision", "drop_images"), [("bfloat16", False), ("int8", True)])
def test_features_beside_the_samples_train_as_the_cache_does(stage, tiny_model, tmp_path, precision, drop_images):
    model, processor = tiny_model
    stage = stage.model_copy(update={"features_precision": precision})
    cache = build_features(stage, model)
    shards = []
    copies = write_feature_shards(stage, model, tmp_path / "copy", drop_images=drop_images, advance=shards.append)
    assert sum(shards) == 5 and copies == {"instructions": tmp_path / "copy/instructions"}
    source = {"instructions": SourceRecipe(shards=str(copies["instructions"]))}
    beside = stage.model_copy(update={"features": "shards", "data": source, "workers": 2})
    loader = feed(beside, model, processor)
    seen = set()
    for item in islice(loader, 30):
        name = next(iter(item.value.segments[0].images))
        seen.add(item.key)
        original = originals(stage)[item.key]
        for one, other in zip(item.value.features, cache.get(image_key(original.members[name])), strict=True):
            assert torch.equal(one[0], other)
    assert len(seen) > 20


def feed(stage, model, processor, rank=0, ranks=1, cursor=None):
    """The samples of a stage, as its training reads them."""
    place = SimpleNamespace(process_index=rank, num_processes=ranks)
    mixture = mixture_of(stage, preparation(stage, model, processor), place, cursor, None)
    return Loader(mixture, workers=stage.workers)


def originals(stage):
    return {s.key: s for path in expand(stage.data["instructions"].shards) for s in read_shard(path)}


def test_a_killed_copy_goes_on_and_gives_the_same_bytes(stage, tiny_model, tmp_path):
    def stop(shards):
        raise KeyboardInterrupt

    model, _ = tiny_model
    whole = write_feature_shards(stage, model, tmp_path / "whole")["instructions"]
    with pytest.raises(KeyboardInterrupt):
        write_feature_shards(stage, model, tmp_path / "killed", advance=stop)
    killed = tmp_path / "killed/instructions"
    assert len(list(killed.glob("*.tar"))) == 1 and not (killed / "card.json").exists()
    first = next(killed.glob("*.tar")).stat().st_mtime_ns
    write_feature_shards(stage, model, tmp_path / "killed")
    assert next(iter(sorted(killed.glob("*.tar")))).stat().st_mtime_ns == first
    for path in whole.iterdir():
        assert path.read_bytes() == (killed / path.name).read_bytes()
    card = json.loads((killed / "card.json").read_text("utf-8"))
    source = json.loads((Path(stage.data["instructions"].shards) / "card.json").read_text("utf-8"))
    assert card["languages"] == source["languages"] and len(card["shards"]) == 5
    assert all(one["sha256"] != two["sha256"] for one, two in zip(card["shards"], source["shards"], strict=True))


def test_copies_of_something_else_are_refused(stage, tiny_model, tmp_path):
    model, processor = tiny_model
    copies = write_feature_shards(stage, model, tmp_path / "copy")
    with pytest.raises(ValueError, match="was begun with other precision, drop_images; name another directory"):
        other = stage.model_copy(update={"features_precision": "int8"})
        write_feature_shards(other, model, tmp_path / "copy", drop_images=True)
    twice = stage.model_copy(update={"data": {"a": SourceRecipe(shards=[stage.data["instructions"].shards] * 2)}})
    with pytest.raises(ValueError, match="names a shard twice"):
        write_feature_shards(twice, model, tmp_path / "twice")
    source = {"instructions": SourceRecipe(shards=str(copies["instructions"]))}
    beside = stage.model_copy(update={"features": "shards", "data": source})
    with pytest.raises(ValueError, match=r"holds the shards of data\.instructions themselves"):
        write_feature_shards(beside, model, tmp_path / "copy")
    with pytest.raises(ValueError, match="--into DIR"):
        build_features(beside, model)
    with pytest.raises(ValueError, match=r"features\.safetensors is missing"):
        feed(stage.model_copy(update={"features": "shards"}), model, processor)
    model.config.tower_fingerprints = ["another"]
    with pytest.raises(ValueError, match=r"is of other towers"):
        feed(beside, model, processor)
    model.config.tower_fingerprints = [model.towers[0].fingerprint()]
    with torch.no_grad():
        next(model.towers.parameters()).mul_(-2)
    with pytest.raises(
        ValueError, match=r"beside the samples: the features of .* are not those that tower 0 gives now"
    ):
        feed(beside, model, processor)


def test_the_command_says_what_to_put_into_the_recipe(tiny_stage, tmp_path):
    model = json.dumps(tiny_stage.model.towers), tiny_stage.model.llm, tiny_stage.model.resampler
    recipe = tmp_path / "stage.toml"
    recipe.write_text(
        f'out = "x"\nsteps = 1\nattention = "eager"\ndata.instructions.shards = "{tiny_stage.data["instructions"].shards}"\n'
        f'model = {{ towers = {model[0]}, llm = "{model[1]}", dtype = "float32", '
        f"resampler = {{ num_latents = {model[2].num_latents}, num_heads = 2, width = 16 }} }}\n"
    )
    arguments = ["data", "features", str(recipe)]
    done = CliRunner().invoke(app, [*arguments, "--into", str(tmp_path / "copy")])
    overrides = done.stdout.split()
    assert overrides == [f"data.instructions.shards={tmp_path / 'copy/instructions'}", "features=shards"]
    wrong = CliRunner().invoke(app, [*arguments, "--drop-images"])
    assert wrong.exit_code == 1 and "--into DIR" in str(wrong.exception)


@pytest.fixture
def tars(tmp_path):
    paths = [tmp_path / name / "00000.tar" for name in "abc"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"x" * 10240)
    return paths


def known(directory, num_rows, tars):
    finished = FinishedShards(directory, num_rows)
    return [finished.images.get(one) for one in identities(tars)]


def note(finished, tars, counts, rows):
    finished.add(list(zip(identities(tars), counts)), rows)


def test_what_was_noted_is_known_now_and_later(tmp_path, tars):
    finished = FinishedShards(tmp_path, 0)
    note(finished, tars[:1], [5], 4)
    note(finished, [], [], 4)
    note(finished, tars[1:2], [0], 4)
    assert [finished.images.get(one) for one in identities(tars)] == [5, 0, None] == known(tmp_path, 4, tars)
    data = (tmp_path / FINISHED).read_bytes()
    (tmp_path / FINISHED).write_bytes(data[:-7])
    finished = FinishedShards(tmp_path, 5)
    note(finished, tars[2:], [7], 6)
    assert known(tmp_path, 6, tars) == [5, None, 7], "a half-written note is none"


def test_a_shard_that_was_written_again_is_read_again(tmp_path, tars):
    note(FinishedShards(tmp_path, 0), tars, [5, 5, 5], 9)
    tars[0].write_bytes(b"y" * 20480)
    os.utime(tars[1], ns=(1, 1))
    assert known(tmp_path, 9, tars) == [None, None, 5]


def test_notes_of_rows_that_were_lost_are_gone_for_good(tmp_path, tars):
    finished = FinishedShards(tmp_path, 0)
    note(finished, tars[:1], [5], 5)
    note(finished, tars[1:2], [5], 10)
    assert known(tmp_path, 9, tars) == [5, None, None]
    assert known(tmp_path, 100, tars) == [5, None, None], "other images have those rows now"
