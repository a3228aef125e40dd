"""A part is never scored as if it were all: what is answered of how much, in scores and on the screen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from skymm.evaluation.benchmark import Answer, Answers, Question, benchmark, coverage_line, covered_scores, names
from skymm.evaluation.table import score_table

# As many captions as somebody lists; made on this machine; as many rotations as a question has options.
WITHOUT_SIZE = {"chair", "chinese_scenes", "mmbench"}


@pytest.mark.parametrize("name", names())
def test_a_benchmark_knows_how_large_it_is(name):
    one = benchmark(name)
    numbers = set(map(int, re.findall(r"\d+", one.size)))
    assert bool(one.sizes) is (name not in WITHOUT_SIZE)
    assert not one.sizes or numbers & {*one.sizes.values(), sum(one.sizes.values())}


def answer(name: str, split: str = "random", **more) -> Answer:
    fields = {"split": split, "source": "coco", "image": "1.jpg"}
    return Answer(Question(name, "?", "yes", "1.jpg", (), ("yes", "no"), fields), "Yes", **more)


@pytest.mark.parametrize(
    ("answers", "asked", "counts", "line"),
    [
        ([answer("1"), answer("2")], 2, (2, 2, None), ""),
        ([answer("1"), answer("2")], 3, (2, 3, None), "only 2 of 3 questions are answered (66.7%): scored on these"),
        ([answer("1"), answer("2", failed=True)], 2, (1, 2, None), "only 1 of 2 questions are answered (50.0%)"),
        ([answer("1")], None, (1, 3000, None), "only 1 of 3000 questions"),  # of the parts that are answered at all
        ([answer("1"), answer("2", "popular")], None, (2, 6000, None), "only 2 of 6000 questions"),
        (Answers([answer("1")], 1, 4), None, (1, 1, 4), "4 answers are to no question of the labels, and left out"),
    ],
)
def test_the_share_stands_in_the_scores_and_on_the_screen(answers, asked, counts, line, capsys):
    one = benchmark("pope")
    scores = covered_scores(one, answers, {}, asked)
    assert (scores["answered"], scores["expected"], scores.get("left_over")) == counts
    assert coverage_line(scores).startswith(line) and bool(coverage_line(scores)) is bool(line)
    score_table(replace(one, tables=()), scores)
    shown = capsys.readouterr().out
    assert f"answered: {counts[0]} of {counts[1]}" in shown and line in shown
