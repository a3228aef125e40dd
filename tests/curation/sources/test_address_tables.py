"""Tables of addresses: every public form gives the same rows, strangers' addresses stay on the web, and no row is lost."""

from __future__ import annotations

import gzip
import json

import pytest
from loopback import write_table
from pyarrow import parquet

from skymm.curation.sources.address_tables import read_lines, web_address, write_tables
from skymm.recipe.sources import UrlsSource

LINES = [
    ("http://a.example/1.jpg", "a cat"),
    ("https://b.example/2.jpg", '一只"猫"，在桌上'),
    ("http://c.example/3", "x"),
]


def recipe(table, **fields) -> UrlsSource:
    return UrlsSource(format="urls", tasks=["captions"], table=str(table), cache=str(table) + ".cache", **fields)


def read(table, **fields) -> list[tuple[str, str, str]]:
    return [(line.url, line.caption, line.refused) for line in read_lines(recipe(table, **fields))]


WHOLE = [(*line, "") for line in LINES]
FORMS = {
    "t.csv": {},
    "t.tsv": {"column_names": ["url", "caption"]},
    "t.jsonl": {},
    "t.parquet": {"url_column": "URL", "caption_column": "TEXT"},
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(name, tmp_path):
    table = write_table(tmp_path / name, LINES)
    assert read(table, **FORMS[name]) == WHOLE
    assert read(table, **FORMS[name], limit=2) == WHOLE[:2]
    if name != "t.parquet":
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(table.read_bytes()))
        assert read(packed, **FORMS[name]) == WHOLE


def test_a_directory_of_tables_is_read_in_the_order_of_the_names(tmp_path):
    for index, line in enumerate(LINES):
        write_table(tmp_path / f"{2 - index}.csv", [line])
    (tmp_path / "README.md").write_text("not a table")
    assert read(tmp_path) == WHOLE[::-1]
    write_table(tmp_path / "x.jsonl", LINES)
    with pytest.raises(ValueError, match=r"found \.csv, \.jsonl, expected files of one kind"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "said"), [("gb18030", "gb18030"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-8", "utf-8")]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(encoding, said, newline, tmp_path):
    table = write_table(tmp_path / "t.csv", LINES)
    text = table.read_bytes().decode().replace("\r\n", newline)
    table.write_bytes(text.encode(encoding))
    assert read(table, encoding=said) == WHOLE


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_wrong_encoding_is_told_with_what_to_say(encoding, tmp_path):
    table = write_table(tmp_path / "t.csv", LINES)
    table.write_bytes(table.read_text("utf-8").encode(encoding))
    with pytest.raises(ValueError, match=r't\.csv: not utf-8 text .*encoding = "gb18030"'):
        read(table)
    with pytest.raises(ValueError, match="no encoding is called 'utf-88'"):
        read(table, encoding="utf-88")


def test_cc3m_and_quotation_marks_in_a_tsv(tmp_path):
    (tmp_path / "Train.tsv").write_text('"a half quotation\thttp://a/1\nanother\thttp://b/2\n\nthird " \thttp://c/3\n')
    found = read(tmp_path / "Train.tsv", column_names=["caption", "url"])
    assert found == [
        ("http://a/1", '"a half quotation', ""),
        ("http://b/2", "another", ""),
        ("http://c/3", 'third " ', ""),
    ]


def test_quoted_cells_of_a_csv_may_hold_commas_and_lines(tmp_path):
    (tmp_path / "t.csv").write_text('url,caption\nhttp://a/1,"one, ""two""\nthree"\n')
    assert read(tmp_path / "t.csv") == [("http://a/1", 'one, "two"\nthree', "")]


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        (["file:///etc/passwd", "x"], "no web address"),
        (["file://localhost/etc/passwd", "x"], "no web address"),
        (["ftp://a.example/x.jpg", "x"], "no web address"),
        (["data:image/png", "x"], "no web address"),
        (["//a.example/x.jpg", "x"], "no web address"),
        (["/etc/passwd", "x"], "no web address"),
        (["http://", "x"], "no web address"),
        (["http://a.example:port/", "x"], "no web address"),
        (["http://[::1/", "x"], "no web address"),
        (["", "x"], "no web address"),
        (["http://a.example/x.jpg", "  "], "no caption"),
        (["http://a.example/x.jpg"], "row of another form"),
        (["http://a.example/x.jpg", "x", "y"], "row of another form"),
    ],
)
def test_rows_that_are_not_asked_for(row, refused, tmp_path):
    (tmp_path / "t.csv").write_text("url,caption\n" + ",".join(row) + "\nhttp://a/1,good\n")
    assert [line[2] for line in read(tmp_path / "t.csv")] == [refused, ""]
    assert write_tables(recipe(tmp_path / "t.csv"), tmp_path / "out") == 2
    assert parquet.read_table(tmp_path / "out" / "00000.parquet")["url"].to_pylist() == ["", "http://a/1"]


