"""Conversations as people have them: every public form in miniature (conversations.toml), with what has to come out of it."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path

import pytest
from clips import number_of, write_clip
from curation.sources.gathered import gather
from curation.sources.miniatures import picture

from skymm.curation.record import Record
from skymm.curation.sources import conversation_forms

PICTURES = {picture(number): number for number in range(1, 5)}
BYTES = {number: data for data, number in PICTURES.items()}
BASE64 = base64.b64encode(BYTES[2]).decode()
FORMS = tomllib.loads(Path(__file__).with_name("conversations.toml").read_text("utf-8"))
HELLO = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def rows_of(lines: str) -> list:
    text = lines.strip().replace("{DATA_URL}", f"data:image/jpeg;base64,{BASE64}").replace("{BASE64}", BASE64)
    return [json.loads(line) for line in text.splitlines()]


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
def test_every_form_says_what_its_rows_say(name, folder):
    for form in FORMS["read"]:
        found = read(folder, rows_of(form["rows"]), name)
        assert [told(record) for record in found.records] == form["said"] and not found.rejected, form["name"]
        assert form.get("form") in (None, *found.forms), form["name"]


def test_what_cannot_be_said_whole_is_refused_with_its_reason(folder):
    """And the rows beside them are read."""
    for refused in FORMS["refused"]:
        rows = rows_of(refused["rows"])
        found = read(folder, [HELLO, *rows])
        assert [told(record) for record in found.records] == ["Hi|Hello"], refused["reason"]
        assert found.reasons() == [refused["reason"]] * len(rows), refused["reason"]


def llava(asked: str, **fields: object) -> dict:
    return {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": "What?"}], **fields}


def messages(parts: list, **fields: object) -> dict:
    answer = {"role": "assistant", "content": [{"type": "text", "text": "What?"}]}
    return {"messages": [{"role": "user", "content": parts}, answer], **fields}


@pytest.mark.parametrize("column", ["images", "image", "content"])
def test_parquet_with_pictures_inside(column, folder):
    """TRL's and LLaVA-OneVision's; the hub's empty fields are there as nothing; and pictures within the turns."""
    import pyarrow
    from pyarrow import parquet

    cells = [{"bytes": BYTES[number], "path": None} for number in (1, 2)]
    asked = [{"type": "text", "text": "What?\n", "index": None}, {"type": "image", "text": None, "index": 0}]
    said = {"type": "text", "text": "What?", "image": None}
    rows = {
        "images": [messages(asked, images=[cell]) for cell in cells],
        "image": [llava("<image>\nWhat?", image=cells[0]), llava("What?", image=cells[1])],
        "content": [messages([{"type": "image", "image": cell}, said]) for cell in cells],
    }[column]
    rows.append({**rows[0], column: None} if column != "content" else rows[0])
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet", row_group_size=2)
    found = gather({"format": "conversations", "table": str(folder / "train.parquet")})
    expected = ["What?{1}|What?", "What?{2}|What?"] if column == "images" else ["{1}What?|What?", "{2}What?|What?"]
    why = {"images": ["markers and pictures differ"], "image": ["picture is missing"], "content": []}[column]
    assert [told(record) for record in found.records] == [*expected, expected[0]][: 3 - len(why)]
    assert found.reasons() == why


def test_columns_of_other_names_are_named_in_the_recipe(folder):
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    rows = [{"dialogue": turns, "pic": str(folder / "1.jpg"), "image": "2.jpg"}]
    with pytest.raises(ValueError, match=r"data.json, entry 1: no field 'conversations'.*name.* in turns_column"):
        read(folder, rows)
    found = read(folder, rows, turns_column="dialogue", image_column="pic")
    assert [told(record) for record in found.records] == ["{1}Why?|So."]


CLIPS = {
    "LLaVA-Video": (llava("<image>\nWhat?", video="v.mp4", data_source="0_30_s"), "{v}What?|What?"),
    "ShareGPT4Video": (llava("What?\n<video>", video="v.mp4"), "What?{v}|What?"),
    "no mark": (llava("What?", video_path="v.mp4"), "{v}What?|What?"),
    "below": (llava("<video>What?", video="v.mp4", data_path="."), "{v}What?|What?"),
    "LLaMA-Factory": (
        messages([{"type": "text", "text": "Is <video> like <image>?"}], images=["1.jpg"], videos=["v.mp4"]),
        "Is {v} like {1}?|What?",
    ),
    "two": (llava("<video> or <video>?", videos=["v.mp4", "w.mp4"]), "{v} or {w}?|What?"),
    "parts": (messages([{"type": "video", "video": "v.mp4"}, {"type": "text", "text": "What?"}]), "{v}What?|What?"),
    "url": (messages([{"type": "video_url", "video_url": {"url": "v.mp4"}}, "What?"]), "{v}What?|What?"),
    "ms-swift": (messages([{"type": "video"}, {"type": "text", "text": "What?"}], videos="v.mp4"), "{v}What?|What?"),
}


def test_clips_are_their_frames_in_every_form(folder):
    pytest.importorskip("av", reason="clips need PyAV: pip install 'skymm[video]'")
    for name, count in (("v", 40), ("w", 20)):
        write_clip(folder / f"{name}.mp4", count)
    (folder / "cut.mp4").write_bytes((folder / "v.mp4").read_bytes()[:-400])
    rows = [*(row for row, _ in CLIPS.values()), llava("<video>What?", video="cut.mp4")]
    found = read(folder, rows, num_frames=2, fps=1)
    frames = {"v": [(1.0, 10), (3.0, 30)], "w": [(0.5, 5), (1.5, 15)]}
    for record, (name, (_, expected)) in zip(found.records, CLIPS.items(), strict=True):
        seconds = record.extra["frame_seconds"]
        for letter, those in frames.items():
            shown = "".join(f"<{second} {number}>" for second, number in those)
            expected = expected.replace(f"{{{letter}}}", shown)
        assert said_of(record, seconds) == expected, name
    assert found.reasons() == ["picture cannot be read"] and "cut.mp4" in found.rejected[0].detail


def said_of(record: Record, seconds: dict[str, float]) -> str:
    """What is said, with <seconds number> where a frame stands."""
    said = []
    for turn in record.turns:
        of = {
            name: f"<{seconds[name]} {round(number_of(record.pictures[name].read()))}>" if name in seconds else "{1}"
            for name in turn.images
        }
        said.append("".join(of[part] if kind == "image" else part for kind, part in turn.parts))
    return "|".join(said)


@pytest.mark.parametrize("cell", [float("nan"), float("inf")])
def test_an_empty_cell_of_a_table_of_numbers_is_no_answer(cell):
    with pytest.raises(conversation_forms.Unusable, match="turn is empty"):
        conversation_forms._answer(cell)
