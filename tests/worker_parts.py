"""What worker processes call in tests: they import it by name, so it stands in a module of its own."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import torch

from skymm.images import UnreadableImage


class TwoArguments(Exception):
    """Cannot be made again from its message alone, as many exceptions of other packages."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def tensors(sample, conversation):
    """Tensors of many kinds and sizes that tell which sample they are of."""
    number = sum(map(ord, sample.key))
    return {
        "key": sample.key,
        "float": torch.full((1 + number % 3, 4), float(number)),
        "bfloat": torch.full((3, 5), number, dtype=torch.bfloat16).t(),
        "empty": torch.empty(0, 7),
        "scalar": torch.tensor(number),
        "array": np.full(number % 5, number),
        "threads": torch.get_num_threads(),
        "process": os.getpid(),
    }


def slow_and_uneven(sample, conversation):
    time.sleep(0.02 * (hash(sample.key) % 2))
    return sample.key


def skip_some(sample, conversation):
    if sample.key.endswith("-0"):
        raise UnreadableImage(f"{sample.key}: cut short")
    return sample.key


def fail(sample, conversation):
    if sample.key == "2-3":
        raise TwoArguments(sample.key, "more")
    return sample.key


def divide(sample, conversation):
    return 1 / 0


def die(sample, conversation):
    os.kill(os.getpid(), signal.SIGKILL)
