"""A linear reader of a tower's features: it finds what can be told by looking, and nothing where nothing can be."""

from __future__ import annotations

import io
import random

import pytest
import torch
from PIL import Image

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shard
from skymm.evaluation import probe
from skymm.evaluation.benchmark import benchmark
from skymm.recipe import EvalRecipe

ASKED = (("dog", "Is there a dog in the picture?", "Yes.", "No."), ("cat", "图里有猫吗？", "有。", "没有。"))
LIKE = {"dog": (230, 30, 30), "cat": (30, 30, 230)}


def picture(rng: random.Random, there: set[str]) -> bytes:
    image = Image.new("RGB", (32, 32), tuple(rng.randrange(90, 160) for _ in range(3)))
    for name, left in (("dog", 0), ("cat", 16)):
        if name in there:
            image.paste(LIKE[name], (left, rng.randrange(16), left + 16, 32))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def shards(path, seed: int, number: int, shown=lambda rng: {name for name in LIKE if rng.random() < 0.5}, tells=True):
    """Pictures with and without a red thing that is called a dog, and a blue one that is called a cat."""
    rng, samples = random.Random(seed), []
    for key in range(number):
        there = shown(rng)
        facts = {"things": [{"name": name} for name in there], "absent": [*(LIKE.keys() - there)]}
        turns = []
        for name, question, yes, no in (
            ("dog", "Is there a dog in the picture?", "Yes.", "No."),
            ("cat", "图里有猫吗？", "有。", "没有。"),
        ):
            turns.append(Turn("user", question, () if turns else ("png",)))
            polarity = "positive" if name in there else "negative"
            turns.append(Turn("assistant", yes if name in there else no, (), polarity, "existence/random"))
        seen = there if tells else shown(rng)
        extra = {"facts": facts}
        samples.append((Conversation(f"{seed}-{key}", tuple(turns), extra), {"png": picture(rng, seen)}))
    path.mkdir()
    write_shard(path / "s.tar", samples)
    return str(path)


@pytest.fixture
def answerer(tiny_model):
    return SkyMMAnswerer(*tiny_model)


def questions(root: str):
    return benchmark("held_out").load(EvalRecipe(benchmark="held_out", root=root))


def test_what_can_be_seen_is_told_and_what_cannot_is_not(answerer, tmp_path):
    fitted = probe.fit(answerer, [shards(tmp_path / "train", 1, 120)])
    assert fitted.things == ("cat", "dog")
    seen, number = probe.judge(fitted, answerer, questions(shards(tmp_path / "new", 2, 60)))
    assert number == 120 and seen > 0.95
    blind, number = probe.judge(fitted, answerer, questions(shards(tmp_path / "blind", 3, 60, tells=False)))
    assert number == 120 and 0.3 < blind < 0.7


def test_only_what_is_known_to_be_there_and_not_to_be_there_is_learned(answerer, tmp_path):
    few = shards(tmp_path / "few", 1, 40, lambda rng: {"dog"} if rng.random() < 0.5 else set())
    fitted = probe.fit(answerer, [few])
    assert fitted.things == ("dog",)
    _, number = probe.judge(fitted, answerer, questions(shards(tmp_path / "new", 2, 10)))
    assert number == 10  # a cat is asked for as often
    always = shards(tmp_path / "always", 1, 10, lambda rng: {"dog", "cat"})
    with pytest.raises(ValueError, match="no thing that 5 images are known to show and 5 not"):
        probe.fit(answerer, [always])


def test_latents_that_are_the_word_name_it_in_its_own_language(answerer, tmp_path, monkeypatch):
    """A resampler that sees red as the English word for a dog and blue as the Chinese one for a cat."""
    model, tokenizer = answerer.model, answerer.tokenizer
    table = model.get_input_embeddings().weight.detach()
    words = [tokenizer.encode(text, add_special_tokens=False) for text in (" dog", "猫")]
    asked = questions(shards(tmp_path / "new", 2, 40))
    truth = {one.images[0]: set() for one in asked}
    for one in asked:
        if one.gold == "yes":
            truth[one.images[0]].add("dog" in one.text)
    pictures = iter(truth.values())

    def resampler(towers):
        latents = torch.zeros(len(towers[0]), 40, table.shape[1])
        for row in latents:
            ids = [id_ for is_dog in next(pictures) for id_ in words[0 if is_dog else 1]]
            row[: len(ids)] = table[ids]
        return latents

    monkeypatch.setattr(type(model.resampler), "forward", lambda self, towers: resampler(towers))
    found, number = probe.named(answerer, asked)
    assert number == 80 and found > 0.95
