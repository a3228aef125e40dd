"""Yes, no or unknown: the table of cases is the definition.

Whoever changes the reading changes a line here first.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymm.evaluation.reading.verdict import yes_no

# fmt: off
YES = [
    "Yes", "yes.", "YES!", " yes\n", "Yes, there is a dog.", "**Yes**", "“Yes”", "(yes)", "[Yes]", "- Yes", "> yes",
    "# Yes", "Ｙｅｓ", "yeah", "Yep!", "y", "Yes it is", "yes</s>", "<s>yes", "Yes<|im_end|>", "Correct.",
    "That's right.", "True", "That is correct, it is red.", "Of course.", "Absolutely!", "Indeed, there is.",
    "Answer: yes", "The answer is yes.", "The correct answer is: Yes", "Final answer: **Yes**", "**Answer:**\nYes",
    "A: yes", "So the answer is yes", "There is a dog in the image.", "There are two dogs.",
    "In the image, there is a red car.", "It is.", "They are.", "It does", "I do.",
    "Yes. No other animals are visible.", "Yes, it is not a cat.", "<think>No, wait, there is one.</think>Yes",
    "The image shows a street. Answer: yes", "Yes\n\nNo", "Affirmative", "Yes, I'm not sure about the colour though",
    "I think so.", "是", "是的", "是的。", "是，图中有一只狗。", "有", "有的", "有一只狗。", "对", "对的",
    "对，是红色的", "正确", "正确。", "没错", "没错，图中有狗", "不错，就是它", "存在", "当然", "确实有", "嗯，有",
    "**是的**", "「是」", "答案：是", "答案是有", "答：是的", "答案是：是的。", "图中有一只狗。", "图片中有狗",
    "这张图片里有一只猫", "画面中存在一辆车", "在这张照片中可以看到一只狗", "毫无疑问，有。", "可以", "能",
    "是的，没有其他动物。", "對", "Yes，图中有狗", "是红色的。", "There's a dog.", "There is no doubt a dog.", "好像有一只",
    "当然有",
    "Yes\u200b", "当然没错", "是，一只狗",
]

NO = [
    "No", "no.", "NO", "No\n", "No, there is not.", "**No**.", "nope", "Nah", "n", "None", "none.", "Not at all",
    "Not in this picture", "Of course not.", "Definitely not!", "Never", "False", "Incorrect.", "That's wrong.",
    "Negative", "The answer is no", "Answer: No.", "There is no dog in the image.", "There isn't a dog.",
    "There are not any dogs", "There's no dog", "There aren’t any.", "In the picture, there are no cars.",
    "It is not.", "It isn't red.", "The dog is not red.", "The image does not contain a dog.", "I don't see a dog.",
    "I cannot see any dog in the image.", "No, I cannot see a dog.", "No. Yes would be wrong.", "It doesn't",
    "No - the sign says 3.5 km.", "The image contains no text.", "There does not appear to be a dog.",
    "nothing's clear to say", "不是", "不是的。", "不", "不，没有。", "没有", "没有。", "没", "沒有", "否", "否。",
    "无", "無", "不对", "不对，是猫。", "不正确", "错误", "错", "错了", "不存在", "并非如此", "并没有",
    "没有狗，但是有猫。", "图中没有狗。", "图片里没有人", "这张图中并没有狗", "照片中不存在汽车", "答案：否",
    "答案是没有", "答案是不是。", "这不是狗", "这只狗不是红色的", "它没有尾巴", "没看到", "看不到狗", "未发现",
    "不，是蓝色的", "没有。是的，没有。", "No，没有狗", "不会", "不能", "不在", "绝非", "我没有看到狗", "似乎没有狗",
    "当然不是", "当然没有", "确实没有", "的确不是", "肯定不是", "The final answer: no",
    "Let me look. The answer is no.", "先看图。答案是没有。", "In the image, the dog is not red.", "正确答案是：否",
    "正确的答案是没有", "不是没有", "a: no", "应该没有",
]

UNKNOWN = [
    "<think>yes?", "", "   ", "...", "Norway", "know", "I know this place.", "knot", "Note that", "Yesterday", "eyes",
    "Not sure", "I'm not sure.", "I am not entirely sure", "not certain", "Unsure", "unknown", "I cannot tell.",
    "cannot tell", "can't say", "It cannot be determined.", "I don't know", "It's hard to tell, but there is no dog",
    "It is unclear.", "It's not clear", "Maybe", "Perhaps yes", "It is possibly a dog", "No idea", "No way to know",
    "Yes and no", "yes or no", "Yes/No", "no/yes", "Sorry, I can't see the image.", "I cannot see the picture",
    "As an AI, I cannot answer", "A dog.", "The image shows a cat.", "It is a cat.", "1", "0",
    "Right side of the street", "False teeth are shown", "C", "Nice no", "Not only a dog", "It might be",
    "This is a dog with no tail", "n/a", "Nottingham", "Whether there is a dog is unclear", "會", "不知道", "不确定",
    "我不确定", "我不知道。", "不太确定", "不清楚", "无法判断", "无法确定图中有没有狗", "看不清", "看不出来",
    "难以判断", "不能确定", "可能有", "也许是", "有可能", "是否", "是不是", "有没有", "是/否", "是或否",
    "对不起，我看不到图片", "对于这个问题", "对面是一家店", "不过", "不仅如此", "否则", "非常清楚", "这是一只猫",
    "红色", "没法说", "没问题", "不好说", "无论如何", "抱歉，没有图片", "图中可能有狗", "没有足够的信息", "。。。",
    "有点模糊", "有没有狗不清楚", "No doubt, yes", "A man is not here", "Ⅰ", "是非题", "对不对不好说",
    "没有图片我无法回答", "A", "好像不太清楚", "未知", "是一只猫",
]
# fmt: on
CASES = [(text, verdict) for verdict, texts in (("yes", YES), ("no", NO), ("unknown", UNKNOWN)) for text in texts]


@pytest.mark.parametrize(("text", "verdict"), CASES)
def test_table(text, verdict):
    assert yes_no(text) == verdict


def test_the_table_has_no_case_twice():
    assert len({text for text, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "wrap", ["{}\n", "  {}", "**{}**", "`{}`", "# {}", "{}<|im_end|>", "<think>hm, no. yes</think>\n\n{}"]
)
@pytest.mark.parametrize(
    ("text", "verdict"), [("Yes", "yes"), ("No, it is not.", "no"), ("没有", "no"), ("是的。", "yes")]
)
def test_wrapping_changes_nothing(wrap, text, verdict):
    assert yes_no(wrap.format(text)) == verdict


@pytest.mark.parametrize(("text", "verdict"), CASES)
def test_case_and_what_follows_the_first_sentence_change_nothing(text, verdict):
    assert yes_no(text.upper()) == verdict
    if verdict != "unknown":
        assert yes_no(f"{text}\nNo. 没有。Yes. 是的。") == verdict


@given(st.text(max_size=200))
def test_any_text_has_one_of_three_verdicts(text):
    assert yes_no(text) in ("yes", "no", "unknown")


def test_long_answers_take_no_time():
    for text in (
        "the " * 50_000,
        "不" * 50_000,
        "a-" * 50_000,
        "(" * 50_000,
        "<think>" * 20_000,
        "answer is " * 20_000,
    ):
        yes_no(text)
