"""What the card tells of each source: nothing is lost without being counted, and nothing is counted twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from built import card, conversations
from curation.sources import miniatures
from gathered import gather
from photos import pairs_of, photos
from PIL import Image

from skymm.curation.building.build import build
from skymm.recipe import DataRecipe, parse

GARBLED = "a dog aaaaaaaaaaaaaa"


def told(sources: dict, out, **more) -> dict:
    """Source -> what the card of a build out of these says."""
    return card(build(parse({"sources": sources, "max_rejected": 1.0, **more}, DataRecipe), out))["sources"]


@pytest.mark.parametrize("make", miniatures.ALL, ids=lambda make: make.__name__)
def test_every_row_is_a_record_or_counted(make, tmp_path):
    """As many as the source itself gives, of a source with broken rows, and of another one that only repeats it."""
    fields = make(tmp_path / "in")
    given = gather(fields)
    source = {**fields, "tasks": ["captions", "turns", "negatives"]}
    found = told({"a": source, "b": source}, tmp_path / "out")
    assert given.rejected and len(given.records) >= miniatures.GOOD
    rejected = Counter(given.reasons())
    assert found["a"]["records"] == len(given.records) and found["a"]["left out"] == rejected
    assert found["b"]["records"] == 0 and found["b"]["left out"] == rejected + Counter(duplicate=len(given.records))
    assert {one.extra["source"] for one in conversations(tmp_path / "out")} == {"a"}


def say(table, captions: list[tuple[str, str]]) -> None:
    """The table's pictures with these captions, English and Chinese."""
    rows = [f"{number}.jpg\t{english}\t{chinese}" for number, (english, chinese) in enumerate(captions)]
    table.write_text("\n".join(["image\ten\tzh", *rows]) + "\n", "utf-8")


def test_what_filters_keep_out_is_counted_once(tmp_path):
    """By words, by pictures, as a duplicate, under one key with another: of 16 rows, 16 are told of."""
    table = photos(tmp_path / "in", 16)
    captions = [tuple(line.split("\t")[1:]) for line in table.read_text("utf-8").splitlines()[1:]]
    say(table, [(GARBLED, "狗") if number == 1 else texts for number, texts in enumerate(captions)])
    Image.new("RGB", (64, 64), "red").save(table.parent / "2.jpg")
    Image.new("RGB", (640, 64)).save(table.parent / "3.jpg")
    (table.parent / "5.jpg").write_bytes((table.parent / "4.jpg").read_bytes()[:400])
    (table.parent / "6.jpg").unlink()
    (table.parent / "9.jpg").write_bytes((table.parent / "8.jpg").read_bytes())
    filters = {"duplicates": {"match": "images"}}
    found = told({"a": pairs_of(table, "captions")}, tmp_path / "out", filters=filters)["a"]
    assert found["records"] + sum(found["left out"].values()) == 16
    assert found["records"] == len(conversations(tmp_path / "out")) == 10
    assert found["left out"]["duplicate"] == 1 and found["left out"]["picture is missing"] == 1


def test_what_goes_for_two_reasons_is_counted_under_the_first(tmp_path):
    """The third row repeats the first, and all three show a placeholder."""
    table = photos(tmp_path / "in", 4)
    for number in (1, 2):
        (table.parent / f"{number}.jpg").write_bytes((table.parent / "0.jpg").read_bytes())
    say(table, [(text, "") for text in ("a red dog", "two cats on a sofa", "a red dog", "a white bus")])
    found = told({"a": pairs_of(table, "captions")}, tmp_path / "out", filters={"max_uses": 1})["a"]
    assert (found["records"], found["left out"]) == (1, {"placeholder picture": 3})


def test_captions_that_were_left_out_of_samples_that_stay_are_counted(tmp_path):
    """Row by row: nothing bad; one too short; two bad for other reasons; all bad; bad, but the picture keeps it out."""
    table = photos(tmp_path / "in", 6)
    captions = [("a red dog on the grass", "草地上有一只狗"), ("two cats on a sofa", "猫"), (GARBLED, "IMG_0001.jpg")]
    captions += [(GARBLED, "狗"), ("a yellow kite", "风筝"), (GARBLED, "公园里有一张长椅")]
    say(table, captions)
    Image.new("RGB", (64, 64), "red").save(table.parent / "4.jpg")
    found = told({"a": pairs_of(table, "captions")}, tmp_path / "out")["a"]
    assert found["records"] == 3
    assert found["left out"] == {"repetitive text": 2, "blank image": 1}
    assert found["captions and conversations left out"] == {"too few words": 1, "repetitive text": 1}


