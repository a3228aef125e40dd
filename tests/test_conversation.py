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
