"""Which mistakes stand on the page, and their pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import pytest
from made_up import ask, benchmark, reply, run
from PIL import Image

from skymm.evaluation.report.mistakes import MAX_CARDS, cards_of, confidence_of, in_turn, thumbnail, worst_mistakes
from skymm.page.document import read_words

WORDS = read_words("skymm.evaluation.report", "words", "en")


def names(answers):
    return [answer.question.id for answer in answers]


def test_the_surest_mistake_is_first_and_right_or_unreadable_answers_are_none():
    answers = [
        reply(ask("sure", "no"), "Yes", 0.99),
        reply(ask("surest", "yes"), "No", 0.001),
        reply(ask("right", "yes"), "Yes", 0.999),
        reply(ask("unreadable", "yes"), "Hm", 0.0001),
        reply(ask("unsure", "no"), "Yes", 0.51),
    ]
    found = worst_mistakes(run(answers))
    assert names(found) == ["surest", "sure", "unsure"]
    assert [confidence_of(answer, benchmark()) for answer in found] == pytest.approx([0.999, 0.99, 0.51])


def test_one_mistake_to_a_picture():
    answers = [reply(ask(f"{p}/{index}", "no", "picture"), "Yes", p) for index, p in enumerate((0.6, 0.9, 0.7))]
    assert names(worst_mistakes(run(answers))) == ["0.9/1"]


def test_without_confidence_every_beginning_covers_the_whole():
    answers = [reply(ask(str(index), "no"), "Yes") for index in range(16)]
    found = names(worst_mistakes(run(answers)))
    assert found[:4] == ["0", "8", "4", "12"]
    assert sorted(map(int, found)) == list(range(16))


def test_what_the_official_rule_calls_right_is_no_mistake():
    lenient = benchmark(right=lambda answer: True)
    assert worst_mistakes(run([reply(ask("1", "no"), "Yes", 0.9)], lenient)) == []


def test_confidence_is_in_what_was_said():
    of = benchmark()
    assert confidence_of(reply(ask("1"), "No", 0.9), of) == pytest.approx(0.1)
    assert confidence_of(reply(ask("1"), "Hm", 0.9), of) == pytest.approx(0.9), "unreadable: the most likely choice"
    assert confidence_of(reply(ask("1"), "No"), of) is None


def test_runs_take_turns():
    first = run([reply(ask(f"a{index}", "no"), "Yes", 0.9 - index / 10) for index in range(5)])
    second = run([reply(ask(name, "no"), "Yes", p) for name, p in (("a0", 0.99), ("b1", 0.9))])
    assert names(in_turn([first, second], 4)) == ["a0", "a1", "b1", "a2"]
    assert in_turn([run([])], 4) == [] and in_turn([], 4) == []


def test_a_card_has_what_every_run_said_to_the_same_words():
    asked = ask("1", "no", text="Is it red?")
    translated = ask("1", "no", text="是红色吗？")
    runs = [run([reply(asked, "Yes ", 0.9996)]), run([reply(asked, "No")]), run([reply(translated, "No")])]
    (card,), reason = cards_of(runs, ["a", "b", "c"], WORDS)
    assert card.pictures == [("picture of question 1", None)] and reason == ""
    assert [(one.label, one.text, one.style, one.note) for one in card.lines] == [
        ("", "Is it red?", "", ""),
        ("right is", "no", "", ""),
        ("a", "Yes", "wrong", "> 99.9%"),
        ("b", "No", "right", ""),
    ]


def test_there_are_at_most_so_many_cards():
    cards, _ = cards_of([run([reply(ask(str(index), "no"), "Yes") for index in range(50)])], ["a"], WORDS)
    assert len(cards) == MAX_CARDS == 12


def encoded(mode="RGB", size=(2000, 1000), colour="red", form="PNG"):
    stored = io.BytesIO()
    Image.new(mode, size, colour).save(stored, form)
    return stored.getvalue()


def opened(url):
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))))


def test_pictures_become_small_data_urls(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    for source in (tmp_path / "a.png", encoded(), encoded("P", colour=0), encoded("LA", colour=(0, 0))):
        picture = opened(thumbnail(source))
        assert picture.size == (560, 280) and picture.format == "JPEG"
    assert opened(thumbnail(encoded("RGBA", (8, 8), (0, 0, 0, 0)))).getpixel((4, 4)) == (255, 255, 255)
    assert opened(thumbnail(encoded(size=(30, 20)))).size == (30, 20), "nothing is enlarged"


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert opened(thumbnail(tmp_path / "a.jpg")).size == (20, 30)


def test_a_picture_that_cannot_be_read_is_none(tmp_path):
    cut = encoded("RGB", (400, 400), "blue", "JPEG")[:400]
    assert [thumbnail(source) for source in (tmp_path / "gone.png", tmp_path, b"", b"text", cut)] == [None] * 5


def test_pictures_come_from_the_benchmark_by_question():
    answer = reply(ask("1", "no"), "Yes")
    of = benchmark(load=lambda recipe: [replace(answer.question, images=(encoded(),)), ask("2")])
    (card,), reason = cards_of([run([answer], of)], ["a"], WORDS)
    assert card.pictures[0][1].startswith("data:image/jpeg;base64,") and reason == ""

    def load(recipe):
        raise ValueError(f"{recipe.root} is gone")

    (card,), reason = cards_of([run([answer], benchmark(load=load))], ["a"], WORDS)
    assert card.pictures[0][1] is None and reason == "ValueError: nowhere is gone"
