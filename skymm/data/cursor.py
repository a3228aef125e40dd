"""The place a run is at: which reader goes on where, and whose turn it is. It travels with the items and is saved with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

CURSOR_VERSION = 2


class Position(NamedTuple):
    """The next sample of one worker: epoch, the how-manieth of its shards in it, the how-manieth sample in that."""

    epoch: int = 0
    shard: int = 0
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One sample on its way to the model. `place` is "rank/worker"; `position` is where that worker goes on after it.

    `value` is what `prepare` made of the sample; `skips` are that worker's skips so far, by reason.
    """

    value: Any
    key: str
    place: str
    position: Any
    skips: Mapping[str, int] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Cursor:
    """Where every worker of every rank goes on. Saved with the weights; `to_dict` and `from_dict` go through JSON.

    A worker without a position has delivered nothing yet and starts at the beginning. `latest` is, per rank, the worker
    that delivered last; the one after it has the next turn.
    """

    seed: int
    ranks: int
    workers: int
    fingerprint: str
    start_epoch: int = 0
    positions: Mapping[str, Any] = field(default_factory=dict)
    latest: Mapping[str, int] = field(default_factory=dict)
    version: int = CURSOR_VERSION

    def after(self, *items: Item) -> Cursor:
        """The cursor once these items (of any workers, in the order in which they came) have been used."""
        positions, latest = dict(self.positions), dict(self.latest)
        for item in items:
            rank, _, worker = item.place.partition("/")
            positions[item.place], latest[rank] = item.position, int(worker)
        return replace(self, positions=positions, latest=latest)

    def merge(self, *others: Cursor) -> Cursor:
        """One cursor of what several ranks hold: each rank as far on as any of them knows, since a resumed rank holds where
        the others were when it began. Raises ValueError where they are not of one run.
        """
        merged = self
        for other in others:
            if replace(other, positions={}, latest={}) != replace(self, positions={}, latest={}):
                raise ValueError(f"cursors of different runs cannot be merged: {self} and {other}")
            for rank in other.latest.keys() | {place.partition("/")[0] for place in other.positions}:
                if merged._of(rank) < other._of(rank):
                    own = {place: at for place, at in other.positions.items() if place.partition("/")[0] == rank}
                    latest = {name: worker for name, worker in other.latest.items() if name == rank}
                    positions = {**merged.positions, **own}
                    merged = replace(merged, positions=positions, latest={**merged.latest, **latest})
        return merged

    def _of(self, rank: str) -> list[Any]:
        """How far a rank is: never less than it was before."""
        own = {place: at for place, at in self.positions.items() if place.partition("/")[0] == rank}
        return [own.get(f"{rank}/{worker}", ()) for worker in range(self.workers)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        mappings = {"positions": dict(self.positions), "latest": dict(self.latest)}
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | mappings

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cursor:
        """Back from `to_dict`. Raises ValueError for another version or missing fields."""
        if data.get("version") == 1 and "latest" not in data:  # from when each rank had one reader: turns said nothing
            data = {**data, "version": CURSOR_VERSION, "latest": {}}
        if data.get("version") != CURSOR_VERSION:
            raise ValueError(f"cursor version is {data.get('version')!r}, this program reads {CURSOR_VERSION}")
        if set(data) != set(cls.__dataclass_fields__):
            raise ValueError(f"a cursor has the fields {sorted(cls.__dataclass_fields__)}, found {sorted(data)}")
        return cls(**{**data, "positions": {place: _tuples(value) for place, value in data["positions"].items()}})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value


def resumed(fresh: Cursor, cursor: Cursor) -> Cursor:
    """`cursor`, if a run that would begin with `fresh` can go on from it. Raises ValueError with the way out."""
    epochs = [_epochs(position) for position in cursor.positions.values()]
    way_out = f"or start the next epoch with what you have now: epoch={max(epochs, default=cursor.start_epoch) + 1}"
    if (cursor.ranks, cursor.workers) != (fresh.ranks, fresh.workers):
        raise ValueError(
            f"the cursor is of {cursor.ranks} ranks x {cursor.workers} workers, this run has {fresh.ranks} x "
            f"{fresh.workers}: go on with {cursor.ranks} x {cursor.workers}, {way_out}"
        )
    if cursor.fingerprint != fresh.fingerprint:
        raise ValueError(
            f"the cursor is of another list of shards or other weights ({cursor.fingerprint}, these are "
            f"{fresh.fingerprint}; names, sizes and order count): give the same list, {way_out}"
        )
    if cursor.seed != fresh.seed:
        raise ValueError(f"the cursor is of seed {cursor.seed}, this run has {fresh.seed}: give the same, {way_out}")
    return cursor


def _epochs(position: Any) -> int:
    """The latest epoch in a position of a stream, or in those of a mixture's streams."""
    if isinstance(position[0], int):
        return position[0]
    return max(_epochs(place) for place in position[1])
