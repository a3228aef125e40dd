"""Tables of strangers: rows of every kind of file, and errors that say which file, which line and what to do."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import pytest

from skymm import text_files
from skymm.tables import column, expect_names, read_json, read_rows, stream_rows, tables_at
from skymm.text_files import json_entries


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(path: Path, encoding: str = "utf-8", **more) -> list[dict]:
    return [row.cells for row in stream_rows(path, encoding, **more)]


# --- whole files, as benchmarks are published -----------------------------------------------------------------------------

ROWS = [{"id": "1", "text": "有\tno"}, {"id": "2", "text": 'a "dog"\n'}]


def written(path: Path, shape: str) -> Path:
    """The same two rows in one of the shapes."""
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    texts = {"jsonl": "\n".join(lines), "array": "\ufeff" + json.dumps(ROWS), "commas": ",\n".join(lines)}
    texts["pretty"] = "\n".join(json.dumps(row, indent=4) for row in ROWS)
    if shape in texts:
        path.write_text(texts[shape], "utf-8")
    elif shape in ("tsv", "csv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"], delimiter="\t" if shape == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    elif shape == "xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for line in (["id", "text", None], *(list(row.values()) for row in ROWS), [None, None]):
            book.active.append(line)
        book.save(path)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


def test_all_shapes_read_alike(tmp_path):
    shapes = {"array": "json", "pretty": "json", "commas": "json"}
    for shape in ("jsonl", "array", "pretty", "commas", "tsv", "csv", "xlsx", "parquet"):
        path = written(tmp_path / f"{shape}.{shapes.get(shape, shape)}", shape)
        assert read_rows(path) == ROWS, shape
    path = write(tmp_path, "a.json", '{"a": 1}')
    assert read_json(path) == [{"a": 1}] and read_rows(path) == [{"a": 1}]
    assert read_json(write(tmp_path, "a.json", '[1, 2]\n{"a": 1}')) == [[1, 2], {"a": 1}]
    picture = write(tmp_path, "a.tsv", "index\timage\n1\t" + "A" * 2_000_000 + "\n")
    assert len(read_rows(picture)[0]["image"]) == 2_000_000, "a picture in a cell is not too long"


def test_damage_of_whole_files_is_named(tmp_path):
    for name, content, words in [
        ("a.json", '{"a": 1}\n{"a": ', "line 2: not JSON"),
        ("a.json", "[1, 2]", "entry 1 is '1', expected an object"),
        ("a.json", "[]", "found no entries"),
        ("a.json", "", "found no entries"),
        ("a.json", b"\xff\xfe", "not UTF-8"),
        ("a.tsv", "id\ttext\n1\n", r"line 2: found 1 cells, expected 2"),
        ("a.tsv", "id\ttext\n1\t2\t3\n", r"line 2: found 3 cells, expected 2"),
        ("a.csv", "id,text\n", "found no rows below the header"),
        ("a.csv", "\n\n", "found no rows below the header"),
        ("a.xlsx", "no zip", "not a readable xlsx file"),
        ("a.parquet", "PAR1", "not a readable parquet file"),
    ]:
        with pytest.raises(ValueError, match=words) as caught:
            read_rows(write(tmp_path, name, content))
        assert name in str(caught.value)
    for name in ("gone.json", "gone.tsv", "gone.xlsx", "gone.parquet"):
        with pytest.raises(ValueError, match=f"no file at .*{name}"):
            read_rows(tmp_path / name)


def test_columns_under_their_names():
    assert column({"text": "a", "id": 1}, "f.json", "answer", "text") == "a"
    with pytest.raises(ValueError, match=r"f.json: found fields \['id'\], expected answer or text"):
        column({"id": 1}, "f.json", "answer", "text")
    with pytest.raises(ValueError, match=r"t.csv: no column 'captoin'; did you mean 'caption'\? Found: image, caption"):
        expect_names(["image", "caption"], ["image", "captoin"], "t.csv")


# --- rows one by one ------------------------------------------------------------------------------------------------------


def test_csv_with_line_ends_and_commas_in_cells(tmp_path):
    text = 'image, caption\r\na.jpg,"one, two"\r\n\r\nb.jpg,"three\nfour ""five"""\r\nc.jpg,\r\n'
    path = write(tmp_path, "t.csv", text)
    expected = [("a.jpg", "one, two"), ("b.jpg", 'three\nfour "five"'), ("c.jpg", "")]
    assert [tuple(row.values()) for row in cells(path)] == expected
    assert [row.line for row in stream_rows(path)] == [2, 4, 6]


