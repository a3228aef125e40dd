"""An endpoint that behaves, and every way in which one may not."""

import base64
import io
import math
import time

import pytest
from endpoint import Endpoint, completion, prompt_of
from PIL import Image

from skymm.answering.openai_endpoint import EndpointFailed, OpenAIAnswerer, data_url
from skymm.answering.protocol import Ask, Reply


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("skymm.endpoint.PAUSE", 0.0)


def picture(kind="PNG"):
    data = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(data, kind)
    return data.getvalue()


def replies(answerer, asks, mode="generate"):
    return [reply for _, reply in sorted(answerer.answer(asks, mode), key=lambda one: one[0])]


def test_every_question_gets_its_own_answer_and_its_pictures(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    red, jpeg = picture(), picture("JPEG")
    asks = [Ask(f"question {index}", (red, jpeg)) for index in range(20)]

    def takes_its_time(request):
        time.sleep(0.03)
        return f" to {prompt_of(request)}\n"

    with Endpoint(takes_its_time) as server:
        answerer = OpenAIAnswerer(server.url, "m", max_new_tokens=7, concurrency=4)
        assert [reply.text for reply in replies(answerer, asks)] == [f"to question {index}" for index in range(20)]
        assert 1 < server.most_under_way <= 4
    assert set(server.keys) == {"Bearer sk-secret"} and "sk-secret" not in repr(vars(answerer)["name"])
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("m", 0, 7)
    *pictures, text = request["messages"][0]["content"]
    urls = [one["image_url"]["url"] for one in pictures]
    assert [base64.b64decode(url.split(",")[1]) for url in urls] == [red, jpeg] and text["type"] == "text"
    assert urls[0].startswith("data:image/png;base64,") and urls[1].startswith("data:image/jpeg;base64,")


def test_without_pictures_the_content_is_text():
    with Endpoint() as server:
        replies(OpenAIAnswerer(server.url, "m"), [Ask("hello")])
    assert server.requests[0]["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("trouble", [(429, {}), (500, {}), (503, b"<html>"), None, (200, b"<html>nonsense"), (200, {})])
def test_trouble_that_passes_is_waited_for(trouble):
    seen = []

    def rule(request):
        seen.append(prompt_of(request))
        return trouble if seen.count(prompt_of(request)) < 3 else "at last"

    with Endpoint(rule) as server:
        found = replies(OpenAIAnswerer(server.url, "m", retries=4), [Ask("a"), Ask("b")])
    assert [reply.text for reply in found] == ["at last"] * 2 and all(reply.error is None for reply in found)
    assert seen.count("a") == 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ((400, {"error": {"message": "content filter"}}), "400: .*content filter"),
        ((500, {"error": {"message": "out of memory"}}), "500 after 1 retries: .*out of memory"),
        ((200, completion({"a": "text"})), "no chat completion"),
        ((200, {"error": {"message": "upstream overloaded", "code": 502}}), r"an error: upstream overloaded \(502\)"),
        ((200, {"id": "x", "choices": None, "error": {"message": "gone"}}), "an error: gone"),
        (None, "no connection after 1 retries"),
    ],
)
def test_one_question_without_an_answer_does_not_stop_the_others(trouble, words):
    with Endpoint(lambda request: trouble if prompt_of(request) == "bad" else "fine") as server:
        found = replies(OpenAIAnswerer(server.url, "m", retries=1), [Ask("a"), Ask("bad"), Ask("b")])
    assert [reply.text for reply in found] == ["fine", "", "fine"]
    import re

    assert re.search(words, found[1].error) and found[0].error is None


def test_an_endpoint_that_dies_gives_what_it_answered_and_stops():
    with Endpoint(lambda request: "yes" if int(prompt_of(request)) < 5 else (503, {})) as server:
        answerer = OpenAIAnswerer(server.url, "m", retries=0, concurrency=2)
        got = []
        with pytest.raises(EndpointFailed, match=r"[345] questions in a row failed: 503.*run it again to go on"):
            got.extend(answerer.answer([Ask(str(index)) for index in range(50)], "generate"))
    assert {index for index, reply in got if reply.error is None} == set(range(5))
    assert len(server.requests) < 12, "the other forty are not tried"


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "refuses the key in OPENAI_API_KEY"), (403, "refuses the key"), (404, "no such model or path")],
)
def test_a_wrong_key_or_model_is_told_at_once(status, words):
    with Endpoint(lambda request: (status, {"error": {"message": "no"}})) as server:
        answerer = OpenAIAnswerer(server.url, "m", concurrency=1)
        with pytest.raises(EndpointFailed, match=words):
            list(answerer.answer([Ask("a")] * 9, "generate"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", r"expected http\(s\)://HOST/v1"),
        ("http://me:secret@host/v1", "must not carry a key"),
        ("http://host/v1?api_key=secret", "must not carry a key"),
    ],
)
def test_bad_addresses_are_refused_without_repeating_a_secret(url, words):
    with pytest.raises(ValueError, match=words) as caught:
        OpenAIAnswerer(url, "m")
    assert "secret" not in str(caught.value)


def test_choices_are_summed_over_the_tokens_that_the_endpoint_lists():
    top = [("Yes", math.log(0.3)), (" yes", math.log(0.1)), ("没有", math.log(0.25)), ("Maybe", math.log(0.05))]
    with Endpoint(lambda request: (200, completion("Yes", top))) as server:
        [reply] = replies(OpenAIAnswerer(server.url, "m"), [Ask("?", (), ("yes", "no"))], "logits")
    assert reply.text == "Yes"
    assert reply.logits == {"yes": pytest.approx(math.log(0.4)), "no": pytest.approx(math.log(0.25))}
    assert (server.requests[0]["logprobs"], server.requests[0]["max_tokens"]) == (True, 1)


