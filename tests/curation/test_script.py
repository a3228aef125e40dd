"""Chinese in one script, marks and spaces as training should see them, and what is written in a picture as it is."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.conversation import Turn
from skymm.curation.record import Caption, Facts, Record
from skymm.curation.script import convert, mend, tidy, to_script

SIMPLIFIED, TRADITIONAL = "皇后在后面，她的头发是干的。", "皇后在後面，她的頭髮是乾的。"
BOTH = {
    TRADITIONAL: SIMPLIFIED,  # phrases decide
    # as Taiwan writes it
    "她看著穿著紅衣的著名作家": "她看着穿着红衣的著名作家",
    "原著的作者執著地寫著": "原著的作者执着地写着",
    "為什麼麵條在裡面": "为什么面条在里面",
}
CHINESE = {
    "两只狗,一只猫。": "两只狗，一只猫。",
    "两只狗，一只猫。": "两只狗，一只猫。",
    "这是什么?是狗!": "这是什么？是狗！",
    "这是狗.": "这是狗。",
    "这是“狗”.": "这是“狗”。",
    "比例是3:4,重3.5公斤": "比例是3:4,重3.5公斤",
    "他叫Tom, 很高": "他叫Tom, 很高",
    "等等...": "等等...",
    "Ｔ恤１２件　共５０％": "T恤12件 共50%",
    "（左）：一只狗；（右）：两只猫～": "（左）：一只狗；（右）：两只猫～",
    "  两只\u200b狗  和\t猫 \r\n 第二行  ": "两只狗 和 猫\n第二行",
    "½ 杯 ㎡ ①": "½ 杯 ㎡ ①",
    "坏\ud83d的": "坏的",
    "👩\u200d🍳在做饭": "👩\u200d🍳在做饭",
}
ENGLISH = {
    "A dog， a cat！": "A dog, a cat!",
    "Ｈｅｌｌｏ": "Hello",
    "The sign says 你好，世界": "The sign says 你好，世界",
    "e\u0301te\u0301": "été",
    "soft\u00adhyphen\ufeff  and \x07bell": "softhyphen and bell",
    "don’t “quote” – this…": "don’t “quote” – this…",
    "| a | b |\n|---|---|": "| a | b |\n|---|---|",
}


def test_conversion_knows_phrases_and_leaves_the_rest():
    for traditional, simplified in BOTH.items():
        for text in (traditional, simplified):
            assert convert(text, "simplified") == simplified and convert(text, "traditional") == traditional, text
    assert convert("A dog, 狗", "traditional") == "A dog, 狗"
    assert convert("東京の図書館で働く", "simplified") == "東京の図書館で働く", "Japanese"
    assert convert("招牌寫著“臺灣”，在臺灣", "simplified", keep=("臺灣”", "a")) == "招牌写着“臺灣”，在台湾"
    assert convert("寫著(臺.灣)", "simplified", keep=("(臺.灣)",)) == "写着(臺.灣)"


def test_texts_are_tidied():
    assert {text: tidy(text, "zh") for text in CHINESE} == CHINESE
    assert {text: tidy(text, "en") for text in ENGLISH} == ENGLISH


def _western(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def test_wrong_encodings_are_mended():
    texts = ["café à la crème", "naïve – “yes”", "两只狗在草地上奔跑，天气很好", "中文的字", "好", "你好，世界"]
    for text in [*texts, "日本語のテキスト", "Привет", "👍🏽"]:
        data = text.encode()
        assert mend("".join(map(_western, data))) == text
        with contextlib.suppress(UnicodeDecodeError):
            wrong = data.decode("gb18030")
            assert mend(wrong) == text or sum("一" <= each <= "鿿" for each in text) < 4
        assert mend(text) == text


def test_true_chinese_is_never_taken_for_garbled():
    """Frequent words, and pairs of them."""
    import jieba

    jieba.initialize()
    frequent = sorted((word for word in jieba.dt.FREQ if jieba.dt.FREQ[word] > 300), key=jieba.dt.FREQ.get)[-12000:]
    assert len(frequent) > 10000
    assert "悖规定".encode("gb18030").decode("utf-8") and mend("悖规定") == "悖规定"  # a few short ones are both
    assert [word for word in frequent if mend(word) != word] == []
    assert [a + b for a, b in zip(frequent, reversed(frequent)) if mend(a + b) != a + b] == []


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["en", "zh"]))
def test_tidying_twice_is_tidying_once(text, language):
    once = tidy(text, language)
    assert tidy(once, language) == once
    once.encode()  # no halves of surrogate pairs are left


def test_what_went_wrong_twice_is_mended_twice():
    once = "".join(map(_western, "crème".encode()))
    assert tidy("".join(map(_western, once.encode())), "en") == "crème"
    assert tidy("\x80\u00c2\u00a1", "en") == "¡"


def test_everything_that_is_said_is_converted():
    captions = (("兩隻貓 &amp; 一隻狗", "zh"), ("Tom &amp; Jerry，", "en"), ("R&D ?a=1&copy=2", "en"))
    turns = (
        Turn("user", "有幾隻貓?", ("jpg",)),
        Turn("assistant", "兩隻。", (), "positive", "count", "zh"),
        Turn("user", "What does 臺灣 mean? &amp;"),
        Turn("assistant", "臺灣 is Taiwan.", language="en"),
    )
    extra = {"source": "兩", "rejected": "三隻"}
    record = Record("a", captions=tuple(Caption(*each) for each in captions), turns=turns, extra=extra)
    simple = to_script(record, "simplified")
    assert [caption.text for caption in simple.captions] == ["两只猫 & 一只狗", "Tom & Jerry,", "R&D ?a=1&copy=2"]
    said = ["有几只猫？", "两只。", "What does 臺灣 mean? &amp;", "臺灣 is Taiwan."]
    assert [turn.text for turn in simple.turns] == said
    assert simple.turns[0].images == ("jpg",) and simple.turns[1].polarity == "positive"
    assert simple.extra == {"source": "兩", "rejected": "三只"}
    assert to_script(simple, "traditional").turns[1].text == "兩隻。"
    assert to_script(record, None).turns[0].text == "有幾隻貓？"
    written = Record("a", captions=(Caption("招牌上寫著“臺灣銀行”", "zh"),), facts=Facts(texts=("臺灣銀行",)))
    assert to_script(written, "simplified").captions[0].text == "招牌上写着“臺灣銀行”", "writing in the picture stays"
