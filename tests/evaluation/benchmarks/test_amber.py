"""AMBER: the official printout, both readings, the layout of the repository, and descriptions as far as tables go."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import amber
from skymm.recipe import EvalRecipe

QUERIES = [
    {"id": 1, "image": "AMBER_1.jpg", "query": "Describe this image."},
    {"id": 2, "image": "AMBER_2.jpg", "query": "Describe this image."},
    {"id": 3, "image": "AMBER_1.jpg", "query": "Is the sky sunny in this image?"},
    {"id": 4, "image": "AMBER_2.jpg", "query": "Is there a dog in this image?"},
    {"id": 5, "image": "AMBER_1.jpg", "query": "Are there two ships in this image?"},
    {"id": 6, "image": "AMBER_1.jpg", "query": "Does the man sit in this image?"},
    {"id": 7, "image": "AMBER_2.jpg", "query": "Is there direct contact between the man and the ship?"},
    {"id": 8, "image": "AMBER_2.jpg", "query": "Is there direct contact between the man and the sky?"},
]
ANNOTATIONS = [
    {"id": 1, "type": "generative", "truth": ["sky", "man"], "hallu": ["dog", "sun"]},
    {"id": 2, "type": "generative", "truth": ["sky", "man"], "hallu": ["dog", "sun"]},
    {"id": 3, "type": "discriminative-attribute-state", "truth": "yes"},
    {"id": 4, "type": "discriminative-hallucination", "truth": "no"},
    {"id": 5, "type": "discriminative-attribute-number", "truth": "no"},
    {"id": 6, "type": "discriminative-attribute-action", "truth": "yes"},
    {"id": 7, "type": "discriminative-relation", "truth": "yes"},
    {"id": 8, "type": "relation", "truth": "no"},
]


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "AMBER"
    write(root / "data" / "query" / "query_all.json", QUERIES)
    write(root / "data" / "annotations.json", ANNOTATIONS)
    write(root / "data" / "relation.json", {"sky": [], "man": ["person"], "dog": ["puppy"], "sun": [], "tree": []})
    (root / "data" / "safe_words.txt").write_text("light\ntree", "utf-8")
    for number in (1, 2):
        write(root / "image" / f"AMBER_{number}.jpg", "pixels")
    return root


def load(root: Path, **given) -> list[Question]:
    return amber.load(EvalRecipe(benchmark="amber", root=str(root), **given))


def read(repository: Path, said: dict[int, str | None]) -> list[Answer]:
    answers = write(repository.parent / "answers.json", [{"id": name, "response": text} for name, text in said.items()])
    return amber.read([answers], {"labels": repository / "data" / "annotations.json"})


@pytest.mark.parametrize("start", [".", "data", "data/query", "data/query/query_all.json"])
def test_the_repository_loads_from_wherever_root_points(repository, start):
    questions = load(repository / start, images=str(repository / "image"))
    assert len(questions) == 8
    # Questions about one picture stand together, in the official order among themselves.
    assert [one.id for one in questions] == ["1", "3", "5", "6", "2", "4", "7", "8"]
    assert [one.cluster for one in questions] == ["AMBER_1.jpg"] * 4 + ["AMBER_2.jpg"] * 4
    kinds = [one.fields["kind"] for one in questions]
    assert kinds == ["generative", "state", "number", "action", "generative", "existence", "relation", "relation"]
    assert [one.gold for one in questions] == ["", "yes", "no", "yes", "", "no", "yes", "no"]
    assert questions[0].choices == () and questions[0].fields["truth"] == ["sky", "man"]
    assert questions[1].choices == ("yes", "no") and questions[1].text == "Is the sky sunny in this image?"
    assert load(repository)[0].images == (repository / "image" / "AMBER_1.jpg",)


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("generative", ["1", "2"]),
        ("discriminative", ["3", "5", "6", "4", "7", "8"]),
        ("attribute", ["3", "5", "6"]),
        ("relation", ["7", "8"]),
        ("existence", ["4"]),
    ],
)
def test_a_part_can_be_chosen(repository, split, ids):
    assert sorted(one.id for one in load(repository, split=split)) == sorted(ids)


def test_what_is_missing_is_named(repository):
    with pytest.raises(ValueError, match=r"split 'attributes', expected one of \['action', 'attribute'"):
        load(repository, split="attributes")
    (repository / "image" / "AMBER_2.jpg").rename(repository / "image" / "AMBER_3.jpg")
    with pytest.raises(ValueError, match=r"amber: no image 'AMBER_2\.jpg'"):
        load(repository)
    (repository / "image" / "AMBER_3.jpg").rename(repository / "image" / "AMBER_2.jpg")
    write(repository / "data" / "annotations.json", ANNOTATIONS[:7])
    with pytest.raises(ValueError, match="found no annotation of question 8; are both files of one version"):
        load(repository, files={"labels": str(repository / "data" / "annotations.json")}, split="relation")
    (repository / "data" / "annotations.json").unlink()
    with pytest.raises(ValueError, match=r"found no annotations\.json, expected the data directory"):
        load(repository)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": 9, "type": "discriminative", "truth": "no"}, "entry 9: found type 'discriminative'"),
        ({"id": 9, "type": "relation", "truth": "maybe"}, "with truth 'maybe'"),
        ({"id": 8, "type": "relation", "truth": "no"}, "entry 9: id 8 stands there twice"),
    ],
)
def test_wrong_annotations_are_refused(repository, tmp_path, wrong, message):
    labels = write(tmp_path / "other" / "annotations.json", [*ANNOTATIONS, wrong])
    with pytest.raises(ValueError, match=message):
        load(repository, files={"labels": str(labels)})


def test_answers_take_their_pictures_from_the_queries(repository):
    answers = read(repository, {4: "No", 3: None})
    assert [(one.question.id, one.question.cluster, one.response) for one in answers] == [
        ("3", "AMBER_1.jpg", ""),
        ("4", "AMBER_2.jpg", "No"),
    ]
    (repository / "data" / "query" / "query_all.json").unlink()
    assert [one.question.cluster for one in read(repository, {4: "No", 3: "No"})] == ["3", "4"]


def test_answers_that_do_not_fit_are_refused(repository, tmp_path):
    with pytest.raises(ValueError, match="question_id 77 is none of the 8 questions of"):
        read(repository, {77: "No"})
    with pytest.raises(ValueError, match=r"give --labels data/annotations\.json"):
        amber.read([tmp_path], {})
    twice = write(tmp_path / "answers.json", [{"id": 4, "response": "No"}] * 2)
    with pytest.raises(ValueError, match="question 4 is answered twice"):
        amber.read([twice], {"labels": repository / "data" / "annotations.json"})
    with pytest.raises(ValueError, match="none that is known to be the model's words"):
        amber.read(
            [write(tmp_path / "answers.json", [{"id": 4}])], {"labels": repository / "data" / "annotations.json"}
        )


@pytest.mark.parametrize(
    ("response", "official", "strict"),
    [
        ("Yes", "yes", "yes"),
        ("No", "no", "no"),
        ("no", "other", "no"),
        ("No.", "other", "no"),
        (" No", "other", "no"),
        ("没有。", "other", "no"),
        ("", "other", "unknown"),
    ],
)
def test_the_two_readings(response, official, strict):
    assert amber.parse_official(response) == official
    answer = Answer(Question("1", "?", "no", "c", fields={"kind": "existence"}), response)
    assert amber.BENCHMARK.strict(answer) == strict and amber.BENCHMARK.right(answer) is (official == "no")


def test_rates_by_hand(repository):
    """No is found once in two, and said once wrongly; "No." counts in the strict column only."""
    said = {3: "No", 4: "No", 5: "Yes", 6: "Yes", 7: "Yes", 8: "No."}
    scores = amber.score(read(repository, said), {})
    assert scores["acc"] == pytest.approx(3 / 6, abs=1e-3) and scores["num_questions"] == 6
    assert scores["precision"] == 1 / 2.001 and scores["recall"] == 1 / 3.001  # counts begin at 0.001
    assert scores["f1"] == pytest.approx(2 * 0.5 * 0.333 / (0.5 + 0.333 + 0.0001), abs=1e-12)  # of rounded ones
    assert scores["other"] == 1 / 6
    assert {name: one["num_questions"] for name, one in scores["types"].items()} == {
        "existence": 1,
        "attribute": 3,
        "state": 1,
        "number": 1,
        "action": 1,
        "relation": 2,
    }
    assert scores["types"]["attribute"]["acc"] == 1 / 3.001 and scores["types"]["relation"]["acc"] == 1 / 2.001
    rounded = round(1 / 1.001, 3)
    # Of existence, ten times as much is added as elsewhere.
    assert scores["types"]["existence"]["f1"] == pytest.approx(2 * rounded**2 / (2 * rounded + 0.001), abs=1e-12)
    strict = scores["strict"]
    assert (strict["acc"], strict["precision"], strict["recall"]) == (4 / 6, 2 / 3, 2 / 3)
    assert strict["f1"] == pytest.approx(2 / 3) and strict["unknown"] == 0
    assert [strict["types"]["relation"][name] for name in ("acc", "precision", "recall", "f1")] == [1.0] * 4
    assert "generative" not in scores


def test_any_subset_has_scores(repository):
    answers = read(repository, {3: "?"})
    assert amber.score(answers, {})["f1"] == 0 and amber.score(answers, {})["strict"]["unknown"] == 1
    assert amber.score([], {})["strict"]["acc"] == 0


def test_descriptions_are_counted_apart(repository):
    labels = {"labels": repository / "data" / "annotations.json"}
    answers = read(repository, {1: "A sea?</think>A man, two puppies and a tree.", 2: "The sky.", 4: "No"})
    scores = amber.score(answers, labels)
    found = scores["generative"]
    assert found["chair"] == 1 / 4.001 and found["num_descriptions"] == 2  # man, puppy, tree (safe); sky
    assert found["hal"] == pytest.approx(1 / 2, abs=1e-3) and found["cover"] == 2 / 4.001 and found["cog"] == 1 / 4.001
    assert "not comparable with published numbers" in scores["note"]
    assert scores["num_questions"] == 1 and scores["strict"]["recall"] == 1
    assert amber.BENCHMARK.right(answers[0]) is None and amber.BENCHMARK.strict(answers[0]) is None
    (repository / "data" / "relation.json").unlink()
    for files in ({}, labels):
        scores = amber.score(answers, files)
        assert "generative" not in scores
        assert scores["note"] == "not scored: 2 descriptions need relation.json and safe_words.txt beside --labels"
    only = amber.score([answer for answer in answers if not answer.question.gold], labels)
    assert only["f1"] is None and only["types"]["state"]["acc"] is None, "nothing asked is no score of 0"


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


def test_every_official_question_has_its_annotation(tmp_path):
    """The queries and annotations of the repository, with stand-ins for the pictures."""
    queries = oracle("amber/query_all.json")
    for number in range(1, 1005):
        (tmp_path / f"AMBER_{number}.jpg").touch()
    questions = load(queries, images=str(tmp_path))
    assert len(questions) == 15220 and sum(not one.gold for one in questions) == 1004
    clusters = [one.cluster for one in questions]
    assert len(set(clusters)) == 1 + sum(one != other for one, other in pairwise(clusters))
