"""One thread that owns a model and answers for everybody who asks at once.

Questions that come while others are being answered join them at the next token (skymm/answering/writing.py); choices are
compared between two tokens, all that wait in one pass.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import torch

from skymm.answering.local import LocalAnswerer
from skymm.answering.protocol import Ask, Mode, Reply
from skymm.answering.writing import Batch, Line, Scored


class Busy(Exception):
    """Too many questions wait. `retry_after`: seconds after which there should be room."""

    def __init__(self, waiting: int, retry_after: float):
        super().__init__(f"{waiting} questions are waiting; ask again in {retry_after:.0f} seconds")
        self.retry_after = retry_after


class Job:
    """One question under way: its text piece by piece (`for` or `async for`), then its `reply`.

    Either way of reading raises what went wrong: ValueError for what is wrong with the question, CancelledError after
    `cancel()`, anything else for a fault of the model. Several readers may read one job.
    """

    def __init__(self, ask: Ask, mode: Mode, top: int | None):
        self.ask, self.mode = ask, mode
        self.reply: Reply | None = None
        self.error: BaseException | None = None
        self.pieces: list[str] = []
        self.asked_at = time.monotonic()
        self.line = Line(ask, self._add, top)
        self.cancelled = False
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    @property
    def done(self) -> bool:
        return self.reply is not None or self.error is not None

    @property
    def scored(self) -> Sequence[Scored]:
        """The tokens that were written so far, where they were asked for."""
        return self.line.scored

    def cancel(self) -> None:
        """Stop writing at the next token; what is finished stays as it is."""
        self.cancelled = True

    def result(self, timeout: float | None = None) -> Reply:
        """The whole reply. Raises TimeoutError when it takes longer than `timeout` seconds, and what iterating raises."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.done, timeout):
                raise TimeoutError(f"no answer within {timeout} seconds")
        return self._outcome()

    def __iter__(self) -> Iterator[str]:
        read = 0
        while True:
            with self._changed:
                while len(self.pieces) == read and not self.done:
                    self._changed.wait()
                new, done = self.pieces[read:], self.done
            yield from new
            read += len(new)
            if done:
                self._outcome()
                return

    async def __aiter__(self) -> AsyncIterator[str]:
        loop, told, read = asyncio.get_running_loop(), asyncio.Event(), 0

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(told.set)

        with self._changed:
            self._listeners.append(tell)
        try:
            while True:
                told.clear()
                with self._changed:
                    new, done = self.pieces[read:], self.done
                for piece in new:
                    yield piece
                read += len(new)
                if done:
                    self._outcome()
                    return
                if not new:
                    await told.wait()
        finally:
            with self._changed:
                self._listeners.remove(tell)

    async def finished(self) -> Reply:
        """The whole reply, for asyncio."""
        async for _ in self:
            pass
        return self._outcome()

    def _outcome(self) -> Reply:
        if self.error is not None:
            raise self.error
        assert self.reply is not None
        return self.reply

    def _add(self, piece: str) -> None:
        self._change(lambda: self.pieces.append(piece))

    def end(self, reply: Reply | None = None, error: BaseException | None = None) -> None:
        """For the engine: that was all."""

        def ends() -> None:
            if not self.done:
                self.reply, self.error = reply, error

        self._change(ends)

    def _change(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


class Engine:
    """Answers many at once. Use it as a context manager, or call `close`.

    Args:
        answerer: any model of this machine (`SkyMMAnswerer`, `TransformersAnswerer`); nobody else may use it meanwhile.
        max_waiting: questions that may wait; `submit` raises Busy for more.
        max_batch: answers that are written at once, and choices that are compared at once.

    Raises ValueError for an answerer that does not write on this machine.
    """

    def __init__(self, answerer: LocalAnswerer, *, max_waiting: int = 64, max_batch: int = 16):
        if not isinstance(answerer, LocalAnswerer):
            found = f"{answerer.name}, a {type(answerer).__name__}"
            raise ValueError(f"found {found}, expected a model that writes on this machine: a directory or hf:ID")
        self.answerer, self.max_waiting, self.max_batch = answerer, max_waiting, max_batch
        self.seconds_per_job = 1.0  # of late, in all and not of one alone
        self.num_steps = self.num_written = 0
        self._waiting: deque[Job] = deque()
        self._writing: dict[Line, Job] = {}
        self._batches: list[Batch] = []
        self._wake = threading.Condition()
        self._closing = False
        self._guests, self._model = 0, threading.Lock()
        self._thread = threading.Thread(target=self._run, name="skymm-engine", daemon=True)
        self._thread.start()

    def submit(self, ask: Ask, mode: Mode = "generate", *, top_logprobs: int | None = None) -> Job:
        """Ask. "logits" compares the ask's choices and writes nothing; without choices it is written in both modes.

        `top_logprobs`: note each token with its log-probability and this many of the likeliest ones (`Job.scored`).
        Raises Busy, and RuntimeError after `close`.
        """
        return self.submit_all([ask], mode, top_logprobs=top_logprobs)[0]

    def submit_all(self, asks: Sequence[Ask], mode: Mode = "generate", *, top_logprobs: int | None = None) -> list[Job]:
        """All of them, or, where they have no room, none (Busy)."""
        jobs = [Job(ask, mode if ask.choices else "generate", top_logprobs) for ask in asks]
        with self._wake:
            if self._closing:
                raise RuntimeError("the engine is closed")
            waiting = len(self._waiting)
            if waiting and waiting + len(jobs) > self.max_waiting:
                raise Busy(waiting, max(1.0, waiting * self.seconds_per_job))
            self._waiting.extend(jobs)
            self._wake.notify()
        return jobs

    @contextmanager
    def alone(self) -> Iterator[LocalAnswerer]:
        """The answerer for something else, in the caller's thread; the engine rests between two tokens meanwhile."""
        with self._wake:
            self._guests += 1
        try:
            with self._model:
                yield self.answerer
        finally:
            with self._wake:
                self._guests -= 1
                self._wake.notify()

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_writing(self) -> int:
        return len(self._writing)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closing

    def close(self, patience: float = 0.0) -> None:
        """Takes nothing new, waits up to `patience` seconds for what was asked, and gives up what is left."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(patience)
        while self._thread.is_alive():  # what is being read right now is in neither, and comes into one of them
            for job in (*self._waiting, *self._writing.values()):
                job.cancel()
            self._thread.join(0.05)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: not self._guests and (self._waiting or self._batches or self._closing))
                    if self._closing and not self._waiting and not self._batches:
                        return
                with self._model:
                    self._drop_cancelled()
                    self._take_in()
                    for batch in list(self._batches):
                        self._step(batch)

    def _drop_cancelled(self) -> None:
        with self._wake:
            gone = [job for job in self._waiting if job.cancelled]
            self._waiting = deque(job for job in self._waiting if not job.cancelled)
        for job in gone:
            job.end(error=CancelledError())
        for batch in self._batches:
            lines = [line for line in batch.lines if line in self._writing and self._writing[line].cancelled]
            for line in lines:
                self._writing.pop(line).end(error=CancelledError())
            if lines:
                batch.drop(lines)
        self._batches = [batch for batch in self._batches if batch.lines]

    def _take_in(self) -> None:
        """As many as there is room for, in their order: choices are compared, and the others begin to be written."""
        room, taken = self.max_batch - len(self._writing), []
        with self._wake:
            while self._waiting and len(taken) < room:
                taken.append(self._waiting.popleft())
        groups: dict[Any, list[Job]] = {}
        for job in taken:
            ask = job.ask
            kind = (job.mode,) if job.mode == "logits" else (len(ask.images), self.answerer.takes_off(ask))
            groups.setdefault(kind, []).append(job)
        for jobs in groups.values():
            self._each_apart(jobs, self._compare if jobs[0].mode == "logits" else self._begin)

    def _each_apart(self, jobs: list[Job], do: Callable[[list[Job]], None]) -> None:
        """All together; where that fails, one by one, so that nobody fails for another's question."""
        try:
            do(jobs)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].end(error=error)
                return
            for job in jobs:
                self._each_apart([job], do)

    def _compare(self, jobs: list[Job]) -> None:
        for index, reply in self.answerer.answer([job.ask for job in jobs], "logits"):
            self._finish(jobs[index], reply)

    def _begin(self, jobs: list[Job]) -> None:
        new = Batch(self.answerer, [job.line for job in jobs])
        alike = (one for one in self._batches if one.contrasts == new.contrasts and one.can_change and new.can_change)
        if (batch := next(alike, None)) is not None:
            batch.join(new)
        else:
            self._batches.append(new)
        self._writing |= {job.line: job for job in jobs}

    def _step(self, batch: Batch) -> None:
        try:
            ended = batch.step()
        except Exception as error:
            # What this batch has in memory is not to be trusted any more; the next ones begin anew.
            self._batches.remove(batch)
            for line in batch.lines:
                if line in self._writing:
                    self._writing.pop(line).end(error=error)
            return
        self.num_steps += 1
        self.num_written += len(batch.lines) + len(ended)
        for line in ended:
            if line in self._writing:
                self._finish(self._writing.pop(line), line.reply)
        if not batch.lines:
            self._batches.remove(batch)

    def _finish(self, job: Job, reply: Reply) -> None:
        job.end(reply)
        seconds = (time.monotonic() - job.asked_at) / max(1, len(self._writing) + len(self._waiting) + 1)
        self.seconds_per_job += 0.1 * (seconds - self.seconds_per_job)
