"""The record of a run: whole after every kill, and not read through to go on."""

import json
import tracemalloc

import pytest

from skymm.train.runlog import LOG, RunLog, read_log


def write(directory, steps, **options):
    log = RunLog(directory, **options)
    for step in steps:
        log.write({"step": step, "loss": step / 7, "note": "一"})
    log.close()


def steps(directory):
    return [line["step"] for line in read_log(directory)]


def test_later_steps_come_again_and_no_line_is_there_twice(tmp_path):
    write(tmp_path, range(1, 31))
    before = (tmp_path / LOG).read_bytes()
    write(tmp_path, range(21, 31), step=20)
    assert (tmp_path / LOG).read_bytes() == before and steps(tmp_path) == list(range(1, 31))
    write(tmp_path, [], step=40)
    assert (tmp_path / LOG).read_bytes() == before
    write(tmp_path, [1, 2])
    assert steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("left", [b'{"step": 6, "lo', b'{"step"', b"\0\0\0\n", b'{"step": 6}', b'{"st\n{"step": 7}\n'])
def test_what_a_kill_left_at_the_end_is_taken_off(tmp_path, left):
    write(tmp_path, range(1, 6))
    with (tmp_path / LOG).open("ab") as file:
        file.write(left)
    write(tmp_path, range(6, 9), step=5)
    assert steps(tmp_path) == list(range(1, 9))


def test_an_empty_or_hopeless_log_begins_anew(tmp_path):
    for content in (b"", b"no json at all", b"\n\n"):
        (tmp_path / LOG).write_bytes(content)
        write(tmp_path, [4], step=3)
        assert steps(tmp_path) == [4]


def test_going_on_with_a_long_run_reads_its_end_only(tmp_path):
    """50 thousand steps: 3 MB of text, and many times that once parsed."""
    lines = [json.dumps({"step": step, "loss": 1.0, "note": "x" * 30}) for step in range(1, 50_001)]
    (tmp_path / LOG).write_text("\n".join(lines) + "\n", "utf-8")
    tracemalloc.start()
    write(tmp_path, [49_991], step=49_990)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 and steps(tmp_path)[-2:] == [49_990, 49_991]
