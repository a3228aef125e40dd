"""Instructions about what is there and what is not: true, in twins, in right English and Chinese."""

import random
import re
import subprocess
import sys
from functools import cache, lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_records import STATISTICS, coco, record, records
from naive_lexicon import line, rows, says

from skymm.conversation import Turn
from skymm.curation.facts.describing import COLOURS, NUMBERS
from skymm.curation.facts.known import know
from skymm.curation.facts.lexicon import load
from skymm.curation.negatives.pairs import pairs
from skymm.curation.negatives.questions import thing_fields, yes_no_pair
from skymm.curation.negatives.templates import QUESTIONS
from skymm.curation.negatives.wording import noun, plural, some, zh_counted
from skymm.curation.record import Caption, Facts, Picture, Record, Thing
from skymm.evaluation.reading.verdict import yes_no
from skymm.recipe.data import NegativesRecipe

RECIPE = NegativesRecipe(pairs_per_sample=8)
EVERY = settings(max_examples=50, deadline=None, derandomize=True)
languages = st.sampled_from(["en", "zh"])
MEASURES = "".join(sorted({word.measure for word in load().words.values()}))


def made(one: Record, language: str, seed: int = 0, recipe: NegativesRecipe = RECIPE):
    return pairs(random.Random(seed), one, recipe, STATISTICS, language)


def many(one: Record, kind: str, language: str = "en", seeds: int = 60):
    recipe = NegativesRecipe(kinds={kind: 4}, pairs_per_sample=4)
    return [pair for seed in range(seeds) for pair in made(one, language, seed, recipe)]


@lru_cache(maxsize=2)
def names_of(language: str) -> tuple[tuple[str, str], ...]:
    """(how it is said, word), the longest first."""
    found = {}
    for word in load().words.values():
        for name in {noun(word), noun(word, True), plural(word)} if language == "en" else {word.zh}:
            found.setdefault(name, word.en)
    return tuple(sorted(found.items(), key=lambda item: (-len(item[0]), item[0])))


@cache
def asked_thing(question: str, language: str) -> str:
    """The lexicon's word in a question about existence or with a false premise: the longest of its names in it."""
    plain = question.replace("in the picture", "in it")
    plain = re.sub("图里|图中|图上|图片|画面|照片", "", plain)
    for name, word in names_of(language):
        if name in plain and (
            language == "zh" or re.search(rf"(?:\ban? |\bany |\bthe |many |'s ){re.escape(name)}\b", plain)
        ):
            return word
    raise AssertionError(question)


@EVERY
@given(records(), languages, st.integers(0, 10**6))
def test_what_is_asked_as_absent_is_named_nowhere(one, language, seed):
    texts = [caption.text for caption in one.captions] + [turn.text for turn in one.turns]
    there = [thing.name for thing in one.facts.things]
    for pair in made(one, language, seed):
        if not pair.kind.startswith(("existence", "false_premise")):
            continue
        absent = asked_thing(pair.negative[0].text, language)
        for name in line(absent):
            assert not any(says(text, name) for text in texts), (pair.negative[0].text, name, texts)
            assert name not in there, (pair.negative[0].text, there)
        if one.facts.complete is None and "worn" not in pair.kind:
            for owner in rows()[absent]["belongs"]:
                assert not any(says(text, owner) for text in texts), (absent, owner, texts)


@EVERY
@given(records(), languages, st.integers(0, 10**6))
def test_twins_are_of_one_kind_and_language_and_read_as_yes_and_no(one, language, seed):
    found = made(one, language, seed)
    assert len(found) <= RECIPE.pairs_per_sample
    for pair in found:
        for polarity, (question, answer) in (("positive", pair.positive), ("negative", pair.negative)):
            assert (question.role, answer.role) == ("user", "assistant")
            assert (answer.polarity, answer.kind, answer.language) == (polarity, pair.kind, language)
            if pair.kind != "false_premise":
                assert yes_no(answer.text) == {"positive": "yes", "negative": "no"}[polarity], answer.text
        assert pair.positive[0].text != pair.negative[0].text
        for turn in pair.turns:
            assert_grammar(turn.text, language)


