"""Pairs of answers: the loss is the published one, a gradient hangs on nothing but its pair, and a stopped run goes on."""

import io
import json
import os
import pickle
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from elsewhere import Elsewhere
from launching import command, losses
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.modeling_utils import AttentionInterface

from skymm.conversation import BadSample, Conversation, Turn
from skymm.data.shard_writing import write_shards
from skymm.files import Journal
from skymm.model import attention
from skymm.model.build import build_model, open_model
from skymm.recipe import StageRecipe, parse
from skymm.train import loop, reference
from skymm.train.features import build_features
from skymm.train.loop import check, train
from skymm.train.objectives import objective_of
from skymm.train.objectives.preference import Preference
from skymm.train.parts import cutter, mixture_of, optimizer_for, preparation, why_padded
from skymm.train.run_page import write_page
from skymm.train.runlog import read_log
from skymm.train.step import losses_of

ALONE = SimpleNamespace(process_index=0, num_processes=1, device=torch.device("cpu"), is_main_process=True)
ALL = {"beta": 0.3, "image_weight": 0.7, "damage_step": 600, "anchor_weight": 0.4, "sft_weight": 0.2}
ASKED, NO, YES = "Is there a cat?", "No, there is no cat.", "Yes, there is a cat."


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pair(index: int) -> tuple[Conversation, dict[str, bytes]]:
    """Every third has had a question before, every fourth two pictures, every fifth none; Chinese every other time."""
    names = () if index % 5 == 0 else ("a.png", "b.png") if index % 4 == 0 else ("a.png",)
    before = (Turn("user", "Hi"), Turn("assistant", "Hello", language="en")) if index % 3 == 0 else ()
    asked, chosen, rejected = ("有猫吗？", "没有猫。", "有，图里有一只猫。") if index % 2 else (ASKED, NO, YES)
    answer = Turn("assistant", chosen + "!" * (index % 7), (), "negative", "existence", "zh" if index % 2 else "en")
    turns = (*before, Turn("user", asked, names), answer)
    conversation = Conversation(f"{index:03d}", turns, {"rejected": rejected, "error": "existence"})
    return conversation, {name: picture(10 * index + place) for place, name in enumerate(names)}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("pairs")
    write_shards(map(pair, range(1, 17)), directory / "train", "pairs", max_samples=4)
    write_shards(map(pair, range(20, 24)), directory / "held_out", "pairs")
    return directory


@pytest.fixture(scope="module")
def init(tmp_path_factory, tiny_model_recipe) -> Path:
    """A model whose LoRA has learned something: one without it is another model."""
    model, processor = build_model(tiny_model_recipe)
    stir(model)
    directory = tmp_path_factory.mktemp("init")
    for part in (model, processor):
        part.save_pretrained(directory)
    return directory


def stir(model, std: float = 0.1) -> None:
    with torch.no_grad():
        for name, parameter in model.language_model.named_parameters():
            if "lora_B" in name:
                parameter.add_(torch.randn_like(parameter) * std)


@pytest.fixture
def stage(tmp_path, pairs, init) -> StageRecipe:
    data = {
        "out": str(tmp_path / "run"),
        "init": str(init),
        "objective": "preference",
        "data": {"pairs": {"shards": str(pairs / "train")}},
        "steps": 6,
        "batch_size": 4,
        "save_every": 2,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
    }
    return parse(data, StageRecipe)


def with_terms(stage: StageRecipe, **terms) -> StageRecipe:
    return stage.model_copy(update={"preference": stage.preference.model_copy(update=terms)})


def items_of(stage, model, processor, count=8):
    walk = iter(mixture_of(stage, preparation(stage, model, processor), ALONE, None, None))
    return [next(walk) for _ in range(count)]


# --- the loss ---------------------------------------------------------------------------------------------------------


def log_prob(model, segment, pixels) -> torch.Tensor:
    """From full logits of one conversation in a row of its own."""
    ids, labels = torch.tensor([segment.ids]), torch.tensor(segment.labels)
    logits = model(ids, pixel_values=pixels).logits[0, :-1].float()
    wanted = labels[1:] != -100
    return -F.cross_entropy(logits[wanted], labels[1:][wanted], reduction="none")


