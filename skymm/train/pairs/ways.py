"""The ways to make a pair: what is chosen, and what is rejected.

weakened   BPO (arXiv 2403.08730): the annotation, and what the policy says of the same picture under noise
injected   BPO: the annotation, and the same with errors that a language model without eyes put in
rule       a true text and the same with one thing made up, by what is known of the picture
on_policy  two answers of the policy, the one with least and the one with most that is made up (CHAIR-DPO); or, sentence by
           sentence, two ways to go on from the same sentences (SENTINEL, arXiv 2507.12455)

Each takes some samples at a time and gives, for every one of them, pairs or the reason why there is none.
"""

from __future__ import annotations

import io
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from skymm.answering.protocol import Answerer, Ask, Sampling
from skymm.conversation import LANGUAGES, BadSample, Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.scoring import Scorer, furthest, record_of
from skymm.curation.negatives.preferences import describing, preference
from skymm.curation.record import Record
from skymm.curation.translation.translators import split_sentences
from skymm.damage import noised
from skymm.data.shards import Sample, conversation_of
from skymm.images import open_image
from skymm.text import language_of, words
from skymm.thoughts import without_thoughts

NO_PICTURE, NOTHING_KNOWN, ALIKE = "shows no picture", "too little is known of it", "no answer is truer than another"
CUT = "the answer was cut (--max-new-tokens)"
_SENTENCES, _REST = 6, 0.5  # sentences at most, and the share of an answer's words that an injected error leaves


@dataclass(frozen=True, slots=True)
class Making:
    """How pairs are made; what changes any of this makes other pairs. `ways`: names of `MAKERS`; ValueError for others.

    `step`: of the noise, 0 to 999; BPO's is 900. `answers` of each question are sampled at `temperature` (on_policy).
    `describe`: on_policy asks for a description of every picture instead of the sample's last question. `batch_size`: samples
    at a time; what is sampled depends on who is asked together.
    """

    ways: tuple[str, ...]
    step: int = 900
    answers: int = 5
    temperature: float = 1.0
    describe: bool = False
    sentences: bool = False
    max_new_tokens: int = 128
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        unknown = [way for way in self.ways if way not in MAKERS]
        if unknown or not self.ways:
            raise ValueError(f"found way {unknown[0] if unknown else None!r}, expected some of {', '.join(MAKERS)}")


@dataclass(frozen=True, slots=True)
class Item:
    """A sample up to its last answer. `alone`: the question is another one, and no turn of the sample stands before it."""

    place: int
    key: str
    images: tuple[bytes, ...]
    history: tuple[Turn, ...]
    question: Turn
    answer: Turn
    language: str
    record: Record
    seconds: Mapping[str, float] = field(default_factory=dict)
    alone: bool = False

    def ask(self, sampling: Sampling, images: tuple[bytes, ...] | None = None, said: str = "") -> Ask:
        question = self.question.timed(self.seconds)
        return Ask(
            question.text,
            self.images if images is None else images,
            id=self.key,
            history=self.history,
            sampling=sampling,
            places=question.places,
            names=question.images,
            said=said,
        )


def item_of(sample: Sample) -> Item:
    """Raises BadSample, UnreadableImage, and ValueError for facts that are none."""
    talk = conversation_of(sample)
    last = max((place for place, turn in enumerate(talk.turns) if turn.role == "assistant"), default=0)
    if not last:
        raise BadSample(f"{sample.shard}: {sample.key} answers nothing", "no answer")
    *history, question, answer = talk.turns[: last + 1]
    images = tuple(sample.image(name) for turn in (*history, question) for name in turn.images)
    for data in images:
        open_image(data, f"{sample.shard}: {sample.key}")
    language = answer.language or language_of(answer.text)
    return Item(
        sample.index, sample.key, images, tuple(history), question, answer, language, record_of(talk), talk.seconds
    )


