"""Any OpenAI-compatible endpoint as an answerer: vLLM, llama.cpp, Ollama, LMDeploy, hosted models."""

from __future__ import annotations

import base64
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from skymm.evaluation.answerers.protocol import Ask, Mode, Reply, chosen

KEY_VARIABLE = "OPENAI_API_KEY"
PAUSE = 0.5  # seconds before asking again after a reply that was nonsense; doubled each time
# First words of an answer that choose yes or no, for endpoints tell tokens as text.
_WORDS = {
    "yes": ("yes", "是", "是的", "有", "有的", "对", "對", "对的"),
    "no": ("no", "否", "不", "不是", "没", "没有", "沒", "沒有", "无", "無"),
}
_MAGIC = {b"\xff\xd8": "jpeg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}


class EndpointFailed(ValueError):
    """The endpoint as a whole does not answer; what it answered before is kept."""


class OpenAIAnswerer:
    """`url` ends where `/chat/completions` begins. The key comes from OPENAI_API_KEY, goes to the endpoint and nowhere else.

    Args:
        concurrency: questions under way at a time. retries: per question, with growing pauses (or as long as the endpoint
            says), when it answers 408, 409, 429 or 5xx, breaks the connection, or sends what is no chat completion.
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
        import openai

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"found endpoint {url!r}, expected http(s)://HOST/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(f"the endpoint's URL must not carry a key or password; set {KEY_VARIABLE} instead")
        self.name, self.model, self.max_new_tokens = f"openai:{url}#{model}", model, max_new_tokens
        self.weights, self.decoding = None, {"temperature": 0}
        self.concurrency, self.retries, self.give_up_after = concurrency, retries, give_up_after
        self.batch_size = 8 * concurrency  # so that few batches end with idle places
        # A server at home wants no key, but the client does.
        key = os.environ.get(KEY_VARIABLE) or "none"
        self._client = openai.OpenAI(base_url=url, api_key=key, max_retries=retries, timeout=timeout)

    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        """Raises EndpointFailed when it refuses the key or the model, or is gone; replies that are there come first."""
        waiting = iter(range(len(asks)))
        under_way: dict[Future[Reply], int] = {}
        failed_in_a_row, refused_in_a_row, failure = 0, 0, None
        with ThreadPoolExecutor(self.concurrency) as pool:
            while True:
                while failure is None and len(under_way) < self.concurrency:
                    index = next(waiting, None)
                    if index is None:
                        break
                    under_way[pool.submit(self._ask, asks[index], mode)] = index
                if not under_way:
                    break
                for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                    index = under_way.pop(done)
                    try:
                        reply = done.result()
                        failed_in_a_row = 0 if reply.error is None else failed_in_a_row
                        refused_in_a_row = 0 if reply.error is None else refused_in_a_row + 1
                        if refused_in_a_row >= 4 * self.give_up_after:  # not these questions: the way they are asked
                            failure = EndpointFailed(
                                f"{self.name}: {refused_in_a_row} questions in a row were refused: {reply.error}"
                            )
                    except ValueError as error:  # EndpointFailed, or a picture that is none
                        failure = error
                        continue
                    except _Unanswered as error:
                        reply = Reply("", error=str(error))
                        failed_in_a_row += 1
                        if failed_in_a_row >= self.give_up_after:
                            failure = EndpointFailed(
                                f"{self.name}: {failed_in_a_row} questions in a row failed: {error}; "
                                "what it answered is kept, run it again to go on"
                            )
                    yield index, reply
        if failure is not None:
            raise failure

    def _ask(self, ask: Ask, mode: Mode) -> Reply:
        compare = mode == "logits" and bool(ask.choices)
        options: dict[str, Any] = {"max_tokens": 1 if compare else self.max_new_tokens}
        if compare:
            options |= {"logprobs": True, "top_logprobs": 20}
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": data_url(data, ask.id)}} for data in ask.images
        ]
        content.append({"type": "text", "text": ask.prompt})
        message = {"role": "user", "content": content if ask.images else ask.prompt}
        for attempt in range(1 + self.retries):
            if attempt:
                time.sleep(min(8.0, PAUSE * 2**attempt))
            completion = self._complete([message], options)
            if isinstance(completion, Reply):
                return completion
            choice = _first_choice(completion)
            if choice is None:
                continue
            if not compare:
                return Reply((choice.message.content or "").strip())
            logits = _logits(choice, ask.choices)
            if logits is None:
                raise EndpointFailed(f"{self.name} sends no logprobs; use --mode generate")
            if not logits:
                return Reply("", error=f"none of {', '.join(ask.choices)} is among the 20 likeliest tokens")
            return Reply(chosen(logits), logits)
        raise _Unanswered("it sent something that is no chat completion")

    def _complete(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> Any:
        import openai

        try:
            return self._client.chat.completions.create(model=self.model, messages=messages, **self.decoding, **options)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointFailed(f"{self.name} refuses the key in {KEY_VARIABLE} ({error.status_code})") from None
        except openai.NotFoundError as error:
            raise EndpointFailed(f"{self.name}: no such model or path: {_short(error)}") from None
        except (openai.RateLimitError, openai.InternalServerError, openai.ConflictError) as error:
            raise _Unanswered(f"{error.status_code} after {self.retries} retries: {_short(error)}") from None
        except openai.APIStatusError as error:  # this question is refused: too long, filtered, ...
            return Reply("", error=f"{error.status_code}: {_short(error)}")
        except openai.APIConnectionError as error:  # timeouts too
            raise _Unanswered(f"no connection after {self.retries} retries: {_short(error)}") from None
        except (openai.APIError, ValueError):  # a body that is not JSON
            return None


class _Unanswered(Exception):
    """A question that failed after all retries, through no fault of its own."""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _first_choice(completion: Any) -> Any:
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        return None
    content = choices[0].message.content
    return choices[0] if content is None or isinstance(content, str) else None


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
    """An encoded image as a data URL, by its first bytes. Raises ValueError for what is no image."""
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    if kind is None:
        raise ValueError(f"image of {where}: found bytes {data[:8]!r}, expected a JPEG, PNG, GIF or WebP")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
