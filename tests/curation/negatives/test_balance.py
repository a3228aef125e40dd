"""Neither the words of a question nor earlier answers tell whether yes or no is right."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.curation.negatives.balance import Rules, Unless, balance

THINGS = [f"thing {number}" for number in range(12)]
LABELS = ("existence/random", "existence/popular")


def rules(**fields) -> Rules:
    return Rules({"existence": 6, "color": 2}, lambda label, key: key[:1], **fields)


def pictures(seed: int, count: int) -> list[dict]:
    """Some things are nearly everywhere, some nearly nowhere; of some pictures nothing is known to be absent."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        there = [one for number, one in enumerate(THINGS) if rng.random() < 0.95 / (1 + number)]
        missing = [one for one in THINGS if one not in there and rng.random() < 0.9]
        askable = {label: ([(one,) for one in there], [(one,) for one in missing]) for label in LABELS}
        colour = {one: rng.choice(["red", "blue"]) for one in there}
        others = [(one, {"red": "blue", "blue": "red"}[said]) for one, said in colour.items()]
        found.append({**askable, "color": (list(colour.items()), others)})
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6), st.integers(0, 60), st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), st.sampled_from([0, 0.4, 1])
)
def test_every_key_is_answered_both_ways_and_only_what_is_so(seed, count, negative, chinese):
    shown = pictures(seed, count)
    asked = balance(shown, [5] * count, rules(negative_share=negative, chinese_share=chinese), str(seed))
    told: Counter = Counter()
    for picture, questions in zip(shown, asked, strict=True):
        assert len(questions) <= 5
        topics = [one.key[0] for one in questions]
        assert len(set(topics)) == len(topics), "no thing twice in a conversation"
        for one in questions:
            assert one.key in picture[one.label][one.polarity == "negative"]
            told[one.label, one.key, one.language, one.polarity] += 1
    for label, key, language, _ in list(told):
        yes, no = (told[label, key, language, polarity] for polarity in ("positive", "negative"))
        assert abs(negative * yes - (1 - negative) * no) <= 1
    assert asked == balance(shown, [5] * count, rules(negative_share=negative, chinese_share=chinese), str(seed))
    total, zh = sum(told.values()), sum(number for (_, _, language, _), number in told.items() if language == "zh")
    assert abs(zh - chinese * total) <= 1 + len(told) * (negative != 0.5)


def test_whatever_was_answered_before_the_next_answer_is_a_coins():
    """Also after all that an earlier answer may have told: how many were yes, and which."""
    asked = balance(pictures(1, 4000), [8] * 4000, rules(), "coins")
    after: dict[str, Counter] = {}
    for questions in asked:
        before = ""
        for one in questions:
            after.setdefault(before, Counter())[one.polarity] += 1
            before += one.polarity[0]
    told = {before: said for before, said in after.items() if said.total() >= 100}
    assert len(told) > 8
    for before, said in told.items():
        error = (said["positive"] - said["negative"]) / said.total() ** 0.5
        assert abs(error) < 4, (before, said)


def test_most_of_what_can_be_asked_is_asked():
    """A picture with n things can be asked for 2 n at most on average, for then all its yeses are given."""
    shown = pictures(2, 1000)
    asked = balance(shown, [20] * 1000, rules(), "yield")
    assert sum(map(bool, asked)) > 0.95 * sum(bool(one["color"][0]) for one in shown)
    assert sum(map(len, asked)) > 0.6 * sum(2 * len(one["color"][0]) for one in shown)


def test_the_share_of_negatives_is_reached():
    shown = pictures(3, 800)
    for share in (0.25, 0.5, 0.75):
        asked = [one for those in balance(shown, [8] * 800, rules(negative_share=share), "s") for one in those]
        for label in (*LABELS, "color"):
            of_it = [one.polarity for one in asked if one.label == label]
            assert of_it.count("negative") / len(of_it) == pytest.approx(share, abs=0.01), (share, label)


def test_the_language_makes_up_for_what_other_answers_have():
    asked = balance(pictures(4, 500), [8] * 500, rules(chinese_share=0.5, answers=400, chinese=0), "zh")
    languages = Counter(one.language for those in asked for one in those)
    assert abs(languages["zh"] - languages["en"] - 400) <= 2


def test_things_that_all_could_be_asked_for_are_asked_equally_often():
    rng, shown = random.Random(5), []
    for _ in range(600):
        there = rng.sample(THINGS, 6)
        shown.append({"existence/random": ([(one,) for one in there], [(one,) for one in THINGS if one not in there])})
    asked = Counter(one.key for those in balance(shown, [4] * len(shown), rules(), "even") for one in those)
    assert asked.total() > 2000 and len(asked) == len(THINGS)
    assert max(asked.values()) - min(asked.values()) < 20, "by chance alone it would be 60"


def test_writing_that_could_be_read_there_is_not_denied():
    unless = Unless(["STOP"], ["a sign at the Cafe", "Bar"])
    for key, allowed in {
        "EXIT": True,
        "STOP": False,
        "top": False,
        "STOP HERE": False,
        "停": False,
        "cafe": False,
        "Bar 25": True,  # a caption is not all that is written there
    }.items():
        assert ((key,) in unless) == allowed == ((key,) in Unless(**unless.to_json())), key
