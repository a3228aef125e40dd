"""Instructions about what is there and what is not: true, in twins, in right English and Chinese."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_records import STATISTICS, coco, record, records
from naive_lexicon import line, rows, says

from skymm.conversation import Turn
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.negatives.balance import Asked, Unless, kind_of
from skymm.curation.negatives.kinds import KINDS, askable, exchange
from skymm.curation.negatives.wording import counted, noun, plural, some
from skymm.curation.record import Facts, Picture, Record, Thing
from skymm.lexicon import NUMBERS, load
from skymm.recipe import parse
from skymm.recipe.data import NegativesRecipe, question_kinds
from skymm.verdict import yes_no

RECIPE = NegativesRecipe()
EVERY = settings(max_examples=50, deadline=None, derandomize=True)
languages = st.sampled_from(["en", "zh"])
MEASURES = "".join(sorted({word.measure for word in load().words.values()}))


@dataclass(frozen=True)
class Said:
    """A question that may be asked, in words."""

    asked: Asked
    question: Turn
    answer: Turn

    @property
    def kind(self) -> str:
        return kind_of(self.asked.label)


def may_be_asked(one: Record, *kinds: str, language: str = "en", seed: int = 0, **options) -> list[Said]:
    """Everything, with answer yes and with answer no. Of writing, what is there and some that is not."""
    recipe = NegativesRecipe(kinds=dict.fromkeys(kinds, 1)) if kinds else RECIPE
    known, found = facts_about(one), []
    for label, (yes, no) in askable(one, recipe, STATISTICS).items():
        wrong = [key for key in (("EXIT",), ("Route 43",)) if key in no] if isinstance(no, Unless) else no
        for polarity, keys in (("positive", yes), ("negative", wrong)):
            for number, key in enumerate(keys):
                asked = Asked(label, key, polarity, language, 1000 * seed + number)
                found.append(Said(asked, *exchange(asked, known, **{"last": True, "explained_share": 0.5, **options})))
    return found


def absent(one: Record, kind: str = "existence") -> set[str]:
    found = [said.asked for said in may_be_asked(one, kind) if said.asked.polarity == "negative"]
    return {asked.key[1 if kind == "false_premise" else 0] for asked in found}


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
    for said in may_be_asked(one, "existence", "false_premise", language=language, seed=seed):
        name = said.asked.key[said.kind == "false_premise"]
        assert asked_thing(said.question.text, language) == name
        if said.asked.polarity == "positive":
            continue
        for other in line(name):
            assert not any(says(text, other) for text in texts), (said.question.text, other, texts)
            assert other not in there, (said.question.text, there)
        if one.facts.complete is None:
            for owner in rows()[name]["belongs"]:
                assert not any(says(text, owner) for text in texts), (name, owner, texts)


@EVERY
@given(records(), languages, st.integers(0, 10**6), st.booleans())
def test_questions_are_right_sentences_and_answers_read_as_they_are_meant(one, language, seed, last):
    there = {seen.word.en: seen for seen in facts_about(one).present}
    for said in may_be_asked(one, language=language, seed=seed, last=last):
        answer, polarity = said.answer, said.asked.polarity
        assert (said.question.role, answer.role) == ("user", "assistant")
        assert (answer.polarity, answer.kind, answer.language) == (polarity, said.asked.label, language)
        if said.kind != "false_premise":
            assert yes_no(answer.text) == {"positive": "yes", "negative": "no"}[polarity], answer.text
        for turn in (said.question, answer):
            assert_grammar(turn.text, language)
        if said.kind == "count":
            assert (there[said.asked.key[0]].count == int(said.asked.key[1])) == (polarity == "positive")
            assert any_number(said.question.text, NUMBERS[int(said.asked.key[1])][language == "zh"], language)


@EVERY
@given(records(), records(), languages, st.integers(0, 10**6))
def test_twins_have_the_same_words_and_are_explained_alike(one, other, language, seed):
    """What is asked with yes at one picture is asked with no at another, word for word."""
    mine = {(said.asked.label, said.asked.key): said for said in may_be_asked(one, language=language)}
    known = facts_about(one), facts_about(other)
    for said in may_be_asked(other, language=language):
        twin = mine.get((said.asked.label, said.asked.key))
        if twin is None or twin.asked.polarity == said.asked.polarity:
            continue
        both = [
            exchange(replace(which.asked, seed=seed), knows, False, 0.5)
            for which, knows in zip((twin, said), known, strict=True)
        ]
        assert both[0][0] == both[1][0]
        short = [len(answer.text) <= 4 for _, answer in both]
        assert short[0] == short[1], both


def test_a_man_is_not_told_of_as_a_person_beside_him():
    one = record("A man on a bench.", facts=coco(Thing("person", 1), Thing("bench", 1)))
    answers = [said.answer.text for said in may_be_asked(one, "existence", explained_share=1.0)]
    told = [text for text in answers if re.search(r"\bman\b", text) and not text.startswith("Yes")]
    assert told and not any("person" in text for text in told)


def test_only_the_last_answer_tells_what_else_is_there():
    """Before that it would tell what is asked next: neither it nor its being left out may."""
    one = record("A dog and a cat on the grass.")
    for last in (True, False):
        told = " ".join(
            said.answer.text for said in may_be_asked(one, "existence", last=last) if said.asked.polarity == "negative"
        )
        assert bool(re.search("dog|cat", told)) == last


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


def any_number(text: str, word: str, language: str) -> bool:
    return bool(re.search(rf"\b{word}\b" if language == "en" else rf"{word}[{MEASURES}]", text))


def test_every_thing_can_be_asked_for_and_denied_in_right_sentences():
    cat = facts_about(record(facts=Facts((Thing("cat", 1),))))
    for word in load().words.values():
        if not word.askable:
            continue
        for count in (None, 1, 3):
            known = facts_about(record(facts=Facts((Thing(word.en, count),))))
            for seed, language in product(range(4), ("en", "zh")):
                for polarity, knows in (("positive", known), ("negative", cat)):
                    if polarity == "negative" and word.en == "cat":
                        continue
                    asked = Asked("existence/random", (word.en,), polarity, language, seed)
                    question, answer = exchange(asked, knows, True, seed % 2)
                    assert yes_no(answer.text) == {"positive": "yes", "negative": "no"}[polarity], answer
                    assert_grammar(question.text, language)
                    assert_grammar(answer.text, language)


def test_some_sentences_are_as_people_say_them():
    umbrella, scissors, rice = (load().words[name] for name in ("umbrella", "scissors", "rice"))
    person, mouse, knife = (load().words[name] for name in ("person", "mouse", "knife"))
    assert [some(umbrella), some(scissors), some(rice)] == ["an umbrella", "some scissors", "some rice"]
    assert [plural(person), plural(mouse), plural(knife)] == ["people", "computer mice", "knives"]
    assert counted(load().words["dog"], 2, "zh") == "两只狗" and counted(load().words["bus"], 1, "zh") == "一辆公交车"


# --- strict rules -----------------------------------------------------------------------------------------------------


def test_without_a_complete_list_nothing_that_goes_without_saying_is_denied():
    asked = absent(record("A cat in a kitchen."))
    assert asked and not asked & {"oven", "refrigerator", "sink", "person", "table", "window", "fork", "toaster"}


def test_with_one_only_its_words_are_asked_and_a_kitchen_may_lack_an_oven():
    for listed in (coco(Thing("cat", 1)), Facts((Thing("cat"),), absent=("oven", "bus", "kitten"))):
        words = {word.en for word in facts_about(record("A cat in a kitchen.", facts=listed)).absent}
        assert "oven" in words and words <= {word.en for word in load().words.values() if "coco80" in word.flags}
        assert words == {"oven", "bus"} or listed.complete


def test_boxes_of_which_nobody_knows_what_was_looked_for_deny_nothing():
    assert not absent(record(facts=Facts((Thing("cat"),), absent=())))


def test_a_mention_in_a_conversation_or_the_other_language_forbids_to_deny():
    turns = (Turn("user", "Is there a giraffe?"), Turn("assistant", "No, but a 火车 passes."))
    asked = absent(record("A cat on a sofa.", turns=turns))
    assert asked and not asked & {"giraffe", "train", "tram"}


def test_wrong_colors_are_not_confusable():
    asked = [said.asked for said in may_be_asked(record("A gray bus on a street.", "A silver vehicle."), "color")]
    wrong = {one.key[1] for one in asked if one.polarity == "negative"}
    assert wrong and not wrong & {"gray", "silver", "white", "black", "blue", "brown"}


def test_what_is_not_certain_is_not_asked():
    listed = coco(Thing("bus", 11))
    for kind, *captions, facts in [
        ("color", "A red bus and a blue bus.", Facts()),
        ("color", "A red bus.", "A blue bus.", Facts()),
        ("color", "一辆红色的公交车和一辆蓝色的公交车", Facts()),
        ("color", "A red bus next to several buses.", Facts()),
        ("color", "A black and white photo of a red bus.", Facts()),
        ("color", "A black man.", Facts()),
        ("color", "A bus.", Facts()),
        ("color", "No red bus.", Facts()),
        ("count", "Two dogs.", "Three dogs.", Facts()),
        ("count", "At least two dogs.", Facts()),
        ("count", "Two dogs and another dog.", Facts()),
        ("count", "Two people.", "A child and two people.", Facts()),
        ("count", "Two men.", Facts()),
        ("count", "两三只狗", Facts()),
        ("count", "A dog.", Facts()),
        ("count", "Several dogs.", Facts((Thing("dog", 1),))),
        ("count", "Buses.", listed),  # nobody counts them
        ("position", "A dog next to a cat.", Facts()),
        ("position", "A dog on a table.", "A dog under a table.", Facts()),
        ("position", "A dog on the grass.", Facts()),
        ("position", "A cat in a room.", Facts()),
        ("position", "两只猫在桌子上", "一只猫在桌子下面", Facts()),
        ("position", "A cat behind a chair.", "A chair behind a cat.", Facts()),
        ("attribute", "An old car.", Facts()),  # a thing has no age
        ("attribute", "A wooden table made of plastic.", Facts()),
    ]:
        assert not may_be_asked(record(*captions, facts=facts), kind), captions
    assert may_be_asked(record(facts=coco(Thing("bus", 10))), "count")


def test_places_are_turned_round():
    one = record("一辆摩托车停在一辆货车的左边")
    right, wrong = (said.question.text for said in may_be_asked(one, "position", language="zh"))
    assert "左边" in right and "右边" in wrong


def test_a_question_speaks_of_one_or_of_several_as_both_its_twins_are():
    """ "Are the dogs brown?" beside one dog would give itself away."""
    keys = [
        {said.asked.key for said in may_be_asked(record(text), "color")} for text in ("A brown dog.", "Two brown dogs.")
    ]
    assert all(keys) and not keys[0] & keys[1]


def test_nothing_is_asked_where_nothing_is_known_or_the_picture_is_not_one():
    assert not may_be_asked(record())
    assert not may_be_asked(record("What a lovely day!"))
    told = record("A dog on a couch.")
    assert not may_be_asked(Record("two", {"0.jpg": Picture(data=b"a"), "1.jpg": Picture(data=b"b")}, told.captions))
    assert not may_be_asked(Record("none", {}, told.captions))


def test_the_recipe_says_how_many_are_explained():
    for share, short in ((0.0, True), (1.0, False)):
        told = may_be_asked(record("Two brown dogs on a couch."), "existence", "color", "count", explained_share=share)
        assert told and all((said.answer.text in ("Yes.", "No.")) == short for said in told)


def test_strategies_follow_the_statistics():
    one = record(facts=coco(Thing("cup", 1)))
    labels = askable(one, NegativesRecipe(kinds={"existence": 1}, strategies=["popular"]), STATISTICS)
    best = STATISTICS.popular(word.en for word in facts_about(one).absent)
    assert list(labels) == ["existence/popular"] and [name for (name,) in labels["existence/popular"][1]] == best[:10]


def test_a_kind_is_a_class_and_a_table_of_sentences_and_what_a_recipe_may_name():
    assert list(KINDS) == list(question_kinds()) == list(RECIPE.kinds)
    with pytest.raises(ValueError, match=r"input should be 'existence', .* or '"):
        parse({"kinds": {"colour": 1}}, NegativesRecipe)
    for kind in KINDS.values():
        for language in ("en", "zh"):
            for form in ("color", "count", "position"):
                told = kind.sentences((form,), language)
                open_ = kind.name == "false_premise"
                assert len(told["questions"]) >= 3 - open_ and told["yes"] and told["no"], kind.name
                assert {len(one) for one in told["questions"]} == {1 if open_ else 3}, "a question, yes and no"
