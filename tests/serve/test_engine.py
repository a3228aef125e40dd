"""Many are answered at once as each would be alone: joined, stopped, given up, sampled with a seed."""

import asyncio
import io
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from PIL import Image

from skymm.answering.openai_endpoint import OpenAIAnswerer
from skymm.answering.protocol import Ask, Sampling
from skymm.answering.reading import Reading
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.answering.transformers_model import TransformersAnswerer
from skymm.recipe import ContrastRecipe
from skymm.serve.engine import Busy, Engine


def picture(colour):
    data = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(data, "PNG")
    return data.getvalue()


RED, BLUE = picture("red"), picture("blue")
ASKS = [
    Ask("Is it red? Or is it a long question?", (RED,)),
    Ask("是蓝色吗？", (BLUE,)),
    Ask("Hello", ()),
    Ask("Compare the two.", (RED, BLUE)),
    Ask("Is it blue?", (BLUE,)),
]


@pytest.fixture(params=["skymm", "transformers"])
def answerer(request, tiny_vlm):
    if request.param == "transformers":
        answerer = TransformersAnswerer.from_pretrained(str(tiny_vlm), max_new_tokens=24)
        answerer.model.float()
        return answerer
    return ours(*request.getfixturevalue("tiny_model"))


@pytest.fixture
def our(tiny_model):
    return ours(*tiny_model)


def ours(model, processor):
    model.generation_config.eos_token_id = None  # random weights like to stop at once
    return SkyMMAnswerer(model, processor, max_new_tokens=24)


def long(ask, tokens=24, **sampling):
    return replace(ask, sampling=Sampling(max_new_tokens=tokens, **sampling))


class Gate:
    """Holds the model still from its n-th reading on, until it is opened."""

    def __init__(self, answerer, after):
        self.opened, self.reached, self.count = threading.Event(), threading.Event(), 0
        read = answerer.read

        def held(inputs):
            self.count += 1
            if self.count > after:
                self.reached.set()
                assert self.opened.wait(20)
            return read(inputs)

        answerer.read = held


def test_who_joins_is_answered_as_alone_and_so_are_those_who_are_joined(answerer):
    asks = [long(ask, 8 + 5 * number) for number, ask in enumerate(ASKS)]
    alone = ["".join(answerer.stream(ask)) for ask in asks]
    assert len(set(alone)) == len(alone)
    gate = Gate(answerer, after=4)
    with Engine(answerer) as engine:
        first = engine.submit(asks[0])
        assert gate.reached.wait(20)
        others = [engine.submit(ask) for ask in asks[1:]]
        gate.opened.set()
        replies = [job.result(20) for job in (first, *others)]
        assert [reply.text for reply in replies] == alone
        assert ["".join(job) for job in (first, *others)] == alone
        assert len(first.pieces) > 1
        # One pass for all who are under way, and not one for each.
        assert engine.num_steps < engine.num_written / 2
        assert [reply.num_tokens for reply in replies] == [8, 13, 18, 23, 28]
        assert {reply.finish_reason for reply in replies} == {"length"}
        assert replies[0].num_prompt_tokens == answerer.inputs([asks[0]])["input_ids"].shape[1]


def test_who_cannot_join_is_written_in_turns_with_the_others(our, monkeypatch):
    """A model whose memory is not plain keys and values: rows neither come nor go."""
    asks = [long(ask, 8 + 5 * number) for number, ask in enumerate(ASKS)]
    alone = ["".join(our.stream(ask)) for ask in asks]
    monkeypatch.setattr(Reading, "can_be_joined", False)
    gate = Gate(our, after=4)
    with Engine(our) as engine:
        jobs = engine.submit_all(asks[:2])
        assert gate.reached.wait(20)
        jobs += engine.submit_all(asks[2:])
        gone = engine.submit(long(ASKS[0], 3000))
        gate.opened.set()
        next(iter(gone))
        gone.cancel()
        assert [job.result(20).text for job in jobs] == alone
        with pytest.raises(CancelledError):
            gone.result(20)
        assert engine.num_steps < 200 and engine.submit(asks[0]).result(20).text == alone[0]


def test_choices_are_compared_as_offline_amid_writing(answerer):
    choosing = [replace(ask, choices=("yes", "no")) for ask in ASKS]
    offline = [reply for _, reply in sorted(answerer.answer(choosing, "logits"), key=lambda one: one[0])]
    with Engine(answerer) as engine:
        writing = engine.submit(long(ASKS[0]))
        jobs = engine.submit_all(choosing, "logits")
        for job, expected in zip(jobs, offline):
            assert job.result(20).text == expected.text
            assert job.reply.logits == pytest.approx(expected.logits, abs=1e-4)
        assert writing.result(20).text == "".join(answerer.stream(long(ASKS[0])))


def test_contrast_joins_too_and_only_pictures_are_contrasted(our):
    our.contrast = ContrastRecipe(kind="blind", strength=2.0, beta=0.0)
    alone = [reply.text for _, reply in sorted(our.answer(ASKS, "generate"), key=lambda one: one[0])]
    gate = Gate(our, after=6)
    with Engine(our) as engine:
        jobs = [engine.submit(ASKS[0])]
        assert gate.reached.wait(20)
        jobs += [engine.submit(ask) for ask in ASKS[1:]]
        gate.opened.set()
        assert [job.result(20).text for job in jobs] == alone
    our.contrast = None
    plain = [reply.text for _, reply in sorted(our.answer(ASKS, "generate"), key=lambda one: one[0])]
    assert [one == other for one, other in zip(plain, alone)] == [False, False, True, False, False]


