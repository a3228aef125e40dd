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
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        # As text: blocks are tables, in which every row would get every other row's fields.
        items = [{"index": index, "job": json.dumps(job)} for index, job in enumerate(jobs)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        tasks = ray.data.TaskPoolStrategy(size=self.workers)
        for row in dataset.map(_one, fn_kwargs={"work": work}, compute=tasks).iter_rows():
            if row["failure"]:
                raise _as_it_was(json.loads(row["failure"]))
            yield row["index"], json.loads(row["result"])


def _one(row: dict[str, Any], work: Callable[[Job], Any]) -> dict[str, Any]:
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


def _as_it_was(failure: list[Any]) -> Exception:
    kind, *told = failure
    return OSError(*told) if kind == "OSError" else ValueError(*told)
