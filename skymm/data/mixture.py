"""Several weighted Streams as one, interleaved so that the realised shares follow the weights closely at every step."""

from __future__ import annotations

import copy
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from skymm.data.stream import Cursor, Item, Position, Stream, resumed


class MixturePosition(NamedTuple):
    """Where one worker's mixture goes on: items drawn from each stream, and each stream's own position."""

    draws: tuple[int, ...]
    places: tuple[Position, ...]


class Mixture:
    """An endless interleaving of Streams with the same rank, ranks, worker, workers, seed and epoch.

    The stream that is furthest behind its share goes next, so shares differ from the weights by a few items at any
    time, not by the square root of their number as with random draws. Each worker starts at another phase (decided by
    seed, rank and worker), or all ranks would draw from the same stream at the same step. Weights are relative. Has
    the interface of a Stream: `cursor`, `place`, `for_worker`, iteration; items carry their stream's name in `source`.
    """

    def __init__(
        self, streams: Mapping[str, Stream], weights: Mapping[str, float], cursor: Cursor | None = None
    ) -> None:
        if not streams or set(streams) != set(weights):
            raise ValueError(f"streams {sorted(streams)} and weights {sorted(weights)}: expected the same names")
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"the weight of {name} is {weight}, expected a number above 0; leave the stream out")
        self.streams = dict(streams)
        self.weights = {name: weights[name] / sum(weights.values()) for name in streams}
        self.draws = dict.fromkeys(streams, 0)
        first = next(iter(streams.values()))
        for name, stream in streams.items():
            for field in ("seed", "ranks", "workers", "place", "start_epoch"):
                if getattr(stream, field) != getattr(first, field):
                    raise ValueError(
                        f"{name} has {field} {getattr(stream, field)}, another stream has {getattr(first, field)}; "
                        "expected the same in all"
                    )
            if stream.cursor.positions:
                raise ValueError(f"{name} has a cursor of its own: give the mixture its cursor instead")
        self.cursor = replace(first.cursor, fingerprint=self._fingerprint(), positions={})
        if cursor is not None:
            self.cursor = resumed(self.cursor, cursor)

    @property
    def place(self) -> str:
        return next(iter(self.streams.values())).place

    def for_worker(self, worker: int) -> Mixture:
        """The same mixture as another worker of this rank reads it."""
        other = copy.copy(self)
        other.streams = {name: stream.for_worker(worker) for name, stream in self.streams.items()}
        other.draws = dict.fromkeys(self.streams, 0)
        return other

    def __iter__(self) -> Iterator[Item]:
        starts = [Position(self.cursor.start_epoch)] * len(self.streams)
        draws, places = self.cursor.positions.get(self.place, ((0,) * len(starts), starts))
        draws, places = list(draws), [Position(*place) for place in places]
        names = list(self.streams)
        walks = [stream.walk(place) for stream, place in zip(self.streams.values(), places)]
        shares = [self.weights[name] for name in names]
        phases = [_phase(self.cursor.seed, self.place, name) for name in names]
        while True:
            step = sum(draws) + 1
            deficits = [share * step + phase - drawn for share, phase, drawn in zip(shares, phases, draws)]
            chosen = deficits.index(max(deficits))
            item = next(walks[chosen])
            draws[chosen] += 1
            places[chosen] = item.position
            self.draws = dict(zip(names, draws))
            skips = Counter()
            for stream in self.streams.values():
                skips.update(stream.skips.counts)
            position = MixturePosition(tuple(draws), tuple(places))
            yield replace(item, position=position, source=names[chosen], skips=dict(skips))

    def realised(self, positions: Iterable[MixturePosition] | None = None) -> dict[str, float]:
        """Share of items drawn from each stream: of this worker, or of all whose (latest) positions are given."""
        draws = [position[0] for position in positions] if positions is not None else [list(self.draws.values())]
        totals = [sum(column) for column in zip(*draws)] or [0] * len(self.streams)
        return {name: total / max(1, sum(totals)) for name, total in zip(self.streams, totals)}

    def _fingerprint(self) -> str:
        parts = [
            f"{name}\t{self.weights[name]!r}\t{stream.cursor.fingerprint}\n" for name, stream in self.streams.items()
        ]
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def _phase(seed: int, place: str, name: str) -> float:
    """A number in [0, 1) that only the arguments decide."""
    digest = hashlib.blake2b(f"{seed}/{place}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
