"""What captions say is there is found, and nothing that they only seem to say."""

from caption_tables import CHINESE, ENGLISH

from skymm.curation.facts.picture_facts import caption_facts, mentioned, merge, parse_caption
from skymm.curation.record import Facts, Thing
from skymm.lexicon import related

LINES = [("en", *line) for line in ENGLISH] + [("zh", *line) for line in CHINESE]


def test_captions_say_what_is_there():
    """And all of it is mentioned, and every span lies in the text."""
    assert len(ENGLISH) >= 60 and len(CHINESE) >= 60
    for language, text, things, more in LINES:
        facts = caption_facts(text, language)
        by_name = {thing.name: thing for thing in facts.things}
        assert {name: thing.count for name, thing in by_name.items()} == things, text
        for key, expected in more.items():
            name, _, what = key.rpartition(" ")
            if key == "relation":
                assert expected in facts.relations, text
            elif key == "text":
                assert facts.texts == (expected,), text
            elif expected:
                assert expected in by_name[name].attributes, text
            else:
                assert what and not by_name[name].attributes, text
        assert set(things) <= mentioned([text]), text
        for mention in parse_caption(text, language).mentions:
            assert 0 <= mention.phrase[0] <= mention.span[0] < mention.span[1] == mention.phrase[1] <= len(text), text
            for span in (mention.number_span, mention.colour_span):
                assert span is None or 0 <= span[0] < span[1] <= len(text), text


def test_everything_that_comes_up_is_mentioned():
    for text, names in [
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
        ("a snowcat", {"snow", "cat"}),
        ("a sail boat", {"boat"}),
        ("dog-friendly", {"dog"}),
        ("泰迪", {"teddy bear", "dog"}),
    ]:
        assert names <= mentioned([text]), text


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


def test_odd_texts_do_no_harm():
    for text in [
        "",
        "，。",
        "!!!",
        "狗",
        "桌子上的貓和狗",
        "a",
        "\u200b",
        "「停」",
        "一" * 300,
        "dog " * 300,
        "İstanbul dog",
    ]:
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
