"""An endpoint that behaves, and every way in which one may not."""

import base64
import io
import math
import re
import time

import pytest
from endpoint import Endpoint, completion, prompt_of
from PIL import Image

from skymm.answering.openai_endpoint import DecisionsAnswerer, EndpointFailed, OpenAIAnswerer, data_url
from skymm.answering.protocol import Ask, Reply, Sampling
from skymm.conversation import Turn
from skymm.endpoint import Refused, Unanswered


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


def test_earlier_turns_and_sampling_are_sent_along():
    history = (Turn("system", "Be brief."), Turn("user", "Is it ?", ("a",), places=(6,)), Turn("assistant", "No."))
    asks = [
        Ask("hello", sampling=Sampling(0.5, 0.9, 3)),
        Ask("And this?", (picture(), picture("JPEG")), history=history),
    ]
    with Endpoint() as server:
        replies(OpenAIAnswerer(server.url, "m", concurrency=1), asks)
    first, second = server.requests
    assert first["messages"] == [{"role": "user", "content": "hello"}], "without pictures the content is text"
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.5, 0.9, 3) and "top_p" not in second
    shown = {"png": {"type": "image_url", "image_url": {"url": data_url(picture(), "a")}}}
    shown["jpeg"] = {"type": "image_url", "image_url": {"url": data_url(picture("JPEG"), "a")}}
    text = [{"type": "text", "text": words} for words in ("Is it ", "?", "And this?")]
    assert second["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [text[0], shown["png"], text[1]]},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": [shown["jpeg"], text[2]]},
    ]


def test_text_comes_piece_by_piece():
    with Endpoint(lambda request: " Yes, it is \n") as server:
        pieces = list(OpenAIAnswerer(server.url, "m").stream(Ask("?")))
    assert len(pieces) > 2 and "".join(pieces).split() == ["Yes,", "it", "is"] and pieces[0][0] == "Y"
    for status, kind in ((400, Refused), (401, EndpointFailed), (503, Unanswered)):
        with Endpoint(lambda request: (status, {"error": {"message": "no"}})) as server, pytest.raises(kind):  # noqa: B023
            list(OpenAIAnswerer(server.url, "m", retries=0).stream(Ask("?")))


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
    assert re.search(words, found[1].error) and found[0].error is None


def test_an_endpoint_that_dies_gives_what_it_answered_and_stops():
    with Endpoint(lambda request: "yes" if int(prompt_of(request)) < 5 else (503, {})) as server:
        answerer = OpenAIAnswerer(server.url, "m", retries=0, concurrency=2)
        got = []
        with pytest.raises(EndpointFailed, match=r"[345] questions in a row failed: 503.*run it again to go on"):
            got.extend(answerer.answer([Ask(str(index)) for index in range(50)], "generate"))
    assert {index for index, reply in got if reply.error is None} == set(range(5))
    assert len(server.requests) < 12, "the other forty are not tried"


def test_a_wrong_key_or_model_is_told_at_once():
    for status, words in (
        (401, "refuses the key in OPENAI_API_KEY"),
        (403, "refuses the key"),
        (404, "no such model or"),
    ):
        with Endpoint(lambda request: (status, {"error": {"message": "no"}})) as server:  # noqa: B023
            answerer = OpenAIAnswerer(server.url, "m", concurrency=1)
            with pytest.raises(EndpointFailed, match=words):
                list(answerer.answer([Ask("a")] * 9, "generate"))
        assert len(server.requests) == 1


