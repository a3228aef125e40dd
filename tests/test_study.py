"""A study: arms trained and asked once, numbers and differences that are right."""

from __future__ import annotations

import json
import re

import pytest
from evaluation.test_probe import shards

from skymm import study as module
from skymm.evaluation import probe
from skymm.evaluation.predictions import read_lines
from skymm.recipe import parse
from skymm.recipe.study import StudyRecipe
from skymm.study import study


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(module, "NUM_RESAMPLES", 25)  # each scores everything anew; an interval needs no more to be one


@pytest.fixture
def plan(tmp_path, tiny_stage, tiny_data) -> dict:
    stage = tmp_path / "stage.toml"
    shards, model = tiny_data / "stage2", tiny_stage.model
    stage.write_text(
        f"""
steps = 1
batch_size = 2
out = "nowhere"
[data.it]
shards = "{shards}"
""",
        "utf-8",
    )
    asked = tmp_path / "asked.toml"
    asked.write_text(f'benchmark = "held_out"\nroot = "{shards}/stage2-00000.tar"\nmax_new_tokens = 2\n', "utf-8")
    parts = [f"model.llm={model.llm}", f"model.towers=[{str(model.towers[0])!r}]", "model.dtype=float32"]
    parts += ["model.resampler={num_latents = 6, num_layers = 1, num_heads = 2, width = 16}"]
    return {
        "seeds": [0, 1],
        "stages": {
            "first": {"recipe": str(stage), "set": parts},
            "positives": {"recipe": str(stage), "after": "first", "set": ["negative_share=0.0"]},
        },
        "benchmarks": {
            "held_out": {"recipe": str(asked), "mode": "logits", "metrics": {"yes_ratio": "yes", "auroc": "AUROC"}},
            "blank": {"recipe": str(asked), "mode": "logits", "pictures": "blank", "metrics": {"yes_ratio": "yes"}},
        },
        "arms": {"captions only": {"model": "first"}, "+ positives": {"model": "positives"}},
    }


def test_a_study_trains_and_asks_once(tmp_path, plan, monkeypatch, capsys):
    page = study(parse(plan, StudyRecipe), tmp_path / "out")
    text = page.read_text("utf-8")
    assert "+ positives" in text and text.count("<svg viewBox") == 2
    rows = json.loads((tmp_path / "out" / "study.json").read_text("utf-8"))
    assert [(one["arm"], one["metric"]) for one in rows[:4]] == [
        *(("captions only", key) for key in ("yes_ratio", "auroc")),
        *(("+ positives", key) for key in ("yes_ratio", "auroc")),
    ]
    assert rows[0]["difference"] is None and rows[2]["difference"] is not None and len(rows[0]["seeds"]) == 2
    answers = tmp_path / "out" / "seed1" / "answers" / "positives"
    seen = {name.split("-")[0]: read_lines(answers / name) for name in ("held_out", "blank-blank")}
    assert seen["held_out"][0]["logits"] != seen["blank"][0]["logits"], "blank pictures were asked about"
    assert "| + positives |" in capsys.readouterr().out
    texts = [line["question"] for line in seen["blank"]]
    assert len(texts) == len(set(texts)) < len(seen["held_out"]) and set(texts) == {
        line["question"] for line in seen["held_out"]
    }, "no wording is asked twice of a blank picture"
    # Again, with one arm more: nothing is trained that is there.
    trained = []
    import skymm.train.loop as loop

    real = loop._Run.to_the_end
    monkeypatch.setattr(
        loop._Run, "to_the_end", lambda run, **options: (trained.append(run.out.name), real(run, **options))
    )
    plan["stages"]["again"] = {**plan["stages"]["positives"], "set": ["learning_rate=0.1"]}
    plan["arms"]["more"] = {"model": "again", "against": "+ positives", "benchmarks": ["held_out"]}
    study(parse(plan, StudyRecipe), tmp_path / "out")
    assert trained == ["again", "again"]
    rows = json.loads((tmp_path / "out" / "study.json").read_text("utf-8"))
    assert {one["benchmark"] for one in rows if one["arm"] == "more"} == {"held_out"}
    assert not (tmp_path / "out" / "seed0" / "answers" / "more" / "blank-blank").exists()
    assert capsys.readouterr().out.splitlines()[-1].endswith("| – |")


