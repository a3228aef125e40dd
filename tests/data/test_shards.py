"""Shards: what is written is read back, and every bad tar is named for what it is."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from shard_parts import conversation, several

from skymm.conversation import ask
from skymm.data.shard_writing import write_shards
from skymm.data.shards import BadSample, RemoteShard, Sample, ShardError, conversation_of, expand, read_shard, sizes
from skymm.data.stream import Stream

TEXT = json.dumps({"turns": [{"role": "user", "text": "q"}, {"role": "assistant", "text": "a"}]}).encode()


def tar_of(path: Path, members: list[tuple[str, bytes] | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def test_round_trip(tmp_path):
    samples = [
        (conversation("a", "webp", polarity="negative", language="zh"), {"webp": b"1"}),
        (conversation("folder/b", "1.jpg", "0.jpg"), {"0.jpg": b"2", "1.jpg": b"3"}),
        (conversation("c"), {}),
    ]
    (path,) = write_shards(samples, tmp_path, "train", card={"source": "hand"})
    read = list(read_shard(path))
    assert [conversation_of(sample) for sample in read] == [sample[0] for sample in samples]
    assert [{name: sample.members[name] for name in sample.images} for sample in read] == [s[1] for s in samples]
    assert [(sample.index, sample.shard) for sample in read] == [(index, str(path)) for index in range(3)]
    assert [sample.key for sample in read_shard(path, start=1)] == ["folder/b", "c"]
    assert list(read_shard(path, start=1)) == read[1:]
    assert list(read_shard(path, start=9)) == []


def test_images_that_no_turn_names_are_shown_first(tmp_path):
    (path,) = write_shards([(conversation("a"), {"jpg": b"1"})], tmp_path, "p")
    assert conversation_of(next(read_shard(path))).turns[0].images == ("jpg",)


def test_webdataset_reads_the_same(tmp_path):
    import webdataset

    paths = write_shards(several(5), tmp_path, "p", max_samples=2)
    theirs = [
        (sample["__key__"], sample["jpg"], sample["json"])
        for sample in webdataset.WebDataset([str(path) for path in paths], shardshuffle=False)
    ]
    ours = [
        (sample.key, sample.members["jpg"], sample.members["json"]) for path in paths for sample in read_shard(path)
    ]
    assert ours == theirs


def test_expand(tmp_path):
    first = write_shards(several(3), tmp_path / "one", "p", max_samples=1)
    second = write_shards(several(1), tmp_path / "two", "q")
    assert expand(tmp_path) == [*first, *second]
    assert expand(str(tmp_path / "one")) == first
    assert expand(tmp_path / "one/p-{00000..00002}.tar") == first
    assert expand(f"{tmp_path}/one/p-*.tar") == first
    assert expand(f"{tmp_path}/**/*.tar") == [*first, *second]
    assert expand(first[1]) == [first[1]]
    assert expand([tmp_path / "two", first[0]]) == [*second, first[0]]
    odd = write_shards(several(1), tmp_path / "odd{1,2}", "p")
    assert expand(tmp_path / "odd{1,2}") == odd


@pytest.mark.parametrize("missing", ["nowhere", "nowhere.tar", "no*.tar", "p-{0..3}.tar", "empty"])
def test_expand_says_what_it_looked_for(tmp_path, missing):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no shards found") as caught:
        expand(tmp_path / missing)
    assert missing.split("{")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("a.cls", b"1")], r"members a\.cls; expected KEY\.jpg\|jpeg\|png\|webp\|.* and KEY\.json"),
        ([("a.jpg", b"1"), ("a.txt", b"caption")], r"members a\.jpg, a\.txt; expected"),
        ([("a.jpg", b"1")], r"a\.jpg; expected"),
        ([], "empty tar"),
        ([("README", b"1"), (".DS_Store", b"1")], "empty tar"),
        ([("/etc/a.json", TEXT)], "leads outside"),
        ([("../a.json", TEXT)], "leads outside"),
        ([("x/../../a.json", TEXT)], "leads outside"),
        ([("..\\a.json", TEXT)], "leads outside"),
        ([("a.json", TEXT), ("a.json", TEXT)], "is there twice"),
    ],
)
def test_shards_of_another_kind_are_refused(tmp_path, members, words):
    path = tar_of(tmp_path / "x.tar", members)
    with pytest.raises(ShardError, match=words) as caught:
        list(read_shard(path))
    assert str(path) in str(caught.value)


def test_text_only_needs_a_json_without_images(tmp_path):
    assert len(list(read_shard(tar_of(tmp_path / "ok.tar", [("a.json", TEXT)])))) == 1
    shows = conversation("a", "jpg").to_json().encode()
    path = tar_of(tmp_path / "x.tar", [("a.json", shows), ("b.json", TEXT)])
    for start in (0, 1):
        with pytest.raises(ShardError, match=r"shows the images \['jpg'\] but has only a\.json"):
            list(read_shard(path, start))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("b.jpg")
    info.type, info.linkname = kind, "/etc/passwd"
    path = tar_of(tmp_path / "x.tar", [("a.json", TEXT), info])
    with pytest.raises(ShardError, match=r"b\.jpg is a link or a device"):
        list(read_shard(path))


def test_directories_hidden_files_and_leading_dots_do_no_harm(tmp_path):
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    members = [folder, ("./._a.json", b"x"), ("./a.json", TEXT), ("./a.JPG", b"1"), ("./b.json", TEXT)]
    read = list(read_shard(tar_of(tmp_path / "x.tar", members)))
    assert [(sample.key, list(sample.members)) for sample in read] == [("a", ["json", "jpg"]), ("b", ["json"])]


def test_other_members_stay_bytes(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = pickle.dumps(Trap())
    members = [("a.json", TEXT), *((f"a.{suffix}", trap) for suffix in ("pyd", "pickle", "pth", "npy"))]
    (sample,) = read_shard(tar_of(tmp_path / "x.tar", members))
    conversation_of(sample)
    assert sample.members["pth"] == trap and sample.images == ()
    assert not (tmp_path / "sprung").exists()


def test_any_cut_delivers_what_came_before_and_then_says_so(tmp_path):
    (path,) = write_shards([(c, {"jpg": b"x" * 700}) for c, _ in several(4)], tmp_path / "whole", "p")
    data = path.read_bytes()
    block = 512 + 1024 + 512 + 512  # header and image, header and json
    assert data[4 * block :].strip(b"\0") == b""
    cut = tmp_path / "cut.tar"
    for length in [1, 100, 512, 600, block, 2 * block + 10, 2 * block + 512, 3 * block, 4 * block - 300, 4 * block]:
        cut.write_bytes(data[:length])
        keys = []
        with pytest.raises(ShardError, match=r"cut\.tar: damaged or cut short") as caught:
            for sample in read_shard(cut):
                keys.append(sample.key)
        assert keys == [f"{index:04d}" for index in range(len(keys))]
        assert len(keys) >= length // block - 1  # the last one may be incomplete
        assert f"{len(keys)} samples before the damage are readable" in str(caught.value)
    cut.write_bytes(data[: 4 * block + 512])
    assert len(list(read_shard(cut))) == 4


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path):
    (path,) = write_shards(several(4), tmp_path, "p")
    data = bytearray(path.read_bytes())
    data[2 * 4 * 512 : 2 * 4 * 512 + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(ShardError, match="1 samples before the damage"):
        list(read_shard(path))


def test_a_file_that_is_no_tar(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(ShardError, match=r"x\.tar: damaged"):
        list(read_shard(tmp_path / "x.tar"))


@pytest.mark.parametrize(
    ("members", "reason", "words"),
    [
        ({"jpg": b""}, "missing json", "expected KEY.jpg"),
        ({"json": b"{"}, "bad json", "not UTF-8 JSON"),
        ({"json": b"\xff\xfe"}, "bad json", "not UTF-8 JSON"),
        ({"json": b"[" * 100_000}, "bad json", "nested too deeply"),
        ({"json": b'{"text": "no turns"}'}, "bad json", "turns"),
        (
            {"json": rb'{"turns": [{"role": "user", "text": "\ud83d?"}]}'},
            "bad json",
            "turn 0: text holds half a character",
        ),
        ({"json": b'{"turns": [{"role": "user", "text": "?", "kind": {}}]}'}, "bad json", "turn 0: kind is {}"),
        ({"json": conversation("k", "1.jpg").to_json().encode(), "0.jpg": b""}, "missing image member", "shows image"),
        ({"json": conversation("k", "json").to_json().encode(), "0.jpg": b""}, "missing image member", "shows image"),
    ],
)
def test_bad_samples_have_a_reason_and_a_place(members, reason, words):
    with pytest.raises(BadSample, match=words) as caught:
        conversation_of(Sample("key", members, "s.tar", 0))
    assert caught.value.reason == reason and "s.tar: key" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), reason)


def test_a_question_is_no_bad_sample():
    sample = Sample("key", {"json": ask("q", "jpg").to_json().encode(), "jpg": b""}, "s.tar", 0)
    assert conversation_of(sample).images == ("jpg",)


def test_reading_needs_no_torch(tmp_path):
    write_shards(several(1), tmp_path, "p")
    code = (
        "import sys, skymm.images, skymm.data.stream; from skymm.data.shards import *;"
        f"assert len(list(read_shard(expand({str(tmp_path)!r})[0]))) == 1; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- from elsewhere ---------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    return write_shards(several(5), tmp_path / "here", "p", max_samples=2)


def read(shards):
    return [sample.members for shard in shards for sample in read_shard(shard)]


def test_addresses_and_patterns_of_fsspec_are_read_as_files_are(written):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in written:
        memory.pipe(f"/far/{path.name}", path.read_bytes())
    every = [f"memory://far/{path.name}" for path in written]
    for named in (every, "memory://far/p-{00000..00002}.tar", "memory://far/p-*.tar", "memory://far"):
        found = expand(named, remote=True)
        assert [shard.name for shard in found] == [path.name for path in written] and read(found) == read(written)
    assert sizes(expand(every, remote=True)) == sizes(written)
    mixed = expand([written[0], every[1]], remote=True)
    assert isinstance(mixed[0], Path) and isinstance(mixed[1], RemoteShard) and read(mixed) == read(written[:2])
    assert [item.key for item, _ in zip(Stream(every), range(12))] == [
        i.key for i, _ in zip(Stream(written), range(12))
    ]
    with pytest.raises(ValueError, match=r"no shards found: looked for 'memory://far/x-\*\.tar'"):
        expand("memory://far/x-*.tar", remote=True)
    with pytest.raises(FileNotFoundError):
        list(read_shard(RemoteShard("memory://far/nowhere.tar")))
    with pytest.raises(ValueError, match="is no file of this machine"):
        expand(every)
    memory.pipe("/far/cut.tar", written[0].read_bytes()[:700])
    with pytest.raises(ShardError, match=r"memory://far/cut\.tar: damaged or cut short"):
        list(read_shard(RemoteShard("memory://far/cut.tar")))


def test_a_pipe_is_what_a_command_prints(written):
    (shard,) = expand(f"pipe:cat {written[1]}", remote=True)
    assert read([shard]) == read(written[1:2]) and sizes([shard]) == [None]
    three = expand(f"pipe:cat {written[0].parent}/p-{{00000..00002}}.tar", remote=True)
    assert read(three) == read(written)
    with pytest.raises(ShardError, match=r"pipe:cat nowhere.tar: the command ended with exit code 1"):
        list(read_shard(RemoteShard("pipe:cat nowhere.tar")))


def test_what_fsspec_needs_and_is_not_installed_is_named(monkeypatch):
    import fsspec

    def missing(address):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ValueError, match=r"s3://b/a\.tar cannot be reached: Install s3fs"):
        expand("s3://b/a.tar", remote=True)


# --- many files -------------------------------------------------------------------------------------------------------


def files(directory, count):
    paths = [directory / f"{index:05d}.tar" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_bytes(b"x" * (index % 7))
    return paths


def test_sizes_in_order_and_none_for_what_is_no_file(tmp_path):
    paths = files(tmp_path, 500)
    assert sizes(paths) == [index % 7 for index in range(500)]
    assert sizes([tmp_path, paths[3], tmp_path / "nowhere", Path("a\0b")]) == [None, 3, None, None]
    assert sizes([]) == []


def test_slow_answers_are_waited_for_together(tmp_path, monkeypatch):
    """A network file system, of 2 ms an answer: 1000 files one by one would be 2 s. Every file is asked about once."""
    paths = files(tmp_path, 1000)
    asked, stat = [], Path.stat

    def slow(path, **options):
        asked.append((path, threading.get_ident()))
        time.sleep(0.002)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", slow)
    started = time.perf_counter()
    assert expand(paths) == paths
    assert time.perf_counter() - started < 1.5
    assert sorted(path for path, _ in asked) == paths and len({thread for _, thread in asked}) > 1
    asked.clear()
    assert expand(f"{tmp_path}/{{00000..00999}}.tar") == paths
    assert len(asked) < 1010
