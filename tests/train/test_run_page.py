"""The page of a run stands alone, shows what the log holds, and stays small however long the run was."""

import re

import pytest
from made_up_runs import history, lines, write_run
from readable import assert_readable, assert_stands_alone, numbers, text_of, with_class

from skymm.page.document import read_words
from skymm.train import run_page
from skymm.train.run_page import figures, skipped_rows, write_page
from skymm.train.runlog import History

ENGLISH, CHINESE = (read_words("skymm.train", "run_page", language) for language in ("en", "zh"))


def test_a_page_stands_alone_and_tells_the_run(tmp_path):
    log = lines(skipped={"too long": 12, "unreadable image": 3})
    page = write_page(write_run(tmp_path / "my-run", log))
    assert page == tmp_path / "my-run" / "run.html"
    found = page.read_text("utf-8")
    assert_stands_alone(found)
    assert found.count("<figure>") == 11 and "<img" not in found
    text = text_of(found)
    for told in (
        "my-run",
        "400 of 400 steps",
        "12,800",
        "too long",
        "0.09%",
        "AMD EPYC",
        "learning_rate",
        "negative_share",
    ):
        assert told in text, told
    assert not list(page.parent.glob(".*partial"))
    (page.parent / "DONE").touch()
    assert "Finished: 400 steps." in write_page(page.parent).read_text("utf-8")


def test_the_page_of_a_long_run_is_no_larger_than_that_of_a_short_one(tmp_path):
    short, long = (write_page(write_run(tmp_path / str(steps), lines(steps))).stat().st_size for steps in (400, 12_000))
    assert long < 1.1 * short < 150_000


def test_every_figure_is_readable():
    for words in (ENGLISH, CHINESE):
        found = figures(history(), words)
        assert len(found) == 11
        for one in found:
            assert_readable(one.chart)


def test_what_a_log_lacks_is_left_out(tmp_path):
    old = [
        {
            name: one[name]
            for name in ("step", "loss", "loss_en", "grad_norm", "tokens", "seconds", "data_seconds", "skipped")
        }
        for one in lines(60)
    ]
    titles = [one.title for one in figures(History(old), ENGLISH)]
    drawn = ("loss", "by_language", "grad_norm", "tokens_per_second", "time_shares")
    assert titles == [ENGLISH[name] for name in drawn]
    assert "Run card" not in write_page(write_run(tmp_path, old, card=False)).read_text("utf-8")


def test_the_first_steps_can_be_shown(tmp_path):
    for steps in (1, 2, 3):
        log = lines(400)[:steps]
        assert write_page(write_run(tmp_path, log)).exists()
        for one in figures(History(log), ENGLISH):
            assert_readable(one.chart)


def test_held_out_losses_are_marks_and_the_best_is_told():
    run = history(held_out_loss=lambda step: {100: 2.0, 200: 1.5, 300: 1.75}.get(step))
    assert (ENGLISH["held_out_best"].format(step=200), "1.5000") in run_page.numbers(run, ENGLISH)
    (loss,) = (one for one in figures(run, ENGLISH) if one.title == ENGLISH["loss"])
    assert len(with_class(loss.chart, "open")) == 3 and loss.legend == [(0, "training"), (1, "held out")]


def test_the_recipe_is_the_level_that_the_realised_share_is_seen_against():
    (found,) = (one for one in figures(history(), ENGLISH) if one.title == ENGLISH["negative_share"])
    assert "recipe 50%" in found.chart
    grid = numbers(with_class(found.chart, "grid"), "y1")
    assert numbers(with_class(found.chart, "diagonal"), "y1") == [grid[2]], "half way up"
    (found,) = (one for one in figures(history(recipe={"negative_share": None}), ENGLISH) if "negative" in one.title)
    assert "recipe" not in found.chart


def test_losses_that_are_no_numbers_are_counted_not_drawn(tmp_path):
    log = lines(loss=lambda step: float("nan") if step > 390 else 1.0 + 1 / step)
    page = write_page(write_run(tmp_path, log)).read_text("utf-8")
    assert "not drawn: 10." in page and not re.search(r'points="[^"]*nan', page)


def test_how_it_is_drawn_is_said(tmp_path):
    assert "Faint line: every step." in write_page(write_run(tmp_path / "a", lines(100))).read_text("utf-8")
    page = write_page(write_run(tmp_path / "b", lines(4000))).read_text("utf-8")
    assert "mean over 201 neighbouring steps. Band: lowest to highest of each 25 steps." in page


def test_names_are_text_and_never_markup(tmp_path):
    log = lines(50, skipped={"<script>x</script>": 3})
    page = write_page(write_run(tmp_path, log, data={"<b>": {"shards": "<img src=x>"}})).read_text("utf-8")
    assert "<script" not in page and "<img" not in page and "<b>" not in page


def test_skipped_samples_are_shares_of_what_was_met():
    rows = skipped_rows(history(100, skipped={"a": 800, "b": 0, "c": 1600}))
    assert rows == [("c", "1,600", "28.57%"), ("a", "800", "14.29%")], "3,200 were learned from"


def test_a_language_without_words_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found language 'fr', expected one of en, zh"):
        write_page(write_run(tmp_path, lines(5)), language="fr")
    assert "负样本回答" in write_page(tmp_path, language="zh").read_text("utf-8")