def test_what_eyes_hold_is_told_below_the_table_and_found_out_once(tmp_path, plan, monkeypatch, capsys):
    known = shards(tmp_path / "known", 1, 40)
    asked = {**plan["benchmarks"]["held_out"], "set": [f"root={known}"], "probe": [known]}
    plan["benchmarks"] = {"held_out": asked}
    plan |= {"seeds": [0], "arms": {"it": {"model": "first"}}}
    page = study(parse(plan, StudyRecipe), tmp_path / "out")
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"it, held_out, seed 0: towers, linear probe: AUROC [01]\.\d+ \(.*\); latents: AUROC .*", line)
    assert line in page.read_text("utf-8")
    monkeypatch.setattr(probe, "fit", None)  # not called again
    study(parse(plan, StudyRecipe), tmp_path / "out")
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_numbers_are_means_over_seeds_and_differences_are_paired(tmp_path, plan):
    """What is computed from answers that are made up: one arm is right about one picture more in each seed."""
    study(parse({**plan, "benchmarks": {"held_out": plan["benchmarks"]["held_out"]}}, StudyRecipe), tmp_path / "out")
    for seed in (0, 1):
        for arm in ("captions_only", "positives"):
            path = tmp_path / "out" / f"seed{seed}" / "answers" / arm / "held_out" / "predictions.jsonl"
            lines = read_lines(path)
            for place, line in enumerate(lines):
                right = arm == "positives" or place % (2 + seed) == 0
                line["response"] = "Yes" if right == (line["gold"] == "yes") else "No"
            path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    plan["benchmarks"] = {"held_out": {**plan["benchmarks"]["held_out"], "metrics": {"accuracy": "accuracy"}}}
    module.report(parse(plan, StudyRecipe), tmp_path / "out")
    assert "Means over seeds 0, 1" in (tmp_path / "out" / "study.html").read_text("utf-8")
    chinese = module.report(parse(plan, StudyRecipe), tmp_path / "out", "zh").read_text("utf-8")
    assert "各随机种子（0, 1）的平均值" in chinese and "对比研究" in chinese
    first, second = json.loads((tmp_path / "out" / "study.json").read_text("utf-8"))
    assert first["value"][0] == pytest.approx(sum(first["seeds"]) / 2) and set(second["seeds"]) == {1.0}
    value, low, high = second["difference"]
    assert value == pytest.approx(1 - first["value"][0]) and 0 < low <= value <= high


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"arms": {"a": {"model": "first", "benchmarks": ["blank"]}, "b": {"model": "first"}}},
            r"arms.b is compared with 'a', which is not asked 'held_out'",
        ),
        (
            {"arms": {"a": {"model": "first", "benchmarks": ["blnak"]}}},
            r"arms.a.benchmarks is 'blnak', expected one of held_out, blank",
        ),
        ({"arms": {"a": {"model": "frist"}}}, r"arms.a.model is 'frist', expected one of first, positives"),
        ({"pairs": {"first": {"model": "first", "shards": "x", "ways": ["rule"]}}}, r"'first' names a stage and pairs"),
    ],
)
def test_names_that_are_not_there_are_told(plan, change, told):
    with pytest.raises(ValueError, match=told):
        parse({**plan, **change}, StudyRecipe)


def test_a_model_that_is_there_already_is_an_arm(tmp_path, plan, tiny_model):
    for part in tiny_model:
        part.save_pretrained(tmp_path / "model")
    arms = {"ready": {"model": str(tmp_path / "model")}}
    study(parse({**plan, "stages": {}, "arms": arms, "seeds": [0]}, StudyRecipe), tmp_path / "out")
    assert (tmp_path / "out" / "seed0" / "answers" / "ready" / "held_out").is_dir()
    with pytest.raises(ValueError, match=r"arms\.a\.model is 'nowhere', expected one of first, positives"):
        parse({**plan, "arms": {"a": {"model": "nowhere"}}}, StudyRecipe)


def test_a_circle_is_told(tmp_path, plan):
    plan["stages"]["first"]["after"] = "positives"
    with pytest.raises(ValueError, match="a circle: first -> positives -> first"):
        study(parse(plan, StudyRecipe), tmp_path / "out")
