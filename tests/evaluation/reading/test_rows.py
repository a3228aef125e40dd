"""Table rows: options wherever they stand, pictures, and what official tools take for an empty cell."""

from __future__ import annotations

import pytest

from skymm.evaluation.benchmark import Question
from skymm.evaluation.reading.rows import is_empty, number_of, options_in, picture_of, tables_below, tallies, together

PICTURE = bytes(range(60))


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which?\nOptions: A: a cat, B: a dog", {"A": "a cat", "B": "a dog"}),
        ("Which?\nOptions: A: a cat., B: a dog., C: 3.5", {"A": "a cat.", "B": "a dog.", "C": "3.5"}),
        ("Which?\nChoices:\n(A) cat\n(B) dog\n(C) bird", {"A": "cat", "B": "dog", "C": "bird"}),
        ("Options: A. one B. two", {"A": "one", "B": "two"}),
        ("Options: many. Which?\nOptions:\nA: x\nB: y", {"A": "x", "B": "y"}),
        ("Which one of A: x, B: y?", {}),
        ("Which?\nOptions: yes or no", {}),
        ("Which?\nOptions: A: only one", {}),
        ("", {}),
    ],
)
def test_options_inside_a_question(question, options):
    assert options_in(question) == options


@pytest.mark.parametrize("cell", [None, "", "  ", "nan", "NaN", "None", "N/A", "null", float("nan")])
def test_empty_cells(cell):
    assert is_empty(cell)


@pytest.mark.parametrize("cell", [0, 0.0, "0", "none at all", "No", "NONE", "-", False])
def test_cells_with_something_in_them(cell):
    assert not is_empty(cell)


@pytest.mark.parametrize(("cell", "number"), [(3, 3), ("3", 3), (3.0, 3), ("3000001", 3000001), ("3.0", 3)])
def test_indices(cell, number):
    assert number_of({"index": cell}, "here") == number


@pytest.mark.parametrize("cell", [None, "", "x", 3.5, float("nan"), float("inf")])
def test_what_is_no_index(cell):
    with pytest.raises(ValueError, match=r"here: the index is .* expected a whole number"):
        number_of({"index": cell}, "here")


def test_pictures_as_bytes_and_structs():
    assert picture_of(PICTURE, "here") == picture_of({"bytes": PICTURE, "path": "x.png"}, "here") == PICTURE
    for nothing in (None, b"", "", {"bytes": None}):
        with pytest.raises(ValueError, match="here: the image is"):
            picture_of(nothing, "here")


def test_neighbours_keep_their_order():
    questions = [Question(str(number), "", "", cluster) for number, cluster in enumerate("abacb")]
    assert [question.id for question in together(questions)] == ["0", "2", "1", "4", "3"]


def test_names_are_counted_in_the_order_they_come():
    assert list(tallies([("b", True), ("a", False), ("", True), ("b", False)]).items()) == [
        ("b", {"correct": 1, "total": 2, "acc": 0.5}),
        ("a", {"correct": 0, "total": 1, "acc": 0.0}),
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
