"""Trackers get every number of every step, go on where a resumed run goes on, and are missed by name."""

import importlib.util
import json
from typing import get_args

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from skymm.recipe import StageRecipe, parse
from skymm.train import trackers
from skymm.train.parallel import open_accelerator

STAGE = {"out": "runs/x", "steps": 5, "data": {"a": {"shards": "s"}}}
NAMES = get_args(get_args(StageRecipe.model_fields["trackers"].annotation)[0])
LINE = {"step": 7, "loss": 1.5, "mfu": None, "labels": 40, "skipped": {"too long": 2}, "device": "cpu", "packed": True}


class Remembering(GeneralTracker):
    """Keeps what it is told."""

    name = "remembering"
    requires_logging_directory = False

    def __init__(self):
        super().__init__()
        self.config, self.steps, self.finished = None, [], False

    @property
    def tracker(self):
        return self.steps

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step=None, **kwargs):
        self.steps.append((step, values))

    def finish(self):
        self.finished = True


def stage(tmp_path, **changes):
    return parse({**STAGE, "out": str(tmp_path / "run"), **changes}, StageRecipe)


def test_every_number_of_a_step_arrives_under_its_step(tmp_path):
    seen = Remembering()
    accelerator = Accelerator(log_with=[seen])
    trackers.start(accelerator, stage(tmp_path))
    trackers.log(accelerator, LINE)
    trackers.log(accelerator, {**LINE, "step": 8})
    trackers.finish(accelerator)
    assert [step for step, _ in seen.steps] == [7, 8]
    assert seen.steps[0][1] == {"loss": 1.5, "labels": 40, "skipped/too long": 2}
    assert seen.finished and not accelerator.trackers
    assert seen.config["batch_size"] == 32 and seen.config["data.a.shards"] == "s"
    assert seen.config["languages"] == '["en", "zh"]', "trackers take no lists"


def test_without_trackers_nothing_is_opened_or_written(tmp_path):
    recipe = stage(tmp_path)
    accelerator = open_accelerator(**trackers.options_for(recipe))
    trackers.start(accelerator, recipe)
    trackers.log(accelerator, LINE)
    trackers.finish(accelerator)
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_is_the_same_run_and_a_new_one_is_another(tmp_path):
    accelerator = Accelerator()
    recipe = stage(tmp_path)
    first = trackers.identity(recipe, accelerator)
    assert trackers.identity(recipe, accelerator) == first and len(first) == 21
    assert trackers.identity(stage(tmp_path / "other"), accelerator) != first
    before, after = (trackers.options_of(recipe, first, step) for step in (0, 300))
    assert {name: before[name] for name in ("wandb", "swanlab", "trackio")} == {
        name: after[name] for name in ("wandb", "swanlab", "trackio")
    }
    assert all(after[name]["resume"] == "allow" for name in ("wandb", "swanlab", "trackio"))
    assert before["tensorboard"] == {} and after["tensorboard"] == {"purge_step": 301}
    assert set(before) == set(NAMES), "every tracker that a recipe may name"


def test_a_tracker_that_is_not_installed_is_named_with_what_to_do_before_anything_is_loaded(tmp_path, monkeypatch):
    for name in NAMES:
        monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
        with pytest.raises(ValueError, match=f"not installed: {name}; pip install {name}, or take"):
            trackers.options_for(stage(tmp_path, trackers=[name]))
        monkeypatch.setattr(importlib.util, "find_spec", lambda package: object())
        assert trackers.options_for(stage(tmp_path, trackers=[name]))["log_with"] == [name]


def test_tensorboard_shows_a_resumed_run_as_one(tmp_path):
    pytest.importorskip("tensorboard")
    recipe = stage(tmp_path, trackers=["tensorboard"])
    for start, end in ((0, 6), (4, 9)):  # killed after step 6, its last checkpoint is of step 4
        accelerator = open_accelerator(**trackers.options_for(recipe))
        trackers.start(accelerator, recipe, step=start)
        for step in range(start + 1, end + 1):
            trackers.log(accelerator, {"step": step, "loss": 1 / step})
        trackers.finish(accelerator)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "trackers" / "skymm"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 10))


def test_an_unknown_tracker_is_refused_by_the_recipe():
    with pytest.raises(ValueError, match=r"'trackers.0' is 'excel': input should be 'tensorboard'"):
        parse({**STAGE, "trackers": ["excel"]}, StageRecipe)


def test_settings_are_plain(tmp_path):
    assert json.dumps(trackers.settings(stage(tmp_path)))
    assert all(isinstance(value, str | int | float) for value in trackers.settings(stage(tmp_path)).values())
