"""One server of a tiny model for all tests of the room, with limits that are small enough to be met."""

from dataclasses import dataclass
from typing import Any

import pytest
from serving import LIMITS

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.model.build import build_model
from skymm.serve.engine import Engine
from skymm.serve.server import Server, running


@dataclass
class Served:
    url: str
    answerer: SkyMMAnswerer
    engine: Engine
    server: Server


@pytest.fixture(scope="session")
def tiny_answerer(tiny_model_recipe: Any) -> SkyMMAnswerer:
    model, processor = build_model(tiny_model_recipe)
    model.generation_config.eos_token_id = None  # random weights like to stop at once
    return SkyMMAnswerer(model, processor, max_new_tokens=24)


@pytest.fixture(scope="session")
def served(tiny_answerer: SkyMMAnswerer) -> Any:
    with Engine(tiny_answerer, max_batch=8) as engine:
        server = Server(engine, "tiny", limits=LIMITS)
        with running(server) as url:
            yield Served(url, tiny_answerer, engine, server)
