"""Emoji: their names and pictures, which are held out, and what may be said to be absent beside which."""

import numpy as np
import pytest

from skymm.curation import emoji


def test_concepts_have_names_and_two_different_pictures():
    concepts = emoji.concepts()
    assert len(concepts) > 1900
    assert len({concept.en for concept in concepts}) == len({concept.zh for concept in concepts}) == len(concepts)
    assert emoji.find("🐼") == emoji.Concept("🐼", "panda", "熊猫")
    for char in "🐼🐈🐕🦋🐧🍌":
        one, two = (emoji.picture(char, style, 64) for style in emoji.STYLES)
        assert one.mode == "RGBA" and one.size == (64, 64) and one.tobytes() != two.tobytes()
        assert 0.05 < (np.asarray(one)[..., 3] > 0).mean() < 1


def test_held_out_concepts_are_a_tenth_and_always_the_same():
    held_out = [concept.char for concept in emoji.concepts() if concept.held_out]
    assert 0.07 < len(held_out) / len(emoji.concepts()) < 0.13
    assert emoji.Concept("🐼", "", "").held_out == emoji.find("🐼").held_out


def test_what_is_no_emoji_is_refused():
    with pytest.raises(ValueError, match="'x' is not an emoji"):
        emoji.find("x")
    with pytest.raises(ValueError, match="unknown art style 'oil'"):
        emoji.picture("🐼", "oil", 32)


def named(name: str) -> str:
    return next(concept.char for concept in emoji.concepts() if concept.en == name)


def test_what_is_alike_is_not_asked_for_in_vain():
    """A word of both; told apart by nobody; another word for it."""
    for shown, asked in (
        *(("dog face", "dog"), ("black cat", "cat"), ("hot dog", "dog"), ("soccer ball", "crystal ball")),
        *(("poodle", "dog"), ("locomotive", "train"), ("rat", "mouse")),
    ):
        others = [named("umbrella"), named(asked)]
        assert emoji.unlike(others, [named(shown)]) == [named("umbrella")], (shown, asked)
        assert emoji.unlike(others, [named("key")]) == others
    assert emoji.unlike([named("pear")], [named("avocado")]) == [], "梨 is in 鳄梨"


def test_plain_things():
    for name in ("panda", "black cat", "umbrella", "bus", "cactus"):
        assert emoji.is_plain_thing(emoji.find(named(name))), name
    for name in ("bird", "Thailand", "red heart", "glasses", "goose", "ON! arrow", "woman", "tomato"):
        assert not emoji.is_plain_thing(emoji.find(named(name))), name
