"""SEED-Bench, AI2D and ScienceQA: VLMEvalKit's tables and its reading of letters."""

from __future__ import annotations

import pytest
from benchmark_tables import encoded, picture, write_lines, write_tsv, write_xlsx

from skymm.evaluation.benchmark import Answer, benchmark
from skymm.recipe import EvalRecipe

NAMES = ("seed_bench", "ai2d", "scienceqa")


def row(index, answer="A", category="Instance Attributes", hint="", image=1, **more):
    options = {"A": "one", "B": "two", "C": "three", "D": ""}
    return {
        "index": index,
        "question": "How many?",
        "hint": hint,
        **options,
        "answer": answer,
        "category": category,
    } | {
        "image": encoded(image) if isinstance(image, int) else image,
        **more,
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_of_vlmevalkit_load(name, tmp_path):
    rows = [row(0, hint="Count."), row(1, "B", "Scene", image=2), row(2, "C", image="0")]
    write_tsv(tmp_path / "T.tsv", rows)
    one = benchmark(name)
    recipe = EvalRecipe(benchmark=name, root=str(tmp_path))
    first, same, other = one.load(recipe)
    assert [first.id, same.id, other.id] == ["0", "2", "1"]  # a short image cell is the index of the row that has it
    assert first.text.startswith("Count.\nHow many?\nA. one\nB. two\nC. three\nAnswer with") and first.images == (
        picture(1),
    )
    assert same.images == first.images and same.choices == ("A", "B", "C") and same.gold == "C"
    assert [question.id for question in one.load(EvalRecipe(benchmark=name, root=str(tmp_path), split="Scene"))] == [
        "1"
    ]
    write_tsv(tmp_path / "T.tsv", [row(0, "D")])
    with pytest.raises(ValueError, match=r"row 1: found options A, B, C and the answer 'D'"):
        one.load(recipe)


def test_exact_matching_by_hand(tmp_path):
    one = benchmark("ai2d")
    said = ["A", "The answer is B", "three", "选A", "A or B"]
    rows = [row(index, "ABCAA"[index], "XXYYY"[index], prediction=text) for index, text in enumerate(said)]
    answers = one.read(
        [write_xlsx(tmp_path / "M_AI2D_TEST.xlsx", [{k: v for k, v in r.items() if k != "image"} for r in rows])], {}
    )
    scores = one.score(answers, {})
    assert (scores["correct"], scores["total"], scores["accuracy"]) == (3, 5, 0.6)  # 选A and two letters are wrong
    assert {name: part["accuracy"] for name, part in scores["categories"].items()} == pytest.approx(
        {"X": 1, "Y": 1 / 3}
    )
    assert scores["strict"]["correct"] == 4 and scores["strict"]["unknown"] == 0.2
    assert one.right(answers[2]) and not one.right(answers[3])
    assert not one.right(Answer(answers[0].question, "A", failed=True))


def test_lmms_eval_lists_the_options(tmp_path):
    """AI2D and ScienceQA a list, SEED-Bench a field for each; questions have no number but their place."""
    for place, more in enumerate(
        [{"options": ["one", "two"]}, {"choices": ["one", "two"]}, {"choice_a": "one", "choice_b": "two"}]
    ):
        lines = [
            {"doc_id": number, "doc": {"question": "?", "answer": "1", **more}, "target": "B", "filtered_resps": [said]}
            for number, said in enumerate("BA")
        ]
        one = benchmark(NAMES[place])
        answers = one.read([write_lines(tmp_path / f"{place}.jsonl", lines)], {})
        assert [(each.question.id, each.question.gold) for each in answers] == [("0", "B"), ("1", "B")]
        assert answers[0].question.fields["options"] == {"A": "one", "B": "two"}
        assert one.score(answers, {})["correct"] == 1