def test_a_header_says_what_its_file_is_separated_by(tmp_path):
    for name, content in [
        ("captions.txt", 'image,caption\na.jpg,"Two dogs , one ball ."\n'),
        ("results.csv", "image| caption\na.jpg| Two dogs , one ball .\n"),
        ("t.csv", "image\tcaption\na.jpg\tTwo dogs , one ball .\n"),
        ("t.csv", "image;caption\r\na.jpg;Two dogs , one ball .\r\n"),
    ]:
        expected = [{"image": "a.jpg", "caption": "Two dogs , one ball ."}]
        assert cells(write(tmp_path, name, content)) == expected, (name, content)


def test_what_a_tsv_has_in_quotation_marks(tmp_path):
    path = write(tmp_path, "t.tsv", 'a\tb\n"x"\t"y ""z"""\n"half\t"\n')
    assert cells(path) == [{"a": "x", "b": 'y "z"'}, {"a": '"half', "b": '"'}]
    assert cells(path, raw=True) == [{"a": '"x"', "b": '"y ""z"""'}, {"a": '"half', "b": '"'}]
    assert cells(path, names=["b", "c"])[0] == {"b": "a", "c": "b"}, "without a header"


def test_other_encodings(tmp_path):
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "gb18030", "big5"):
        path = write(tmp_path, "t.csv", "圖,說明\na.jpg,一隻狗\n".encode(encoding))
        named = "utf-8" if encoding in ("utf-8-sig", "utf-16") else encoding
        assert cells(path, named) == [{"圖": "a.jpg", "說明": "一隻狗"}], encoding


def test_the_wrong_encoding_is_told_with_its_line_and_the_right_one(tmp_path):
    text = "image,caption\n" + "a.jpg,plain\n" * 3000 + "b.jpg,一只狗\n" + "c.jpg,plain\n" * 3000
    with pytest.raises(ValueError, match=r"t.csv, line 3002: not utf-8 text .*as gb18030 it reads as Chinese: say enc"):
        cells(write(tmp_path, "t.csv", text.encode("gb18030")))
    with pytest.raises(ValueError, match=r"line 3002: not ascii text .*as utf-8 it reads as Chinese"):
        cells(write(tmp_path, "u.csv", text), "ascii")
    with pytest.raises(ValueError, match=r"zero bytes in it; as utf-16-le it reads as .*say encoding = 'utf-16-le'"):
        cells(write(tmp_path, "t.csv", "image,caption\na.jpg,一只狗\n".encode("utf-16-le")))
    with pytest.raises(ValueError, match=r"'klingon' is no encoding; utf-8, gb18030"):
        cells(write(tmp_path, "t.csv", "a\n1\n"), "klingon")


def test_an_encoding_is_claimed_where_it_gives_text(tmp_path):
    for text, encoding, claimed in [
        ("一隻狗在草地上", "big5", "as big5 it reads as Chinese"),
        ("一只狗在草地上", "gbk", "as gb18030 it reads as Chinese"),
        ("고양이가 소파 위에", "euc-kr", ""),
        ("赤い車が道路に", "euc-jp", ""),
        ("赤い車が道路に", "shift_jis", ""),
        ("Красный автобус", "cp1251", ""),
        ("un café là", "latin-1", ""),
    ]:
        with pytest.raises(ValueError, match=r"t.csv, line 2: not utf-8 text") as error:
            cells(write(tmp_path, "t.csv", f"image,caption\na.jpg,{text}\n".encode(encoding)))
        assert claimed in str(error.value) and ("; as " in str(error.value)) == bool(claimed), encoding


