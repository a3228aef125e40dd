"""Worker processes change who reads, and nothing else: not the order, not resuming, not what is said about bad data."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
import worker_parts

from skymm.conversation import Conversation, Turn
from skymm.data.batches import Prepare
from skymm.data.shard_writing import write_shards
from skymm.data.shards import ShardError
from skymm.data.stream import Cursor, Mixture, Stream
from skymm.data.workers import Loader
from skymm.train.objectives import Answers, Words

SIZES = [3, 1, 7, 4, 5]


def make_shards(directory, sizes, member=b"x"):
    """One shard per size, keys "SHARD-SAMPLE"."""
    paths = []
    for shard, size in enumerate(sizes):
        turns = (Turn("user", "q", ("jpg",)), Turn("assistant", "a"))
        samples = [(Conversation(f"{shard}-{index}", turns), {"jpg": member}) for index in range(size)]
        paths += write_shards(samples, directory / str(shard), f"s{shard}")
    return paths


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("uneven"), SIZES)


def stream(shards, prepare=worker_parts.slow_and_uneven, workers=2, **options):
    return Stream(shards, seed=1, workers=workers, prepare=prepare, **options)


def seen(items):
    return [(item.place, item.key, item.position) for item in items]


def children():
    return [process for process in multiprocessing.active_children() if process.name.startswith("skymm data")]


def test_the_same_sequence_every_time_and_without_processes(shards):
    one, two = (seen(islice(Loader(stream(shards), workers=2), 40)) for _ in range(2))
    assert one == two == seen(islice(Loader(stream(shards)), 40))
    assert [place for place, _, _ in one[:4]] == ["0/0", "0/1", "0/0", "0/1"]


def test_workers_read_every_key_once_per_epoch(shards):
    expected = sorted(f"{shard}-{index}" for shard, size in enumerate(SIZES) for index in range(size))
    epochs = {0: [], 1: []}
    before = dict.fromkeys(("0/0", "0/1"), 0)
    for item in islice(Loader(stream(shards), workers=2), 80):
        if before[item.place] in epochs:
            epochs[before[item.place]].append(item.key)
        before[item.place] = item.position[0]
    assert min(before.values()) > 1 and sorted(epochs[0]) == sorted(epochs[1]) == expected


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("stop", [1, 7, 20])
def test_stopped_anywhere_and_resumed_is_never_having_stopped(shards, stop, mixed):
    def source(cursor=None):
        if not mixed:
            return stream(shards, cursor=cursor)
        return Mixture({"a": stream(shards[:3]), "b": stream(shards[3:])}, {"a": 2, "b": 1}, cursor)

    whole = seen(islice(Loader(source()), 40))
    loader = Loader(source(), workers=2)
    assert seen(islice(loader, stop)) == whole[:stop]
    saved = Cursor.from_dict(json.loads(json.dumps(loader.cursor.to_dict())))
    assert saved.latest == {"0": (stop - 1) % 2}
    assert seen(islice(Loader(source(saved), workers=2), 40 - stop)) == whole[stop:]
    assert seen(islice(loader, 40 - stop)) == whole[stop:], "iterating again goes on"


def test_values_arrive_whole_whatever_they_are_made_of(shards):
    there = list(islice(Loader(stream(shards, worker_parts.tensors), workers=2), 30))
    here = list(islice(Loader(stream(shards, worker_parts.tensors)), 30))
    for one, other in zip(there, here, strict=True):
        assert one.key == other.key == one.value["key"]
        for name in ("float", "bfloat", "empty", "scalar"):
            assert one.value[name].dtype == other.value[name].dtype and torch.equal(one.value[name], other.value[name])
        assert (one.value["array"] == other.value["array"]).all()
    assert {item.value["threads"] for item in there} == {1}
    assert len({item.value["process"] for item in there}) == 2 and os.getpid() not in {
        i.value["process"] for i in there
    }
    there[0].value["float"].zero_()  # ours to write on, as if it had been made here


def test_turns_of_ranks_merge_from_whoever_is_further(shards):
    """After a resume each rank also holds where the others were when it began."""
    loaders = [Loader(Stream(shards, rank=rank, ranks=2, workers=2)) for rank in range(2)]
    for loader, count in zip(loaders, (3, 2)):
        list(islice(loader, count))
    saved = loaders[0].cursor.merge(loaders[1].cursor)
    assert saved.latest == {"0": 0, "1": 1}
    again = [Loader(Stream(shards, rank=rank, ranks=2, workers=2, cursor=saved)) for rank in range(2)]
    for loader in again:
        list(islice(loader, 1))
    for one, other in (again, again[::-1]):
        merged = one.cursor.merge(other.cursor)
        assert merged.latest == {"0": 1, "1": 0}
        for loader, rank in zip(again, "01"):
            own = {place: at for place, at in loader.cursor.positions.items() if place.startswith(rank)}
            assert own.items() <= merged.positions.items()


@pytest.mark.parametrize("objective", ["answers", "words"])
def test_what_training_prepares_travels(tiny_model, tiny_data, objective):
    _, processor = tiny_model
    encode = partial((Words() if objective == "words" else Answers(900)).encode, processor.chat)
    prepare = Prepare(encode=encode, see=processor.pixels, max_turns=2)
    source = Stream(tiny_data / ("stage1" if objective == "words" else "stage2"), workers=2, prepare=prepare)
    there, here = (list(islice(Loader(source, workers=workers), 12)) for workers in (2, 0))
    for one, other in zip(there, here, strict=True):
        assert one.value.segments == other.value.segments and one.value.segments[0].ids
        assert torch.equal(one.value.pixels[0], other.value.pixels[0])


def test_without_shared_memory_the_pipe_carries_everything(shards, monkeypatch, caplog):
    from skymm.data.workers import Receiver, Sender

    def full(self):
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    near, far = multiprocessing.Pipe()
    sender, receiver = Sender(far, 2), Receiver(near)
    for index in range(5):
        with caplog.at_level(logging.WARNING):
            sender.send([torch.full((3,), index), "x"])
        value, text = receiver.receive()
        assert value.tolist() == [index] * 3 and text == "x"
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["no shared memory for 24 bytes"]


def test_skips_of_all_workers_are_summed(shards):
    source = stream(shards, worker_parts.skip_some, max_skip_ratio=1)
    loader = Loader(source, workers=2)
    last = list(islice(loader, 40))[-1]
    alone = []
    for worker in range(2):
        alone.append(list(islice(source.for_worker(worker), 20))[-1].skips["unreadable image"])
    assert last.skips == loader.skips == {"unreadable image": sum(alone)} and min(alone) > 0


def test_damaged_data_is_told_in_the_same_words(shards, tmp_path):
    paths = make_shards(tmp_path, SIZES)
    paths[2].write_bytes(paths[2].read_bytes()[:4000])
    said = []
    for workers in (0, 2):
        items = iter(Loader(stream(paths), workers=workers))
        with pytest.raises(ShardError, match="damaged or cut short") as caught:
            list(islice(items, 100))
        said.append(str(caught.value))
        assert not children()
    assert said[0] == said[1] and str(paths[2]) in said[0]


def test_too_many_skips_stop_the_run_from_within_a_worker(tmp_path):
    paths = make_shards(tmp_path, [30, 30])
    with pytest.raises(ValueError, match=r"allowed is a share of 0\.0: unreadable image \d \(\d-0, "):
        list(islice(Loader(stream(paths, worker_parts.skip_some, max_skip_ratio=0.0), workers=2), 400))


@pytest.mark.parametrize(
    ("prepare", "kind", "words"),
    [
        (worker_parts.divide, ZeroDivisionError, "division by zero"),
        (worker_parts.fail, RuntimeError, "2-3 and more"),
        (worker_parts.die, ChildProcessError, "exit code -9, killed; most often for want of memory"),
    ],
)
def test_mistakes_and_deaths_are_heard(shards, prepare, kind, words):
    with pytest.raises(kind, match=words) as caught:
        list(islice(Loader(stream(shards, prepare), workers=2), 100))
    if kind is ZeroDivisionError:
        assert "in divide" in caught.value.__notes__[0], "where it happened"
    assert not children()


def test_processes_end_with_the_iterator(shards):
    items = iter(Loader(stream(shards), workers=2))
    next(items)
    assert len(children()) == 2
    items.close()
    assert not children()
    items = iter(Loader(stream(shards), workers=2))
    next(items)
    del items
    gc.collect()
    assert not children()


def test_workers_do_not_outlive_a_killed_run(shards):
    code = (
        "import multiprocessing, os, signal, worker_parts\n"
        "from skymm.data.stream import Stream\nfrom skymm.data.workers import Loader\n"
        f"shards = {[str(path) for path in shards]}\n"
        "items = iter(Loader(Stream(shards, workers=2, prepare=worker_parts.tensors), workers=2))\n"
        "next(items), next(items)\n"
        "print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = Path(worker_parts.__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout
    pids = [int(pid) for pid in printed.split()]
    deadline = time.monotonic() + 20
    while (alive := [pid for pid in pids if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2 and not alive


def running(pid: int) -> bool:
    """Whether a process does anything still; one that only waits to be counted does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
def test_twenty_shards_take_no_more_memory_than_three(tmp_path):
    member, per_shard = b"x" * 200_000, 40  # 8 MB a shard
    paths = make_shards(tmp_path, [per_shard] * 20, member)
    items = iter(Loader(Stream(paths), workers=1))
    peaks = []
    for shards_read in (3, 17):
        for _ in islice(items, shards_read * per_shard):
            pass
        (worker,) = children()
        status = Path(f"/proc/{worker.pid}/status").read_text()
        peaks.append(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024)
    items.close()
    assert peaks[1] <= peaks[0] + per_shard * len(member)


def test_mistakes_of_the_caller_are_explained(shards):
    with pytest.raises(
        ValueError, match="3 worker processes for a stream of 2 readers; make its streams with workers=3"
    ):
        Loader(stream(shards), workers=3)
    with pytest.raises(ValueError, match=r"travels to them by pickle.*workers=0"):
        next(iter(Loader(stream(shards, lambda sample, conversation: None), workers=2)))
    with pytest.raises(ValueError, match=r"5 shards for 1 ranks x 6 workers = 6 readers.*use fewer workers"):
        stream(shards, workers=6)
