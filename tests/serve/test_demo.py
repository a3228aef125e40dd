"""The demo page as people use it: in a browser, with the keyboard, in both languages. Without gradio, a browser or playwright
these tests are skipped.
"""

import base64
import json
import re
import shutil
import time

import pytest

from skymm.curation.emoji_scenes.scene import encode
from skymm.serve.examples import examples

pytest.importorskip("gradio", reason="the page is made with gradio (pip install 'skymm[demo]')")
playwright = pytest.importorskip("playwright.sync_api", reason="the page is looked at with playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
PATIENCE = 60_000


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_model_recipe):
    """Two models of random weights, which differ in what their resamplers give."""
    from skymm.model.build import build_model
    from skymm.serve.demo import open_models

    place = tmp_path_factory.mktemp("models")
    for name in ("before", "after"):
        model, processor = build_model(tiny_model_recipe)
        if name == "after":
            model.resampler.output.weight.data.neg_()
        for part in (model, processor):
            part.save_pretrained(place / name)
    opened = open_models([str(place / "before"), str(place / "after")], max_new_tokens=8)
    yield opened
    for engine in opened.engines:
        engine.close()


@pytest.fixture(scope="module")
def url(models):
    from skymm.serve.demo import launch

    return launch(models, host="127.0.0.1", port=None, prevent_thread_lock=True, quiet=True)[1]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, url):
    with browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844}) as context:
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        opened.requested = []
        opened.on("request", lambda request: opened.requested.append(request.url))
        opened.goto(url)
        opened.get_by_role("heading", name="看图问答").wait_for()
        yield opened


def ask(page, text):
    question = page.get_by_label("问题", exact=True)
    question.fill(text)
    question.press("Enter")
    playwright.expect(question).to_have_value("", timeout=PATIENCE)  # it was taken, and the button is off until the end
    playwright.expect(page.get_by_role("button", name="提问")).to_be_enabled(timeout=PATIENCE)


def exported(page, kind):
    link = page.get_by_role("link", name=kind)
    return base64.b64decode(link.get_attribute("href").split("base64,")[1]).decode()


def upload(page, data=None):
    picture = {
        "name": "picture.jpg",
        "mimeType": "image/jpeg",
        "buffer": data or encode(examples()["things-016"].draw()),
    }
    page.locator("input[type=file]").first.set_input_files(picture)
    if data is None:
        page.get_by_alt_text("正在提问的图片").wait_for()


def test_upload_ask_in_chinese_read_the_answers_and_compare(page):
    upload(page)
    ask(page, "图里有熊猫吗？")
    shown = page.locator(".columns")
    assert shown.locator("h4").all_inner_texts() == ["before", "after"], "both models, side by side"
    bars = [one.get_attribute("aria-label") for one in shown.get_by_role("img").all()]
    assert [re.sub(r"\d+%", "N", one) for one in bars] == [
        f"{model}，{how}：回答“是”的概率为 N" for model in ("before", "after") for how in ("看图", "不看图")
    ]
    told = json.loads(exported(page, "JSON"))["exchanges"][0]
    assert told["question"] == "图里有熊猫吗？" and "truth" not in told, "of an upload nobody knows"
    for answer, bar, chat in zip(told["answers"], bars[::2], page.get_by_role("log").all()):
        assert f"{answer['probability_of_yes']:.0%}" in bar
        assert answer["text"].strip() in chat.inner_text()
    assert told["answers"][0]["probability_of_yes"] != told["answers"][1]["probability_of_yes"]
    assert "图里有熊猫吗？" in exported(page, "Markdown") and "不看图" in exported(page, "Markdown")
    page.get_by_role("button", name="答案来自图片的哪里？").click()
    page.locator("figcaption").nth(1).wait_for()
    for text in page.locator("figcaption").all_inner_texts():
        assert re.search(r"\d/20", text), "the test's result stands there, whatever it is"


def test_an_example_comes_with_its_truth_and_who_makes_things_up_is_shown(page):
    page.get_by_role("button", name="中国生活").first.click()
    page.get_by_alt_text("正在提问的图片").wait_for()
    assert page.get_by_label("问题", exact=True).input_value() == "图中有熊猫吗？", (
        "a question with a known answer is offered"
    )
    page.get_by_label("问题", exact=True).press("Enter")
    page.get_by_text("真实答案：是").first.wait_for()
    page.get_by_role("button", name="问问不存在的东西").click()
    page.locator("table").wait_for()
    rows = [row.inner_text().split("\t") for row in page.locator("tbody tr").all()]
    assert len(rows) == 10 and {row[0]: row[1] for row in rows}["熊猫"] == "有"
    for number, model in enumerate(("before", "after"), 2):
        made_up = sum(row[1] == "没有" and row[number].startswith("是") for row in rows)
        assert sum("编造" in row[number] for row in rows) == made_up
        assert page.get_by_text(f"{model}：7 样没有的东西中编造了 {made_up} 样").count() == 1


