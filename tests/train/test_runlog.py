"""The record of a run: whole after every kill, not read through to go on, and read back with what it lacks left empty."""

import json
import tracemalloc

import pytest
from made_up_runs import CARD, lines, write_run

from skymm.train.runlog import LOG, History, RunLog, is_number, read_history, read_log


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
    long = [json.dumps({"step": step, "loss": 1.0, "note": "x" * 30}) for step in range(1, 50_001)]
    (tmp_path / LOG).write_text("\n".join(long) + "\n", "utf-8")
    tracemalloc.start()
    write(tmp_path, [49_991], step=49_990)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 and steps(tmp_path)[-2:] == [49_990, 49_991]


# --- reading back ------------------------------------------------------------------------------------------------------


def test_a_run_comes_back(tmp_path):
    run = read_history(write_run(tmp_path, lines(50), negative_share=0.3))
    assert run.step == 50 and run.recipe["negative_share"] == 0.3 and run.recipe["clip"] == 1.0
    assert run.card["device"] == CARD["device"] and not run.finished
    (tmp_path / "DONE").touch()
    assert read_history(tmp_path).finished


def test_a_run_of_which_only_the_log_is_there(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    run = read_history(tmp_path)
    assert run.step == 1 and run.card == {} and run.recipe["batch_size"] == 32 and run.skipped() == {}
    assert run.series("loss") == [(1, 2.0)] and run.series("mfu") == [] and run.speeds() == []
    assert run.share("data_seconds", "seconds") is None


def test_a_damaged_card_is_named(tmp_path):
    write_run(tmp_path, lines(5))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is not JSON"):
        read_history(tmp_path)


def test_only_finite_numbers_are_numbers():
    assert [is_number(one) for one in (1, 0.5, None, True, float("nan"), float("inf"), "1")] == [True, True] + [
        False
    ] * 5


def test_shares_leave_out_the_first_step_and_lines_that_lack_a_field():
    run = History(
        [
            {"step": 1, "data_seconds": 90.0, "seconds": 100.0},
            {"step": 2, "data_seconds": 1.0, "seconds": 2.0},
            {"step": 3, "seconds": 50.0},
        ]
    )
    assert run.share("data_seconds", "seconds") == 0.5


def test_speed_is_computed_where_old_logs_lack_it():
    assert History([{"step": 1, "tokens": 300, "seconds": 1.5}]).speeds() == [(1, 200.0)]
    assert History([{"step": 1, "tokens": 300, "seconds": 1.5, "tokens_per_second": 190.0}]).speeds() == [(1, 190.0)]
