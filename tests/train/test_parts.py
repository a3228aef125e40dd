"""What a stage's samples are made of: the same pixels wherever the model looks, read by as many workers as the recipe says."""

import io
import json
import math
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Conversation, Turn
from skymm.data.features import image_key
from skymm.data.shard_writing import write_shard, write_shards
from skymm.data.workers import Loader
from skymm.model.build import build_model, open_model
from skymm.recipe import SourceRecipe, StageRecipe, parse
from skymm.train.features import build_features, cache_of, verify
from skymm.train.parts import (
    mixture_of,
    model_for,
    optimizer_for,
    preparation,
    training_gib,
    why_padded,
    with_steps,
)


def big_jpeg() -> bytes:
    """A photo as it comes from a camera: many pixels, and lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.effect_noise((700, 500), 80).convert("RGB")
    picture.paste("orange", (0, 0, 350, 120))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=90, exif=exif)
    return data.getvalue()


PHOTO = big_jpeg()


def feed(stage, model, processor, rank=0, ranks=1, cursor=None):
    """The samples of a stage, as its training reads them."""
    place = SimpleNamespace(process_index=rank, num_processes=ranks)
    mixture = mixture_of(stage, preparation(stage, model, processor), place, cursor, None)
    return Loader(mixture, workers=stage.workers)


@pytest.fixture
def stage(tiny_stage, tmp_path):
    """A stage on one big JPEG, shown in every sample."""
    turns = (Turn("user", "q", ("jpg",)), Turn("assistant", "a", (), "positive", "existence", "en"))
    samples = [(Conversation(f"{index}", turns), {"jpg": PHOTO}) for index in range(4)]
    write_shards(samples, tmp_path / "photos", "p", max_samples=2)
    return tiny_stage.model_copy(update={"data": {"photos": SourceRecipe(shards=str(tmp_path / "photos"))}})


def scaled(stage, scaled_decode=True):
    model = stage.model.model_copy(update={"scaled_decode": scaled_decode})
    return stage.model_copy(update={"model": model})


def looked_at(model, monkeypatch):
    """The pixels that the towers are shown from now on."""
    seen, encode = [], model.encode_images
    monkeypatch.setattr(model, "encode_images", lambda pixels: seen.append(pixels[0][0].clone()) or encode(pixels))
    return seen


def test_each_part_has_its_learning_rate_and_its_bytes(tiny_model, tiny_stage):
    model, _ = tiny_model
    sizes = model.freeze_for(["resampler", "lora", "towers", "llm"])
    assert training_gib(model) == 20 * sum(sizes.values()) / 2**30  # 4 weights, 4 gradients, 4 masters, 8 moments
    assert training_gib(model.bfloat16(), 2) == 28 * sum(sizes.values()) / 2**30  # 2, 2 and 4 in fp32, 12, 8 to sum
    said = {"learning_rate": 1e-3, "lora_learning_rate": 5e-3, "towers_learning_rate": 2e-6}
    optimizer = optimizer_for(model, tiny_stage.model_copy(update=said))
    peaks = {id(one): group["peak"] for group in optimizer.adamw.param_groups for one in group["params"]}
    for name, master in optimizer.masters.items():
        expected = 5e-3 if "lora_" in name else {"towers": 2e-6, "language_model": 1e-4}.get(name.split(".")[0], 1e-3)
        assert peaks[id(master)] == expected, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trains": ["towers"], "features": "somewhere"}, "what the towers saw before"),
        ({"trains": ["llm"], "objective": "words"}, "does not run the LLM"),
    ],
)
def test_what_cannot_be_unfrozen_is_refused(tiny_stage, change, message):
    with pytest.raises(ValueError, match=message):
        parse(tiny_stage.model_dump() | change, StageRecipe)


@pytest.mark.parametrize("scaled_decode", [False, True])
def test_training_cache_and_answering_see_the_same_pixels(stage, scaled_decode, tmp_path, monkeypatch):
    stage = scaled(stage, scaled_decode)
    model, processor = build_model(stage.model)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    again, again_processor = open_model(tmp_path / "model")
    in_training = next(iter(feed(stage, again, again_processor))).value.pixels[0][0]
    seen, seen_again = looked_at(model, monkeypatch), looked_at(again, monkeypatch)
    cached = stage.model_copy(update={"features": str(tmp_path / "features")})
    cache = build_features(cached, model)
    verify(cache, model, cached)
    SkyMMAnswerer(again, again_processor).answer_one("Is it?", PHOTO)
    assert len(seen) == 3 and len(seen_again) == 1, "built, verified twice; asked"
    assert all(torch.equal(pixels, in_training) for pixels in [*seen, *seen_again])
    other = build_model(scaled(stage, not scaled_decode).model)[0]
    otherwise = next(iter(feed(scaled(stage, not scaled_decode), other, processor))).value.pixels[0][0]
    assert not torch.equal(otherwise, in_training)
    # It is the same picture all the same, and stands as upright.
    assert (otherwise - in_training).abs().mean() < 0.25 < (otherwise.flip(-1) - in_training).abs().mean()


def test_features_of_the_other_way_to_decode_are_refused(stage, tmp_path):
    full, quick = (build_model(scaled(stage, on).model)[0] for on in (False, True))
    for one, other in ((full, quick), (quick, full)):
        directory = tmp_path / str(one.config.scaled_decode)
        cache_of(one, directory)
        cache_of(one, directory)
        with pytest.raises(ValueError, match="is of other towers"):
            cache_of(other, directory)


def test_models_and_caches_from_before_are_as_they_were(stage, tmp_path):
    model, _ = build_model(stage.model)
    assert model.config.min_side is None
    assert model.config.feature_fingerprints == model.config.tower_fingerprints == [model.towers[0].fingerprint()]
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config.pop("scaled_decode", None)
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    assert type(model).from_pretrained(str(tmp_path)).config.min_side is None


def test_the_tower_with_the_largest_pictures_decides(stage):
    model, _ = build_model(scaled(stage).model)
    tower = model.config.towers[0]
    model.config.towers = [tower, {**tower, "image_size": 448}, tower]
    assert model.config.min_side == 448
    model.config.tower_fingerprints = ["a", "b", "c"]
    assert model.config.feature_fingerprints == ["a-scaled-448", "b-scaled-448", "c-scaled-448"]


def test_workers_of_the_recipe_read_and_a_run_goes_on(stage, tiny_model, tmp_path):
    model, processor = tiny_model
    stage = stage.model_copy(update={"features": str(tmp_path / "features"), "workers": 2})
    cache = build_features(stage, model)
    loader = feed(stage, model, processor)
    assert loader.workers == 2
    whole = list(islice(loader, 9))
    assert {item.place for item in whole} == {"0/0", "0/1"}
    assert torch.equal(whole[3].value.features[0][0], cache.get(image_key(PHOTO))[0])
    first = feed(stage, model, processor)
    begun = list(islice(first, 4))
    rest = list(islice(feed(stage, model, processor, cursor=first.cursor), 5))
    assert [(i.place, i.key) for i in begun + rest] == [(i.place, i.key) for i in whole]


def test_too_few_shards_for_the_workers_are_refused_before_the_first_step(stage, tiny_model):
    stage = stage.model_copy(update={"workers": 2})
    with pytest.raises(ValueError, match="2 shards for 2 ranks x 2 workers = 4 readers: each needs a shard of its own"):
        feed(stage, *tiny_model, rank=1, ranks=2)


def test_float16_is_refused_since_nothing_scales_its_loss(tiny_stage):
    recipe = tiny_stage.model_copy(update={"model": tiny_stage.model.model_copy(update={"dtype": "float16"})})
    with pytest.raises(ValueError, match=r"no loss scaling here; train with dtype = \"bfloat16\""):
        model_for(recipe, None)


STAGE = {"out": "x", "steps": 1, "data": {"a": {"shards": "s"}}}


@pytest.mark.parametrize(
    ("attention", "asked", "expected"),
    [
        ("varlen", None, None),
        ("sdpa", None, 'attention "sdpa" would need a mask'),
        ("eager", None, 'attention "eager" would need a mask'),
        ("varlen", False, "packing = false"),
        ("sdpa", True, None),
    ],
)
def test_rows_are_packed_where_the_attention_keeps_them_apart(tiny_model, attention, asked, expected):
    model, _ = tiny_model
    model.language_model.set_attn_implementation(attention)
    found = why_padded(parse({**STAGE, "packing": asked}, StageRecipe), model)
    assert found is None if expected is None else expected in found
    assert why_padded(parse({**STAGE, "packing": asked, "objective": "words"}, StageRecipe), model)


def test_what_cannot_be_packed_is_not(tiny_model):
    """Layers that mix neighbours: known by their names, and found where nothing is named."""
    model, _ = tiny_model
    decoder = model.language_model.get_decoder()
    stage = parse(STAGE, StageRecipe)
    hook = decoder.layers[0].register_forward_hook(lambda module, inputs, out: out + 0.5 * out.roll(1, dims=1))
    assert "mix the conversations" in why_padded(stage, model)
    with pytest.raises(ValueError, match=r"packing = true, but .* would mix .* leave `packing` out"):
        why_padded(stage.model_copy(update={"packing": True}), model)
    hook.remove()
    assert why_padded(stage, model) is None
    model.language_model.config.layer_types = ["conv", "full_attention"]
    assert "layers (conv)" in why_padded(stage, model)


def test_epochs_are_counted_over_all_sources(tiny_stage, tiny_data, tmp_path):
    """24 conversations by their card, and five without pictures in a shard without one."""
    shard = tmp_path / "alone" / "a.tar"
    shard.parent.mkdir()
    turns = (Turn("user", "Is ice cold?"), Turn("assistant", "Yes", (), "positive", "fact", "en"))
    write_shard(shard, [(Conversation(str(number), turns), {}) for number in range(5)])
    data = {"all": {"shards": str(tiny_data / "stage2")}, "more": {"shards": str(shard)}}
    fields = {**tiny_stage.model_dump(exclude={"steps"}), "data": data, "epochs": 1.5, "batch_size": 4}
    counted = with_steps(parse(fields, StageRecipe))
    assert (counted.steps, counted.epochs) == (math.ceil(1.5 * 29 / 4), None)
    assert with_steps(counted) is counted
