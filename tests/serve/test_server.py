"""The server as its clients know it: OpenAI's own client, curl, the evaluation kits, Prometheus, and who hangs up."""

import json
import math
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import httpx
import openai
import pytest
from serving import LIMITS, data_url, picture

from skymm.answering.opening import open_answerer
from skymm.answering.protocol import Ask, Sampling
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Turn
from skymm.evaluation.predictions import read_lines, read_predictions, temperature_for
from skymm.evaluation.run import questions_of, run
from skymm.evaluation.statistics import calibrating_temperature
from skymm.recipe import ContrastRecipe, EvalRecipe
from skymm.serve.server import Server, running

RED, BLUE = picture("red"), picture("blue")


@pytest.fixture(scope="module")
def client(served):
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=30)


def image(data):
    return {"type": "image_url", "image_url": {"url": data_url(data), "detail": "low"}}


def text(words):
    return {"type": "text", "text": words}


def offline(served, ask):
    """What `skymm ask` says, between two questions of others."""
    with served.engine.alone() as answerer:
        return "".join(answerer.stream(ask))


def test_chat_answers_as_ask_does(served, client):
    made = client.chat.completions.create(
        model="tiny",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [image(RED), text("Is it red?")]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": [text("And"), image(BLUE), text("this? 是红色吗？")]},
        ],
        max_completion_tokens=12,
        temperature=0,
        logprobs=True,
        top_logprobs=2,
    )
    ask = Ask("Andthis? 是红色吗？", (RED, BLUE), places=(3,), names=("image 1",), sampling=Sampling(max_new_tokens=12))
    history = [("system", "Be brief.", ()), ("user", "Is it red?", ("image 0",)), ("assistant", "Yes.", ())]
    ask = replace(ask, history=tuple(Turn(*one) for one in history))
    [choice] = made.choices
    assert choice.message.content == offline(served, ask) and choice.finish_reason == "length"
    assert made.usage.completion_tokens == 12 == len(choice.logprobs.content)
    assert made.usage.prompt_tokens == served.answerer.inputs([ask])["input_ids"].shape[1]
    assert made.usage.total_tokens == made.usage.prompt_tokens + 12 and made.model == "tiny"
    for token in choice.logprobs.content:
        assert token.logprob == token.top_logprobs[0].logprob and len(token.top_logprobs) == 2
        assert token.bytes is None or bytes(token.bytes).decode() == token.token
    assert [one.id for one in client.models.list()] == ["tiny"] == [client.models.retrieve("tiny").id]


