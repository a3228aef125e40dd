"""`/v1/decisions`: is it true, which one, how much; answered by comparing what an answer would begin with, nothing is written.

A question goes to the model as it is where it is one ("?") and names its choices; otherwise a sentence that asks for them is
added, in its language. Yes and no, true and false are compared in all the ways in which either language writes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from skymm.answering.local import FORMS
from skymm.answering.protocol import Ask, Reply
from skymm.serve.limits import Limits, Pictures, Refusal
from skymm.serve.messages import Message, ask_of
from skymm.text import language_of

_IS_IT = {"en": "Is this true? Answer yes or no.", "zh": "这种说法对吗？请回答是或否。"}
_WHICH = {"en": "Answer with one of these:", "zh": "请用下列之一回答："}
_LETTER = {"en": "Answer with the letter.", "zh": "请回答选项的字母。"}
_BETWEEN = {"en": ": ", "zh": "："}
_SAID = {"en": {"yes": "yes", "no": "no"}, "zh": {"yes": "是", "no": "否"}}
_MEANT = {form.lower(): name for name, forms in FORMS.items() for form in forms} | {"true": "yes", "false": "no"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Part(BaseModel):
    type: Literal["input_text", "output_text", "input_image", "input_json"]
    text: str | None = None
    image_url: str | None = None
    data: dict[str, Any] | list[dict[str, Any]] | None = None

    def spoken(self) -> tuple[str, str]:
        if self.type == "input_image":
            found = "image", self.image_url
        elif self.type == "input_json":
            found = "text", None if self.data is None else json.dumps(self.data, ensure_ascii=False)
        else:
            found = "text", self.text
        if found[1] is None:
            raise Refusal(400, f"found a part of type {self.type!r} without what it should hold")
        return found


class InputMessage(BaseModel):
    type: Literal["message"] = "message"
    role: Literal["user", "system", "developer", "assistant"]
    content: str | list[Part]


class _Question(BaseModel):
    instructions: str | list[Part]
    name: str | None = None


class Predicate(_Question):
    type: Literal["predicate"]


class Option(BaseModel):
    model_config = ConfigDict(strict=True)
    value: StrictBool | StrictStr = Field(union_mode="left_to_right")
    description: str | None = None


class Choice(_Question):
    type: Literal["choice"]
    choices: list[Option] = Field(min_length=2, max_length=255)


class Level(BaseModel):
    label: str
    description: str | None = None


class Score(_Question):
    type: Literal["score"]
    levels: list[Level] = Field(min_length=2, max_length=100)


class DecisionRequest(BaseModel):
    model: str | None = None
    input: str | list[InputMessage]
    questions: list[Annotated[Predicate | Choice | Score, Field(discriminator="type")]] = Field(
        min_length=1, max_length=400
    )

    def asks(self, limits: Limits) -> list[Ask]:
        """One for each question, all with the pictures of the input. Raises Refusal."""
        pictures = Pictures(limits)
        messages = [Message("user", [("text", self.input)])] if isinstance(self.input, str) else []
        if isinstance(self.input, list):
            messages = [Message(one.role, _parts(one.content)) for one in self.input]
        messages = [message for message in messages if any(said for _, said in message.parts)]
        asks, room = [], 10 * limits.num_characters
        for question in self.questions:
            asks.append(self._ask(question, messages, pictures))
            room -= sum(len(turn.text) for turn in asks[-1].turns)
            if room < 0:
                raise Refusal(400, "so much input for so many questions; ask fewer at a time", "too_long")
        return asks

    def _ask(self, question: Any, messages: Sequence[Message], pictures: Pictures) -> Ask:
        pictures.begin()
        parts = _parts(question.instructions)
        words = " ".join(said for kind, said in parts if kind == "text")
        options = options_of(question, words)
        added = [("text", options.added)] if options.added else []
        asked = ask_of([*messages, Message("user", [*parts, *added])], pictures)
        return replace(asked, choices=options.names, id=f"question {question.name or ''}".strip())


class Options:
    """What is compared for a question, and the sentence that asks for it. `values`: what each name stands for."""

    def __init__(self, values: Sequence[Any], names: Sequence[str], added: str = ""):
        self.values, self.names, self.added = tuple(values), tuple(names), added


def options_of(question: Predicate | Choice | Score, words: str) -> Options:
    """Raises Refusal for choices that are not different, or of which more than 26 begin like another one."""
    language = language_of(words)
    if isinstance(question, Predicate):
        return Options((True, False), ("yes", "no"), "" if "?" in words or "？" in words else _IS_IT[language])
    given = (
        [(one.value, one.description) for one in question.choices]
        if isinstance(question, Choice)
        else [(one.label, one.description) for one in question.levels]
    )
    values = [value for value, _ in given]
    if len({(type(value), value) for value in values}) < len(values) or not all(str(value).strip() for value in values):
        raise Refusal(400, "found choices that are empty or the same, expected each once")
    meant = [_MEANT.get(str(value).strip().lower(), str(value).strip()) for value in values]
    if len(set(meant)) < len(meant):  # such as true and "yes"
        meant = [str(value).strip() for value in values]
    said = [
        _SAID[language].get(name, name) if isinstance(value, bool) else str(value) for value, name in zip(values, meant)
    ]
    lines = [text + (_BETWEEN[language] + more if more else "") for text, (_, more) in zip(said, given)]
    if any(one != other and other.lower().startswith(one.lower()) for one in meant for other in meant) or len(
        set(map(str.lower, meant))
    ) < len(meant):
        if len(meant) > len(_LETTERS):
            raise Refusal(400, "more than 26 choices of which one begins like another; give them other values")
        listed = "\n".join(f"{letter}. {line}" for letter, line in zip(_LETTERS, lines))
        return Options(values, _LETTERS[: len(values)], f"{listed}\n{_LETTER[language]}")
    if all(text in words for text in said) and not any(more for _, more in given):
        return Options(values, meant)
    return Options(values, meant, "\n".join([_WHICH[language], *(f"- {line}" for line in lines)]))


def answer_of(question: Predicate | Choice | Score, ask: Ask, reply: Reply, temperature: float) -> dict[str, Any]:
    """`mass`, which is no field of OpenAI's, is how probable it was that an answer begins with any of the choices at all."""
    options = options_of(question, "")
    logits = [reply.logits[name] for name in ask.choices]
    probabilities = softmax(logits, temperature)
    common = {"type": question.type, "name": question.name, "mass": min(1.0, sum(map(math.exp, logits)))}
    if isinstance(question, Predicate):
        return common | {"probability": probabilities[0]}
    confidence = max(probabilities)
    if isinstance(question, Choice):
        listed = [{"value": value, "probability": one} for value, one in zip(options.values, probabilities)]
        best = options.values[probabilities.index(confidence)]
        return common | {"choice": best, "confidence": confidence, "probabilities": listed}
    listed = [
        {"label": label, "value": value, "probability": one}
        for value, (label, one) in enumerate(zip(options.values, probabilities))
    ]
    score = sum(value * one for value, one in enumerate(probabilities))
    return common | {"score": score, "confidence": confidence, "probabilities": listed}


def softmax(logits: Sequence[float], temperature: float) -> list[float]:
    top = max(logits)
    weights = [math.exp((value - top) / temperature) for value in logits]
    return [weight / sum(weights) for weight in weights]


def usage_of(replies: Sequence[Reply]) -> Mapping[str, Any]:
    read = sum(reply.num_prompt_tokens or 0 for reply in replies)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read,
    }


def _parts(content: str | Sequence[Part]) -> list[tuple[str, str]]:
    return [("text", content)] if isinstance(content, str) else [part.spoken() for part in content]
