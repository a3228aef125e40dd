"""Scenes as a source: the same on every machine, right in all that is said about them, and free of what is held out."""

from __future__ import annotations

import re

import pytest

from skymm.curation import emoji
from skymm.curation.emoji_scenes.instructions import COLOURS, NUMBERS
from skymm.curation.emoji_scenes.scene import Scene, encode, render
from skymm.curation.negatives.balance import Asked
from skymm.curation.sources.drawn import Scenes, facts_of
from skymm.recipe.sources import EmojiScenesSource


def source(**fields) -> Scenes:
    return Scenes(EmojiScenesSource(format="emoji_scenes", tasks=["turns"], **fields))


def records(count: int, **fields):
    made = source(num_images=count, **fields)
    return [record for row in made.rows() for record in made.records(row)]


@pytest.fixture(scope="module")
def many():
    return records(40)


def test_the_same_index_gives_the_same_record(many):
    again = source(num_images=40)
    assert list(again.records({"index": 17})) == [many[17]]
    assert list(source(seed=1).records({"index": 17})) != [many[17]]
    assert len({record.key for record in many}) == 40


def test_pictures_captions_and_facts_are_those_of_the_scene(many):
    for record in many:
        scene = Scene.from_facts(record.extra["scene"])
        assert record.pictures["jpg"].read() == encode(render(scene))
        said = {caption.language: caption.text for caption in record.captions}
        assert set(said) == {"en", "zh"}
        for item in scene.items:
            assert item.concept.en in said["en"] and item.concept.zh in said["zh"]
        assert {thing.name: thing.count for thing in record.facts.things[:-1]} in (
            {},
            {emoji.find(char).en: scene.count(char) for char in scene.chars},
        )
    assert sum(bool(record.facts.things) for record in many) > 5


def test_every_answer_is_right(many):
    """Read again from the words of the questions."""
    kinds, made = set(), source(num_images=40)
    for record in many:
        scene = Scene.from_facts(record.extra["scene"])
        names = {}
        for item in scene.items:
            names[item.concept.en] = names[item.concept.zh] = scene.count(item.char)
        for label, both in made.askable(record).items():
            for polarity, keys in zip(("positive", "negative"), both, strict=True):
                for key in keys:
                    for language in ("en", "zh"):
                        question, answer = made.exchange(record, Asked(label, key, polarity, language, 0))
                        right = _is_right(question.text, scene, names)
                        if right is not None:
                            kinds.add(answer.kind)
                            assert answer.text == (("Yes", "No"), ("是", "否"))[language == "zh"][not right], (
                                question.text
                            )
                            assert (answer.polarity == "positive") == right and answer.language == language
    assert kinds == {"existence", "count", "color"}


def _is_right(question: str, scene: Scene, names: dict[str, int]) -> bool | None:
    if match := re.fullmatch(r"Is the background (\w+)\?|背景是(\w+)吗？", question):
        return scene.colour == match[1] or COLOURS[scene.colour][0] == match[2]
    if match := re.fullmatch(r"有([一两三四])个(.+)吗？", question):
        return names[match[2]] == next(number for number, words in NUMBERS.items() if words[1] == match[1])
    if match := re.fullmatch(r"Is there exactly one (.+)\?", question):
        return names[match[1]] == 1
    if match := re.fullmatch(r"Is there an? (.+)\?|有(.+)吗？", question):
        return (match[1] or match[2]) in names
    return None


def test_relations_hold():
    def scene(*items):
        facts = {"colour": "red", "ground": "plain", "style": "twemoji", "writing": "", "ground_seed": 0}
        placed = [{"char": char, "cell": cell, "box": (0, 0, 9)} for char, cell in items]
        return Scene.from_facts({**facts, "items": placed})

    facts = facts_of(scene(("🐼", (0, 0)), ("🦋", (1, 1))))
    assert set(facts.relations) == {
        ("panda", "left of", "butterfly"),
        ("panda", "above", "butterfly"),
        ("butterfly", "right of", "panda"),
        ("butterfly", "below", "panda"),
    }
    assert facts.things[-1].name == "background" and facts.things[-1].attributes == ("red",)
    assert facts_of(scene(("🐼", (0, 0)), ("🐼", (1, 0)), ("🦋", (0, 1)))).relations == ()
    assert facts_of(scene(("🐼", (0, 0)), ("🐶", (1, 1)))).things == (), "dog face is no plain name"


def test_what_is_held_out_is_in_no_scene():
    made = source(num_images=1)
    chars = {char for pool in made._pools.values() for char in pool}
    assert len(chars) > 300 and not any(emoji.find(char).held_out for char in chars)
    held_out = next(concept.char for concept in emoji.concepts() if concept.held_out)
    with pytest.raises(ValueError, match=f"concepts {held_out} are held out for judging; take them out"):
        source(concepts=["🐼", held_out])
    with pytest.raises(ValueError, match="'x' is not an emoji"):
        source(concepts=["x"])


def test_one_concept_is_enough():
    one = emoji.pool("🐼🐕🦋", "twemoji")[0]
    for record in records(5, concepts=[one], styles=["twemoji"]):
        assert {item["char"] for item in record.extra["scene"]["items"]} == {one}
        asked = source(concepts=[one], styles=["twemoji"]).askable(record)
        assert asked.keys() == {"color", "count"}, "its colour and its number can be asked"
