"""Option letters: official digits, and the strict reading, whose table of answers (letters.tsv) is its definition.

Whoever changes the reading changes a line there first.
"""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from official import oracle

from skymm.evaluation.reading.letters import official_mmbench, official_mmbench_letter, option_letter

ENGLISH = {"A": "cat", "B": "dog", "C": "red car", "D": "blue boat"}
CHINESE = {"A": "猫", "B": "狗", "C": "红色的车", "D": "蓝色的船"}


def table() -> list[tuple[str, str, dict[str, str]]]:
    """(letter, answer, options)"""
    rows: list[tuple[str, str, dict[str, str]]] = []
    for line in Path(__file__).with_name("letters.tsv").read_text("utf-8").splitlines():
        kind, *cells = line.split("\t")
        if kind == "?":
            groups = [json.loads(cell) for cell in cells]
        elif not kind.startswith("#"):
            text = cells[0].replace("\\n", "\n").replace("\\\\", "\\")
            rows += [(kind, text, options) for options in groups]
    return rows


TABLE = table()


def test_table():
    wrong = [(text, options, option_letter(text, options), letter) for letter, text, options in TABLE]
    assert [row for row in wrong if row[2] != row[3]] == []


def test_no_case_stands_twice():
    assert len({(text, json.dumps(options)) for _, text, options in TABLE}) == len(TABLE) > 1400


def test_wrapping_changes_nothing():
    for wrap in ("{}\n", "  {}", "**{}**", "# {}", "{}<|im_end|>", "<think>A, no, C</think>\n\n{}"):
        for text in ("B", "(B)", "选B", "答案是B。", "The answer is B.", "狗"):
            assert option_letter(wrap.format(text), CHINESE) == "B", (wrap, text)


ROTATED = {"A": "D", "B": "A", "C": "B", "D": "C"}


def test_no_letter_is_special():
    """Letters renamed, the verdict is renamed with them."""
    options = dict.fromkeys("ABCD", "")
    for text in (
        "A",
        "选A",
        "The answer is A.",
        "不是B，是A",
        "(A)",
        "B is wrong. A is right.",
        "A、B都不对，选C",
        "故选D．",
    ):
        renamed = "".join(ROTATED.get(character, character) for character in text)
        assert option_letter(renamed, options) == ROTATED[option_letter(text, options)], text


@example(text="{<", options={})
@given(st.text(max_size=200), st.dictionaries(st.sampled_from("ABCDE"), st.text(max_size=12), max_size=5))
def test_any_text_gives_a_choice_or_unknown(text, options):
    assert option_letter(text, options) in {*options, "unknown"}


@given(st.text(st.sampled_from("AB ()选项是不答案:.。,，或和orantsweil"), max_size=30))
def test_what_is_read_stands_in_the_answer(text):
    letter = option_letter(text, {"A": "", "B": ""})
    assert letter == "unknown" or letter in text.upper()


def test_long_answers_take_no_time():
    parts = (
        "the ",
        "不",
        "A-",
        "(",
        "<think>",
        "answer is ",
        "A or ",
        "not ",
        "不是A",
        "选",
        "the answer is B. ",
        "A. ",
    )
    for part in parts:
        option_letter(part * 2000, CHINESE)


OFFICIAL = [
    # letter by itself, then with the words
    ("B", "B", "B"),
    ("(B)", "B", "B"),
    ("B.", "B", "B"),
    ("b", None, None),
    ("选B", None, None),
    ("答案：B。", None, None),
    ("答案是 B", "B", "B"),
    ("A dog", "A", "A"),  # the article is a letter
    ("A and B", None, None),
    ("It is a dog", None, "B"),
    ("a dog or a cat", None, None),
    ("B one two three", "B", "B"),
    ("B one two three four", None, None),
    ("B it is since it has two long ears", None, None),  # only the last four words count
    ("the answer is **b**, that is what I would say here", "B", "B"),
    ("the answer is dog", "D", "D"),  # the d of dog
    ("Cannot determine the answer", "Z", "Z"),
    ("Z", "Z", "Z"),
    ("", None, None),
]


def test_the_official_rule_with_its_quirks():
    for text, letter, inferred in OFFICIAL:
        assert (official_mmbench_letter(text, ENGLISH), official_mmbench(text, ENGLISH)) == (letter, inferred), text


def test_the_official_rule_agrees_on_awkward_answers():
    official = json.loads(oracle("parsers/vlmevalkit_can_infer.json").read_text("utf-8"))
    assert len(official["rows"]) == 35
    for row in official["rows"]:
        assert (official_mmbench_letter(row["response"], official["choices"]) or False) == row["option"], row
        assert (official_mmbench(row["response"], official["choices"]) or False) == row["infer"], row
