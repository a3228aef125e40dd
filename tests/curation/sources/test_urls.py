"""Addresses to records: everything that a web can answer, a fetcher that is killed and goes on, and no row lost.

img2dataset itself is started twice (some 10 to 20 seconds each, for it loads torch, OpenCV and ray); what it is told, and how
its failures are told on, is tested with a stand-in of the same name.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import loopback
import pytest
from loopback import write_table
from PIL import Image
from pyarrow import parquet

from skymm.curation.record import Record, Rejected
from skymm.curation.sources import urls
from skymm.curation.sources.urls import Source, web_address, write_tables
from skymm.images import decode_image
from skymm.recipe.sources import UrlsSource

STAND_IN = """
import json, os, pathlib
def download(**arguments):
    out = pathlib.Path(arguments["output_folder"])
    out.mkdir(exist_ok=True)
    (out.parent / "told.json").write_text(json.dumps([arguments, os.environ.get("WANDB_MODE")]))
    print("noise")
    {body}
"""


def recipe(table: Path, cache: Path, **fields) -> UrlsSource:
    wanted = {"image_size": 64, "timeout": 1, "retries": 0, "processes": 1, "threads": 8, "max_pixels": 5_000_000}
    wanted |= {"table": str(table), "cache": str(cache), "format": "urls", "tasks": ["captions"]}
    return UrlsSource(**{**wanted, **fields})


def outcomes(source: Source) -> list[Record | Rejected]:
    return [outcome for row in source.rows() for outcome in source.records(json.loads(json.dumps(row)))]


# --- the real thing -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("img2dataset") is None, reason="img2dataset is not installed")
def test_a_web_of_good_and_bad_answers_is_fetched_over_a_kill(tmp_path, capfd):
    with loopback.serving() as web:
        good = [web.url("/red.jpg"), web.url("/green.png")]
        lines = [(url, "in the first shard") for url in good] * 2 + loopback.rows(web)
        lines += [
            ("file:///etc/passwd", "of this machine"),
            ("http://127.0.0.1:9/x.jpg", "nobody listens there"),
            ("", "x"),
        ]
        table = loopback.write_table(tmp_path / "t.parquet", lines)
        columns = {"url_column": "URL", "caption_column": "TEXT", "columns": ["similarity"], "urls_per_shard": 4}
        wanted = recipe(table, tmp_path / "cache", **columns)
        _fetch_and_kill_after_the_first_shard(wanted, web)
        assert urls.missing_shards(wanted, len(lines))[0] == 1, "the first shard is whole, the others are not"
        asked = web.asked.copy()
        source = Source(wanted)
        found = outcomes(source)
        assert web.asked["/red.jpg"] - asked["/red.jpg"] == 2, (
            "once, and once by way of /moved; no more of the first shard"
        )
        total = web.asked.total()
        assert outcomes(source) == found and web.asked.total() == total, "what is there is not fetched again"
    assert capfd.readouterr().out == "", "and img2dataset is silent"
    _check_outcomes(found, lines)
    # What became of the tar and of the table is told, and not guessed.
    _check_damage(source, found)


def _fetch_and_kill_after_the_first_shard(wanted: UrlsSource, web: loopback.Web) -> None:
    """The gate closes once the addresses of the first shard were asked for; nothing of img2dataset outlives the kill."""
    web.close_after = 4
    code = "import sys; from skymm.recipe.sources import UrlsSource; from skymm.curation.sources.urls import fetch"
    code += "; fetch(UrlsSource.model_validate_json(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", code, wanted.model_dump_json()], stderr=subprocess.DEVNULL)
    try:
        _until(lambda: (Path(wanted.cache) / "shards" / "00000_stats.json").exists() and web.asked.total() > 4, process)
        children = _descendants(process.pid)
        assert len(children) >= 2, "img2dataset and its worker"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    _until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() and _alive(child) for child in children))
    web.close_after = None
    web.gate.set()


def _until(done, process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert process is None or process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "waited for two minutes"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def _descendants(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [each for child in found for each in _descendants(child)]


def _check_outcomes(found: list[Record | Rejected], lines: list[tuple[str, str]]) -> None:
    assert len(found) == len(lines)
    by_caption = {caption: (path, reason) for path, (caption, _, reason) in loopback.ANSWERS.items()}
    others = dict.fromkeys(("file:///etc/passwd", ""), "no web address")
    others["http://127.0.0.1:9/x.jpg"] = "address does not answer"
    assert [outcome.key for outcome in found] == sorted(outcome.key for outcome in found)
    for index, (outcome, (url, caption)) in enumerate(zip(found, lines)):
        path, reason = by_caption.get(caption, ("", "" if index < 4 else others.get(url)))
        if not reason:
            assert isinstance(outcome, Record), outcome
            assert [line.text for line in outcome.captions] == [caption]
            assert outcome.captions[0].language == ("zh" if caption > "\u3000" else "en")
            assert outcome.extra == {"url": url, "columns": {"similarity": 0.25 + index / 100}}
            image = decode_image(outcome.pictures["jpg"].read(), outcome.key)
            assert min(image.size) == 64 and image.mode == "RGB"
            if path == "/turned.jpg":
                assert image.size == (64, 128), "upright"
            if path in ("/red.jpg", "/moved"):
                assert image.size == (96, 64) and image.getpixel((5, 5))[0] > 200
        else:
            assert isinstance(outcome, Rejected) and outcome.reason == reason, outcome
            assert url in outcome.detail


def _check_damage(source: Source, found: list[Record | Rejected]) -> None:
    tar, table = urls.shard_paths(source.recipe, 0)
    whole = tar.read_bytes()
    with tarfile.open(tar) as members:
        last = [info for info in members if info.name.endswith(".jpg")][-1]
    tar.write_bytes(whole[: last.offset_data + 10])
    damaged = list(source.records({"shard": 0, "addresses": 4}))
    assert [type(outcome) for outcome in damaged].count(Record) == 3
    assert [outcome.reason for outcome in damaged if isinstance(outcome, Rejected)] == ["lost while fetching"]
    assert [outcome.reason for outcome in list(source.records({"shard": 0, "addresses": 5}))[4:]] == [
        "lost while fetching"
    ]
    tar.write_bytes(whole)
    assert list(source.records({"shard": 0, "addresses": 4})) == found[:4]
    table.write_bytes(b"")
    with pytest.raises(ValueError, match=r"00000\.parquet: cannot be read .*remove 00000_stats\.json"):
        list(source.records({"shard": 0, "addresses": 4}))
    tar.unlink()
    with pytest.raises(ValueError, match=r"00000\.tar: cannot be read"):
        list(source.records({"shard": 0, "addresses": 4}))


# --- the stand-in -------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path) -> Path:
    return write_table(tmp_path / "t.csv", [(f"http://a.example/{index}.jpg", "x") for index in range(5)])


def stand_in(folder: Path, monkeypatch, body: str, *others: str) -> None:
    (folder / "img2dataset.py").write_text(STAND_IN.format(body=body))
    for name in others:
        (folder / f"{name}.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


WRITES_ALL = 'for number in range(3): (out / f"{number:05d}_stats.json").write_text("{}")'


@pytest.mark.parametrize("distributor", ["multiprocessing", "pyspark", "ray"])
def test_what_img2dataset_is_told(distributor, table, tmp_path, monkeypatch, capfd):
    stand_in(tmp_path, monkeypatch, WRITES_ALL, "pyspark", "ray")
    wanted = recipe(table, tmp_path / "cache", distributor=distributor, urls_per_shard=2, refused_directives=["noai"])
    rows = [{"shard": 0, "addresses": 2}, {"shard": 1, "addresses": 2}, {"shard": 2, "addresses": 1}]
    assert list(Source(wanted).rows()) == rows
    told, tracker = json.loads((tmp_path / "cache" / "told.json").read_text())
    assert told == urls.arguments(wanted) and tracker == "disabled"
    assert told["distributor"] == distributor and told["disallowed_header_directives"] == ["noai"]
    assert (told["number_sample_per_shard"], told["processes_count"], told["thread_count"]) == (2, 1, 8)
    assert (told["resize_mode"], told["image_size"], told["min_image_size"]) == ("keep_ratio", 64, 32)
    assert (told["timeout"], told["retries"], told["incremental_mode"]) == (1, 0, "incremental")
    printed = capfd.readouterr()
    assert printed.out == "" and "noise" not in printed.err and "fetching 3 shards" in printed.err
    assert "noise" in (tmp_path / "cache" / "fetch.log").read_text()


@pytest.mark.skipif(importlib.util.find_spec("img2dataset") is None, reason="img2dataset is not installed")
def test_img2dataset_knows_every_argument(table, tmp_path):
    """Read, not imported: that takes ten seconds."""
    import ast

    main = Path(importlib.util.find_spec("img2dataset").submodule_search_locations[0]) / "main.py"
    (download,) = [node for node in ast.parse(main.read_text("utf-8")).body if getattr(node, "name", "") == "download"]
    assert set(urls.arguments(recipe(table, tmp_path))) <= {argument.arg for argument in download.args.args}


def test_failures_are_told(table, tmp_path, monkeypatch):
    for body, message in (
        ("raise RuntimeError('no space left')", r"img2dataset failed \(exit 1\): .*no space left"),
        ("pass", r"3 of 3 shards were not fetched \(00000, \.\.\.\); see .*fetch\.log, and run this again"),
    ):
        stand_in(tmp_path, monkeypatch, body)
        with pytest.raises(ValueError, match=message):
            urls.fetch(recipe(table, tmp_path / "cache", urls_per_shard=2))
    # -S: a Python without its installed packages
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ValueError, match=r"python has no img2dataset or no ray; .*-m pip install img2dataset ray"):
        urls.fetch(recipe(table, tmp_path / "bare", python=str(bare), distributor="ray"))
    with pytest.raises(ValueError, match="cannot start /nowhere/python"):
        urls.fetch(recipe(table, tmp_path / "none", python="/nowhere/python"))


def test_a_cache_belongs_to_one_table_and_one_way_of_reading_it(table, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, WRITES_ALL)
    cache = tmp_path / "cache"
    leftover = cache / "tables" / "00007.parquet"  # of tables that were not finished: they are turned again
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    assert urls.fetch(recipe(table, cache, urls_per_shard=2)) == 5
    assert [path.name for path in leftover.parent.iterdir()] == ["00000.parquet"]
    urls.fetch(recipe(table, cache, urls_per_shard=2, threads=64, timeout=30, retries=3, distributor="ray"))
    for change in ({"limit": 3}, {"image_size": 128}, {"urls_per_shard": 3}, {"columns": ["url"]}):
        with pytest.raises(ValueError, match=f"was fetched with other {next(iter(change))}; name another directory"):
            urls.fetch(recipe(table, cache, **{"urls_per_shard": 2, **change}))
    write_table(table, [("http://a.example/", "x")])
    with pytest.raises(ValueError, match="was fetched with other tables"):
        urls.fetch(recipe(table, cache, urls_per_shard=2))


def test_names_out_of_a_tar_lead_nowhere_and_keys_are_counted_as_img2dataset_counts_them(tmp_path):
    """`urls_per_shard` of 10 has numbers of one digit within a shard, as img2dataset has it."""
    shards = tmp_path / "cache" / "shards"
    shards.mkdir(parents=True)
    names = ("../000010.jpg", "/000011.jpg", "000012.jpg")
    with tarfile.open(shards / "00001.tar", "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("000013.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    extra = json.dumps({"url": "http://a", "columns": {}, "refused": ""})
    told = {"caption": "a dog", "extra": extra, "status": "success", "error_message": None, "exif": "{}"}
    write_rows(shards / "00001.parquet", [{"key": f"00001{number}", **told} for number in range(4)])
    source = Source(recipe(tmp_path / "none.csv", tmp_path / "cache", urls_per_shard=10))
    *lost, one, other = source.records({"shard": 1, "addresses": 4})
    assert [each.reason for each in (*lost, other)] == ["lost while fetching"] * 3
    assert one.key == "000012" and one.pictures["jpg"].read() == b"abc"


def write_rows(path: Path, rows: list[dict]) -> None:
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_a_note_on_how_to_turn_is_read_back():
    from skymm.curation.sources.urls import _noting

    image = Image.radial_gradient("L").resize((48, 32)).convert("RGB")
    image.paste("red", (0, 0, 20, 10))
    for orientation in range(2, 9):
        plain, noted = io.BytesIO(), io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(plain, "JPEG")
        image.save(noted, "JPEG", exif=exif)
        turned = decode_image(_noting(plain.getvalue(), orientation), "a")
        assert turned.tobytes() == decode_image(noted.getvalue(), "b").tobytes(), orientation


# --- tables of addresses: every public form gives the same rows, strangers' addresses stay on the web, no row is lost ------

LINES = [
    ("http://a.example/1.jpg", "a cat"),
    ("https://b.example/2.jpg", '一只"猫"，在桌上'),
    ("http://c.example/3", "x"),
]
WHOLE = [(*line, "") for line in LINES]


def turned(table: Path, **fields) -> list[dict]:
    """The rows as img2dataset reads them."""
    out = table.parent / f"{table.name}.turned"
    number = write_tables(recipe(table, out, **fields), out)
    rows = [row for path in sorted(out.iterdir()) for row in parquet.read_table(path).to_pylist()]
    assert number == len(rows)
    shutil.rmtree(out)
    return rows


def read(table: Path, **fields) -> list[tuple[str, str, str]]:
    rows = turned(table, **fields)
    told = [json.loads(row["extra"]) for row in rows]
    assert all((row["url"] == "") == bool(extra["refused"]) for row, extra in zip(rows, told))
    return [(extra["url"], row["caption"], extra["refused"]) for row, extra in zip(rows, told)]


def test_every_form_gives_the_same_rows(tmp_path):
    laion = {"url_column": "URL", "caption_column": "TEXT"}
    forms = {"t.csv": {}, "t.tsv": {"column_names": ["url", "caption"]}, "t.jsonl": {}, "t.parquet": laion}
    for name, fields in forms.items():
        table = write_table(tmp_path / name, LINES)
        assert read(table, **fields) == WHOLE, name
        assert read(table, **fields, limit=2) == WHOLE[:2], name
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    assert read(packed) == WHOLE
    (tmp_path / "gb.csv").write_bytes((tmp_path / "t.csv").read_bytes().decode().encode("gb18030"))
    assert read(tmp_path / "gb.csv", encoding="gb18030") == WHOLE
    (tmp_path / "Train.tsv").write_text(
        '"a half quotation\thttp://a/1\n"another"\thttp://b/2\n\nthird " \thttp://c/3\n'
    )
    assert read(tmp_path / "Train.tsv", column_names=["caption", "url"]) == [
        ("http://a/1", '"a half quotation', ""),
        ("http://b/2", '"another"', ""),
        ("http://c/3", 'third " ', ""),
    ], "as CC3M has them"
    (tmp_path / "t.csv").write_text('url,caption\nhttp://a/1,"one, ""two""\nthree"\n')
    assert read(tmp_path / "t.csv") == [("http://a/1", 'one, "two"\nthree', "")]


def test_rows_that_are_not_asked_for(tmp_path):
    table = tmp_path / "t.csv"
    for row, refused in [
        *(([address, "x"], "no web address") for address in ("file:///etc/passwd", "file://localhost/etc/passwd")),
        *(([address, "x"], "no web address") for address in ("ftp://a.example/x.jpg", "data:image/png", "/etc/passwd")),
        *(([address, "x"], "no web address") for address in ("//a.example/x.jpg", "http://", "http://a.example:port/")),
        *(([address, "x"], "no web address") for address in ("http://[::1/", "")),
        (["http://a.example/x.jpg", "  "], "no caption"),
        (["http://a.example/x.jpg"], "row of another form"),
        (["http://a.example/x.jpg", "x", "y"], "row of another form"),
    ]:
        table.write_text("url,caption\n" + ",".join(row) + "\nhttp://a/1,good\n")
        assert [line[2] for line in read(table)] == [refused, ""], row
        assert [line["url"] for line in turned(table)] == ["", "http://a/1"], row
    good, table = '{"url": "http://a/1", "caption": "good"}', tmp_path / "t.jsonl"
    for text in ("{", "[1, 2]", "null", '{"url": 7, "caption": {"a": 1}}', '{"caption": "x"}'):
        table.write_text(f"{good}\n{text}\n\n{good}\n")
        found = read(table)
        assert len(found) == 3 and found[1][2] and [found[0][2], found[2][2]] == ["", ""], text


def test_tables_of_another_sort_are_named(tmp_path):
    for name, content, fields, message in [
        ("t.csv", "link,text\nhttp://a/1,x\n", {}, r"no column 'url' .*Found: link, text; .*column_names"),
        ("t.csv", "url,caption\n", {}, "found no rows"),
        ("t.jsonl", '{"URL": "http://a/1"}\n', {}, r"no column 'url'.* Found: URL"),
        ("t.jsonl", "{}\n", {"column_names": ["url", "caption"]}, "column_names is for csv and tsv"),
        ("t.json", "[]", {}, "found .json, expected a table"),
    ]:
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=message) as error:
            write_tables(recipe(tmp_path / name, tmp_path, **fields), tmp_path / "out")
        assert str(tmp_path / name) in str(error.value)


def test_addresses_go_over_the_wire_in_ascii():
    for text, expected in [
        (" http://a.example/x.jpg?a=1&b=%20#c ", "http://a.example/x.jpg?a=1&b=%20#c"),
        ("https://图片.example/猫 1.jpg?名=一", "https://xn--wcsw84d.example/%E7%8C%AB%201.jpg?%E5%90%8D=%E4%B8%80"),
        ("HTTP://a.example/{1}", "http://a.example/%7B1%7D"),
        ("http://a.example/x\r\nHost: b", "http://a.example/xHost:%20b"),
    ]:
        assert web_address(text) == expected


def test_what_the_fetcher_reads(tmp_path, monkeypatch):
    table = write_table(tmp_path / "t.parquet", [*LINES, ("http://d/4", "last")])
    rows = turned(table, url_column="URL", caption_column="TEXT", columns=["similarity"], urls_per_shard=3)
    assert [row["url"] for row in rows] == [line[0] for line in LINES] + ["http://d/4"]
    assert json.loads(rows[1]["extra"]) == {"url": LINES[1][0], "columns": {"similarity": 0.26}, "refused": ""}
    row = '{"url": "http://a/1", "caption": "x \\ud800", "score": NaN, "tags": ["猫"]}'
    (tmp_path / "t.jsonl").write_text(row + "\n", "utf-8")
    (row,) = turned(tmp_path / "t.jsonl", columns=["score", "tags"])
    assert row["caption"] == "x ?" and json.loads(row["extra"])["columns"] == {"tags": "['猫']"}
    monkeypatch.setattr(urls, "_ROWS_PER_FILE", 7)
    table = write_table(tmp_path / "t.csv", [(f"http://a/{index}", "x") for index in range(20)])
    assert write_tables(recipe(table, tmp_path, urls_per_shard=3), tmp_path / "out") == 20
    read_back = [parquet.read_table(path)["url"].to_pylist() for path in sorted((tmp_path / "out").iterdir())]
    assert [len(each) for each in read_back] == [6, 6, 6, 2], "a file holds whole shards"
    assert [url for each in read_back for url in each] == [f"http://a/{index}" for index in range(20)]