def test_bad_addresses_are_refused_without_repeating_a_secret():
    for url, words in (
        ("localhost:8000", r"expected http\(s\)://HOST/v1"),
        ("http://me:secret@host/v1", "must not carry a key"),
        ("http://host/v1?api_key=secret", "must not carry a key"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            OpenAIAnswerer(url, "m")
        assert "secret" not in str(caught.value)


def test_choices_are_compared_by_the_tokens_that_the_endpoint_lists():
    def compared(top, *choices):
        with Endpoint(lambda request: (200, completion("x", top))) as server:
            [reply] = replies(OpenAIAnswerer(server.url, "m"), [Ask("?", (), choices)], "logits")
        assert (server.requests[0]["logprobs"], server.requests[0]["max_tokens"]) == (True, 1)
        return reply

    top = [("Yes", math.log(0.3)), (" yes", math.log(0.1)), ("没有", math.log(0.25)), ("Maybe", math.log(0.05))]
    reply = compared(top, "yes", "no")
    assert reply.text == "Yes"
    assert reply.logits == {"yes": pytest.approx(math.log(0.4)), "no": pytest.approx(math.log(0.25))}
    reply = compared([("(B", math.log(0.5)), ("b", math.log(0.3)), ("C", math.log(0.2))], "A", "B", "C")
    assert reply.logits["A"] == pytest.approx(math.log(0.2)), "what is not listed is no likelier than the last that is"
    assert reply.text == "B" and reply.logits["B"] == pytest.approx(math.log(0.5)), "a small b is no B"
    # A model that thinks first would else be taken to say yes to everything; and "a" begins "a cat".
    thinks = [("<think>", math.log(0.9)), ("The", math.log(0.05)), ("a", math.log(0.01))]
    for choices in (("yes", "no"), ("a", "b")):
        reply = compared(thinks, *choices)
        assert reply == Reply("", error=f"none of {', '.join(choices)} is among the 20 likeliest tokens")


def test_without_logprobs_choices_are_refused_and_free_text_is_written():
    with Endpoint(lambda request: "a dog") as server:
        with pytest.raises(EndpointFailed, match="sends no logprobs; use --mode generate"):
            replies(OpenAIAnswerer(server.url, "m"), [Ask("?", (), ("yes", "no"))], "logits")
        [reply] = replies(OpenAIAnswerer(server.url, "m"), [Ask("What?")], "logits")
    assert reply.text == "a dog" and "logprobs" not in server.requests[-1]


def test_a_request_that_is_wrong_for_every_question_stops_the_run():
    with Endpoint(lambda request: (400, {"error": {"message": "max_tokens is not supported"}})) as server:
        with pytest.raises(
            EndpointFailed, match=r"1\d questions in a row were refused: 400.*max_tokens is not supported"
        ):
            list(OpenAIAnswerer(server.url, "m", concurrency=2).answer([Ask(str(n)) for n in range(99)], "generate"))
        assert len(server.requests) < 20


def test_pictures_are_sent_as_all_endpoints_take_them():
    for kind in ("GIF", "BMP", "TIFF"):
        assert data_url(picture(kind), "a").startswith("data:image/png;base64,"), kind
    with pytest.raises(ValueError, match="image of question 3: found an HTML page"):
        data_url(b"<html>", "question 3")
    with Endpoint() as server:
        found = replies(OpenAIAnswerer(server.url, "m"), [Ask("a"), Ask("b", (b"<html>",)), Ask("c")])
    assert [reply.text for reply in found] == ["Yes", "", "Yes"] and "an HTML page" in found[1].error


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


def test_a_begun_answer_is_refused():
    with Endpoint() as server, pytest.raises(ValueError, match="endpoints begin their answers themselves"):
        replies(OpenAIAnswerer(server.url, "m"), [Ask("hello", said="It is")])


def test_decisions_are_asked_as_their_api_is_described_and_read_with_and_without_their_mass():
    """Pictures first, then the question as it stands; an answer of the hosted API has no `mass`."""

    def rule(request):
        [question] = request["questions"]
        if question["type"] == "predicate":
            return 200, {"answers": [{"type": "predicate", "name": None, "probability": 0.8}]}
        listed = [{"value": one["value"], "probability": p} for one, p in zip(question["choices"], (0.1, 0.6, 0.3))]
        return 200, {"answers": [{"type": "choice", "choice": "B", "probabilities": listed, "mass": 0.5}]}

    red, history = picture(), (Turn("system", "See."), Turn("user", "Hi"), Turn("assistant", "Hello"))
    asks = [
        Ask("Is it?", (red,), ("yes", "no"), history=history),
        Ask("A, B or C?", (red, red), ("A", "B", "C"), places=(0, 3)),
        Ask("What?", ()),
    ]
    with Endpoint(lambda request: rule(request) if "questions" in request else "Red.") as server:
        answerer = DecisionsAnswerer(server.url, "m", concurrency=1)
        found = replies(answerer, asks, "logits")
        assert answerer.name == f"decisions:{server.url}#m"
        [written] = replies(answerer, asks[:1], "generate")
    assert [reply.text for reply in found] == ["Yes", "B", "Red."] and written.text == "Red."
    assert found[0].logits == pytest.approx({"yes": math.log(0.8), "no": math.log(0.2)})
    assert found[1].logits == pytest.approx({"A": math.log(0.05), "B": math.log(0.3), "C": math.log(0.15)})
    first, second = server.requests[:2]
    said = [(one["role"], [part["type"] for part in one["content"]]) for one in first["input"]]
    text, shown = ["input_text"], ["input_image"]
    assert said == [("system", text), ("user", text), ("assistant", ["output_text"]), ("user", shown)]
    assert first["questions"] == [{"type": "predicate", "instructions": [{"type": "input_text", "text": "Is it?"}]}]
    assert [part["type"] for part in second["questions"][0]["instructions"]] == [*text, *shown, *text]
    broken = Endpoint(lambda request: (200, {"answers": [{"type": "refusal", "name": None}]}))
    with broken as server:
        [reply] = replies(DecisionsAnswerer(server.url, "m"), asks[:1], "logits")
        assert "no probabilities" in reply.error