@dataclass(frozen=True, slots=True)
class Made:
    """What came of an item in one way: a pair, or `left_out`, why there is none.

    `given`: what of the answer both sides have in common, before either. `how`: what else is to be known of it.
    """

    item: Item
    chosen: str = ""
    rejected: str = ""
    kind: str = ""
    given: str = ""
    how: Mapping[str, Any] | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """`policy` answers, `writer` puts errors into answers; None where no way needs it. `statistics`: over all shards."""

    making: Making
    statistics: Statistics
    policy: Answerer | None = None
    writer: Answerer | None = None

    def said(self, who: Answerer, asks: Sequence[Ask]) -> list[tuple[str, str]]:
        """(text, why it is no answer) in the order of the asks."""
        said = [("", "no answer")] * len(asks)
        for index, reply in who.answer(asks, "generate") if asks else ():
            text = without_thoughts(reply.text).strip()
            cut = CUT if reply.finish_reason == "length" else ""
            said[index] = (text, cut or ("" if text and reply.error is None else "no answer"))
        return said

    def scorer(self, item: Item) -> Scorer:
        expected = "" if item.alone else item.answer.text
        return Scorer(item.record, self.statistics, item.question.text, expected)


def weakened(tools: Tools, items: Sequence[Item]) -> Iterator[Made]:
    making = tools.making
    yield from (Made(item, left_out=NO_PICTURE) for item in items if not item.images)
    seeing = [item for item in items if item.images]
    sampling, asks = Sampling(max_new_tokens=making.max_new_tokens), []
    for item in seeing:
        seeds = [f"{making.seed}/{item.key}/{number}" for number in range(len(item.images))]
        images = [_noised(data, making.step, seed) for data, seed in zip(item.images, seeds)]
        asks.append(item.ask(sampling, tuple(images)))
    for item, (text, left_out) in zip(seeing, tools.said(tools.policy, asks)):
        how = {"step": making.step, "seed": f"{making.seed}/{item.key}"}
        yield Made(item, item.answer.text, text, "weakened", how=how, left_out=left_out)


def _noised(data: bytes, step: int, seed: str) -> bytes:
    buffer = io.BytesIO()
    noised(open_image(data), step, seed).save(buffer, "PNG")
    return buffer.getvalue()


def injected(tools: Tools, items: Sequence[Item]) -> Iterator[Made]:
    sampling = Sampling(max_new_tokens=tools.making.max_new_tokens)
    asked = [
        _injection()[one.language]["prompt"].format(question=one.question.text, answer=one.answer.text) for one in items
    ]
    asks = [Ask(prompt.strip(), id=item.key, sampling=sampling) for prompt, item in zip(asked, items)]
    for item, (text, left_out) in zip(items, tools.said(tools.writer, asks)):
        text = text.removeprefix(_injection()[item.language]["label"]).strip()
        if "\n" in text and "\n" not in item.answer.text:  # what small models go on about is not wanted
            text, left_out = text.partition("\n")[0], "" if left_out == CUT else left_out
        text = text.strip(" \"“”'")
        before, after = words(item.answer.text), words(text)
        if not left_out and len(before) > 2 and sum(word in after for word in before) < _REST * len(before):
            left_out = "little of the answer is left"
        yield Made(item, item.answer.text, text, "injected", left_out=left_out)


@lru_cache(maxsize=1)
def _injection() -> Mapping[str, Any]:
    return tomllib.loads((files(__package__) / "injection.toml").read_text("utf-8"))


def rule(tools: Tools, items: Sequence[Item]) -> Iterator[Made]:
    for item in items:
        rng = random.Random(f"{tools.making.seed}/{item.key}")
        # A caption can be given an error in its own language alone; questions are asked in both.
        language = rng.choice(sorted({caption.language for caption in item.record.captions}) or LANGUAGES)
        found = preference(rng, item.record, tools.statistics, language)
        if found is None:
            yield Made(item, left_out=NOTHING_KNOWN)
            continue
        asked = replace(item, history=(), question=found.prompt, answer=found.chosen, language=language, alone=True)
        how = {"seed": f"{tools.making.seed}/{item.key}"}
        yield Made(asked, found.chosen.text, found.rejected.text, found.kind, how=how)


