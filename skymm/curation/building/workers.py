"""Who does the work of a build: processes of this machine, or ray. Results do not depend on it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from skymm.processes import fresh_context

Job = dict[str, Any]
"""Plain JSON data that says what is to be made of what; results are plain JSON data, too."""
Work = Callable[[Job], Any]
"""A function of a module, since processes import it by name."""


class Local:
    """Processes of this machine; one worker is this process itself. They start with the first run and end with this object."""

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def run(self, work: Work, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """(index of the job, its result) for every job, in the order in which they finish."""
        if self.workers == 1 or len(jobs) < 2:
            yield from ((index, work(job)) for index, job in enumerate(jobs))
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, mp_context=fresh_context(["skymm.curation.building.build"]))
        pool, whole = self._pool, False
        try:
            running = {pool.submit(work, job): index for index, job in enumerate(jobs)}
            for future in as_completed(running):
                yield running.pop(future), future.result()
            whole = True
        except BrokenProcessPool as error:
            raise ValueError(
                "a worker process was killed, most likely for want of memory; what is finished stays. Run the same command "
                "again, with fewer --workers"
            ) from error
        finally:
            if not whole:
                self._pool = None
                pool.shutdown(cancel_futures=True)


class Ray:
    """ray.data on this machine, or on the cluster that RAY_ADDRESS names, whose nodes see the same directories.

    `workers`: tasks at a time; None: one per processor.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    def run(self, work: Work, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """As Local.run. Raises what the work raised, not ray's account of it."""
        if not jobs:
            return
        try:
            import ray
        except ImportError as error:
            raise ValueError("--engine ray needs ray: pip install 'skymm[ray]'") from error
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        # As text: blocks are tables, in which every row would get every other row's fields.
        items = [{"index": index, "job": json.dumps(job)} for index, job in enumerate(jobs)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        tasks = ray.data.TaskPoolStrategy(size=self.workers)
        for row in dataset.map(_one, fn_kwargs={"work": work}, compute=tasks).iter_rows():
            if row["failure"]:
                kind, *told = json.loads(row["failure"])
                raise OSError(*told) if kind == "OSError" else ValueError(*told)
            yield row["index"], json.loads(row["result"])


Engine = Local | Ray


def _one(row: dict[str, Any], work: Work) -> dict[str, Any]:
    """Mistakes of users travel as data: ray keeps what it raises itself, and of other exceptions only an account."""
    result, failure = "", ""
    try:
        result = json.dumps(work(json.loads(row["job"])))
    except OSError as error:
        failure = json.dumps(
            ["OSError", error.errno, error.strerror or str(error), error.filename and str(error.filename)]
        )
    except ValueError as error:
        failure = json.dumps(["ValueError", str(error)])
    return {"index": row["index"], "result": result, "failure": failure}
