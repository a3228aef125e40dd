"""Logits mode says how far it agrees with writing."""

import json

import pytest
from parrot import Parrot

from skymm.answering.protocol import Reply
from skymm.evaluation.run import AGREEMENT, agreement, run
from skymm.recipe import EvalRecipe


class TwoFaced(Parrot):
    """Chooses yes; writes 是的, no, or nothing readable by the number of the question's image."""

    def answer(self, asks, mode):
        for index, ask in enumerate(asks):
            self.asked.append(ask)
            written = ("是的，有。", "No.", "blue")[hash(ask.id.split("/")[1][:3]) % 3] if mode == "generate" else "Yes"
            yield index, Reply(written)


@pytest.fixture
def recipe(tiny_data):
    return EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"), batch_size=4)


def test_agreement_counts_verdicts_not_letters(recipe, tmp_path):
    answerer = TwoFaced()
    path = run(recipe, answerer, tmp_path, mode="logits")
    asked = len(answerer.asked)
    found = agreement(recipe, answerer, path, num_sampled=10)
    written = [("是的，有。", "No.", "blue")[hash(ask.id.split("/")[1][:3]) % 3] for ask in answerer.asked[asked:]]
    assert found.num_sampled == len(written) == 10
    assert found.num_equal == written.count("是的，有。") and found.num_unknown == written.count("blue")
    assert f"agree on {found.num_equal} of 10" in found.sentence
    assert json.loads((tmp_path / AGREEMENT).read_text())["num_sampled"] == 10
    asked = len(answerer.asked)
    assert agreement(recipe, answerer, path, num_sampled=10) == found and len(answerer.asked) == asked


def test_a_sample_is_never_larger_than_the_benchmark(recipe, tmp_path):
    path = run(recipe, Parrot(), tmp_path, mode="logits")
    found = agreement(recipe, Parrot(lambda ask: "No"), path, num_sampled=10_000)
    assert (found.num_equal, found.num_sampled) == (0, len(path.read_text("utf-8").splitlines()))
