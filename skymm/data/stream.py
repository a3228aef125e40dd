"""The endless walk over shards: deterministic, resumable, and never silent about what it leaves out.

Order is a pure function of (seed, epoch, rank, worker): every epoch permutes the list of shards and deals it out over
ranks x workers; inside a shard the samples are permuted too, so a shard is its own shuffle buffer and a worker never
holds more than one shard of encoded bytes. There is no end at which ranks with fewer samples could make others wait.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation
from skymm.data.cursor import Cursor, Item, Position, resumed
from skymm.data.shards import BadSample, Sample, conversation_of, expand, read_shard
from skymm.data.sizes import sizes

logger = logging.getLogger(__name__)

UNWANTED = "no turns wanted"
"""The one reason to leave a sample out that is no fault of the sample: nothing in it is what the stage asks for."""
ADVICE = {
    UNWANTED: "leave `negative_share` out, change `languages` or name other shards: a share between 0 and 1 takes answers only "
    "from conversations that have positive and negative ones",
    "too long": "raise `max_length`, or cut the conversations",
    "not one image": 'objective = "words" learns from one picture at a time; leave the other conversations to the next stages',
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


def permutation(count: int, *name: int | str) -> list[int]:
    """range(count) in an order that only `name` decides, on any machine and any Python version (blake2b, no RNG)."""
    prefix = "/".join(map(str, name)).encode()
    return sorted(range(count), key=lambda index: hashlib.blake2b(b"%s/%d" % (prefix, index), digest_size=8).digest())


class SkipCounter:
    """Counts what is left out, by reason, and stops the run when it becomes too much.

    The share of skips is checked from 100 samples or 20 skips on; samples of which nothing is wanted are counted and said,
    and are no part of that share. The first skip of a reason is logged, then every `log_every`-th of it.
    """

    def __init__(self, max_skip_ratio: float = 0.01, log_every: int = 100, num_keys: int = 5) -> None:
        if not 0 <= max_skip_ratio <= 1:
            raise ValueError(f"max_skip_ratio is {max_skip_ratio}, expected a share from 0 to 1")
        self.max_skip_ratio, self.log_every, self.num_keys = max_skip_ratio, log_every, num_keys
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
        if len(keys) < self.num_keys:
            keys.append(key)
        # What is not wanted may be half of everything, and nobody is to mend it.
        if count == 1 or count % (self.log_every * (100 if reason == UNWANTED else 1)) == 0:
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
        if not (0 <= rank < ranks and 0 <= worker < workers):
            raise ValueError(f"rank {rank} of {ranks} and worker {worker} of {workers}: expected each below its count")
        self.shards = expand(shards)
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

    @property
    def start_epoch(self) -> int:
        """The epoch at which a reader without a position begins."""
        return self.cursor.start_epoch

    def for_worker(self, worker: int) -> Stream:
        """The same stream as another worker of this rank reads it, with its own counter of skips."""
        if not 0 <= worker < self.workers:
            raise ValueError(f"worker {worker}, expected one of 0 to {self.workers - 1}")
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
        epoch, first, start = Position(*position) if position else Position(self.start_epoch)
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


def _fingerprint(shards: Sequence[Path]) -> str:
    """Names and sizes, in order: tells another list of shards, and does not mind where the folder lies."""
    lines = "".join(f"{path.name}\t{size}\n" for path, size in zip(shards, sizes(shards)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
