"""Answer files as the kits write them, against what they score; and files whose columns may not be guessed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from benchmark_tables import write_json, write_lines, write_tsv, write_xlsx
from official import oracle

from skymm.evaluation.benchmark import benchmark, coverage_line, covered_scores

# --- POPE: four questions about two pictures; the model says yes, yes, no, no -----------------------------------------

ASKED = [("1", "dog", "yes"), ("1", "car", "no"), ("2", "dog", "no"), ("2", "cat", "yes")]
SAID = ("Yes", "Yes", "No", "No")
POPE = [
    {"question_id": n, "image": f"COCO_{image}.jpg", "text": f"Is there a {what} in the image?", "label": label}
    for n, (image, what, label) in enumerate(ASKED, 1)
]
RIGHT = {"tp": 1, "fp": 1, "tn": 1, "fn": 1, "answered": 4, "expected": 4}


def kit(name: str, start: int = 1) -> list[dict]:
    """The four answers as a kit writes them."""
    rows = []
    for n, (row, said) in enumerate(zip(POPE, SAID)):
        question, image, gold = row["text"], row["image"].removesuffix(".jpg"), row["label"]
        rows.append(
            {
                "VLMEvalKit": {
                    **{"index": n, "category": "random", "image_path": f"{image}.png", "question": question},
                    **{"answer": gold, "prediction": said},
                },
                "answer and response": {"question": question, "answer": gold, "response": said},
                "lmms-eval": {
                    "doc_id": n,
                    "doc": {
                        **{"id": str(n), "question_id": str(n + 1), "question": question, "answer": gold},
                        **{"image_source": image, "category": "random"},
                    },
                    **{"target": gold, "resps": [[said]], "filtered_resps": [said], "pope_accuracy": {"score": 1}},
                },
                "LLaVA": {
                    **{"question_id": start + n, "prompt": f"{question}\nAnswer the question using a single word."},
                    **{"text": said, "answer_id": "x", "model_id": "llava-v1.5-7b", "metadata": {}},
                },
                "PAI": {
                    **{"query": question, "label": int(gold == "yes"), "ans": said},
                    **{"question": f"USER: <ImageHere> {question} ASSISTANT:", "file_path": "pope_eval_random"},
                },
            }[name]
        )
    return rows


def pope(tmp_path: Path, rows: list[dict], labels: list[dict] | None = POPE, name: str = "a.jsonl", **files) -> dict:
    write = write_xlsx if name.endswith("xlsx") else write_tsv if name.endswith("tsv") else write_lines
    if labels is not None:
        files["labels"] = write_lines(tmp_path / "labels" / "coco_pope_random.json", labels)
    one = benchmark("pope")
    return covered_scores(one, one.read([write(tmp_path / name, rows)], files), files)


@pytest.mark.parametrize("labels", [POPE, None], ids=["labels", "its own"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("VLMEvalKit", "m_POPE.xlsx"),
        ("VLMEvalKit", "m_POPE.tsv"),
        ("answer and response", "m.jsonl"),
        ("lmms-eval", "samples_pope.jsonl"),
        ("PAI", "pope_eval_random.jsonl"),
    ],
)
def test_the_models_words_come_from_the_column_that_says_so(tmp_path, name, file, labels):
    scores = pope(tmp_path, kit(name), labels, file)
    expected = RIGHT if labels or name == "answer and response" else {**RIGHT, "expected": 3000}
    assert {key: scores[key] for key in RIGHT} == expected and bool(coverage_line(scores)) is (expected != RIGHT)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{**row, "answer": "no"} for row in kit("LLaVA")], "text and answer, each of which may be the model's words"),
        ([{**row, "output": "no"} for row in kit("VLMEvalKit")], "prediction and output, each of which may be"),
        (POPE, "none that is known to be the model's words"),
        (
            [{"question": row["text"], "answer": row["label"]} for row in POPE],
            "'answer' are the right answers letter by",
        ),
        ([{**row, "answer": row["label"].title()} for row in POPE], "'answer' are the right answers letter by letter"),
        ([{**row, "prediction": row["label"]} for row in POPE], "'prediction' are the right answers letter by letter"),
    ],
)
def test_what_may_not_be_guessed_is_refused_by_name_and_can_be_said(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        pope(tmp_path, rows)
    column = next(name for name in ("answer", "prediction", "label") if name in rows[0])
    assert pope(tmp_path, rows, response=Path(column))["answered"] == 4
    with pytest.raises(ValueError, match="expected 'words', which --response names"):
        pope(tmp_path, rows, response=Path("words"))


@pytest.mark.parametrize(
    ("rows", "labels", "counts"),
    [
        (kit("LLaVA")[1:], POPE, (3, 4, 0)),  # a question without an answer
        (kit("LLaVA", 10_000_001)[1:], POPE, (3, 4, 0)),  # ids of LLaVA's own
        (kit("LLaVA", 7)[:2] + kit("LLaVA", 7)[3:], POPE, (3, 4, 0)),  # ids of no use: the order of the questions
        (kit("LLaVA"), POPE[1:], (3, 3, 1)),  # labels for a part: RePOPE
        (kit("answer and response")[:3], POPE, (3, 4, 0)),
        (kit("VLMEvalKit")[::-1][:3], POPE, (3, 4, 0)),
    ],
)
def test_scored_is_what_both_sides_have(tmp_path, rows, labels, counts):
    scores = pope(tmp_path, rows, labels)
    assert (scores["answered"], scores["expected"], scores.get("left_over", 0)) == counts
    assert scores["tp"] + scores["fp"] + scores["tn"] + scores["fn"] == 3
    said = coverage_line(scores)
    assert ("only 3 of 4 questions are answered (75.0%)" in said) is (counts[1] == 4)
    assert ("1 answers are to no question of the labels" in said) is bool(counts[2])


def test_ids_through_all_parts_are_matched_by_question_and_picture(tmp_path):
    """LLaVA asks in an order of its own, and left one question out; its file of questions knows the pictures."""
    rows = [{**row, "question_id": 20_000_009 - n} for n, row in enumerate(kit("LLaVA"))][1:]
    asked = [{**row, "question_id": 20_000_009 - n, "category": "random"} for n, row in enumerate(POPE)]
    for row in asked:
        del row["label"]
    write_lines(tmp_path / "labels" / "llava_pope_test.jsonl", asked)
    scores = pope(tmp_path, rows)
    assert [scores[name] for name in ("tp", "fp", "tn", "fn", "answered", "expected")] == [0, 1, 1, 1, 3, 4]


# --- the other benchmarks -----------------------------------------------------------------------------------------------

MME = [("OCR/0001.jpg", "Is it 'a'?", "Yes", "Yes"), ("OCR/0001.jpg", "Is it 'b'?", "No", "Yes, it is")]
INSTRUCTION = " Please answer yes or no."


def mme_labels(directory: Path) -> Path:
    directory.mkdir()
    lines = [f"{image.split('/')[1]}\t{question}{INSTRUCTION}\t{gold}\n" for image, question, gold, _ in MME]
    (directory / "OCR.txt").write_text("".join(lines))
    return directory


@pytest.mark.parametrize("kit", ["VLMEvalKit", "lmms-eval", "LLaVA"])
def test_mme(tmp_path, kit):
    labels = mme_labels(tmp_path / "labels")
    rows = []
    for n, (image, question, gold, said) in enumerate(MME):
        doc = {"question_id": image, "question": question + INSTRUCTION, "answer": gold, "category": "OCR"}
        table = {"index": n, "category": "OCR", "image_path": image, "question": question, "answer": gold}
        prompt = {"question_id": image, "prompt": question + "\nAnswer the question using a single word or phrase."}
        rows.append(
            {
                "VLMEvalKit": {**table, "prediction": said},
                "lmms-eval": {"doc_id": n, "doc": doc, "target": gold, "filtered_resps": [said]},
                "LLaVA": {**prompt, "text": said},
            }[kit]
        )
    path = write_xlsx(tmp_path / "m_MME.xlsx", rows) if kit == "VLMEvalKit" else write_lines(tmp_path / "a.jsonl", rows)
    one = benchmark("mme")
    for files in ({"labels": labels}, {}):
        if kit == "LLaVA" and not files:
            with pytest.raises(ValueError, match="found no right answer beside the model's"):
                one.read([path], files)
            continue
        scores = covered_scores(one, one.read([path], files), files)
        assert (scores["perception"], scores["answered"], scores["expected"]) == (50, 2, 2 if files else 2374)


HALLUSION = [
    {
        **{"category": "VD", "subcategory": "figure", "visual_input": "1", "set_id": "0", "figure_id": "1"},
        **{"question_id": str(n), "question": f"Is it {n}?", "gt_answer": "1", "filename": "a.png"},
    }
    for n in range(3)
]


@pytest.mark.parametrize("kit", ["VLMEvalKit", "lmms-eval"])
def test_hallusionbench(tmp_path, kit):
    rows = []
    for n, (row, said) in enumerate(zip(HALLUSION, ("Yes", "No", "Yes."))):
        table = {"index": f"VD_figure_1_0_1_{n}", "question": row["question"], "answer": "Yes", "l2-category": "figure"}
        rows.append(
            {**table, "category": "VD", "prediction": said}
            if kit == "VLMEvalKit"
            else {"doc_id": n, "doc": row, "target": "1", "filtered_resps": [said]}
        )
    path = write_xlsx(tmp_path / "m.xlsx", rows) if kit == "VLMEvalKit" else write_lines(tmp_path / "a.jsonl", rows)
    one = benchmark("hallusionbench")
    for files, expected in (({"labels": write_json(tmp_path / "l" / "H.json", HALLUSION)}, 3), ({}, 1129)):
        scores = covered_scores(one, one.read([path], files), files)
        assert (scores["a_acc"], scores["f_acc"], scores["expected"]) == (2 / 3, 0, expected)


OPTIONS = {"A": "cat", "B": "dog"}


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        (
            "mmbench",
            [
                {"question_id": n, "prompt": "Look!\nWhat?\nA. cat", "text": said}
                for n, said in ((1, "B"), (1000001, "B"))
            ],
            2,
        ),
        ("mmbench", [{"doc": {"index": n}, "target": "", "resps": [["B"]]} for n in (1, 1000001)], 2),
        ("mmstar", [{"index": 1, "answer": "B", "prediction": "B"}, {"index": 1000001, "prediction": "B"}], 2),
        ("mmstar", [{"doc": {"index": 1, "answer": "A"}, "target": "B", "filtered_resps": ["B"]}], 2),
    ],
)
def test_options_by_index(tmp_path, name, rows, expected):
    golds = {1: "B", 1000001: "A"}
    table = [{"index": n, "question": "What?", **OPTIONS, "answer": gold, "category": "x"} for n, gold in golds.items()]
    files = {"labels": write_tsv(tmp_path / "labels.tsv", table), "response": Path("prediction")}
    one = benchmark(name)
    if "text" in rows[0]:
        del files["response"]
    scores = covered_scores(one, one.read([write_lines(tmp_path / "a.jsonl", rows)], files), files)
    assert (scores["answered"], scores["expected"]) == (len(rows), expected)
    assert scores["circular" if name == "mmbench" else "correct"] == (0 if name == "mmbench" else 1)


def test_amber_of_a_kit_and_of_a_part(tmp_path):
    kinds = ["generative", "discriminative-hallucination", "discriminative-hallucination", "relation"]
    truths = [[], "yes", "no", "no"]
    rows = [
        {"id": n, "type": kind, "truth": truth, "hallu": []} for n, (kind, truth) in enumerate(zip(kinds, truths), 1)
    ]
    files = {"labels": write_json(tmp_path / "annotations.json", rows)}
    one = benchmark("amber")
    llava = [{"question_id": n, "prompt": "?", "text": "Yes"} for n in (2, 3)]
    scores = covered_scores(one, one.read([write_lines(tmp_path / "a.jsonl", llava)], files), files)
    assert (scores["answered"], scores["expected"]) == (2, 3)  # of the yes/no questions; no description was asked for
    assert "generative" not in scores
    # Another numbering, and no questions to tell: the right answers beside the model's are other ones.
    table = [{"index": n, "answer": gold, "prediction": "Yes"} for n, gold in ((2, "no"), (3, "yes"), (4, "yes"))]
    with pytest.raises(ValueError, match="question_id 2 is none of the 4 questions of"):
        one.read([write_xlsx(tmp_path / "m_AMBER.xlsx", table)], files)


# --- what lies beside this project, where it does ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "f1", "left_over"),
    [
        ("pope/coco_head/coco_pope", (0.855, 0.845, 0.821), (0, 0, 0)),
        ("repope/coco_repope", (0.899, 0.883, 0.868), (226, 273, 316)),
    ],
)
def test_published_answers_on_both_labels(labels, f1, left_over):
    one = benchmark("pope")
    for split, score, rest in zip(("random", "popular", "adversarial"), f1, left_over):
        files = {"labels": oracle(f"{labels}_{split}.json")}
        answers = one.read([oracle(f"pope/llava15_7b_greedy/cd_{split}_greedy.jsonl")], files)
        scores = covered_scores(one, answers, files)
        assert round(scores["f1"], 3) == score and scores.get("left_over", 0) == rest
        assert scores["answered"] == scores["expected"] == 3000 - rest


def test_published_answers_of_mme_are_the_same_from_every_kit(tmp_path):
    expected = json.loads(oracle("mme/expected_lavin.json").read_text())
    rows, table = [], []
    for path in sorted(oracle("mme/lavin").glob("*.txt")):
        for line in csv.reader(path.open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE):
            image, question, gold, said = line
            prompt = question.replace(
                "Please answer yes or no.", "\nAnswer the question using a single word or phrase."
            )
            rows.append({"question_id": f"{path.stem}/{image}", "prompt": prompt, "text": said})
            place = {"category": path.stem, "image_path": f"{path.stem}/{image}"}
            table.append({"index": len(table), **place, "question": question, "answer": gold, "prediction": said})
    one, labels = benchmark("mme"), {"labels": oracle("mme/questions")}
    for answers in (
        one.read([write_lines(tmp_path / "a.jsonl", rows)], labels),
        one.read([write_xlsx(tmp_path / "a.xlsx", table)], {}),
    ):
        scores = covered_scores(one, answers, {})
        assert (scores["perception"], scores["cognition"]) == (963.6114445778312, 249.64285714285714), expected
        assert scores["answered"] == scores["expected"] == 2374
