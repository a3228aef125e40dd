"""Choices compared by the tokens they begin with, checked against sums over every continuation, done slowly."""

import itertools
import math
import tomllib
from importlib.resources import files

import pytest
import torch
from tiny_parts import byte_tokenizer

from skymm.answering.local import FORMS, Choices, compare, forms_of
from skymm.verdict import yes_no

YES_NO = ("yes", "no")


class Words:
    """A tokenizer of whole words with their space before them, as SentencePiece marks them."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def encode(self, text, add_special_tokens=False):
        ids, rest = [], text
        while rest:
            piece = max((one for one in self.pieces if rest.startswith(one)), key=len)
            ids.append(self.pieces.index(piece))
            rest = rest[len(piece) :]
        return ids

    def decode(self, ids):
        return "".join(self.pieces[index] for index in ids)


def test_every_form_is_found_and_none_twice():
    tokenizer = Words(*"\n ", *FORMS["yes"], *FORMS["no"], " Yes", " No")
    branches = Choices(tokenizer).branches(YES_NO)
    assert list(branches) == [()]
    found = {choice: {tokenizer.pieces[index] for index in ids} for choice, ids in branches[()].items()}
    assert found == {"yes": {*FORMS["yes"], " Yes"}, "no": {*FORMS["no"], " No"}}


def test_a_token_that_several_choices_begin_with_decides_nothing():
    """In bytes 是 and 没 begin alike, so that byte has to be said before the next one can decide."""
    tokenizer = byte_tokenizer()
    branches = Choices(tokenizer).branches(YES_NO)
    common = tuple(tokenizer.encode("是", add_special_tokens=False)[:1])
    assert common == tuple(tokenizer.encode("没", add_special_tokens=False)[:1])
    assert common in branches and {*branches[common]} == {"yes", "no"}
    for choice in YES_NO:
        assert common[0] not in branches[()][choice]
    assert not set(branches[common]["yes"]) & set(branches[common]["no"])


def test_letters_are_told_as_capitals_and_after_a_bracket():
    tokenizer = byte_tokenizer()
    branches = Choices(tokenizer).branches(("A", "B"))
    bracket, a, b = (tokenizer.encode(text, add_special_tokens=False)[0] for text in "(AB")
    assert branches == {(): {"A": [a], "B": [b]}, (bracket,): {"A": [a], "B": [b]}}
    assert forms_of("A") == ("A", "(A") and forms_of("a") == ("A", "(a", "(A"), "a small letter alone begins a word"
    assert forms_of("first") == ("first",)
    with pytest.raises(ValueError, match=r"cannot tell .*'AB'"):
        Choices(tokenizer).branches(("AB", "ABC", "AB "))


def test_comparing_is_the_sum_over_all_answers_that_begin_so():
    """A random language of four tokens; every answer of three tokens is enumerated."""
    tokenizer = Words("(", "A", "B", "x", "\n", " ")
    size = len(tokenizer.pieces)
    generator = torch.Generator().manual_seed(0)
    table = {
        said: torch.randn(size, generator=generator)
        for n in range(3)
        for said in itertools.product(range(size), repeat=n)
    }
    log_p = {said: torch.log_softmax(logits, 0) for said, logits in table.items()}

    def slowly(letter):
        total = 0.0
        for said in itertools.product(range(size), repeat=3):
            text = tokenizer.decode(said)
            if text.startswith((letter, f"({letter}")):
                total += math.exp(sum(float(log_p[said[:n]][said[n]]) for n in range(3)))
        return math.log(total)

    asked = []

    def continued(indices, said):
        asked.append(len(said))
        return torch.stack([table[one] for one in said])

    first = table[()][None].repeat(2, 1)
    found, nothing = compare([("A", "B"), ()], first, Choices(tokenizer), continued)
    assert nothing is None and asked == [1], "one more pass for the bracket, none for what is not asked"
    assert found == {letter: pytest.approx(slowly(letter), abs=1e-5) for letter in "AB"}


def test_one_pass_is_enough_where_first_tokens_differ():
    tokenizer = Words("Yes", "No", "\n", " ", *FORMS["yes"][1:], *FORMS["no"][1:])
    first = torch.zeros(1, len(tokenizer.pieces))
    first[0, 0] = 5

    def continued(indices, said):
        raise AssertionError("nothing is to be continued")

    [found] = compare([YES_NO], first, Choices(tokenizer), continued)
    assert found["yes"] > found["no"]
    log_p = torch.log_softmax(first[0], 0)
    assert found["no"] == pytest.approx(float(torch.logsumexp(log_p[[1, *range(10, 18)]], 0)), abs=1e-6)


def test_every_yes_and_no_that_is_taught_is_a_way_to_write_it():
    """What a model learns to begin with (能。 to 能看到吗) has to count where choices are compared."""
    taught = list(_yes_no_lines(tomllib.loads((files("skymm") / "questions.toml").read_text("utf-8"))))
    assert len(taught) > 40 and any(yes == "能。" for _, yes, _ in taught)
    for question, *answers in taught:
        for choice, other, answer in zip(("yes", "no"), ("no", "yes"), answers):
            assert answer.startswith(FORMS[choice]) and not answer.startswith(FORMS[other]), (question, answer)


def _yes_no_lines(table):
    if isinstance(table, dict):
        for inner in table.values():
            yield from _yes_no_lines(inner)
    elif isinstance(table, list):
        if len(table) == 3 and all(isinstance(one, str) for one in table):
            if [yes_no(answer, table[0]) for answer in table[1:]] == ["yes", "no"]:
                yield table
        else:
            for inner in table:
                yield from _yes_no_lines(inner)
