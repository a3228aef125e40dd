"""A finished shard is not read again, and no shard is called finished that is not."""

import os

import pytest

from skymm.data.finished import FINISHED, FinishedShards


@pytest.fixture
def shards(tmp_path):
    paths = [tmp_path / name / "00000.tar" for name in "abc"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"x" * 10240)
    return paths


def known(directory, num_rows, shards):
    finished = FinishedShards(directory, num_rows)
    return [finished.get(shard) for shard in shards]


def test_what_was_noted_is_known_now_and_later(tmp_path, shards):
    finished = FinishedShards(tmp_path, 0)
    finished.add([(shards[0], 5)], 4)
    finished.add([], 4)
    finished.add([(shards[1], 0)], 4)
    assert [finished.get(shard) for shard in shards] == [5, 0, None] == known(tmp_path, 4, shards)


def test_a_shard_that_was_written_again_is_read_again(tmp_path, shards):
    FinishedShards(tmp_path, 0).add([(shard, 5) for shard in shards], 9)
    shards[0].write_bytes(b"y" * 20480)
    os.utime(shards[1], ns=(1, 1))
    assert known(tmp_path, 9, shards) == [None, None, 5]


def test_notes_of_rows_that_were_lost_are_gone_for_good(tmp_path, shards):
    finished = FinishedShards(tmp_path, 0)
    finished.add([(shards[0], 5)], 5)
    finished.add([(shards[1], 5)], 10)
    assert known(tmp_path, 9, shards) == [5, None, None]
    assert known(tmp_path, 100, shards) == [5, None, None], "other images have those rows now"


def test_a_half_written_note_is_none(tmp_path, shards):
    FinishedShards(tmp_path, 0).add([(shard, 5) for shard in shards[:2]], 5)
    data = (tmp_path / FINISHED).read_bytes()
    (tmp_path / FINISHED).write_bytes(data[:-7])
    finished = FinishedShards(tmp_path, 5)
    finished.add([(shards[2], 7)], 6)
    assert known(tmp_path, 6, shards) == [5, None, 7]
