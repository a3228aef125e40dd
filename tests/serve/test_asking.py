"""What the page does, without the page: against the same questions asked offline."""

import json
import math
import threading
import time
from concurrent.futures import CancelledError

import pytest
from test_local_models import GREEN, RED, YES_NO

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Turn
from skymm.page.document import read_words
from skymm.serve.asking import Models, Talk, as_data, as_markdown, bars, evidence, probed
from skymm.serve.engine import Engine
from skymm.serve.evidence import EvidenceMap
from skymm.serve.examples import Probe

WORDS = read_words("skymm.serve", "demo", "en")


@pytest.fixture
def answerer(tiny_model):
    model, processor = tiny_model
    model.generation_config.eos_token_id = None  # random weights like to stop at once
    return SkyMMAnswerer(model, processor, max_new_tokens=6)


@pytest.fixture
def models(answerer):
    with Engine(answerer) as engine:
        yield Models([engine], ["ours"])


def asked(models, talk, *questions, **truth):
    for question in questions:
        list(models.ask(talk, question, **truth))
    return [exchange.said[0] for exchange in talk.exchanges]


def test_answers_and_probabilities_are_those_of_offline_with_what_was_said_before(models):
    talk = Talk(RED)
    first, second = asked(models, talk, "What is it?", "Is it red?")
    answerer = SkyMMAnswerer(models.engines[0].answerer.model, models.engines[0].answerer.processor, max_new_tokens=6)
    assert first.text == answerer.answer_one("What is it?", RED) and first.sure is None, "nothing that yes would answer"
    history = (Turn("user", "What is it?", ("image",)), Turn("assistant", first.text))
    asks = [Ask("Is it red?", (RED,), YES_NO, history=history), Ask("Is it red?", (), YES_NO)]
    replies = [reply for _, reply in sorted(answerer.answer(asks, "logits"))]
    assert second.text == next(answerer.answer(asks[:1], "generate"))[1].text
    for found, reply in zip((second.sure, second.blind), replies):
        yes, no = (math.exp(reply.logits[choice]) for choice in YES_NO)
        assert found == pytest.approx(yes / (yes + no), abs=1e-4)
    assert second.sure != second.blind


def test_a_stop_keeps_what_was_said_and_the_next_question_is_answered(models):
    models.engines[0].answerer.max_new_tokens = 3000
    talk = Talk(RED)
    growing = models.ask(talk, "Is it red?")
    for exchange in growing:
        if exchange.said[0].text:
            talk.stop()
    said = talk.exchanges[0].said[0]
    assert said.stopped and said.text and len(said.text) < 2900 and not said.error
    going = models.ask(talk, "And now?")
    next(going)
    (job,) = talk.jobs
    going.close()  # the page is left
    with pytest.raises(CancelledError):
        job.result(60)
    models.engines[0].answerer.max_new_tokens = 4
    assert asked(models, talk, "And now?")[-1].stopped is False


def test_things_are_looked_for_one_by_one_whatever_was_said(models):
    probes = [Probe("a cat", "Is there a cat?", True), Probe("a dog", "Is there a dog?", False)]
    talk, fresh = Talk(RED), Talk(RED)
    asked(models, talk, "Is it red?")
    for one in (talk, fresh):
        models.look_for(one, probes)
    assert talk.asked_for == fresh.asked_for and [probe for probe, _ in talk.asked_for] == probes
    alone = models.engines[0].answerer.answer([Ask("Is there a dog?", (RED,), YES_NO)], "logits")
    assert (talk.asked_for[1][1][0] > 0.5) == (next(alone)[1].text == "Yes")


def test_who_makes_things_up_is_counted():
    talk = Talk(RED)
    facts = (("a cat", True, 0.4), ("a dog", False, 0.7), ("<b>", False, 0.1), ("a cow", True, 0.9))
    talk.asked_for = [(Probe(name, f"{name}?", there), [value, 0.2]) for name, there, value in facts]
    page = probed(talk, ["one", "two"], WORDS)
    assert "one: made up 1 of 2 that are not there, missed 1 of 2 that are." in page
    assert "two: made up 0 of 2 that are not there, missed 2 of 2 that are." in page
    assert "&lt;b&gt;" in page and "<b>" not in page and "yes 70% · made up" in page and "no 60% · missed" in page
    talk.asked_for = [(Probe("a cat", "?"), [0.7, 0.2])]
    page = probed(talk, ["one", "two"], WORDS)
    assert "one: yes to 1 of 1 things." in page and "made up" not in page


def test_a_map_is_shown_only_where_it_passed(models):
    talk = Talk(RED)
    asked(models, talk, "Is it red?", truth="no")
    said = talk.exchanges[0].said[0]
    models.explain(talk)
    assert said.evidence is not None and said.evidence.log_odds == pytest.approx(
        abs(math.log(said.sure / (1 - said.sure))), abs=1e-3
    )
    for deleted, shown in ((1.5, True), (0.9, False), (0.19, False)):
        others = (0.1, 1.0) if deleted > 0.2 else (0.1, 0.0)
        said.evidence = EvidenceMap(2, "yes", 2.0, (1.0, 0.0, 0.0, 0.0), frozenset({0}), deleted, others)
        page = evidence(talk, models.names, WORDS)
        assert ("<img" in page) is shown is ("no map to trust" not in page) and f"{deleted:.2f}" in page
    said.sure, said.blind = 0.9, 0.2
    assert "The truth: no · wrong" in bars(talk.exchanges[0], models.names, WORDS)
    assert WORDS["other_blind"] in bars(talk.exchanges[0], models.names, WORDS)
    data = json.loads(json.dumps(as_data(talk, models.names)))
    assert data["exchanges"][0]["answers"][0]["evidence"]["passed"] is False
    assert "no map to trust" in as_markdown(talk, models.names, WORDS)


def test_an_engine_rests_while_somebody_else_has_the_model(answerer, monkeypatch):
    begun, answering, answer = threading.Event(), threading.Lock(), answerer.answer

    def slowly(asks, mode):
        with answering:
            begun.set()
            time.sleep(0.3)
            return answer(asks, mode)

    monkeypatch.setattr(answerer, "answer", slowly)
    with Engine(answerer) as engine:
        under_way = engine.submit(Ask("Is it red?", (RED,), YES_NO), "logits")
        assert begun.wait(60)
        with engine.alone() as lent:
            assert lent is answerer and not answering.locked(), "what was begun is finished first"
            later = engine.submit(Ask("Is it green?", (GREEN,), YES_NO), "logits")
            with pytest.raises(TimeoutError):
                later.result(0.5)
        assert later.result(60).logits and under_way.result(60).logits


def test_a_guest_does_not_wait_for_the_end_of_what_is_written(answerer):
    answerer.max_new_tokens = 2000
    with Engine(answerer) as engine:
        job = engine.submit(Ask("Is it red?", (RED,)))
        next(iter(job))
        for _ in range(20):
            before = engine.num_steps
            with engine.alone():
                assert not job.done and engine.num_steps - before <= 2
        job.cancel()


def test_without_a_picture_there_is_no_map_and_nothing_to_compare(models):
    said = asked(models, Talk(), "Is it red?")[0]
    assert said.text and said.sure is None
