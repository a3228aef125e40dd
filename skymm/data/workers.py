"""Data workers: the readers of a Stream or Mixture as processes of their own, and as one sequence that can be resumed.

Readers take turns, one item each. Whose turn it is travels in the Cursor with everybody's position, so the sequence is a
pure function of seed, epoch, rank and number of readers: it is the same whether they are processes or not, how fast each of
them is, and whether the run was stopped in between.

An item's structure comes through a pipe and its tensors through one block of shared memory with a few slots, which the
receiver copies out of: two copies and one small message, and no file stays open for it. Torch's DataLoader in this place,
which opens a file for every tensor, gave 76 to 96 % of the samples per second with JPEGs and 42 to 83 % with stored features.
"""

from __future__ import annotations

import io
import logging
import pickle
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.multiprocessing  # teaches pipes to carry a shared tensor
from torch import Tensor

from skymm.data.stream import Item, Mixture, Stream
from skymm.processes import fresh_context

logger = logging.getLogger(__name__)

PREFETCH = 4
"""Finished items that may wait per worker."""

_IMPORTS = ["skymm.data.workers", "transformers.processing_utils"]


class Loader:
    """The items of a source (made with as many `workers` as shall read), without end.

    Args:
        workers: 0 reads in this process; else the source's own number, as processes, of one torch thread each. A worker
            holds one shard of encoded bytes and at most PREFETCH finished items.

    `cursor` is the place after the last item handed out, `skips` counts what all readers left out so far; each item carries
    the latter too. Iterating again goes on from `cursor`. Raises ValueError for a number of workers that the source does
    not have, and for a source that cannot be pickled; what a worker raises is raised here, when it is that worker's turn.
    Processes end with the iterator: when it is closed, forgotten, or fails.
    """

    def __init__(self, source: Stream | Mixture, *, workers: int = 0) -> None:
        self.num_readers = source.cursor.workers
        if workers not in (0, self.num_readers):
            raise ValueError(
                f"{workers} worker processes for a stream of {self.num_readers} readers; make its streams with "
                f"workers={workers}"
            )
        self.source, self.workers, self.cursor = source, workers, source.cursor
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
            started += [_Worker(source) for source in sources]
            yield started
        finally:
            for worker in started:
                worker.stop()


class _Worker:
    """One reader in a process of its own, seen from outside: an iterator of its items."""

    def __init__(self, source: Stream | Mixture) -> None:
        try:
            payload = pickle.dumps(source)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"this data cannot be read by worker processes: {error}. What prepares samples travels to them by pickle, so "
                "it must be a function or a class of a module; or read with workers=0"
            ) from error
        self.place = source.place
        context = fresh_context(_IMPORTS)
        self.connection, far_end = context.Pipe()
        self.receive = Receiver(self.connection).receive
        self.process = context.Process(
            target=_work, args=(payload, far_end), name=f"skymm data {self.place}", daemon=True
        )
        self.process.start()
        far_end.close()  # with no other copy of it, the death of the worker is the end of the pipe

    def __next__(self) -> Item:
        try:
            item = self.receive()
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
        self.connection.close()


# --- in the worker's process ------------------------------------------------------------------------------------------


class _Failure:
    """What a worker raised, on its way to where it can be heard."""

    def __init__(self, error: Exception) -> None:
        if not isinstance(error, ValueError):  # no mistake of the data, so where it happened matters
            error.add_note("".join(traceback.format_exception(error)))
        try:
            self.error = pickle.loads(pickle.dumps(error))
        except Exception:  # whatever goes wrong with an unknown class: its words still matter
            self.error = RuntimeError("".join(traceback.format_exception(error)))


def _work(payload: bytes, connection: Connection) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains; it ends its workers
    torch.set_num_threads(1)
    sender = Sender(connection, PREFETCH)
    try:
        try:
            for item in pickle.loads(payload):
                sender.send(item)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            sender.send(_Failure(error))
        while True:
            connection.recv_bytes()  # what was sent may still be fetched from here
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody reads any more


# --- from one process to the other ------------------------------------------------------------------------------------


class Sender:
    """Sends values over a two-way pipe. At most `slots` of them are on their way: `send` waits until one was taken out.

    Where there is no shared memory left, everything goes through the pipe. Raises EOFError or OSError from `send` once the
    receiver is gone.
    """

    def __init__(self, connection: Connection, slots: int) -> None:
        self.connection, self.slots = connection, slots
        self._block: np.ndarray | None = None
        self._next = self._on_the_way = self._slot_bytes = 0
        self._may_share = True

    def send(self, value: Any) -> None:
        file, kept = io.BytesIO(), []
        _Pickler(file, pickle.HIGHEST_PROTOCOL, buffer_callback=kept.append).dump(value)
        buffers = [buffer.raw() for buffer in kept]
        if self._on_the_way == self.slots:
            self.connection.recv_bytes()
        else:
            self._on_the_way += 1
        size = sum(buffer.nbytes for buffer in buffers)
        new_block = self._grow(size) if size > self._slot_bytes and self._may_share else None
        if size > self._slot_bytes:
            self.connection.send((file.getvalue(), [buffer.tobytes() for buffer in buffers], None, None))
            return
        start = offset = self._next * self._slot_bytes
        for buffer in buffers:
            self._block[offset : offset + buffer.nbytes] = np.frombuffer(buffer, np.uint8)
            offset += buffer.nbytes
        self._next = (self._next + 1) % self.slots
        self.connection.send((file.getvalue(), [buffer.nbytes for buffer in buffers], start, new_block))

    def _grow(self, size: int) -> Tensor | None:
        """A new block with slots of this size; the receiver has its own hold on the old one."""
        try:
            block = torch.zeros(self.slots * size, dtype=torch.uint8).share_memory_()
        except (RuntimeError, OSError) as error:
            self._may_share = False
            logger.warning("no shared memory for %d bytes (%s): data goes through pipes, slower", size, error)
            return None
        self._block, self._slot_bytes, self._next = block.numpy(), size, 0
        return block


class Receiver:
    """The other end of a Sender. `receive` raises EOFError or OSError once the sender is gone."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._block: np.ndarray | None = None

    def receive(self) -> Any:
        structure, parts, start, new_block = self.connection.recv()
        if new_block is not None:
            self._block = new_block.numpy()
        if start is None:
            buffers = [bytearray(part) for part in parts]
        else:
            buffers = []
            for size in parts:
                buffers.append(self._block[start : start + size].copy())
                start += size
        self.connection.send_bytes(b"taken")
        return pickle.loads(structure, buffers=buffers)


class _Pickler(pickle.Pickler):
    """Leaves the memory of tensors and arrays beside the structure, uncopied."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.device.type != "cpu":
            return NotImplemented
        flat = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()  # numpy knows no bfloat16
        return _tensor, (pickle.PickleBuffer(flat), value.dtype, tuple(value.shape))


def _tensor(buffer: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)  # there is no memory to look at
    return torch.frombuffer(buffer, dtype=torch.uint8).view(dtype).reshape(shape)