def test_what_is_no_table_is_told(tmp_path):
    for name, content, message in [
        ("t.csv", b"", r"t.csv is empty \(0 bytes\); was the download cut short"),
        ("t.csv", b"<!DOCTYPE html><html>", r"this is an HTML page; the download may have asked for a login"),
        ("t.json", b"\n<html lang=en>", "an HTML page"),
        ("t.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer.*git lfs pull"),
        ("t.json", b"\x1f\x8b\x08\x00", r"compressed \(gzip\); unpack it first"),
        ("t.csv", b"PK\x03\x04", r"compressed \(zip\)"),
        ("t.csv.gz", b"a\n1\n", "cannot be unpacked"),
        ("t.csv", b"\n\n", r"line 1: found \[\], expected a header that names each column once"),
        ("t.csv", b"a,b,a\n1,2,3\n", r"line 1: found \['a', 'b', 'a'\], expected a header"),
        ("t.csv", b'a,b\n1,2\n3,"' + b"x" * 1_100_000, r"line \d+: field larger.*is a quotation mark missing"),
        ("t.xlsx", b"PK", r"found .xlsx, expected a text table: .csv, .tsv"),
        ("t.parquet", b"PAR1", r"found a parquet file, expected a text table: [^q]*json$"),
        ("t.json", b"<annotation><object>", 'XML of Pascal VOC are read by format = "boxes"'),
        ("t.jsonl", b'{"a": 1}\n{"a": ', r"line 2: not JSON .*the file ends here: was it cut short"),
        ("t.jsonl", b"a,b\n1,2\n", r"line 1: not JSON .*expected an object in each line"),
    ]:
        with pytest.raises(ValueError, match=message):
            cells(write(tmp_path, name, content))
    with pytest.raises(ValueError, match=r"no table at .*none.csv"):
        cells(tmp_path / "none.csv")


def test_broken_rows_do_not_stop_the_others(tmp_path):
    path = write(tmp_path, "t.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert [(row.line, row.problem) for row in stream_rows(path)] == [
        (2, ""),
        (3, "found 1 cells, expected 2 as in the header"),
        (4, "found 3 cells, expected 2 as in the header"),
        (5, ""),
    ]
    path = write(tmp_path, "t.jsonl", '\ufeff{"a": 1}\n\n[2]\n{"a": }\n{"a": NaN}\n')
    rows = list(stream_rows(path))
    assert [row.cells for row in rows] == [{"a": 1}, {}, {}, {"a": None}] and [row.line for row in rows] == [1, 3, 4, 5]
    cut = write(tmp_path, "cut.jsonl", '{"a": 1}\n{"a": ')
    assert [bool(row.problem) for row in stream_rows(cut, raw=True)] == [False, True]
    assert cells(write(tmp_path, "t.csv", "a,b,b\n1,2,3\n"), raw=True) == [{"a": "1", "b": "3"}]
    assert rows[1].problem == "found '[2]', expected an object with named fields" and "not JSON" in rows[2].problem


def test_a_directory_of_tables_of_one_kind(tmp_path):
    for name in ("b.csv", "a.csv", "readme.md", "licence.txt", ".hidden.tsv"):
        write(tmp_path, name, "a\n1\n")
    assert [path.name for path in tables_at(tmp_path)] == ["a.csv", "b.csv"]
    write(tmp_path, "c.json", "[]")
    with pytest.raises(ValueError, match=r"found .csv, .json, expected a table, or a directory of one kind"):
        tables_at(tmp_path)


# --- JSON larger than memory ----------------------------------------------------------------------------------------------

