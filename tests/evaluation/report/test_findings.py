"""The words on top follow the numbers."""

from __future__ import annotations

from made_up import ask, benchmark, pairs, reply, run

from skymm.evaluation.report.findings import comparison, level_of, verdict
from skymm.evaluation.report.measure import Gain, measure
from skymm.page.document import read_words

ENGLISH = read_words("skymm.evaluation.report", "words", "en")


def says(share_yes, share_no, unknown=0):
    """Yes to so many of 100 questions where yes is right and of 100 where no is; the first `unknown` pairs say nothing."""

    def response(question):
        _, index, number = question.id.split("/")
        if int(index) < unknown:
            return "Hm"
        return "Yes" if int(index) < (share_yes if number == "1" else share_no) else "No"

    return pairs(100, response)


def test_the_level_follows_the_difference_and_its_interval():
    for answers, level in (
        (says(95, 5), "level_sees"),
        (says(75, 25), "level_sees"),
        (says(70, 40), "level_partly"),
        (says(100, 88), "level_barely"),
        (says(100, 100), "level_talks"),
        (says(51, 50), "level_talks"),
        (says(10, 90), "level_against"),
        (says(100, 51, unknown=51), "level_mute"),
        (says(100, 0)[:1], "level_none"),
    ):
        assert level_of(measure(run(answers), "a")) == level


def sentences(answers, of=None, **options):
    return verdict(measure(run(answers, of), "a"), ENGLISH, **options).text


def test_leaning_needs_more_than_chance_and_more_than_a_trifle():
    assert "it leans to yes" in sentences(says(100, 40))
    assert "It answers yes 30% of the time where 50% is right: it leans to no." in sentences(says(60, 0))
    assert "leans" not in sentences(says(100, 4)), "52 of 100 is a trifle, however sure"
    assert "leans" not in sentences(pairs(4, lambda question: "Yes" if question.id[-3] != "0" else question.gold)[:4])
    mute = says(100, 40, unknown=40)
    assert "leans" not in sentences(mute), "few yes, but not many no either"
    assert "40% of its answers say nothing readable." in sentences(mute)


def test_sure_answers_are_counted_where_there_are_enough():
    sure = [reply(ask(str(index), "yes" if index % 4 else "no"), "Yes", 0.95) for index in range(40)]
    assert "Where it is at least 90% sure, 75% of 40 answers are right." in sentences(sure)
    assert "sure" not in sentences(sure[:19])


def test_gains_are_told_of_the_right_model_and_benchmark():
    gains = [Gain("looking", "model", 10, 0, 50, 40, 45), Gain("other", "model", 1, 0, 2, 1, 1)]
    assert sentences(says(90, 10), gains=gains).count("Without the picture it scores") == 1
    assert "Without the picture it scores 40.0, with it 50.0." in sentences(says(90, 10), gains=gains)


def test_comparisons_name_the_higher_one_first():
    high, low, near = (
        measure(run(answers), label)
        for answers, label in ((says(90, 10), "h"), (says(60, 40), "l"), (says(91, 10), "n"))
    )
    told = comparison(low, high, ENGLISH)
    assert told.startswith("Looking, accuracy: h is 30.0 points above l [") and told == comparison(high, low, ENGLISH)
    assert comparison(high, near, ENGLISH).startswith(
        "Looking, accuracy: n and h cannot be told apart (0.5 points [0.0,"
    )
    assert comparison(high, measure(run(says(90, 10)[:4]), "x"), ENGLISH) is None


def test_a_benchmark_of_captions_has_its_main_number_only():
    of = benchmark("captions", strict=lambda answer: None, right=lambda answer: None)
    found = verdict(measure(run([reply(ask("1", "", choices=()), "A dog.")] * 2, of), "a"), ENGLISH)
    assert (found.title, found.level, found.text) == ("Captions", "", "accuracy: 0.0%.")
