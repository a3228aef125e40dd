"""One pass over shards, by as many processes as there are shards to share out; in the end the counts are the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skymm.curation.audit.counts import Counts
from skymm.curation.audit.reading import clean
from skymm.curation.record import Candidate, Facts, Picture, Record
from skymm.data.shards import CARD, BadSample, Sample, conversation_of, expand, read_shard
from skymm.images import Header, UnreadableImage, decode_image, read_header

if TYPE_CHECKING:
    from skymm.curation.filters.leakage import LeakageIndex

_CANDIDATES_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with each sample besides counting. `decode` reads all pixels: slower, and damage behind headers is found.

    `similar`: all are compared with all. `leakage`: an index of evaluation sets on disk, whose pictures and questions may not
    be trained on.
    """

    num_shown: int = 24
    decode: bool = False
    similar: bool = False
    leakage: str | None = None


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
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if workers > 1 else nullcontext()
    with pool:
        try:
            for part in (pool.map if workers > 1 else map)(count, paths):
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
            if plan.similar or plan.leakage:
                encoded = {name: sample.members[name] for name in headers}
                pictures = {name: Picture(data=data) for name, data in encoded.items()}
                told = {"turns": conversation.turns, "facts": facts or Facts(), "extra": conversation.extra}
                waiting.append(Candidate(Record(conversation.key, pictures, **told), encoded))
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
    """Pass the waiting samples through the filters of a build; after it none is waiting."""
    for candidate in waiting if plan.leakage else ():
        reason = _index(plan.leakage).reason(candidate)
        if reason is not None:
            counts.checked[f"leakage: {reason}"] += 1
            counts.example(f"leakage: {reason}", clean(candidate.record.key))
    if plan.similar:
        from skymm.curation.filters.duplicates import signatures

        counts.signatures.extend(signatures([one]).tobytes() for one in waiting)
    waiting.clear()


@lru_cache(maxsize=1)
def _index(path: str) -> LeakageIndex:
    from skymm.curation.filters.leakage import LeakageIndex

    return LeakageIndex.load(path)
