"""Lines of JSON with the places where they begin, so that any of millions can be read alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skymm.files import whole_file

PLACES = ".places.npy"


def write_lines(path: Path, lines: Iterable[Any]) -> int:
    """The number of lines written, as PATH and PATH.places.npy (int64 offsets, one more than lines).

    In ASCII: strangers' tables hold halves of surrogate pairs, which UTF-8 cannot.
    """
    places = [0]
    with whole_file(path) as file:
        for line in lines:
            places.append(places[-1] + file.write(json.dumps(line).encode("ascii") + b"\n"))
    with whole_file(path.with_name(path.name + PLACES)) as file:
        np.save(file, np.array(places, dtype=np.int64))
    return len(places) - 1


def read_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def pick_lines(path: Path, numbers: Sequence[int]) -> list[Any]:
    """The lines of these numbers, in the given order."""
    places = np.load(path.with_name(path.name + PLACES), mmap_mode="r", allow_pickle=False)
    found = []
    with path.open("rb") as file:
        for number in numbers:
            begin, end = int(places[number]), int(places[number + 1])
            file.seek(begin)
            found.append(json.loads(file.read(end - begin)))
    return found