def on_policy(tools: Tools, items: Sequence[Item]) -> Iterator[Made]:
    if tools.making.describe:
        items = [_described(item, tools.making.seed) for item in items]
    known = {item.place: tools.scorer(item) for item in items}
    for item in items:
        if not item.images or not known[item.place].knows:
            yield Made(item, left_out=NOTHING_KNOWN if item.images else NO_PICTURE)
    able = [item for item in items if item.images and known[item.place].knows]
    if not tools.making.sentences:
        for item, texts, left_out in _sampled(tools, able, dict.fromkeys((item.place for item in able), "")):
            yield _best_and_worst(tools, item, known[item.place], texts) or Made(item, left_out=left_out or ALIKE)
        return
    given = {item.place: "" for item in able if known[item.place].expected is None}
    yield from (Made(item, left_out="asks for yes or no") for item in able if item.place not in given)
    paired: set[int] = set()
    going = [item for item in able if item.place in given]
    everyone = going
    for _ in range(_SENTENCES):
        goes_on = []
        for item, texts, _ in _sampled(tools, going, given):
            before = given[item.place]
            firsts = [one for one in map(_first_sentence, texts) if one and one not in before]
            made = _best_and_worst(tools, item, known[item.place], firsts)
            if made is not None:
                paired.add(item.place)
                yield replace(made, given=before)
            # What comes next follows what is true, or the errors would be learned as a reason for more of them.
            clean = [one for one in firsts if not known[item.place].score(one, item.language).wrong]
            if clean:
                next_ = made.chosen if made is not None and made.chosen in clean else clean[0]
                given[item.place] = joined(before, next_, item.language)
                goes_on.append(item)
        going = goes_on
    yield from (Made(item, left_out=ALIKE) for item in everyone if item.place not in paired)


def _described(item: Item, seed: int) -> Item:
    rng = random.Random(f"{seed}/{item.key}/describe")
    language = rng.choice(LANGUAGES)
    shown = tuple(name for turn in (*item.history, item.question) for name in turn.images)
    question = Turn("user", rng.choice(describing(language)), shown)
    answer = Turn("assistant", "", (), "positive", "caption", language)
    return replace(item, history=(), question=question, answer=answer, language=language, alone=True)


def _sampled(tools: Tools, items: Sequence[Item], given: Mapping[int, str]) -> Iterator[tuple[Item, list[str], str]]:
    """Each with its different answers in its language, and why one is missing; those that go on from what is given."""
    making = tools.making
    sampling = Sampling(making.temperature, max_new_tokens=making.max_new_tokens)
    asks = [item.ask(sampling, said=given[item.place]) for item in items for _ in range(making.answers)]
    said = tools.said(tools.policy, asks)
    for number, item in enumerate(items):
        those = said[number * making.answers : (number + 1) * making.answers]
        texts = [text for text, problem in those if text and (making.sentences or not problem)]
        fitting = [text for text in dict.fromkeys(texts) if speaks(text, item.language)]
        why = "" if len(fitting) > 1 else next((problem for _, problem in those if problem), "")
        yield item, fitting, why


def _best_and_worst(tools: Tools, item: Item, scorer: Scorer, texts: Sequence[str]) -> Made | None:
    found = furthest(texts, [scorer.score(text, item.language) for text in texts])
    if found is None:
        return None
    how = {name: getattr(tools.making, name) for name in ("temperature", "answers", "seed")}
    return Made(item, *(texts[place] for place in found), "on_policy", how=how)


def _first_sentence(text: str) -> str:
    """ "" where the text may have been cut before it ended."""
    sentences = [sentence for _, sentence in split_sentences(text) if sentence]
    return sentences[0] if len(sentences) > 1 or text.rstrip().endswith((".", "!", "?", "。", "！", "？")) else ""


def joined(before: str, after: str, language: str) -> str:
    return f"{before} {after}" if before and language == "en" else before + after


def speaks(text: str, language: str) -> bool:
    """Whether a text is in a language; figures are in either."""
    return language_of(text) == language or not any(character.isalpha() for character in text)


MAKERS = {one.__name__: one for one in (weakened, injected, rule, on_policy)}