TRICKY = [
    {"text": 'quotes " and \\ and 中文 and 🐼', "number": -12.5e3, "deep": [[{"a": [1, 2]}], []]},
    "a string with ] and } and , in it",
    *(1234567890, -0.25, 1.5, 5e-3, 7, True, None, [], {}),
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 16, 1000])
def test_entries_are_whole_wherever_the_file_is_cut(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(text_files, "_CHUNK", chunk)
    data = {"info": {"year": 2014}, "images": TRICKY, "empty": [], "last": 7}
    expected = [("images", number, value) for number, value in enumerate(TRICKY, 1)]
    for options in (
        {"ensure_ascii": ascii_only, "indent": indent} for ascii_only in (True, False) for indent in (None, 1)
    ):
        path = write(tmp_path, "t.json", json.dumps(TRICKY, **options))
        assert [entry.value for entry in json_entries(path)] == TRICKY
        assert [entry.value for entry in json_entries(path, whole=True)] == TRICKY
        path = write(tmp_path, "t.json", json.dumps(data, **options))
        found = [(entry.name, entry.number, entry.value) for entry in json_entries(path)]
        assert found == [("info", 0, {"year": 2014}), *expected, ("last", 0, 7)], options


def test_lines_are_counted_and_values_may_follow_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_CHUNK", 5)
    path = write(tmp_path, "t.json", '[\n{"a": 1},\r\n\n{"a":\n2}, {"a": 3}\n]\n')
    assert [(entry.line, entry.value["a"]) for entry in json_entries(path)] == [(2, 1), (4, 2), (5, 3)]
    path = write(tmp_path, "t.json", '\ufeff{"a": 1}\n{"a": 2}\n\n{"a": NaN} {"a": 4}')
    assert [entry.value["a"] for entry in json_entries(path, whole=True)] == [1, 2, None, 4]
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        path = write(tmp_path, "t.json", json.dumps(TRICKY, ensure_ascii=False).encode(encoding))
        assert [entry.value for entry in json_entries(path)] == TRICKY, encoding


def test_an_object_that_only_wraps_a_list_is_that_list(tmp_path):
    rows = [{"messages": [1], "n": number} for number in range(3)]
    for wrapped in ({"data": rows}, {"version": 1.5, "name": "a", "rows": rows, "more": {}}):
        path = write(tmp_path, "t.json", json.dumps(wrapped, indent=1))
        assert [entry.value for entry in json_entries(path, whole=True)] == rows
    # An object that has a list of its own is no wrapper.
    path = write(tmp_path, "t.json", json.dumps({"messages": rows, "data": rows}))
    assert [entry.value for entry in json_entries(path, whole=True)] == [{"messages": rows, "data": rows}]


def test_mistakes_are_told_with_their_place(tmp_path):
    for text, message in [
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
    ]:
        with pytest.raises(ValueError, match=message):
            list(json_entries(write(tmp_path, "t.json", text)))


def test_mistakes_and_entries_without_end_do_not_read_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_CHUNK", 64)
    monkeypatch.setattr(text_files, "LONGEST_ENTRY", 1000)
    rest = 2_000_000
    path = write(tmp_path, "t.json", '[{"a" 1}, ' + "1, " * (rest // 3) + "1]")
    endless = write(tmp_path, "u.json", '["a", "' + "b" * rest)
    tracemalloc.start()
    with pytest.raises(ValueError, match="not JSON"):
        list(json_entries(path))
    with pytest.raises(ValueError, match="longer than 1000 characters; is a quotation mark missing"):
        list(json_entries(endless))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rest // 4, peak


def test_a_large_file_takes_little_memory(tmp_path):
    """20 MB in the shape of LLaVA's list, and of COCO's object of lists."""
    turns = [{"from": "human", "value": "<image>\nWhat is there?"}, {"from": "gpt", "value": "A dog. " * 700}]
    entry = json.dumps({"id": "000000033471", "image": "coco/train2017/000000033471.jpg", "conversations": turns})
    count = 20_000_000 // len(entry)
    for start, end in (("[", "]"), ('{"info": {}, "annotations": [', "]}")):
        path = write(tmp_path, "large.json", start + ",\n".join([entry] * count) + end)
        tracemalloc.start()
        found = sum(1 for one in json_entries(path) if one.number)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found == count and peak < 4_000_000, peak
