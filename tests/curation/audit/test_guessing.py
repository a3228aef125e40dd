"""A reader who never sees a picture gets right what the words give away, and no more."""

import random

import pytest

from skymm.curation.audit.guessing import MIN_QUESTIONS, Question, guess, guess_before

THINGS = [f"thing{letter}" for letter in "abcdefghij"]


def asked(count, says, question="Is there a {thing}?"):
    """`says(chance, thing)` -> the answer."""
    found = []
    for index in range(count):
        chance = random.Random(f"asked {index}")
        thing = chance.choice(THINGS)
        answer = says(chance, thing)
        said = answer if answer in ("yes", "no") else None
        found.append(Question(index % 2, question.format(thing=thing), answer, said))
    return found


def test_coins_cannot_be_guessed():
    found = guess("existence", "en", asked(2000, lambda chance, thing: chance.choice(["yes", "no"])))
    assert found.yes_no and found.count == 2000 and abs(found.guessed - 0.5) < 3 * found.error
    assert not found.tells and found.telling == ()


def test_words_that_give_the_answer_away_are_found_and_named():
    def says(chance, thing):
        return "yes" if thing == "thinga" else "no" if thing == "thingb" else chance.choice(["yes", "no"])

    found = guess("existence", "en", asked(2000, says))
    assert 0.55 < found.guessed < 0.68 and found.gain > 0.05
    assert {(one.word, one.yes_share) for one in found.telling} == {("thinga", 1.0), ("thingb", 0.0)}
    certain = guess("existence", "en", asked(200, lambda chance, thing: "yes" if thing < "thingf" else "no"))
    assert certain.guessed == 1.0 and certain.tells


def test_a_pair_of_words_can_tell_what_none_of_them_does():
    questions = []
    for index in range(400):
        first, second = (index // 2) % 2, (index // 4) % 2
        text = f"Is the {('red', 'blue')[first]} {('cat', 'dog')[second]} here?"
        questions.append(Question(index % 2, text, "", ("yes", "no")[first ^ second]))
    assert guess("color", "en", questions).guessed == 1.0


def test_half_learns_what_the_other_half_is_asked():
    """An answer that is right by heart only: the words of each half are its own."""
    questions = [
        Question(index % 2, f"Is there a thing{index}?", "", random.Random(index).choice(["yes", "no"]))
        for index in range(1000)
    ]
    assert guess("existence", "en", questions).guessed < 0.55


def test_open_questions_repeat_what_the_same_question_had():
    found = guess("name", "en", asked(300, lambda chance, thing: thing.upper(), "What is the {thing}?"))
    assert not found.yes_no and found.guessed == 1.0 and found.answer_share < 0.2
    alike = guess("name", "en", asked(300, lambda chance, thing: chance.choice(THINGS), "What is it?"))
    assert alike.guessed < 0.2


def test_too_few_say_nothing():
    few = asked(MIN_QUESTIONS - 1, lambda chance, thing: "yes")
    assert guess("existence", "en", few) is None and guess_before("", "", {}) is None
    one_half = [Question(0, "?", "yes", "yes")] * 100
    assert guess("existence", "en", one_half) is None


def test_what_was_said_before():
    turns = {(half, "yes", 1, "no"): 50 for half in (0, 1)} | {(half, "", 0, "yes"): 50 for half in (0, 1)}
    found = guess_before("existence", "en", turns)
    assert found.guessed == 1.0 and found.answer_share == 0.5 and found.count == 200
    coins = {(half, last, 0, said): 25 for half in (0, 1) for last in ("yes", "no") for said in ("yes", "no")}
    assert guess_before("existence", "en", coins).guessed == pytest.approx(0.5)


def test_a_context_that_was_never_met_gets_the_most_frequent_answer():
    turns = {(half, "", half, said): count for half in (0, 1) for said, count in (("yes", 60), ("no", 40))}
    assert guess_before("existence", "en", turns).guessed == 0.6
