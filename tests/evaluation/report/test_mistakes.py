"""Which mistakes stand on the page, and their pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import pytest
from made_up import ask, benchmark, reply, run
from PIL import Image

from skymm.evaluation.report.measure import measure
from skymm.evaluation.report.sections import MAX_CARDS, confidence_of, in_turn, mistakes, thumbnail, worst_mistakes
from skymm.page.document import Cards, read_words

WORDS = read_words("skymm.evaluation.report", "words", "en")


def names(answers):
    return [answer.question.id for answer in answers]


def section(*runs):
    """The cards of runs that are labelled a, b, ..., and what is said above them."""
    parts = mistakes([measure(one, label, n=2) for one, label in zip(runs, "abc")], WORDS).parts
    return next(part for part in parts if isinstance(part, Cards)).cards, [one for one in parts if isinstance(one, str)]


def test_the_surest_mistake_of_each_picture_is_first_and_right_or_unreadable_answers_are_none():
    answers = [
        reply(ask("sure", "no"), "Yes", 0.99),
        reply(ask("surest", "yes"), "No", 0.001),
        reply(ask("right", "yes"), "Yes", 0.999),
        reply(ask("unreadable", "yes"), "Hm", 0.0001),
        reply(ask("unsure", "no"), "Yes", 0.51),
        reply(ask("of the same picture", "no", "sure"), "Yes", 0.7),
        reply(ask("confidence unknown", "no"), "Yes"),
    ]
    assert names(worst_mistakes(run(answers), 9)) == ["surest", "sure", "unsure", "confidence unknown"]
    # What the official rule calls right is no mistake.
    assert worst_mistakes(run(answers, benchmark(right=lambda answer: True)), 9) == []
    without = [reply(ask(str(index), "no"), "Yes") for index in range(16)]
    assert names(worst_mistakes(run(without), 4)) == ["0", "4", "8", "12"]  # of all parts of the benchmark
    of = benchmark()
    assert confidence_of(reply(ask("1"), "No", 0.9), of) == pytest.approx(0.1)
    assert confidence_of(reply(ask("1"), "Hm", 0.9), of) == pytest.approx(0.9), "unreadable: the most likely choice"
    assert confidence_of(reply(ask("1"), "No"), of) is None


def test_runs_take_turns():
    first = run([reply(ask(f"a{index}", "no"), "Yes", 0.9 - index / 10) for index in range(5)])
    second = run([reply(ask(name, "no"), "Yes", p) for name, p in (("a0", 0.99), ("b1", 0.9))])
    assert names(in_turn([first, second], 4)) == ["a0", "a1", "b1", "a2"]
    assert in_turn([run([])], 4) == [] and in_turn([], 4) == []
    cards, _ = section(run([reply(ask(str(index), "no"), "Yes") for index in range(50)]))
    assert len(cards) == MAX_CARDS == 12


def test_a_card_has_what_every_run_said_to_the_same_words():
    asked = ask("1", "no", text="Is it red?")
    translated = ask("1", "no", text="是红色吗？")
    runs = [run([reply(asked, "Yes ", 0.9996)]), run([reply(asked, "No")]), run([reply(translated, "No")])]
    (card,), _ = section(*runs)
    assert card.pictures == [("picture of question 1", None)]
    assert [(one.label, one.text, one.style, one.note) for one in card.lines] == [
        ("", "Is it red?", "", ""),
        ("right is", "no", "", ""),
        ("a", "Yes", "wrong", "> 99.9%"),
        ("b", "No", "right", ""),
    ]


def encoded(mode="RGB", size=(2000, 1000), colour="red", form="PNG", **more):
    stored = io.BytesIO()
    Image.new(mode, size, colour).save(stored, form, **more)
    return stored.getvalue()


def opened(url):
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))))


def test_pictures_become_small_upright_data_urls(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    for source in (tmp_path / "a.png", encoded(), encoded("P", colour=0), encoded("LA", colour=(0, 0))):
        picture = opened(thumbnail(source))
        assert picture.size == (560, 280) and picture.format == "JPEG"
    assert opened(thumbnail(encoded("RGBA", (8, 8), (0, 0, 0, 0)))).getpixel((4, 4)) == (255, 255, 255)
    assert opened(thumbnail(encoded(size=(30, 20)))).size == (30, 20), "nothing is enlarged"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    assert opened(thumbnail(encoded(size=(30, 20), form="JPEG", exif=exif))).size == (20, 30)
    cut = encoded("RGB", (400, 400), "blue", "JPEG")[:400]
    assert [thumbnail(source) for source in (tmp_path / "gone.png", tmp_path, b"", b"text", cut)] == [None] * 5


def test_pictures_come_from_the_benchmark_by_question():
    answer = reply(ask("1", "no"), "Yes")
    of = benchmark(load=lambda recipe: [replace(answer.question, images=(encoded(),)), ask("2")])
    (card,), _ = section(run([answer], of))
    assert card.pictures[0][1].startswith("data:image/jpeg;base64,")

    def load(recipe):
        raise ValueError(f"{recipe.root} is gone")

    (card,), said = section(run([answer], benchmark(load=load)))
    assert card.pictures[0][1] is None and "ValueError: nowhere is gone" in said[-1]
