"""Speeds are counted, not guessed."""

import time

import pytest
import torch
from elsewhere import Elsewhere

from skymm.train.throughput import Flops, Stopwatch, matrix_ceiling, memory_gib, throughput

CPU = torch.device("cpu")


@pytest.mark.parametrize("frozen", [False, True])
def test_flops_are_those_of_the_products_forward_and_backward_over_all_that_was_measured(frozen):
    weight, flops = torch.randn(16, 8, requires_grad=not frozen), Flops()
    for rows in (4, 12):
        with flops.counted(positions=4):
            (torch.randn(rows, 8, requires_grad=frozen) @ weight.T).sum().backward()  # a frozen weight still passes on
    assert flops.to_dict() == {"flops": 2 * (2 * 16 * 8 * 16), "positions": 8}
    with flops.counted(positions=100, keep=False):
        weight @ weight.T
    assert flops.per_position == 2 * (2 * 16 * 8 * 16) / 8


def test_the_ceiling_is_that_of_a_machine_and_not_of_a_formula():
    assert 1e8 < matrix_ceiling(CPU, torch.float32, 64, seconds=0.02) < 1e15


def test_a_stopwatch_runs_only_inside():
    watch = Stopwatch(CPU)
    time.sleep(0.02)
    for _ in range(2):
        with watch.running():
            time.sleep(0.01)
    assert 0.02 <= watch.seconds() < 0.04 or pytest.skip("the machine is too busy to sleep on time")


def test_memory_grows_when_something_large_is_held():
    before = memory_gib(CPU)
    held = torch.ones(2**28 + int(before * 2**30) // 4)
    assert memory_gib(CPU) >= before + 0.9 and held.numel()


def test_throughput_leaves_out_the_step_that_warms_up():
    line = {"tokens": 100, "positions": 125, "samples": 4, "seconds": 2.0}
    line |= {"data_seconds": 0.5, "vision_seconds": 0.2, "mfu": 0.4}
    assert throughput([line | {"seconds": 90.0}, line, line]) == {
        "tokens_per_second": 50.0,
        "samples_per_second": 2.0,
        "data_share": 0.25,
        "vision_share": 0.1,
        "padding_share": 0.2,
        "mfu": 0.4,
    }
    assert throughput([line]) is None and throughput([]) is None


_NEW_LENGTHS = """
import psutil, torch, skymm.model.language
torch.set_float32_matmul_precision("medium")
def mb_after(lengths, dtype):
    weights = torch.randn(192, 192, dtype=dtype)
    for length in lengths:
        torch.nn.functional.linear(torch.randn(length, 192, dtype=dtype), weights)
    return psutil.Process().memory_info().rss / 1e6
for dtype in (torch.float32, torch.bfloat16):
    first = mb_after(range(1, 101), dtype)
    print(mb_after(range(101, 301), dtype) - first)
"""


def test_memory_does_not_grow_with_each_new_length_of_a_packed_row():
    """As torch comes, 200 more lengths take about 130 MB more."""
    done = Elsewhere(_NEW_LENGTHS)
    assert done.wait() == 0 and all(float(growth) < 60 for growth in done.out.split())
