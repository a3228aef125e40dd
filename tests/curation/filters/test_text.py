"""Captions are judged one by one, conversations up to their first bad turn; every reason both ways, in both languages."""

from __future__ import annotations

import pytest

from skymm.conversation import Turn
from skymm.curation.filters.text import answer_reason, caption_reason, prune, repetition
from skymm.curation.record import Caption, Facts, Record, Thing
from skymm.recipe.data import FiltersRecipe

RECIPE = FiltersRecipe()
GOOD_EN, GOOD_ZH = Caption("A dog runs on the beach.", "en"), Caption("一只狗在沙滩上奔跑。", "zh")
BAD_EN, BAD_ZH = Caption("Dog", "en"), Caption("点击查看大图", "zh")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A dog", None),
        ("dog", "too few words"),
        ("一只狗", None),
        ("猫", "too few words"),
        (" ".join(f"word{index}" for index in range(512)), None),
        (" ".join(f"word{index}" for index in range(513)), "too many words"),
        ("天空" + "，".join(["红", "绿", "蓝", "山", "水"] * 103), "too many words"),
        ("a big dog a big dog a big dog a big dog", "repetitive text"),
        ("a big dog and a big cat", None),
        ("红色的花红色的花红色的花红色的花", "repetitive text"),
        ("红色的花和红色的车", None),
        ("哈哈哈哈", "repetitive text"),
        ("他们哈哈哈地笑", None),
        ("What a view!!!!!!", "repetitive text"),
        ("What a view!!!", None),
        ("sooooooo nice a day", "repetitive text"),
        ("a cheque over $1000000000", None),
        ("The word ________ is missing", None),
        ("IMG_1234.jpg", "boilerplate"),
    ],
)
def test_captions(text, reason):
    assert caption_reason(text, RECIPE) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Yes", None),
        ("是", None),
        ("$12.99", None),
        ("www.example.com", None),
        ("| a | b |\n|-------|-------|", None),
        ("Click here", None),
        ("no no no no no no no no", "repetitive text"),
        ("是的是的是的是的是的是的是的是的", "repetitive text"),
        ("It is a caf\u00c3\u00a9", "boilerplate"),
        ("锟斤拷", "boilerplate"),
        (" ".join(f"word{index}" for index in range(513)), "too many words"),
    ],
)
def test_answers(text, reason):
    assert answer_reason(text, RECIPE) == reason


def test_repetition_is_the_share_of_3_grams_that_stood_earlier():
    assert repetition("a b c d e") == 0 and repetition("a b") == 0 and repetition("") == 0
    assert repetition("a b c a b c") == pytest.approx(1 / 4)  # abc bca cab abc
    assert repetition("x x x x") == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    "text", ["x", "猫", "哈哈哈哈哈", "IMG_1234.jpg", "a b c a b c a b c a b c", "点击查看", "<p>a</p>"]
)
def test_every_filter_can_be_switched_off(text):
    off = FiltersRecipe(min_words=None, max_words=None, max_repetition=None, boilerplate=False)
    assert caption_reason(text, RECIPE) and caption_reason(text, off) is None


def test_bad_captions_go_and_good_ones_stay():
    outcome = prune(Record("a", captions=(BAD_EN, GOOD_EN, BAD_ZH, GOOD_ZH)), RECIPE)
    assert outcome.record.captions == (GOOD_EN, GOOD_ZH) and outcome.reason is None
    assert outcome.dropped == {"too few words": 1, "boilerplate": 1}


def test_a_record_without_anything_bad_is_returned_as_it_is():
    record = Record("a", captions=(GOOD_EN,), turns=(Turn("user", "?"), Turn("assistant", "Yes")))
    outcome = prune(record, RECIPE)
    assert outcome.record is record and not outcome.dropped
    facts_only = Record("a", facts=Facts((Thing("dog"),)))
    assert prune(facts_only, RECIPE).record is facts_only


def test_a_record_goes_with_the_last_that_was_said_unless_there_are_facts():
    outcome = prune(Record("a", captions=(BAD_ZH, BAD_EN)), RECIPE)
    assert outcome.record is None and outcome.reason == "boilerplate"
    assert outcome.dropped == {"boilerplate": 1, "too few words": 1}
    with_facts = prune(Record("a", captions=(BAD_EN,), facts=Facts((Thing("dog"),))), RECIPE)
    assert with_facts.record.captions == () and with_facts.record.facts.things


def exchange(question: str, answer: str, *images: str) -> tuple[Turn, Turn]:
    return Turn("user", question, images), Turn("assistant", answer)


def test_conversations_are_cut_before_the_first_bad_turn():
    first, second = exchange("What is it?", "A dog.", "jpg"), exchange("有猫吗？", "没有。")
    bad = exchange("And now?", "ha " * 20)
    turns = (Turn("system", "Be brief."), *first, *second, *bad, *exchange("Why?", "Who knows"))
    outcome = prune(Record("a", turns=turns), RECIPE)
    assert outcome.record.turns == (Turn("system", "Be brief."), *first, *second)
    assert outcome.dropped == {"repetitive text": 1}


def test_a_bad_question_takes_its_answer_along():
    turns = (*exchange("What is it?", "A dog."), *exchange("锟斤拷?", "A cat."))
    assert prune(Record("a", turns=turns), RECIPE).record.turns == turns[:2]


def test_a_conversation_that_would_lose_pictures_goes_as_a_whole():
    turns = (*exchange("What is it?", "A dog.", "0.jpg"), *exchange("And this?", "ha " * 20, "1.jpg"))
    outcome = prune(Record("a", turns=turns, captions=(GOOD_EN,)), RECIPE)
    assert outcome.record.turns == () and outcome.record.captions == (GOOD_EN,)
    assert prune(Record("a", turns=turns), RECIPE).reason == "repetitive text"


def test_a_conversation_that_begins_badly_goes():
    turns = (Turn("system", "Be brief."), *exchange("What is it?", "锟斤拷"), *exchange("And now?", "A dog."))
    assert prune(Record("a", turns=turns), RECIPE).record is None


def test_the_system_turn_may_be_anything():
    turns = (Turn("system", "!" * 50 + "锟斤拷"), *exchange("What is it?", "A dog."))
    assert prune(Record("a", turns=turns), RECIPE).record.turns == turns