def compared(stage):
    """Policy and reference that differ, pairs, and what the reference says of them, one forward pass each."""
    model, processor = open_model(stage.init, attention="auto")
    start, _ = open_model(stage.init)
    torch.manual_seed(3)
    stir(model)
    items = items_of(stage, model, processor)
    known = {}
    with torch.no_grad():
        for example in (item.value for item in items):
            chosen, rejected = example.segments
            shown = [(chosen, example.pixels), (rejected, example.pixels)]
            shown += [(chosen, example.damaged)] if example.damaged else []
            known[example.name] = [float(log_prob(start, *one).sum()) for one in shown] + [0.0] * (3 - len(shown))
    return model, start, processor, items, known


def test_the_loss_is_the_published_one_term_by_term(stage):
    stage = with_terms(stage, **ALL)
    model, _, processor, items, known = compared(stage)
    terms, expected = stage.preference, []
    with torch.no_grad():
        for example in (item.value for item in items):
            r_chosen, r_rejected, r_damaged = known[example.name]
            said = log_prob(model, example.segments[0], example.pixels)
            chosen = said.sum() - r_chosen
            rejected = log_prob(model, example.segments[1], example.pixels).sum() - r_rejected
            loss = -F.logsigmoid(terms.beta * (chosen - rejected)) - 0.4 * F.logsigmoid(terms.beta * chosen)
            loss -= 0.2 * said.mean()
            if example.damaged:
                damaged = log_prob(model, example.segments[0], example.damaged).sum() - r_damaged
                loss -= 0.7 * F.logsigmoid(terms.beta * (chosen - damaged))
            expected.append((example.name, float(loss)))
        (batch,) = cutter(stage, processor, packing=True, reference=known)(items)
        total, shown = losses_of(model, batch.to(torch.device("cpu")), objective_of(stage))
    expected = dict(expected)
    assert shown[:, 0].tolist() == pytest.approx([expected[name] for name in batch.names], abs=1e-5)
    assert float(total) == pytest.approx(sum(expected.values()), abs=1e-4) and batch.num_losses == 8
    # The question and its pictures stand in the row once for both answers, and a third time where they are damaged.
    assert batch.num_images == 2 * sum(len(item.value.segments[0].images) for item in items)
    for chosen, rejected in (item.value.segments for item in items):
        assert (
            rejected.shared == rejected.targets[0][1] - 1
            and chosen.ids[: rejected.shared + 1] == rejected.ids[: rejected.shared + 1]
        )


@pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL calls transformers by older names
def test_it_is_what_trl_computes_of_the_same_batch(stage, tmp_path):
    trl = pytest.importorskip("trl", reason="trl is not installed")
    import datasets

    model, start, processor, items, known = compared(stage)
    items = [item for item in items if len(item.value.segments[0].images) == 1]
    said = {"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}
    settings = trl.DPOConfig(output_dir=str(tmp_path), beta=0.1, bf16=False, use_cpu=True, report_to=[])
    options = {"train_dataset": datasets.Dataset.from_dict(said), "processing_class": processor.tokenizer}
    trainer = trl.DPOTrainer(model, ref_model=start, args=settings, **options)
    (batch,) = cutter(stage, processor, packing=False, reference=known)(items)
    order = [*range(0, 2 * len(items), 2), *range(1, 2 * len(items), 2)]  # TRL has all the chosen ones first
    inputs = {name: batch.inputs[name][order] for name in ("input_ids", "attention_mask")}
    inputs["completion_mask"] = (batch.inputs["labels"][order] != -100).long()
    inputs["pixel_values"] = torch.cat([batch.inputs["pixel_values"][0]] * 2)
    with torch.no_grad():
        expected = float(trainer._compute_loss(trainer.model, inputs, False))
        (packed,) = cutter(stage, processor, packing=True, reference=known)(items)
        found = [
            float(losses_of(model, one.to(torch.device("cpu")), objective_of(stage))[0]) / len(items)
            for one in (packed, batch)
        ]
    assert found == pytest.approx([expected] * 2, abs=1e-5) and abs(expected - 0.6931) > 1e-3


def test_a_pairs_gradient_does_not_depend_on_how_the_batch_was_cut(stage):
    stage = with_terms(stage, **ALL)
    model, _, processor, items, known = compared(stage)
    model.double().eval()  # without dropout
    model.freeze_for(stage.trains)
    optimizer = optimizer_for(model, stage)

    def gradient(packing=True, **cut):
        for batch in cutter(stage.model_copy(update=cut), processor, packing=packing, reference=known)(items):
            losses_of(model, batch.to(torch.device("cpu")), objective_of(stage))[0].backward()
        found = torch.cat([parameter.grad.flatten() for parameter in optimizer.parameters.values()])
        for parameter in optimizer.parameters.values():
            parameter.grad = None
        return found

    whole = gradient()
    assert whole.norm() > 0
    for cut in (
        {"micro_batch_size": 3},
        {"micro_batch_size": 1},
        {"micro_batch_tokens": 700},
        {"packing": False},
        {"packing": False, "micro_batch_size": 3},
    ):
        assert (gradient(**cut) - whole).norm() < 1e-6 * whole.norm(), cut


def test_where_two_answers_would_mix_each_has_a_row_of_its_own(stage, monkeypatch):
    model, _ = open_model(stage.init)
    assert why_padded(stage, model) is None

    def blind(*given, key_positions=None, **options):
        return attention.attention_forward(*given, **options)

    monkeypatch.setitem(AttentionInterface._global_mapping, "varlen", blind)
    assert "would mix two answers" in why_padded(stage, model)
    assert why_padded(stage.model_copy(update={"objective": "answers"}), model) is None


# --- what it is compared with -----------------------------------------------------------------------------------------


def weights(directory) -> dict[str, torch.Tensor]:
    return load_file(Path(directory) / "resampler.safetensors") | load_file(
        Path(directory) / "lora/adapter_model.safetensors"
    )


def test_it_learns_to_prefer_and_says_so(stage, pairs):
    stage = stage.model_copy(update={"steps": 30, "held_out": str(pairs / "held_out"), "held_out_every": 10})
    out = train(stage, quiet=True)
    lines = read_log(out)
    assert lines[0]["loss"] == pytest.approx(np.log(2), abs=0.05), "all but dropout is what it is compared with"
    assert lines[0]["labels"] == 4 and lines[0]["negative_share"] == 1
    last = lines[-1]
    assert last["loss"] < 0.3 and last["accuracy"] == 1 and last["reward_margin"] > 1
    assert last["reward_margin"] == pytest.approx(
        0.1 * (last["chosen_log_ratio"] - last["rejected_log_ratio"]), rel=1e-4
    )
    assert last["held_out_accuracy"] == 1 and last["held_out_reward_margin"] > 0 and "held_out_loss_zh" in last
    page = write_page(out).read_text("utf-8")
    assert "chosen answer gained more" in page and "Reward margin" in page


def test_it_is_compared_with_the_model_of_the_start_without_dropout(stage):
    stage = with_terms(stage, **ALL)
    _, model, processor, items, known = compared(stage)
    model.train()
    prepare = pickle.loads(pickle.dumps(preparation(stage, model, processor)))  # as data workers get it
    found = {}
    cut = cutter(stage, processor, packing=True, reference=found)
    reference.fill(found, stage, model, ALONE, prepare, cut, items[:2], begun=False, quiet=True)
    assert len(found) == 16 and model.training
    for name, values in known.items():
        assert found[name] == pytest.approx(values, abs=1e-4)


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", ["reference", "step"])
def test_killed_and_started_again_is_never_having_stopped(stage, pairs, monkeypatch, moment):
    """In the middle of what the reference says, and in the middle of the steps, in the second epoch."""
    stage = with_terms(stage, **ALL).model_copy(update={"held_out": str(pairs / "held_out"), "held_out_every": 3})
    stage = stage.model_copy(update={"steps": 4 if moment == "reference" else 6})
    whole = train(stage, quiet=True)
    stopped = stage.model_copy(update={"out": stage.out + "-stopped"})
    add, take_step, calls = Journal.add, loop.take_step, []

    def add_or_die(self, *entries):
        calls.append(entries)
        if len(calls) == 4:
            with self.path.open("a") as file:
                file.write(json.dumps(entries[0])[:60])  # a line cut short
            raise Killed
        return add(self, *entries)

    def step_or_die(*arguments):
        if arguments[-1] == 5:
            raise Killed
        return take_step(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        if moment == "reference":
            patch.setattr(Journal, "add", add_or_die)
        else:
            patch.setattr(loop, "take_step", step_or_die)
        train(stopped, quiet=True)
    asked = Counter()
    log_probs = Preference.log_probs

    def counted(self, model, inputs):
        asked[torch.is_grad_enabled()] += 1
        return log_probs(self, model, inputs)

    monkeypatch.setattr(Preference, "log_probs", counted)
    again = train(stopped, quiet=True)
    assert losses(again) == losses(whole)
    assert all(torch.equal(tensor, weights(whole)[name]) for name, tensor in weights(again).items())
    held_out, blocks = (1, 0) if moment == "step" else (2, 3)
    assert asked[False] == held_out + blocks, "what is known is not asked for again"


@pytest.mark.skipif("SKYMM_KILLS" not in os.environ, reason="takes half a minute; SKYMM_KILLS=1 runs it")
def test_sigkill_in_the_reference_pass_and_in_the_steps_is_never_having_stopped(stage):
    """Of a process, which gets no chance to close what it writes. The test above dies at the same places, but cleanly."""
    stage = with_terms(stage, **ALL).model_copy(update={"batch_size": 2, "steps": 24})
    undisturbed = train(stage, quiet=True)
    killed = stage.model_copy(update={"out": stage.out + "-killed"})
    line, journal = command(killed, Path(stage.out + ".toml")), Path(killed.out) / "checkpoints/reference-0.jsonl"

    def kill_when(begun, delay: float = 0) -> None:
        process = Elsewhere(line)
        while process.poll() is None and not begun():
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "this kill came too late to show anything"

    def walked() -> list[int]:
        return [block["walked"] for block in Journal(journal).entries[1:]] if journal.exists() else []

    kill_when(lambda: len(walked()) > 2)
    assert 0 < walked()[-1] < 48 and not read_log(killed.out), "in the middle of what the reference says"
    kill_when(lambda: len(read_log(killed.out)) > 2, random.Random(0).uniform(0, 0.1))
    assert walked()[-1] == 48 and 2 < len(read_log(killed.out)) < 24, "in the middle of the steps"
    train(killed, quiet=True)
    assert losses(killed.out) == losses(undisturbed)
    assert all(torch.equal(tensor, weights(undisturbed)[name]) for name, tensor in weights(killed.out).items())


def test_what_was_computed_with_other_weights_or_is_gone_is_refused(stage, init, tmp_path, monkeypatch):
    own = shutil.copytree(init, tmp_path / "own")
    stage = stage.model_copy(update={"init": str(own)})

    def die(*arguments):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "take_step", die)
        train(stage, quiet=True)
    path = own / "resampler.safetensors"
    before = path.read_bytes()
    save_file({name: 2 * tensor for name, tensor in load_file(path).items()}, path)
    with pytest.raises(
        ValueError, match=r"reference-0.jsonl was computed with the weights \w+ of .*own, which has \w+ now"
    ):
        train(stage, quiet=True)
    path.write_bytes(before)
    take_step = loop.take_step
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "take_step", lambda *given: die() if given[-1] == 4 else take_step(*given))
        train(stage, quiet=True)
    (Path(stage.out) / "checkpoints" / "reference-0.jsonl").unlink()
    with pytest.raises(ValueError, match="is not whole, and the run has begun"):
        train(stage, quiet=True)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_damaged_picture_is_the_same_each_time_and_changes_the_loss(stage):
    plain, seen = stage, with_terms(stage, image_weight=1.0)
    model, processor = open_model(stage.init)
    stir(model)
    found = {}
    for name, one in (("plain", plain), ("seen", seen), ("again", seen), ("less", with_terms(seen, damage_step=100))):
        items = items_of(one, model, processor, 6)
        (batch,) = cutter(one, processor, packing=True)(items)
        with torch.no_grad():
            found[name] = float(losses_of(model, batch.to(torch.device("cpu")), objective_of(one))[0])
    assert found["seen"] == found["again"] and len({found["plain"], found["seen"], found["less"]}) == 3


