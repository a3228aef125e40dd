"""ray.data as the engine: on this machine, or on the cluster that RAY_ADDRESS names, whose nodes see the same directories."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from skymm.curation.building.engines import Job


class Ray:
    """`workers`: tasks at a time; None: one per processor."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    def run(self, work: Callable[[Job], Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """As Engine.run says. Raises what the work raised, not ray's account of it."""
        if not jobs:
            return
        try:
            import ray
        except ImportError as error:
            raise ValueError("--engine ray needs ray: pip install 'skymm[ray]'") from error
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # As text: blocks are tables, in which every row would get every other row's fields.
        items = [{"index": index, "job": json.dumps(job)} for index, job in enumerate(jobs)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        dataset = dataset.map(_one, fn_kwargs={"work": work}, concurrency=self.workers)
        try:
            for row in dataset.iter_rows():
                yield row["index"], json.loads(row["result"])
        except ray.exceptions.RayError as error:
            raise _cause(error) from error


def _one(row: dict[str, Any], work: Callable[[Job], Any]) -> dict[str, Any]:
    return {"index": row["index"], "result": json.dumps(work(json.loads(row["job"])))}


def _cause(error: BaseException) -> BaseException:
    """What went wrong in the work itself."""
    inner: BaseException | None = error
    while inner is not None:
        error, inner = inner, getattr(inner, "cause", None) or inner.__cause__
    return error
