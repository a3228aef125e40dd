"""AMBER: the official printout, both readings, and the layout of the repository; descriptions are passed over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmark_tables import write_json
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import amber
from skymm.recipe import EvalRecipe

ASKED = [  # picture, question, type, truth
    (1, "Describe this image.", "generative", ["sky", "man"]),
    (2, "Describe this image.", "generative", ["sky", "man"]),
    (1, "Is the sky sunny in this image?", "discriminative-attribute-state", "yes"),
    (2, "Is there a dog in this image?", "discriminative-hallucination", "no"),
    (1, "Are there two ships in this image?", "discriminative-attribute-number", "no"),
    (1, "Does the man sit in this image?", "discriminative-attribute-action", "yes"),
    (2, "Is there direct contact between the man and the ship?", "discriminative-relation", "yes"),
    (2, "Is there direct contact between the man and the sky?", "relation", "no"),
]
QUERIES = [{"id": n, "image": f"AMBER_{image}.jpg", "query": text} for n, (image, text, *_) in enumerate(ASKED, 1)]
ANNOTATIONS = [{"id": n, "type": kind, "truth": truth} for n, (*_, kind, truth) in enumerate(ASKED, 1)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "AMBER"
    write_json(root / "data" / "query" / "query_all.json", QUERIES)
    write_json(root / "data" / "annotations.json", ANNOTATIONS)
    for number in (1, 2):
        write_json(root / "image" / f"AMBER_{number}.jpg", "pixels")
    return root


def load(root: Path, **given) -> list[Question]:
    return amber.load(EvalRecipe(benchmark="amber", root=str(root), **given))


def read(repository: Path, said: dict[int, str | None]) -> list[Answer]:
    rows = [{"id": name, "response": text} for name, text in said.items()]
    answers = write_json(repository.parent / "answers.json", rows)
    return amber.read([answers], {"labels": repository / "data" / "annotations.json"})


def test_the_repository_loads_from_wherever_root_points(repository):
    for start in (".", "data", "data/query", "data/query/query_all.json"):
        questions = load(repository / start, images=str(repository / "image"))
        # Questions about one picture stand together, in the official order among themselves.
        assert [one.id for one in questions] == ["3", "5", "6", "4", "7", "8"], start
    assert [one.cluster for one in questions] == ["AMBER_1.jpg"] * 3 + ["AMBER_2.jpg"] * 3
    kinds = [one.fields["kind"] for one in questions]
    assert kinds == ["state", "number", "action", "existence", "relation", "relation"]
    assert [one.gold for one in questions] == ["yes", "no", "yes", "no", "yes", "no"]
    assert questions[0].choices == ("yes", "no") and questions[0].text == "Is the sky sunny in this image?"
    assert load(repository)[0].images == (repository / "image" / "AMBER_1.jpg",)
    parts = {"discriminative": "356478", "attribute": "356", "relation": "78", "existence": "4"}
    assert {split: "".join(one.id for one in load(repository, split=split)) for split in parts} == parts


def test_what_is_missing_or_wrong_is_named(repository, tmp_path):
    for split in ("attributes", "generative"):
        with pytest.raises(ValueError, match=rf"split '{split}', expected one of \['action', 'attribute'"):
            load(repository, split=split)
    for wrong, message in (
        ({"id": 9, "type": "discriminative", "truth": "no"}, "entry 9: found type 'discriminative'"),
        ({"id": 9, "type": "relation", "truth": "maybe"}, "with truth 'maybe'"),
        ({"id": 8, "type": "relation", "truth": "no"}, "entry 9: id 8 stands there twice"),
    ):
        labels = write_json(tmp_path / "other" / "annotations.json", [*ANNOTATIONS, wrong])
        with pytest.raises(ValueError, match=message):
            load(repository, files={"labels": str(labels)})
    (repository / "image" / "AMBER_2.jpg").rename(tmp_path / "AMBER_2.jpg")
    with pytest.raises(ValueError, match=r"amber: no image 'AMBER_2\.jpg'"):
        load(repository)
    labels = write_json(repository / "data" / "annotations.json", ANNOTATIONS[:7])
    with pytest.raises(ValueError, match="found no annotation of question 8; are both files of one version"):
        load(repository, split="state")
    labels.unlink()
    with pytest.raises(ValueError, match=r"found no annotations\.json, expected the data directory"):
        load(repository)


def test_answers_take_their_pictures_from_the_queries(repository):
    answers = read(repository, {4: "No", 1: "A man.", 3: None})
    assert [(one.question.id, one.question.cluster, one.response) for one in answers] == [
        ("3", "AMBER_1.jpg", ""),
        ("4", "AMBER_2.jpg", "No"),
    ]
    assert answers.expected == 6 and answers.left_over == 0
    (repository / "data" / "query" / "query_all.json").unlink()
    assert [one.question.cluster for one in read(repository, {4: "No", 3: "No"})] == ["3", "4"]


def test_answers_that_do_not_fit_are_refused(repository, tmp_path):
    with pytest.raises(ValueError, match="question_id 77 is none of the 6 questions of"):
        read(repository, {77: "No"})
    with pytest.raises(ValueError, match=r"give --labels data/annotations\.json"):
        amber.read([tmp_path], {})
    labels = {"labels": repository / "data" / "annotations.json"}
    for rows, message in (
        ([{"id": 4, "response": "No"}] * 2, "question 4 is answered twice"),
        ([{"id": 4}], "none that is known to be the model's words"),
    ):
        with pytest.raises(ValueError, match=message):
            amber.read([write_json(tmp_path / "answers.json", rows)], labels)


def test_the_two_readings():
    for response, official, strict in (
        *(("Yes", "yes", "yes"), ("No", "no", "no"), ("no", "other", "no"), ("No.", "other", "no")),
        *((" No", "other", "no"), ("没有。", "other", "no"), ("", "other", "unknown")),
    ):
        answer = Answer(Question("1", "?", "no", "c", fields={"kind": "existence"}), response)
        assert amber.parse_official(response) == official
        assert (amber.BENCHMARK.strict(answer), amber.BENCHMARK.right(answer)) == (strict, official == "no")


def test_rates_by_hand(repository):
    """No is found once in two, and said once wrongly; "No." counts in the strict column only."""
    said = {3: "No", 4: "No", 5: "Yes", 6: "Yes", 7: "Yes", 8: "No."}
    scores = amber.score(read(repository, said), {})
    assert scores["acc"] == pytest.approx(3 / 6, abs=1e-3) and scores["num_questions"] == 6
    assert scores["precision"] == 1 / 2.001 and scores["recall"] == 1 / 3.001  # counts begin at 0.001
    assert scores["f1"] == pytest.approx(2 * 0.5 * 0.333 / (0.5 + 0.333 + 0.0001), abs=1e-12)  # of rounded ones
    assert scores["other"] == 1 / 6
    sizes = {"existence": 1, "attribute": 3, "state": 1, "number": 1, "action": 1, "relation": 2}
    assert {name: one["num_questions"] for name, one in scores["types"].items()} == sizes
    assert scores["types"]["attribute"]["acc"] == 1 / 3.001 and scores["types"]["relation"]["acc"] == 1 / 2.001
    rounded = round(1 / 1.001, 3)
    # Of existence, ten times as much is added as elsewhere.
    assert scores["types"]["existence"]["f1"] == pytest.approx(2 * rounded**2 / (2 * rounded + 0.001), abs=1e-12)
    strict = scores["strict"]
    assert (strict["acc"], strict["precision"], strict["recall"]) == (4 / 6, 2 / 3, 2 / 3)
    assert strict["f1"] == pytest.approx(2 / 3) and strict["unknown"] == 0
    assert [strict["types"]["relation"][name] for name in ("acc", "precision", "recall", "f1")] == [1.0] * 4
    # Any part has scores, and nothing asked is no score of 0.
    part = amber.score(read(repository, {3: "?"}), {})
    assert part["f1"] == 0 and part["strict"]["unknown"] == 1 and part["types"]["number"]["acc"] is None
    assert amber.score([], {})["strict"]["acc"] == 0 and amber.score([], {})["acc"] is None


def test_the_official_printout_comes_out():
    labels = oracle("amber/annotations.json")
    answers = amber.read([oracle("amber/responses_all_yes.json")], {"labels": labels})
    scores = amber.score(answers, {"labels": labels})
    assert len(answers) == 14216 and len({one.question.cluster for one in answers}) == 1004
    printed = oracle("amber/expected_official_all_yes.txt").read_text()
    blocks = {name.strip(): body for name, body in re.findall(r"^(\S[^\n]*):\n((?:\S+:\s+\S+ *\n?)+)", printed, re.M)}
    rows = {"Descriminative Task": scores, "Exsitence": scores["types"]["existence"]}
    rows |= {name.capitalize(): one for name, one in scores["types"].items() if name != "existence"}
    assert rows.keys() == blocks.keys()
    for name, one in rows.items():
        mine = [str(round(100 * one[key], 1)) for key in ("acc", "precision", "recall", "f1")]
        assert mine == re.findall(r":\s+(\S+)", blocks[name]), name
    assert scores["strict"]["types"]["relation"]["acc"] == 975 / 1664
