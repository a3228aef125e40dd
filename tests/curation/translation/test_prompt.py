"""How chat models are asked, and what they say around a translation."""

import pytest

from skymm.curation.translation import chat as prompt
from skymm.curation.translation.protect import BRACKETS


def test_the_question_names_both_languages_and_the_marks():
    [message] = prompt.messages_for("⟦1⟧ dogs", "en", "zh", BRACKETS)
    assert message["role"] == "user" and "English text" in message["content"]
    assert "into Simplified Chinese" in message["content"] and "such as ⟦1⟧" in message["content"]
    assert message["content"].endswith("<text>\n⟦1⟧ dogs\n</text>")
    [message] = prompt.messages_for("狗", "zh", "en", BRACKETS)
    assert (
        "Chinese text" in message["content"] and "into English" in message["content"] and "⟦" not in message["content"]
    )


@pytest.mark.parametrize(
    "answer",
    [
        "一只狗。",
        "  一只狗。\n",
        "“一只狗。”",
        '"一只狗。"',
        "Here is the translation:\n\n一只狗。",
        "Sure! Here's the translation into Simplified Chinese: 一只狗。",
        "Sure, here you go:\n一只狗。",
        "好的：\n一只狗。",
        "译文：一只狗。",
        "中文: 一只狗。",
        "<text>\n一只狗。\n</text>",
        "```\n一只狗。\n```",
        "<think>A dog is 狗.\n\nSo...</think>\n一只狗。",
        "一只狗。\n\n(Note: “只” is the measure word.)",
        "一只狗。\n**注**：“只”是量词。",
        "Translation:\n```text\n“一只狗。”\n```",
    ],
)
def test_what_stands_around_a_translation_goes(answer):
    assert prompt.read_answer(answer, "A dog.") == "一只狗。"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<think>A dog is",
        "I'm sorry, but I can't see the picture.",
        "As an AI language model, I cannot translate this.",
        "抱歉，我无法看到图片。",
        "一只狗。\n一条狗。",
    ],
)
def test_what_is_no_translation_is_nothing(answer):
    assert prompt.read_answer(answer, "A dog.") == ""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I'm sorry, but I can't see it.", "抱歉，我看不到。"),
        ("Translate this: dog", "翻译这个：狗"),
        ("Answer: a dog", "答案：一只狗"),
        ("Note: it is a dog.", "注：这是一只狗。"),
        ('"A dog."', "“一只狗。”"),
        ("Two lines:\na dog", "两行：\n一只狗"),
        ("He said “⟦1⟧” and “⟦2⟧”", "“⟦1⟧”和“⟦2⟧”"),
    ],
)
def test_what_belongs_to_the_text_stays(text, answer):
    assert prompt.read_answer(answer, text) == answer