def test_a_stream_is_the_same_text_in_pieces_with_usage_up_to_done(served, client):
    options = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
    whole = client.chat.completions.create(**options)
    events = list(client.chat.completions.create(**options, stream=True, logprobs=True, top_logprobs=0))
    pieces = [event.choices[0].delta.content for event in events if event.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content and len(pieces) > 1
    assert events[0].choices[0].delta.role == "assistant" and events[-1].choices[0].finish_reason == "length"
    assert sum(len(event.choices[0].logprobs.content) for event in events) == 20
    assert len({event.id for event in events}) == 1
    *events, last = client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    assert last.usage == whole.usage and not last.choices and all(event.usage is None for event in events)
    raw = httpx.post(f"{served.url}/v1/chat/completions", json=options | {"stream": True})
    assert raw.headers["content-type"].startswith("text/event-stream") and raw.text.endswith("\n\ndata: [DONE]\n\n")
    # What is wrong with a question is a status, also where a stream was asked for.
    with pytest.raises(openai.BadRequestError, match="image of the request"):
        broken = data_url(picture("red")[:60])
        content = [{"type": "image_url", "image_url": {"url": broken}}, text("?")]
        client.chat.completions.create(**options | {"messages": [{"role": "user", "content": content}]}, stream=True)


def test_stop_seed_and_a_begun_answer(served, client):
    def said(**options):
        made = client.chat.completions.create(**{"model": "tiny", "messages": asked, "max_tokens": 20} | options)
        return made.choices[0].message.content, made.choices[0].finish_reason

    asked = [{"role": "user", "content": "hello"}]
    whole, _ = said()
    assert said(stop=[whole[4:6]]) == (whole[: whole.index(whole[4:6])].strip(), "stop")
    hot = {"temperature": 2.0, "seed": 7}
    assert said(**hot) == said(**hot) != said(temperature=2.0, seed=8) and said(**hot)[0] != whole
    asked = [*asked, {"role": "assistant", "content": "It is"}]
    assert said()[0] == offline(served, Ask("hello", said="It is", sampling=Sampling(max_new_tokens=20)))


def test_decisions_are_the_comparison_of_choices(served, client):
    decided = client.decisions.create(
        model="tiny",
        input=[{"role": "user", "content": [{"type": "input_image", "image_url": data_url(RED)}]}],
        questions=[
            {"type": "predicate", "name": "red", "instructions": "Is it red?"},
            {"type": "predicate", "instructions": "图里有猫。"},
            {"type": "choice", "name": "c", "instructions": "Which?", "choices": [{"value": True}, {"value": False}]},
            {
                "type": "choice",
                "instructions": "What is it?",
                "choices": [{"value": "cat", "description": "it purrs"}, {"value": "dog"}],
            },
            {"type": "choice", "instructions": "What is it?", "choices": [{"value": "cat"}, {"value": "catfish"}]},
            {
                "type": "score",
                "instructions": "有多亮？",
                "levels": [{"label": "暗"}, {"label": "中"}, {"label": "亮"}],
            },
        ],
    )
    prompts = [
        ("Is it red?", ("yes", "no")),
        ("图里有猫。\n这种说法对吗？请回答是或否。", ("yes", "no")),
        ("Which?\nAnswer with one of these:\n- yes\n- no", ("yes", "no")),
        ("What is it?\nAnswer with one of these:\n- cat: it purrs\n- dog", ("cat", "dog")),
        ("What is it?\nA. cat\nB. catfish\nAnswer with the letter.", ("A", "B")),
        ("有多亮？\n请用下列之一回答：\n- 暗\n- 中\n- 亮", ("暗", "中", "亮")),
    ]
    asks = [Ask(prompt, (RED,), choices) for prompt, choices in prompts]
    with served.engine.alone() as answerer:
        answered = list(answerer.answer(asks, "logits"))
    expected = [reply for _, reply in sorted(answered, key=lambda one: one[0])]
    found = [
        [one.probability, 1 - one.probability]
        if one.type == "predicate"
        else [p.probability for p in one.probabilities]
        for one in decided.answers
    ]
    for probabilities, reply, answer in zip(found, expected, decided.answers):
        weights = [math.exp(value) for value in reply.logits.values()]
        assert probabilities == pytest.approx([weight / sum(weights) for weight in weights], abs=1e-5)
        assert answer.mass == pytest.approx(sum(weights), abs=1e-5)
    predicate, _, typed, _, letters, score = decided.answers
    assert (predicate.name, predicate.type) == ("red", "predicate")
    assert {one.value for one in typed.probabilities} == {True, False} and isinstance(typed.choice, bool)
    assert letters.choice == max(letters.probabilities, key=lambda one: one.probability).value in ("cat", "catfish")
    assert [one.label for one in score.probabilities] == ["暗", "中", "亮"]
    assert score.score == pytest.approx(sum(one.value * one.probability for one in score.probabilities))
    with running(Server(served.engine, "tiny", limits=LIMITS, temperature=3.0)) as url:
        question = {"type": "predicate", "instructions": "Is it red?"}
        picture_of = {"role": "user", "content": [{"type": "input_image", "image_url": data_url(RED)}]}
        asked = {"input": [picture_of], "questions": [question]}
        [cooler] = httpx.post(f"{url}/v1/decisions", json=asked).json()["answers"]
    assert log_odds(cooler["probability"]) == pytest.approx(log_odds(predicate.probability) / 3, abs=1e-4)
    assert decided.usage.input_tokens == sum(reply.num_prompt_tokens for reply in expected) > 0


def log_odds(probability):
    return math.log(probability / (1 - probability))


def test_mme_through_the_server_is_mme_offline_line_by_line(served, tiny_data, tmp_path):
    root = next(path for path in sorted(tiny_data.glob("bench*/zh")))
    recipe = EvalRecipe(benchmark="mme", root=str(root), max_new_tokens=8, batch_size=32)
    here = SkyMMAnswerer(served.answerer.model, served.answerer.processor, max_new_tokens=8)
    for spec, mode in (("openai", "generate"), ("decisions", "logits")):
        there = open_answerer(f"{spec}:{served.url}/v1#tiny", max_new_tokens=8)
        lines = {}
        for name, answerer in (("offline", here), ("served", there)):
            asked = {"mode": mode, "images": True, "questions": questions_of(recipe)}
            path = run(recipe, answerer, tmp_path / spec / name, **asked)
            lines[name] = read_lines(path)
        assert len(lines["offline"]) == len(lines["served"]) >= 8
        by_id = {line["id"]: line for line in lines["served"]}
        for line in lines["offline"]:
            other = by_id[line["id"]]
            for field in ("prompt", "response", "error"):
                assert line.get(field) == other.get(field)
            if mode == "logits":
                assert line["logits"] == pytest.approx(other["logits"], abs=1e-4)
        assert len({line["response"] for line in lines["served"]}) > 1
    odds = [line["logits"]["yes"] - line["logits"]["no"] for line in lines["offline"]]
    fitted = calibrating_temperature(odds, [line["gold"] == "yes" for line in lines["offline"]])
    assert temperature_for(read_predictions(path)) == pytest.approx(fitted, rel=0.01)


KITS = json.loads((Path(__file__).parent / "kits.json").read_text("utf-8"))


@pytest.mark.parametrize("kit", KITS, ids=[kit["kit"] for kit in KITS])
def test_the_kits_get_their_answers(served, kit, monkeypatch):
    asked = []
    submit = served.engine.submit
    monkeypatch.setattr(served.engine, "submit", lambda ask, **options: asked.append(ask) or submit(ask, **options))
    body = (
        json.dumps(kit["body"])
        .replace('"PNG"', f'"{data_url(RED)}"')
        .replace('"JPEG"', f'"{data_url(picture(kind="JPEG"))}"')
    )
    headers = {"Content-Type": "application/json", **kit["headers"]}
    # httpx would not send an empty key, and requests does.
    request = urllib.request.Request(f"{served.url}/v1/chat/completions", body.encode(), headers)
    answered = urllib.request.urlopen(request).read().decode()
    said = "".join("IMAGE" if kind == "image" else words for kind, words in asked[0].turns[-1].parts)
    assert said == kit["prompt"]
    if kit["body"].get("stream"):
        events = [json.loads(line[6:]) for line in answered.split("\n\n") if line.startswith("data: {")]
        assert events[-1]["usage"]["completion_tokens"] == 12
        assert sum(len(event["choices"][0]["logprobs"]["content"]) for event in events[:-1]) == 12
    else:
        answer = json.loads(answered)
        assert answer["choices"][0]["message"]["content"] and answer["choices"][0]["finish_reason"] == "length"
        assert 0 < answer["usage"]["completion_tokens"] <= LIMITS.num_tokens


def test_curl_and_what_prometheus_reads(served):
    body = json.dumps({"messages": [{"role": "user", "content": "你好"}], "max_tokens": 3})
    if shutil.which("curl"):
        command = [
            "curl",
            "-s",
            f"{served.url}/v1/chat/completions",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ]
        made = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert made["usage"]["completion_tokens"] == 3
    assert httpx.get(f"{served.url}/health").json() == {"status": "ok", "model": "tiny"}
    before = numbers(served)
    httpx.post(f"{served.url}/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    httpx.post(f"{served.url}/v1/chat/completions", content="{", headers={"Content-Type": "application/json"})
    after = numbers(served)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown['skymm_requests_total{path="/v1/chat/completions",status="200"}'] == 1
    assert grown['skymm_requests_total{path="/v1/chat/completions",status="400"}'] == 1
    assert grown['skymm_tokens_total{kind="written"}'] == 3 and grown['skymm_tokens_total{kind="read"}'] > 3
    assert after["skymm_waiting"] == after["skymm_writing"] == 0


def numbers(served):
    page = httpx.get(f"{served.url}/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(skymm_\S+) (\S+)$", page, re.MULTILINE)}


def test_a_key_is_needed_where_there_is_one(served):
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    with running(Server(served.engine, "tiny", limits=LIMITS, key="s3cret-密")) as url:
        for key, status in ((None, 401), ("Bearer wrong", 401), ("Basic s3cret-密", 401), ("Bearer s3cret-密", 200)):
            headers = {} if key is None else {"Authorization": key.encode()}
            assert httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code == status
            assert httpx.get(f"{url}/v1/models", headers=headers).status_code == status
        assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_who_hangs_up_is_not_written_for(served, stream):
    """Told by the model's passes, which stop, and by the others, who are answered meanwhile."""
    limits = replace(LIMITS, num_tokens=4000)
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3900, "stream": stream}
    with running(Server(served.engine, "tiny", limits=limits)) as url:
        until = time.monotonic() + 0.4
        with (
            pytest.raises(httpx.ReadTimeout),
            httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=0.4) as response,
        ):
            for _ in response.iter_raw():
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("enough")
        deadline = time.monotonic() + 5
        while served.engine.num_writing and time.monotonic() < deadline:
            time.sleep(0.01)
        assert served.engine.num_writing == 0
        steps = served.engine.num_steps
        time.sleep(0.1)
        assert served.engine.num_steps == steps


