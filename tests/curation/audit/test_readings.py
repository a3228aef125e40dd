"""Narrow readings of answers and questions: right where they read, silent where they cannot know."""

import pytest

from skymm.curation.audit.reading import asked_thing, clean, source_and_licence, things_there, yes_no
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.negatives.balance import Asked
from skymm.curation.negatives.kinds import exchange
from skymm.curation.record import Caption, Picture, Record

YES = "Yes|yes.|Yes, there is a dog.|YES!|“Yes”|Yes - two.|是|是的。|是的，有一只狗。|有。|对|True"
NO = "No|no.|No, it is not there.|否|没有|没有，图里没有狗。|不是。|不，是猫。|无|False."
NEITHER = "Nothing|No one is there|Yesterday|Northern lights|A dog.||有一只狗|没有狗|是一只猫|否则不行|不知道|无花果"


def test_yes_and_no():
    for answers, said in ((YES, "yes"), (NO, "no"), (NEITHER, None)):
        for answer in answers.split("|"):
            assert yes_no(answer) == said, answer


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("Is there a dog?", "dog"),
        ("Are there animals in the picture?", "animals"),
        ("Is there an orange in this image? Please answer yes or no.", "orange"),
        ("Does the image contain any traffic lights?", "traffic lights"),
        ("Can you see the Eiffel Tower in the photo?", "eiffel tower"),
        ("有熊猫吗？", "熊猫"),
        ("图里有熊猫吗？请回答是或否。", "熊猫"),
        ("这张图片中是否有一只狗？", "狗"),
        ("圖片裡有沒有三明治？", "三明治"),
        ("请问图中存在红绿灯吗", "红绿灯"),
        ("Are there three dogs?", None),
        ("有三只狗吗？", None),
        ("Is the dog brown?", None),
        ("狗是棕色的吗？", None),
        ("What is there?", None),
    ],
)
def test_what_is_asked_for(question, thing):
    assert asked_thing(question, "existence") == asked_thing(question, "unknown") == thing
    assert asked_thing(question, "color") is None


def test_where_it_comes_from():
    card = {"source": "emoji", "licences": {"a": "CC0", "b": "MIT"}}
    assert source_and_licence({}, card) == ("emoji", "CC0; MIT")
    assert source_and_licence({"source": "b"}, card) == ("b", "MIT")
    assert source_and_licence({"source": "c", "licence": "CC-BY"}, card) == ("c", "CC-BY")
    assert source_and_licence({"source": 3, "licence": " Unknown "}, {}) == ("unknown", "unknown")
    assert source_and_licence({"license": "MIT"}, {"licence": None}) == ("unknown", "MIT")


def test_facts():
    assert things_there({"facts": {"things": [{"name": "Dog"}, {"name": "cat"}]}}) == {"dog", "cat"}
    for facts in (3, [1], {"things": [{}]}, {"things": [{"name": 3}]}, {"relations": [["a"]]}, None):
        assert things_there({"facts": facts}) == set() == things_there({}), facts


def test_cleaned_text_can_be_written():
    assert clean("a\ud800b").encode("utf-8") == b"a?b" and clean("狗" * 400, 5) == "狗" * 5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_question_of_the_builder_is_read(language):
    """What `skymm data build` asks, whatever the template, names its thing to the audit."""
    record = Record("a", {"jpg": Picture(data=b"x")}, (Caption("a dog and two cats on the grass under a kite", "en"),))
    named = set()
    for seed in range(40):
        for thing in ("dog", "cat", "grass"):
            asked = Asked("existence/random", (thing,), "positive", language, seed)
            question, answer = exchange(asked, facts_about(record), True, 0.5)
            assert asked_thing(question.text, answer.kind), question.text
            named.add(asked_thing(question.text, answer.kind))
    assert {"en": {"dog", "cats"}, "zh": {"狗", "猫"}}[language] <= named
