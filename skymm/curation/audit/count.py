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

from skymm.curation.audit.counts import Counts
from skymm.curation.audit.reading import clean
from skymm.curation.record import Candidate, Facts, Picture, Record
from skymm.data.shards import CARD, BadSample, Sample, conversation_of, expand, read_shard
from skymm.images import Header, UnreadableImage, decode_image, read_header

_CANDIDATES_AT_A_TIME = 64
Check = Callable[[Sequence[Candidate]], list[str | None]]
"""A filter: for each candidate the reason why it is kept out (a short name, the same for every sample), or None."""


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
    counts, count = Counts(plan.num_shown), partial(count_shard, plan=plan)

    def add(part: Counts) -> None:
        counts.merge(part)
        advance(1)

    if workers == 1:
        for part in map(count, paths):
            add(part)
        return counts
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for part in pool.map(count, paths):
                add(part)
        except BrokenProcessPool as error:
            raise ValueError(
                f"one of {workers} processes that counted shards was ended from outside, mostly for lack of memory; "
                "try fewer --workers"
            ) from error
    return counts


def count_shard(path: Path, plan: Plan) -> Counts:
    """Counts of one shard."""
    counts = Counts(plan.num_shown)
    counts.open_shard(path)
    counts.totals["shards"] = 1
    card = _card(path.parent, counts)
    waiting: list[Candidate] = []
    try:
        counts.totals["shard_bytes"] = path.stat().st_size
        for sample in read_shard(path):
            try:
                conversation, headers = conversation_of(sample), _headers(sample, plan.decode)
            except BadSample as error:
                counts.unreadable[error.reason] += 1
                counts.example(error.reason, clean(str(error)))
                continue
            facts = counts.add(sample, conversation, headers, card)
            if plan.checks or plan.likenesses:
                encoded = {name: sample.members[name] for name in headers}
                pictures = {name: Picture(data=data) for name, data in encoded.items()}
                record = Record(
                    conversation.key,
                    pictures,
                    turns=conversation.turns,
                    facts=facts or Facts(),
                    extra=conversation.extra,
                )
                waiting.append(Candidate(record, encoded))
            if len(waiting) == _CANDIDATES_AT_A_TIME:
                _examine(waiting, plan, counts)
    except (ValueError, OSError) as error:
        counts.bad_shards.append((str(path), clean(str(error), 500)))
    _examine(waiting, plan, counts)
    return counts


def _headers(sample: Sample, decode: bool) -> dict[str, Header]:
    """Of all pictures whose data is there. Raises BadSample for what training would skip."""
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
    return headers


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


def _examine(waiting: list[Candidate], plan: Plan, counts: Counts) -> None:
    """Pass the waiting samples through checks and signatures; after it none is waiting."""
    for name, check in plan.checks.items():
        for candidate, reason in zip(waiting, check(waiting), strict=True):
            if reason is not None:
                counts.checked[f"{name}: {reason}"] += 1
                counts.example(f"{name}: {reason}", clean(candidate.record.key))
    for name, likeness in plan.likenesses.items():
        counts.signatures.setdefault(name, []).extend(likeness.signature(one) for one in waiting)
    waiting.clear()
