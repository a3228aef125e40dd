"""Questions about Chinese scenes are true: what is asked for in vain is not there, and what is right stands there."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from skymm.evaluation.kits.chinese_scenes import scenes as kit
from skymm.evaluation.kits.chinese_scenes.questions import (
    LETTERS,
    Picture,
    english_number,
    han_number,
    number_forms,
    price_forms,
    time_forms,
)
from skymm.evaluation.kits.chinese_scenes.words import words

WORDS = words()
THINGS, ZODIAC = WORDS["things"], WORDS["animals"]["zodiac"]
DISHES = [dish for menu in WORDS["menus"] for dish in menu["dishes"]]
GROUPS = [group for name in ("signs", "shops", "places") for group in WORDS[name].values()]
GROUPS += [menu["dishes"] for menu in WORDS["menus"]] + [tuple(one.values()) for one in WORDS["couplets"]]
GROUPS += [tuple(one["word"] for one in WORDS[name]) for name in ("festivals", "wishes")]


SEEDS = range(2)
questions = cache(kit.questions)


@pytest.fixture(scope="module")
def known() -> dict[str, Picture]:
    return kit.pictures()


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return kit.questions()


def yes_no(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["fields"]["form"] == "yes_no"]


# --- truth --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_options_are_four_different_ones(seed):
    for row in questions(seed):
        options = row["fields"].get("options")
        if options is not None:
            assert list(options) == list(LETTERS) == row["choices"] and len(set(options.values())) == 4
            assert all(f"\n{letter}. {option}" in row["text"] for letter, option in options.items())
            assert row["gold"] in LETTERS
        elif row["fields"]["form"] == "short":
            assert row["choices"] == [] and row["gold"] == row["fields"]["accepted"][0]
        else:
            assert row["choices"] == ["yes", "no"]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_asked_for_in_vain_is_not_there(seed):
    known = kit.pictures(seed)
    checked = Counter()
    for row in yes_no(questions(seed)):
        shown, quoted = known[row["picture"]].shown, re.search('[“"](.+)[”"]', row["text"])
        if row["fields"]["kind"] == "reading":
            assert (quoted[1] in shown) == (row["gold"] == "yes"), row["text"]
            if row["gold"] == "no":
                assert not any(quoted[1] in text for text in shown)
            checked["reading"] += 1
        elif row["fields"]["kind"] == "script":
            forms = {word.traditional: word.simplified for group in GROUPS for word in group}
            assert row["fields"]["script"] == "traditional"
            assert (forms[shown[0]] == quoted[1]) == (row["gold"] == "yes")
            checked["script"] += 1
        elif row["fields"]["kind"] == "presence" and row["fields"]["language"] == "zh":
            chars = known[row["picture"]].draw.args[0].chars
            asked = next(
                one for one in THINGS.values() if one.text[0] == re.fullmatch("图中有(.+)吗？.*", row["text"])[1]
            )
            assert (asked.char in chars) == (row["gold"] == "yes")
            if row["gold"] == "no":
                assert asked.kin not in {THINGS[char].kin for char in chars}, "nor is anything like it"
            checked["presence"] += 1
    assert min(checked.values()) >= 40 and len(checked) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_readings_and_translations_are_of_what_stands_there(seed):
    known = kit.pictures(seed)
    english = {
        word.written(script): word.english
        for group in GROUPS
        for word in group
        for script in ("simplified", "traditional")
    }
    for row in questions(seed):
        fields, shown = row["fields"], known[row["picture"]].shown
        if fields["kind"] == "reading" and fields["form"] == "short":
            assert any(form in shown for form in fields["accepted"])
        if fields["kind"] == "translation":
            there = {english[text] for text in shown if text in english}
            assert [letter for letter, option in fields["options"].items() if option in there] == [row["gold"]]
        if fields["kind"] == "script" and fields["form"] == "choice":
            pairs = [(w.simplified, w.traditional) for group in GROUPS for w in group]
            there = {a for pair in pairs if set(pair) & set(shown) for a in pair}
            assert [letter for letter, option in fields["options"].items() if option in there] == [row["gold"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_prices_are_those_on_the_menu(seed):
    known = kit.pictures(seed)
    for row in questions(seed):
        fields, text = row["fields"], row["text"]
        if fields["family"] != "menus" or fields["kind"] != "price":
            continue
        lines = known[row["picture"]].shown[1:]
        printed = dict(zip(lines[::2], (int(price.removesuffix("元")) for price in lines[1::2])))
        prices = {}
        for word in DISHES:
            if word.written(fields["script"]) in printed:
                prices[word.simplified] = prices[word.english] = printed[word.written(fields["script"])]
        assert len(prices) == 10 and len(set(prices.values())) == 5
        if fields["form"] == "choice":
            best = max if "最贵" in text or "dearest" in text else min
            offered = {letter: prices[option] for letter, option in fields["options"].items()}
            assert offered[row["gold"]] == best(offered.values())
            continue
        # The longest name that the question holds: 炒面 is part of no other dish, but it need not stay so.
        price = prices[max((name for name in prices if name in text), key=len)]
        if fields["form"] == "short":
            assert row["gold"] == f"{price}元" and str(price) in fields["accepted"]
        else:
            assert (int(re.search(r"\d+", text)[0]) == price) == (row["gold"] == "yes")


@pytest.mark.parametrize("seed", SEEDS)
def test_directions_are_those_of_the_arrows(seed):
    known = kit.pictures(seed)
    words = {"left": ("往左", "to the left"), "right": ("往右", "to the right"), "ahead": ("直行", "straight ahead")}
    first_form = {"left": "left", "right": "right", "ahead": "straight ahead"}
    for row in questions(seed):
        fields = row["fields"]
        if fields["family"] != "directions":
            continue
        index = int(fields["language"] == "en")
        drawn = dict(known[row["picture"]].draw.args[2])
        ways = {}
        for place in WORDS["places"]["places"]:
            if place.written(fields["script"]) in drawn:
                ways[(place.simplified, place.english)[index]] = drawn[place.written(fields["script"])]
        assert sorted(ways.values()) == ["ahead", "left", "right"]
        if fields["form"] == "choice":
            right = [
                letter
                for letter, place in fields["options"].items()
                if ways.get(place) and words[ways[place]][index] in row["text"]
            ]
            assert right == [row["gold"]]
            continue
        way = next(way for place, way in ways.items() if place in row["text"])
        if fields["form"] == "short":
            assert row["gold"] == first_form[way]
        else:
            assert (words[way][index] in row["text"]) == (row["gold"] == "yes")


def test_the_zodiac_goes_round(rows, known):
    assert all(animal in THINGS[char].text[0] for char, animal in zip(ZODIAC, "鼠牛虎兔龙蛇马羊猴鸡狗猪", strict=True))
    seen = 0
    for row in rows:
        picture = known[row["picture"]]
        if picture.subject.startswith("zodiac/") and row["fields"]["form"] == "choice":
            target = picture.subject.removeprefix("zodiac/")
            following = THINGS[(ZODIAC * 2)[ZODIAC.index(target) + 1]]
            said = row["fields"]["options"][row["gold"]]
            assert said == (following.text[row["fields"]["language"] == "en"])
            seen += 1
    assert seen == 24


def test_a_saying_has_one_gap_and_never_names_its_animal():
    for char, (chinese, english) in WORDS["sayings"].items():
        assert chinese.count("＿") == english.count("＿") == 1 and len(chinese) == 4
        assert THINGS[char].text[0] not in chinese and THINGS[char].text[1].split()[-1] not in english.lower().split()
    for group in WORDS["lore"]:
        for char, (chinese, english) in group.items():
            assert THINGS[char].text[0] not in chinese and THINGS[char].text[1] not in english.lower()
        assert len(group) >= 5


# --- words -------------------------------------------------------------------------------------------------------------


def test_both_scripts_say_the_same():
    """Character by character, and a traditional character stands for one simplified character only."""
    simplified: dict[str, str] = {}
    for group in GROUPS:
        for word in group:
            assert len(word.simplified) == len(word.traditional), word
            for old, new in zip(word.traditional, word.simplified):
                assert simplified.setdefault(old, new) == new, word
    changed = {old: new for old, new in simplified.items() if old != new}
    assert len(changed) > 100
    assert not set(changed) & set(changed.values()), "what is traditional in one word is not simplified in another"
    forms: dict[str, set[str]] = {}
    for old, new in simplified.items():
        forms.setdefault(new, set()).add(old)
    # To prosper and the hair on a head: two words that became one character.
    several = {new: "".join(sorted(found)) for new, found in forms.items() if len(found) > 1}
    assert several == {"发": "發髮"}


def test_words_of_a_group_are_told_apart():
    for group in GROUPS:
        for name in ("simplified", "traditional", "english"):
            values = [getattr(word, name) for word in group]
            assert len(set(values)) == len(values), values


# --- forms of short answers ------------------------------------------------------------------------------------------------


def test_numbers_in_words():
    chinese = {0: "零", 10: "十", 15: "十五", 48: "四十八", 105: "一百零五", 110: "一百一十", 339: "三百三十九"}
    assert {number: han_number(number) for number in chinese} == chinese
    english = {0: "zero", 13: "thirteen", 20: "twenty", 48: "forty-eight", 339: "three hundred and thirty-nine"}
    assert {number: english_number(number) for number in english} == english


def test_forms_name_their_value_and_no_other():
    assert {"28元", "28", "28 yuan", "二十八块", "28.00"} <= set(price_forms(28))
    assert {"302", "302室", "三零二", "三〇二", "room 302"} <= set(number_forms("302", "室"))
    assert {"20:00", "8pm", "晚上8点", "二十点"} <= set(time_forms(20, 0)) and "8点" not in time_forms(20, 0)
    assert {"9:30", "09:30", "九点半", "9:30am", "上午9点30分"} <= set(
        time_forms(9, 30)
    ) and "9:30pm" not in time_forms(9, 30)
    assert {"12:00pm", "12pm", "中午12点"} <= set(time_forms(12, 0)) and "0:00pm" not in time_forms(12, 0)
    for make in (lambda n: price_forms(n), lambda n: number_forms(str(n)), lambda n: time_forms(n // 60 % 24, n % 60)):
        forms = [set(make(number)) for number in range(370, 430, 10)]
        assert all(not one & other for one in forms for other in forms if one is not other)