def assert_grammar(text: str, language: str) -> None:
    assert "{" not in text and "  " not in text and text[-1] in ".?？。"
    unquoted = re.sub(r"[\"“][^\"”]*[\"”]", "", text)
    if language == "en":
        assert text[0].isupper()
        for said, word in re.findall(r"\b(an?) (\w+)", unquoted, re.I):
            assert (said.lower() == "an") == (word[0].lower() in "aeiou"), text
        for number, rest in re.findall(r"\b(one|two|three|four|five|six|seven|eight|nine|ten) ([^.,?;]*)", unquoted):
            words = rest.split()
            said = next(
                (counted_names()[n] for size in (3, 2, 1) if (n := " ".join(words[:size])) in counted_names()), None
            )
            assert said is None or said == (number == "one"), text
        assert not re.search(r"\b(?:is they|are it|are an?\b|Is any \w+s\b(?<!ss)|Are an? )", unquoted), text
    else:
        assert not re.search("[A-Za-z,?!]", re.sub("T恤", "", unquoted)), text
        assert not re.search(f"二[{MEASURES}]", unquoted), text
        for after in re.findall("两(.)", unquoted):
            assert after in MEASURES, text


@lru_cache(maxsize=1)
def counted_names() -> dict[str, bool]:
    """Name -> whether it is a singular; without those that are the same in the plural."""
    words = [word for word in load().words.values() if word.form == "count" and noun(word) != plural(word)]
    return {noun(word): True for word in words} | {plural(word): False for word in words}


@EVERY
@given(records(), languages, st.integers(0, 10**6))
def test_the_same_seed_gives_the_same(one, language, seed):
    found = made(one, language, seed)
    for other in range(2):
        random.seed(other)  # the program's own dice play no part
        assert found == made(one, language, seed)


def test_the_order_of_sets_plays_no_part():
    code = """import random
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.negatives.pairs import pairs
from skymm.curation.record import Caption, Facts, Picture, Record, Thing
from skymm.recipe.data import NegativesRecipe
captions = (Caption("Two brown dogs near a tree.", "en"), Caption("桌子上有一只猫", "zh"))
one = Record("one", {"jpg": Picture(data=b"a")}, captions)
counted = Statistics()
counted.add(Facts((Thing("dog"), Thing("bus"), Thing("kite"), Thing("pizza"))))
result = [turn.text for seed in range(20) for language in ("en", "zh")
          for pair in pairs(random.Random(seed), one, NegativesRecipe(), counted, language) for turn in pair.turns]
"""
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}print(result)"], capture_output=True, check=True, text=True, encoding="utf-8",
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"},
    ).stdout  # fmt: skip
    here: dict = {}
    exec(code, here)
    assert len(here["result"]) > 100 and printed.strip() == str(here["result"])


@EVERY
@given(records(), languages, st.integers(0, 10**6))
def test_positives_are_true_by_the_facts(one, language, seed):
    known = know(one)
    there = {seen.word.en: seen for seen in known.seen}
    for pair in made(one, language, seed):
        question = pair.positive[0].text
        if pair.kind.startswith("existence"):
            assert asked_thing(question, language) in there
        elif pair.kind == "count":
            index = 0 if language == "en" else 1
            said = {number for number, words in NUMBERS.items() if any_number(question, words[index], language)}
            assert said & {seen.count for seen in there.values()}, question
            wrong = {
                number for number, words in NUMBERS.items() if any_number(pair.negative[0].text, words[index], language)
            }
            assert said != wrong


