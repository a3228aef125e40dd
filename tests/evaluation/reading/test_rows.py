"""Table rows, and answer files as the kits write them, against what they score; files whose columns may not be guessed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from benchmark_tables import write_json, write_lines, write_tsv, write_xlsx
from official import oracle

from skymm.evaluation.benchmark import Question, benchmark, coverage_line, covered_scores
from skymm.evaluation.reading.rows import is_empty, number_of, options_in, picture_of, tables_below, tallies, together

# --- tables of questions ------------------------------------------------------------------------------------------------

OPTIONS_IN = {
    "Which?\nOptions: A: a cat, B: a dog": {"A": "a cat", "B": "a dog"},
    "Which?\nOptions: A: a cat., B: a dog., C: 3.5": {"A": "a cat.", "B": "a dog.", "C": "3.5"},
    "Which?\nChoices:\n(A) cat\n(B) dog\n(C) bird": {"A": "cat", "B": "dog", "C": "bird"},
    "Options: A. one B. two": {"A": "one", "B": "two"},
    "Options: many. Which?\nOptions:\nA: x\nB: y": {"A": "x", "B": "y"},
    **{none: {} for none in ("Which one of A: x, B: y?", "Which?\nOptions: yes or no", "Options: A: only one", "")},
}


def test_cells():
    assert {question: options_in(question) for question in OPTIONS_IN} == OPTIONS_IN
    assert all(map(is_empty, [None, "", "  ", "nan", "NaN", "None", "N/A", "null", float("nan")]))
    assert not any(map(is_empty, [0, 0.0, "0", "none at all", "No", "NONE", "-", False]))
    assert [number_of({"index": cell}, "") for cell in (3, "3", 3.0, "3000001", "3.0")] == [3, 3, 3, 3000001, 3]
    for cell in (None, "", "x", 3.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"here: the index is .* expected a whole number"):
            number_of({"index": cell}, "here")
    picture = bytes(range(60))
    assert picture_of(picture, "here") == picture_of({"bytes": picture, "path": "x.png"}, "here") == picture
    for nothing in (None, b"", "", {"bytes": None}):
        with pytest.raises(ValueError, match="here: the image is"):
            picture_of(nothing, "here")


def test_order_is_kept():
    questions = [Question(str(number), "", "", cluster) for number, cluster in enumerate("abacb")]
    assert [question.id for question in together(questions)] == ["0", "2", "1", "4", "3"]
    assert list(tallies([("b", True), ("a", False), ("", True), ("b", False)]).items()) == [
        ("b", {"correct": 1, "total": 2, "accuracy": 0.5}),
        ("a", {"correct": 0, "total": 1, "accuracy": 0.0}),
    ]


def test_hidden_files_are_no_tables(tmp_path):
    (tmp_path / "._a.tsv").write_text("")
    with pytest.raises(ValueError, match=r"expected a file that ends with \.tsv"):
        tables_below(tmp_path, ".tsv")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.tsv").write_text("")
    assert tables_below(tmp_path, ".tsv") == [tmp_path / "sub/b.tsv"]
    with pytest.raises(ValueError, match="no such file or directory"):
        tables_below(tmp_path / "nowhere", ".tsv")


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
        doc = {"id": str(n), "question_id": str(n + 1), "question": question, "answer": gold, "response": gold}
        rows.append(
            {
                "VLMEvalKit": {
                    **{"index": n, "category": "random", "image_path": f"{image}.png", "question": question},
                    **{"answer": gold, "prediction": said},
                },
                "answer and response": {"question": question, "answer": gold, "response": said},
                "lmms-eval": {
                    **{"doc_id": n, "doc": {**doc, "image_source": image, "category": "random"}, "target": gold},
                    **{"resps": [[said]], "filtered_resps": [said], "pope_accuracy": {"score": 1}},
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
    return scored("pope", [write(tmp_path / name, rows)], files)


def scored(name: str, paths: list[Path], files: dict) -> dict:
    one = benchmark(name)
    return covered_scores(one, one.read(paths, files), files)


def test_the_models_words_come_from_the_column_that_says_so(tmp_path):
    for name, file in (
        ("VLMEvalKit", "m_POPE.xlsx"),
        ("VLMEvalKit", "m_POPE.tsv"),
        ("answer and response", "m.jsonl"),
        ("lmms-eval", "samples_pope.jsonl"),
        ("PAI", "pope_eval_random.jsonl"),
    ):
        for labels in (POPE, None):
            scores = pope(tmp_path, kit(name), labels, file)
            expected = RIGHT if labels or name == "answer and response" else {**RIGHT, "expected": 3000}
            assert {key: scores[key] for key in RIGHT} == expected, (name, file, bool(labels))
            assert bool(coverage_line(scores)) is (expected != RIGHT)


def test_what_may_not_be_guessed_is_refused_by_name_and_can_be_said(tmp_path):
    for rows, message in (
        ([{**row, "answer": "no"} for row in kit("LLaVA")], "text and answer, each of which may be the model's words"),
        ([{**row, "output": "no"} for row in kit("VLMEvalKit")], "prediction and output, each of which may be"),
        (POPE, "none that is known to be the model's words"),
        ([{"question": row["text"], "answer": row["label"]} for row in POPE], "'answer' are the right answers letter"),
        ([{**row, "answer": row["label"].title()} for row in POPE], "'answer' are the right answers letter by letter"),
        ([{**row, "prediction": row["label"]} for row in POPE], "'prediction' are the right answers letter by letter"),
    ):
        with pytest.raises(ValueError, match=message):
            pope(tmp_path, rows)
        column = next(name for name in ("answer", "prediction", "label") if name in rows[0])
        assert pope(tmp_path, rows, response=Path(column))["answered"] == 4
        with pytest.raises(ValueError, match="expected 'words', which --response names"):
            pope(tmp_path, rows, response=Path("words"))


def test_scored_is_what_both_sides_have(tmp_path):
    asked = kit("answer and response")
    for what, rows, labels, counts in (
        ("a question without an answer", kit("LLaVA")[1:], POPE, (3, 4, 0)),
        ("ids of LLaVA's own", kit("LLaVA", 10_000_001)[1:], POPE, (3, 4, 0)),
        ("ids of no use: order", kit("LLaVA", 7)[:2] + kit("LLaVA", 7)[3:], POPE, (3, 4, 0)),
        ("labels for a part: RePOPE", kit("LLaVA"), POPE[1:], (3, 3, 1)),
        ("words alone", asked[:3], POPE, (3, 4, 0)),
        ("another order", kit("VLMEvalKit")[::-1][:3], POPE, (3, 4, 0)),
        ("either dog: left out", [asked[0], asked[3]], POPE, (1, 4, 1)),
    ):
        scores = pope(tmp_path, rows, labels)
        assert (scores["answered"], scores["expected"], scores.get("left_over", 0)) == counts, what
        assert scores["tp"] + scores["fp"] + scores["tn"] + scores["fn"] == counts[0]
        said = coverage_line(scores)
        assert ("only 3 of 4 questions are answered (75.0%)" in said) is (counts[:2] == (3, 4))
        assert ("1 answers are to no question of the labels" in said) is bool(counts[2])


def test_ids_under_which_other_words_stand_are_another_numbering(tmp_path):
    """Half of them are the same by chance, for two questions are about dogs: then order decides."""
    rows = [{**row, "question_id": name} for row, name in zip(kit("LLaVA"), (3, 4, 1, 2))]
    scores = pope(tmp_path, rows)
    assert {key: scores[key] for key in RIGHT} == RIGHT


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


def test_mme(tmp_path):
    asked = [("OCR/0001.jpg", "Is it 'a'?", "Yes", "Yes"), ("OCR/0001.jpg", "Is it 'b'?", "No", "Yes, it is")]
    instruction = " Please answer yes or no."
    (tmp_path / "labels").mkdir()
    lines = [f"{image.split('/')[1]}\t{question}{instruction}\t{gold}\n" for image, question, gold, _ in asked]
    (tmp_path / "labels" / "OCR.txt").write_text("".join(lines))
    kits: dict[str, list[dict]] = {"VLMEvalKit": [], "lmms-eval": [], "LLaVA": []}
    for n, (image, question, gold, said) in enumerate(asked):
        doc = {"question_id": image, "question": question + instruction, "answer": gold, "category": "OCR"}
        table = {"index": n, "category": "OCR", "image_path": image, "question": question, "answer": gold}
        kits["VLMEvalKit"].append({**table, "prediction": said})
        kits["lmms-eval"].append({"doc_id": n, "doc": doc, "target": gold, "filtered_resps": [said]})
        kits["LLaVA"].append({"question_id": image, "prompt": f"{question}\nAnswer with a word.", "text": said})
    for kit, rows in kits.items():
        excel = kit == "VLMEvalKit"
        path = (write_xlsx if excel else write_lines)(tmp_path / f"{kit}.{'xlsx' if excel else 'jsonl'}", rows)
        for files in ({"labels": tmp_path / "labels"}, {}):
            if kit == "LLaVA" and not files:
                with pytest.raises(ValueError, match="found no right answer beside the model's"):
                    scored("mme", [path], files)
                continue
            scores = scored("mme", [path], files)
            assert (scores["perception"], scores["answered"], scores["expected"]) == (50, 2, 2 if files else 2374)


def test_hallusionbench(tmp_path):
    asked = [
        {
            **{"category": "VD", "subcategory": "figure", "visual_input": "1", "set_id": "0", "figure_id": "1"},
            **{"question_id": str(n), "question": f"Is it {n}?", "gt_answer": "1", "filename": "a.png"},
        }
        for n in range(3)
    ]
    table, lines = [], []
    for n, (row, said) in enumerate(zip(asked, ("Yes", "No", "Yes."))):
        known = {"index": f"VD_figure_1_0_1_{n}", "question": row["question"], "answer": "Yes", "l2-category": "figure"}
        table.append({**known, "category": "VD", "prediction": said})
        lines.append({"doc_id": n, "doc": row, "target": "1", "filtered_resps": [said]})
    labels = {"labels": write_json(tmp_path / "l" / "H.json", asked)}
    for path in (write_xlsx(tmp_path / "m.xlsx", table), write_lines(tmp_path / "a.jsonl", lines)):
        for files, expected in ((labels, 3), ({}, 1129)):
            scores = scored("hallusionbench", [path], files)
            assert (scores["a_acc"], scores["f_acc"], scores["expected"]) == (2 / 3, 0, expected)


def test_options_by_index(tmp_path):
    known = {"question": "What?", "A": "cat", "B": "dog", "category": "x"}
    table = [{"index": n, **known, "answer": gold} for n, gold in ((1, "B"), (1000001, "A"))]
    labels = write_tsv(tmp_path / "labels.tsv", table)
    prompt = "Look!\nWhat?\nA. cat"
    for name, rows in (
        ("mmbench", [{"question_id": n, "prompt": prompt, "text": "B"} for n in (1, 1000001)]),
        ("mmbench", [{"doc": {"index": n}, "target": "", "resps": [["B"]]} for n in (1, 1000001)]),
        ("mmstar", [{"index": 1, "answer": "B", "prediction": "B"}, {"index": 1000001, "prediction": "B"}]),
        ("mmstar", [{"doc": {"index": 1, "answer": "A"}, "target": "B", "filtered_resps": ["B"]}]),
    ):
        files = {"labels": labels} | ({} if "text" in rows[0] else {"response": Path("prediction")})
        scores = scored(name, [write_lines(tmp_path / "a.jsonl", rows)], files)
        assert (scores["answered"], scores["expected"]) == (len(rows), 2)
        assert scores["circular" if name == "mmbench" else "correct"] == (0 if name == "mmbench" else 1)


def test_amber_of_a_kit_and_of_a_part(tmp_path):
    kinds = ["generative", "discriminative-hallucination", "discriminative-hallucination", "relation"]
    rows = [
        {"id": n, "type": kind, "truth": truth, "hallu": []}
        for n, (kind, truth) in enumerate(zip(kinds, [[], "yes", "no", "no"]), 1)
    ]
    files = {"labels": write_json(tmp_path / "annotations.json", rows)}
    llava = [{"question_id": n, "prompt": "?", "text": "Yes"} for n in (1, 2, 3)]
    scores = scored("amber", [write_lines(tmp_path / "a.jsonl", llava)], files)
    assert (scores["answered"], scores["expected"]) == (2, 3) and "left_over" not in scores  # no description
    # Another numbering, and no questions to tell: the right answers beside the model's are other ones.
    table = [{"index": n, "answer": gold, "prediction": "Yes"} for n, gold in ((2, "no"), (3, "yes"), (4, "yes"))]
    with pytest.raises(ValueError, match="question_id 2 is none of the 3 questions of"):
        scored("amber", [write_xlsx(tmp_path / "m_AMBER.xlsx", table)], files)


# --- what lies beside this project, where it does ------------------------------------------------------------------------


def test_published_answers_on_both_labels():
    for labels, f1, left_over in (
        ("pope/coco_head/coco_pope", (0.855, 0.845, 0.821), (0, 0, 0)),
        ("repope/coco_repope", (0.899, 0.883, 0.868), (226, 273, 316)),
    ):
        for split, score, rest in zip(("random", "popular", "adversarial"), f1, left_over):
            files = {"labels": oracle(f"{labels}_{split}.json")}
            scores = scored("pope", [oracle(f"pope/llava15_7b_greedy/cd_{split}_greedy.jsonl")], files)
            assert round(scores["f1"], 3) == score and scores.get("left_over", 0) == rest
            assert scores["answered"] == scores["expected"] == 3000 - rest


def test_published_answers_of_mme_are_the_same_from_every_kit(tmp_path):
    rows, table = [], []
    for path in sorted(oracle("mme/lavin").glob("*.txt")):
        for line in csv.reader(path.open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE):
            image, question, gold, said = line
            prompt = question.replace("Please answer yes or no.", "\nAnswer using a single word or phrase.")
            rows.append({"question_id": f"{path.stem}/{image}", "prompt": prompt, "text": said})
            place = {"category": path.stem, "image_path": f"{path.stem}/{image}"}
            table.append({"index": len(table), **place, "question": question, "answer": gold, "prediction": said})
    labels = {"labels": oracle("mme/questions")}
    for path, files in (
        (write_lines(tmp_path / "a.jsonl", rows), labels),
        (write_tsv(tmp_path / "a.tsv", table), {}),
    ):
        scores = scored("mme", [path], files)
        assert (scores["perception"], scores["cognition"]) == (963.6114445778312, 249.64285714285714)
        assert scores["answered"] == scores["expected"] == 2374
