"""Tiny real parts, made once per test run: an LLM with a byte tokenizer, towers, shards of emoji scenes."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here is on a hub, and asking it takes a minute where there is no network
if "PYTEST_XDIST_WORKER" in os.environ:  # one process per processor already; before torch is loaded
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import elsewhere
import pytest
from hypothesis import settings
from tiny_parts import save_tiny_clip, save_tiny_dinov2, save_tiny_llm, save_tiny_matcher, save_tiny_vlm

from skymm.recipe import EmojiScenesRecipe, ModelRecipe, StageRecipe, parse

settings.register_profile("patient", deadline=None)  # the first example loads dictionaries, on a busy machine
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    gc.freeze()  # what is imported by now stays, and need not be looked through again and again
    if "PYTEST_XDIST_WORKER" in os.environ:  # else it is started when it is wanted
        forkserver.set_forkserver_preload(elsewhere.PRELOAD)
        forkserver.ensure_running()


EMOJI = list("🐼🐈🐕🦋🐧🍌")


@pytest.fixture(scope="session", autouse=True)
def _one_thread_is_enough() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llm(tmp_path_factory.mktemp("llm"))


@pytest.fixture(scope="session")
def tiny_tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("tower"))


@pytest.fixture(scope="session")
def tiny_second_tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_dinov2(tmp_path_factory.mktemp("second-tower"))


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vlm(tmp_path_factory.mktemp("vlm"))


@pytest.fixture(scope="session")
def tiny_matcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_matcher(tmp_path_factory.mktemp("matcher"))


@pytest.fixture(scope="session")
def tiny_model_recipe(tiny_llm: Path, tiny_tower: Path) -> ModelRecipe:
    return ModelRecipe(
        llm=str(tiny_llm),
        towers=[str(tiny_tower)],
        resampler={"num_latents": 6, "num_layers": 1, "num_heads": 2, "width": 16},
        lora={"rank": 2, "alpha": 4, "dropout": 0.1},
        dtype="float32",
    )


@pytest.fixture
def tiny_model(tiny_model_recipe: ModelRecipe):
    """(model, processor), freshly built."""
    from skymm.model.build import build_model

    return build_model(tiny_model_recipe)


@pytest.fixture(scope="session")
def tiny_data_recipe() -> EmojiScenesRecipe:
    return EmojiScenesRecipe(source="emoji_scenes", concepts=EMOJI, num_images=24, images_per_shard=5, bench_images=2)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory, tiny_data_recipe: EmojiScenesRecipe) -> Path:
    """stage1, stage2 (five uneven shards each) and the benchmarks."""
    from skymm.curation.emoji_scenes.dataset import build

    return build(tiny_data_recipe, tmp_path_factory.mktemp("data"))


@pytest.fixture
def tiny_stage(tmp_path: Path, tiny_model_recipe: ModelRecipe, tiny_data: Path) -> StageRecipe:
    """Ten steps of stage 2 from new weights, a checkpoint every three."""
    data = {
        "out": str(tmp_path / "run"),
        "model": tiny_model_recipe.model_dump(),
        "data": {"instructions": {"shards": str(tiny_data / "stage2")}},
        "steps": 10,
        "batch_size": 4,
        "save_every": 3,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
    }
    return parse(data, StageRecipe)


@pytest.fixture
def skymm(monkeypatch):
    """The console entry, in this process."""

    from skymm import cli

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["skymm", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            cli.main()
        return SimpleNamespace(returncode=left.value.code, stdout=out.getvalue(), stderr=err.getvalue())

    return run