def test_stored_features_give_the_same_pairs(stage, tmp_path):
    stage = with_terms(stage, **ALL)
    model, processor = open_model(stage.init)
    stored = stage.model_copy(update={"features": str(tmp_path / "features")})
    build_features(stored, model)
    found = []
    for one in (stage, stored):
        items = items_of(one, model, processor)
        (batch,) = cutter(one, processor, packing=True)(items)
        found.append(losses_of(model, batch.to(torch.device("cpu")), objective_of(one))[1])
    torch.testing.assert_close(found[0], found[1], rtol=2e-3, atol=2e-3)  # features are stored in bf16


# --- other people's pairs, and what is no pair ------------------------------------------------------------------------


def test_pair_files_of_others_build_and_train(stage, tmp_path):
    from skymm.curation.building.build import build
    from skymm.recipe import DataRecipe

    (tmp_path / "images").mkdir()
    rows = []
    for index in range(8):
        (tmp_path / "images" / f"{index}.png").write_bytes(picture(index))
        row = {"image": f"{index}.png", "question": f"{ASKED} {index}", "chosen": NO, "rejected": YES}
        rows.append(json.dumps(row))
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows), "utf-8")
    source = {"format": "conversations", "table": str(tmp_path / "pairs.jsonl"), "images": str(tmp_path / "images")}
    recipe = parse({"sources": {"others": source | {"licence": "CC0-1.0", "tasks": ["turns"]}}}, DataRecipe)
    shards = build(recipe, tmp_path / "shards")
    data = {"pairs": stage.data["pairs"].model_copy(update={"shards": str(shards)})}
    lines = read_log(train(stage.model_copy(update={"data": data, "steps": 2}), quiet=True))
    assert [line["labels"] for line in lines] == [4, 4] and not lines[-1]["skipped"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra": {}}, "no rejected answer"),
        ({"extra": {"rejected": " "}}, "no rejected answer"),
        ({"extra": {"rejected": NO + "!!\n"}}, "equal answers"),
        ({"turns": (Turn("user", "x" * 3000), Turn("assistant", NO))}, "too long"),
        ({"turns": (Turn("user", ASKED), Turn("assistant", NO, language="zh"))}, "no turns wanted"),
    ],
)
def test_what_is_no_pair_is_left_out_with_its_reason(stage, tiny_model, change, reason):
    conversation = replace(pair(2)[0], **change)
    objective = objective_of(stage.model_copy(update={"languages": ["en"]}))
    with pytest.raises(BadSample) as raised:
        objective.encode(tiny_model[1].chat, conversation)
    assert raised.value.reason == reason and "002" in str(raised.value)


