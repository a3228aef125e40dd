"""The endless walk over shards: deterministic, resumable, and never silent about what it leaves out.

Order is a pure function of (seed, epoch, rank, worker): every epoch permutes the list of shards and deals it out over
ranks x workers; inside a shard the samples are permuted too, so a shard is its own shuffle buffer and a worker never
holds more than one shard of encoded bytes. There is no end at which ranks with fewer samples could make others wait.
A mixture interleaves several such walks. The place that a run is at, a Cursor, travels with the items and is saved with
them.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from skymm.conversation import BadSample, Conversation
from skymm.data.shards import Sample, conversation_of, expand, read_shard, sizes

logger = logging.getLogger(__name__)

CURSOR_VERSION = 2
KEYS_SHOWN, LOG_EVERY = 5, 100

UNWANTED = "no turns wanted"
"""The one reason to leave a sample out that is no fault of the sample: nothing in it is what the stage asks for."""
ADVICE = {
    UNWANTED: "leave `negative_share` out, change `languages` or name other shards: a share between 0 and 1 takes answers only "
    "from conversations that have positive and negative ones",
    "too long": "raise `max_length`, or cut the conversations",
    "not one image": 'objective = "words" learns from one picture at a time; leave the other conversations to the next stages',
    "no rejected answer": 'objective = "preference" compares the last answer with a rejected one: name shards that have it '
    "(data_recipes/preference.toml, pairs of others, or `skymm data prefer`), or take the sample out",
    "equal answers": "nothing can be preferred between two answers that are the same; take the sample out",
    "system turn": "leave the system turns out of the shards and `system` out of the recipe, or take an LLM whose chat "
    "template has a place for them",
    "cannot be encoded": "look at the sample with `skymm look --key`; mend it or take it out",
    "unreadable image": "fetch or write the picture again, or take the sample out",
    "missing image member": "write the shard again with every picture that its turns show",
    "missing json": "write the shard again: every key needs its .json",
    "bad json": "mend the JSON as the message says, or take the sample out",
    "no target": "a sample needs an assistant turn; take the sample out",
}
"""What to do about each reason for which samples are left out."""


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
        positions, latest = {}, {}
        for other in others:
            if replace(other, positions={}, latest={}) != replace(self, positions={}, latest={}):
                raise ValueError(f"cursors of different runs cannot be merged: {self} and {other}")
        for rank in map(str, range(self.ranks)):
            furthest = max((self, *others), key=lambda cursor: cursor._of(rank))
            positions |= {place: at for place, at in furthest.positions.items() if place.partition("/")[0] == rank}
            latest |= {name: worker for name, worker in furthest.latest.items() if name == rank}
        return replace(self, positions=positions, latest=latest)

    def _of(self, rank: str) -> list[Any]:
        """How far a rank is: never less than it was before."""
        return [self.positions.get(f"{rank}/{worker}", ()) for worker in range(self.workers)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        mappings = {"positions": dict(self.positions), "latest": dict(self.latest)}
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | mappings

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cursor:
        """Back from `to_dict`. Raises ValueError for another version or missing fields."""
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


def permutation(count: int, *name: int | str) -> list[int]:
    """range(count) in an order that only `name` decides, on any machine and any Python version (blake2b, no RNG)."""
    prefix = "/".join(map(str, name)).encode()
    return sorted(range(count), key=lambda index: hashlib.blake2b(b"%s/%d" % (prefix, index), digest_size=8).digest())


class SkipCounter:
    """Counts what is left out, by reason, and stops the run when it becomes too much.

    The share of skips is checked from 100 samples or 20 skips on; samples of which nothing is wanted are counted and said,
    and are no part of that share. The first skip of a reason is logged, then every hundredth of it.
    """

    def __init__(self, max_skip_ratio: float = 0.01) -> None:
        self.max_skip_ratio = max_skip_ratio
        self.num_seen = 0
        self.keys: dict[str, list[str]] = {}
        self.counts: Mapping[str, int] = {}

    @property
    def num_skipped(self) -> int:
        """Of samples that should have been used."""
        return sum(self.counts.values()) - self.counts.get(UNWANTED, 0)

    def used(self) -> None:
        """One sample went on to the model."""
        self.num_seen += 1
        self._check()

    def skipped(self, reason: str, key: str, why: object = "") -> None:
        """One sample was left out. Raises ValueError, listing reasons and keys, when too many have been."""
        self.num_seen += reason != UNWANTED
        count = self.counts.get(reason, 0) + 1
        self.counts = {**self.counts, reason: count}  # a new mapping: items that left carry the old one
        keys = self.keys.setdefault(reason, [])
        if len(keys) < KEYS_SHOWN:
            keys.append(key)
        # What is not wanted may be half of everything, and nobody is to mend it.
        if count == 1 or count % (LOG_EVERY * (100 if reason == UNWANTED else 1)) == 0:
            logger.warning("skipped: %s, %d so far: %s", reason, count, why or key)
        self._check()

    def _check(self) -> None:
        num_skipped = self.num_skipped
        enough = self.num_seen >= 100 or num_skipped >= 20
        if enough and num_skipped > self.max_skip_ratio * self.num_seen:
            raise ValueError(
                f"skipped {num_skipped} of {self.num_seen} samples, allowed is a share of {self.max_skip_ratio}: "
                f"{self.summary()}. Or raise max_skip_ratio."
            )

    def summary(self) -> str:
        """For people: every reason with its count, first keys and what to do about it."""
        return "; ".join(
            f"{reason} {count} ({', '.join(self.keys[reason])}): {ADVICE.get(reason, ADVICE['cannot be encoded'])}"
            for reason, count in self.counts.items()
        )


class Stream:
    """Samples of `shards` without end, for one worker of one rank.

    `prepare(sample, conversation)` makes the value of an Item (default: the pair itself); a ValueError with a `reason`
    attribute from it (unreadable image, too long, ...) skips the sample, counted; any other error goes through.
    `cursor` continues a run; `epoch` starts a new one later than at epoch 0. Raises ValueError before the first sample
    for fewer shards than ranks x workers, and for a cursor of other shards, seed, ranks or workers.
    """

    def __init__(
        self,
        shards: str | Path | Sequence[str | Path],
        *,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        worker: int = 0,
        workers: int = 1,
        epoch: int = 0,
        cursor: Cursor | None = None,
        prepare: Callable[[Sample, Conversation], Any] | None = None,
        max_skip_ratio: float = 0.01,
    ) -> None:
        assert 0 <= rank < ranks and 0 <= worker < workers
        self.shards = expand(shards, remote=True)
        if len(self.shards) < ranks * workers:
            raise ValueError(
                f"{len(self.shards)} shards for {ranks} ranks x {workers} workers = {ranks * workers} readers: "
                "each needs a shard of its own; use fewer workers, or write more and smaller shards"
            )
        self.seed, self.rank, self.ranks, self.worker, self.workers = seed, rank, ranks, worker, workers
        self.prepare, self.skips = prepare, SkipCounter(max_skip_ratio)
        self.cursor = Cursor(seed, ranks, workers, _fingerprint(self.shards), epoch)
        if cursor is not None:
            self.cursor = resumed(self.cursor, cursor)

    @property
    def place(self) -> str:
        """The name ("rank/worker") of this reader in a Cursor."""
        return f"{self.rank}/{self.worker}"

    def for_worker(self, worker: int) -> Stream:
        """The same stream as another worker of this rank reads it, with its own counter of skips."""
        other = copy.copy(self)
        other.worker, other.skips = worker, SkipCounter(self.skips.max_skip_ratio)
        return other

    def own_shards(self, epoch: int) -> list[int]:
        """Indices of the shards that this worker reads in an epoch, in order."""
        readers, reader = self.ranks * self.workers, self.rank * self.workers + self.worker
        return permutation(len(self.shards), self.seed, epoch)[reader::readers]

    def __iter__(self) -> Iterator[Item]:
        return self.walk(self.cursor.positions.get(self.place))

    def walk(self, position: Sequence[int] | None = None) -> Iterator[Item]:
        """Items from a position on (None: the beginning)."""
        epoch, first, start = Position(*position) if position else Position(self.cursor.start_epoch)
        while True:
            own = self.own_shards(epoch)
            from_the_start, delivered = (first, start) == (0, 0), 0
            for turn in range(first, len(own)):
                for item in self._walk_shard(own[turn], Position(epoch, turn, start), turn + 1 == len(own)):
                    delivered += 1
                    yield item
                start = 0
            if from_the_start and not delivered and not self._anything_elsewhere(own):
                raise ValueError(f"epoch {epoch}: all samples were skipped: {self.skips.summary()}")
            epoch, first = epoch + 1, 0

    def _anything_elsewhere(self, own: Sequence[int]) -> bool:
        """Whether a shard that another reader has in this epoch, and this one in a later, holds anything to use."""
        for shard in sorted(set(range(len(self.shards))) - set(own)):
            for sample in read_shard(self.shards[shard]):
                try:
                    self._prepared(sample)
                except ValueError as error:
                    if getattr(error, "reason", None) is None:
                        raise
                else:
                    return True
        return False

    def _walk_shard(self, shard: int, here: Position, last: bool) -> Iterator[Item]:
        samples = list(read_shard(self.shards[shard]))
        order = permutation(len(samples), self.seed, here.epoch, shard, "samples")
        next_shard = Position(here.epoch + 1) if last else Position(here.epoch, here.shard + 1)
        for index in range(here.sample, len(order)):
            sample = samples[order[index]]
            after = next_shard if index + 1 == len(order) else here._replace(sample=index + 1)
            try:
                value = self._prepared(sample)
            except ValueError as error:
                reason = getattr(error, "reason", None)
                if reason is None:
                    raise
                self.skips.skipped(reason, sample.key, error)
                continue
            self.skips.used()
            yield Item(value, sample.key, self.place, after, self.skips.counts)

    def _prepared(self, sample: Sample) -> Any:
        conversation = conversation_of(sample)
        if not conversation.targets:
            raise BadSample(f"{sample.shard}: {sample.key} has no assistant turn, so nothing to learn", "no target")
        return self.prepare(sample, conversation) if self.prepare else (sample, conversation)


def _fingerprint(shards: Sequence[Any]) -> str:
    """Names and sizes, in order: tells another list of shards, and does not mind where the folder lies."""
    lines = "".join(f"{path.name}\t{size}\n" for path, size in zip(shards, sizes(shards)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


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
        assert streams and set(streams) == set(weights), "a weight for every stream"
        self.streams = dict(streams)
        self.weights = {name: weights[name] / sum(weights.values()) for name in streams}
        first = next(iter(streams.values()))
        same = ("seed", "ranks", "workers", "place")
        assert all(getattr(one, name) == getattr(first, name) for one in streams.values() for name in same)
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
            skips = sum((Counter(stream.skips.counts) for stream in self.streams.values()), Counter())
            position = MixturePosition(tuple(draws), tuple(places))
            yield replace(item, position=position, source=names[chosen], skips=dict(skips))

    def _fingerprint(self) -> str:
        parts = [
            f"{name}\t{self.weights[name]!r}\t{stream.cursor.fingerprint}\n" for name, stream in self.streams.items()
        ]
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def _phase(seed: int, place: str, name: str) -> float:
    """A number in [0, 1) that only the arguments decide."""
    digest = hashlib.blake2b(f"{seed}/{place}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
