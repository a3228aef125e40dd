"""The cache as a stage: built once, verified on use, refused when it is stale."""

import os
from io import BytesIO

import pytest
import torch
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.features import image_key
from skymm.data.finished import FinishedShards
from skymm.data.shards import ShardError, write_shards
from skymm.recipe import SourceRecipe
from skymm.train import loop
from skymm.train.features import build_features, cache_of, images_of, verify
from skymm.train.runlog import read_log


@pytest.fixture
def stage(tiny_stage, tmp_path):
    return tiny_stage.model_copy(update={"features": str(tmp_path / "features"), "steps": 3})


def test_every_image_is_looked_at_once_and_a_killed_build_goes_on(stage, tiny_model, monkeypatch):
    model, _ = tiny_model
    images = {image_key(data) for _, data in images_of(stage)}
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
    assert sum(counted) == sum(1 for _ in images_of(stage)) and kept > 0
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
    done = [path for path in paths if finished.get(path)]
    assert len(done) == 7  # 63 of the 64 images that two batches had
    for path in done:
        found = path.stat()
        path.write_bytes(bytes(found.st_size))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    paths[-1].write_bytes(last)
    counted = []
    cache = build_features(stage, model, advance=counted.append)
    assert all(image_key(png(index)) in cache for index in range(80)) and sum(counted) == 80


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_training_reads_the_cache_and_learns_the_same(stage, tiny_model, precision, tmp_path):
    stage = stage.model_copy(update={"features_precision": precision})
    build_features(stage, tiny_model[0])
    with_cache = read_log(loop.train(stage, quiet=True))
    without = stage.model_copy(update={"features": None, "out": str(tmp_path / "without")})
    for cached, computed in zip(with_cache, read_log(loop.train(without, quiet=True)), strict=True):
        assert cached["loss"] == pytest.approx(computed["loss"], rel=0.01)


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
    with pytest.raises(ValueError, match=r"are not those that tower 0 gives now.*build it again"):
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
    with pytest.raises(ValueError, match=r"z\.tar"):
        list(images_of(stage))
    verify(cache, model, stage)


def test_a_recipe_that_names_no_directory_says_so(tiny_stage, tiny_model):
    with pytest.raises(ValueError, match='add features = "runs/features"'):
        build_features(tiny_stage, tiny_model[0])
