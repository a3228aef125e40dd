"""What is wrong with a translation is seen, and what is right passes."""

import sys

import pytest

from skymm.curation.translation.checks import (
    chrf,
    find_fault,
    round_trip,
    round_trip_tells,
    same_polarity,
)

GOOD = [
    ("A brown dog is lying on the red sofa.", "一只棕色的狗躺在红色沙发上。"),
    ("Is there a cat in the picture?", "图中有猫吗？"),
    ("Yes", "是"),
    ("Yes", "有"),
    ("No", "没有。"),
    ("No, there is no cat.", "没有，图中没有猫。"),
    ("Yes, the sky is blue.", "是的，天空是蓝色的。"),
    ("saxophone", "萨克斯管"),
    ("A T-shirt", "T恤"),
    ("Michael Jordan plays basketball.", "Michael Jordan在打篮球。"),
    ("what is this", "这是什么？"),
    ("Parking is forbidden; no parking here.", "此处禁止停车，禁止停车。"),
    ("hahahahahahaha, so funny", "哈哈哈哈哈哈哈哈，真好笑"),
    ("It isn't there ........................", "它不在那里……………………………"),
    ("Right side of the room", "房间的右侧"),
    ("Stainless steel", "不锈钢"),
    ("No. 0 bus", "0路公交车"),
    ("Do you have time?", "你有没有时间？"),
]
BAD = [
    ("A brown dog.", "", "the translation is empty"),
    ("A brown dog.", " 0 。", "the translation is empty"),
    ("A brown dog.", "a  brown dog.", "the translation is a copy"),
    ("A brown dog.", "A dog that is brown.", "the translation is in the wrong language"),
    ("A brown dog on the bed.", "一只 brown dog 在 bed 上。", "the translation is in the wrong language"),
    ("Is there a cat?", "没有，图中没有猫。", "a question was answered or lost in translation"),
    ("There is a cat.", "图中有猫吗？", "a question was answered or lost in translation"),
    ("A dog.", "图中有一只棕色的大狗躺在一张红色的沙发上。", "the translation is too long or too short"),
    ("A big brown dog is lying on a red sofa in the living room.", "狗。", "the translation is too long or too short"),
    ("A dog runs on the green grass.", "狗在跑在跑在跑在跑在跑。", "the translation repeats itself"),
    (
        "There is a dog on the left, a cat on the right, a bird above and a fish below the table in the room.",
        "左边有一只棕色狗，左边有一只棕色狗，左边有一只棕色狗。",
        "the translation repeats itself",
    ),
    ("Yes", "没有", "yes and no were lost in translation"),
    ("No.", "是的。", "yes and no were lost in translation"),
    ("No", "图中有", "yes and no were lost in translation"),
    ("Yes", "图中的猫", "yes and no were lost in translation"),
    ("Yes, there is a dog.", "没有，有一只狗。", "yes and no were lost in translation"),
    ("Yes, it is not red.", "不，它不是红色的。", "yes and no were lost in translation"),
    ("There is no dog on the sofa.", "沙发上有一只狗。", "yes and no were lost in translation"),
    ("There is a dog on the sofa.", "沙发上没有狗。", "yes and no were lost in translation"),
    ("The sky isn't blue.", "天空是蓝色的。", "yes and no were lost in translation"),
]


def test_good_translations_pass_both_ways_and_bad_ones_say_why():
    for english, chinese in GOOD:
        assert find_fault(english, "en", chinese, "zh") is None, english
        if "Jordan" not in english and "T-shirt" not in english and english[0].isupper():
            assert find_fault(chinese, "zh", english, "en") is None, chinese
    found = [(text, translation, find_fault(text, "en", translation, "zh")) for text, translation, _ in BAD]
    assert found == BAD


def test_chinese_left_in_english_is_seen():
    assert find_fault("考试接近了。", "zh", "The exam is近.", "en") == "the translation is in the wrong language"
    assert find_fault("没有", "zh", "Yes", "en") == "yes and no were lost in translation"
    assert (
        find_fault("房间里没有人。", "zh", "There are people in the room.", "en")
        == "yes and no were lost in translation"
    )


def test_nearly_all_real_translations_pass():
    """4,271 sentences with their translations, both ways; 83 more are placeholders that were never filled in."""
    hsk = pytest.importorskip("hsk_sentences_audio")
    pairs = [(row["chinese"], row["translation"]["en"]) for row in hsk.load_sentences()]
    pairs = [(zh, en) for zh, en in pairs if not en.lower().startswith(("placeholder", "ph"))]
    assert len(pairs) > 4000
    into_english = [find_fault(zh, "zh", en, "en") for zh, en in pairs]
    into_chinese = [find_fault(en, "en", zh, "zh") for zh, en in pairs]
    assert into_english.count(None) > 0.99 * len(pairs) and into_chinese.count(None) > 0.99 * len(pairs)
    # And a denial that belongs to another sentence does not.
    denials = [(zh, en) for zh, en in pairs if "没有" in zh and "有没有" not in zh]
    plain = [en for zh, en in pairs if not any(char in zh for char in "不没无未非别莫勿否难")][: len(denials)]
    assert sum(same_polarity(zh, "zh", en, "en") for (zh, _), en in zip(denials, plain)) <= 0.1 * len(denials)


def test_round_trip_scores():
    text = "A brown dog is lying on the red sofa."
    assert round_trip(text, text.upper()) == pytest.approx(100)
    near, far = (
        round_trip(text, "A brown dog lies on a red couch."),
        round_trip(text, "The stock market fell again today."),
    )
    assert near > 30 > 20 > far
    assert (
        round_trip("一只棕色的狗躺在沙发上。", "一只棕狗躺在沙发上。") > 40 > round_trip("一只棕色的狗。", "股市又跌了")
    )


def test_single_words_are_not_compared():
    assert not round_trip_tells("sofa", "en") and not round_trip_tells("沙发上的狗", "zh")
    assert round_trip_tells("a dog on a sofa", "en") and round_trip_tells("沙发上有一只狗", "zh")


def test_without_sacrebleu_it_says_what_to_install(monkeypatch):
    chrf.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ValueError, match=r"pip install sacrebleu, or set translation.min_round_trip = 0"):
        chrf()
