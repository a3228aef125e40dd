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


def test_ray_on_this_machine(local_ray):
    """Real ray, started here: results with fields of their own stay as they are, and mistakes keep their words."""
    from skymm.curation.building.ray_engine import Ray

    results = dict(Ray(2).run(jobs.square, JOBS))
    assert [results[index]["square"] for index in range(6)] == [0, 1, 4, 9, 16, 25]
    assert [sorted(results[index]) for index in (0, 1)] == [["pid", "square"], ["odd", "pid", "square"]]
    assert os.getpid() not in {result["pid"] for result in results.values()}
    with pytest.raises(ValueError, match="three is not to be squared"):
        list(Ray(2).run(jobs.refuse, JOBS))
    with pytest.raises(OSError) as missing:
        list(Ray(2).run(jobs.look_for_nothing, JOBS[:1]))
    assert (missing.value.errno, missing.value.filename) == (2, "/nowhere/0")
    assert list(Ray().run(jobs.square, [])) == []
