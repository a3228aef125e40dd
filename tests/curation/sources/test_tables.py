"""Tables of strangers: rows in every kind of file, and errors that say which file, which line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from skymm.curation.sources.rows import expect_names
from skymm.curation.sources.tables import read_rows, tables_at


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(path: Path, encoding: str = "utf-8") -> list[dict]:
    return [row.cells for row in read_rows(path, encoding)]


def test_csv_with_line_ends_and_commas_in_cells(tmp_path):
    path = write(
        tmp_path, "t.csv", 'image, caption\r\na.jpg,"one, two"\r\n\r\nb.jpg,"three\nfour ""five"""\r\nc.jpg,\r\n'
    )
    assert cells(path) == [
        {"image": "a.jpg", "caption": "one, two"},
        {"image": "b.jpg", "caption": 'three\nfour "five"'},
        {"image": "c.jpg", "caption": ""},
    ]
    assert [row.line for row in read_rows(path)] == [2, 4, 6]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "big5"])
def test_other_encodings(tmp_path, encoding):
    path = write(tmp_path, "t.csv", "圖,說明\na.jpg,一隻狗\n".encode(encoding))
    named = "utf-8" if encoding in ("utf-8-sig", "utf-16") else encoding
    assert cells(path, named) == [{"圖": "a.jpg", "說明": "一隻狗"}]


def test_the_wrong_encoding_is_told_with_its_line_and_the_right_one(tmp_path):
    text = "image,caption\n" + "a.jpg,plain\n" * 3000 + "b.jpg,一只狗\n" + "c.jpg,plain\n" * 3000
    path = write(tmp_path, "t.csv", text.encode("gb18030"))
    with pytest.raises(
        ValueError, match=r"t.csv, line 3002: not utf-8 text .*as gb18030 it reads as Chinese: say encoding"
    ):
        cells(path)
    with pytest.raises(ValueError, match=r"line 3002: not ascii text .*as utf-8 it reads as Chinese"):
        cells(write(tmp_path, "u.csv", text), "ascii")


@pytest.mark.parametrize(
    ("text", "written", "claimed"),
    [
        ("一隻狗在草地上", "big5", "as big5 it reads as Chinese"),
        ("一只狗在草地上", "gbk", "as gb18030 it reads as Chinese"),
        ("고양이가 소파 위에", "euc-kr", ""),
        ("赤い車が道路に", "euc-jp", ""),
        ("赤い車が道路に", "shift_jis", ""),
        ("Красный автобус", "cp1251", ""),
        ("un café là", "latin-1", ""),
    ],
)
def test_an_encoding_is_claimed_where_it_gives_text(tmp_path, text, written, claimed):
    with pytest.raises(ValueError, match=r"t.csv, line 2: not utf-8 text") as error:
        cells(write(tmp_path, "t.csv", f"image,caption\na.jpg,{text}\n".encode(written)))
    assert claimed in str(error.value) and ("; as " in str(error.value)) == bool(claimed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.txt", 'image,caption\na.jpg,"Two dogs , one ball ."\n'),
        ("results.csv", "image| caption\na.jpg| Two dogs , one ball .\n"),
        ("t.csv", "image\tcaption\na.jpg\tTwo dogs , one ball .\n"),
        ("t.csv", "image;caption\r\na.jpg;Two dogs , one ball .\r\n"),
    ],
)
def test_a_header_says_what_its_file_is_separated_by(tmp_path, name, content):
    assert cells(write(tmp_path, name, content)) == [{"image": "a.jpg", "caption": "Two dogs , one ball ."}]


def test_utf_16_without_a_mark_is_told(tmp_path):
    path = write(tmp_path, "t.csv", "image,caption\na.jpg,一只狗\n".encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"zero bytes in it; as utf-16-le it reads as .*say encoding = 'utf-16-le'"):
        cells(path)
    assert cells(path, "utf-16-le") == [{"image": "a.jpg", "caption": "一只狗"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", r"t.csv is empty \(0 bytes\); was the download cut short"),
        ("t.csv", b"<!DOCTYPE html><html>", r"this is an HTML page; the download may have asked for a login"),
        ("t.json", b"\n<html lang=en>", "an HTML page"),
        ("t.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer.*git lfs pull"),
        ("t.json", b"\x1f\x8b\x08\x00", r"compressed \(gzip\); unpack it first"),
        ("t.csv", b"PK\x03\x04", r"compressed \(zip\)"),
        ("t.csv", b"\n\n", r"line 1: found \[\], expected a header that names each column once"),
        ("t.csv", b"a,b,a\n1,2,3\n", r"line 1: found \['a', 'b', 'a'\], expected a header"),
        ("t.csv", b'a,b\n1,2\n3,"' + b"x" * 1_100_000, r"line \d+: field larger.*is a quotation mark missing"),
        ("t.xlsx", b"PK", r"found .xlsx, expected a text table: .csv, .tsv"),
        ("t.parquet", b"PAR1", r"found a parquet file, expected a text table: [^q]*json$"),
        ("t.json", b"<annotation><object>", 'XML of Pascal VOC are read by format = "boxes"'),
        ("t.jsonl", b'{"a": 1}\n{"a": ', r"line 2: not JSON .*the file ends here: was it cut short"),
        ("t.jsonl", b"a,b\n1,2\n", r"line 1: not JSON .*expected an object in each line"),
    ],
)
def test_what_is_no_table_is_told(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        cells(write(tmp_path, name, content))


def test_missing_files_and_encodings_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"no table at .*none.csv"):
        cells(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"'klingon' is no encoding; utf-8, gb18030"):
        cells(write(tmp_path, "t.csv", "a\n1\n"), "klingon")


def test_broken_rows_do_not_stop_the_others(tmp_path):
    path = write(tmp_path, "t.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert [(row.line, row.problem) for row in read_rows(path)] == [
        (2, ""),
        (3, "found 1 cells, expected 2 as in the header"),
        (4, "found 3 cells, expected 2 as in the header"),
        (5, ""),
    ]
    path = write(tmp_path, "t.jsonl", '\ufeff{"a": 1}\n\n[2]\n{"a": }\n{"a": NaN}\n')
    rows = list(read_rows(path))
    assert [row.cells for row in rows] == [{"a": 1}, {}, {}, {"a": None}] and [row.line for row in rows] == [1, 3, 4, 5]
    assert rows[1].problem == "found '[2]', expected an object with named fields" and "not JSON" in rows[2].problem


def test_a_directory_of_tables_of_one_kind(tmp_path):
    for name in ("b.csv", "a.csv", "readme.md", ".hidden.tsv"):
        write(tmp_path, name, "a\n1\n")
    assert [path.name for path in tables_at(tmp_path)] == ["a.csv", "b.csv"]
    write(tmp_path, "c.json", "[]")
    with pytest.raises(ValueError, match=r"found .csv, .json, expected a table, or a directory of one kind"):
        tables_at(tmp_path)


def test_a_missing_column_is_told_with_what_may_be_meant():
    with pytest.raises(ValueError, match=r"t.csv: no column 'captoin'; did you mean 'caption'\? Found: image, caption"):
        expect_names(["image", "caption"], ["image", "captoin"], "t.csv")
