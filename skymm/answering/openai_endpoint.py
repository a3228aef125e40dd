"""Any OpenAI-compatible endpoint as an answerer: questions with pictures, and the likeliest first tokens."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from skymm.answering.protocol import Ask, Mode, Reply, chosen, without_outer_blanks
from skymm.endpoint import Endpoint, EndpointFailed, Refused, Unanswered, ask_all
from skymm.images import UnreadableImage, decode_image, format_of

# First words of an answer that choose yes or no, for endpoints tell tokens as text.
_WORDS = {
    "yes": ("yes", "是", "是的", "有", "有的", "对", "對", "对的"),
    "no": ("no", "否", "不", "不是", "没", "没有", "沒", "沒有", "无", "無"),
}
_AS_THEY_ARE = ("JPEG", "PNG", "WebP")  # every endpoint takes these; of other formats it is sent the first frame as PNG


class OpenAIAnswerer:
    """`url` ends where `/chat/completions` begins. The key comes from OPENAI_API_KEY, goes to the endpoint and nowhere else.

    Args:
        concurrency: questions under way at a time. retries, timeout: per question, see `skymm.endpoint.Endpoint`.
        give_up_after: questions in a row that failed after all retries; then the endpoint counts as gone (EndpointFailed).
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        max_new_tokens: int = 16,
        concurrency: int = 8,
        retries: int = 5,
        timeout: float = 120,
        give_up_after: int = 3,
    ):
        self.endpoint = Endpoint(url, model, retries=retries, timeout=timeout)
        self.name, self.model, self.max_new_tokens = self.endpoint.name, model, max_new_tokens
        self.weights, self.decoding = None, {"temperature": 0}
        self.concurrency, self.give_up_after = concurrency, give_up_after
        self.batch_size = 8 * concurrency  # so that few batches end with idle places

    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        """Raises EndpointFailed when it refuses the key or the model, or is gone; replies that are there come first."""
        limits = {"concurrency": self.concurrency, "give_up_after": self.give_up_after}
        for index, came in ask_all(asks, lambda ask: self._ask(ask, mode), name=self.name, **limits):
            yield index, came.said if came.said is not None else Reply("", error=came.error)

    def stream(self, ask: Ask) -> Iterator[str]:
        """The answer's text in pieces, as they come. Raises UnreadableImage, and what `Endpoint.stream` raises."""
        yield from without_outer_blanks(self.endpoint.stream(_messages(ask), **self._options(ask)))

    def _options(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        options = {
            "temperature": sampling.temperature or 0,
            "max_tokens": sampling.max_new_tokens or self.max_new_tokens,
        }
        return options if sampling.top_p == 1 else options | {"top_p": sampling.top_p}

    def _ask(self, ask: Ask, mode: Mode) -> Reply:
        compare = mode == "logits" and bool(ask.choices)
        options = self._options(ask)
        if compare:
            options |= {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
        try:
            messages = _messages(ask)
        except UnreadableImage as error:  # no fault of the endpoint, and of this question only
            return Reply("", error=f"unreadable picture: {error}")
        choice = self.endpoint.chat(messages, **options)
        if not compare:
            message = choice.message
            return Reply(
                (message.content or "").strip(),
                finish_reason=choice.finish_reason,
                refusal=getattr(message, "refusal", None),
                reasoning_content=message.reasoning_content,
            )
        logits = _logits(choice, ask.choices)
        if logits is None:
            raise EndpointFailed(f"{self.name} sends no logprobs; use --mode generate")
        if not logits:
            raise Refused(f"none of {', '.join(ask.choices)} is among the 20 likeliest tokens")
        return Reply(chosen(logits), logits)


class DecisionsAnswerer(OpenAIAnswerer):
    """The same, but choices are compared by `/v1/decisions` (OpenAI's, or `skymm serve`): probabilities of all of them.

    The question goes along as it is: as a predicate for yes and no, otherwise as a choice.
    """

    def __init__(self, url: str, model: str, **options: Any):
        super().__init__(url, model, **options)
        self.name = f"decisions:{url}#{model}"

    def _ask(self, ask: Ask, mode: Mode) -> Reply:
        if mode != "logits" or not ask.choices:
            return super()._ask(ask, mode)
        try:
            *before, last = _messages(ask)
        except UnreadableImage as error:
            return Reply("", error=f"unreadable picture: {error}")
        parts = [_decision_part(part) for part in _parts(last["content"])]
        # What is to be looked at first, then what is asked about it.
        images = list(takewhile(lambda part: part["type"] == "input_image", parts))
        said = [
            {
                "type": "message",
                "role": one["role"],
                "content": [_decision_part(part) for part in _parts(one["content"])],
            }
            for one in before
        ]
        for one in said:
            if one["role"] == "assistant":
                one["content"] = [{"type": "output_text", "text": part["text"]} for part in one["content"]]
        shown = [{"type": "message", "role": "user", "content": images}] if images else []
        question: dict[str, Any] = {"type": "predicate", "instructions": parts[len(images) :]}
        if set(ask.choices) != {"yes", "no"}:
            question |= {"type": "choice", "choices": [{"value": choice} for choice in ask.choices]}
        [answer] = self.endpoint.decide({"input": [*said, *shown] or "", "questions": [question]})
        try:
            logits = _decided(answer, ask.choices)
        except (KeyError, TypeError, ValueError):
            raise Unanswered(f"it sent no probabilities: {str(answer)[:200]}") from None
        return Reply(chosen(logits), logits)


def _decided(answer: Any, choices: tuple[str, ...]) -> dict[str, float]:
    """Log-probabilities; where it is told how much of all answers the choices are (`mass`), they are parts of that."""
    if answer["type"] == "predicate":
        found = {"yes": answer["probability"], "no": 1 - answer["probability"]}
    else:
        found = {one["value"]: one["probability"] for one in answer["probabilities"]}
    mass = answer.get("mass") or 1.0
    return {choice: math.log(max(found[choice] * mass, 1e-38)) for choice in choices}


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _decision_part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    return {"type": "input_image", "image_url": part["image_url"]["url"]}


def _messages(ask: Ask) -> list[dict[str, Any]]:
    """Chat messages, each image as a data URL where it stands. Raises UnreadableImage, and ValueError for a begun answer."""
    if ask.said:
        raise ValueError(
            f"{ask.id}: endpoints begin their answers themselves; take a model of this machine to go on from one"
        )
    urls = iter([data_url(data, ask.id) for data in ask.images])
    messages = []
    for turn in ask.turns:
        parts = [
            {"type": "image_url", "image_url": {"url": next(urls)}}
            if kind == "image"
            else {"type": "text", "text": said}
            for kind, said in turn.parts
        ]
        messages.append({"role": turn.role, "content": parts if turn.images else turn.text})
    return messages


def _logits(choice: Any, choices: tuple[str, ...]) -> dict[str, float] | None:
    """Sums over the tokens that the endpoint lists; a choice that is not among them gets the smallest of these. Empty where
    no choice is among them, None where there is no list.
    """
    tokens = getattr(getattr(choice, "logprobs", None), "content", None)
    if not tokens or not tokens[0].top_logprobs:
        return None
    listed = [(token.token, token.logprob) for token in tokens[0].top_logprobs]
    floor = min(logprob for _, logprob in listed)
    sums = {name: sum(math.exp(value) for token, value in listed if _says(token, name)) for name in choices}
    if not any(sums.values()):
        return {}
    return {name: math.log(total) if total > 0 else floor for name, total in sums.items()}


def _says(token: str, choice: str) -> bool:
    plain = token.strip().strip("().:*")
    if choice in _WORDS:
        return plain.lower() in _WORDS[choice]
    if len(choice) == 1 and choice.islower():  # "a" alone begins "a cat"
        return plain == choice.upper() or (plain == choice and "(" in token)
    return plain == choice


def data_url(data: bytes, where: str) -> str:
    """An encoded image as a data URL, by its first bytes. Raises UnreadableImage for what is no image."""
    kind = format_of(data)
    if kind not in _AS_THEY_ARE:
        buffer = io.BytesIO()
        decode_image(data, f"image of {where}").save(buffer, "PNG")
        data, kind = buffer.getvalue(), "PNG"
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"
