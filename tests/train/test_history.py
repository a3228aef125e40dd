"""Runs are read back as they lie, with what they lack left empty."""

import pytest
from made_up_runs import CARD, lines, write_run

from skymm.train.runlog import History, is_number, read_history


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