def test_of_duplicates_nothing_more_is_counted(tmp_path):
    fields = {**miniatures.chinese_captions(tmp_path / "in"), "tasks": ["captions"]}
    found = told({"a": fields, "b": fields}, tmp_path / "out")
    assert found["a"]["captions and conversations left out"] == {"boilerplate": 4}
    assert found["b"]["captions and conversations left out"] == {}


def talk(folder, rows: list[dict], **more) -> dict:
    """The fields of a source of conversations, each about a picture of its own where it has a mark."""
    folder.mkdir()
    for index in range(len(rows)):
        (folder / f"{index}.jpg").write_bytes(miniatures.picture(index))
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return {"format": "conversations", "table": str(folder / "rows.jsonl"), "tasks": ["turns"], **more}


def row(index: int, *said: str, **fields) -> dict:
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
    return {"messages": turns, "images": [f"{index}.jpg"] * sum(text.count("<image>") for text in said), **fields}


def test_conversations_of_every_sort_are_shards_or_counted(tmp_path):
    rows = [
        row(0, "Look at  <image> and tell.\u3000", "A dog."),
        row(1, "<image>What?", "一隻貓", rejected_response="一隻 狗"),
        row(2, "<image>これは何ですか", "犬です"),
        row(3, "<image>What?", "A bus.", "Et en français ?", "Un bus rouge dans la rue."),
        row(4, "<image>What?", "A cat.", "And?", "So.", rejected_response="Un chat dans la rue avec un chien."),
        row(5, "<audio>What?", "A song.", audios=["a.wav"]),
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    ]
    found = told({"a": talk(tmp_path / "in", rows)}, tmp_path / "out")["a"]
    assert found["forms"] == {"messages (role, content)": 4, "messages (role, content) with rejected": 2} | {
        "conversations (from, value)": 1
    }
    other = "neither Chinese nor English"
    assert found["left out"] == {other: 2, "sound": 1}
    assert found["captions and conversations left out"] == {other: 1}
    made = {one.key[-1]: one for one in conversations(tmp_path / "out")}
    assert [(made[key].turns[0].text, made[key].turns[0].places) for key in "124"] == [
        *(("Look at  and tell.", (8,)), ("What?", ()), ("What?", ()))
    ]
    assert made["2"].extra["rejected"] == "一只 狗" and made["2"].turns[1].text == "一只猫", "in one script"
    assert len(made["4"].turns) == 2 and len(made) == 4


def test_a_source_may_say_its_language(tmp_path):
    rows = [row(0, "<image>これは何ですか", "犬です"), row(1, "<image>何", "猫です")]
    source = talk(tmp_path / "in", rows, language="zh")
    assert told({"a": source}, tmp_path / "out")["a"]["records"] == 2
    assert {one.targets[0].language for one in conversations(tmp_path / "out")} == {"zh"}


def test_a_build_without_samples_says_why(tmp_path):
    source = talk(tmp_path / "in", [row(0, "<image>What?", "A dog.")])
    for tasks, why in (
        (["captions"], "captions need a source with captions"),
        (["negatives"], "negatives need .*boxes"),
    ):
        with pytest.raises(ValueError, match=rf"no sample came out of any source. a: 1 records gave nothing.*{why}"):
            told({"a": {**source, "tasks": tasks}}, tmp_path / tasks[0])


def test_conversations_that_were_cut_are_counted(tmp_path):
    said = [("What is it?", "A dog on grass."), ("And this?", GARBLED), ("Why?", "Because.")]
    spoken = (said, said[1:], [said[0], said[2]])
    rows = [row(index, *(text for pair in pairs for text in pair)) for index, pairs in enumerate(spoken)]
    rows = [{**each, "images": [f"{index}.jpg"]} for index, each in enumerate(rows)]
    found = told({"a": talk(tmp_path / "in", rows)}, tmp_path / "out")["a"]
    assert found["records"] == 2 and found["left out"] == {"repetitive text": 1}
    assert found["captions and conversations left out"] == {"repetitive text": 1}
    assert sorted(len(one.targets) for one in conversations(tmp_path / "out")) == [1, 2]
