"""Several pictures and clips, from public JSON to shards, to a training batch, to a question: each at its place all the way."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from clips import number_of, write_clip
from curation.building.built import conversations
from curation.sources.miniatures import picture
from PIL import Image

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Conversation, is_frame
from skymm.curation.building.build import build
from skymm.data.batches import Prepare, collate
from skymm.data.shards import conversation_of, expand, read_shard
from skymm.model.build import build_model, open_model
from skymm.recipe import DataRecipe, ModelRecipe, PreferenceRecipe, StageRecipe, parse
from skymm.train.loop import train
from skymm.train.objectives.answers import Answers
from skymm.train.objectives.preference import Preference

pytest.importorskip("av", reason="clips need PyAV: pip install 'skymm[video]'")

PICTURES = {"a": picture(1), "b": picture(2)}
# What is said, with <a> <b> where a picture stands and <v> where the clip does -> the same in the shard, with (n) for frame n.
EN, ZH = "0.5 seconds:(5)\n1.5 seconds:(15)\n", "第 0.5 秒：(5)\n第 1.5 秒：(15)\n"
SAID = {
    "<a><b>\nWhat is different?|The dog.": "<a><b>What is different?|The dog.",
    "Image 1: <a>\nImage 2: <b>\nWhat is different?|All.": "Image 1: <a>\nImage 2: <b>\nWhat is different?|All.",
    "图 1：<a>\n图 2：<b>\n两张图有什么不同？|狗。": "图 1：<a>\n图 2：<b>\n两张图有什么不同？|狗。",
    "<a>\nWhat is this?|A dog.|<b>\nAnd this?|A cat.": "<a>What is this?|A dog.|<b>And this?|A cat.",
    "<a>\n这是什么？|狗。|<b>\n这个呢？|猫。": "<a>这是什么？|狗。|<b>这个呢？|猫。",
    "<v>\nWhat happens?|It darkens.|Why?|I cannot tell.": EN + "What happens?|It darkens.|Why?|I cannot tell.",
    "<v>\n发生了什么？|变亮了。": ZH + "发生了什么？|变亮了。",
    "Is <a> in the film <v>\nor not?|No.": "Is <a> in the film\n" + EN + "or not?|No.",
    "<a>\nWhat is this?|A dog.|<v>\nIs it here?|No.": "<a>What is this?|A dog.|" + EN + "Is it here?|No.",
}


def row(said: str) -> dict:
    turns = said.split("|")
    shown = [letter for letter in said if letter in "abv" and f"<{letter}>" in said]
    order = [said[at + 1] for at in range(len(said) - 2) if said[at] == "<" and said[at + 2] == ">"]
    assert set(order) <= set(shown)
    for letter in "ab":
        turns = [turn.replace(f"<{letter}>", "<image>") for turn in turns]
    turns = [turn.replace("<v>", "<video>") for turn in turns]
    files = {"image": [f"{letter}.jpg" for letter in order if letter != "v"]}
    files |= {"video": "v.mp4"} if "v" in order else {}
    spoken = [{"from": ("human", "gpt")[number % 2], "value": turn} for number, turn in enumerate(turns)]
    return {"conversations": spoken, **{name: value for name, value in files.items() if value}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    for name, data in PICTURES.items():
        (folder / f"{name}.jpg").write_bytes(data)
    write_clip(folder / "v.mp4", 20)
    (folder / "cut.mp4").write_bytes((folder / "v.mp4").read_bytes()[:-600])
    lost = {**row("<v>What happens in it?|Nothing."), "video": "cut.mp4"}
    (folder / "data.json").write_text(json.dumps([*map(row, SAID), lost], ensure_ascii=False), "utf-8")
    return folder


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory) -> Path:
    source = {"format": "conversations", "table": str(folder / "data.json"), "tasks": ["turns"], "num_frames": 2}
    out = tmp_path_factory.mktemp("shards") / "out"
    return build(parse({"sources": {"talk": source}, "max_rejected": 0.5}, DataRecipe), out)


def samples(shards: Path) -> dict[int, tuple]:
    """By number of the row: the sample and its conversation."""
    found = [sample for shard in expand(shards) for sample in read_shard(shard)]
    return {int(one.key.rpartition("-")[2]) - 1: (one, conversation_of(one)) for one in found}


def told(sample, conversation: Conversation) -> str:
    def mark(name: str) -> str:
        data = sample.members[name]
        letters = [f"<{letter}>" for letter, known in PICTURES.items() if known == data]
        return letters[0] if letters else f"({round(number_of(data))})"

    return "|".join(
        "".join(mark(part) if kind == "image" else part for kind, part in turn.parts) for turn in conversation.turns
    )


def test_every_picture_and_frame_is_in_the_shard_at_its_place(shards):
    found = {number: told(*one) for number, one in samples(shards).items()}
    assert [found[number] for number in sorted(found)] == list(SAID.values())
    assert list(conversations(shards)[0].extra) and json.loads((shards / "card.json").read_text("utf-8"))
    card = json.loads((shards / "card.json").read_text("utf-8"))["sources"]["talk"]
    assert card["left out"] == {"picture cannot be read": 1}


def test_a_build_out_of_these_shards_says_nothing_twice(shards, tmp_path):
    source = {"format": "shards", "shards": str(shards), "tasks": ["turns"]}
    again = build(parse({"sources": {"again": source}}, DataRecipe), tmp_path / "out")
    assert sorted(told(*one) for one in samples(again).values()) == sorted(SAID.values())
    assert sum(is_frame(name) for _, one in samples(again).values() for name in one.images) == 8


def test_frames_that_move_to_another_question_keep_their_times(shards):
    clip = next(one for _, one in samples(shards).values() if "Why?" in one.turns[2].text)
    moved = clip.with_pairs([1]).turns[0]
    assert moved.text == "0.5 seconds:\n1.5 seconds:\nWhy?" and moved.places == (12, 25)


@pytest.fixture(scope="module")
def parts(tiny_model_recipe):
    """(model, processor) whose frames have two latents, pictures six."""
    fields = tiny_model_recipe.model_dump()
    fields["resampler"]["frame_latents"] = 2
    return build_model(parse(fields, ModelRecipe))


def rendered(processor, ids: list[int]) -> str:
    hash_id = processor.tokenizer("#", add_special_tokens=False)["input_ids"][0]
    return processor.tokenizer.decode([hash_id if one == processor.image_token_id else one for one in ids])


def test_a_batch_has_them_in_their_order_with_as_many_positions(shards, parts):
    _, processor = parts
    prepare = Prepare(encode=lambda chat: [processor.chat.encode(chat)], see=processor.pixels)
    found = samples(shards)
    examples = [prepare(*found[number]) for number in sorted(found)]
    for packing in (False, True):
        batch = collate(examples, pad_id=processor.pad_id, image_token_id=processor.image_token_id, packing=packing)
        names = [name for number in sorted(found) for name in found[number][1].images]
        data = [found[number][0].members[name] for number in sorted(found) for name in found[number][1].images]
        (seen,) = (processor.pixels([Image.open(io.BytesIO(one)).convert("RGB") for one in data]),)
        assert torch.equal(batch.inputs["pixel_values"][0], seen[0])
        assert batch.inputs["image_latents"] == [2 if "frame" in name else 6 for name in names]
        assert len(batch.inputs["image_positions"]) == sum(batch.inputs["image_latents"])
    for example, expected in zip(examples, SAID.values()):
        shown = expected.replace("<a>", "#" * 6).replace("<b>", "#" * 6).replace("(5)", "##").replace("(15)", "##")
        text = rendered(processor, example.segments[0].ids)
        assert all(turn in text for turn in shown.split("|")), (shown, text)


@pytest.mark.parametrize("packing", [False, True])
def test_pairs_of_answers_about_a_clip_share_its_frames(packing, shards, parts):
    _, processor = parts
    objective = Preference(Answers(2048), PreferenceRecipe(image_weight=1), ("en", "zh"), 0)
    prepare = Prepare(partial(objective.encode, processor.chat), processor.pixels, damage=objective.damage)
    found = [(sample, replace(one, extra={**one.extra, "rejected": "no"})) for sample, one in samples(shards).values()]
    ids = {"pad_id": processor.pad_id, "image_token_id": processor.image_token_id}
    batch = collate([prepare(*one) for one in found], **ids, packing=packing, reference={})
    shown = batch.inputs.get("image_rows", range(batch.num_images))
    assert batch.num_images == 2 * sum(len(one.images) for _, one in found), "each whole and damaged"
    assert len(batch.inputs["image_latents"]) == len(shown) == (2 if packing else 3) * batch.num_images // 2
    assert sum(batch.inputs["image_latents"]) == len(batch.inputs["image_positions"])


def test_a_frame_has_the_first_latents_of_the_picture_that_it_is(parts):
    model, processor = parts
    pixels = processor.pixels([Image.open(io.BytesIO(data)).convert("RGB") for data in PICTURES.values()])
    features = model.encode_images(pixels)
    latents = model.resampler(features)
    ids = torch.full((1, 8), processor.image_token_id)
    found = model.embed(ids, features, image_latents=[2, 6])[0]
    assert torch.equal(found, torch.cat([latents[0, :2], latents[1]]))
    with pytest.raises(ValueError, match=r"8 image positions for 2 images of \[2, 2\] latents"):
        model.embed(ids, features, image_latents=[2, 2])


ASKED = {0: ["a.jpg", "b.jpg"], 5: ["v.mp4"], 6: ["v.mp4"]}


def test_it_is_asked_as_it_was_taught(shards, folder, parts):
    model, processor = parts
    answerer = SkyMMAnswerer(model, processor)
    found = samples(shards)
    for number, files in ASKED.items():
        _, conversation = found[number]
        question = list(SAID)[number].partition("|")[0].rpartition("\n")[2]
        ask = Ask.about(question, [folder / file for file in files], num_frames=2)
        (prompt,) = answerer._prompts([ask])
        assert prompt == processor.chat.encode(conversation).ids[: len(prompt)] and processor.image_token_id in prompt
    sample, conversation = found[3]
    images = tuple(sample.members[name] for name in conversation.images)
    ask = Ask(conversation.turns[2].text, images, history=conversation.turns[:2])
    (prompt,) = answerer._prompts([ask])
    assert prompt == processor.chat.encode(conversation).ids[: len(prompt)]


def test_transformers_messages_show_a_clip_as_it_was_taught(folder, parts):
    _, processor = parts
    content = [{"type": "video", "path": str(folder / "v.mp4")}, {"type": "text", "text": "What happens?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, num_frames=2
    )
    ask = Ask.about("What happens?", [folder / "v.mp4"], num_frames=2)
    expected = processor.chat.encode_prompt(Conversation("", ask.turns))
    assert inputs["input_ids"][0].tolist() == expected.ids and inputs["image_latents"] == [2, 2]
    assert parts[0].generate(**inputs.to("cpu"), max_new_tokens=2).shape[0] == 1


def test_questions_about_one_clip_share_what_is_read(folder, parts):
    answerer = SkyMMAnswerer(*parts)
    asks = [Ask.about(text, [folder / "v.mp4"], num_frames=2) for text in ("Is it a dog?", "是猫吗？", "Is it bright?")]
    asks = [replace(ask, choices=("yes", "no")) for ask in asks]
    together = dict(answerer.answer(asks, "logits"))
    for number, ask in enumerate(asks):
        alone = dict(answerer.answer([ask], "logits"))[0].logits
        assert together[number].logits == pytest.approx(alone, abs=1e-4)
    assert [reply.error for _, reply in answerer.answer(asks)] == [None] * 3


def test_it_trains_and_the_model_knows_how_many_latents_a_frame_has(shards, folder, parts, tiny_stage, tmp_path):
    fields = tiny_stage.model_dump()
    fields["model"]["resampler"]["frame_latents"] = 2
    train(parse({**fields, "data": {"talk": {"shards": str(shards)}}, "steps": 2}, StageRecipe))
    opened = open_model(tmp_path / "run")
    assert opened[0].config.frame_latents == opened[1].frame_latents == opened[1].chat.frame_latents == 2
    ask = Ask.about("What happens?", [folder / "v.mp4"], num_frames=2)
    assert SkyMMAnswerer(*opened)._prompts([ask]) == SkyMMAnswerer(*parts)._prompts([ask])
