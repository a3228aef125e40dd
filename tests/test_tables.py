"""Every shape in which the official repositories ship their tables."""

import json

import pytest

from skymm.tables import column, read_json, read_rows

ROWS = [{"id": "1", "text": "有\tno"}, {"id": "2", "text": 'a "dog"\n'}]


def written(path, kind):
    """The same two rows in one of the shapes."""
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    elif kind == "array":
        path.write_text(json.dumps(ROWS), "utf-8-sig")
    elif kind == "pretty":
        path.write_text("\n".join(json.dumps(row, indent=4) for row in ROWS), "utf-8")
    elif kind == "commas":
        path.write_text(",\n".join(json.dumps(row) for row in ROWS), "utf-8")
    elif kind in ("tsv", "csv"):
        import csv

        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"], delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    elif kind == "xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        book.active.append(["id", "text", None])
        for row in ROWS:
            book.active.append([row["id"], row["text"]])
        book.active.append([None, None])
        book.save(path)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "array", "pretty", "commas", "tsv", "csv", "xlsx", "parquet"])
def test_all_shapes_read_alike(tmp_path, kind):
    name = f"answers.{kind}" if kind in ("jsonl", "tsv", "csv", "xlsx", "parquet") else "answers.json"
    assert read_rows(written(tmp_path / name, kind)) == ROWS


def test_one_json_value_and_several(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json(path) == [{"a": 1}] and read_rows(path) == [{"a": 1}]
    path.write_text('[1, 2]\n{"a": 1}')
    assert read_json(path) == [[1, 2], {"a": 1}]


def test_a_picture_in_a_cell_is_not_too_long(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("index\timage\n1\t" + "A" * 300_000 + "\n")
    assert len(read_rows(path)[0]["image"]) == 300_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", '{"a": 1}\n{"a": ', "line 2: not JSON"),
        ("a.json", "[1, 2]", "entry 1 is '1', expected an object"),
        ("a.json", "[]", "found no entries"),
        ("a.json", "", "found no entries"),
        ("a.json", b"\xff\xfe", "not UTF-8"),
        ("a.tsv", "id\ttext\n1\n", r"line 2: found 1 cells, expected 2"),
        ("a.tsv", "id\ttext\n1\t2\t3\n", r"line 2: found 3 cells, expected 2"),
        ("a.csv", "id,text\n", "found no rows below the header"),
        ("a.xlsx", "no zip", "not a readable xlsx file"),
    ],
)
def test_damage_is_named(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=words) as caught:
        read_rows(path)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.tsv", "a.xlsx", "a.parquet"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(ValueError, match=f"no file at .*{name}"):
        read_rows(tmp_path / name)


def test_a_column_under_any_of_its_names():
    assert column({"text": "a", "id": 1}, "f.json", "answer", "text") == "a"
    with pytest.raises(ValueError, match=r"f.json: found fields \['id'\], expected answer or text"):
        column({"id": 1}, "f.json", "answer", "text")