@pytest.mark.parametrize("text", ["{", "[1, 2]", "null", '{"url": 7, "caption": {"a": 1}}', '{"caption": "x"}'])
def test_bad_lines_of_json_are_counted(text, tmp_path):
    good = json.dumps({"url": "http://a/1", "caption": "good"})
    (tmp_path / "t.jsonl").write_text(f"{good}\n{text}\n\n{good}\n")
    found = read(tmp_path / "t.jsonl")
    assert len(found) == 3 and found[1][2] and [found[0][2], found[2][2]] == ["", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            b"link,text\nhttp://a/1,x\n",
            r"found columns \['link', 'text'\], expected 'url', 'caption'; .*column_names",
        ),
        ("t.csv", b"", r"found columns \[\]"),
        ("t.csv", b"url,caption\n", "found no rows"),
        ("t.csv", b'url,caption\n"' + b"http://a/1,x\n" * 99_999, r"cannot be read as \.csv \(field larger"),
        ("t.jsonl", b'{"URL": "http://a/1"}\n', r"found columns \['URL'\]"),
        ("t.parquet", b"PAR1 but not more", "not a readable parquet file"),
        ("t.parquet", b"", "not a readable parquet file"),
        ("t.csv.gz", b"url,caption\nhttp://a/1,x\n", r"cannot be read as \.csv\.gz"),
        (
            "t.csv.gz",
            gzip.compress(b"url,caption\n" + b"http://a/1,x\n" * 9999, mtime=0)[:100],
            r"cannot be read as \.csv\.gz",
        ),
        ("t.xlsx", b"PK", "expected files of one kind"),
        ("t.json", b"[]", "expected files of one kind"),
    ],
)
def test_files_that_are_no_tables_are_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        write_tables(recipe(tmp_path / name), tmp_path / "out")
    assert str(tmp_path / name) in str(error.value)


def test_no_table(tmp_path):
    with pytest.raises(ValueError, match="no table at"):
        read(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="found no tables"):
        read(tmp_path)
    table = write_table(tmp_path / "t.jsonl", LINES)
    with pytest.raises(ValueError, match="column_names is for csv and tsv"):
        read(table, column_names=["url", "caption"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" http://a.example/x.jpg?a=1&b=%20#c ", "http://a.example/x.jpg?a=1&b=%20#c"),
        ("https://图片.example/猫 1.jpg?名=一", "https://xn--wcsw84d.example/%E7%8C%AB%201.jpg?%E5%90%8D=%E4%B8%80"),
        ("HTTP://a.example/{1}", "http://a.example/%7B1%7D"),
        ("http://a.example/x\r\nHost: b", "http://a.example/xHost:%20b"),
    ],
)
def test_addresses_go_over_the_wire_in_ascii(text, expected):
    assert web_address(text) == expected


def test_what_the_fetcher_reads(tmp_path):
    table = write_table(tmp_path / "t.parquet", [*LINES, ("http://d/4", "last")])
    wanted = {"url_column": "URL", "caption_column": "TEXT", "columns": ["similarity"], "urls_per_shard": 3}
    assert write_tables(recipe(table, **wanted), tmp_path / "out") == 4
    (path,) = sorted((tmp_path / "out").iterdir())
    rows = parquet.read_table(path).to_pylist()
    assert [row["url"] for row in rows] == [line[0] for line in LINES] + ["http://d/4"]
    assert json.loads(rows[1]["extra"]) == {"url": LINES[1][0], "columns": {"similarity": 0.26}, "refused": ""}


def test_a_file_holds_whole_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("skymm.curation.sources.address_tables._ROWS_PER_FILE", 7)
    monkeypatch.setattr("skymm.curation.sources.address_tables._BATCH", 4)
    table = write_table(tmp_path / "t.csv", [(f"http://a/{index}", "x") for index in range(20)])
    assert write_tables(recipe(table, urls_per_shard=3), tmp_path / "out") == 20
    read_back = [parquet.read_table(path)["url"].to_pylist() for path in sorted((tmp_path / "out").iterdir())]
    assert [len(each) for each in read_back] == [6, 6, 6, 2]
    assert [url for each in read_back for url in each] == [f"http://a/{index}" for index in range(20)]


def test_not_a_number_and_half_characters_do_no_harm(tmp_path):
    row = '{"url": "http://a/1", "caption": "x \\ud800", "score": NaN, "tags": ["猫"]}'
    (tmp_path / "t.jsonl").write_text(row + "\n", "utf-8")
    (line,) = read_lines(recipe(tmp_path / "t.jsonl", columns=["score", "tags"]))
    assert (line.caption, line.extra, line.refused) == ("x ?", {"tags": "['猫']"}, "")
