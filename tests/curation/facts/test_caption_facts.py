"""What captions say is there is found, and nothing that they only seem to say."""

import pytest
from caption_tables import CHINESE, ENGLISH

from skymm.curation.facts.picture_facts import caption_facts, mentioned, merge, parse_caption
from skymm.curation.record import Facts, Thing
from skymm.lexicon import related

LINES = [("en", *line) for line in ENGLISH] + [("zh", *line) for line in CHINESE]


@pytest.mark.parametrize(
    ("language", "text", "things", "more"), LINES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_captions_say_what_is_there(language, text, things, more):
    facts = caption_facts(text, language)
    assert {thing.name: thing.count for thing in facts.things} == things
    by_name = {thing.name: thing for thing in facts.things}
    for key, expected in more.items():
        name, _, what = key.rpartition(" ")
        if key == "relation":
            assert expected in facts.relations
        elif key == "text":
            assert facts.texts == (expected,)
        elif expected:
            assert expected in by_name[name].attributes
        else:
            assert what and not by_name[name].attributes


def test_there_are_sixty_of_each_language():
    assert len(ENGLISH) >= 60 and len(CHINESE) >= 60


@pytest.mark.parametrize(
    ("language", "text", "things", "more"), LINES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_there_is_mentioned_and_spans_lie_in_the_text(language, text, things, more):
    assert set(things) <= mentioned([text])
    reading = parse_caption(text, language)
    for mention in reading.mentions:
        assert 0 <= mention.phrase[0] <= mention.span[0] < mention.span[1] == mention.phrase[1] <= len(text)
        for span in (mention.number_span, mention.colour_span):
            assert span is None or 0 <= span[0] < span[1] <= len(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a hot dog", {"hot dog", "dog"}),
        ("horseradish sauce", {"horse"}),
        ("a street with no people", {"street", "person"}),
        ("热狗", {"hot dog", "dog"}),
        ("人行道", {"sidewalk", "person"}),
        ("一个没戴帽子的男人", {"hat", "man", "person"}),
        ("KITTENS!", {"cat"}),
        ("ｄｏｇ", {"dog"}),
        ("a mouse", {"mouse", "rat"}),
        ("a doghouse", {"dog", "house"}),
        ("dog-friendly", {"dog"}),
        ("泰迪", {"teddy bear", "dog"}),
    ],
)
def test_everything_that_comes_up_is_mentioned(text, names):
    assert names <= mentioned([text])


def test_short_names_within_other_words_are_not_mentioned():
    assert not {"hat", "cat", "car", "tie"} & mentioned(["That education is scarce and patient"])


def test_facts_are_mentioned_too():
    facts = Facts((Thing("dog", 1), Thing("flux capacitor")), (("cat", "on", "roof"),), ("FISH & CHIPS",), None)
    assert {"dog", "cat", "roof", "fish"} <= mentioned([], facts)


def test_merging_keeps_all_and_forgets_numbers_that_differ():
    first = Facts((Thing("dog", 2, ("brown",)), Thing("cat", 1)), (("cat", "on", "bed"),), ("STOP",))
    second = Facts((Thing("dog", 3, ("white",)), Thing("cat")), (), (), "coco80")
    both = merge(first, second)
    assert both.things == (Thing("dog", None, ("brown", "white")), Thing("cat", 1))
    assert both.relations == first.relations and both.texts == ("STOP",) and both.complete == "coco80"


@pytest.mark.parametrize(
    "text",
    ["", "，。", "!!!", "狗", "桌子上的貓和狗", "a", "\u200b", "「停」", "一" * 300, "dog " * 300, "İstanbul dog"],
)
def test_odd_texts_do_no_harm(text):
    for language in ("en", "zh"):
        caption_facts(text, language)
    mentioned([text])


def test_reading_a_caption_is_quick(benchmark_seconds=0.02):
    import time

    caption_facts("一只狗", "zh")  # jieba loads its dictionary once
    start = time.process_time()
    for number in range(50):
        caption_facts(f"{number}个男人在海滩上骑着一匹棕色的马，旁边有一条狗", "zh")
        caption_facts(f"{number} men riding a brown horse on the beach next to a dog", "en")
    assert (time.process_time() - start) / 100 < benchmark_seconds


def test_related_words():
    same = [("dog", "puppy"), ("狗", "dog"), ("car", "vehicle"), ("man", "person"), ("apple", "food"), ("man", "hat")]
    apart = [
        ("dog", "cat"),
        ("hot dog", "dog"),
        ("horse", "zebra"),
        ("bus", "car"),
        ("马桶", "马"),
        ("umbrella", "kite"),
    ]
    assert all(related(*pair) and related(*reversed(pair)) for pair in same)
    assert not any(related(*pair) or related(*reversed(pair)) for pair in apart)
