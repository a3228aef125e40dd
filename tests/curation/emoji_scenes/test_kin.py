"""What may be said to be absent: nothing that is another name of what is there."""

import pytest

from skymm.curation import emoji
from skymm.curation.emoji import is_plain_thing, unlike


def named(name: str) -> str:
    return next(concept.char for concept in emoji.concepts() if concept.en == name)


@pytest.mark.parametrize(
    ("shown", "asked"),
    [
        ("dog face", "dog"),  # a word of both
        ("poodle", "dog"),  # told apart by nobody
        ("black cat", "cat"),
        ("locomotive", "train"),
        ("hot dog", "dog"),
        ("soccer ball", "crystal ball"),
        ("rat", "mouse"),
    ],
)
def test_what_is_alike_is_not_asked_for_in_vain(shown, asked):
    others = [named("umbrella"), named(asked)]
    assert unlike(others, [named(shown)]) == [named("umbrella")]
    assert unlike(others, [named("key")]) == others


def test_a_chinese_name_within_another_counts_too():
    first, second = named("pear"), named("avocado")  # 梨 and 鳄梨
    assert emoji.find(first).zh in emoji.find(second).zh
    assert unlike([first], [second]) == [] == unlike([second], [first])


@pytest.mark.parametrize("name", ["panda", "black cat", "umbrella", "bus", "cactus"])
def test_plain_things(name):
    assert is_plain_thing(emoji.find(named(name)))


@pytest.mark.parametrize("name", ["bird", "Thailand", "red heart", "glasses", "goose", "ON! arrow", "woman", "tomato"])
def test_no_plain_things(name):
    assert not is_plain_thing(emoji.find(named(name)))
