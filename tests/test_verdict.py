"""Yes, no or unknown: the answers in yes_no.tsv with their right readings are the definition.

Whoever changes the reading changes a line there first. Answers are made by hand, in the styles of the models named there.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from skymm.verdict import yes_no


def table() -> list[tuple[str, str, str, str]]:
    """(right reading, style, answer, question)"""
    rows, question = [], ""
    for line in Path(__file__).with_name("yes_no.tsv").read_text("utf-8").splitlines():
        kind, *cells = line.split("\t")
        if kind == "?":
            question = cells[0]
        elif not kind.startswith("#"):
            rows.append((kind, cells[0], cells[1].replace("\\n", "\n").replace("\\\\", "\\"), question))
    return rows


TABLE = table()


def test_table():
    wrong = [(text, yes_no(text, question), right) for right, _, text, question in TABLE]
    assert [row for row in wrong if row[1] != row[2]] == []


def test_the_table_has_no_answer_twice_and_is_of_many_styles():
    assert len({(text, question) for _, _, text, question in TABLE}) == len(TABLE) >= 300
    assert len({style for _, style, _, _ in TABLE}) >= 10


def test_case_and_wrapping_change_nothing():
    for wrap in (
        "{}\n",
        "  {}",
        "{}</s>",
        "{}<|im_end|>",
        "<think>hm, no. yes</think>\n\n{}",
        "{}\n\nUSER: And a cat?\nYes",
    ):
        wrong = [
            (text, right)
            for right, _, text, question in TABLE
            if "</think>" not in text and "<think>" not in text and yes_no(wrap.format(text), question) != right
        ]
        assert wrong == [], wrap
    changed = [text for right, _, text, question in TABLE if yes_no(text.upper(), question.upper()) != right]
    assert [text for text in changed if "\\" not in text and "{" not in text] == []


WITHOUT_QUESTION = {
    "There is a dog.": "unknown",
    "有一只狗。": "unknown",
    "There is no dog.": "no",
    "图中没有狗": "no",
    "有猫，没有狗": "no",
    "Yes, it is not a cat.": "yes",
    "There are two, so the answer is no": "no",
}


def test_without_the_question_a_denial_is_a_no_and_an_affirmation_says_nothing():
    assert {text: yes_no(text) for text in WITHOUT_QUESTION} == WITHOUT_QUESTION


@given(st.text(max_size=200), st.sampled_from(["", "Is there a dog?", "狗是红色的吗？"]))
def test_any_text_has_one_of_three_verdicts(text, question):
    assert yes_no(text, question) in ("yes", "no", "unknown")


def test_long_answers_take_no_time():
    parts = (
        "the ",
        "不",
        "a-",
        "(",
        "<think>",
        "answer is ",
        "no dog ",
        "{",
        "[",
        "yes, ",
        "不是狗，",
        "\\boxed{",
        "没有",
    )
    for text in parts:
        yes_no(text * 20_000, "Is there a dog?")
