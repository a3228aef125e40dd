"""What is made of a record: one conversation of all tasks, whose first question shows the pictures."""

from __future__ import annotations

from itertools import product

import shipped
from built import conversations

from skymm.conversation import Turn
from skymm.curation.building.build import build
from skymm.curation.building.converse import converse, with_questions
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.record import Caption, Facts, Picture, Record, Thing
from skymm.recipe import DataRecipe, parse

CAPTIONS = (Caption("a red dog on the grass", "en"), Caption("草地上有一只红色的狗", "zh"))


def exchange(question: str, answer: str, *images: str) -> tuple[Turn, Turn]:
    return Turn("user", question, images), Turn("assistant", answer)


ONE, TWO = {"jpg": Picture("a.jpg")}, {"0.jpg": Picture("a.jpg"), "1.jpg": Picture("b.jpg")}
SPOKEN = {
    "shown": (ONE, (*exchange("What is it?", "A dog.", "jpg"), *exchange("What colour?", "Red."))),
    "not said where": (ONE, (*exchange("What is it?", "A dog."), *exchange("What colour?", "Red."))),
    "both at once": (TWO, (*exchange("What differs?", "The dog.", "0.jpg", "1.jpg"), *exchange("Why?", "It ran."))),
    "two, not said where": (TWO, exchange("What differs?", "The dog.")),
    "with a system, not said where": (ONE, (Turn("system", "You are brief."), *exchange("What is it?", "A dog."))),
    "with a system": (ONE, (Turn("system", "You are brief."), *exchange("What is it?", "A dog.", "jpg"))),
}


def recipe(**fields) -> DataRecipe:
    source = {"format": "pairs", "images": "nowhere", "tasks": ["captions"]}
    return parse({"sources": {"a": source}, **fields}, DataRecipe)


TASKS = [("captions", "turns"), ("turns", "captions", "negatives"), ("captions",), ("turns",)]


def test_the_first_question_shows_all_pictures_and_no_other_does():
    for (name, (pictures, turns)), tasks, max_turns in product(SPOKEN.items(), TASKS, (None, 1)):
        record = Record("k", pictures, CAPTIONS, turns, Facts((Thing("dog", 1, ("red",)),)))
        for seed in range(8):
            (made,) = converse(record, tasks, recipe(max_turns=max_turns), Statistics(), str(seed))
            assert made.room == ("negatives" in tasks) * (8 if max_turns is None else 0)
            for questions in ([], [exchange("Is there a cat?", "No.")]):
                found = with_questions(made.turns, questions[: len(pictures) == 1], list(pictures))
                first, *later = [turn for turn in found if turn.role == "user"]
                assert first.images == tuple(pictures), (name, tasks)
                assert not any(turn.images for turn in later), (name, tasks)
                assert [turn.role for turn in found].index("user") == any(turn.role == "system" for turn in found)


def test_pictures_that_a_later_question_shows_are_shown_there():
    turns = (*exchange("And this?", "A dog.", "0.jpg"), *exchange("And that?", "A cat.", "1.jpg"))
    record = Record("k", TWO, CAPTIONS, turns)
    (made,) = converse(record, ("captions", "turns"), recipe(), Statistics(), "")
    assert [turn.images for turn in made.turns if turn.role == "user"] == [("0.jpg",), ("1.jpg",), (), ()]
    assert [turn.text for turn in made.turns[:4]] == [turn.text for turn in turns]


def test_nothing_is_asked_before_a_picture_that_stands_amid_a_sentence():
    turns = (Turn("user", "Is it  that runs?", ("jpg",), places=(6,)), Turn("assistant", "Yes."))
    (made,) = converse(Record("k", ONE, (), turns), ("turns", "negatives"), recipe(), Statistics(), "")
    assert made.room == 0 and made.turns[0].places == (6,)


def test_a_conversation_of_captions_and_turns_says_all_of_both():
    record = Record("k", *SPOKEN["shown"][:1], CAPTIONS, SPOKEN["shown"][1])
    (made,) = converse(record, ("captions", "turns"), recipe(), Statistics(), "")
    answers = [turn.text for turn in made.turns if turn.role == "assistant"]
    assert sorted(answers) == sorted(["A dog.", "Red.", *(caption.text for caption in CAPTIONS)])


def test_what_boxes_know_is_told_where_there_is_no_caption():
    facts = Facts((Thing("car", 2), Thing("dog", 1), Thing("sheep")), absent=("cat",))
    for captions, tasks, expected in (
        ((), ("names",), {"Two cars, a dog and a sheep.", "两辆汽车、一只狗和绵羊。"}),
        ((), ("names", "captions"), {"Two cars, a dog and a sheep.", "两辆汽车、一只狗和绵羊。"}),
        (CAPTIONS, ("names", "captions"), {caption.text for caption in CAPTIONS}),
    ):
        (made,) = converse(Record("k", ONE, captions, facts=facts), tasks, recipe(), Statistics(), "")
        answers = [turn for turn in made.turns if turn.role == "assistant"]
        assert {turn.text for turn in answers} == expected
        assert {(turn.kind, turn.polarity, turn.language) for turn in answers} == {
            ("caption", "positive", language) for language in ("en", "zh")
        }


def test_the_scenes_of_the_laptop_recipe_are_shown_first(tmp_path):
    described = shipped.recipe("laptop", tmp_path / "in")
    scenes = described.sources["scenes"]
    assert set(scenes.tasks) == {"captions", "turns"}
    found = conversations(build(described.model_copy(update={"sources": {"scenes": scenes}}), tmp_path / "out"))
    assert len(found) >= 20, "of 24; some may go for the share of Chinese"
    for one in found:
        first, *later = [turn for turn in one.turns if turn.role == "user"]
        assert first.images == one.images == ("jpg",) and not any(turn.images for turn in later)
        assert {"caption"} < {turn.kind for turn in one.targets}, "captions and questions in one conversation"
