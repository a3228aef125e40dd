"""How fast a run is, and what share of the machine that is: FLOPs by torch's own counter over a measured ceiling."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


class Stopwatch:
    """Seconds spent inside `running()`. On CUDA events are recorded and read at the end, so nothing waits for the GPU."""

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._events: list[tuple[Any, Any]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        if self._cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((start, end))
        else:
            began = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - began

    def seconds(self) -> float:
        for start, end in self._events:
            end.synchronize()
            self._seconds += start.elapsed_time(end) / 1000
        self._events = []
        return self._seconds


@dataclass(slots=True)
class Flops:
    """FLOPs per position, measured over parts of a run: they follow the share of labels and images, which differ by sample."""

    flops: int = 0
    positions: int = 0

    @contextmanager
    def counted(self, positions: int, *, keep: bool = True) -> Iterator[None]:
        """What runs inside is counted: matrix products forward and backward, attention included, over so many positions."""
        with FlopCounterMode(display=False) as counter:
            yield
        if keep:
            self.flops += counter.get_total_flops()
            self.positions += positions

    @property
    def per_position(self) -> float:
        return self.flops / max(1, self.positions)

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def matrix_ceiling(device: torch.device, dtype: torch.dtype, width: int, *, seconds: float = 0.15) -> float:
    """FLOP/s of matrix products of an LLM layer's kind, (rows, width) x (width, 3 width), right now.

    The median of many: on shared machines a single product is sometimes three times as fast as they ever are in a row.
    """
    rows = 16384 if device.type == "cuda" else 2048
    left, right = (torch.randn(shape, device=device).to(dtype) for shape in ((rows, width), (width, 3 * width)))
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        began = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return 2 * rows * width * 3 * width / statistics.median(times)


def memory_gib(device: torch.device) -> float | None:
    """Peak so far: of the GPU's memory, or of this process where there is no GPU; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**30 if sys.platform == "darwin" else 2**20  # macOS tells bytes, others kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def throughput(lines: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Means over the steps of a log, the first one left out: it also warms up."""
    timed = [line for line in lines if "positions" in line][1:]
    seconds = sum(line["seconds"] for line in timed)
    if not seconds:
        return None
    found = {
        "tokens_per_second": sum(line["tokens"] for line in timed) / seconds,
        "samples_per_second": sum(line["samples"] for line in timed) / seconds,
        "data_share": sum(line["data_seconds"] for line in timed) / seconds,
        "vision_share": sum(line["vision_seconds"] for line in timed) / seconds,
        "padding_share": 1 - sum(line["tokens"] for line in timed) / sum(line["positions"] for line in timed),
        "mfu": sum(line["mfu"] * line["seconds"] for line in timed) / seconds,
    }
    return {name: round(value, 4) for name, value in found.items()}
