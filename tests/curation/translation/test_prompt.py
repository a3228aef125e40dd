"""How chat models are asked, and what they say around a translation."""

from skymm.curation.translation.protect import BRACKETS
from skymm.curation.translation.translators import messages_for, read_answer

AROUND = [
    *("一只狗。", "  一只狗。\n", "“一只狗。”", '"一只狗。"', "译文：一只狗。", "中文: 一只狗。", "好的：\n一只狗。"),
    "Here is the translation:\n\n一只狗。",
    "Sure! Here's the translation into Simplified Chinese: 一只狗。",
    "Sure, here you go:\n一只狗。",
    "<text>\n一只狗。\n</text>",
    "```\n一只狗。\n```",
    "<think>A dog is 狗.\n\nSo...</think>\n一只狗。",
    "一只狗。\n\n(Note: “只” is the measure word.)",
    "一只狗。\n**注**：“只”是量词。",
    "Translation:\n```text\n“一只狗。”\n```",
]
NONE = [
    *("", "<think>A dog is", "I'm sorry, but I can't see the picture.", "抱歉，我无法看到图片。", "一只狗。\n一条狗。"),
    "As an AI language model, I cannot translate this.",
]
ITS_OWN = {
    "I'm sorry, but I can't see it.": "抱歉，我看不到。",
    "Translate this: dog": "翻译这个：狗",
    "Answer: a dog": "答案：一只狗",
    "Note: it is a dog.": "注：这是一只狗。",
    '"A dog."': "“一只狗。”",
    "Two lines:\na dog": "两行：\n一只狗",
    "He said “⟦1⟧” and “⟦2⟧”": "“⟦1⟧”和“⟦2⟧”",
}


def test_the_question_names_both_languages_and_the_marks():
    [message] = messages_for("⟦1⟧ dogs", "en", "zh", BRACKETS)
    asked = message["content"]
    assert message["role"] == "user" and "English text" in asked and "into Simplified Chinese" in asked
    assert "such as ⟦1⟧" in asked and asked.endswith("<text>\n⟦1⟧ dogs\n</text>")
    asked = messages_for("狗", "zh", "en", BRACKETS)[0]["content"]
    assert "Chinese text" in asked and "into English" in asked and "⟦" not in asked


def test_what_stands_around_a_translation_goes_and_what_belongs_to_the_text_stays():
    assert {answer: read_answer(answer, "A dog.") for answer in AROUND} == dict.fromkeys(AROUND, "一只狗。")
    assert {answer: read_answer(answer, "A dog.") for answer in NONE} == dict.fromkeys(NONE, "")
    assert {text: read_answer(answer, text) for text, answer in ITS_OWN.items()} == ITS_OWN
