"""The page of a run stands alone, shows what the log holds, and stays small however long the run was."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from bilingual import assert_bilingual
from made_up_runs import history, lines, write_run
from readable import assert_readable

from skymm.train.history import History
from skymm.train.report.figures import figures
from skymm.train.report.page import duration, numbers, skipped_rows, write_page
from skymm.train.report.words import ENGLISH, WORDS


class Text(HTMLParser):
    """The words of a page, and the tags and addresses in it."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags, self.addresses, self.inside = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.inside:
            self.words.append(data)


def test_a_page_stands_alone_and_tells_the_run(tmp_path):
    log = lines(skipped={"too long": 12, "unreadable image": 3})
    page = write_page(write_run(tmp_path / "my-run", log))
    assert page == tmp_path / "my-run" / "run.html"
    found = Text(page.read_text("utf-8"))
    assert not {"script", "link", "img", "iframe"} & set(found.tags) and not found.addresses
    assert found.tags.count("figure") == 11
    text = " ".join(found.words)
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


@pytest.mark.parametrize("language", list(WORDS))
def test_every_figure_is_readable(language):
    found = figures(history(), WORDS[language])
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


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_first_steps_can_be_shown(steps, tmp_path):
    log = lines(400)[:steps]
    assert write_page(write_run(tmp_path, log)).exists()
    for one in figures(History(log), ENGLISH):
        assert_readable(one.chart)


def test_held_out_losses_are_marks_and_the_best_is_told():
    run = history(held_out_loss=lambda step: {100: 2.0, 200: 1.5, 300: 1.75}.get(step))
    assert (ENGLISH["held_out_best"].format(step=200), "1.5000") in numbers(run, ENGLISH)
    (loss,) = (one for one in figures(run, ENGLISH) if one.title == ENGLISH["loss"])
    marks = [one for one in ElementTree.fromstring(str(loss.chart)).iter() if "open" in one.get("class", "").split()]
    assert len(marks) == 3 and loss.legend == [(0, "training"), (1, "held out")]


def test_the_recipe_is_the_level_that_the_realised_share_is_seen_against():
    (found,) = (one for one in figures(history(), ENGLISH) if one.title == ENGLISH["negative_share"])
    assert "recipe 50%" in found.chart
    lines = {one.get("class"): float(one.get("y1")) for one in ElementTree.fromstring(str(found.chart)).iter("line")}
    grid = [
        float(one.get("y1"))
        for one in ElementTree.fromstring(str(found.chart)).iter("line")
        if "grid" in one.get("class")
    ]
    assert lines["diagonal"] == grid[2], "half way up"
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


def test_both_languages_have_the_same_words_with_the_same_places():
    assert_bilingual(WORDS)


def test_a_language_without_words_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found language 'fr', expected one of en, zh"):
        write_page(write_run(tmp_path, lines(5)), language="fr")
    assert "负样本回答" in write_page(tmp_path, language="zh").read_text("utf-8")


def test_durations():
    assert [duration(one) for one in (5, 65, 3723, 360_000)] == ["0:00:05", "0:01:05", "1:02:03", "100:00:00"]
