"""The sentences of questions and answers about what is there and what is not, by kind and language.

Several for each, so that a model learns the meaning and no phrase. A yes/no question stands with the short answers that
fit it. Explained answers begin with yes or no, for that is what they are read by.
"""

from __future__ import annotations

from collections.abc import Mapping

Asked = tuple[str, str, str]  # question, yes, no
_EN = ("Yes.", "No.")
_SHI, _DUI, _YOU, _NENG = ("是的。", "不是。"), ("对。", "不对。"), ("有。", "没有。"), ("能。", "不能。")

QUESTIONS: Mapping[str, Mapping[str, tuple[Asked, ...]]] = {
    "existence": {
        "en": (
            ("{Verb} there {any} in the picture?", *_EN),
            ("{Verb} there {any} in this image?", *_EN),
            ("Can you see {any} in the picture?", *_EN),
            ("Do you see {any} in this photo?", *_EN),
            ("Does the picture show {any}?", *_EN),
            ("{Verb} {any} visible in the image?", *_EN),
            ("{Do} {any} appear in the picture?", *_EN),
        ),
        "zh": (
            ("图里有{noun}吗？", *_YOU),
            ("图中有没有{noun}？", *_YOU),
            ("这张图片里有{noun}吗？", *_YOU),
            ("画面中有{noun}吗？", *_YOU),
            ("图中是否有{noun}？", *_YOU),
            ("能在图里看到{noun}吗？", *_NENG),
            ("你能在这张照片里看到{noun}吗？", *_NENG),
        ),
    },
    "color": {
        "en": (
            ("{Verb} the {noun} {value}?", *_EN),
            ("{Verb} the {noun} in the picture {value}?", *_EN),
            ("Would you say that the {noun} {verb} {value}?", *_EN),
            ("Looking at the image, {verb} the {noun} {value}?", *_EN),
        ),
        "zh": (
            ("图里的{noun}是{value}吗？", *_SHI),
            ("{noun}是{value}吗？", *_SHI),
            ("图中的{noun}是不是{value}？", *_SHI),
            ("画面里的{noun}是{value}，对吗？", *_DUI),
        ),
    },
    "attribute": {
        "en": (
            ("{Verb} the {noun} {value}?", *_EN),
            ("{Verb} the {noun} in the picture {value}?", *_EN),
            ("Looking at the image, {verb} the {noun} {value}?", *_EN),
        ),
        "zh": (
            ("图里的{noun}{value}吗？", *_SHI),
            ("画面中的{noun}{value}，对吗？", *_DUI),
            ("从图上看，{noun}{value}吗？", *_SHI),
        ),
    },
    "count": {
        "en": (
            ("{Be} there exactly {value} in the picture?", *_EN),
            ("Does the picture show exactly {value}?", *_EN),
            ("Can you count exactly {value} in this image?", *_EN),
            ("Is the number of {nouns} in the picture {number}?", *_EN),
        ),
        "zh": (
            ("图里正好有{value}吗？", *_SHI),
            ("图里一共有{value}，对吗？", *_DUI),
            ("图中{noun}的数量是{number}{measure}吗？", *_SHI),
            ("画面里总共有{value}，是吗？", *_SHI),
        ),
    },
    "position": {
        "en": (
            ("{Verb} the {noun} {value} the {object}?", *_EN),
            ("In the picture, {verb} the {noun} {value} the {object}?", *_EN),
            ("Looking at the image, {verb} the {noun} {value} the {object}?", *_EN),
        ),
        "zh": (
            ("图里的{noun}在{object}{value}吗？", *_SHI),
            ("{noun}在{object}{value}吗？", *_SHI),
            ("画面中{noun}是在{object}{value}吗？", *_SHI),
            ("{noun}在{object}{value}，对吗？", *_DUI),
        ),
    },
    "OCR": {
        "en": (
            ('Does the writing in the picture say "{value}"?', *_EN),
            ('Does it say "{value}" in the picture?', *_EN),
            ('Can you read "{value}" in this image?', *_EN),
            ('Is "{value}" written in the picture?', *_EN),
        ),
        "zh": (
            ("图里写着“{value}”吗？", *_SHI),
            ("图中的文字是“{value}”吗？", *_SHI),
            ("图上写的是“{value}”，对吗？", *_DUI),
            ("能在图里读到“{value}”吗？", *_NENG),
        ),
    },
}

DENIED: Mapping[str, tuple[str, ...]] = {
    "en": ("No, there {verb} no {noun} in the picture.", "No, the picture does not show {any}."),
    "zh": ("{lead}，图里没有{noun}。", "{lead}，图中看不到{noun}。"),
}

