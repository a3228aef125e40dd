"""MMVP-VLM: texts that choose a picture, pairs of them, patterns, and published cells that 15 pairs can give."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_tsv
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mmvp import CHOICES, PATTERNS, TOWERS, chosen
from skymm.evaluation.benchmarks.mmvp import load_texts as load
from skymm.evaluation.benchmarks.mmvp import read_choices as read
from skymm.recipe import EvalRecipe

score = TOWERS.score


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmvp_vlm", root=str(root), **options)


def release(
    root: Path,
    *kinds: str,
    header: tuple[str, str, str] = ("Question ID", "Type", "Statement"),
    images: str = "MLLM_VLM Images",
    statement: str = "thing {}",
) -> None:
    rows = []
    for number, kind in enumerate(kinds, 1):
        rows.append(dict(zip(header, (number, kind, statement.format(number)))))
        folder = root / images / (kind if " " in images else kind.replace(" ", "_"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(b"pixels")
    write_tsv(root / "Questions.csv", rows, ",")


def test_every_text_is_asked_about_both_pictures(tmp_path):
    kinds = ("Orientation", "Orientation", "Camera Perspective", "Camera Perspective")
    for number, header in enumerate((("Question ID", "Type", "Statement"), ("lndex", "Pattern", "Text"))):
        release(tmp_path / str(number), *kinds, header=header)
        questions = load(recipe(tmp_path / str(number)))
        assert [(one.id, one.text, one.gold, one.cluster) for one in questions] == [
            ("1", "a photo of thing 1", "first", "1"),
            ("2", "a photo of thing 2", "second", "1"),
            ("3", "a photo of thing 3", "first", "2"),
            ("4", "a photo of thing 4", "second", "2"),
        ]
    assert [path.name for path in questions[1].images] == ["1.jpg", "2.jpg"] and questions[1].choices == CHOICES
    assert questions[0].images == questions[1].images
    patterns = [one.fields["pattern"] for one in questions[1:3]]
    assert patterns == ["Orientation and Direction", "Viewpoint and Perspective"]


def test_folders_as_the_repository_s_page_draws_them(tmp_path):
    release(tmp_path, "Camera Perspective", "Camera Perspective", images="MMVP_VLM_Images")
    assert load(recipe(tmp_path))[0].images[0] == tmp_path / "MMVP_VLM_Images/Camera_Perspective/1.jpg"


def test_patterns_have_the_paper_s_names(tmp_path):
    for kind, pattern in (
        ("Spatial", "Positional and Relational Context"),
        ("Structural Character", "Structural and Physical Characteristics"),
        ("Structural Characteristics", "Structural and Physical Characteristics"),
        ("Camera_Perspective", "Viewpoint and Perspective"),
        *(("Texts", "Text"), ("Color and Appearance", "Color and Appearance"), ("Smell", "Smell")),
    ):
        release(tmp_path / kind, kind, kind)
        assert load(recipe(tmp_path / kind))[0].fields["pattern"] == pattern


def test_bad_releases_are_named(tmp_path):
    release(tmp_path / "odd", "Color", "Color", "Color")
    with pytest.raises(ValueError, match="found 3 rows, expected two for each pair"):
        load(recipe(tmp_path / "odd"))
    release(tmp_path / "other", "Color", "Color", header=("n", "Type", "Statement"), statement="")
    with pytest.raises(
        ValueError, match=r"row 1: found \['n', 'Type', 'Statement'\], expected Question ID, Type and Statement"
    ):
        load(recipe(tmp_path / "other"))
    release(tmp_path / "gone", "Color", "Color")
    (tmp_path / "gone/MLLM_VLM Images/Color/2.jpg").unlink()
    with pytest.raises(ValueError, match=r"MMVP-VLM: no image '2\.jpg'"):
        load(recipe(tmp_path / "gone"))
    shifted = [{"Question ID": number, "Type": "Color", "Statement": "x"} for number in (2, 3)]
    write_tsv(tmp_path / "Questions.csv", shifted, ",")
    with pytest.raises(ValueError, match="row 1: found IDs 2 and 3, expected an odd one and the next"):
        load(recipe(tmp_path))


def answer(pair: int, gold: str, first: float | None, pattern: str = "Text", response: str = "") -> Answer:
    question = Question(f"{pair}{gold}", "", gold, str(pair), (), CHOICES, {"pattern": pattern})
    return Answer(question, response, {"first": first, "second": -1.0} if first is not None else None)


def test_similarities_decide_and_a_tie_is_the_second():
    assert chosen(answer(1, "first", -0.5)) == "first" and chosen(answer(1, "first", -1.5)) == "second"
    assert chosen(answer(1, "first", -1.0, response="first")) == "second"
    assert chosen(answer(1, "first", None, response="First")) == "first"
    assert chosen(answer(1, "first", None, response="both")) == "unknown"


def test_a_pair_wants_both_texts_right():
    answers = [answer(1, "first", 0), answer(1, "second", -2), answer(2, "first", 0), answer(2, "second", 0)]
    answers += [
        answer(3, "first", None, "Color and Appearance", "none"),
        answer(3, "second", -2, "Color and Appearance"),
    ]
    scores = score(answers, {})
    assert scores["patterns"] == {"Color and Appearance": 0, "Text": 1 / 2} and scores["average"] == 1 / 4
    assert list(scores["patterns"]) == ["Color and Appearance", "Text"]  # in the paper's order
    assert scores["strict"] == {"average": 1 / 4, "patterns": scores["patterns"], "unknown": 1 / 6}
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["patterns"] == scores["patterns"]
    assert score(answers[:1], {})["average"] == 0 and score([], {})["average"] == 0
    assert TOWERS.right(answers[3]) is False and TOWERS.judges == "tower"


def test_the_official_output(tmp_path):
    rows = []
    for pair in range(1, 32):
        said = {"pred1": "img1", "pred2": "img2" if pair > 16 else "img1"}
        rows.append({"qid1": 2 * pair - 1, "qid2": 2 * pair, **said, "gt1": "img1", "gt2": "img2"})
    scores = score(read([write_tsv(tmp_path / "output.csv", rows, ",")], {}), {})
    names = list(PATTERNS)
    assert scores["patterns"] == {names[0]: 0, names[1]: 14 / 15, names[2]: 1}
    with pytest.raises(ValueError, match="question 1 is answered twice"):
        read([write_tsv(tmp_path / "two.csv", rows[:1] * 2, ",")], {})


def test_published_cells_are_what_15_pairs_can_give():
    with oracle("mmvp/published_mmvp_vlm.csv").open(encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    assert list(published[0])[2:-1] == list(PATTERNS)
    for row in published:
        answers = []
        for place, name in enumerate(PATTERNS):
            right = round(float(row[name]) * 15 / 100)
            for number in range(15):
                pair = place * 15 + number
                answers += [answer(pair, "first", 0, name), answer(pair, "second", -2 if number < right else 0, name)]
        scores = score(answers, {})
        shown = {name: round(share * 100, 1) for name, share in scores["patterns"].items()}
        assert shown == {name: float(row[name]) for name in PATTERNS}, row["model"]
        assert round(scores["average"] * 100, 1) == float(row["average"]), row["model"]
