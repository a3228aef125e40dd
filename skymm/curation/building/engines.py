"""Who does the work: processes of this machine, or ray (ray_engine.py). Results do not depend on it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Protocol

Job = dict[str, Any]
"""Plain JSON data that says what is to be made of what; results are plain JSON data, too."""


class Engine(Protocol):
    def run(self, work: Callable[[Job], Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """(index of the job, its result) for every job, in the order in which they finish. `work` is a module's function."""
        ...


class Local:
    """Processes of this machine; one worker is this process itself."""

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self.workers = workers

    def run(self, work: Callable[[Job], Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        if self.workers == 1 or len(jobs) < 2:
            yield from ((index, work(job)) for index, job in enumerate(jobs))
            return
        # Spawned, not forked: a fork of a process with threads (torch, ray) may hang.
        pool = ProcessPoolExecutor(min(self.workers, len(jobs)), mp_context=multiprocessing.get_context("spawn"))
        try:
            yield from self._results(pool, work, jobs)
        except BrokenProcessPool as error:
            raise ValueError(
                "a worker process was killed, most likely for want of memory; what is finished stays. Run the same command "
                "again, with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _results(
        self, pool: ProcessPoolExecutor, work: Callable[[Job], Any], jobs: Sequence[Job]
    ) -> Iterator[tuple[int, Any]]:
        waiting = iter(enumerate(jobs))
        running: dict[Future, int] = {}
        while True:
            # A few more than there are workers: a million jobs are not put into the queue at once.
            for index, job in islice(waiting, 2 * self.workers - len(running)):
                running[pool.submit(work, job)] = index
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
