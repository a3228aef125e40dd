"""One pass over shards, by as many processes as there are shards to share out; in the end the counts are the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation
from skymm.curation.audit.counts import Counts
from skymm.curation.audit.reading import clean
from skymm.curation.audit.tally import Opened, tally
from skymm.curation.candidate import Candidate, Check
from skymm.curation.record import Facts, Picture, Record
from skymm.data.shards import CARD, BadSample, Sample, conversation_of, expand, read_shard
from skymm.images import UnreadableImage, decode_image, read_header

_CANDIDATES_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Likeness:
    """How to find samples that are nearly the same. `signature` gives bytes of one length for a sample, b"" for none;
    `alike` takes those of all samples, in order, and says of each whether an earlier one is like it.

    Both travel to other processes, so they are functions of a module, or objects of a class of one.
    """

    signature: Callable[[Candidate], bytes]
    alike: Callable[[Sequence[bytes]], Sequence[bool]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with each sample besides counting. `decode` reads all pixels: slower, and damage behind headers is found.

    `checks` are filters by name, whose reasons are counted: what may not be trained on, since it is evaluated on, or
    anything else. They get readable samples, as records with their turns and facts.
    """

    num_shown: int = 24
    decode: bool = False
    checks: Mapping[str, Check] = field(default_factory=dict)
    likenesses: Mapping[str, Likeness] = field(default_factory=dict)


def count_shards(
    shards: str | Path | Sequence[str | Path],
    plan: Plan | None = None,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda shards: None,
) -> Counts:
    """Counts of all shards, in the order of their names; `advance` is told of every shard that is done.

    `workers`: processes; None: as many as there are processors. The counts are the same whatever their number. A shard that
    cannot be read to its end is told in `bad_shards`, and what stands before the damage is counted. Raises ValueError
    where there are no shards.
    """
    plan = plan or Plan()
    paths = expand(shards)
    if not paths:
        raise ValueError(f"no shards found: looked for {shards!r}; expected .tar files there")
    if workers is not None and workers < 1:
        raise ValueError(f"found workers = {workers}, expected at least 1")
    workers = min(workers or os.cpu_count() or 1, len(paths))
    counts = Counts(plan.num_shown)
    if workers == 1:
        for path in paths:
            counts.merge(count_shard(path, plan))
            advance(1)
        return counts
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for part in pool.map(partial(count_shard, plan=plan), paths):
                counts.merge(part)
                advance(1)
        except BrokenProcessPool as error:
            raise ValueError(
                f"one of {workers} processes that counted shards was ended from outside, mostly for lack of memory; "
                "try fewer --workers"
            ) from error
    return counts


def count_shard(path: Path, plan: Plan) -> Counts:
    """Counts of one shard."""
    counts = Counts(plan.num_shown)
    counts.totals["shards"] = 1
    card = _card(path.parent, counts)
    waiting: list[Candidate] = []
    try:
        counts.totals["shard_bytes"] = path.stat().st_size
        for sample in read_shard(path):
            try:
                opened = _open(sample, plan.decode)
            except BadSample as error:
                counts.unreadable[error.reason] += 1
                counts.example(error.reason, clean(str(error)))
                continue
            tally(counts, opened, card)
            if plan.checks or plan.likenesses:
                waiting.append(_candidate(opened))
            if len(waiting) == _CANDIDATES_AT_A_TIME:
                _examine(waiting, plan, counts)
    except (ValueError, OSError) as error:
        counts.bad_shards.append((str(path), clean(str(error), 500)))
    _examine(waiting, plan, counts)
    counts.close_shard(path)
    return counts


def _open(sample: Sample, decode: bool) -> Opened:
    """Raises BadSample for what training would skip: its reasons, and those of pictures."""
    conversation = conversation_of(sample)
    headers = {}
    for name in sample.images:
        data = sample.members.get(name)
        if data is None:  # only the features are left
            continue
        where = f"{sample.shard}: {sample.key}.{name}"
        try:
            headers[name] = read_header(data, where)
            if decode:
                decode_image(data, where)
        except UnreadableImage as error:
            raise BadSample(str(error), error.reason) from error
    return Opened(sample, conversation, headers)


def _card(directory: Path, counts: Counts) -> Mapping[str, Any]:
    """What lies beside the shards; a directory need not have one, and a broken one is told."""
    try:
        card = json.loads((directory / CARD).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        counts.example("card", clean(f"{directory / CARD}: {error}"))
        return {}
    return card if isinstance(card, Mapping) else {}


def _candidate(opened: Opened) -> Candidate:
    sample, conversation = opened.sample, opened.conversation
    encoded = {name: sample.members[name] for name in opened.headers}
    pictures = {name: Picture(data=data) for name, data in encoded.items()}
    return Candidate(_record(conversation, pictures, opened.facts), encoded)


def _record(conversation: Conversation, pictures: Mapping[str, Picture], facts: Facts | None) -> Record:
    return Record(
        conversation.key, pictures, turns=conversation.turns, facts=facts or Facts(), extra=conversation.extra
    )


def _examine(waiting: list[Candidate], plan: Plan, counts: Counts) -> None:
    """Pass the waiting samples through checks and signatures; after it none is waiting."""
    for name, check in plan.checks.items():
        for candidate, reason in zip(waiting, check(waiting), strict=True):
            if reason is not None:
                counts.checked[name, reason] += 1
                counts.example(f"{name}: {reason}", clean(candidate.record.key))
    for name, likeness in plan.likenesses.items():
        counts.signatures.setdefault(name, []).extend(likeness.signature(one) for one in waiting)
    waiting.clear()
