"""The page: complete in both languages, safe, alone, and open in a browser; what it shows is what was counted."""

from __future__ import annotations

import functools
import html
import json
import re

import pytest
from readable import assert_fits, assert_stands_alone, text_of
from typer.testing import CliRunner

from skymm.cli import app
from skymm.curation.audit import counts as counting
from skymm.curation.audit.counts import count_shards
from skymm.curation.audit.page import audit_shards, choose, sample_card
from skymm.page.document import read_words

WORDS = read_words("skymm.curation.audit", "words", "en")
NAMES = ("panda", "rock", "px", "PNG", "KiB", "MiB", "B", "jieba", "decode", "nine", "two", "n", "bad", "json")
EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def pages(shared):
    """language -> the page of a set in which everything is wrong."""
    shared.tar(shared.biased_dir / "zz.tar", [("a.json", b"{"), ("b.json", shared.spoken(("Is it?", "Yes.")))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "count_shards", functools.cache(lambda shards: count_shards(shards, workers=1)))
        found = {
            language: audit_shards(shared.biased_dir, shared.root / f"{language}.html", language=language).path
            for language in ("en", "zh")
        }
    (shared.biased_dir / "zz.tar").unlink()
    return found


@pytest.fixture(scope="module")
def evil_page(shared):
    """Of a set whose words are markup, or longer than a phone is wide."""
    turns = [
        (f"Is there a {EVIL}?", "No", EVIL, "negative", "en"),
        (f"Is there a {EVIL}?", "No", "existence", "negative", "en"),
        (EVIL, "unbreakable" * 6, "k" * 60, None, None),
    ]
    extra = {"source": EVIL, "licence": EVIL, "facts": {"things": [{"name": EVIL}, {"name": "thing" * 12}]}}
    samples = (shared.sample(f"{index}<b>", turns, {"png": shared.picture(index // 2)}, **extra) for index in range(80))
    directory = shared.write("evil", samples)
    shared.tar(directory / "<i>.tar", [("a.json", json.dumps({EVIL: 1}).encode())])
    return audit_shards(directory, workers=1).path


def test_the_chinese_page_has_no_english_left(pages):
    page = text_of(pages["zh"].read_text("utf-8"))
    # What cannot be read is told in the words of whoever could not read it.
    page = re.sub(r"/[\w./-]+", "", page.partition("样本 按哈希")[0].rpartition("无法读取的内容")[0])
    left = set(re.findall(r"[A-Za-z]+", page)) - set(NAMES)
    assert not left
    assert "需要担心什么" in page and "panda" in page


def test_the_page_needs_nothing_from_outside_and_fits(pages, evil_page):
    for language, path in pages.items():
        page = path.read_text("utf-8")
        assert_stands_alone(page)
        assert f'lang="{ {"zh": "zh-CN"}.get(language, language) }"' in page and len(page) < 500_000
    assert_fits(pages["en"], 1280)
    assert_fits(evil_page, 400, dark=True)


def test_numbers_of_the_page(pages):
    page = text_of(pages["en"].read_text("utf-8"))
    assert "samples 301" in page and "questions 601" in page and "samples without a picture 1" in page
    assert "panda only where it is 270" in page and "rock only where it is not 30" in page
    assert "whole samples 301 120" in page and "bad json 1" in page
    assert "existence English 300 270 30 0 270 30" in page


def test_words_of_strangers_are_escaped(evil_page):
    page = evil_page.read_text("utf-8")
    assert "<script" not in page and "<b>0" not in page and "<i>.tar" not in page
    assert page.count(html.escape("<script>alert(1)</script>")) > 20


def test_a_sheet_shows_every_kind_polarity_and_language(shards):
    rare = shards.sample("rare", [("什么？", "没有。", "odd", "negative", "zh")], {"png": shards.picture(9)})
    pictures = {"0.png": shards.picture(1), "1.png": shards.picture(2)}
    several = shards.sample("several", [("Two?", "Yes.", "odd", "positive", "en")], pictures)
    text = shards.sample("text", [("Hello?", "Hello.", None, None, "en")])
    directory = shards.write("sheet", [*shards.balanced(100), rare, several, text])

    def chosen(number):
        return choose(count_shards(directory, num_shown=number, workers=1))

    references, seen = chosen(10)
    cards = [sample_card(one, WORDS) for one in references]
    assert len(cards) == len({(one.shard, one.index) for one in references}) == 10 and seen == 7
    shown = {(line.note.split(" · ")[0], line.style) for card in cards for line in card.lines if line.style != "user"}
    assert {("odd", "neg"), ("odd", "pos"), ("existence", "neg"), ("English", "unk")} <= shown
    by_key = {card.place.split()[-1]: card for card in cards}
    assert len(by_key["several"].pictures) == 2 and by_key["text"].pictures == []
    assert by_key["several"].lines[0].text == "⟦1⟧⟦2⟧Two?" and by_key["rare"].lines[0].text == "什么？"
    assert all(url.startswith("data:image/jpeg;base64,") for card in cards for _, url in card.pictures)
    assert chosen(2)[1] < 7 and chosen(0) == ([], 0)
    next(directory.glob("*.tar")).unlink()
    assert [sample_card(one, WORDS) for one in references] == [None] * 10, "shards that vanish leave no card"


def test_an_empty_audit_is_a_page(shards):
    shards.tar(shards.root / "none" / "a.tar", [("a.cls", b"")])
    audited = audit_shards(shards.root / "none", workers=1)
    assert "Not one sample can be read." in audited.path.read_text("utf-8")


def test_the_same_shards_make_the_same_page(shared):
    one = audit_shards(shared.balanced_dir, shared.root / "one.html", workers=1).path
    two = audit_shards(shared.balanced_dir, shared.root / "two.html", workers=1).path
    assert one.read_bytes() == two.read_bytes()


def test_the_command(shards):
    directory = shards.write("told", shards.biased(80))

    def skymm(*arguments):
        result = CliRunner().invoke(app, ["data", "audit", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    said = skymm(directory, "--workers", 1)
    assert str(directory / "audit.html") in said.replace("\n", "") and (directory / "audit.html").is_file()
    assert "only ever asked for where they are" in " ".join(said.split())
    page = shards.root / "p.html"
    plain = json.loads(skymm(directory, "--json", "--out", page, "--samples", 0, "--language", "zh", "--workers", 1))
    assert plain["totals"]["samples"] == 80 and plain["page"] == str(page)
    assert "只在它们存在时才被问到" in json.dumps(plain["findings"], ensure_ascii=False)


def test_a_language_without_words(shared):
    with pytest.raises(ValueError, match="'fr', expected one of en, zh"):
        audit_shards(shared.balanced_dir, language="fr")