def any_number(text: str, word: str, language: str) -> bool:
    return bool(re.search(rf"\b{word}\b" if language == "en" else rf"{word}[{MEASURES}]", text))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_thing_can_be_asked_for_and_denied_in_right_sentences(language):
    for word in load().words.values():
        if not word.askable:
            continue
        for several in (False, True):
            fields = thing_fields(word, several, language)
            fields["some"] = some(word, several) if language == "en" else zh_counted(word)
            right = wrong = fields | {"seen": "a cat", "seen_there": "图里有一只猫"}
            if language == "zh":
                wrong = wrong | {"seen": "一只猫"}
            for explained in (False, True):
                for seed in range(3):
                    pair = yes_no_pair(random.Random(seed), "existence", language, explained, right, wrong)
                    assert (yes_no(pair.positive[1].text), yes_no(pair.negative[1].text)) == ("yes", "no"), pair
                    for turn in pair.turns:
                        assert_grammar(turn.text, language)


def test_some_sentences_are_as_people_say_them():
    umbrella, scissors, rice = (load().words[name] for name in ("umbrella", "scissors", "rice"))
    person, mouse, knife = (load().words[name] for name in ("person", "mouse", "knife"))
    assert [some(umbrella), some(scissors), some(rice)] == ["an umbrella", "some scissors", "some rice"]
    assert [plural(person), plural(mouse), plural(knife)] == ["people", "computer mice", "knives"]
    assert zh_counted(load().words["dog"], 2) == "两只狗" and zh_counted(load().words["bus"]) == "一辆公交车"


# --- strict rules -----------------------------------------------------------------------------------------------------


def test_without_a_complete_list_nothing_that_goes_without_saying_is_denied():
    asked = {asked_thing(pair.negative[0].text, "en") for pair in many(record("A cat in a kitchen."), "existence")}
    assert asked and not asked & {"oven", "refrigerator", "sink", "person", "table", "window", "fork", "toaster"}


def test_with_one_only_its_words_are_asked_and_a_kitchen_may_lack_an_oven():
    one = record("A cat in a kitchen.", facts=coco(Thing("cat", 1)))
    asked = {asked_thing(pair.negative[0].text, "en") for pair in many(one, "existence", seeds=800)}
    assert {"oven", "refrigerator"} <= asked and asked <= {
        word.en for word in load().words.values() if "coco80" in word.flags
    }


