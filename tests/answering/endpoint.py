"""A chat-completions server on this machine that answers by rule, misbehaves as told, and remembers every request."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of five resets connections when many clients come at once
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed has broken its connection; anything else is a mistake to be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Endpoint:
    """`rule(request)` gives the text; a (status, body) pair to send as it is; or None, which breaks the connection."""

    def __init__(self, rule: Callable[[dict[str, Any]], Any] = lambda request: "Yes"):
        self.rule, self.requests, self.keys = rule, [], []
        self.under_way = self.most_under_way = 0
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    endpoint.requests.append(request)
                    endpoint.keys.append(self.headers.get("Authorization"))
                    endpoint.under_way += 1
                    endpoint.most_under_way = max(endpoint.most_under_way, endpoint.under_way)
                try:
                    self._reply(endpoint.rule(request), bool(request.get("stream")))
                finally:
                    with lock:
                        endpoint.under_way -= 1

            def _reply(self, said: Any, streamed: bool) -> None:
                if said is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, body = (200, completion(said)) if isinstance(said, str) else said
                kind = "application/json" if not isinstance(body, bytes) else "text/html"
                if streamed and isinstance(said, str):
                    body, kind = events(said), "text/event-stream"
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


def completion(text: Any, top: list[tuple[str, float]] | None = None) -> dict[str, Any]:
    """A chat completion; `top` are the likeliest first tokens with their log-probabilities."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if top is not None:
        listed = [{"token": token, "logprob": value, "bytes": None} for token, value in top]
        choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def events(text: str) -> bytes:
    """The completion of a text, word by word, as server-sent events."""
    pieces = [f" {word}" for word in text.split(" ")]
    choices = [{"index": 0, "finish_reason": None, "delta": {"content": piece}} for piece in ("", *pieces)]
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    lines = [json.dumps(chunk | {"choices": [choice]}) for choice in choices] + [
        json.dumps(chunk | {"choices": []}),
        "[DONE]",
    ]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def prompt_of(request: dict[str, Any]) -> str:
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]
