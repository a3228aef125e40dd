"""Captions are judged one by one, conversations up to their first bad turn; every reason both ways, in both languages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from skymm.conversation import Turn
from skymm.curation.filters.text import is_boilerplate, is_garbled, prune, repetition, text_reason
from skymm.curation.record import Caption, Facts, Record, Thing
from skymm.recipe.data import FiltersRecipe

RECIPE = FiltersRecipe()
GOOD_EN, GOOD_ZH = Caption("A dog runs on the beach.", "en"), Caption("一只狗在沙滩上奔跑。", "zh")
BAD_EN, BAD_ZH = Caption("Dog", "en"), Caption("点击查看大图", "zh")
REPETITIVE, MANY = "repetitive text", " ".join(f"word{index}" for index in range(513))
CAPTIONS = [
    ("A dog", None),
    ("dog", "too few words"),
    ("一只狗", None),
    ("猫", "too few words"),
    (MANY.rpartition(" ")[0], None),
    (MANY, "too many words"),
    ("天空" + "，".join(["红", "绿", "蓝", "山", "水"] * 103), "too many words"),
    ("a big dog a big dog a big dog a big dog", REPETITIVE),
    ("a big dog and a big cat", None),
    ("红色的花红色的花红色的花红色的花", REPETITIVE),
    ("红色的花和红色的车", None),
    ("哈哈哈哈", REPETITIVE),
    ("他们哈哈哈地笑", None),
    ("What a view!!!!!!", REPETITIVE),
    ("What a view!!!", None),
    ("sooooooo nice a day", REPETITIVE),
    ("a cheque over $1000000000", None),
    ("The word ________ is missing", None),
    ("IMG_1234.jpg", "boilerplate"),
]
ANSWERS = [
    *(
        (text, None)
        for text in ("Yes", "是", "$12.99", "www.example.com", "Click here", "| a | b |\n|-------|-------|")
    ),
    ("no no no no no no no no", REPETITIVE),
    ("是的是的是的是的是的是的是的是的", REPETITIVE),
    ("It is a caf\u00c3\u00a9", "boilerplate"),
    ("锟斤拷", "boilerplate"),
    (MANY, "too many words"),
]


def test_boilerplate_is_told_from_what_people_write():
    """boilerplate.txt: a list of what pages, cameras and shops write, and one of what people do."""
    parts = Path(__file__).with_name("boilerplate.txt").read_text("utf-8").split("\n\n")
    made_by_pages, written_by_people = (part.splitlines() for part in parts)
    assert len(made_by_pages) > 70 and len(written_by_people) > 30
    assert [text for text in made_by_pages if not is_boilerplate(text)] == []
    assert [text for text in written_by_people if is_boilerplate(text)] == []
    assert is_garbled("caf\u00c3\u00a9") and is_garbled("锟斤拷")
    assert not any(map(is_garbled, ("<p>x</p>", "$12.99", "café, 咖啡")))


def test_long_text_takes_no_time():
    """No pattern may explode: 100,000 characters of what nearly matches, in well under a second each."""
    for part in ("a.", "1 ", "<a ", "image by ", "点击", "img_", "x-"):
        start = time.perf_counter()
        is_boilerplate(part * (100_000 // len(part)))
        assert time.perf_counter() - start < 2, part


def test_captions_and_answers_one_by_one():
    for caption, cases in ((True, CAPTIONS), (False, ANSWERS)):
        assert [(text, text_reason(text, RECIPE, caption=caption)) for text, _ in cases] == cases
    assert repetition("a b c d e") == 0 and repetition("a b") == 0 and repetition("") == 0
    assert repetition("a b c a b c") == pytest.approx(1 / 4)  # abc bca cab abc
    assert repetition("x x x x") == pytest.approx(1 / 2)


def test_every_filter_can_be_switched_off():
    off = FiltersRecipe(min_words=None, max_words=None, max_repetition=None, boilerplate=False)
    for text in ("x", "猫", "哈哈哈哈哈", "IMG_1234.jpg", "a b c a b c a b c a b c", "点击查看", "<p>a</p>"):
        assert text_reason(text, RECIPE, caption=True) and text_reason(text, off, caption=True) is None, text


def test_bad_captions_go_and_the_record_with_the_last_of_them_unless_there_are_facts():
    outcome = prune(Record("a", captions=(BAD_EN, GOOD_EN, BAD_ZH, GOOD_ZH)), RECIPE)
    assert outcome.record.captions == (GOOD_EN, GOOD_ZH) and outcome.reason is None
    assert outcome.dropped == {"too few words": 1, "boilerplate": 1}
    outcome = prune(Record("a", captions=(BAD_ZH, BAD_EN)), RECIPE)
    assert outcome.record is None and outcome.reason == "boilerplate"
    assert outcome.dropped == {"boilerplate": 1, "too few words": 1}
    facts = Facts((Thing("dog"),))
    with_facts = prune(Record("a", captions=(BAD_EN,), facts=facts), RECIPE)
    assert with_facts.record.captions == () and with_facts.record.facts == facts
    said = Record("a", captions=(GOOD_EN,), turns=(Turn("user", "?"), Turn("assistant", "Yes")))
    for record in (said, Record("a", facts=facts)):
        assert prune(record, RECIPE).record is record and not prune(record, RECIPE).dropped, "as it is"


def exchange(question: str, answer: str, *images: str) -> tuple[Turn, Turn]:
    return Turn("user", question, images), Turn("assistant", answer)


def test_conversations_are_cut_before_the_first_bad_turn():
    system, noise = Turn("system", "!" * 50 + "锟斤拷"), "ha " * 20
    first, second = exchange("What is it?", "A dog.", "jpg"), exchange("有猫吗？", "没有。")
    cases = {
        "a bad answer": ((system, *first, *second, *exchange("And?", noise), *exchange("Why?", "Who knows")), 5),
        "a bad question takes its answer along": ((*first, *exchange("锟斤拷?", "A cat.")), 2),
        "one that would lose pictures goes as a whole": ((*first, *exchange("And this?", noise, "1.jpg")), 0),
        "one that begins badly": ((system, *exchange("What is it?", "锟斤拷"), *second), 0),
        "the system turn may be anything": ((system, *first), 3),
    }
    for name, (turns, num_kept) in cases.items():
        outcome = prune(Record("a", turns=turns), RECIPE)
        assert (outcome.record.turns if outcome.record else ()) == turns[:num_kept], name
        assert sum(outcome.dropped.values()) == (num_kept < len(turns)), name
        assert prune(Record("a", turns=turns, captions=(GOOD_EN,)), RECIPE).record.captions == (GOOD_EN,), name
    rejected = Record("a", turns=first, extra={"rejected": noise})
    assert prune(rejected, RECIPE).reason == REPETITIVE, "what was compared with it goes too"
