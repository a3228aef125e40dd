"""Writing as a source: what the facts say is what is drawn, in full, big enough to read, and the same on every machine."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from skymm.curation import drawing
from skymm.curation.drawing import draw_text, layouts
from skymm.curation.sources.drawn import Writing, texts
from skymm.images import decode_image
from skymm.recipe.sources import WritingSource
from skymm.text import language_of


def source(**fields) -> Writing:
    return Writing(WritingSource(format="writing", tasks=["captions"], **fields))


@pytest.fixture(scope="module")
def many():
    made = source(num_images=60)
    return [record for row in made.rows() for record in made.records(row)]


def test_records_say_what_is_drawn(many):
    found = Counter(record.extra["layout"] for record in many)
    assert set(found) == {layout.name for layout in layouts()} and max(found.values()) < 30
    for record in many:
        (text,) = record.facts.texts
        assert all(f"“{text}”" in caption.text for caption in record.captions)
        assert [caption.language for caption in record.captions] == ["en", "zh"]
        question, answer = record.turns
        assert question.images == ("jpg",) and answer.text == text and answer.language == language_of(text)
        assert min(decode_image(record.pictures["jpg"].read(), record.key).size) >= 288
    assert Counter(language_of(record.facts.texts[0]) for record in many) == {"zh": 30, "en": 30}


def test_the_same_row_gives_the_same_record(many):
    made = source(num_images=60)
    assert list(made.records(list(made.rows())[31])) == [many[31]]
    assert next(source(seed=1).rows()) != next(made.rows())
    assert len({row["text"] for row in source(num_images=10, texts="emoji").rows()}) > 5


@pytest.mark.parametrize("layout", layouts(), ids=lambda layout: layout.name)
@pytest.mark.parametrize(
    "text",
    [
        "停车",
        "我",
        "天黑了，于是我们很快就都回到家里去了，大家很高兴。",
        "go",
        "Please photocopy three copies of this document right now, all of you.",
    ],
)
def test_every_letter_is_drawn_inside_of_the_picture(layout, text, monkeypatch):
    """Each piece of the text is drawn once, with its ink within the edges and no smaller than can be read."""
    if not layout.carries(text):
        assert layout.vertical
        return
    for seed in range(6):
        drawn: list[tuple[str, tuple[float, float, float, float], float]] = []

        def note(canvas, place, piece, ink, font, anchor, drawn=drawn):
            drawn.append((piece, canvas.textbbox(place, piece, font=font, anchor=anchor), font.size))

        with monkeypatch.context() as patch:
            patch.setattr("PIL.ImageDraw.ImageDraw.text", note)
            image = draw_text(random.Random(seed), layout, text)
        said = "".join(piece for piece, _, _ in drawn) if not text.isascii() else " ".join(p for p, _, _ in drawn)
        assert said == text
        for piece, (left, top, right, bottom), size in drawn:
            assert left >= 0 and top >= 0 and right <= image.width and bottom <= image.height, (piece, seed)
            assert size >= drawing.MIN_LETTER["en" if text.isascii() else "zh"]
            assert piece[0] not in drawing.NOT_FIRST


@pytest.mark.parametrize("layout", layouts(), ids=lambda layout: layout.name)
def test_ink_stands_out_from_its_plate(layout):
    for _, plate, ink in layout.colours:
        light = [np.dot(colour, (0.299, 0.587, 0.114)) for colour in (plate, ink)]
        assert abs(light[0] - light[1]) > 85
        assert "{}" in layout.english and "{}" in layout.chinese


def test_texts_are_those_that_the_fonts_have(monkeypatch):
    entry = {"translation": {"en": "A dog — a big one."}, "tokens": [{"word": "狗"}, {"word": "㐂"}, {"word": "APP"}]}
    entries = [{**entry, "chinese": "一只狗。"}, {**entry, "chinese": "用APP"}, {**entry, "chinese": "长" * 30}]
    monkeypatch.setattr("skymm.curation.sources.drawn.sentences", lambda: entries)
    texts.cache_clear()
    try:
        found = texts("hsk")
    finally:
        texts.cache_clear()
    assert found["zh", "sentences"] == ["一只狗。"] and found["zh", "words"] == ["狗"]
    assert found["en", "sentences"] == [] and found["en", "words"] == ["dog", "big", "one"]
