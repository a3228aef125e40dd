"""Whoever does the work, the results are the same, and mistakes come back as they were."""

import os

import jobs
import pytest

from skymm.curation.building.engines import Local

JOBS = [{"x": x} for x in range(6)]


def test_one_worker_is_this_process():
    results = dict(Local(1).run(jobs.square, JOBS))
    assert [results[index]["square"] for index in range(6)] == [0, 1, 4, 9, 16, 25]
    assert {result["pid"] for result in results.values()} == {os.getpid()}


def test_several_processes():
    results = dict(Local(2).run(jobs.square, [{"x": x, "sleep": 0.1} for x in range(6)]))
    assert [results[index]["square"] for index in range(6)] == [0, 1, 4, 9, 16, 25]
    assert len({result["pid"] for result in results.values()} - {os.getpid()}) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_in_the_work_comes_back_as_it_was(workers):
    with pytest.raises(ValueError, match="three is not to be squared"):
        list(Local(workers).run(jobs.refuse, JOBS))


def test_a_killed_worker_is_told():
    with pytest.raises(ValueError, match=r"a worker process was killed.*fewer --workers"):
        list(Local(2).run(jobs.die, JOBS))


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match="workers is 0"):
        Local(0)
