"""Pictures that show nothing."""

import io

import numpy as np
from PIL import Image

from skymm.curation.sources.drawn import Nothing
from skymm.recipe.sources import NothingSource
from skymm.text import language_of
from skymm.verdict import NO, yes_no


def records(number: int = 40) -> list:
    source = Nothing(NothingSource(format="nothing", num_images=number, tasks=["turns"]))
    return [record for row in source.rows() for record in source.records(row)]


def test_whatever_is_asked_for_is_not_there_in_both_languages():
    languages = []
    for record in records():
        question, answer, *described = record.turns
        assert yes_no(answer.text, question.text) == NO and answer.polarity == "negative"
        assert language_of(question.text) == answer.language
        languages.append(answer.language)
        assert [language_of(turn.text) for turn in described[1::2]] == ["en", "zh"]
        assert question.images == ("png",) and not any(turn.images for turn in described)
        assert [(caption.text, caption.language) for caption in record.captions] == [
            ("nothing", "en"),
            ("什么也没有", "zh"),
        ]
    assert languages.count("en") == languages.count("zh") == 20
    asked = {record.turns[0].text for record in records()}
    assert len(asked) > 30


def test_pictures_are_of_one_colour_of_a_slope_or_of_noise_and_none_is_another():
    pictures = [np.asarray(Image.open(io.BytesIO(one.pictures["png"].data)).convert("RGB"), float) for one in records()]
    even = [one for one in pictures if one.reshape(-1, 3).std(0).max() == 0]
    noisy = [one for one in pictures if np.abs(np.diff(one, axis=0)).mean() > 5]
    slopes = [one for one in pictures if not any(one is other for other in (*even, *noisy))]
    assert min(len(even), len(noisy), len(slopes)) >= 3
    assert len({one.tobytes() for one in pictures}) == 40
    assert [one.pictures["png"].data for one in records(3)] == [one.pictures["png"].data for one in records(3)]
