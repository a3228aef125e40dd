"""How an item gets from one process to another: its structure through a pipe, its tensors through shared memory.

A tensor sent the usual way costs a new shared block, a handshake and fresh pages each time. Here a sender writes all of
them into one block of a few slots, which the receiver copies out of; so an item costs two copies and one small message,
and no file stays open for it. Where there is no shared memory left, everything goes through the pipe.
"""

from __future__ import annotations

import io
import logging
import pickle
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.multiprocessing  # teaches pipes to carry a shared tensor
from torch import Tensor

logger = logging.getLogger(__name__)


class Sender:
    """Sends values over a two-way pipe. At most `slots` of them are on their way: `send` waits until one was taken out.

    Raises EOFError or OSError from `send` once the receiver is gone.
    """

    def __init__(self, connection: Connection, slots: int) -> None:
        self.connection, self.slots = connection, slots
        self._block: np.ndarray | None = None
        self._next = self._on_the_way = self._slot_bytes = 0
        self._may_share = True

    def send(self, value: Any) -> None:
        structure, buffers = dumps(value)
        if self._on_the_way == self.slots:
            self.connection.recv_bytes()
        else:
            self._on_the_way += 1
        size = sum(buffer.nbytes for buffer in buffers)
        new_block = self._grow(size) if size > self._slot_bytes and self._may_share else None
        if size > self._slot_bytes:
            self.connection.send((structure, [buffer.tobytes() for buffer in buffers], None, None))
            return
        start = offset = self._next * self._slot_bytes
        for buffer in buffers:
            self._block[offset : offset + buffer.nbytes] = np.frombuffer(buffer, np.uint8)
            offset += buffer.nbytes
        self._next = (self._next + 1) % self.slots
        self.connection.send((structure, [buffer.nbytes for buffer in buffers], start, new_block))

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


def dumps(value: Any) -> tuple[bytes, list[memoryview]]:
    """A value as bytes, and beside them the memory of its tensors and arrays, which is not copied."""
    file, buffers = io.BytesIO(), []
    _Pickler(file, pickle.HIGHEST_PROTOCOL, buffer_callback=lambda buffer: buffers.append(buffer.raw())).dump(value)
    return file.getvalue(), buffers


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.device.type != "cpu":
            return NotImplemented
        flat = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()  # numpy knows no bfloat16
        return _tensor, (pickle.PickleBuffer(flat), value.dtype, tuple(value.shape))


def _tensor(buffer: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)  # there is no memory to look at
    return torch.frombuffer(buffer, dtype=torch.uint8).view(dtype).reshape(shape)
