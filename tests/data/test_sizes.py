"""Sizes of many files: right, in order, and without waiting for one answer before asking for the next."""

import threading
import time
from pathlib import Path

from skymm.data.shards import expand
from skymm.data.sizes import sizes


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
