"""An OpenAI-compatible endpoint (vLLM, llama.cpp, Ollama, LMDeploy, hosted models): one chat call, and many at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from skymm.progress import say

KEY_VARIABLE = "OPENAI_API_KEY"
PAUSE = 0.5  # seconds before asking again after a reply that was nonsense; doubled each time

Asked = TypeVar("Asked")
Said = TypeVar("Said")


class EndpointFailed(ValueError):
    """The endpoint as a whole does not answer; what it answered before is kept."""


class Unanswered(Exception):
    """A question that failed after all retries, through no fault of its own."""


class Refused(Exception):
    """A question that the endpoint does not take: too long, filtered, an option that it does not know."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[Said]):
    """What came of one question: `said`, or `error` as a short sentence."""

    said: Said | None = None
    error: str | None = None


class Endpoint:
    """One model of it. `url` ends where `/chat/completions` begins.

    The key is read from OPENAI_API_KEY when the first question is asked, goes to the endpoint and nowhere else. `retries`:
    per question, with growing pauses (or as long as the endpoint says), when it answers 408, 409, 429 or 5xx, breaks the
    connection, or sends what is no chat completion. `timeout`: seconds.
    """

    def __init__(self, url: str, model: str, *, retries: int = 5, timeout: float = 120):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"found endpoint {url!r}, expected http(s)://HOST/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(f"the endpoint's URL must not carry a key or password; set {KEY_VARIABLE} instead")
        self.url, self.model, self.retries, self.timeout = url, model, retries, timeout
        self.name = f"openai:{url}#{model}"
        # Options that this model wants under another name, or (None) not at all.
        self._renamed: dict[str, str | None] = {}

    @cached_property
    def _client(self) -> Any:
        import openai

        # A server at home wants no key, but the client does.
        key = os.environ.get(KEY_VARIABLE) or "none"
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=self.retries, timeout=self.timeout)

    def chat(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        """The first choice of the completion, whose `message.content` is text or None: parts of a list are joined, and
        what is thought aloud in them or beside the content is `message.reasoning_content`.

        An option that the model refuses is renamed (`max_completion_tokens`) or left out (`temperature`) from then on.
        Raises Refused or Unanswered for this question, EndpointFailed where the key or the model is refused.
        """
        found = None
        for attempt in range(1 + self.retries):
            if attempt:
                time.sleep(min(8.0, PAUSE * 2**attempt))
            completion = self._complete(messages, options)
            choice = _first_choice(completion)
            if choice is not None:
                return choice
            found = getattr(completion, "error", None) or found
        raise Unanswered(
            f"it sent an error: {_words(found)}" if found else "it sent something that is no chat completion"
        )

    def stream(self, messages: list[dict[str, Any]], **options: Any) -> Iterator[str]:
        """The text of the completion in pieces, as they come. Raises as `chat` does; what has begun is not asked again."""
        events = self._complete(messages, options | {"stream": True})
        with self._told_apart():
            for event in events or ():
                if event.choices and event.choices[0].delta.content:
                    yield event.choices[0].delta.content

    def decide(self, body: dict[str, Any]) -> list[Any]:
        """The answers of `POST /decisions`, in the order of `body["questions"]`. Raises as `chat` does."""
        with self._told_apart():
            decided = self._client.post("/decisions", body={"model": self.model, **body}, cast_to=object)
            if isinstance(decided, dict) and isinstance(decided.get("answers"), list):
                return decided["answers"]
        raise Unanswered("it sent something that is no decision")

    def _complete(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> Any:
        import openai

        names = {name: self._renamed.get(name, name) for name in options}
        sent = {names[name]: value for name, value in options.items() if names[name] is not None}
        with self._told_apart():
            try:
                return self._client.chat.completions.create(model=self.model, messages=messages, **sent)
            except openai.BadRequestError as error:
                if not self._learns(str(error), sent):
                    raise
                return self._complete(messages, options)
        return None

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """The client's errors as Refused, Unanswered or EndpointFailed; a body that is not JSON passes for nothing."""
        import openai

        try:
            yield
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointFailed(f"{self.name} refuses the key in {KEY_VARIABLE} ({error.status_code})") from None
        except openai.NotFoundError as error:
            raise EndpointFailed(f"{self.name}: no such model or path: {_short(error)}") from None
        except (openai.RateLimitError, openai.InternalServerError, openai.ConflictError) as error:
            raise Unanswered(f"{error.status_code} after {self.retries} retries: {_short(error)}") from None
        except openai.APIStatusError as error:
            raise Refused(f"{error.status_code}: {_short(error)}") from None
        except openai.APIConnectionError as error:  # timeouts too
            raise Unanswered(f"no connection after {self.retries} retries: {_short(error)}") from None
        except EndpointFailed:
            raise
        except (openai.APIError, ValueError):
            pass

    def _learns(self, complaint: str, sent: dict[str, Any]) -> bool:
        """Whether the complaint is about an option as it was sent that can go by another name, or without it."""
        if "max_tokens" in sent and "max_completion_tokens" in complaint:
            self._renamed["max_tokens"] = "max_completion_tokens"
            return True
        if "temperature" in sent and "temperature" in complaint:
            if "temperature" not in self._renamed:
                say(f"{self.name} takes no temperature: it answers as it likes, and not greedily")
            self._renamed["temperature"] = None
            return True
        return False


def split_spec(spec: str) -> tuple[str, str]:
    """URL and model of `openai:URL#MODEL` (or decisions:...), as recipes and command lines have it. Raises ValueError for
    another form.
    """
    kind, _, rest = spec.partition(":")
    url, _, model = rest.rpartition("#")
    if not url or not model:
        raise ValueError(
            f"found an endpoint without the name of its model, expected {kind}:URL#MODEL, as in {kind}:http://localhost:8000/v1#my-model"
        )
    return url, model


def ask_all(
    asks: Sequence[Asked], ask: Callable[[Asked], Said], *, name: str, concurrency: int = 8, give_up_after: int = 3
) -> Iterator[tuple[int, Reply[Said]]]:
    """Each question's index with what came of it, as answers come in; `concurrency` questions are under way at a time.

    `give_up_after`: questions in a row that failed after all retries (four times as many that were refused: then it is not
    the questions but the way they are asked), after which the endpoint counts as gone. A ValueError of `ask`, EndpointFailed
    among them, stops it too. Either way replies that are under way come first, and the error is raised last.
    """
    waiting = iter(range(len(asks)))
    under_way: dict[Future[Said], int] = {}
    failed_in_a_row, refused_in_a_row, failure = 0, 0, None
    with ThreadPoolExecutor(concurrency) as pool:
        while True:
            if failure is None:
                for index in islice(waiting, concurrency - len(under_way)):
                    under_way[pool.submit(ask, asks[index])] = index
            if not under_way:
                break
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                index, error = under_way.pop(done), done.exception()
                if isinstance(error, ValueError):  # EndpointFailed, or a question that cannot be asked
                    failure = error
                    continue
                if error is None:
                    failed_in_a_row = refused_in_a_row = 0
                elif isinstance(error, Refused):
                    refused_in_a_row += 1
                elif isinstance(error, Unanswered):
                    failed_in_a_row += 1
                else:
                    raise error
                if refused_in_a_row >= 4 * give_up_after:
                    failure = EndpointFailed(f"{name}: {refused_in_a_row} questions in a row were refused: {error}")
                elif failed_in_a_row >= give_up_after:
                    failure = EndpointFailed(
                        f"{name}: {failed_in_a_row} questions in a row failed: {error}; "
                        "what it answered is kept, run it again to go on"
                    )
                yield index, Reply(error=str(error)) if error else Reply(done.result())
    if failure is not None:
        raise failure


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _first_choice(completion: Any) -> Any:
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        return None
    message = choices[0].message
    thoughts = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    if isinstance(message.content, list):
        parts = [part if isinstance(part, dict) else {"type": "text", "text": str(part)} for part in message.content]
        thoughts = thoughts or _joined(part for part in parts if part.get("type") in _THOUGHTS)
        message.content = _joined(part for part in parts if part.get("type") not in _THOUGHTS)
    message.reasoning_content = thoughts if isinstance(thoughts, str) and thoughts else None
    return choices[0] if message.content is None or isinstance(message.content, str) else None


_THOUGHTS = ("thinking", "reasoning")  # kinds of content parts


def _joined(parts: Iterable[Any]) -> str:
    """The text in content parts, which may be nested: {"type": "thinking", "thinking": [{"type": "text", "text": ...}]}."""
    found = []
    for part in parts:
        inner = next((part[name] for name in ("text", "thinking", "reasoning", "content") if part.get(name)), "")
        found.append(inner if isinstance(inner, str) else _joined(one for one in inner if isinstance(one, dict)))
    return "".join(found)


def _words(error: Any) -> str:
    """What an error object in a reply says, with its code."""
    if not isinstance(error, dict):
        return " ".join(str(error).split())[:200]
    code = f" ({error['code']})" if error.get("code") else ""
    return " ".join(str(error.get("message") or error).split())[:200] + code