# {value} is what was asked, {truth} what is so, {lead} the yes or no that fits the question.
EXPLAINED: Mapping[str, Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "existence": {
        "en": (
            ("Yes, there {verb} {some} in the picture.", "Yes, the picture shows {some}.", "Yes, I can see {some}."),
            (
                *DENIED["en"],
                "No, there {verb} no {noun} in the picture; I can see {seen}.",
                "No, I do not see {any} here. The picture shows {seen}.",
                "No, there {verb} no {noun}. What I can see is {seen}.",
                "No, the picture shows {seen}, but no {noun}.",
            ),
        ),
        "zh": (
            ("{lead}，图里有{some}。", "{lead}，能看到{some}。", "{lead}，图中有{some}。"),
            (
                *DENIED["zh"],
                "{lead}，图里没有{noun}，能看到{seen}。",
                "{lead}，图中看不到{noun}，{seen_there}。",
                "{lead}，{seen_there}，但没有{noun}。",
            ),
        ),
    },
    "color": {
        "en": (
            ("Yes, the {noun} {verb} {truth}.", "Yes, {they} {verb} {truth}."),
            (
                "No, the {noun} {verb} {truth}.",
                "No, the {noun} {verb} {truth}, not {value}.",
                "No, {they} {verb} not {value}; the {noun} {verb} {truth}.",
            ),
        ),
        "zh": (
            ("{lead}，{noun}是{truth}。", "{lead}，图里的{noun}是{truth}。"),
            (
                "{lead}，{noun}是{truth}。",
                "{lead}，{noun}不是{value}，而是{truth}。",
                "{lead}，图里的{noun}不是{value}，是{truth}。",
            ),
        ),
    },
    "attribute": {
        "en": (
            ("Yes, the {noun} {verb} {truth}.", "Yes, {they} {verb} {truth}."),
            ("No, the {noun} {verb} {truth}.", "No, the {noun} {verb} not {value}; {they} {verb} {truth}."),
        ),
        "zh": (
            ("{lead}，{noun}{truth}。", "{lead}，图里的{noun}{truth}。"),
            ("{lead}，{noun}{truth}。", "{lead}，图里的{noun}{truth}。"),
        ),
    },
    "count": {
        "en": (
            ("Yes, there {be} {truth} in the picture.", "Yes, I count {truth}."),
            (
                "No, there {be} {truth} in the picture.",
                "No, I count {truth}.",
                "No, the picture shows {truth}, not {number}.",
            ),
        ),
        "zh": (
            ("{lead}，图里有{truth}。", "{lead}，一共有{truth}。"),
            (
                "{lead}，图里有{truth}。",
                "{lead}，一共有{truth}，不是{number}{measure}。",
                "{lead}，数一数，图里有{truth}。",
            ),
        ),
    },
    "position": {
        "en": (
            ("Yes, the {noun} {verb} {truth} the {object}.", "Yes, {they} {verb} {truth} the {object}."),
            (
                "No, the {noun} {verb} {truth} the {object}.",
                "No, the {noun} {verb} not {value} the {object} but {truth} it.",
            ),
        ),
        "zh": (
            ("{lead}，{noun}在{object}{truth}。", "{lead}，图里的{noun}在{object}{truth}。"),
            ("{lead}，{noun}在{object}{truth}。", "{lead}，{noun}不在{object}{value}，而是在{object}{truth}。"),
        ),
    },
    "OCR": {
        "en": (
            ('Yes, it says "{truth}".', 'Yes, the writing in the picture is "{truth}".'),
            ('No, it says "{truth}".', 'No, the writing is "{truth}", not "{value}".'),
        ),
        "zh": (
            ("{lead}，写的是“{truth}”。", "{lead}，图里的文字是“{truth}”。"),
            ("{lead}，写的是“{truth}”。", "{lead}，图里写的是“{truth}”，不是“{value}”。"),
        ),
    },
}

# Open questions: (question, true answers); the same question about what is not there is a false premise.
OPEN: Mapping[str, Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "color": {
        "en": (
            ("What color {verb} the {noun}?", "What is the color of the {noun} in the picture?"),
            ("The {noun} {verb} {truth}.", "{They} {verb} {truth}."),
        ),
        "zh": (
            ("{noun}是什么颜色的？", "图里的{noun}是什么颜色？", "请说出图中{noun}的颜色。"),
            ("{noun}是{truth}。", "图里的{noun}是{truth}。"),
        ),
    },
    "count": {
        "en": (
            ("How many {nouns} are there in the picture?", "How many {nouns} can you see?"),
            ("There {be} {truth} in the picture.", "I can see {truth}."),
        ),
        "zh": (
            ("图里有几{measure}{noun}？", "图中一共有多少{measure}{noun}？"),
            ("图里有{truth}。", "一共有{truth}。"),
        ),
    },
    "position": {
        "en": (
            ("Where {verb} the {noun}?", "Where in the picture {verb} the {noun}?"),
            ("The {noun} {verb} {truth} the {object}.", "{They} {verb} {truth} the {object}."),
        ),
        "zh": (
            ("{noun}在哪里？", "图里的{noun}在什么地方？"),
            ("{noun}在{object}{truth}。", "图里的{noun}在{object}{truth}。"),
        ),
    },
}
DENIALS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "There {verb} no {noun} in the picture.",
        "I do not see {any} in the picture.",
        "The picture does not show {any}.",
        "There {verb} no {noun} here; the picture shows {seen}.",
    ),
    "zh": (
        "图里没有{noun}。",
        "图中看不到{noun}。",
        "这张图片里没有{noun}。",
        "图里没有{noun}，能看到{seen}。",
    ),
}
# What preference learning sets against DENIED: in the same place, the same made an assent.
ASSENTS: Mapping[str, tuple[str, ...]] = {
    "en": ("Yes, there {verb} {some} in the picture.", "Yes, the picture shows {some}."),
    "zh": ("{lead}，图里有{some}。", "{lead}，图中能看到{some}。"),
}
PREMISED: Mapping[str, str] = {"en": "There {verb} no {noun} in the picture.", "zh": "图里没有{noun}。"}
DESCRIBE: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Describe this picture.",
        "What can be seen in the picture?",
        "Describe the image in one sentence.",
        "What does this image show?",
        "Write a caption for this photo.",
    ),
    "zh": (
        "请描述这张图片。",
        "图里有什么？",
        "用一句话描述这张图片。",
        "这张图片展示了什么？",
        "请为这张照片写一句说明。",
    ),
}
