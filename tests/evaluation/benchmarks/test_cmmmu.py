"""CMMMU: rows as published, the official rules with their quirks, and the strict reading."""

from __future__ import annotations

import random

import pytest
from benchmark_tables import picture, write_lines, write_parquet

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.cmmmu import BENCHMARK, blank_right, parse_letters, parse_verdict, strict
from skymm.recipe import EvalRecipe

OPTIONS = {"A": "肌肉细胞", "B": "神经元", "C": "血液细胞", "D": "神经胶质细胞"}


def row(number, kind, gold, category="科学", question='如<img="q_1.png">所示', options=OPTIONS):
    named = dict(zip(("option1", "option2", "option3", "option4"), options.values())) if kind == "选择" else {}
    of = {"id": number, "type": kind, "question": question, "answer": gold, "category": category, "subcategory": "生物"}
    return {**of, **named}


ROWS = [
    row(1, "选择", "D", question='<img="q_1.png">与<img="q_2.png">'),
    row(2, "选择", "AC", options=OPTIONS | {"B": '<img="q_2.png">'}),
    row(3, "填空", "400"),
    row(4, "判断", "错"),
]


def release(root):
    write_lines(root / "cmmmu-data-val/science/science.jsonl", ROWS)
    write_lines(root / "cmmmu-data-val/business/business.jsonl", [row(5, "判断", "对", "商业")])
    write_lines(root / "cmmmu-data-dev/business/business.jsonl", [row(6, "判断", "对", "商业")])
    for folder in ("science", "business"):
        for name in ("q_1.png", "q_2.png"):
            (root / f"cmmmu-data-val/{folder}/{name}").write_bytes(name.encode())
    return root / "cmmmu-data-val"


def load(root, split="val"):
    return BENCHMARK.load(EvalRecipe(benchmark="cmmmu", root=str(root), split=split))


def test_both_releases_are_asked_in_the_official_order(tmp_path):
    folder = release(tmp_path)
    business, one, several, blank, judgement = load(tmp_path)
    assert business.id == "5" and load(folder) == [business, one, several, blank, judgement]
    assert "问题：<图片 1>与<图片 2>\n选项：\n(A) 肌肉细胞\n" in one.text and one.text.endswith("正确答案：\n")
    assert [path.name for path in one.images] == ["q_1.png", "q_2.png"] and one.choices == ("A", "B", "C", "D")
    assert "(B) <图片 2>\n" in several.text and len(several.images) == 2 and several.choices == ()
    assert blank.gold == "400" and "选项" not in judgement.text.split("问题：")[1]
    with pytest.raises(ValueError, match="found no file of split 'test'"):
        load(tmp_path, "test")
    cells = {"image_1_filename": "q_1.png", "image_1": {"bytes": picture(1), "path": ""}}
    write_parquet(tmp_path / "hub/science/val-00000-of-00001.parquet", [ROWS[1] | {"option2": "神经元"} | cells])
    (inside,) = load(tmp_path / "hub")
    assert inside.images == (picture(1),) and inside.fields["options"] == OPTIONS


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("正确答案是(C) 三种。", "C"),
        ("(A) 黑陶\n(C) 黑陶\n(D) 黑陶", "ACD"),
        ("选A或B，还是A", "A"),
        ("Carbon", "C"),  # a letter anywhere
        ("(B)，不是A，也不是A", "B"),
        ("应为神经元", "B"),
        ("神经胶质细胞", "D"),
        ("(A组) 选(B)", "B"),
        ("不知道", None),
    ],
)
def test_letters_that_are_there_most_often(said, read):
    assert parse_letters(said, OPTIONS) == read
    assert parse_letters("...", OPTIONS | {"B": ""}) is None and parse_letters("无", OPTIONS | {"B": ""}) == "B"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("正确", "对"),
        ("这句话是错误的。", "错"),
        ("不正确，错", "对"),  # has 正确 in it
        ("结果是错的。所以说法正确\n判断：错误", "错"),
        ("是否正确", None),
        ("正确答案是D。", None),
        ("", None),
    ],
)
def test_right_or_wrong_by_what_more_parts_say(said, read):
    assert parse_verdict(said) == read


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("60%", "60", True),
        ("x = 2000 * 0.2 = 400", "400", True),
        ("y=3\n所以是400", "3", False),  # only what follows a sign, "=" in the last line
        ("甲=乙", "甲", False),
        ("1,234", "1234", True),
        ("答案是吐鲁番市。", "吐鲁番", True),
        ("共1，234人", "1，234", True),
        ("结果为3.141", "3.14", True),
        ("1.4e3", "1400", True),
        ("DNA聚合酶ABC", "DNA", False),  # too many letters more than the gold
        ("首先我们需要确定物体的受力情况再来考虑这个问题所问的高度高不高", "高", False),  # too long
        ("无法确定", "400", False),
    ],
)
def test_blanks(said, gold, right):
    assert blank_right(said, gold) is right