def test_a_stop_string_ends_the_text_before_it_and_never_shows(our):
    whole = "".join(our.stream(long(ASKS[0], 40)))
    stop = whole[9:12]
    cut = whole[: whole.index(stop)].strip()
    with Engine(our) as engine:
        job = engine.submit(long(ASKS[0], 40, stop=("never said", stop)))
        assert job.result(20).text == "".join(job.pieces) == cut and job.reply.finish_reason == "stop"
        assert job.reply.num_tokens < 40
    assert [reply.text for _, reply in our.answer([long(ASKS[0], 40, stop=(stop,))])] == [cut]


def test_a_seed_says_the_same_alone_and_among_others_and_another_says_something_else(our):
    asks = [long(ask, temperature=1.5, top_p=0.9, seed=seed) for seed in (1, 2) for ask in ASKS]
    with Engine(our) as engine:
        alone = [engine.submit(ask).result(20).text for ask in asks]
        together = [job.result(20).text for job in engine.submit_all(asks)]
        assert together == alone
        assert all(one != other for one, other in zip(alone, alone[5:]))
        nearly_greedy = engine.submit(long(ASKS[0], temperature=1.0, top_p=1e-6)).result(20).text
        assert nearly_greedy == engine.submit(long(ASKS[0])).result(20).text


def test_tokens_come_with_their_probabilities_if_asked_for(our):
    with Engine(our) as engine:
        job = engine.submit(long(ASKS[0], 6), top_logprobs=3)
        job.result(20)
        assert not engine.submit(long(ASKS[0], 6)).scored
    assert len(job.scored) == 6
    for scored in job.scored:  # greedy: the likeliest was written
        assert (scored.text, scored.logprob) == scored.top[0] and len(scored.top) == 3
        assert 0 > scored.top[0][1] >= scored.top[1][1] >= scored.top[2][1]


def test_who_gives_up_is_not_written_for_and_others_go_on(our):
    whole = "".join(our.stream(long(ASKS[1], 60)))
    gate = Gate(our, after=5)
    with Engine(our) as engine:
        given_up, kept = engine.submit(long(ASKS[0], 4000)), engine.submit(long(ASKS[1], 60))
        assert gate.reached.wait(20)
        waiting = engine.submit(ASKS[2])
        given_up.cancel()
        waiting.cancel()
        gate.opened.set()
        assert kept.result(20).text == whole
        for job in (given_up, waiting):
            with pytest.raises(CancelledError):
                job.result(20)
            with pytest.raises(CancelledError):
                list(job)
        assert engine.num_steps < 70 and engine.num_writing == engine.num_waiting == 0


def test_a_bad_question_fails_alone_and_the_engine_lives_on(our):
    with Engine(our) as engine:
        bad = Ask("?", (RED[:40],), id="the third message")
        jobs = engine.submit_all([ASKS[0], bad, ASKS[1], long(Ask("long " * 900), 5)])
        assert jobs[0].result(20).text and jobs[2].result(20).text
        with pytest.raises(ValueError, match="image of the third message"):
            jobs[1].result(20)
        with pytest.raises(ValueError, match="tokens to read, the model's context has 4096"):
            jobs[3].result(20)
        cut = engine.submit(long(Ask("long " * 800), 5000)).result(30)
        assert cut.num_tokens + cut.num_prompt_tokens == 4096 and cut.finish_reason == "length"
        read, our.read = our.read, None
        with pytest.raises(TypeError):
            engine.submit(ASKS[0]).result(20)
        our.read = read
        assert engine.alive and engine.submit(ASKS[0]).result(20).text == jobs[0].reply.text


def test_a_full_queue_says_when_to_come_back_and_closing_waits_as_long_as_it_is_told(our):
    gate = Gate(our, after=3)
    engine = Engine(our, max_waiting=2, max_batch=1)
    jobs = [engine.submit(ASKS[0])]
    assert gate.reached.wait(20)
    jobs += [engine.submit(ASKS[1]), engine.submit(ASKS[2])]
    with pytest.raises(Busy) as refused:
        engine.submit(ASKS[3])
    assert refused.value.retry_after >= 1
    gate.opened.set()
    engine.close(patience=20)
    assert all(job.done and job.reply.text for job in jobs)
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(ASKS[0])
    engine = Engine(our)
    job = engine.submit(long(ASKS[0], 4000))
    next(iter(job))
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 5 and isinstance(job.error, CancelledError)


def test_asyncio_reads_the_same_pieces(our):
    async def read(engine):
        job = engine.submit(long(ASKS[0]))
        pieces = [piece async for piece in job]
        assert (await job.finished()).text == "".join(pieces) and len(pieces) > 1
        with pytest.raises(ValueError, match="image of"):
            await engine.submit(Ask("?", (b"no image",))).finished()
        return "".join(pieces)

    with Engine(our) as engine:
        assert asyncio.run(read(engine)) == engine.submit(long(ASKS[0])).result(20).text


def test_an_endpoint_is_no_engine():
    with pytest.raises(ValueError, match="expected a model that writes on this machine"):
        Engine(OpenAIAnswerer("http://localhost:1/v1", "m"))


def test_the_model_is_lent_between_two_tokens(our):
    whole, hello = "".join(our.stream(long(ASKS[0], 150))), our.answer_one("Hello")
    with Engine(our) as engine:
        writing = engine.submit(long(ASKS[0], 150))
        next(iter(writing))
        with engine.alone() as answerer:
            steps = engine.num_steps
            assert answerer.answer_one("Hello") == hello and engine.num_steps == steps
        assert writing.result(20).text == whole
