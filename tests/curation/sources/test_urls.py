"""Addresses to records: everything that a web can answer, a fetcher that is killed and goes on, and no row lost.

img2dataset itself is started twice (some 10 to 20 seconds each, for it loads torch, OpenCV and ray); what it is told, and how
its failures are told on, is tested with a stand-in of the same name.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import loopback
import pytest
from PIL import Image

from skymm.curation.record import Record, Rejected
from skymm.curation.sources import fetching
from skymm.curation.sources.urls import Source
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
        assert fetching.missing_shards(wanted, len(lines))[0] == 1, "the first shard is whole, the others are not"
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
    code = "import sys; from skymm.recipe.sources import UrlsSource; from skymm.curation.sources.fetching import fetch"
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
    by_caption = {caption: path for path, caption in loopback.CAPTIONS.items()}
    others = {
        "file:///etc/passwd": "no web address",
        "http://127.0.0.1:9/x.jpg": "address does not answer",
        "": "no web address",
    }
    assert [outcome.key for outcome in found] == sorted(outcome.key for outcome in found)
    for index, (outcome, (url, caption)) in enumerate(zip(found, lines)):
        path = by_caption.get(caption)
        if index < 4 or path in loopback.GOOD:
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
            reason = others[url] if url in others else loopback.REASONS[path]
            assert isinstance(outcome, Rejected) and outcome.reason == reason, outcome
            assert url in outcome.detail


def _check_damage(source: Source, found: list[Record | Rejected]) -> None:
    tar, table = fetching.shard_paths(source.recipe, 0)
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
    return loopback.write_table(tmp_path / "t.csv", [(f"http://a.example/{index}.jpg", "x") for index in range(5)])


def stand_in(folder: Path, monkeypatch, body: str, *others: str) -> None:
    (folder / "img2dataset.py").write_text(STAND_IN.format(body=body))
    for name in others:
        (folder / f"{name}.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


WRITES_ALL = 'for number in range(3): (out / f"{{number:05d}}_stats.json").write_text("{{}}")'.replace(
    "{{", "{"
).replace("}}", "}")


@pytest.mark.parametrize("distributor", ["multiprocessing", "pyspark", "ray"])
def test_what_img2dataset_is_told(distributor, table, tmp_path, monkeypatch, capfd):
    stand_in(tmp_path, monkeypatch, WRITES_ALL, "pyspark", "ray")
    wanted = recipe(table, tmp_path / "cache", distributor=distributor, urls_per_shard=2, refused_directives=["noai"])
    assert list(Source(wanted).rows()) == [
        {"shard": 0, "addresses": 2},
        {"shard": 1, "addresses": 2},
        {"shard": 2, "addresses": 1},
    ]
    told, tracker = json.loads((tmp_path / "cache" / "told.json").read_text())
    assert told == fetching.arguments(wanted) and tracker == "disabled"
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
    assert set(fetching.arguments(recipe(table, tmp_path))) <= {argument.arg for argument in download.args.args}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no space left')", r"img2dataset failed \(exit 1\): .*no space left"),
        ("pass", r"3 of 3 shards were not fetched \(00000, \.\.\.\); see .*fetch\.log, and run this again"),
    ],
)
def test_failures_are_told(body, message, table, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, body)
    with pytest.raises(ValueError, match=message):
        fetching.fetch(recipe(table, tmp_path / "cache", urls_per_shard=2))


def test_what_is_not_installed_is_named(table, tmp_path, monkeypatch):
    # -S: a Python without its installed packages
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ValueError, match=r"python has no img2dataset or no ray; .*-m pip install img2dataset ray"):
        fetching.fetch(recipe(table, tmp_path / "cache", python=str(bare), distributor="ray"))
    with pytest.raises(ValueError, match="cannot start /nowhere/python"):
        fetching.fetch(recipe(table, tmp_path / "cache", python="/nowhere/python"))


def test_a_cache_belongs_to_one_table_and_one_way_of_reading_it(table, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, WRITES_ALL)
    cache = tmp_path / "cache"
    fetching.fetch(recipe(table, cache, urls_per_shard=2))
    fetching.fetch(recipe(table, cache, urls_per_shard=2, threads=64, timeout=30, retries=3, distributor="ray"))
    for change in ({"limit": 3}, {"image_size": 128}, {"urls_per_shard": 3}, {"columns": ["url"]}):
        with pytest.raises(ValueError, match=f"was fetched with other {next(iter(change))}; name another directory"):
            fetching.fetch(recipe(table, cache, **{"urls_per_shard": 2, **change}))
    loopback.write_table(table, [("http://a.example/", "x")])
    with pytest.raises(ValueError, match="was fetched with other tables"):
        fetching.fetch(recipe(table, cache, urls_per_shard=2))


def test_tables_that_were_not_finished_are_turned_again(table, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, WRITES_ALL)
    leftover = tmp_path / "cache" / "tables" / "00007.parquet"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    assert fetching.fetch(recipe(table, tmp_path / "cache", urls_per_shard=2)) == 5
    assert [path.name for path in leftover.parent.iterdir()] == ["00000.parquet"]


def test_names_out_of_a_tar_lead_nowhere(tmp_path):
    from skymm.curation.sources.urls import pictures_of

    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name in ("../000000001.jpg", "/000000002.jpg", "000000003.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("000000004.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    found = pictures_of(tmp_path / "00000.tar")
    assert list(found) == ["000000003"] and found["000000003"].read() == b"abc"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_note_on_how_to_turn_is_read_back(orientation):
    from skymm.curation.sources.urls import _noting

    plain, noted = io.BytesIO(), io.BytesIO()
    image = Image.radial_gradient("L").resize((48, 32)).convert("RGB")
    image.paste("red", (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(plain, "JPEG")
    image.save(noted, "JPEG", exif=exif)
    assert (
        decode_image(_noting(plain.getvalue(), orientation), "a").tobytes()
        == decode_image(noted.getvalue(), "b").tobytes()
    )
