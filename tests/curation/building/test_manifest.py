"""Each piece is made once, whoever does the work and whatever happens in between; the manifest tells what is whole."""

import gc
import json
import multiprocessing
import os
import time

import jobs
import pytest

from skymm.curation.building.manifest import Manifest, Piece
from skymm.curation.building.workers import Local


def pieces(numbers, inputs="a"):
    return [Piece(f"piece {x}", {"x": x, "inputs": inputs}) for x in numbers]


def make(directory, numbers, inputs="a", work=jobs.write, workers=1):
    """In a process that knows nothing of those before."""
    return Manifest(directory, Local(workers)).make("making", pieces(numbers, inputs), work)


def made(directory):
    return sorted(map(int, (directory / "made.log").read_text().split()))


def test_what_is_there_is_not_made_again(tmp_path):
    for workers in (1, 2):
        directory = tmp_path / str(workers)
        directory.mkdir()
        make(directory, [1, 2], workers=workers)
        lines = make(directory, [3, 1, 2, 4], workers=workers)
        assert [line["count"] for line in lines] == [3, 1, 2, 4] and made(directory) == [1, 2, 3, 4]


def test_other_inputs_and_lost_or_cut_files_are_made_again(tmp_path):
    make(tmp_path, [1, 2, 3])
    (tmp_path / "1.txt").unlink()
    (tmp_path / "2.txt").write_text("x")
    changed = pieces([1, 2]) + pieces([3], inputs="b")
    Manifest(tmp_path).make("making", changed, jobs.write)
    assert made(tmp_path) == [1, 1, 2, 2, 3, 3] and (tmp_path / "2.txt").read_text() == "xx"


def test_what_a_stopped_change_may_have_touched_is_made_again(tmp_path):
    """The files of another recipe may have the same size, and a kill may come before their line."""
    make(tmp_path, [3, 1])
    with pytest.raises(ValueError, match="three is not"):
        make(tmp_path, [3], inputs="b", work=jobs.refuse)
    assert Manifest(tmp_path).done(pieces([1])[0]), "what was finished before is kept"
    make(tmp_path, [3])
    assert made(tmp_path) == [1, 3, 3]


def test_a_line_that_was_half_written_does_not_count_and_other_damage_is_told(tmp_path):
    make(tmp_path, [1, 2])
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    make(tmp_path, [1, 2, 3])
    assert made(tmp_path) == [1, 2, 2, 3]
    assert [json.loads(line)["piece"] for line in path.read_text().splitlines()] == ["piece 1", "piece 2", "piece 3"]
    for damage in ('{"piece": "a"}\nnonsense\n{}\n', '{"a": 1}\n', "[]\n"):
        path.write_text(damage)
        with pytest.raises(ValueError, match=r"manifest.jsonl is no manifest of a build .*remove"):
            Manifest(tmp_path)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(tmp_path):
    with pytest.raises(ValueError, match=r"no space left for .*Make room and run the same command again"):
        make(tmp_path, [5], work=jobs.fill_the_disk)
    assert not list(tmp_path.glob("5.bin*"))


def test_several_processes_and_this_one_give_the_same_and_mistakes_come_back_as_they_were():
    for workers, sleep in ((1, 0), (2, 0.1)):
        results = dict(Local(workers).run(jobs.square, [{"x": x, "sleep": sleep} for x in range(6)]))
        assert [results[index]["square"] for index in range(6)] == [0, 1, 4, 9, 16, 25]
        pids = {result["pid"] for result in results.values()}
        assert pids == {os.getpid()} if workers == 1 else len(pids - {os.getpid()}) == 2
        with pytest.raises(ValueError, match="three is not to be squared"):
            list(Local(workers).run(jobs.refuse, [{"x": x} for x in range(6)]))
    with pytest.raises(ValueError, match=r"a worker process was killed.*fewer --workers"):
        list(Local(2).run(jobs.die, [{"x": x} for x in range(6)]))
    with pytest.raises(ValueError, match="workers is 0"):
        Local(0)


def test_the_processes_of_a_build_stay_for_its_next_step_and_end_with_it():
    engine, jobs_of_two = Local(2), [{"x": x, "sleep": 0.2} for x in range(4)]
    steps = [{result["pid"] for _, result in engine.run(jobs.square, jobs_of_two)} for _ in range(2)]
    assert len(steps[0]) == 2 and steps[0] == steps[1]
    with pytest.raises(ValueError, match="three is not to be squared"):
        list(engine.run(jobs.refuse, [{"x": x} for x in range(6)]))
    (_, first), *_ = engine.run(jobs.square, jobs_of_two)
    assert first["pid"] not in steps[0], "after a mistake it begins anew"
    del engine
    gc.collect()  # a traceback holds it, too
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()