def test_a_mention_in_a_conversation_or_the_other_language_forbids_to_deny():
    turns = (Turn("user", "Is there a giraffe?"), Turn("assistant", "No, but a 火车 passes."))
    one = record("A cat on a sofa.", turns=turns)
    asked = {asked_thing(pair.negative[0].text, "zh") for pair in many(one, "existence", "zh", 200)}
    assert asked and not asked & {"giraffe", "train", "tram"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_wrong_colors_are_not_confusable(language):
    one = record("A gray bus on a street.", "A silver vehicle.")
    asked = " ".join(pair.negative[0].text for pair in many(one, "color", language))
    assert asked
    for name in ("gray", "silver", "white", "black", "blue", "brown"):
        assert not re.search(rf"\b{name}\b" if language == "en" else COLOURS[name].zh_noun, asked)


@pytest.mark.parametrize(
    "captions",
    [
        ("A red bus and a blue bus.",),
        ("A red bus.", "A blue bus."),
        ("一辆红色的公交车和一辆蓝色的公交车",),
        ("A red bus next to several buses.",),
        ("A black and white photo of a red bus.",),
        ("A black man.",),
        ("A bus.",),
        ("No red bus.",),
    ],
)
def test_what_has_no_one_color_is_not_asked_for_it(captions):
    assert not many(record(*captions), "color")


def test_one_thing_of_two_colors_is_asked_for_both_or_for_none_of_them():
    found = many(record("A brown and white dog."), "color")
    assert found
    for pair in found:
        assert "brown and white" in pair.positive[0].text
        assert not re.search("brown|white|orange", pair.negative[0].text)


@pytest.mark.parametrize(
    ("captions", "facts"),
    [
        (("Two dogs.", "Three dogs."), Facts()),
        (("At least two dogs.",), Facts()),
        (("Two dogs and another dog.",), Facts()),
        (("Two people.", "A child and two people."), Facts()),
        (("Two men.",), Facts()),
        (("两三只狗",), Facts()),
        (("A dog.",), Facts()),
        (("Several dogs.",), Facts((Thing("dog", 1),))),
    ],
)
def test_numbers_that_are_not_exact_are_not_asked(captions, facts):
    assert not many(record(*captions, facts=facts), "count")


@pytest.mark.parametrize(
    "captions",
    [
        ("A dog next to a cat.",),
        ("A dog on a table.", "A dog under a table."),
        ("A dog on the grass.",),
        ("A cat in a room.",),
        ("两只猫在桌子上", "一只猫在桌子下面"),
        ("A cat behind a chair.", "A chair behind a cat."),
    ],
)
def test_places_that_are_not_certain_are_not_asked(captions):
    assert_no_place(record(*captions))


def assert_no_place(one: Record) -> None:
    assert not [pair for language in ("en", "zh") for pair in many(one, "position", language)]


def test_places_are_turned_round():
    pair = many(record("一辆摩托车停在一辆货车的左边"), "position", "zh")[0]
    assert "左边" in pair.positive[0].text and "右边" in pair.negative[0].text


def test_wrong_writing_is_nothing_that_is_known_to_be_read():
    one = record('A sign that says "STOP" near a TAXI.', facts=Facts((Thing("sign"),), (), ("STOP", "Route 42")))
    asked = {re.search('"([^"]*)"', pair.negative[0].text)[1] for pair in many(one, "OCR", seeds=200)}
    assert len(asked) > 3 and not asked & {"STOP", "TAXI", "Route 42", "SHOP"}
    assert any(re.fullmatch(r"Route \d\d", text) for text in asked)


def test_nothing_is_asked_where_nothing_is_known_or_the_picture_is_not_one():
    assert not made(record(), "en")
    assert not made(record("What a lovely day!"), "en")
    told = record("A dog on a couch.")
    assert not made(Record("two", {"0.jpg": Picture(data=b"a"), "1.jpg": Picture(data=b"b")}, told.captions), "en")
    assert not made(Record("none", {}, told.captions), "en")


def test_the_recipe_says_which_kinds_and_how_many():
    one = record("Two brown dogs on a couch.")
    assert {pair.kind for pair in many(one, "count")} == {"count"}
    assert len(made(one, "en", recipe=NegativesRecipe(pairs_per_sample=1))) == 1
    short = NegativesRecipe(explained_share=0.0, kinds={"existence": 3})
    long = NegativesRecipe(explained_share=1.0, kinds={"existence": 3})
    assert all(answer.text in ("Yes.", "No.") for pair in made(one, "en", recipe=short) for answer in pair.turns[1::2])
    assert not any(
        answer.text in ("Yes.", "No.") for pair in made(one, "en", recipe=long) for answer in pair.turns[1::2]
    )


def test_strategies_follow_the_statistics():
    recipe = NegativesRecipe(kinds={"existence": 1}, strategies=["popular"])
    one = record(facts=coco(Thing("cup", 1)))
    found = {pair.kind for seed in range(20) for pair in made(one, "en", seed, recipe)}
    asked = {asked_thing(pair.negative[0].text, "en") for seed in range(50) for pair in made(one, "en", seed, recipe)}
    best = STATISTICS.popular(word.en for word in know(one).absent)[:5]
    assert found == {"existence/popular"} and asked == set(best)


def test_there_are_several_phrases_for_everything():
    assert all(len(templates) >= 3 for kinds in QUESTIONS.values() for templates in kinds.values())


def test_nothing_is_told_twice_in_one_conversation():
    """What the first answer says, the second question would only ask to be repeated."""
    one = Record("a", {"jpg": Picture(data=b"x")}, (Caption("a dog and a cat on the grass", "en"),))
    recipe = NegativesRecipe(kinds={"existence": 12}, pairs_per_sample=12)
    for seed in range(30):
        found = made(one, "en", seed, recipe)
        questions = [question.text for pair in found for question in (pair.positive[0], pair.negative[0])]
        assert 1 <= len(found) <= 3 and len(set(questions)) == len(questions)
        for word in ("dog", "cat", "grass"):
            assert sum(word in pair.positive[0].text for pair in found) <= 1
