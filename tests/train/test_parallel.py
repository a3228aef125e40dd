"""Two processes learn what one does, and nothing that they do not share makes one wait for the other for ever."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from launching import launch, losses
from safetensors.torch import load_file

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shards
from skymm.data.shards import conversation_of, read_shard
from skymm.data.stream import Cursor
from skymm.train import parallel
from skymm.train.loop import train
from skymm.train.parallel import Totals, open_accelerator
from skymm.train.parts import mixture_of, share_of

FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true"}


def on(recipe, shards, **changes):
    lora = recipe.model.lora.model_copy(update={"dropout": 0.0})
    source = recipe.data["instructions"].model_copy(update={"shards": str(shards)})
    model = recipe.model.model_copy(update={"lora": lora})
    return recipe.model_copy(update={"model": model, "data": {"a": source}, **changes})


def first_sample(recipe):
    sample = next(read_shard(Path(recipe.data["instructions"].shards) / "stage2-00000.tar"))
    return conversation_of(sample), sample.members["jpg"]


def test_two_processes_learn_what_one_does_and_uneven_shards_do_not_hang(tiny_stage, tmp_path):
    """Uneven: three shards of 1, 3 and 5 samples for two readers, one of them without any image."""
    same = with_the_same_samples(tiny_stage, tmp_path)
    conversation, picture = first_sample(tiny_stage)
    words = (Turn("user", "你好"), Turn("assistant", "Hello.", language="en"))
    for number, (count, image) in enumerate(((1, True), (3, False), (5, True))):
        turns = conversation.turns if image else words
        samples = [(Conversation(f"{number}-{i}", turns), {"jpg": picture} if image else {}) for i in range(count)]
        write_shards(samples, tmp_path / "shards" / str(number), "s")
    changes = {"out": f"{tiny_stage.out}-uneven", "steps": 20, "batch_size": 2}
    uneven = on(tiny_stage, tmp_path / "shards", **changes)
    alone, two = train(same, quiet=True), same.model_copy(update={"out": f"{same.out}-two"})
    launch(tmp_path, 29533, two, uneven)
    assert_learned_alike(alone, Path(two.out), dealt_out=False)
    images = [line["images"] for line in losses(uneven.out)]
    assert len(images) == 20 and 1 in images, "in some step one rank had a picture and the other had none"


def test_two_processes_that_share_the_llm_learn_what_one_does(tiny_stage, tmp_path):
    same = with_the_same_samples(tiny_stage, tmp_path)
    alone = train(same, quiet=True)
    again = {"gradient_checkpointing": True}  # computed twice, which changes nothing
    two = same.model_copy(update={"out": f"{same.out}-two", **again})
    launch(tmp_path, 29534, two, **FSDP2)
    assert_learned_alike(alone, Path(two.out), dealt_out=True)


def with_the_same_samples(recipe, folder):
    """Same samples per step are not promised across rank counts, so one shared conversation is used by all."""
    conversation, picture = first_sample(recipe)
    copies = [(Conversation(f"{index}", conversation.turns), {"jpg": picture}) for index in range(8)]
    write_shards(copies, folder / "same", "same", max_samples=2)
    return on(recipe, folder / "same", steps=4, save_every=2)


def assert_learned_alike(alone, two, *, dealt_out):
    assert json.loads((two / "run.json").read_text("utf-8"))["llm_dealt_out"] == dealt_out
    for one, other in zip(losses(alone), losses(two), strict=True):
        assert one["labels"] == other["labels"] and one["samples"] == other["samples"] == 4
        assert one["loss"] == pytest.approx(other["loss"], rel=5e-6)  # sums in another order, and Adam in between
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=5e-6)
    for file in ("resampler.safetensors", "lora/adapter_model.safetensors"):
        for key, tensor in load_file(alone / file).items():
            torch.testing.assert_close(tensor, load_file(two / file)[key], rtol=1e-4, atol=1e-5)


def test_another_number_of_processes_is_refused_with_what_to_do_instead(tiny_stage):
    cursor = Cursor(seed=0, ranks=1, workers=1, fingerprint="x")
    two = SimpleNamespace(process_index=0, num_processes=2)
    with pytest.raises(
        ValueError, match=r"1 ranks x 1 workers, this run has 2 x 1.*init=RUN out=ANOTHER first_epoch=N"
    ):
        mixture_of(tiny_stage, None, two, cursor, Path("RUN"))


def test_processes_that_would_not_know_of_each_other_are_refused(monkeypatch):
    """accelerate's DeepSpeed launcher without a GPU starts two, and each takes itself for the only one."""
    assert open_accelerator().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="started 2 processes, but accelerate sees 1"):
        open_accelerator()


def test_deepspeed_is_refused_with_what_to_use_instead(monkeypatch):
    found = SimpleNamespace(distributed_type=DistributedType.DEEPSPEED, num_processes=1)
    monkeypatch.setattr(parallel, "Accelerator", lambda: found)
    with pytest.raises(ValueError, match=r"ZeRO has nothing to cut up.*8_gpus\.yaml.*fsdp2\.yaml"):
        open_accelerator()


def test_a_batch_that_cannot_be_dealt_out_is_refused():
    with pytest.raises(ValueError, match="batch_size 3 cannot be dealt out evenly to 2 processes"):
        share_of(3, SimpleNamespace(num_processes=2))


def test_losses_are_told_apart_by_language_and_polarity():
    totals = Totals()
    totals.add_losses([1.0, 2.0, 3.0, 4.0], [("en", "caption", 1), ("zh", "negative", 2), ("fr", "", 1)])
    assert totals.means() == {
        "loss": 2.5,
        "loss_en": 1.0,
        "loss_zh": 2.5,
        "loss_unknown_language": 4.0,
        "loss_positive": 1.0,
        "loss_negative": 2.5,
        "loss_unknown_polarity": 4.0,
    }
    totals.add_losses(15.0, [("en", "positive", 2)])
    assert totals.means()["loss"] == 25 / 6 and totals.means()["loss_en"] == 1.0, "a sum belongs to no group"


def test_packed_bytes_are_not_dealt_out(monkeypatch):
    monkeypatch.setattr(parallel, "_fsdp", lambda accelerator: object())
    model = SimpleNamespace(config=SimpleNamespace(quantization="nf4"))
    with pytest.raises(ValueError, match="'nf4' with FSDP2: packed bytes cannot be dealt out"):
        parallel.deal_out(model, None)


def test_an_llm_that_is_trained_is_not_dealt_out(monkeypatch, tiny_model):
    monkeypatch.setattr(parallel, "_fsdp", lambda accelerator: object())
    tiny_model[0].freeze_for(["lora", "llm"])
    with pytest.raises(ValueError, match="nothing of the LLM is left to deal out"):
        parallel.deal_out(tiny_model[0], None)
