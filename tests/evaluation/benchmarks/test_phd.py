"""PhD: data.json in the form of its README, four modes, and an index computed by hand."""

from __future__ import annotations

import pytest
from benchmark_tables import write_json

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.phd import BENCHMARK, _of_row
from skymm.recipe import EvalRecipe

COCO = {
    "image_id": "139",
    "task": "object recognition",
    "yes_question": "Is there a chair in the image?",
    "no_question": "Is there a fork in the image?",
    "hitem": "fork",
    "gt": "chair",
    "subject": "table",
    "context": {"iac": "Forks lie on tables.", "icc": "There is a fork."},
}
CCS = {
    "image_id": "15",
    "ccs_description": "A hand with six fingers.",
    "yes_question": "Does the hand have six fingers?",
    "no_question": "Does the hand have five fingers?",
    "task": "counting",
}


@pytest.fixture
def root(tmp_path):
    for name in ("val2014/COCO_val2014_000000000139.jpg", "CCS_images/15.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"picture")
    write_json(tmp_path / "data.json", [COCO, CCS])
    return tmp_path


def load(root, **options):
    return BENCHMARK.load(EvalRecipe(benchmark="phd", root=str(root), **options))


def test_a_row_is_asked_in_its_modes_with_the_words_of_the_demo_code(root):
    questions = load(root)
    assert [(one.fields["mode"], one.gold) for one in questions] == [
        (mode, gold) for mode in ("base", "iac", "icc", "ccs") for gold in ("yes", "no")
    ]
    assert questions[5].text == (
        "There is a fork. In case there is an inconsistency between the context and the image content, you should "
        "follow the image. Is there a fork in the image?"
    )
    assert questions[0].text == COCO["yes_question"] and questions[7].text == CCS["no_question"]
    assert questions[3].images == (root / "images/val2014/COCO_val2014_000000000139.jpg",)
    assert questions[6].images == (root / "images/CCS_images/15.png",)
    assert len({one.id for one in questions}) == 8 and len({one.cluster for one in questions}) == 2


def test_train2014_comes_first_and_a_mode_needs_only_its_own_pictures(root):
    first = root / "images/train2014/COCO_train2014_000000000139.jpg"
    first.parent.mkdir()
    first.write_bytes(b"picture")
    assert load(root)[0].images == (first,)
    (root / "images/CCS_images/15.png").unlink()
    assert len(load(root, split="icc")) == 2
    with pytest.raises(ValueError, match=r"no image '15\.png'"):
        load(root)
    with pytest.raises(ValueError, match="found no questions of split 'ccx', expected one of base, ccs, iac, icc"):
        load(root, split="ccx")


def test_rows_without_contexts_are_named(root):
    write_json(root / "data.json", [{**COCO, "context": {"iac": "x"}}])
    with pytest.raises(ValueError, match=r"row 1: found context .*, expected texts under iac and icc"):
        load(root)


def test_the_index_is_the_harmonic_mean_of_both_recalls_and_of_modes_the_mean():
    question = _of_row
    base = question(COCO, "here", 1)[:2] + question(COCO, "here", 2)[:2]
    ccs = question(CCS, "here", 3)
    said = ["Yes", "No.", "是的", "Yes", "Yes", "Yes"]  # base: yes 2 of 2, no 1 of 2; ccs: yes always
    scores = BENCHMARK.score([Answer(one, text) for one, text in zip(base + ccs, said, strict=True)], {})
    assert scores["modes"]["base"]["harmonic"] == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert scores["modes"]["ccs"]["harmonic"] == 0 and scores["index"] == pytest.approx((2 / 3) / 2)
    assert scores["modes"]["base"]["tasks"]["object recognition"]["tnr"] == 0.5 and set(scores["modes"]) == {
        "base",
        "ccs",
    }
    assert scores["acc"] == pytest.approx(4 / 6) and scores["yes_ratio"] == pytest.approx(5 / 6)
    silent = BENCHMARK.score([Answer(base[1], "no", failed=True)], {})
    assert silent["unknown"] == 1 and not BENCHMARK.right(Answer(base[1], "no", failed=True))
