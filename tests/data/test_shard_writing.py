"""What is written: the same bytes each time, whole or not at all, readable, and nothing of earlier runs beside it."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from shard_parts import conversation, several

from skymm.data.shard_writing import write_shards


def test_the_bytes_do_not_depend_on_the_version_of_webdataset(tmp_path):
    """The digest is that of webdataset 0.2.111 and of 1.0.2: a build on one machine equals that on another."""
    samples = [
        (
            conversation("文件/" + "long" * 40, "0.png", "1.jpg", answer="一只猫。", language="zh"),
            {"0.png": b"1", "1.jpg": b"2" * 512},
        ),
        (conversation("b"), {}),
    ]
    (path,) = write_shards(samples, tmp_path, "train")
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest()
        == "f15aa9a1d6237befe85507b3b9ba1e5c3e249b853d7f336adb5fad77b3ef54ab"
    )


def test_same_samples_same_bytes_and_a_card(tmp_path):
    card = {"source": "hand", "licences": ["CC0-1.0"]}
    digests = []
    for name in ("one", "two"):
        paths = write_shards(several(5), tmp_path / name, "p", max_samples=2, card=card)
        assert [path.name for path in paths] == ["p-00000.tar", "p-00001.tar", "p-00002.tar"]
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
        os.utime(paths[0], (1, 1))
    assert digests[0] == digests[1]
    written = json.loads((tmp_path / "one/card.json").read_text())
    assert (written["source"], written["licences"]) == ("hand", ["CC0-1.0"])
    assert (written["num_samples"], written["num_images"]) == (5, 5)
    assert [shard["num_samples"] for shard in written["shards"]] == [2, 2, 1]
    assert [shard["sha256"] for shard in written["shards"]] == digests[0]
    assert (written["languages"], written["polarities"]) == ({"unknown": 5}, {"unknown": 5})
    with tarfile.open(tmp_path / "one/p-00000.tar") as tar:
        assert {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in tar} == {(0, 0, 0, "", "")}


def test_interrupted_writing_leaves_no_card_and_can_be_repeated(tmp_path):
    def interrupted():
        yield from several(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(interrupted(), tmp_path, "p", max_samples=2)
    assert not (tmp_path / "card.json").exists()
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == ["p-00000.tar", "p-00001.tar"]  # whole ones only
    write_shards(several(1), tmp_path, "p", max_samples=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "p-00000.tar"]
    with pytest.raises(ValueError, match="already holds finished shards"):
        write_shards(several(1), tmp_path, "p")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "gave no samples"),
        ([(conversation("a.b"), {})], "cannot be a key"),
        ([(conversation("../a"), {})], "cannot be a key"),
        ([(conversation("/a"), {})], "cannot be a key"),
        ([(conversation(""), {})], "cannot be a key"),
        ([(conversation("a", "jpg"), {})], r"the turns show \['jpg'\], the images are \[\]"),
        ([(conversation("a", "jpg"), {"jpg": b"", "png": b""})], "the images are"),
        ([(conversation("a"), {"svg": b""})], "image name 'svg'"),
        ([(conversation("a"), {"x/y.jpg": b""})], "image name"),
        ([(conversation("a"), {}), (conversation("a"), {})], "already in the shard"),
        ([(conversation("a", answer=" "), {})], "says nothing"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, samples, words):
    with pytest.raises(ValueError, match=words):
        write_shards(samples, tmp_path, "p")
    assert not list(tmp_path.glob("*.tar")) and not (tmp_path / "card.json").exists()


def test_max_samples_is_checked(tmp_path):
    with pytest.raises(ValueError, match="max_samples is 0"):
        write_shards(several(1), tmp_path, "p", max_samples=0)


LEFT = ("-00001.tar", "-00007.tar", "-123456.tar", "-00000.tar.partial", "-00002.tar.partial")
"""What a run that was stopped leaves, but for the shard that is written again: of a longer recipe, whole or not."""


@pytest.mark.parametrize("prefix", ["train", "a-b", "p[1]", "*"])
def test_shards_of_a_longer_run_that_was_stopped_are_gone_and_other_files_stay(tmp_path, prefix):
    others = [f"{prefix}-notes.tar", f"{prefix}-0001.tar", f"{prefix}-00001.tar.gz", f"{prefix}-00001.txt", "readme.md"]
    others += [f"my-{prefix}-00001.tar", f"{prefix}-old-00001.tar", f"{prefix}00001.tar", "val-00001.tar"]
    for name in (*(prefix + rest for rest in LEFT), *others):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / f"{prefix}-00001.tar").write_bytes(b"")
    write_shards(several(2), tmp_path, prefix)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == sorted(["card.json", f"{prefix}-00000.tar", "old", *others])
    assert all((tmp_path / name).read_bytes() == name.encode() for name in others)
    assert (tmp_path / "old" / f"{prefix}-00001.tar").exists()


def test_leftovers_are_gone_before_the_card_is_there(tmp_path, monkeypatch):
    """With the card the directory is complete: nobody comes to look for leftovers after it."""
    (tmp_path / "p-00005.tar").write_bytes(b"old")
    seen = []
    replace = Path.replace
    monkeypatch.setattr(
        Path,
        "replace",
        lambda path, to: (seen.append((to.name, (tmp_path / "p-00005.tar").exists())), replace(path, to)),
    )
    write_shards(several(1), tmp_path, "p")
    assert seen[-1] == ("card.json", False)
