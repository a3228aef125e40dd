"""`skymm serve`: an OpenAI-compatible server of one model, for people and for evaluation kits."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from skymm.serve.chat import Answer, ChatRequest
from skymm.serve.decisions import DecisionRequest, answer_of, usage_of
from skymm.serve.engine import Busy, Engine, Job
from skymm.serve.limits import Limits, Refusal
from skymm.serve.metrics import Metrics

_log = logging.getLogger("skymm.serve")
Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result")


class Server:
    """The application (`app`) around an engine. With a `key`, everything under /v1 needs it as a bearer token.

    `temperature`: what log-probabilities of decisions are divided by before they become probabilities.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        *,
        limits: Limits | None = None,
        key: str | None = None,
        temperature: float = 1.0,
    ):
        self.engine, self.name, self.limits, self.key = engine, name, limits or Limits(), key
        self.temperature, self.started = temperature, int(time.time())
        self.fingerprint = engine.answerer.weights
        self.metrics = Metrics(engine)
        self.app = FastAPI(title="skymm", openapi_url=None, docs_url=None, redoc_url=None)
        for path, method, answer in (
            ("/v1/chat/completions", "POST", self.chat),
            ("/v1/decisions", "POST", self.decide),
            ("/v1/models", "GET", self.models),
            ("/v1/models/{name:path}", "GET", self.model),
            ("/health", "GET", self.health),
            ("/metrics", "GET", self.show_metrics),
        ):
            self.app.add_api_route(path, self._guarded(answer), methods=[method], response_model=None)
        self.app.add_exception_handler(HTTPException, _http_error)

    def _guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Counts every request, and turns whatever goes wrong into a status and a sentence."""

        async def guarded(request: Request) -> Response:
            begun = time.monotonic()
            path = request.scope["route"].path
            try:
                if path.startswith("/v1"):
                    self._check_key(request)
                response = await answer(request)
            except ClientDisconnect:
                response = Response(status_code=499)  # nobody reads it; it is counted
            except Exception as error:
                response = _refused(error)
            self.metrics.answered(path, response.status_code, time.monotonic() - begun)
            return response

        return guarded

    def _check_key(self, request: Request) -> None:
        if self.key is None:
            return
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        # Headers are read as Latin-1, whatever was meant.
        if not hmac.compare_digest(sent.encode("latin-1"), self.key.encode()) or scheme.lower() != "bearer":
            raise Refusal(
                401, "the API key is missing or wrong; send it as Authorization: Bearer KEY", "invalid_api_key"
            )

    # --- what can be asked for ----------------------------------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        asked = await self._read(request, ChatRequest)
        ask = await asyncio.to_thread(asked.ask, self.limits)
        [job] = self._submitted(lambda: [self.engine.submit(ask, top_logprobs=asked.wanted_logprobs)])
        answer = Answer(job, self.name, self.fingerprint)
        if not asked.stream:
            [reply] = await self._awaited(request, [job])
            return JSONResponse(answer.whole(reply))
        include_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        pieces = aiter(job)
        # Until there is something to say, a request can still be refused with a status of its own.
        first = await self._while_connected(request, [job], anext(pieces, None))
        events = answer.pieces(_after(first, pieces), include_usage=include_usage)
        return StreamingResponse(
            self._streamed(job, events), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )

    async def decide(self, request: Request) -> Response:
        asked = await self._read(request, DecisionRequest)
        asks = await asyncio.to_thread(asked.asks, self.limits)
        jobs = self._submitted(lambda: self.engine.submit_all(asks, "logits"))
        replies = await self._awaited(request, jobs)
        answers = [
            answer_of(question, ask, reply, self.temperature)
            for question, ask, reply in zip(asked.questions, asks, replies)
        ]
        return JSONResponse({"model": self.name, "answers": answers, "usage": usage_of(replies)})

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described()]})

    async def model(self, request: Request) -> Response:
        self._check_model(request.path_params["name"])
        return JSONResponse(self._described())

    async def health(self, request: Request) -> Response:
        if not self.engine.alive:
            raise Refusal(503, "the model is shutting down", "unavailable")
        return JSONResponse({"status": "ok", "model": self.name})

    async def show_metrics(self, request: Request) -> Response:
        return Response(*self.metrics.page())

    def _described(self) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": "model",
            "created": self.started,
            "owned_by": "skymm",
            "max_model_len": self.engine.answerer.context_length,
        }

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _read(self, request: Request, form: type[Body]) -> Body:
        """The body as what it should be. Raises Refusal."""
        headers = request.headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # Also so that pages of other sites cannot have a browser ask without being asked.
            raise Refusal(415, "expected a body of Content-Type: application/json")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "found a compressed body, expected plain JSON")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise Refusal(400, "found two lengths of the body, expected one")
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                data = await self._bytes(request)
        except TimeoutError:
            raise Refusal(408, f"the request was not complete within {self.limits.body_seconds:g} seconds") from None
        asked = await asyncio.to_thread(_parsed, data, form)
        if asked.model is not None:
            self._check_model(asked.model)
        return asked

    async def _bytes(self, request: Request) -> bytes:
        limit, data = self.limits.num_bytes, bytearray()
        too_large = Refusal(413, f"the body has more than {limit} bytes", "request_too_large")
        if int(request.headers.get("content-length", 0)) > limit:
            raise too_large
        async for chunk in request.stream():
            data += chunk
            if len(data) > limit:
                raise too_large
        return bytes(data)

    def _check_model(self, name: str) -> None:
        if name != self.name:
            raise Refusal(404, f"no model {name[:100]!r} here, there is {self.name!r}", "model_not_found")

    # --- answering ----------------------------------------------------------------------------------------------------

    def _submitted(self, submit: Callable[[], list[Job]]) -> list[Job]:
        try:
            return submit()
        except Busy as busy:
            raise Refusal(429, str(busy), "rate_limit_exceeded", retry_after=busy.retry_after) from None
        except RuntimeError:
            raise Refusal(503, "the model is shutting down", "unavailable", retry_after=5) from None

    async def _awaited(self, request: Request, jobs: list[Job]) -> list[Any]:
        replies = await self._while_connected(request, jobs, asyncio.gather(*(job.finished() for job in jobs)))
        for job in jobs:
            self.metrics.written(job)
        return replies

    async def _while_connected(self, request: Request, jobs: list[Job], work: Awaitable[Result]) -> Result:
        """Its result; where the client hangs up or the time is over before, nobody goes on writing for it."""
        working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
        try:
            done, _ = await asyncio.wait(
                (working, leaving), timeout=self._seconds_left(jobs[0]), return_when=asyncio.FIRST_COMPLETED
            )
            if working in done:
                return working.result()
            if leaving in done:
                raise ClientDisconnect
            raise Refusal(504, f"no answer within {self.limits.seconds:g} seconds", "timeout")
        finally:
            leaving.cancel()
            if not working.done() or working.cancelled() or working.exception() is not None:
                working.cancel()
                for job in jobs:
                    job.cancel()

    async def _streamed(self, job: Job, events: AsyncIterator[str]) -> AsyncIterator[str]:
        try:
            while (event := await asyncio.wait_for(anext(events, None), self._seconds_left(job))) is not None:
                yield event
            self.metrics.written(job)
        except Exception as error:
            if isinstance(error, TimeoutError):
                error = Refusal(504, f"no answer within {self.limits.seconds:g} seconds", "timeout")
            yield f"data: {json.dumps(_error_body(error))}\n\n"
        finally:
            job.cancel()

    def _seconds_left(self, job: Job) -> float:
        return max(0.0, job.asked_at + self.limits.seconds - time.monotonic())


async def _after(first: str | None, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    if first is not None:
        yield first
        async for piece in rest:
            yield piece


async def _left(request: Request) -> None:
    """Returns when the client hangs up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parsed(data: bytes, form: type[Body]) -> Body:
    try:
        return form.model_validate(json.loads(data, parse_constant=_no_number))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise Refusal(400, f"{where}: {first['msg'][:300]}" if where else first["msg"][:300]) from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError, and numbers of thousands of digits
        raise Refusal(400, f"the body is no JSON that can be read ({str(error)[:200]})", "invalid_json") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


