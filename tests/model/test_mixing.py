"""Mixtures of features: two towers of other kinds, other grids and other pictures, in each of the three ways."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.model.build import build_model, open_model
from skymm.model.checkpoint import relocate
from skymm.recipe import StageRecipe, parse
from skymm.train import loop
from skymm.train.features import build_features
from skymm.train.runlog import read_log

MIXINGS = {
    "joint": {},
    "interleaved": {"mixing": "interleaved"},
    "additive": {"mixing": "additive", "weights": [1.0, 3.0]},
}


@pytest.fixture(params=MIXINGS)
def stage(request, tiny_stage, tiny_second_tower):
    data = tiny_stage.model_dump()
    data["model"]["towers"].append(str(tiny_second_tower))
    data["model"]["resampler"] |= MIXINGS[request.param]
    return parse(data | {"steps": 3}, StageRecipe)


def test_it_trains_from_pixels_as_from_features_and_answers_as_it_did_when_opened_again(stage, tmp_path, tiny_tower):
    assert "training resampler" in loop.check(stage) and not (tmp_path / "run").exists()
    model, _ = build_model(stage.model, seed=stage.seed)
    cached = stage.model_copy(update={"features": str(tmp_path / "features"), "out": str(tmp_path / "cached")})
    build_features(cached, model)
    computed, stored = (read_log(loop.train(one, quiet=True)) for one in (stage, cached))
    for one, other in zip(stored, computed, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.01)
    before, after = model.resampler.state_dict(), load_file(tmp_path / "run" / "resampler.safetensors")
    assert before.keys() == after.keys() and not [name for name in after if torch.equal(before[name], after[name])]

    trained, processor = open_model(tmp_path / "run")
    picture = Image.linear_gradient("L").convert("RGB")
    picture.save(tmp_path / "picture.png")
    shown = (tmp_path / "picture.png").read_bytes()
    said = SkyMMAnswerer(trained, processor).answer_one("Is it red?", shown)
    with torch.no_grad():
        latents = trained.get_image_features(processor.pixels([picture])).last_hidden_state
    trained.save_pretrained(tmp_path / "again")
    processor.save_pretrained(tmp_path / "again")
    moved = [str(tiny_tower.rename(tmp_path / "moved")), trained.config.towers[1]["name"]]
    try:
        relocate(tmp_path / "again", towers=moved)
        again, same = open_model(tmp_path / "again")
    finally:
        (tmp_path / "moved").rename(tiny_tower)
    assert (
        again.config.resampler
        == trained.config.resampler
        == stage.model.resampler.model_dump(exclude={"frame_latents"})
    )
    with torch.no_grad():
        assert torch.equal(again.get_image_features(same.pixels([picture])).last_hidden_state, latents)
    assert SkyMMAnswerer(again, same).answer_one("Is it red?", shown) == said


def test_a_model_from_before_there_were_mixtures_is_joint(tiny_model_recipe, tiny_second_tower, tmp_path):
    recipe = tiny_model_recipe.model_copy(update={"towers": [*tiny_model_recipe.towers, str(tiny_second_tower)]})
    model, processor = build_model(recipe)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["resampler"]["mixing"], config["resampler"]["weights"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    pixels = processor.pixels([Image.linear_gradient("L").convert("RGB")])
    with torch.no_grad():
        seen, again = (one.get_image_features(pixels).last_hidden_state for one in (model, open_model(tmp_path)[0]))
        assert torch.equal(again, seen)
