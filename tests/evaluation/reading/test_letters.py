"""Option letters: official digits, and the strict reading, whose table of cases is its definition.

Whoever changes the reading changes a line here first.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from official import oracle

from skymm.evaluation.reading.letters import official_mmbench, official_mmbench_letter, option_letter

ENGLISH = {"A": "cat", "B": "dog", "C": "red car", "D": "blue boat"}
CHINESE = {"A": "猫", "B": "狗", "C": "红色的车", "D": "蓝色的船"}
# fmt: off
# Answers that choose B (dog, 狗) whichever language the options have.
CHOOSE_B = [
    "B", " B\n", "B.", "B。", "B!", "(B)", "( B )", "[B]", "{B}", "【B】", "（B）", "Ｂ", "Ｂ．", "B)", "B）", "B:",
    "**B**", "*B*", "`B`", "\"B\"", "“B”", "「B」", "__B__", "$B$", "\\boxed{B}", "$\\boxed{\\text{B}}$", "b", "b.",
    "(b)", "b)", "（b）", "- B", "> B", "### B", "B</s>", "B<|im_end|>", "<answer>B</answer>",
    "<think>A? No, C.</think>B", "<think>A</think>\n\nB.", "Option B", "option b", "Option (B)", "Choice B.",
    "Letter B", "选项B", "选项 B。", "B选项", "B 选项。", "B项", "Answer: B", "Answer: b", "answer is B",
    "The answer is B", "The answer is B.", "the answer is b", "The answer is (B).", "The answer is: B",
    "The answer is **B**.", "The correct answer is **B**", "The correct answer is option B.",
    "The correct option is B", "The right choice is (B)", "The best answer is B, because it barks.",
    "My answer is B.", "The answer would be B.", "The answer should be B", "The answer is most likely B.",
    "The answer is probably B", "The answer is clearly option B.", "Final answer: B", "**Final Answer:** B",
    "**Answer:**\nB", "Answer:\n\nB.", "Answer = B", "The answer to this question is B.", "So the answer is B.",
    "Therefore, the correct answer is B.", "Therefore, B.", "Thus: B", "So, B.", "Sure, B.", "I choose B",
    "I choose B.", "I would choose option B.", "I'd pick B", "I'd say B.", "I think B.", "I think it's B.",
    "I believe it is B.", "I think that it is option B", "I'll go with B.", "My choice: B", "I select (B)", "It's B.",
    "It is B", "It must be B.", "It is option B", "B is correct.", "B is the correct answer.", "B is right",
    "B is the best choice.", "Option B is correct.", "(B) is correct", "(B) is the right answer.", "B: correct",
    "B would be the correct option", "Only option B is correct.", "Answer: B\nExplanation: it is outside.",
    "B\n\nThe animal has long ears.", "B. It has long ears.", "B, because it has a tail.", "B because of the tail",
    "B - it has a tail", "B, though I am not sure about the breed.", "Let me think step by step.\n\nB",
    "Let me think.\nThe answer is B.", "It is hard to say at first. The answer is B.", "Not A. The answer is B.",
    "It is not A, it is B.", "The answer is not A but B.", "The answer is B, not C.", "B rather than C", "B, not A.",
    "B instead of A.", "A is wrong. B is right.", "Option A is incorrect. Option B is correct.",
    "A is incorrect, so the answer is B.", "A and C are wrong, so B.", "Neither A nor C is right; the answer is B.",
    "Not A, C or D. The answer is B.", "We can rule out A and C. The answer is B.",
    "Between A and B, the answer is B.", "Is it A or B? The answer is B.", "I first chose A. Final answer: B",
    "The answer is B. A tail is visible.", "Vitamin C helps. The answer is B.", "A U-shaped road. Answer: B",
    "I see it. It is B.", "选B", "选 B", "选择B", "选择 B。", "选（B）", "我选B", "我选择B。", "应选B", "应该选B",
    "故选B", "故选：B．", "所以选B。", "因此选择 B", "本题选B", "选的是B", "选B。因为它有尾巴", "选B，不选A",
    "不选A，选B", "答案B", "答案：B", "答案：B。", "答案是B", "答案是 B。", "答案是（B）", "答案为B", "答案为：B",
    "答案选B", "答案应该是B", "答案应为 B", "答案就是B", "答案很可能是B", "正确答案是B", "正确答案：B",
    "正确答案为 B。", "正确选项为 B", "正确选项是（B）。", "正确的选项是B", "正确的答案是：B", "最终答案：B",
    "最终答案是B。", "**答案：** B", "答案：\nB", "答：B", "答:选B", "我的答案是B", "我认为B", "我认为是B。",
    "我觉得应该是B", "我觉得选B", "应该是B", "是B", "是B。", "就是B吧", "B吧", "B，因为它有尾巴", "B。因为它有尾巴",
    "B正确", "B 正确。", "B是正确的", "B是对的", "B对", "B选项正确", "B项正确。", "选项B是正确的。",
    "B 选项是正确答案", "B最合适", "B符合题意", "不是A，是B", "不是A，而是B", "不是A而是B。", "不是A是B",
    "答案不是A，是B", "答案不是A，而是B。", "并非A，而是B", "排除A，选B", "排除A、C、D，选B", "A不对，选B",
    "A错误，B正确", "A不正确，B正确。", "A、C不对，答案是B", "A是错的，B是对的", "A和C都不对，选B", "综上，选B",
    "综上所述，答案是B。", "因此，B。", "所以答案是B", "先看A，不对。答案是B。", "不好判断。答案是B。",
    "A可以排除，所以选B", "B，而不是A", "而非A，是B", "Ｂ。", "ｂ", "选Ｂ", "A. 这个不对\n答案：B",
    "A不是，B是正确的", "答案是B选项", "答案是选项B", "我选B项", "选B吧", "应选（B）项", "结论：B", "选B呢",
    "The answer is\nB", "The answer is B:", "ANSWER: B", "(B) because of the ears", "Answer - B", "Ans: B",
    "B is the answer", "The correct answer is:\n\n**B. It barks**", "The option that best describes the image is B.",
    "Based on the image, the correct answer is B.", "图中的动物是B。", "选项B最符合图片内容",
    "Option B seems to be the most suitable.", "B (confidence: 90%)", "是B不是A", "是B而不是A", "It is B, not A",
    "It is B not A", "I don't think it is A. It is B.", "我不认为是A，我选B", "A? No. B.", "選B", "答案為B",
    "正確答案是B。", "應該選擇 B", "A錯誤，B正確", "I would choose B as the answer.", "根据图片，正确答案是 B。",
    "B 不是 A", "The answer is definitely B!", "除了A，都不对。答案是B。", "Which one? B.",
    "Correct: B", "【答案】B", "【答案】 B\n【解析】图中有长耳朵", "It's definitely not A. Probably B.",
    "解析：A项错误，C项错误，D项错误，故B项正确。", "A. (incorrect)\nB. (correct)\nC. (incorrect)",
    "So the final answer is \\( \\boxed{B} \\).", "选项 B。\n\n选项A、C和D都不在图中。",
]
# Answers in the words of the options.
ENGLISH_B = [
    "The answer is a small dog. A cat is near.",
    "dog", "Dog.", "DOG", "a dog", "A dog", "The dog.", "**dog**", "B. dog", "B: dog", "B) dog", "(B) dog", "B, dog",
    "B dog", "B - dog", "(B) Dog.", "Option B: dog", "It is a dog.", "It's a dog", "This is a dog.",
    "The image shows a dog.", "There is a dog in it.", "The answer is dog", "The answer is a dog.",
    "The answer is: a dog", "Answer: dog", "The correct answer is dog.", "Answer: B. dog", "The answer is B. dog",
    "The answer is B (dog).", "The answer is B: dog, not A: cat.", "Answer: B dog", "I think it is a dog.",
    "I see a dog.", "A small dog is there.", "It is not a cat but a dog.", "It's a dog, not a cat.",
    "It is a dog rather than a cat.", "There is no cat. There is a dog.", "It isn't a cat. It's a dog.",
    "The dog has no red car.", "The cat is not there, the dog is.", "A cat is near. The answer is dog.",
    "Let us see. A: cat, no. The answer is dog.", "Not A. It is a dog.", "dog\n",
    "A. cat\nB. dog\nC. red car\nD. blue boat\nAnswer: B", "答案是dog", "图中是dog", "是dog，不是cat",
    "A dog, of course.", "the dog", "Without a cat, a dog.", "It is a dog and no cat.", "答案：dog。",
    "A is a cat. The answer is dog.",
]
CHINESE_B = [
    "狗", "狗。", "是狗", "是狗。", "一只狗", "这是狗", "这是一只狗。", "图中是一只狗。", "图片里有一只狗。",
    "答案是狗", "答案：狗", "答案是：狗。", "正确答案是狗", "B. 狗", "B．狗", "B、狗", "B：狗", "B 狗", "B狗",
    "（B）狗", "选B，狗", "选B狗", "答案是B. 狗", "答案：B、狗。", "我认为是狗", "应该是狗", "不是猫，是狗",
    "不是猫，而是狗。", "不是猫而是狗", "不是猫是狗", "没有猫，只有狗。", "是狗，不是猫", "是狗不是猫", "狗，而非猫",
    "排除猫，是狗", "不是A，是狗", "图中没有猫。有一只狗。", "是狗，没有红色的车", "这是一只小狗，不是熊猫。",
    "不是熊猫，是狗", "**狗**", "「狗」", "The answer is 狗", "it is 狗", "看起来是狗", "画面中有狗",
    "没有红色的车，有狗", "不是黑色的猫，是狗", "猫不在图中，狗在。",
]
ENGLISH_OTHER = [
    ("A cat", "A"), ("A cat.", "A"), ("A", "A"), ("a", "A"), ("A.", "A"), ("(a)", "A"), ("A is correct.", "A"),
    ("The answer is A.", "A"), ("The answer is a", "A"), ("The answer is A because it purrs", "A"),
    ("A because it purrs", "A"), ("A: cat", "A"), ("a cat", "A"), ("The answer is a red car.", "C"),
    ("A red car is parked.", "C"), ("A blue boat", "D"), ("It is a red car.", "C"), ("D. blue boat", "D"),
    ("the blue boat", "D"), ("red car", "C"), ("A red car, not a cat.", "C"), ("The answer is A blue boat", "D"),
    ("A small cat.", "A"), ("选A", "A"), ("选D", "D"), ("故选D．", "D"),
]
NOTHING = [
    "B, maybe", "B, perhaps.", "B，也许", "B（可能）",
    "", "  ", "...", "。", "E", "(E)", "F.", "选E", "答案：E", "AB", "ABCD", "A or B", "A or B.", "A/B", "A、B",
    "A和B", "A或B", "A或者B", "A and B", "A, B", "A & B", "(A) or (B)", "Option A or option B",
    "The answer is A or B.", "The answer is A and B", "选A或B", "选A、B", "答案是A或B", "答案：A和B", "A和B都正确",
    "A and B are both correct.", "Both A and B", "A还是B", "Either A or B", "选A。选B。", "A\nB",
    "答案是A。答案是B。", "A is correct. B is correct.", "The answer is A. The answer is B.", "B. The answer is C.",
    "A. cat\nB. dog", "A. 猫\nB. 狗", "(A) (B)", "B is correct. B is wrong.", "选B。B不对。", "The answer is not B",
    "不选B", "不是B", "B不对", "B is wrong.", "B is not correct.", "B isn't right", "排除B", "B错误",
    "Neither A nor B", "None of the above", "None of these.", "All of the above", "以上都不是", "以上都对", "都不对",
    "都正确", "Sorry, I can't help with images of people.", "I'm sorry, but I cannot answer.",
    "I cannot determine the answer.", "I don't know.", "Not sure.", "I am not sure, maybe B", "Maybe B", "Perhaps B.",
    "It could be B", "It might be B.", "I'm not sure whether it is B.", "I cannot tell whether B is right",
    "B might be right", "无法确定", "不确定", "不知道", "我不知道选什么", "无法判断是不是B", "可能是B", "也许是B",
    "或许选B", "抱歉，我看不到图片。", "对不起，我不能回答。", "看不清", "难以判断选B还是选C", "是否选B不清楚",
    "B可能对", "Vitamin C", "vitamin B is healthy", "B型血", "U-shaped", "A-frame", "T-shirt", "plan B",
    "Team B won 3 to 2", "B's house", "I", "I think so", "A", "A man is walking.", "A tall building", "a man",
    "I see something", "Yes", "no", "是的", "没有", "42", "Norway", "cats and dogs", "a bird", "鸟", "是一只鸟。",
    "The picture shows a park.", "这是一个公园", "As an AI, I cannot see the image.", "not A", "Not A, not B",
    "不是A，也不是B", "<think>B", "<think>the answer is B", "C, D or B", "bad", "Bob", "Cab", "ABC is shown", "A4纸",
    "C++", "问题", "选择题", "选什么", "答案", "The answer is", "Answer:", "答案是", "选", "Either could be right.",
    "B?", "选B？", "Is it B?", "是B吗？", "The answer cannot be B.", "I don't think it is B.", "我不认为是B",
    "我不觉得应该选B", "除B外", "没有正确答案", "Unable to determine, B", "选A还是选B？", "Which is it, A or B?",
    "A股", "B超", "the letters A to D", "不選B", "option", "A is bigger than B",
]
ENGLISH_NOTHING = [
    "Not A. It is a cat.", "All of these, the dog too.", "None of them, but a dog is near.",
    "A) cat B) dog C) red car D) blue boat", "(A) cat (B) dog", "B isn't easy to see, but the answer is B.",
    "cat and dog", "a cat or a dog", "dog, cat", "The cat chases the dog.", "It is not a dog.", "no dog",
    "There is no dog.", "It isn't a dog", "hotdog", "doghouse", "catalogue", "a scat", "A. dog", "B. cat",
    "The answer is A: dog", "Maybe a dog", "It might be a dog.", "I'm not sure, a dog?",
    "It could be a dog or a cat.", "neither a cat nor a dog", "without a dog", "red", "car", "a red", "dogs",
    "It is not the dog or the cat.", "答案是A. dog", "It is unclear if there is a dog.",
    "The dog is not in the picture.", "a boat", "Z", "The answer is a bird.", "I cannot see a dog.",
]
CHINESE_NOTHING = [
    "不是A，是猫", "以上都对，狗也对",
    "猫和狗", "猫或狗", "不是狗", "没有狗", "图中没有狗。", "狗不在图中", "熊猫", "是熊猫。", "热狗", "A. 狗",
    "B. 猫", "答案是A：狗", "可能是狗", "也许是狗", "不确定是不是狗", "像猫又像狗", "车", "红色", "不是猫也不是狗",
    "既不是猫也不是狗", "无法确定是狗还是猫", "有一只猫和一只狗", "红车", "这不是狗", "并非狗", "看不到狗",
]
# fmt: on


@pytest.mark.parametrize("options", [ENGLISH, CHINESE], ids=["english", "chinese"])
@pytest.mark.parametrize("text", CHOOSE_B)
def test_letters_are_read_in_both_languages(text, options):
    assert option_letter(text, options) == "B"


@pytest.mark.parametrize("text", CHOOSE_B)
def test_letters_are_read_where_the_words_of_the_options_are_not_known(text):
    assert option_letter(text, dict.fromkeys("ABCD", "")) == "B"


@pytest.mark.parametrize("text", ENGLISH_B)
def test_english_words(text):
    assert option_letter(text, ENGLISH) == "B"


@pytest.mark.parametrize("text", CHINESE_B)
def test_chinese_words(text):
    assert option_letter(text, CHINESE) == "B"


@pytest.mark.parametrize(("text", "letter"), ENGLISH_OTHER)
def test_the_article_is_no_letter(text, letter):
    assert option_letter(text, ENGLISH) == letter


@pytest.mark.parametrize("text", [text for text in NOTHING if text != "A"])
@pytest.mark.parametrize("options", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_refusals_contradictions_and_other_things_are_unknown(text, options):
    assert option_letter(text, options) == "unknown"


@pytest.mark.parametrize("text", ENGLISH_NOTHING)
def test_english_words_that_choose_nothing(text):
    assert option_letter(text, ENGLISH) == "unknown"


@pytest.mark.parametrize("text", CHINESE_NOTHING)
def test_chinese_words_that_choose_nothing(text):
    assert option_letter(text, CHINESE) == "unknown"


SPECIAL = [
    # the longest match hides the shorter one inside it
    ("a red car", {"A": "car", "B": "red car"}, "B"),
    ("the car", {"A": "car", "B": "red car"}, "A"),
    ("这里没有人", {"A": "有", "B": "没有"}, "B"),
    ("小动物", {"A": "动物", "B": "小动物"}, "B"),
    ("动物园", {"A": "动物", "B": "植物"}, "unknown"),
    ("这是机器人", {"A": "人", "B": "狗"}, "unknown"),
    ("大熊猫", {"A": "熊猫", "B": "狗熊"}, "A"),
    ("It is a red car.", {"A": "car", "B": "red car"}, "B"),
    ("A dog house", {"A": "dog", "B": "dog house"}, "B"),
    # numbers are whole
    ("3", {"A": "1", "B": "3"}, "B"),
    ("There are 3 dogs.", {"A": "1", "B": "3"}, "B"),
    ("13", {"A": "1", "B": "3"}, "unknown"),
    ("3.5", {"A": "3", "B": "3.5"}, "B"),
    ("3.5", {"A": "3", "B": "5"}, "unknown"),
    ("1,300", {"A": "1", "B": "300"}, "unknown"),
    ("答案是3个", {"A": "1", "B": "3"}, "B"),
    ("3只", {"A": "3只", "B": "2只"}, "A"),
    ("$5", {"A": "$5", "B": "$6"}, "A"),
    # yes and no as options
    ("Yes", {"A": "Yes", "B": "No"}, "A"),
    ("No, there is not.", {"A": "Yes", "B": "No"}, "B"),
    ("是的", {"A": "Yes", "B": "No"}, "A"),
    ("没有", {"A": "是", "B": "否"}, "B"),
    ("不是", {"A": "是", "B": "不是"}, "B"),
    ("It is not.", {"A": "Yes", "B": "No"}, "B"),
    ("对", {"A": "正确", "B": "错误"}, "A"),
    ("Not sure", {"A": "Yes", "B": "No"}, "unknown"),
    ("Yes and no", {"A": "Yes", "B": "No"}, "unknown"),
    ("The answer is no.", {"A": "yes", "B": "no"}, "B"),
    # options that are themselves refusals
    ("None of the above", {"A": "cat", "B": "None of the above"}, "B"),
    ("It cannot be determined.", {"A": "cat", "B": "cannot be determined"}, "B"),
    ("无法确定", {"A": "猫", "B": "无法确定"}, "B"),
    ("以上都不是", {"A": "猫", "B": "以上都不是"}, "B"),
    ("B. None of the above", {"A": "cat", "B": "None of the above"}, "B"),
    ("not sure", {"A": "cat", "B": "Not sure"}, "B"),
    ("The answer is unknown", {"A": "known", "B": "unknown"}, "B"),
    # other letters, lower-case keys, many options
    ("(b)", {"a": "Open", "b": "Closed"}, "b"),
    ("b) Closed", {"a": "Open", "b": "Closed"}, "b"),
    ("B", {"a": "Open", "b": "Closed"}, "b"),
    ("(a) Open", {"a": "Open", "b": "Closed"}, "a"),
    ("The door is closed.", {"a": "Open", "b": "Closed"}, "b"),
    ("The door is not closed.", {"a": "Open", "b": "Closed"}, "unknown"),
    ("a", {"a": "Open", "b": "Closed"}, "a"),
    ("(a) Open (b) Closed", {"a": "Open", "b": "Closed"}, "unknown"),
    ("选a", {"a": "Open", "b": "Closed"}, "a"),
    ("E", dict.fromkeys("ABCDE", ""), "E"),
    ("I", dict.fromkeys("ABCDEFGHI", ""), "I"),
    ("I. cat", dict.fromkeys("ABCDEFGHI", ""), "I"),
    ("I think it is G.", dict.fromkeys("ABCDEFGHI", ""), "G"),
    ("I'd say H", dict.fromkeys("ABCDEFGHI", ""), "H"),
    # options that begin or end with letters of their own
    ("C major", {"A": "C major", "B": "A minor", "C": "G major"}, "A"),
    ("The answer is C major", {"A": "C major", "B": "A minor", "C": "G major"}, "A"),
    ("B", {"A": "B", "B": "C", "C": "A"}, "B"),
    ("A. B", {"A": "B", "B": "C"}, "A"),
    ("Point B", {"A": "Point B", "B": "Point A"}, "A"),
    ("point a", {"A": "Point B", "B": "Point A"}, "B"),
    ("<image 2>", {"A": "<image 1>", "B": "<image 2>"}, "B"),
    # options that are the same choose nothing
    ("cat", {"A": "cat", "B": "cat"}, "unknown"),
    ("A cat", {"A": "dog", "B": "cat"}, "B"),
    ("", {}, "unknown"),
    ("A", {}, "unknown"),
    ("The man is riding a horse", {"A": "The man is riding a horse.", "B": "The man is walking a horse."}, "A"),
    ("The man is riding a horse in a field", {"A": "The man is riding a horse.", "B": "The man is walking."}, "A"),
    ("(A) B = 1;C = 2", {"A": "B = 1;C = 2", "B": "B = 1;C = 3"}, "A"),
    ("(A) B = 1;C = 2", {"A": "B = 1;C = 2", "B": "B = 1;C = 3"}, "A"),
    ("It is Don't", {"A": "don’t", "B": "do"}, "A"),
]


@pytest.mark.parametrize(("text", "options", "letter"), SPECIAL)
def test_options_of_every_kind(text, options, letter):
    assert option_letter(text, options) == letter


@pytest.mark.parametrize("texts", [CHOOSE_B, ENGLISH_B, CHINESE_B, NOTHING, ENGLISH_NOTHING, CHINESE_NOTHING])
def test_no_case_stands_twice(texts):
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("wrap", ["{}\n", "  {}", "**{}**", "# {}", "{}<|im_end|>", "<think>A, no, C</think>\n\n{}"])
@pytest.mark.parametrize("text", ["B", "(B)", "选B", "答案是B。", "The answer is B.", "狗"])
def test_wrapping_changes_nothing(wrap, text):
    assert option_letter(wrap.format(text), CHINESE) == "B"


ROTATED = {"A": "D", "B": "A", "C": "B", "D": "C"}


@pytest.mark.parametrize(
    "text",
    ["A", "选A", "The answer is A.", "不是B，是A", "(A)", "B is wrong. A is right.", "A、B都不对，选C", "故选D．"],
)
def test_no_letter_is_special(text):
    """Letters renamed, the verdict is renamed with them."""
    renamed = "".join(ROTATED.get(character, character) for character in text)
    options = dict.fromkeys("ABCD", "")
    assert option_letter(renamed, options) == ROTATED[option_letter(text, options)]


@example(text="{<", options={})
@given(st.text(max_size=200), st.dictionaries(st.sampled_from("ABCDE"), st.text(max_size=12), max_size=5))
def test_any_text_gives_a_choice_or_unknown(text, options):
    assert option_letter(text, options) in {*options, "unknown"}


@given(st.text(st.sampled_from("AB ()选项是不答案:.。,，或和orantsweil"), max_size=30))
def test_what_is_read_stands_in_the_answer(text):
    letter = option_letter(text, {"A": "", "B": ""})
    assert letter == "unknown" or letter in text.upper()


def test_long_answers_take_no_time():
    for part in (
        "the ",
        "不",
        "A-",
        "(",
        "<think>",
        "answer is ",
        "A or ",
        "not ",
        "不是A",
        "选",
        "the answer is B. ",
        "A. ",
    ):
        option_letter(part * 2000, CHINESE)


OFFICIAL = [
    # letter by itself, then with the words
    ("B", "B", "B"),
    ("(B)", "B", "B"),
    ("B.", "B", "B"),
    ("b", None, None),
    ("选B", None, None),
    ("答案：B。", None, None),
    ("答案是 B", "B", "B"),
    ("A dog", "A", "A"),  # the article is a letter
    ("A and B", None, None),
    ("It is a dog", None, "B"),
    ("a dog or a cat", None, None),
    ("B one two three", "B", "B"),
    ("B one two three four", None, None),
    ("B it is since it has two long ears", None, None),  # only the last four words count
    ("the answer is **b**, that is what I would say here", "B", "B"),
    ("the answer is dog", "D", "D"),  # the d of dog
    ("Cannot determine the answer", "Z", "Z"),
    ("Z", "Z", "Z"),
    ("", None, None),
]


@pytest.mark.parametrize(("text", "letter", "inferred"), OFFICIAL)
def test_the_official_rule_with_its_quirks(text, letter, inferred):
    assert official_mmbench_letter(text, ENGLISH) == letter
    assert official_mmbench(text, ENGLISH) == inferred


def test_the_official_rule_agrees_on_awkward_answers():
    official = json.loads(oracle("parsers/vlmevalkit_can_infer.json").read_text("utf-8"))
    assert len(official["rows"]) == 35
    for row in official["rows"]:
        assert (official_mmbench_letter(row["response"], official["choices"]) or False) == row["option"], row
        assert (official_mmbench(row["response"], official["choices"]) or False) == row["infer"], row
