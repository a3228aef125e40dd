"""MMHal-Bench: the official rule on a judge's ratings, its evaluation files, and messages to the judge."""

from __future__ import annotations

import pytest
from benchmark_tables import write_json

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.mmhal import BENCHMARK, TYPES, judge, load, read_grade
from skymm.evaluation.judge import grade
from skymm.recipe import EvalRecipe


def asked(root):
    rows = [
        {"question_type": kind, "image_id": f"{n:016x}", "image_src": f"https://c1.staticflickr.com/6/{n}/{n}_o.jpg"}
        | {"question_topic": "outdoor", "image_content": ["Lynx", "Cat"], "question": f"How many cats {n}?"}
        | {"gt_answer": "There are two.", "model_answer": ""}
        for n, kind in enumerate(TYPES)
    ]
    write_json(root / "response_template.json", rows)
    for number in range(8):
        (root / "images").mkdir(exist_ok=True)
        (root / f"images/{number}_o.jpg").write_bytes(b"pixels")
    return load(EvalRecipe(benchmark="mmhal", root=str(root)))


def test_the_release_loads_and_the_judge_is_told_what_belongs_together(tmp_path):
    questions = asked(tmp_path)
    assert [one.fields["type"] for one in questions] == list(TYPES) and questions[2].images[0].name == "2_o.jpg"
    given = Answer(questions[0], "One {question}.")
    message = judge({}).message(given)
    places = [message.index(part) for part in ("Lynx, Cat", "How many cats 0?", "There are two.", "One {question}.")]
    assert places == sorted(places)
    path = tmp_path / "prompt.txt"
    for text in ("{}/{}/{}/{}", "{content}/{question}/{reference}/{answer}"):
        path.write_text(text)
        told = judge({"judge_prompt": path}).message(given)
        assert told == "Lynx, Cat/How many cats 0?/There are two./One {question}."
    path.write_text("{content} {question} {answer}")
    with pytest.raises(ValueError, match=r"found no \{reference\}, expected a place for each"):
        judge({"judge_prompt": path})
    (tmp_path / "images/5_o.jpg").unlink()
    with pytest.raises(ValueError, match=r"MMHal-Bench: no image '5_o\.jpg'"):
        load(EvalRecipe(benchmark="mmhal", root=str(tmp_path)))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("The cats are two.\nRating: 2, very informative", (2,)),
        ("**Rating**: 6", (6,)),
        ("评分：4", (4,)),
        ("Rating: 3. I repeat: rating: 3", (3,)),
        ("Rating: 3 or rating: 4", None),
        *((text, None) for text in ("4", "Rating: 7", "Rating: 10", "Rating: 3.5", "Rating: 4/6", "")),
    ],
)
def test_a_rating_is_the_only_one_named(said, read):
    assert read_grade(said) == read


def test_official_evaluations_by_hand(tmp_path):
    # Ratings 6 3 2 0, none, two, "rating: 10" (officially a 1), 3: mean 15 / 8, below 3 are 5 of 8.
    said = [
        "Rating: 6",
        "rating: 3",
        "RATING: 2",
        "Rating: 0",
        "good",
        "Rating: 4 or Rating: 5",
        "Rating: 10",
        "Rating: 3",
    ]
    path = write_json(tmp_path / "e.json", [{"choices": [{"message": {"content": text}}]} for text in said])
    scores = BENCHMARK.score(BENCHMARK.read([path], {}), {})
    assert scores["score"] == 15 / 8 and scores["hallucination"] == 5 / 8 and scores["graded"] == 8
    assert scores["types"]["relation"] == {"score": 0, "hallucination": 1, "graded": 1}
    assert list(scores["types"]) == list(TYPES) and scores["types"]["other"]["hallucination"] == 0
    assert scores["strict"]["score"] == 15 / 6 and scores["strict"]["hallucination"] == 3 / 6
    assert scores["strict"]["unknown"] == 2 / 8
    with pytest.raises(ValueError, match=r"entry 1: no judge's reply, KeyError\('choices'\)"):
        BENCHMARK.read([write_json(tmp_path / "e.json", [{"text": "Rating: 1"}])], {})


def test_our_own_grades(tmp_path):
    given = [Answer(question, "Two.") for question in asked(tmp_path)[:3]]
    said = iter(["Rating: 5", "perhaps", "Rating: 1"])
    done = grade(tmp_path, lambda those: [(at, next(said)) for at in range(len(those))], given, judge({}), name="j")
    scores = BENCHMARK.score(given, {"grades": done.path})
    assert (scores["score"], scores["hallucination"], scores["graded"]) == (3, 0.5, 2)
    assert scores["strict"]["unknown"] == 1 / 3 and scores["note"].startswith("1 of 3 answers have no readable grade")
    assert BENCHMARK.score([], {})["score"] is None and BENCHMARK.right(given[0]) is None
