"""MMMU's parsers with their quirks, and the strict reading of open answers."""

from __future__ import annotations

from skymm.evaluation.benchmarks.mmmu import open_right, parse_multi_choice, parse_open, strict_open

OPTIONS = {"A": "cat", "B": "dog", "C": "red car", "D": "blue boat on sea"}


def test_options():
    for response, letter in (
        ("B", "B"),
        ("B.", "B"),
        ("B:", "B"),
        ("C.,", "C"),  # marks go one kind after another
        ("C,.", None),
        ("(A) or (B)", "B"),  # the last
        ("B, see (A)", "A"),  # brackets before all
        ("A,B", None),
        ("**B**", None),
        ("the one in the picture is a dog", "B"),
        ("it is not a cat, it is a dog", "B"),
        ("a dog then a cat and so on", "A"),
        ("it is a dog now", None),  # an option's words count from six words on
        ("it is a dog right now", "B"),
        ("选B", None),
        ("", None),
    ):
        assert parse_multi_choice(response, OPTIONS) == letter, response


def test_the_first_of_two_options_that_end_at_one_place():
    assert parse_multi_choice("well I would say it is 12", {"A": "12", "B": "2"}) == "B"
    assert parse_multi_choice("well I would say it is 12", {"A": "12", "B": "12"}) == "A"
    assert parse_multi_choice("B", {}) is None


def test_what_an_open_answer_says():
    for response, values in (
        ("3", [3.0]),
        ("Transformation", ["transformation"]),
        ("x", [" x", "x "]),
        ("The answer is 1,234.567 kg", ["1,234.567 kg", 1234.0, 234.57]),
        ("It is 5e3.", [5000.0, 3.0]),  # the end of 5e3 is a number too
        ("so x = 3", [3.0]),
        ("x = 3\nthat is all", ["all"]),  # "=" is looked for in the last line only
        ("nothing of the kind", ["nothing of the kind"]),
        ("", [""]),
    ):
        assert sorted(map(str, parse_open(response))) == sorted(map(str, values)), response


def test_the_official_verdict_on_open_answers():
    for response, golds, right in (
        ("25", ("25",), True),
        ("The answer is 25 cm.", ("25",), True),
        ("25.004", ("25",), True),  # two decimals
        ("25.01", ("25",), False),
        ("1,000", ("1000",), True),
        ("125", ("25",), False),  # numbers are equal, never contained
        ("The stage is embryonic.", ("embryonic",), True),
        ("Embryo", ("embryonic",), False),
        ("A", ("A",), True),
        ("pear", ("A",), False),  # a lone letter must have a space beside it
        ("type a", ("A",), True),
        ("Beach in Tampa", ("Tampa", "Florida"), True),
        ("-120", ("-120",), True),
        ("$1000", ("1000",), True),
        ("1/64", ("1/64",), True),
        ("", ("3",), False),
        ("答案是25", ("25",), True),
        ("25厘米", ("25",), False),  # 25厘米 is one word to it
    ):
        assert open_right(response, golds) is right, response


def test_the_strict_verdict_on_open_answers():
    for response, golds, right in (
        ("25", ("25",), True),
        ("25厘米", ("25",), True),
        ("答案是25厘米。", ("25",), True),
        ("先是30，答案是25", ("25",), True),
        ("答案是25？不，答案是30", ("25",), False),
        ("先是25，答案是30", ("25",), False),  # what is stated counts
        ("答案：胚胎期", ("胚胎",), True),
        ("２５", ("25",), True),
        ("<think>30</think>25", ("25",), True),
        ("<think>25</think>30", ("25",), False),
        ("The stage is embryonic.", ("embryonic",), True),
        ("I don't know", ("know",), None),
        ("无法确定", ("25",), None),
        ("", ("25",), None),
        ("...", ("25",), None),
        ("<think>25", ("25",), None),
        ("This is an option.", ("ion",), False),
        ("It is an ion.", ("ion",), True),
        ("The ion", ("Ion",), True),
        ("Beach in Tampa, Florida", ("Tampa",), True),
        ("A scar on the skin", ("car",), False),
        ("It is a car, not a bus.", ("bus",), False),
        ("It is a car, not a bus.", ("car",), True),
        ("type a", ("A",), True),
        ("a pear", ("pea",), False),
        ("It costs $1000.", ("1000",), True),
        ("The answer is 1/64", ("1/64",), True),
        ("The answer is 11/64", ("1/64",), False),
        ("-120", ("-120",), True),
        ("答案是熊猫", ("熊",), False),
        ("sinus node", ("sin",), False),
        ("I see a cat. The answer is dog", ("cat",), False),
    ):
        assert strict_open(response, golds) is right, response
