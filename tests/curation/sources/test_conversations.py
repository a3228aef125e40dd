"""Conversations as people have them: every public form in miniature, with what has to come out of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from curation.sources.gathered import gather
from curation.sources.miniatures import picture

from skymm.curation.record import Record

PICTURES = {picture(number): number for number in range(1, 5)}
BYTES = {number: data for data, number in PICTURES.items()}
DATA_URL = f"data:image/jpeg;base64,{base64.b64encode(BYTES[2]).decode()}"
ASK, TELL = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}


def llava(*said: str, **fields: object) -> dict:
    return {
        "conversations": [{"from": ("human", "gpt")[at % 2], "value": text} for at, text in enumerate(said)],
        **fields,
    }


def messages(*said: object, **fields: object) -> dict:
    return {
        "messages": [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)],
        **fields,
    }


def minicpm(*said: str, **fields: object) -> dict:
    return {"conversations": messages(*said)["messages"], **fields}


def image(**fields: object) -> dict:
    return {"type": "image", **fields}


def text(said: str) -> dict:
    return {"type": "text", "text": said}


WORSE = llava("<image>\nWhat?", "A dog.")["conversations"]
ANSWERS = {"chosen": "A cat.", "rejected": "A dog."}
# Rows, what is said with {n} where picture n stands, and the form that the card names.
READ = {
    "llava": ([llava("<image>\nWhat?", "A dog.", image="1.jpg")], ["{1}What?|A dog."], "conversations (from, value)"),
    "llava, mark behind": ([llava("What?\n<image>", "A dog.", image="1.jpg")], ["What?{1}|A dog."], ""),
    "llava, no mark": ([llava("What?", "A dog.", "And?", "So.", image="1.jpg")], ["{1}What?|A dog.|And?|So."], ""),
    "llava, text about html": ([llava("What is <image> in SVG?", "Art.")], ["What is <image> in SVG?|Art."], ""),
    "amid a sentence": (
        [llava("Which is redder, <image> or <image>?", "The last.", image=["1.jpg", "2.jpg"])],
        ["Which is redder, {1} or {2}?|The last."],
        "",
    ),
    "between lines": (
        [llava("Before: <image>\nAfter: <image>\nWhat has changed?", "It.", image=["1.jpg", "2.jpg"])],
        ["Before: {1}\nAfter: {2}\nWhat has changed?|It."],
        "",
    ),
    "before and amid": (
        [llava("<image>\nIs it <image>?", "No.", image=["1.jpg", "2.jpg"])],
        ["{1}Is it {2}?|No."],
        "",
    ),
    "llama-factory": (
        [
            messages("<image>Who?", "Two.", "What do they do?<image>", "They win.", images=["1.jpg", "1.jpg"]),
            messages("Hello", "Hi.", images=[], system="Be brief.", tools=""),
        ],
        ["{1}Who?|Two.|What do they do?{1}|They win.", "(Be brief.)Hello|Hi."],
        "messages (role, content)",
    ),
    "llama-factory, alpaca": (
        [{"instruction": "<image>What?", "input": "Be brief.", "output": "A cat.", "images": ["3.jpg"]}],
        ["{3}What?\nBe brief.|A cat."],
        "instruction, output",
    ),
    "ms-swift": (
        [
            messages("<image><image>What differs?", "All.", images=["1.jpg", {"bytes": None, "path": "2.jpg"}]),
            {"messages": [{"role": "system", "content": "Be brief."}, ASK, TELL]},
        ],
        ["{1}{2}What differs?|All.", "(Be brief.)Why?|So."],
        "messages (role, content)",
    ),
    "ms-swift, older": (
        [{"query": "<image>And?", "response": "So.", "history": [["Hi", "Hello"]], "images": ["1.jpg"]}],
        ["Hi|Hello|{1}And?|So."],
        "query, response",
    ),
    "openai": (
        [
            messages([text("Who?"), {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}], "Ann."),
            messages([{"type": "input_text", "text": "Hi"}], [{"type": "output_text", "text": "Hello"}]),
        ],
        ["Who?{2}|Ann.", "Hi|Hello"],
        "messages (role, content in parts)",
    ),
    "xtuner": (
        [messages([{"type": "image_url", "value": "1.jpg"}, {"type": "text", "value": "Who?"}], [text("Two.")])],
        ["{1}Who?|Two."],
        "messages (role, content in parts)",
    ),
    "qwen2-vl": (
        [messages([image(image="file://1.jpg"), image(image="2.jpg"), text("Same?")], "No.")],
        ["{1}{2}Same?|No."],
        "",
    ),
    "qwen without types": ([messages([{"image": "1.jpg"}, {"text": "What?"}], "A dog.")], ["{1}What?|A dog."], ""),
    "anthropic": (
        [messages([image(source={"type": "base64", "data": DATA_URL.partition(",")[2]}), text("What?")], "A dog.")],
        ["{2}What?|A dog."],
        "",
    ),
    "texts beside each other": (
        [messages([text("Look."), image(), text("What?"), text("Say.")], "A <image> tag.", images=["1.jpg"])],
        ["Look.{1}What?\nSay.|A <image> tag."],
        "",
    ),
    "minicpm-v": (
        [minicpm("<image>\nHow many?", "Three.", image="1.jpg", id="0")],
        ["{1}How many?|Three."],
        "conversations (role, content)",
    ),
    "minicpm-v, several": (
        [
            minicpm(
                "How is it done?\n<image_00>\n<image_01>\n", "So.", image={"<image_00>": "1.jpg", "<image_01>": "2.jpg"}
            )
        ],
        ["How is it done?{1}{2}|So."],
        "",
    ),
    "minicpm-v, in another order": (
        [minicpm("<image_01> or <image_00>?", "So.", image={"<image_00>": "1.jpg", "<image_01>": "2.jpg"})],
        ["{2} or {1}?|So."],
        "",
    ),
    "qwen-vl": (
        [
            llava("你好", "我是一个助手。"),
            llava(
                "Picture 1: <img>1.jpg</img>\n图中的狗是什么品种？", "拉布拉多犬。", "框出它", "<box>(5,4),(7,8)</box>"
            ),
        ],
        ["你好|我是一个助手。", "{1}图中的狗是什么品种？|拉布拉多犬。|框出它|<box>(5,4),(7,8)</box>"],
        "conversations (from, value)",
    ),
    "qwen-vl, several": (
        [llava("Picture 1: <img>1.jpg</img>\nPicture 2: <img>2.jpg</img>\nWhere is picture 2?", "There.")],
        ["Picture 1: {1}\nPicture 2: {2}\nWhere is picture 2?|There."],
        "",
    ),
    "qwen3-vl": (
        [llava("<image>\n<image>\nSame?", "No.", image=["1.jpg", "2.jpg"], data_path="below")],
        ["{3}{4}Same?|No."],
        "",
    ),
    "qwen3-vl, packed": (
        [[llava("<image>\nWhat?", "A.", image="1.jpg"), llava("<image>\nWhat?", "B.", image="2.jpg")]],
        ["{1}What?|A.", "{2}What?|B."],
        "",
    ),
    "internvl": (
        [llava("Image-1: <image>\nImage-2: <image>\nBoth?", "No.", image=["1.jpg", "2.jpg"], width_list=[96, 96])],
        ["Image-1: {1}\nImage-2: {2}\nBoth?|No."],
        "",
    ),
    "deepseek-vl": (
        [{"messages": [{"role": "User", "content": "<image_placeholder>Why?", "images": ["1.jpg"]}, TELL]}],
        ["{1}Why?|So."],
        "",
    ),
    "phi-3-vision": (
        [messages("<|image_1|>\n<|image_2|>\nIs <|image_1|> red?", "No.", images=["1.jpg", "2.jpg"])],
        ["{1}{2}Is {1} red?|No."],
        "",
    ),
    "svit": (
        [{"image_id": 3, "conversations": [{"content": llava("What?", "A dog.")["conversations"]}] * 2}],
        ["{3}What?|A dog.|What?|A dog."],
        "conversations (content of turns)",
    ),
    "the cauldron": (
        [{"images": ["1.jpg"], "texts": [{"user": "What?", "assistant": "A dog.", "source": "x"}]}],
        ["{1}What?|A dog."],
        "texts (user, assistant)",
    ),
    "questions": (
        [{"image": "1.jpg", "question": "What?", "answer": "A dog."}],
        ["{1}What?|A dog."],
        "question, answer",
    ),
    "preferences": (
        [{"image": "1.jpg", "prompt": "What?", "chosen": "A cat.", "rejected": "A dog."}],
        ["{1}What?|A cat.!A dog."],
        "prompt, chosen with rejected",
    ),
    "preferences, ms-swift": (
        [
            messages("<image>What?", "A cat.", images=["1.jpg"], rejected_response="A dog."),
            messages("What?", "A cat.", images=["1.jpg"], rejected_messages=messages("What?", "A dog.")["messages"]),
        ],
        ["{1}What?|A cat.!A dog."] * 2,
        "messages (role, content) with rejected",
    ),
    "preferences, llama-factory": (
        [
            llava("<image>What?", images=["1.jpg"])
            | {"chosen": {"from": "gpt", "value": "A cat."}, "rejected": {"from": "gpt", "value": "A dog."}}
        ],
        ["{1}What?|A cat.!A dog."],
        "conversations (from, value) with rejected",
    ),
    "preferences, povid": (
        [
            llava(
                "<image>\nWhat?",
                "A cat.",
                image="1.jpg",
                rejected_conversations=llava("<image>\nWhat?", "A dog.")["conversations"],
            )
        ],
        ["{1}What?|A cat.!A dog."],
        "",
    ),
    "preferences, rlhf-v": (
        [
            {
                "image": "1.jpg",
                "text": json.dumps({"question": "What?", "chosen": "A cat.", "rejected": "A dog."}),
                "idx": 3,
            }
        ],
        ["{1}What?|A cat.!A dog."],
        "question, chosen with rejected",
    ),
    "preferences, trl": (
        [
            {"images": ["1.jpg"], "prompt": messages([image(), text("What?")])["messages"]}
            | {
                name: [{"role": "assistant", "content": [text(said)]}]
                for name, said in (("chosen", "A cat."), ("rejected", "A dog."))
            },
            {"images": ["1.jpg"], "chosen": messages("What?", "A cat.")["messages"], "prompt": "What?"}
            | {"rejected": messages("What?", "A dog.")["messages"]},
            {"images": ["1.jpg"], **{name: messages("What?", said)["messages"] for name, said in ANSWERS.items()}},
        ],
        ["{1}What?|A cat.!A dog."] * 3,
        "prompt, chosen with rejected",
    ),
}

REFUSED = {
    "video or sound": [
        llava("<video>\nWhat?", "A dog.", video="v.mp4"),
        messages("<video>What?", "A dog.", videos=["v.mp4"], images=["1.jpg"]),
        messages([{"type": "video_url", "video_url": {"url": "v.mp4"}}, text("What?")], "A dog."),
        messages("What?<audio>", "A dog.", audios=["a.wav"]),
        llava("<video>\nWhat?", "A dog."),
        llava("Is <video> like <image>?", "Yes.", image="1.jpg"),
    ],
    "picture is missing": [
        messages("<image>Who?", "Two."),
        messages("Is <image> red?", "No.", images=[]),
        llava("Picture 1: <img>9.jpg</img>\nWhat?", "A dog."),
        {"image_id": 9, "question": "What?", "answer": "A dog."},
        {"image": {"bytes": None, "path": None}, "question": "What?", "answer": "A dog."},
    ],
    "picture in another column": [
        {"question": "What?", "answer": "A dog.", "photo": "1.jpg"},
        messages("What?", "A dog.", clips=["a.MP4"]),
    ],
    "picture is an address": [
        messages([{"type": "image_url", "image_url": {"url": "https://x.org/1.jpg"}}, text("?")], "A")
    ],
    "picture is outside of its directory": [llava("Picture 1: <img>/etc/1.jpg</img>\nWhat?", "A dog.")],
    "markers and pictures differ": [
        messages("<image><image>What?", "A dog.", images=["1.jpg"]),
        messages("<image>What?", "A dog.", images=["1.jpg", "2.jpg"]),
        messages([image(), text("What?")], "A dog."),
    ],
    "picture in an answer": [
        messages("Draw a dog.", "<image>", images=["1.jpg"]),
        messages("Draw a dog.", [text("Here:"), image(image="1.jpg")]),
    ],
    "several columns of pictures": [messages("<image>What?", "A dog.", images=["1.jpg"], image="2.jpg")],
    "tools are used": [
        {"messages": [ASK, {"role": "tool_call", "content": "{}"}, {"role": "tool_response", "content": "1"}, TELL]},
        {"messages": [ASK, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]},
        llava("What?", "A dog.", tools='[{"name": "f"}]'),
        {"conversations": [{"from": "human", "value": "?"}, {"from": "function_call", "value": "{}"}]},
    ],
    "turns out of order": [
        {"messages": [TELL, ASK]},
        {"messages": [ASK, ASK, TELL]},
        {"messages": [ASK]},
        {"messages": [{"role": "system", "content": "Be brief."}, ASK, TELL], "system": "Be long."},
    ],
    "turn is empty": [messages("What?", ""), messages([], "A dog.")],
    "turn is no text": [
        {"question": "What?", "answer": 3},
        messages("What?", "A cat.", rejected_response=["A dog.", "A bus."]),
    ],
    "unknown speaker": [{"messages": [{"role": "bard", "content": "?"}, TELL]}, {"conversations": ["Hi"]}],
    "unknown part of a turn": [messages([{"type": "file", "file": {}}, text("?")], "A dog.")],
    "conversation is missing": [{"conversations": [], "image": "1.jpg"}, {"question": "What?"}],
    "answer is marked as bad": [messages("<image>What?", "A dog.", images=["1.jpg"], label=False)],
    "answer is not to be learned": [
        {"messages": [ASK, {**TELL, "weight": 0}]},
        {"messages": [ASK, {**TELL, "loss": False}]},
    ],
    "boxes amid the text": [
        messages("Where is <ref-object>?", "<bbox>", objects={"ref": ["a dog"], "bbox": [[1, 2, 3, 4]]})
    ],
    "chosen and rejected are the same": [{"question": "What?", "chosen": "A cat.", "rejected": " A cat."}],
    "rejected is missing": [{"question": "What?", "chosen": "A cat.", "rejected": None}],
    "chosen and rejected differ early": [
        messages("What?", "A cat.", rejected_messages=messages("Who?", "A dog.")["messages"])
    ],
    "rejected picture": [messages("What?", "A cat.", rejected_response="A dog.", rejected_images=["2.jpg"])],
    "row is broken": ["no entry", 3],
}


def told(record: Record) -> str:
    """What is said, with {n} where picture n stands."""
    said = []
    for turn in record.turns:
        of = {name: f"{{{PICTURES[record.pictures[name].read()]}}}" for name in turn.images}
        whole = "".join(of[part] if kind == "image" else part for kind, part in turn.parts)
        said.append(f"({whole})" if turn.role == "system" else whole)
    rejected = f"!{record.extra['rejected']}" if "rejected" in record.extra else ""
    return "|".join(said).replace(")|", ")") + rejected


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, data in BYTES.items():
        path = tmp_path / ("below" if number > 2 else "") / f"{(number + 1) % 2 + 1}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "3.jpg").write_bytes(BYTES[3])
    return tmp_path


def read(folder: Path, rows: list, name: str = "data.json", **more: object):
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / name).write_text(lines if name.endswith("l") else json.dumps(rows), "utf-8")
    return gather({"format": "conversations", "table": str(folder / name), **more})


@pytest.mark.parametrize("name", ["data.json", "data.jsonl"])
@pytest.mark.parametrize(("rows", "expected", "form"), READ.values(), ids=READ)
def test_every_form_says_what_its_rows_say(rows, expected, form, name, folder):
    found = read(folder, rows, name)
    assert [told(record) for record in found.records] == expected and not found.rejected
    assert not form or form in found.forms


@pytest.mark.parametrize(("reason", "rows"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_said_whole_is_refused_with_its_reason(reason, rows, folder):
    """And the rows beside them are read."""
    found = read(folder, [llava("Hi", "Hello"), *rows])
    assert [told(record) for record in found.records] == ["Hi|Hello"]
    assert found.reasons() == [reason] * len(rows)


@pytest.mark.parametrize("column", ["images", "image", "content"])
def test_parquet_with_pictures_inside(column, folder):
    """TRL's and LLaVA-OneVision's; the hub's empty fields are there as nothing; and pictures within the turns."""
    import pyarrow
    from pyarrow import parquet

    cells = [{"bytes": BYTES[number], "path": None} for number in (1, 2)]
    asked = [{"type": "text", "text": "What?\n", "index": None}, {"type": "image", "text": None, "index": 0}]
    rows = {
        "images": [messages(asked, [asked[0]], images=[cell]) for cell in cells],
        "image": [llava("<image>\nWhat?", "What?", image=cells[0]), llava("What?", "What?", image=cells[1])],
        "content": [messages([image(image=cell), {**text("What?"), "image": None}], [text("What?")]) for cell in cells],
    }[column]
    rows.append({**rows[0], column: None} if column != "content" else rows[0])
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet", row_group_size=2)
    found = gather({"format": "conversations", "table": str(folder / "train.parquet")})
    expected = ["What?{1}|What?", "What?{2}|What?"] if column == "images" else ["{1}What?|What?", "{2}What?|What?"]
    why = {"images": ["markers and pictures differ"], "image": ["picture is missing"], "content": []}[column]
    assert [told(record) for record in found.records] == [*expected, expected[0]][: 3 - len(why)]
    assert found.reasons() == why


def test_columns_of_other_names_are_named_in_the_recipe(folder):
    rows = [{"dialogue": messages("Why?", "So.")["messages"], "pic": str(folder / "1.jpg"), "image": "2.jpg"}]
    with pytest.raises(ValueError, match=r"data.json, entry 1: no field 'conversations'.*name.* in turns_column"):
        read(folder, rows)
    found = read(folder, rows, turns_column="dialogue", image_column="pic")
    assert [told(record) for record in found.records] == ["{1}Why?|So."]
