"""How people ask for a translation, in either language, of a sentence or of a word."""

from __future__ import annotations

import random
from typing import Literal

from skymm.conversation import Turn

_SENTENCE = {
    "en": (
        "Translate into English: {}",
        "Translate this sentence into English: {}",
        "How would you say this in English? {}",
        "翻译成英文：{}",
        "请把下面的句子译成英文：{}",
        "这句话用英语怎么说？{}",
    ),
    "zh": (
        "Translate into Chinese: {}",
        "Translate this sentence into Chinese: {}",
        "How would you say this in Chinese? {}",
        "翻译成中文：{}",
        "请把下面的句子译成中文：{}",
        "这句话用中文怎么说？{}",
    ),
}
_WORD = {
    "en": (
        "What does “{}” mean in English?",
        "Translate the word “{}” into English.",
        "“{}”用英文怎么说？",
        "“{}”这个词的英文是什么？",
    ),
    "zh": (
        "What is the Chinese word for “{}”?",
        "How do you say “{}” in Chinese?",
        "“{}”用中文怎么说？",
        "哪个中文词的意思是“{}”？",
    ),
}


def translation(
    rng: random.Random, source: str, target: str, language: Literal["en", "zh"], *, word: bool = False
) -> tuple[Turn, Turn]:
    """A question for the translation of `source` and its answer `target`, which is in `language`."""
    question = rng.choice((_WORD if word else _SENTENCE)[language]).format(source)
    return Turn("user", question), Turn("assistant", target, (), "positive", "text_translation", language)
