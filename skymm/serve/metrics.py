"""What a server tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from skymm.serve.engine import Engine, Job

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self, engine: Engine):
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("skymm_requests", "Requests by path and status", ("path", "status"), registry=registry)
        self._seconds = Histogram(
            "skymm_request_seconds",
            "Until the answer, of a stream until its beginning",
            ("path",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._tokens = Counter("skymm_tokens", "Tokens of answered requests", ("kind",), registry=registry)
        waiting = Gauge("skymm_waiting", "Questions that wait", registry=registry)
        waiting.set_function(lambda: engine.num_waiting)
        writing = Gauge("skymm_writing", "Answers that are being written", registry=registry)
        writing.set_function(lambda: engine.num_writing)
        steps = Gauge("skymm_steps", "Passes of the model in which answers were written", registry=registry)
        steps.set_function(lambda: engine.num_steps)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def written(self, job: Job) -> None:
        if job.reply is not None:
            self._tokens.labels("read").inc(job.reply.num_prompt_tokens or 0)
            self._tokens.labels("written").inc(job.reply.num_tokens or 0)

    def page(self) -> tuple[bytes, int, dict[str, str]]:
        """The page, its status and its headers."""
        return generate_latest(self._registry), 200, {"Content-Type": CONTENT_TYPE_LATEST}
