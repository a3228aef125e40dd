"""`/v1/chat/completions`: what is understood of a request, and an answer as OpenAI's clients read it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, Field

from skymm.answering.protocol import Ask, Reply, Sampling
from skymm.answering.writing import Scored
from skymm.serve.engine import Job
from skymm.serve.limits import Limits, Pictures, Refusal
from skymm.serve.messages import Message, ask_of


class ImageAddress(BaseModel):
    url: str


class Part(BaseModel):
    type: str
    text: str | None = None
    image_url: ImageAddress | str | None = None


class ChatMessage(BaseModel):
    role: str
    content: str | list[Part] | None = None

    def spoken(self) -> Message:
        if isinstance(self.content, str) or self.content is None:
            return Message(self.role, [("text", self.content or "")])
        return Message(self.role, [_part(part) for part in self.content])


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """Fields that stand here are understood, all others ignored. Without a temperature the answer is greedy."""

    model: str | None = None
    messages: list[ChatMessage]
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=10, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)

    def ask(self, limits: Limits) -> Ask:
        """Raises Refusal."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stop) > 16 or any(not one or len(one) > 200 for one in stop):
            raise Refusal(400, "stop: expected at most 16 texts of 1 to 200 characters")
        asked = ask_of([message.spoken() for message in self.messages], Pictures(limits))
        wanted = self.max_completion_tokens or self.max_tokens or limits.num_tokens
        sampling = Sampling(
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            max_new_tokens=min(wanted, limits.num_tokens),
            stop=tuple(stop),
            seed=self.seed,
        )
        return replace(asked, sampling=sampling)

    @property
    def wanted_logprobs(self) -> int | None:
        return self.top_logprobs or 0 if self.logprobs else None


def _part(part: Part) -> tuple[str, str]:
    if part.type == "text" and part.text is not None:
        return "text", part.text
    if part.type == "image_url" and part.image_url is not None:
        return "image", part.image_url if isinstance(part.image_url, str) else part.image_url.url
    raise Refusal(400, f'found a part of type {part.type[:40]!r}, expected "text" or "image_url" with what they name')


class Answer:
    """One completion: the same id, time and model in all its pieces."""

    def __init__(self, job: Job, model: str, fingerprint: str | None):
        self.job = job
        self.frame = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }

    def whole(self, reply: Reply) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": reply.text, "refusal": None},
            "finish_reason": reply.finish_reason,
            "logprobs": self._logprobs(self.job.scored),
        }
        return self.frame | {"object": "chat.completion", "choices": [choice], "usage": usage(reply)}

    async def pieces(self, pieces: AsyncIterator[str], *, include_usage: bool) -> AsyncIterator[str]:
        """Server-sent events up to [DONE]; what goes wrong after the first of them is one, too."""
        told, spare = 0, {"usage": None} if include_usage else {}

        def event(delta: dict[str, str], reason: str | None = None) -> str:
            nonlocal told
            scored = self.job.scored[told:]
            told += len(scored)
            choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": self._logprobs(scored)}
            return _event(self.frame | {"object": "chat.completion.chunk", "choices": [choice]} | spare)

        yield event({"role": "assistant", "content": ""})
        async for piece in pieces:
            yield event({"content": piece})
        reply = self.job.reply
        yield event({}, reply.finish_reason)
        if include_usage:
            yield _event(
                self.frame | {"object": "chat.completion.chunk", "choices": [], "usage": usage(reply)},
            )
        yield "data: [DONE]\n\n"

    def _logprobs(self, scored: Sequence[Scored]) -> dict[str, Any] | None:
        if self.job.line.top is None:
            return None
        listed = [
            _token(one.text, one.logprob) | {"top_logprobs": [_token(text, value) for text, value in one.top]}
            for one in scored
        ]
        return {"content": listed, "refusal": None}


def usage(reply: Reply) -> dict[str, int]:
    read, written = reply.num_prompt_tokens or 0, reply.num_tokens or 0
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _token(text: str, logprob: float) -> dict[str, Any]:
    """Of half a character the bytes are not told."""
    return {"token": text, "logprob": logprob, "bytes": None if "\ufffd" in text else list(text.encode())}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