# --- errors ---------------------------------------------------------------------------------------------------------------


def _refusal_of(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ValueError):  # what the model says about a question that cannot be asked
        return Refusal(400, str(error)[:1000])
    if isinstance(error, CancelledError):
        return Refusal(503, "given up: the model is shutting down", "unavailable", retry_after=5)
    _log.error("a request failed", exc_info=error)
    return Refusal(500, f"{type(error).__name__} while answering; the server's log says more", "server_error")


def _error_body(error: Exception) -> dict[str, Any]:
    refusal = _refusal_of(error)
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    # A request may hold half a character, which no answer can.
    message = str(refusal).encode("utf-8", "backslashreplace").decode()
    return {"error": {"message": message, "type": kind, "param": None, "code": refusal.code}}


def _refused(error: Exception) -> Response:
    refusal = _refusal_of(error)
    headers = {} if refusal.retry_after is None else {"Retry-After": f"{refusal.retry_after:.0f}"}
    if refusal.status in (408, 413):  # what is left of the body is not waited for
        headers["Connection"] = "close"
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(_error_body(refusal), status_code=refusal.status, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = _error_body(
        Refusal(error.status_code, f"{request.method} {request.url.path[:100]}: {error.detail}", "not_found")
    )
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


# --- running --------------------------------------------------------------------------------------------------------------


class PatientProtocol(H11Protocol):
    """Hangs up on those who connect and do not send the head of a request in time."""

    seconds = 15.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(self.seconds, self._hang_up_on_silence)

    def _hang_up_on_silence(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def config_of(
    server: Server, *, host: str, port: int, max_connections: int = 512, patience: float = 30
) -> uvicorn.Config:
    """`patience`: seconds that requests under way have at the end, when the server is told to stop."""
    return uvicorn.Config(
        server.app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        log_level="warning",
        server_header=False,
        limit_concurrency=max_connections,
        timeout_graceful_shutdown=int(patience),
    )


def run(server: Server, *, ready: Callable[[str], None] = lambda url: None, **options: Any) -> None:
    """Until it is told to stop (SIGTERM, Ctrl-C): then it takes nothing new and finishes what is under way.

    `ready` is told its address as soon as the port is taken (0: any that is free).
    """
    config = config_of(server, **options)
    socket = config.bind_socket()
    ready(_address(socket))
    uvicorn.Server(config).run(sockets=[socket])


@contextlib.contextmanager
def running(server: Server, **options: Any) -> Iterator[str]:
    """Inside, it serves at the address that this gives, on a free port of this machine."""
    config = config_of(server, host="127.0.0.1", port=0, **options)
    socket, serving = config.bind_socket(), uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        while not serving.started:
            if not thread.is_alive():
                raise RuntimeError("the server could not start; its log says why")
            time.sleep(0.01)
        yield _address(socket)
    finally:
        serving.should_exit = True
        thread.join()


def _address(socket: Any) -> str:
    host, port = socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