def test_both_answers_follow_the_same_questions_when_the_oldest_must_go(stage, tiny_model):
    chat, longer = tiny_model[1].chat, YES * 4
    turns = [Turn(role, text) for text in "abcd" for role in ("user", "assistant")]
    conversation = Conversation("k", (*turns, Turn("user", ASKED), Turn("assistant", NO)), {"rejected": longer})
    whole = objective_of(stage).encode(chat, conversation)
    tight = stage.model_copy(update={"max_length": len(whole[1].ids) - 1})
    chosen, rejected = objective_of(tight).encode(chat, conversation)
    assert len(rejected.ids) < len(whole[1].ids) and len(chosen.ids) < len(whole[0].ids)
    assert rejected.shared == rejected.targets[0][1] - 1 and len(chosen.targets) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init": None}, "needs `init`"),
        ({"negative_share": 0.0}, "negative_share does nothing"),
        ({"max_turns": 1}, "max_turns does nothing"),
        ({"liger": True}, "liger does nothing"),
        ({"data": "instructions"}, r"all samples were skipped: no rejected answer \d+ \(.*skymm data prefer"),
    ],
)
def test_what_cannot_be_preferred_is_refused_before_the_first_step(stage, tiny_data, change, message):
    if "data" in change:
        change = {"data": {"a": stage.data["pairs"].model_copy(update={"shards": str(tiny_data / "stage2")})}}
    with pytest.raises(ValueError, match=message):
        check(stage.model_copy(update={"max_skip_ratio": 1.0} | change))
    assert not Path(stage.out).exists()
