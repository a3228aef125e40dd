"""The judge: asked once for every answer, however often it is stopped, and never believed about another answer."""

from __future__ import annotations

import json

import pytest

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.judge import Judge, fill, grade, grades_of, note_on


def answers(*responses: str) -> list[Answer]:
    return [Answer(Question(f"q{number}", "", "", ""), text) for number, text in enumerate(responses, 1)]


def judge() -> Judge:
    """Reads a number; anything else is no grade."""
    return Judge(lambda answer: f"grade {answer.response}", lambda text: (float(text),) if text.isdigit() else None)


class Asked:
    """Somebody who grades an answer by its length, and remembers what was asked."""

    def __init__(self, words: dict[str, str] | None = None):
        self.messages: list[str] = []
        self.words = words or {}

    def __call__(self, messages: list[str]) -> list[tuple[int, str]]:
        self.messages += messages
        said = [self.words.get(message, str(len(message) - len("grade "))) for message in messages]
        return list(reversed(list(enumerate(said))))  # answers come in any order


def test_grades_lie_beside_the_predictions(tmp_path):
    ask = Asked()
    done = grade(tmp_path / "predictions.jsonl", ask, answers("a", "bb"), judge(), name="judge-1")
    assert done.path == tmp_path / "grades.jsonl" and done.num_bad == 0
    lines = [json.loads(line) for line in done.path.read_text("utf-8").splitlines()]
    assert {"id": "q1", "judge": "judge-1", "response": "a", "text": "1", "grade": [1.0]} in lines
    assert grades_of(answers("a", "bb"), {"grades": done.path}, "B") == [(1.0,), (2.0,)]
    assert grades_of(answers("a", "bb"), {"grades": tmp_path}, "B") == [(1.0,), (2.0,)]
    grade(tmp_path, ask, answers("a", "bb"), judge(), name="judge-1")
    assert ask.messages == ["grade a", "grade bb"]  # nothing is asked twice


def test_bad_grades_are_kept_counted_and_asked_again(tmp_path):
    first = grade(tmp_path, Asked({"grade bb": "good"}), answers("a", "bb", "ccc"), judge(), name="j")
    assert first.num_bad == 1
    given = grades_of(answers("a", "bb", "ccc"), {"grades": tmp_path}, "B")
    assert given == [(1.0,), None, (3.0,)]
    assert note_on(given) == {
        "note": "1 of 3 answers have no readable grade and are left out; let the judge go on",
    }
    assert '"text": "good", "grade": null' in first.path.read_text("utf-8")
    ask = Asked()
    assert grade(tmp_path, ask, answers("a", "bb", "ccc"), judge(), name="j").num_bad == 0
    assert ask.messages == ["grade bb"]
    assert grades_of(answers("a", "bb", "ccc"), {"grades": tmp_path}, "B") == [(1.0,), (2.0,), (3.0,)]
    assert note_on([(1.0,)]) == {}


def test_a_judge_that_is_stopped_goes_on(tmp_path):
    class Stopped(Asked):
        def __call__(self, messages: list[str]) -> list[str]:
            if len(self.messages) >= 2:
                raise KeyboardInterrupt
            return super().__call__(messages)

    given, seen = answers("a", "bb", "ccc"), []
    with pytest.raises(KeyboardInterrupt):
        grade(tmp_path, Stopped(), given, judge(), name="j", batch_size=1, advance=seen.append)
    path = tmp_path / "grades.jsonl"
    with path.open("a") as file:
        file.write('{"id": "q3", "jud')  # killed while writing
    assert grades_of(given, {"grades": path}, "B") == [(1.0,), (2.0,), None]
    ask = Asked()
    grade(tmp_path, ask, given, judge(), name="j", batch_size=1, advance=seen.append)
    assert ask.messages == ["grade ccc"] and seen == [0, 1, 1, 2, 1]
    assert grades_of(given, {"grades": path}, "B") == [(1.0,), (2.0,), (3.0,)]