def test_things_of_ones_own_are_asked_for_and_only_shown(page):
    upload(page)
    page.get_by_label("要问的东西").fill("独角兽，雨伞")
    page.get_by_role("button", name="问问不存在的东西").click()
    page.locator("table").wait_for()
    assert page.locator("tbody th").all_inner_texts() == ["独角兽", "伞"]
    assert page.get_by_text("编造").count() == 0, "nobody knows what is there"


def test_the_language_is_switched_and_what_was_said_stays(page):
    upload(page)
    ask(page, "图里有熊猫吗？")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_label("English").check()
    page.get_by_role("heading", name="does it really look?").wait_for()
    page.wait_for_function("document.documentElement.lang === 'en'")
    for name in ("Ask", "Stop", "Start anew", "Where does the answer come from?", "Ask for what is not there"):
        page.get_by_role("button", name=name, exact=True).wait_for()
    assert page.get_by_role("img", name=re.compile("before, looking: yes with a probability")).count() == 1
    assert page.get_by_text("图里有熊猫吗？").count() == 2, "what was asked stays as it was"
    left = page.locator("body").inner_text()
    for other in (
        "图里有熊猫吗？",
        "中文",
        "加载中",
    ):  # what was asked, the switch, and a word of gradio's, which asks the browser
        left = left.replace(other, "")
    assert not re.search("[\u4e00-\u9fff]", left)


def test_the_page_takes_the_language_of_the_reader(browser, url):
    for locale, ending, heading in (
        ("en-US", "", "really look"),
        ("en-US", "?lang=zh", "看图问答"),
        ("zh-TW", "", "看图问答"),
    ):
        with browser.new_context(locale=locale) as context:
            page = context.new_page()
            page.goto(url + ending)
            page.get_by_role("heading", name=heading).wait_for(timeout=PATIENCE)


def test_nothing_comes_from_the_network_and_all_fits_a_phone(page, url):
    upload(page)
    ask(page, "图里有熊猫吗？")
    page.get_by_role("button", name="问问不存在的东西").click()
    page.locator("table").wait_for()
    assert not [one for one in page.requested if not one.startswith((url, "data:", "blob:"))]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unnamed = """() => [...document.querySelectorAll('button, input, textarea, img, a')].filter(one => one.checkVisibility()
        && !(one.ariaLabel || one.alt || one.innerText?.trim() || one.title || one.labels?.length)).map(one => one.outerHTML)"""
    assert page.evaluate(unnamed) == [], "everything that can be used has a name"


def test_what_is_begun_anew_in_the_middle_of_an_answer_can_be_asked_about(page, models):
    upload(page)
    with models.engines[0].alone(), models.engines[1].alone():  # nobody answers before it is begun anew
        question = page.get_by_label("问题", exact=True)
        question.fill("图里有熊猫吗？")
        question.press("Enter")
        page.get_by_text("图里有熊猫吗？").first.wait_for()
        page.get_by_role("button", name="重新开始").click()
        page.get_by_text("图里有熊猫吗？").first.wait_for(state="detached")
    playwright.expect(page.get_by_role("button", name="提问")).to_be_enabled(timeout=PATIENCE)
    ask(page, "有猫吗？")
    assert [one["question"] for one in json.loads(exported(page, "JSON"))["exchanges"]] == ["有猫吗？"]


def test_a_question_may_be_faster_than_the_news_of_its_picture(page, monkeypatch):
    from skymm.serve import demo

    read, waits = demo._read, [1.5, 0.0]
    monkeypatch.setattr(demo, "_read", lambda *given: time.sleep(waits.pop(0) if waits else 0) or read(*given))
    upload(page)
    ask(page, "图里有熊猫吗？")
    page.wait_for_timeout(2000)
    told = json.loads(exported(page, "JSON"))
    assert [one["question"] for one in told["exchanges"]] == ["图里有熊猫吗？"] and told["picture"]["sha256"]
    assert "probability_of_yes" in told["exchanges"][0]["answers"][0], "it was asked with its picture"
    assert page.get_by_text("图里有熊猫吗？").count() == 2, "and it stays"


def test_a_new_picture_is_a_new_conversation_and_a_broken_one_is_named(page):
    page.get_by_label("问题", exact=True).press("Enter")
    page.get_by_text("请先写下问题。").wait_for()
    page.get_by_role("button", name="问问不存在的东西").click()
    page.get_by_text("请先选一张图片。").wait_for()
    upload(page)
    ask(page, "图里有熊猫吗？")
    page.get_by_role("button", name="标牌").click()
    page.get_by_role("link", name="JSON").wait_for(state="detached")
    assert page.get_by_text("图里有熊猫吗？").count() == 0
    ask(page, "牌子上写的是什么字？")
    told = json.loads(exported(page, "JSON"))
    assert [one["question"] for one in told["exchanges"]] == ["牌子上写的是什么字？"]
    assert told["picture"]["example"] == "signs-000" and told["exchanges"][0]["truth"] == "小心地滑"
    upload(page, b"P6 1 1 255\n\xff\0\0")  # of a kind that models are never shown
    page.get_by_text("打不开这张图片").wait_for()
