"""The data unit: what is accepted, what is refused, and how it is said."""

import json

import pytest

from skymm.conversation import Conversation, Turn, ask, parse

QUESTION = {"role": "user", "text": "Is there a dog?"}
ANSWER = {"role": "assistant", "text": "No.", "polarity": "negative", "kind": "existence", "language": "en"}


def test_json_goes_through_unchanged():
    conversation = parse({"turns": [QUESTION, ANSWER], "licence": "CC0", "scene": {"a": 1}}, "k", ("jpg",))
    assert conversation.turns[0].images == ("jpg",) and conversation.extra == {"licence": "CC0", "scene": {"a": 1}}
    assert parse(conversation.to_json(), "k") == conversation
    assert "有没有" in Conversation("k", (Turn("user", "有没有"),)).to_json(), "readable, not escaped"


def test_turns_that_name_images_are_believed():
    turns = [{**QUESTION, "images": ["1.jpg"]}, ANSWER, {**QUESTION, "images": ["0.jpg"]}, ANSWER]
    assert parse({"turns": turns}, "k", ("0.jpg", "1.jpg")).images == ("1.jpg", "0.jpg")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe{", "k: not UTF-8 JSON"),
        ("{", "k: not UTF-8 JSON"),
        ("[]", "found list"),
        ({"turn": []}, r"found \['turn'\]"),
        ({"turns": []}, "non-empty list"),
        ({"turns": ["hello"]}, "turn 0: found str"),
        ({"turns": [{"role": "human", "text": "a"}]}, r"turn 0: role is 'human', expected one of"),
        ({"turns": [QUESTION, {"role": "assistant"}]}, "turn 1: text is None"),
        ({"turns": [QUESTION, {"role": "assistant", "text": " "}]}, "turn 1: the assistant says nothing"),
        ({"turns": [ANSWER, QUESTION]}, "is a turn missing"),
        ({"turns": [QUESTION, QUESTION, ANSWER]}, "is a turn missing"),
        ({"turns": [QUESTION, ANSWER, {"role": "system", "text": "s"}]}, "system turn may only stand first"),
        ({"turns": [QUESTION, {**ANSWER, "polarity": "no"}]}, "polarity is 'no'"),
        ({"turns": [QUESTION, {**ANSWER, "langauge": "en"}]}, "unknown field 'langauge'"),
        ({"turns": [QUESTION, {**ANSWER, "images": ["jpg"]}]}, "only user turns may show images"),
        ({"turns": [{**QUESTION, "images": "jpg"}]}, "expected a list of member names"),
        ({"turns": [{**QUESTION, "images": ["a"], "places": [True]}]}, "turn 0: places is .True., expected a list"),
        ({"turns": [{**QUESTION, "images": ["a"], "places": [99]}]}, "turn 0: places is .99. for 1 images in 15"),
        ({"turns": [{**QUESTION, "images": ["a"], "places": [-1]}]}, "turn 0: places is .-1."),
        ({"turns": [{**QUESTION, "images": ["a", "b"], "places": [2, 1]}]}, "one place per image, in order"),
        ({"turns": [{**QUESTION, "images": ["a", "b"], "places": [2]}]}, "for 2 images"),
    ],
)
def test_what_is_wrong_is_said(data, message):
    with pytest.raises(ValueError, match=message):
        parse(data, "k")


def test_images_need_a_question():
    with pytest.raises(ValueError, match="no user turn"):
        parse(json.dumps({"turns": [{"role": "system", "text": "s"}]}), "k", ("jpg",))


def test_prompt_ends_with_the_last_question():
    conversation = parse({"turns": [QUESTION, ANSWER, QUESTION, ANSWER]}, "k", ("jpg",))
    assert len(conversation.as_prompt().turns) == 3 and conversation.as_prompt().images == ("jpg",)
    assert ask("Is it?", "a").as_prompt() == ask("Is it?", "a")
    with pytest.raises(ValueError, match="needs a user turn"):
        Conversation("k", (Turn("system", "s"),)).as_prompt()


AMID = Turn("user", "Is , or ?", ("a", "b"), places=(3, 8))


def test_images_stand_where_their_places_say():
    assert AMID.parts == (("text", "Is "), ("image", "a"), ("text", ", or "), ("image", "b"), ("text", "?"))
    assert Turn("user", "Hm?", ("a",)).parts == (("image", "a"), ("text", "Hm?"))
    conversation = Conversation("k", (AMID, Turn("assistant", "The first.")))
    assert parse(conversation.to_json(), "k", ("a", "b")) == conversation
    assert AMID.rewritten(lambda text: text.replace("Is", "Was it").replace("?", "?!")) == Turn(
        "user", "Was it , or ?!", ("a", "b"), places=(7, 12)
    )
    with pytest.raises(ValueError, match="places"):
        AMID.rewritten(lambda text: "What?")


def test_what_is_left_out_leaves_its_images_to_the_next_question_that_stays():
    asked = [Turn("user", f"{name}?", (name,), places=(1,) * (name == "2")) for name in "012"]
    turns = [Turn("system", "s"), *(turn for one in asked for turn in (one, Turn("assistant", "Yes.")))]
    expected = {(0, 1, 2): "0 1 2", (1, 2): "01 2", (2,): "012", (0, 2): "0 12", (0, 1): "0 1"}
    for kept, shown in expected.items():
        left = Conversation("k", tuple(turns)).with_pairs(kept)
        questions = [turn for turn in left.turns if turn.role == "user"]
        assert ["".join(turn.images) for turn in questions] == shown.split() and left.turns[0].role == "system"
        assert [turn.text for turn in questions] == [asked[index].text for index in kept]
        for turn in questions:  # what is before its text stays there, what stands amid it as well
            assert turn.places in ((), (*(0,) * (len(turn.images) - 1), 1))