def test_a_letter_that_is_not_listed_is_no_likelier_than_the_last_that_is():
    top = [("(B", math.log(0.5)), ("b", math.log(0.3)), ("C", math.log(0.2))]
    with Endpoint(lambda request: (200, completion("B", top))) as server:
        [reply] = replies(OpenAIAnswerer(server.url, "m"), [Ask("?", (), ("A", "B", "C"))], "logits")
    assert reply.text == "B" and reply.logits["A"] == pytest.approx(math.log(0.2))
    assert reply.logits["B"] == pytest.approx(math.log(0.5)), "a small b is no B"


def test_an_endpoint_without_logprobs_says_what_to_do():
    with Endpoint() as server, pytest.raises(EndpointFailed, match="sends no logprobs; use --mode generate"):
        replies(OpenAIAnswerer(server.url, "m"), [Ask("?", (), ("yes", "no"))], "logits")


def test_free_text_is_written_in_logits_mode_too():
    with Endpoint(lambda request: "a dog") as server:
        [reply] = replies(OpenAIAnswerer(server.url, "m"), [Ask("What?")], "logits")
    assert reply.text == "a dog" and "logprobs" not in server.requests[0]


def test_what_is_no_picture_is_not_sent():
    with pytest.raises(ValueError, match="image of question 3: found an HTML page"):
        data_url(b"<html>", "question 3")


def test_no_choice_among_the_likeliest_tokens_is_no_answer():
    """A model that thinks first would else be taken to say yes to everything."""
    top = [("<think>", math.log(0.9)), ("The", math.log(0.05)), ("a", math.log(0.01))]
    with Endpoint(lambda request: (200, completion("<think>", top))) as server:
        asks = [Ask("?", (), ("yes", "no")), Ask("?", (), ("a", "b"))]
        found = replies(OpenAIAnswerer(server.url, "m"), asks, "logits")
    assert [reply.error for reply in found] == [
        "none of yes, no is among the 20 likeliest tokens",
        "none of a, b is among the 20 likeliest tokens",  # "a" begins "a cat"
    ]
    assert all(reply.logits is None and reply.text == "" for reply in found)


def test_a_request_that_is_wrong_for_every_question_stops_the_run():
    with Endpoint(lambda request: (400, {"error": {"message": "max_tokens is not supported"}})) as server:
        with pytest.raises(
            EndpointFailed, match=r"1\d questions in a row were refused: 400.*max_tokens is not supported"
        ):
            list(OpenAIAnswerer(server.url, "m", concurrency=2).answer([Ask(str(n)) for n in range(99)], "generate"))
        assert len(server.requests) < 20


def test_a_picture_that_is_none_costs_one_question():
    asks = [Ask("a"), Ask("b", (b"<html>",)), Ask("c")]
    with Endpoint() as server:
        found = replies(OpenAIAnswerer(server.url, "m", concurrency=3), asks)
    assert [reply.text for reply in found] == ["Yes", "", "Yes"] and "an HTML page" in found[1].error


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_formats_that_not_all_endpoints_take_are_sent_as_png(kind):
    assert data_url(picture(kind), "a").startswith("data:image/png;base64,")


def told(message: dict, finish: str = "stop") -> tuple[int, dict]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return 200, {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


TEXT = {"type": "text", "text": "Yes"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": "Yes"}, "stop", Reply("Yes", finish_reason="stop")),
        ({"content": None, "reasoning_content": "hm"}, "length", Reply("", None, None, "length", None, "hm")),
        ({"content": "", "reasoning": "hm"}, "length", Reply("", None, None, "length", None, "hm")),
        ({"content": None, "refusal": "I won't."}, "content_filter", Reply("", None, None, "content_filter", "I won't.")),
        ({"content": [TEXT, TEXT]}, "stop", Reply("YesYes", None, None, "stop")),
        ({"content": [THOUGHT, TEXT]}, "stop", Reply("Yes", None, None, "stop", None, "hm")),
    ],
)  # fmt: skip
def test_what_an_endpoint_tells_beside_the_text_is_kept(message, finish, expected):
    with Endpoint(lambda request: told(message, finish)) as server:
        assert replies(OpenAIAnswerer(server.url, "m"), [Ask("a")]) == [expected]


@pytest.mark.parametrize(
    ("refused", "complaint", "sent"),
    [
        ("max_tokens", "Use 'max_completion_tokens' instead.", {"max_completion_tokens": 16, "temperature": 0}),
        ("temperature", "'temperature' does not support 0 with this model.", {"max_tokens": 16}),
    ],
)  # fmt: skip
def test_options_that_a_model_refuses_are_learnt_once(refused, complaint, sent):
    rule = lambda request: (400, {"error": {"message": complaint, "param": refused}}) if refused in request else "Yes"  # noqa: E731
    with Endpoint(rule) as server:
        answerer = OpenAIAnswerer(server.url, "m", concurrency=1)
        assert [reply.text for reply in replies(answerer, [Ask(str(n)) for n in range(5)])] == ["Yes"] * 5
    assert len(server.requests) == 6, "only the first is asked twice"
    assert {name: value for name, value in server.requests[-1].items() if name not in ("messages", "model")} == sent