def test_other_answers_are_graded_anew(tmp_path):
    grade(tmp_path, Asked(), answers("a", "bb"), judge(), name="j")
    with pytest.raises(ValueError, match="the grade of q2 is of another answer"):
        grades_of(answers("a", "other"), {"grades": tmp_path}, "B")
    ask = Asked()
    grade(tmp_path, ask, answers("a", "other"), judge(), name="j")
    assert ask.messages == ["grade other"]
    assert grades_of(answers("a", "other"), {"grades": tmp_path}, "B") == [(1.0,), (5.0,)]


def test_what_is_wrong_is_named(tmp_path):
    grade(tmp_path / "first" / "predictions.jsonl", Asked(), answers("a"), judge(), name="first")
    with pytest.raises(ValueError, match="holds grades by 'first', this judge is 'second'"):
        grade(tmp_path / "first" / "predictions.jsonl", Asked(), answers("a"), judge(), name="second")
    with pytest.raises(ValueError, match="gave 1 replies to 2 messages"):
        grade(tmp_path, lambda messages: [(0, "1")], answers("a", "b"), judge(), name="j")
    (tmp_path / "damaged.jsonl").write_text('{"id": \n{"id": "q1"}\n')
    (tmp_path / "other.jsonl").write_text('{"id": "q1"}\n')
    for files, message in (
        ({}, r"B: answers are graded by a judge; expected its grades\.jsonl"),
        ({"grades": tmp_path / "nowhere.jsonl"}, "no grades at"),
        ({"grades": tmp_path / "damaged.jsonl"}, r"damaged\.jsonl, line 1: not JSON"),
        ({"grades": tmp_path / "other.jsonl"}, r"line 1: no grade of a judge; 'grade' is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            grades_of(answers("a"), files, "B")


def test_grades_of_official_files_need_no_judge():
    question = Question("q1", "", "", "", fields={"grade": [8.0, 9.0]})
    assert grades_of([Answer(question, "")], {}, "B") == [(8.0, 9.0)]


def test_a_changed_file_is_read_again(tmp_path):
    grade(tmp_path, Asked(), answers("a"), judge(), name="j")
    assert grades_of(answers("a"), {"grades": tmp_path}, "B") == [(1.0,)]
    path = tmp_path / "grades.jsonl"
    path.write_text(path.read_text("utf-8").replace("[1.0]", "[10.0]"))
    assert grades_of(answers("a"), {"grades": tmp_path}, "B") == [(10.0,)]


def test_places_are_filled_in_one_pass():
    assert fill("{a} and {b} and {c}", {"a": "{b}", "b": "2\\1"}) == "{b} and 2\\1 and {c}"


def test_a_judge_that_fails_half_way_keeps_what_it_said(tmp_path):
    def dies(messages):
        yield 1, "7"
        raise ValueError("no more money")

    with pytest.raises(ValueError, match="no more money"):
        grade(tmp_path, dies, answers("a", "bb", "ccc"), judge(), name="j")
    assert grades_of(answers("a", "bb", "ccc"), {"grades": tmp_path}, "B") == [None, (7.0,), None]


def test_a_file_cut_inside_a_character_goes_on(tmp_path):
    grade(tmp_path, Asked({"grade a": "\u6ca1"}), answers("a"), judge(), name="j")
    path = tmp_path / "grades.jsonl"
    data = path.read_bytes()
    path.write_bytes(data + data[: data.index("\u6ca1".encode()) + 1])
    assert grade(tmp_path, Asked(), answers("a", "bb"), judge(), name="j").num_bad == 0
    assert grades_of(answers("a", "bb"), {"grades": tmp_path}, "B") == [(1.0,), (2.0,)]


def test_thoughts_are_not_sent_nor_read_as_a_grade(tmp_path):
    ask = Asked({"grade bb": "<think>9?</think>\n2"})
    grade(tmp_path, ask, answers("Is it a dog? No.</think> bb"), judge(), name="j")
    assert ask.messages == ["grade bb"]
    assert grades_of(answers("Is it a dog? No.</think> bb"), {"grades": tmp_path}, "B") == [(2.0,)]
