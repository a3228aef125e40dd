"""A fixed number of things, chosen by the hash of their names: bounded, and the same however the data is cut and merged."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Value = TypeVar("Value")

_ALL = 2**64


def digest(*parts: str | bytes | int) -> int:
    """64 bits that stand for what was given; among a million different things two are alike once in 37 million times."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        # Lone surrogates are legal in JSON and not in UTF-8.
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "big")


@dataclass(slots=True)
class Lowest(Generic[Value]):
    """At most `size` names with their values: those whose hashes are the lowest of all that were met.

    A name that is among the lowest of everything is among the lowest of every part that has it, so its value misses nothing,
    and parts may be merged in any order. Up to `size` names this is a dictionary. A name that is a number is its own hash.
    """

    size: int
    values: dict[str | int, Value] = field(default_factory=dict)
    full: bool = False
    """Whether names had to be left out."""
    _heap: list[tuple[int, str | int]] = field(default_factory=list)

    def get(self, name: str | int, make: Callable[[], Value]) -> Value | None:
        """The value of a name, made where it is new; None for a name that is left out."""
        if name in self.values:
            return self.values[name]
        return self.put(name, make)

    def put(self, name: str | int, make: Callable[[], Value]) -> Value | None:
        """As `get`, for a name that is known to be new. The value is made only where there is a place for it."""
        if self.size < 1:
            self.full = True
            return None
        rank = -(name if isinstance(name, int) else digest(name))
        if len(self.values) < self.size:
            heapq.heappush(self._heap, (rank, name))
        else:
            self.full = True
            if rank <= self._heap[0][0]:
                return None
            del self.values[heapq.heapreplace(self._heap, (rank, name))[1]]
        self.values[name] = make()
        return self.values[name]

    def merge(self, other: Lowest[Value], combine: Callable[[Value, Value], object]) -> None:
        """Take in another part, whose values may be used up. `combine` adds the second of two values to the first."""
        for name, value in other.values.items():
            if name in self.values:
                combine(self.values[name], value)
            else:
                self.put(name, lambda value=value: value)
        self.full = self.full or other.full

    def lowest(self) -> Iterator[tuple[str | int, Value]]:
        """Names with their values, the lowest hash first: an order that has nothing to do with what is in them."""
        for _, name in sorted(self._heap, reverse=True):
            yield name, self.values[name]

    @property
    def num_names(self) -> int:
        """How many names were met; an estimate where some were left out."""
        if not self.full or not self._heap:
            return len(self.values)
        return max(len(self.values), round((len(self.values) - 1) * _ALL / max(1, -self._heap[0][0])))
