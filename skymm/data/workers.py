"""Data workers: the readers of a Stream or Mixture as processes of their own, and as one sequence that can be resumed.

Readers take turns, one item each. Whose turn it is travels in the Cursor with everybody's position, so the sequence is a
pure function of seed, epoch, rank and number of readers: it is the same whether they are processes or not, how fast each of
them is, and whether the run was stopped in between.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import torch

from skymm.data.mixture import Mixture
from skymm.data.parcels import Receiver, Sender
from skymm.data.stream import Item, Stream

PREFETCH = 4
"""Finished items that may wait per worker."""

# Forking a process that has threads or has touched CUDA breaks in ways that show late. A fork server is a fresh process
# that has neither; it imports what workers need once, and they share it. Where there is none, they start from nothing.
_PRELOAD = ["skymm.data.workers", "transformers.processing_utils"]


class Loader:
    """The items of a source (made with as many `workers` as shall read), without end.

    Args:
        workers: 0 reads in this process; else the source's own number, as processes, of one torch thread each. A worker
            holds one shard of encoded bytes and at most `prefetch` finished items.

    `cursor` is the place after the last item handed out, `skips` counts what all readers left out so far; each item carries
    the latter too. Iterating again goes on from `cursor`. Raises ValueError for a number of workers that the source does
    not have, and for a source that cannot be pickled; what a worker raises is raised here, when it is that worker's turn.
    Processes end with the iterator: when it is closed, forgotten, or fails.
    """

    def __init__(self, source: Stream | Mixture, *, workers: int = 0, prefetch: int = PREFETCH) -> None:
        self.num_readers = source.cursor.workers
        if workers not in (0, self.num_readers):
            raise ValueError(
                f"{workers} worker processes for a stream of {self.num_readers} readers; make its streams with "
                f"workers={workers}"
            )
        if prefetch < 1:
            raise ValueError(f"prefetch is {prefetch}, expected at least 1")
        self.source, self.workers, self.prefetch = source, workers, prefetch
        self.cursor = source.cursor
        self.skips: Mapping[str, int] = {}

    def __iter__(self) -> Iterator[Item]:
        rank = self.source.place.partition("/")[0]
        turn = (self.cursor.latest.get(rank, -1) + 1) % self.num_readers
        skips: dict[int, Mapping[str, int]] = {}
        with self._readers() as readers:
            while True:
                item = next(readers[turn])
                if skips.get(turn) != item.skips:
                    skips[turn] = item.skips
                    self.skips = dict(sum(map(Counter, skips.values()), Counter()))
                self.cursor = self.cursor.after(item)
                yield replace(item, skips=self.skips)
                turn = (turn + 1) % self.num_readers

    @contextmanager
    def _readers(self) -> Iterator[Sequence[Iterator[Item]]]:
        sources = [self.source.for_worker(worker) for worker in range(self.num_readers)]
        for source in sources:
            source.cursor = self.cursor
        if not self.workers:
            yield [iter(source) for source in sources]
            return
        started: list[_Worker] = []
        try:
            started += [_Worker(source, self.prefetch) for source in sources]
            yield started
        finally:
            for worker in started:
                worker.stop()


class _Worker:
    """One reader in a process of its own, seen from outside: an iterator of its items."""

    def __init__(self, source: Stream | Mixture, prefetch: int) -> None:
        try:
            payload = pickle.dumps(source)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"this data cannot be read by worker processes: {error}. What prepares samples travels to them by pickle, so "
                "it must be a function or a class of a module; or read with workers=0"
            ) from error
        self.place = source.place
        context = _context()
        connection, far_end = context.Pipe()
        self.receiver = Receiver(connection)
        self.process = context.Process(
            target=_work, args=(payload, far_end, prefetch), name=f"skymm data {self.place}", daemon=True
        )
        self.process.start()
        far_end.close()  # with no other copy of it, the death of the worker is the end of the pipe

    def __next__(self) -> Item:
        try:
            item = self.receiver.receive()
        except (EOFError, OSError) as error:
            self.process.join()
            raise ChildProcessError(
                f"data worker {self.place} ended with exit code {self.process.exitcode}"
                + (", killed; most often for want of memory" if self.process.exitcode == -9 else "")
                + ": what it said is above, if it could say anything; workers=0 reads in this process"
            ) from error
        if isinstance(item, _Failure):
            raise item.error
        return item

    def __iter__(self) -> Iterator[Item]:
        return self

    def stop(self) -> None:
        """At once: a worker owns nothing that has to be put away."""
        self.process.terminate()
        self.process.join()
        self.receiver.connection.close()


class _Failure:
    """What a worker raised, on its way to where it can be heard."""

    def __init__(self, error: Exception) -> None:
        if not isinstance(error, ValueError):  # no mistake of the data, so where it happened matters
            error.add_note("".join(traceback.format_exception(error)))
        try:
            self.error = pickle.loads(pickle.dumps(error))
        except Exception:  # whatever goes wrong with an unknown class: its words still matter
            self.error = RuntimeError("".join(traceback.format_exception(error)))


def _context() -> Any:
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload(_PRELOAD)
    return context


def _work(payload: bytes, connection: Connection, prefetch: int) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains; it ends its workers
    torch.set_num_threads(1)
    sender = Sender(connection, prefetch)
    try:
        for item in _items(payload):
            sender.send(item)
        while True:
            connection.recv_bytes()  # what was sent may still be fetched from here
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # whoever wanted the items is gone


def _items(payload: bytes) -> Iterator[Item | _Failure]:
    try:
        yield from pickle.loads(payload)
    except Exception as error:
        yield _Failure(error)
