"""MMVP: pairs, and the letter rule that stands in for GPT-4. MMVP-VLM: texts that choose a picture, pairs of them, patterns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_lines, write_tsv

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mmvp import (
    BENCHMARK,
    CHOICES,
    PATTERNS,
    TOWERS,
    chosen,
    load,
    load_texts,
    official_letter,
    read,
    read_choices,
)
from skymm.recipe import EvalRecipe

score = BENCHMARK.score


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmvp", root=str(root), **options)


def release(root: Path, golds: str = "abba", index: str = "Index", folder: str = "MMVP Images") -> Path:
    asked, options = "Is the door open?", "(a) Open (b) Closed"
    rows = [
        {index: number, "Question": asked, "Options": options, "Correct Answer": f"({gold})"}
        for number, gold in enumerate(golds, 1)
    ]
    (root / folder).mkdir(parents=True)
    for row in rows:
        (root / folder / f"{row[index]}.jpg").write_bytes(b"pixels")
    return write_tsv(root / "Questions.csv", rows, ",")


def test_the_release_loads_in_pairs(tmp_path):
    for number, (index, folder) in enumerate(
        (("Index", "MMVP Images"), ("lndex", "MMVP Imgaes"))
    ):  # the release has an l
        release(tmp_path / str(number), index=index, folder=folder)
        questions = load(recipe(tmp_path / str(number)))
        assert [(one.id, one.cluster, one.gold, one.images[0].name) for one in questions] == [
            ("1", "1", "a", "1.jpg"),
            ("2", "1", "b", "2.jpg"),
            ("3", "2", "b", "3.jpg"),
            ("4", "2", "a", "4.jpg"),
        ]
    assert questions[0].text == "Is the door open? (a) Open (b) Closed" and questions[0].choices == ("a", "b")
    assert questions[0].fields["options"] == {"a": "Open", "b": "Closed"}


def test_pairs_may_be_left_out(tmp_path):
    table = release(tmp_path, "abba")
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *rows[2:]]))
    assert [(one.id, one.cluster, one.images[0].name) for one in load(recipe(tmp_path))] == [
        ("3", "2", "3.jpg"),
        ("4", "2", "4.jpg"),
    ]
    for kept in (rows[1:3], [rows[0], rows[3]]):
        table.write_text("\n".join([header, *kept]))
        with pytest.raises(ValueError, match=r"row [12] is about picture [24]; two and two rows are a pair"):
            load(recipe(tmp_path))


def test_images_may_lie_elsewhere(tmp_path):
    release(tmp_path / "a", folder="pictures")
    assert len(load(recipe(tmp_path / "a", images=str(tmp_path / "a/pictures")))) == 4
    with pytest.raises(ValueError, match=r"MMVP: no image '1\.jpg': .*MMVP Images is no directory"):
        load(recipe(tmp_path / "a"))


def test_bad_releases_are_named(tmp_path):
    for golds, words in (("aba", "found 3 rows, expected two for each pair"), ("ac", "row 2: the answer is '")):
        release(tmp_path / golds, golds)
        with pytest.raises(ValueError, match=words):
            load(recipe(tmp_path / golds))


LETTERS = {
    **{"(a)": "a", "(A)": "a", "( b )": "b", "A": "a", "b.": "b", "B) Closed": "b", "b, since it is shut": "b"},
    **{"(b) Closed": "b", "The answer is (b).": "b", "(a) Open. I repeat, (a).": "a", "(a) Open (b) Closed": None},
    **dict.fromkeys(("The answer is b", "A door", "a door that is open", "Open", "选（b）", "")),
}


def test_the_letter_rule():
    assert {response: official_letter(response) for response in LETTERS} == LETTERS


def answer(number: int, gold: str, response: str) -> Answer:
    fields = {"options": {"a": "Open", "b": "Closed"}}
    return Answer(Question(str(number), "", gold, str((number + 1) // 2), (), ("a", "b"), fields), response)


def test_a_pair_wants_both_right():
    answers = [answer(1, "a", "(a)"), answer(2, "b", "(b)"), answer(3, "b", "B"), answer(4, "a", "(b)")]
    answers += [
        answer(5, "a", "选a"),
        answer(6, "b", "The door is closed."),
        answer(7, "a", "(a)"),
        answer(8, "b", "?"),
    ]
    scores = score(answers, {})
    assert (scores["pair_acc"], scores["acc"], scores["num_pairs"]) == (1 / 4, 4 / 8, 4)
    strict = scores["strict"]
    assert (strict["pair_acc"], strict["acc"], strict["unknown"]) == (2 / 4, 6 / 8, 1 / 8)
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["num_pairs"] == 8 and score(doubled(answers), {})["pair_acc"] == 1 / 4
    assert score([*answers[:2], answers[3]], {})["pair_acc"] == 1  # half a pair is none
    assert score([], {})["pair_acc"] == 0
    assert [BENCHMARK.strict(one) for one in answers[4:]] == ["a", "b", "a", "unknown"]
    assert [BENCHMARK.right(one) for one in answers] == [True, True, True, False, False, False, True, False]


def test_patterns_are_counted_where_a_sheet_names_them(tmp_path):
    table = release(tmp_path, "abbaab")
    header, *rows = table.read_text().splitlines()
    named = ["Text", "text", "color", "Color and Appearance", "Text", "TEXT"]
    table.write_text("\n".join([f"{header},Pattern", *(f"{row},{name}" for row, name in zip(rows, named))]))
    questions = load(recipe(tmp_path))
    said = ["(a)", "(b)", "(b)", "(b)", "(a)", "(a)"]
    scores = score([Answer(one, response) for one, response in zip(questions, said)], {})
    assert list(scores["patterns"].items()) == [("Color and Appearance", 0.0), ("Text", 1 / 2)]
    assert scores["pair_acc"] == 1 / 3 and "patterns" not in score([answer(1, "a", "(a)"), answer(2, "b", "(b)")], {})
    for other in ("", "Color"):
        table.write_text("\n".join([f"{header},Pattern", f"{rows[0]},Text", f"{rows[1]},{other}"]))
        with pytest.raises(ValueError, match=r"row 2: the pattern is .*; a pair has one pattern"):
            load(recipe(tmp_path))


def test_the_official_answer_file(tmp_path):
    rows = [
        {"question_id": number, "prompt": "Open? (a) Open (b) Closed", "answer": f"({gold})", "response": said}
        for number, gold, said in ((3, "a", "A"), (4, "b", "A"), (2, "b", "(b)"), (1, "a", "(a) Open"))
    ]
    answers = read([write_lines(tmp_path / "answer.jsonl", rows)], {})
    assert [one.question.id for one in answers] == ["1", "2", "3", "4"]
    assert score(answers, {})["pair_acc"] == 1 / 2
    with pytest.raises(ValueError, match=r"entry 1: question_id is 'x'"):
        read([write_lines(tmp_path / "a.jsonl", [{**rows[0], "question_id": "x"}])], {})
    with pytest.raises(ValueError, match=r"entry 1: the answer is '\(c\)'"):
        read([write_lines(tmp_path / "b.jsonl", [{**rows[0], "answer": "(c)"}])], {})
    with pytest.raises(ValueError, match="question 3 is answered twice"):
        read([write_lines(tmp_path / "c.jsonl", [rows[0]] * 2)], {})


# --- MMVP-VLM -----------------------------------------------------------------------------------------------------------


def tower_recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmvp_vlm", root=str(root), **options)


def tower_release(
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
        tower_release(tmp_path / str(number), *kinds, header=header)
        questions = load_texts(tower_recipe(tmp_path / str(number)))
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
    tower_release(tmp_path, "Camera Perspective", "Camera Perspective", images="MMVP_VLM_Images")
    assert load_texts(tower_recipe(tmp_path))[0].images[0] == tmp_path / "MMVP_VLM_Images/Camera_Perspective/1.jpg"


def test_patterns_have_the_paper_s_names(tmp_path):
    for kind, pattern in (
        ("Spatial", "Positional and Relational Context"),
        ("Structural Character", "Structural and Physical Characteristics"),
        ("Structural Characteristics", "Structural and Physical Characteristics"),
        ("Camera_Perspective", "Viewpoint and Perspective"),
        *(("Texts", "Text"), ("Color and Appearance", "Color and Appearance"), ("Smell", "Smell")),
    ):
        tower_release(tmp_path / kind, kind, kind)
        assert load_texts(tower_recipe(tmp_path / kind))[0].fields["pattern"] == pattern


def test_bad_releases_of_texts_are_named(tmp_path):
    tower_release(tmp_path / "odd", "Color", "Color", "Color")
    with pytest.raises(ValueError, match="found 3 rows, expected two for each pair"):
        load_texts(tower_recipe(tmp_path / "odd"))
    tower_release(tmp_path / "other", "Color", "Color", header=("n", "Type", "Statement"), statement="")
    with pytest.raises(
        ValueError, match=r"row 1: found \['n', 'Type', 'Statement'\], expected Question ID, Type and Statement"
    ):
        load_texts(tower_recipe(tmp_path / "other"))
    tower_release(tmp_path / "gone", "Color", "Color")
    (tmp_path / "gone/MLLM_VLM Images/Color/2.jpg").unlink()
    with pytest.raises(ValueError, match=r"MMVP-VLM: no image '2\.jpg'"):
        load_texts(tower_recipe(tmp_path / "gone"))
    shifted = [{"Question ID": number, "Type": "Color", "Statement": "x"} for number in (2, 3)]
    write_tsv(tmp_path / "Questions.csv", shifted, ",")
    with pytest.raises(ValueError, match="row 1: found IDs 2 and 3, expected an odd one and the next"):
        load_texts(tower_recipe(tmp_path))


def choice(pair: int, gold: str, first: float | None, pattern: str = "Text", response: str = "") -> Answer:
    question = Question(f"{pair}{gold}", "", gold, str(pair), (), CHOICES, {"pattern": pattern})
    return Answer(question, response, {"first": first, "second": -1.0} if first is not None else None)


def test_similarities_decide_and_a_tie_is_the_second():
    assert chosen(choice(1, "first", -0.5)) == "first" and chosen(choice(1, "first", -1.5)) == "second"
    assert chosen(choice(1, "first", -1.0, response="first")) == "second"
    assert chosen(choice(1, "first", None, response="First")) == "first"
    assert chosen(choice(1, "first", None, response="both")) == "unknown"


def test_a_pair_wants_both_texts_right():
    answers = [choice(1, "first", 0), choice(1, "second", -2), choice(2, "first", 0), choice(2, "second", 0)]
    answers += [
        choice(3, "first", None, "Color and Appearance", "none"),
        choice(3, "second", -2, "Color and Appearance"),
    ]
    scores = TOWERS.score(answers, {})
    assert scores["patterns"] == {"Color and Appearance": 0, "Text": 1 / 2} and scores["average"] == 1 / 4
    assert list(scores["patterns"]) == ["Color and Appearance", "Text"]  # in the paper's order
    assert scores["strict"] == {"average": 1 / 4, "patterns": scores["patterns"], "unknown": 1 / 6}
    assert json.loads(json.dumps(scores)) == scores
    assert TOWERS.score(doubled(answers), {})["patterns"] == scores["patterns"]
    assert TOWERS.score(answers[:1], {})["average"] == 0 and TOWERS.score([], {})["average"] == 0
    assert TOWERS.right(answers[3]) is False and TOWERS.judges == "tower"


def test_the_official_output(tmp_path):
    rows = []
    for pair in range(1, 32):
        said = {"pred1": "img1", "pred2": "img2" if pair > 16 else "img1"}
        rows.append({"qid1": 2 * pair - 1, "qid2": 2 * pair, **said, "gt1": "img1", "gt2": "img2"})
    scores = TOWERS.score(read_choices([write_tsv(tmp_path / "output.csv", rows, ",")], {}), {})
    names = list(PATTERNS)
    assert scores["patterns"] == {names[0]: 0, names[1]: 14 / 15, names[2]: 1}
    with pytest.raises(ValueError, match="question 1 is answered twice"):
        read_choices([write_tsv(tmp_path / "two.csv", rows[:1] * 2, ",")], {})
