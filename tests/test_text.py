"""Language, one form, and words."""

from __future__ import annotations

import logging
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from skymm.text import foreign, frequency, language_of, normalise, words

LANGUAGES = {
    "en": ["Is there a dog?", "What does 福 mean?", "", "123 ...", "，。！"],
    "zh": [
        "图中有狗吗？",
        "这是一只 golden retriever 吗",
        "OCR识别",
        "是",
        "沒有",
        "二〇二三",
        "𠮷",
        "2023年有3只狗",
        "12 34 56 只",
    ],
}
FOREIGN = """
赤い車が道路に駐車しています。|猫のイラスト素材|東京都渋谷区の夜景写真|渋谷駅前|桜|ネコ|ภาพ Bangkok ประเทศไทย
고양이가 소파 위에 앉아 있습니다|두 마리의 개 dog|Красный автобус|حافلة حمراء|รถบัสสีแดงบนถนน|אוטובוס אדום ברחוב
सड़क पर एक लाल बस|Ένα κόκκινο λεωφορείο|Un bus rouge dans la rue|Ein roter Bus auf der Straße|En röd buss på gatan
Un autobús rojo en la calle|Um ônibus na rua de Lisboa|Een rode bus in de straat|Một chiếc xe buýt màu đỏ"""
NOT_FOREIGN = """
A red bus in a street.|一辆红色巴士|臺灣的夜市|鲜の每日|牌子上写着“さくら”两个字|二〇二三|李镕基|陳喆|𠮷
The word ありがとう means thank you.|Is it спасибо or thanks?|λ = 5|α β|Yes|12|Los Angeles at night|iPhone手机|na
Robert De Niro in a cafe|Leonardo da Vinci|crème brûlée|Las Vegas skyline|a woman in Rio de Janeiro|OCR识别|"""
NORMAL = [
    ("Ｙｅｓ！", "Yes!"),
    ("是，的：１２", "是,的:12"),
    ("没有。", "没有。"),
    ("  a \t\n b\u3000c\u00a0d ", "a b c d"),
    ("a\u200bb\ufeff", "ab"),
    ("ﬁne", "fine"),
    ("e\u0301", "é"),
    ("", ""),
]
WORDS = [
    ("The dog's T-shirt isn't 3.5 m long.", ["the", "dog's", "t-shirt", "isn't", "3.5", "m", "long"]),
    ("图中有一只红色的小狗。", ["图中", "有", "一只", "红色", "的", "小狗"]),
    ("Ａ dog，和猫", ["a", "dog", "和", "猫"]),
    ("看iPhone手机", ["看", "iphone", "手机"]),
    ("snake_case naïve", ["snake", "case", "naïve"]),
    ("... ，。", []),
    ("", []),
]


def test_language():
    for language, texts in LANGUAGES.items():
        assert [text for text in texts if language_of(text) != language] == []


def test_what_is_neither_chinese_nor_english():
    for texts, expected in ((FOREIGN, True), (NOT_FOREIGN, False)):
        assert [text for line in texts.splitlines()[1:] for text in line.split("|") if foreign(text) != expected] == []


def test_normalise():
    assert [normalise(text) for text, _ in NORMAL] == [normal for _, normal in NORMAL]


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


def test_words():
    assert [words(text) for text, _ in WORDS] == [expected for _, expected in WORDS]


def test_frequency():
    assert frequency("的") > frequency("中国") > frequency("袋鼠") > 0
    assert frequency("中华人") == frequency("狗a") == 0  # the beginning of a word is none; and no word at all


def test_jieba_is_loaded_when_needed_and_stays_silent():
    code = (
        "import sys; from skymm.text import words; words('english only');"
        "assert 'jieba' not in sys.modules and 'torch' not in sys.modules; print(words('中文句子'))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == "" and "句子" in done.stdout


def test_jieba_is_silenced_once_and_whoever_wants_its_log_has_it(monkeypatch):
    import jieba

    words("中文句子")
    monkeypatch.setattr(jieba.default_logger, "level", logging.DEBUG)
    words("另外一句")
    assert jieba.default_logger.level == logging.DEBUG
