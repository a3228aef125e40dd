"""MMMU: the published outputs to the last digit, lots included; the release's parquet files; the strict reading."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_tables import doubled, picture, write_json, write_lines, write_parquet, write_xlsx
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mmmu import (
    BENCHMARK,
    OPEN_INSTRUCTION,
    OPTIONS_INSTRUCTION,
    load,
    parse_multi_choice,
    read,
    score,
)
from skymm.recipe import EvalRecipe


def recipe(root: Path, split: str | None = "validation") -> EvalRecipe:
    return EvalRecipe(benchmark="mmmu", root=str(root), split=split)


def row(name: str, question: str, options: str = "[]", answer: str = "A", **changes: object) -> dict:
    images = {f"image_{number}": {"bytes": picture(number), "path": f"{number}.png"} for number in (1, 2)}
    kind = "multiple-choice" if options != "[]" else "open"
    empty = {f"image_{number}": {"bytes": None, "path": None} for number in range(3, 8)}
    known = {"id": name, "question": question, "options": options, "answer": answer, "question_type": kind}
    return {**known, **images, **empty, "subfield": "x", **changes}


def release(root: Path, subject: str, *rows: dict, split: str = "validation") -> Path:
    return write_parquet(root / subject / f"{split}-00000-of-00001.parquet", rows)


def test_the_release_loads_with_images_in_the_order_they_are_mentioned(tmp_path):
    asked = "Compare <image 2> with <image 1>. Which of <image 2> is red?"
    release(tmp_path, "Math", row("validation_Math_1", asked, "['the first', '<image 1>', \"it's 3\"]", "B"))
    release(tmp_path, "Art", row("validation_Art_1", "How many in <image 1>?", answer="['3', 'three']"))
    release(tmp_path, "Art", row("dev_Art_1", "Not asked <image 1>"), split="dev")
    open_one, with_options = load(recipe(tmp_path))
    assert [open_one.id, with_options.id] == ["validation_Art_1", "validation_Math_1"]
    assert with_options.images == (picture(2), picture(1))
    assert with_options.text == (
        "Compare [image 2] with [image 1]. Which of [image 2] is red?\n(A) the first\n(B) [image 1]\n(C) it's 3\n"
        + OPTIONS_INSTRUCTION
    )
    assert with_options.choices == ("A", "B", "C") and with_options.gold == "B"
    assert with_options.fields["options"] == {"A": "the first", "B": "<image 1>", "C": "it's 3"}
    assert open_one.text == f"How many in [image 1]?\n{OPEN_INSTRUCTION}" and open_one.choices == ()
    assert open_one.fields["gold"] == ["3", "three"] and open_one.fields["subject"] == "Art"
    assert open_one.fields["domain"] == "Art and Design" and open_one.images == (picture(1),)
    assert len(load(recipe(tmp_path, None))) == 3


def test_images_that_no_text_mentions_are_shown(tmp_path):
    for number, nothing in enumerate((None, {"bytes": None, "path": None})):
        empty = {f"image_{number}": nothing for number in range(3, 8)}
        release(tmp_path / str(number), "Art", row("validation_Art_1", "What is it?", **empty))
        assert load(recipe(tmp_path / str(number)))[0].images == (picture(1), picture(2))


def test_bad_releases_are_named(tmp_path):
    for rows, words in (
        ([row("validation_Art_1", "See <image 5>")], r"row 1, image 5: the image is"),
        ([row("validation_Art_1", "q", "['a', ")], r"row 1: the options are .* expected a list"),
        ([{"id": "validation_Art_1"}], r"row 1: found fields \['id'\], expected question"),
    ):
        release(tmp_path, "Art", *rows)
        with pytest.raises(ValueError, match=words):
            load(recipe(tmp_path))
    with pytest.raises(ValueError, match=r"no parquet files of split 'test', expected test-\*"):
        load(recipe(tmp_path, "test"))


OPTIONS = {"A": "cat", "B": "dog", "C": "red car", "D": "blue boat"}


def answer(name: str, gold: str | list[str], response: str, options: dict[str, str] | None = None) -> Answer:
    golds = [gold] if isinstance(gold, str) else gold
    fields = {"subject": name.split("_")[1], "domain": "Science", "options": options or {}, "gold": golds}
    return Answer(Question(name, "", golds[0], name, (), tuple(options or ()), fields), response)


def test_scores_by_hand():
    answers = [
        answer("validation_Math_1", "B", "(B)", OPTIONS),
        answer("validation_Math_2", "B", "选B", OPTIONS),
        answer("validation_Biology_1", "25", "The answer is 25 cm."),
        answer("validation_Biology_2", "25", "I do not know"),
    ]
    scores = score(answers, {})
    lot = random.Random(42).choice("ABCD") == "B"
    assert (scores["correct"], scores["total"], scores["random_fallbacks"]) == (2 + lot, 4, 1)
    assert scores["multi_choice"] == {"correct": 1 + lot, "total": 2, "accuracy": (1 + lot) / 2}
    assert scores["open"] == {"correct": 1, "total": 2, "accuracy": 0.5}
    assert scores["subjects"]["Biology"] == {"correct": 1, "total": 2, "accuracy": 0.5}
    assert "1 answers choose no option" in scores["note"]
    strict = scores["strict"]
    assert strict["multi_choice"]["correct"] == 2 and strict["open"]["correct"] == 1 and strict["unknown"] == 0.25
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["total"] == 8 and score([], {})["accuracy"] == 0
    assert [BENCHMARK.right(one) for one in answers] == [True, None, True, False]
    assert [BENCHMARK.strict(one) for one in answers] == ["B", "B", None, None]


def test_lots_are_one_sequence_in_the_order_of_the_answers():
    answers = [answer(f"validation_Math_{number}", "A", "no idea", OPTIONS) for number in range(40)]
    lots = random.Random(42)
    drawn = [lots.choice(list(OPTIONS)) for _ in answers]
    assert score(answers, {})["correct"] == drawn.count("A") and score(answers, {})["random_fallbacks"] == 40
    assert score(answers, {})["strict"]["correct"] == 0 and score(answers, {})["strict"]["unknown"] == 1
    # No lot is drawn for a question that got no answer.
    failed = score([replace(one, failed=True) for one in answers], {})
    assert failed["correct"] == failed["random_fallbacks"] == 0


def test_questions_without_a_right_answer_are_refused():
    with pytest.raises(ValueError, match="test_Math_1 and 1 more have no right answer"):
        score([answer("test_Math_1", "?", "A", OPTIONS), answer("test_Math_2", "?", "B", OPTIONS)], {})


def output(name: str, response: str, answer: str | list[str] = "B") -> dict:
    known = {"id": name, "question_type": "multiple-choice", "answer": answer}
    return {**known, "all_choices": list(OPTIONS), "index2ans": OPTIONS, "response": response}


def test_both_official_files_are_read(tmp_path):
    write_json(tmp_path / "out/Math/output.json", [output("validation_Math_1", "B"), output("validation_Math_2", "A")])
    short = {"id": "validation_Art_3", "question_type": "short-answer", "answer": ["3", "three"], "response": "Three!"}
    write_json(tmp_path / "out/Art/output.json", [short])
    raw = read([tmp_path / "out"], {})
    assert [one.question.id for one in raw] == ["validation_Art_3", "validation_Math_1", "validation_Math_2"]
    assert score(raw, {})["correct"] == 2
    parsed = {"validation_Math_1": "B", "validation_Math_2": "B) dog", "validation_Art_3": "three"}
    total = write_json(tmp_path / "total_val_output.json", parsed)
    labels = {one.question.id: {"ground_truth": one.question.fields["gold"]} for one in raw}
    for name, label in labels.items():
        label["question_type"] = "short-answer" if "Art" in name else "multiple-choice"
    answers = read([total], {"labels": write_json(tmp_path / "answer_dict_val.json", labels)})
    scores = score(answers, {})
    assert scores["correct"] == 2  # what is parsed already is compared as it stands
    assert scores["strict"]["correct"] == 3 and scores["random_fallbacks"] == 0
    with pytest.raises(ValueError, match=r"give answer_dict_val\.json with --labels"):
        read([total], {})
    lost = write_json(tmp_path / "lost.json", {"validation_Math_9": "A"})
    with pytest.raises(ValueError, match=r"validation_Math_9 is not in .*answer_dict_val"):
        read([lost], {"labels": tmp_path / "answer_dict_val.json"})


def test_tables_of_the_kits_are_read(tmp_path):
    """VLMEvalKit's with a column for each option, lmms-eval's with the text of a list; an option "None" is one."""
    said = {"validation_Math_1": "B", "validation_Math_2": "A"}
    options = {"A": "a cat", "B": "a dog", "C": "", "D": "a bus"}
    table = [
        {"index": place, "id": name, "question": "Which?", **options, "answer": "B", "prediction": text}
        for place, (name, text) in enumerate(said.items())
    ]
    doc = {"question": "Which?", "options": "['a cat', 'None']", "answer": "B", "question_type": "multiple-choice"}
    lines = [
        {"doc_id": place, "doc": {"id": name, **doc}, "target": "B", "resps": [[text]], "filtered_resps": [text]}
        for place, (name, text) in enumerate(said.items())
    ]
    for path, shown in (
        (write_xlsx(tmp_path / "M_MMMU_DEV_VAL.xlsx", table), {"A": "a cat", "B": "a dog", "D": "a bus"}),
        (write_lines(tmp_path / "samples_mmmu_val.jsonl", lines), {"A": "a cat", "B": "None"}),
    ):
        answers = read([path], {})
        assert [one.question.id for one in answers] == [*said] and answers[0].question.fields["options"] == shown
        assert score(answers, {})["correct"] == 1
    for letter in options:
        del table[0][letter]
    with pytest.raises(
        ValueError, match=r"entry 1: found fields .*, expected index2ans, options or A, B, \.\.\. among"
    ):
        read([write_lines(tmp_path / "bare.jsonl", table[:1])], {})


def test_bad_official_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file that ends with output\.json"):
        read([tmp_path], {})
    write_json(tmp_path / "Math/output.json", [{"id": "validation_Math_1"}])
    with pytest.raises(ValueError, match=r"output\.json: found columns \['id'\], none that is known"):
        read([tmp_path], {})
    write_json(tmp_path / "Math/output.json", [output("validation_Math_1", "A")] * 2)
    with pytest.raises(ValueError, match="validation_Math_1 is answered twice"):
        read([tmp_path], {})


def test_the_official_parser_agrees_on_awkward_answers():
    official = json.loads(oracle("parsers/mmmu_parse_multi_choice.json").read_text("utf-8"))
    assert len(official["rows"]) == 34
    for one in official["rows"]:
        assert parse_multi_choice(one["response"], official["index2ans"]) == one["parsed"], one


def test_a_published_model_scores_to_the_last_digit():
    raw = read([oracle("mmmu/llava1.5_13b")], {})
    scores = score(raw, {})
    assert (scores["correct"], scores["total"]) == (330, 900)
    assert scores["multi_choice"] == {"correct": 328, "total": 847, "accuracy": 328 / 847}
    assert scores["open"] == {"correct": 2, "total": 53, "accuracy": 2 / 53}
    assert scores["random_fallbacks"] == 2
    assert len(scores["subjects"]) == 30 and all(one["total"] == 30 for one in scores["subjects"].values())
    assert sum(one["total"] for one in scores["domains"].values()) == 900
    assert "random_fallbacks" not in scores["strict"] and scores["strict"]["unknown"] < 0.01


def test_a_published_model_scores_alike_from_its_parsed_answers():
    """The drawn letters are in that file, so this shows that the same were drawn."""
    labels = {"labels": oracle("mmmu/answer_dict_val.json")}
    parsed = read([oracle("mmmu/llava1.5_13b/total_val_output.json")], labels)
    raw = read([oracle("mmmu/llava1.5_13b")], {})
    assert [one.question.id for one in parsed] == [one.question.id for one in raw]
    of_parsed, of_raw = score(parsed, {}), score(raw, {})
    assert of_parsed["random_fallbacks"] == 0
    for key in ("correct", "multi_choice", "open", "subjects", "domains"):
        assert of_parsed[key] == of_raw[key]
    lots = random.Random(42)
    for one, drawn in zip(raw, parsed):
        options = one.question.fields["options"]
        if options:
            assert (parse_multi_choice(one.response, options) or lots.choice(list(options))) == drawn.response