STRICT = {
    "1": {"选D": "D", "(D) 神经胶质细胞": "D", "A、C和D": "ACD", "不知道": "unknown"},
    "2": {"答案：A，C": "AC", "(A) 肌肉细胞\n(C) 血液细胞": "AC", "A": "A"},
    "3": {"做功为400 J": "right", "500": "wrong", "": "unknown"},
    "4": {"不正确": "错", "True": "对", "这个问题没有足够的信息": "unknown"},
}


def test_the_strict_reading_draws_no_lots(tmp_path):
    release(tmp_path)
    of = {one.id: one for one in load(tmp_path)}
    assert {name: {text: strict(Answer(of[name], text)) for text in said} for name, said in STRICT.items()} == STRICT


def test_official_responses_by_hand(tmp_path):
    labels = {"labels": release(tmp_path)}
    said = {4: "不清楚", 2: "(A) 甲\n(C) 丙", 1: "不知道", 3: "W = 400 J", 5: "对"}
    rows = [{"id": number, "type": "", "response": text} for number, text in said.items()]
    answers = BENCHMARK.read([write_lines(tmp_path / "r.jsonl", rows)], labels)
    assert [answer.question.id for answer in answers] == ["5", "4", "2", "1", "3"]  # categories, then as answered
    lots = random.Random(42)
    lucky = (lots.choice(["对", "错"]) == "错") + (lots.choice(["A", "B", "C", "D"]) == "D")
    scores = BENCHMARK.score(answers, {})
    assert (scores["correct"], scores["total"], scores["random_fallbacks"]) == (3 + lucky, 5, 2)
    assert "drawn by lot" in scores["note"] and scores["categories"]["商业"]["accuracy"] == 1
    assert scores["kinds"]["blanks"] == {"correct": 1, "total": 1, "accuracy": 1}
    assert scores["strict"]["correct"] == 3 and scores["strict"]["unknown"] == 2 / 5
    silent = [Answer(answers[3].question, ""), Answer(answers[1].question, "错", failed=True)]
    assert BENCHMARK.score(silent, {})["correct"] == BENCHMARK.score(silent, {})["random_fallbacks"] == 0
    lots = random.Random(42)
    lucky = [lots.choice(["A", "B", "C", "D"]) for _ in range(40)].count("D")
    assert BENCHMARK.score([answers[3]] * 40, {})["correct"] == lucky
    with pytest.raises(ValueError, match="give the release's questions with --labels"):
        BENCHMARK.read([tmp_path / "r.jsonl"], {})
    write_lines(tmp_path / "cmmmu-data-test/science/science.jsonl", [row(7, "判断", "?", question="水是液体")])
    with pytest.raises(ValueError, match="7 and 0 more have no right answer"):
        BENCHMARK.score([Answer(one, "对") for one in load(tmp_path, "test")], {})
