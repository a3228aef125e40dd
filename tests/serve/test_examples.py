"""What the demo asks by itself is true of its pictures."""

import pytest

from skymm.answering.protocol import is_yes_no
from skymm.page.document import read_words
from skymm.serve.examples import examples, probes_for, probes_of, questions

WORDS = {language: read_words("skymm.serve", "demo", language) for language in ("zh", "en")}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_asked_for_is_there_or_is_not(language):
    for name, picture in examples().items():
        probes = probes_of(name, language, WORDS[language])
        assert len(probes) == len({probe.name for probe in probes}) == 10
        there = {probe.name for probe in probes if probe.is_there}
        index = ("zh", "en").index(language)
        shown = {thing.text[index] for thing in picture.things} or set(picture.shown)
        assert there and there <= shown, name
        assert not {probe.name for probe in probes if not probe.is_there} & shown, name
        assert all(probe.name.removeprefix("a ") in probe.question and is_yes_no(probe.question) for probe in probes)
        assert probes == probes_of(name, language, WORDS[language]), "the same in every session"


def test_questions_come_with_their_answers():
    assert questions("things-016", "zh") == {"图中有熊猫吗？": "yes", "图中有桃子吗？": "no", "左下方是什么？": "熊猫"}


def test_things_are_asked_for_by_their_names():
    found = probes_for("狗、 独角兽；umbrella", "zh", WORDS["zh"], 0)
    assert [probe.question for probe in found] == ["图里有狗吗？", "图里有独角兽吗？", "图里有伞吗？"]
    found = probes_for("apple, some unicorns", "en", WORDS["en"], 0)
    assert [probe.question for probe in found] == [
        "Is there an apple in the picture?",
        "Is there any some unicorns in the picture?",
    ]
    assert {probe.is_there for probe in probes_for("", "en", WORDS["en"], 7)} == {None}
    assert len({probe.name for probe in probes_for("", "zh", WORDS["zh"], 7)}) == 10


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("图里有熊猫吗？", True),
        ("图中有没有熊猫", True),
        ("是不是红色的？", True),
        ("有熊猫么?", True),
        ("图里有什么？", False),
        ("这是什么？", False),
        ("有几只熊猫？", False),
        ("Is there a dog?", True),
        ("Look closely. Does it show a dog?", True),
        ("What is there?", False),
        ("How many are there?", False),
        ("Issue: what is it", False),
        ("", False),
    ],
)
def test_which_questions_want_yes_or_no(question, wanted):
    assert is_yes_no(question) is wanted
