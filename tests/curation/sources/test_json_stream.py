"""JSON larger than memory: every entry comes, wherever the chunks are cut, and every mistake is told with its place."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from skymm.curation.sources import json_stream
from skymm.curation.sources.json_stream import entries, values

TRICKY = [
    {"text": 'quotes " and \\ and 中文 and 🐼', "number": -12.5e3, "deep": [[{"a": [1, 2]}], []]},
    "a string with ] and } and , in it",
    1234567890,
    -0.25,
    1.5,
    5e-3,
    7,
    True,
    None,
    [],
    {},
]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "table.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 16, 1000])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_entries_are_whole_wherever_the_file_is_cut(tmp_path, monkeypatch, chunk, ascii_only, indent):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    path = write(tmp_path, json.dumps(TRICKY, ensure_ascii=ascii_only, indent=indent))
    assert [entry.value for entry in entries(path)] == TRICKY
    assert [entry.value for entry in values(path)] == TRICKY
    data = {"info": {"year": 2014}, "images": TRICKY, "empty": [], "last": 7}
    path = write(tmp_path, json.dumps(data, ensure_ascii=ascii_only, indent=indent))
    found = [(entry.name, entry.number, entry.value) for entry in entries(path)]
    expected = [("images", number, value) for number, value in enumerate(TRICKY, 1)]
    assert found == [("info", 0, {"year": 2014}), *expected, ("last", 0, 7)]


def test_lines_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 5)
    path = write(tmp_path, '[\n{"a": 1},\r\n\n{"a":\n2}, {"a": 3}\n]\n')
    assert [(entry.line, entry.value["a"]) for entry in entries(path)] == [(2, 1), (4, 2), (5, 3)]


def test_values_one_after_another(tmp_path):
    path = write(tmp_path, '\ufeff{"a": 1}\n{"a": 2}\n\n{"a": NaN} {"a": 4}')
    assert [entry.value["a"] for entry in values(path)] == [1, 2, None, 4]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_say_the_encoding(tmp_path, encoding):
    path = write(tmp_path, json.dumps(TRICKY, ensure_ascii=False).encode(encoding))
    assert [entry.value for entry in entries(path)] == TRICKY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n{"a": 2', r"json, line 2, entry 2: the file ends here; was it cut short\?"),
        ('[{"a": 1},\n{"a": "not clo', r"line 2, entry 2: the file ends here; was it cut short\?"),
        ('[{"a": 1},\n{"a": 2}', r"line 2, entry 2: the file ends here"),
        ('[{"a": 1},', r"entry 2: the file ends here"),
        ('{"annotations": [{"a": 1}, {"a"', r"entry 2 of 'annotations': the file ends here"),
        ('{"annotations": [1]', r"entry 1 of 'annotations': the file ends here"),
        ('{"annotations"', r"line 1: the file ends here"),
        ('[{"a": 1}\n{"a": 2}]', r"line 2, entry 1: found '{', expected , or ]"),
        ('[{"a": 1},\n{"a" 2}]' + " " * 99, r"line 2, entry 2: not JSON \(Expecting ':' delimiter\)"),
        ("[{'a': 1}]" + " " * 99, r"not JSON \(Expecting property name"),
        ("[1] [2]", r"found '\[' after the end"),
        ("{} {}", r"found '{' after the end"),
        ("12", r"found '1', expected a list or an object"),
        ("  \n ", r"found 'nothing', expected a list or an object"),
        ("[1.]", r"entry 1: found '.', expected , or \]"),
        ("[1.    ,2]" + " " * 99, r"entry 1: found '.', expected , or \]"),
        ("[" * 100_000, r"entry 1: nothing that can be decoded \(maximum recursion"),
        ("[" + "1" * 5000 + "]", r"entry 1: nothing that can be decoded \(Exceeds the limit"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list(entries(write(tmp_path, text)))


def test_a_mistake_at_the_beginning_is_told_before_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 64)
    path = write(tmp_path, '[{"a" 1}, ' + "1, " * 200_000 + "1]")
    read = 0
    real = json_stream._Window._more

    def counting(window):
        nonlocal read
        read += 1
        return real(window)

    monkeypatch.setattr(json_stream._Window, "_more", counting)
    with pytest.raises(ValueError, match="not JSON"):
        list(entries(path))
    assert read < 5


def test_an_entry_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "LONGEST", 1000)
    with pytest.raises(ValueError, match="longer than 1000 characters; is a quotation mark missing"):
        list(entries(write(tmp_path, '["a", "' + "b" * 900_000)))


@pytest.mark.parametrize("shape", ["list", "object"])
def test_a_large_file_takes_little_memory(tmp_path, shape):
    """30 MB in the shape of LLaVA's list, and of COCO's object of lists."""
    path = tmp_path / "large.json"
    turns = [{"from": "human", "value": "<image>\nWhat is there?"}, {"from": "gpt", "value": "A dog. " * 700}]
    entry = json.dumps({"id": "000000033471", "image": "coco/train2017/000000033471.jpg", "conversations": turns})
    count = 30_000_000 // len(entry)
    with path.open("w") as file:
        file.write("[" if shape == "list" else '{"info": {}, "annotations": [')
        for _ in range(count - 1):
            file.write(entry + ",\n")
        file.write(entry + ("]" if shape == "list" else "]}"))
    assert path.stat().st_size > 29_000_000
    tracemalloc.start()
    found = sum(1 for one in entries(path) if one.number)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count and peak < 4_000_000, peak