def test_time_and_queue_have_an_end(served):
    limits = replace(LIMITS, num_tokens=4000, seconds=0.3)
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3900}
    with running(Server(served.engine, "tiny", limits=limits)) as url:
        late = httpx.post(f"{url}/v1/chat/completions", json=body)
        assert late.status_code == 504 and late.json()["error"]["type"] == "server_error"
        streamed = httpx.post(f"{url}/v1/chat/completions", json=body | {"stream": True})
        assert streamed.status_code == 200 and '"code": "timeout"' in streamed.text and "[DONE]" not in streamed.text
    with served.engine.alone():
        asks = [Ask("hi", sampling=Sampling(max_new_tokens=1))] * served.engine.max_waiting
        jobs = served.engine.submit_all(asks)
        busy = httpx.post(f"{served.url}/v1/chat/completions", json=body)
        assert busy.status_code == 429 and int(busy.headers["retry-after"]) >= 1
        assert busy.json()["error"]["code"] == "rate_limit_exceeded"
    assert all(job.result(20).text is not None for job in jobs)


def test_contrast_is_the_servers(served, client):
    ask = Ask("Is it red?", (RED,), sampling=Sampling(max_new_tokens=12))
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": [image(RED), text("Is it red?")]}],
        "max_tokens": 12,
    }
    plain = client.chat.completions.create(**body).choices[0].message.content
    try:
        served.answerer.contrast = ContrastRecipe(kind="blind", strength=2.0, beta=0.0)
        with served.engine.alone() as answerer:
            [(_, reply)] = answerer.answer([ask])
        assert client.chat.completions.create(**body).choices[0].message.content == reply.text != plain
    finally:
        served.answerer.contrast = None


def test_the_command_serves_and_finishes_what_is_under_way_when_told_to_stop(tiny_answerer, tmp_path):
    tiny_answerer.model.save_pretrained(tmp_path / "mine")
    tiny_answerer.processor.save_pretrained(tmp_path / "mine")
    options = ["--port", "0", "--max-new-tokens", "3000", "--name", "mine"]
    command = [sys.executable, "-m", "skymm.cli", "serve", str(tmp_path / "mine"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        threading.Timer(60, process.kill).start()
        url = next(found[0] for line in process.stderr if (found := re.findall(r"http://\S+", line)))
        body = {"model": "mine", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 60, "stream": True}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=30) as response:
            pieces = response.iter_text()
            first = next(pieces)
            process.send_signal(signal.SIGTERM)
            assert (first + "".join(pieces)).endswith("data: [DONE]\n\n")
        assert process.wait(20) in (0, -signal.SIGTERM)
