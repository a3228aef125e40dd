"""Published numbers are the published numbers."""

from __future__ import annotations

import csv

import pytest
from official import oracle

from skymm.evaluation.benchmarks.mme import COGNITION, PERCEPTION
from skymm.evaluation.report.leaderboard import PUBLISHED


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.model)
def test_subtasks_add_up_to_the_published_sums(row):
    assert all(0 <= score <= 200 for score in row.scores)
    # Sums were published from unrounded subtasks.
    assert sum(row.subtasks[name] for name in PERCEPTION) == pytest.approx(row.perception, abs=0.03)
    assert sum(row.subtasks[name] for name in COGNITION) == pytest.approx(row.cognition, abs=0.03)


def test_models_stand_once_each_and_the_two_that_are_drawn_are_there():
    names = [row.model for row in PUBLISHED]
    assert len(set(names)) == len(names) and {"Skywork-MM-13B", "Qwen-VL-Max"} <= set(names)


def test_rows_are_those_of_the_leaderboard():
    files = {
        "2023-11-24": "leaderboard_last_with_skywork_20231124.csv",
        "2024-11-26": "leaderboard_latest_20241126.csv",
    }
    named = {"Skywork-MM-13B": "Skywork-MM", "LLaVA (Vicuna-13B)": "LLaVA"}
    for row in PUBLISHED:
        with oracle(f"mme/{files[row.date]}").open(encoding="utf-8") as file:
            rows = {one["model"]: list(one.values()) for one in csv.DictReader(file)}
        published = [float(cell) for cell in rows[named.get(row.model, row.model)][2:18]]
        assert [*row.scores, row.perception, row.cognition] == published
