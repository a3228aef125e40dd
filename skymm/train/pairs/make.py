"""Preference pairs with a model: new shards whose last answer is the chosen one, with `rejected` beside it in their JSON.

They stand in train/ as stored features do: a model, shards and what curation knows of pictures come together here, and only
training reads what comes out.

Making and choosing are two steps with a journal between them. What the model said is asked for once, however often a run is
killed; which of the pairs are kept can be decided anew without asking.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from skymm import verdict
from skymm.answering.protocol import Answerer
from skymm.conversation import Conversation, Turn
from skymm.curation.audit.reading import source_and_licence, yes_no
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.record import Facts
from skymm.data.shard_writing import write_json, write_shards
from skymm.data.shards import CARD, Sample, conversation_of, expand, read_shard, sizes
from skymm.files import Journal, alone_in
from skymm.text import normalise, words
from skymm.train.pairs.audit import balanced, examine, refusals, warnings
from skymm.train.pairs.ways import MAKERS, Item, Made, Making, Tools, item_of, joined, speaks

JOURNAL, AUDIT, PREFIX = "answers.jsonl", "audit.json", "pairs"


def prefer(
    shards: str | Path | Sequence[str | Path],
    out: str | Path,
    making: Making,
    policy: Answerer | None = None,
    writer: Answerer | None = None,
    *,
    max_ratio: float = 2.0,
    balance_lengths: bool = False,
    samples_per_shard: int = 1000,
    begin: Callable[[int], None] = lambda samples: None,
    advance: Callable[[int], None] = lambda samples: None,
    told: Callable[[dict[str, Any]], None] = lambda audit: None,
) -> dict[str, Any]:
    """Write OUT/pairs-00000.tar, ..., OUT/audit.json and OUT/card.json, and return the audit.

    `writer` (None: `policy`'s own base LLM) is who puts errors in. `max_ratio`: of the words of the longer side to those of the
    shorter; `balance_lengths`: pairs are left out until neither side is the longer one more often. `begin` is told how many
    samples there are, `advance` of those that are done, `told` of the audit, also where it refuses.

    The same arguments, models and machine give the same bytes, interrupted or not.
    Raises ValueError where OUT holds finished shards, or answers of another model or with other settings; where no pair came
    out; and where lengths give the chosen answers away: then audit.json is there and no shard, and other limits go
    on from the same answers.
    """
    paths, out = expand(shards), Path(out)
    if (out / CARD).exists():
        raise ValueError(f"{out} already holds finished shards ({CARD}): choose another directory or remove it")
    if "injected" in making.ways and writer is None:
        if not hasattr(policy, "base_llm"):
            raise ValueError(
                f"the base LLM of {policy and policy.name} is not known; name who puts errors in, --writer"
            )
        writer = policy.base_llm()
    with alone_in(out, f"{out}: another run is making pairs there; wait for it, or give another --out"):
        statistics, total = _survey(paths)
        begin(total)
        journal = Journal(out / JOURNAL)
        tools = Tools(making, statistics, policy, writer)
        setting = _setting(paths, tools)
        lines = _started(journal, setting)
        for number, path in enumerate(paths):
            done = sum(line["samples"] for line in lines if line["shard"] == number)
            advance(done)
            rest = read_shard(path, done)
            while samples := list(islice(rest, making.batch_size)):
                line = _answered(samples, number, tools)
                journal.add(line)
                lines.append(line)
                advance(len(samples))
        kept, left_out = _kept(lines, max_ratio, balance_lengths)
        audit = _audit(kept, left_out, total)
        write_json(out / AUDIT, audit)
        told(audit)
        if not kept:
            raise ValueError(f"no pair came out of {total} samples; left out: {json.dumps(audit['left out'])}")
        if audit["refused"]:
            raise ValueError(
                f"training on these pairs would learn length: {'; '.join(audit['refused'])}. The same command with "
                "--balance-lengths or a smaller --max-ratio leaves pairs out until it does not, and asks nobody again"
            )
        limits = {"max_ratio": max_ratio, "balance_lengths": balance_lengths}
        write_shards(_samples(paths, kept), out, PREFIX, samples_per_shard, {"preference": setting | limits})
    return audit


# --- making -----------------------------------------------------------------------------------------------------------


def _survey(paths: Sequence[Path]) -> tuple[Statistics, int]:
    """What is there together with what, over all samples, and how many samples there are."""
    statistics, total = Statistics(), 0
    for path in paths:
        for sample in read_shard(path):
            total += 1
            try:
                statistics.add(Facts.from_json(conversation_of(sample).extra.get("facts", {})))
            except ValueError:
                continue  # counted when it is its turn
    return statistics, total


def _setting(paths: Sequence[Path], tools: Tools) -> dict[str, Any]:
    who = {"model": tools.policy, "writer": tools.writer}
    return {
        "shards": [[path.name, size] for path, size in zip(paths, sizes(paths))],
        **{name: one and one.name for name, one in who.items()},
        **{f"{name} weights": one and one.weights for name, one in who.items()},
        **asdict(tools.making),
        "ways": list(tools.making.ways),
    }


def _started(journal: Journal, setting: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines so far. Raises ValueError where they are of another setting."""
    if not journal.entries:
        journal.add(setting)
        return []
    first, *lines = journal.entries
    other = [name for name in setting if first.get(name) != setting[name]]
    if other:
        raise ValueError(
            f"{journal.path} was begun with another {other[0]} ({first.get(other[0])!r}, now {setting[other[0]]!r}); "
            "give another --out, or the same arguments"
        )
    return lines


def _answered(samples: Sequence[Sample], shard: int, tools: Tools) -> dict[str, Any]:
    """A line of the journal: all that came of some samples of a shard."""
    left_out: dict[str, Counter[str]] = {way: Counter() for way in tools.making.ways}
    items: list[Item] = []
    for sample in samples:
        try:
            items.append(item_of(sample))
        except ValueError as error:  # of this sample alone
            for reasons in left_out.values():
                reasons[getattr(error, "reason", "cannot be read")] += 1

    pairs = []
    with torch.random.fork_rng():
        for way in tools.making.ways:
            seed = f"{tools.making.seed}/{way}/{shard}/{samples[0].index}".encode()
            torch.manual_seed(int.from_bytes(hashlib.blake2b(seed, digest_size=7).digest(), "big"))
            for made in MAKERS[way](tools, items):
                if made.left_out:
                    left_out[way][made.left_out] += 1
                else:
                    pairs.append(_pair(way, made, tools))
    return {"shard": shard, "samples": len(samples), "pairs": pairs, "left out": left_out}


def _pair(way: str, made: Made, tools: Tools) -> dict[str, Any]:
    item, who = made.item, {"injected": tools.writer, "rule": None}.get(way, tools.policy)
    how = {"way": way, **({"model": who.name, "weights": who.weights} if who else {}), **(made.how or {})}
    if (scorer := tools.scorer(item)).knows:
        sides = {"chosen": made.chosen, "rejected": made.rejected}
        how["scores"] = {side: scorer.score(text, item.language)._asdict() for side, text in sides.items()}
    return {
        "sample": item.place,
        "key": item.key,
        "way": way,
        "language": item.language,
        "kind": made.kind,
        "question": item.question.text,
        "alone": [item.answer.polarity, item.answer.kind] if item.alone else None,
        "asks yes or no": yes_no(item.answer.text) is not None,
        "given": made.given,
        "chosen": made.chosen,
        "rejected": made.rejected,
        "how": how,
    }


# --- choosing ---------------------------------------------------------------------------------------------------------


def _kept(
    lines: Sequence[Mapping[str, Any]], max_ratio: float, balance_lengths: bool
) -> tuple[list[dict[str, Any]], dict[str, Counter[str]]]:
    """The pairs that stay, each with its shard, in the order of the samples; and how many went, by way and reason."""
    kept: list[dict[str, Any]] = []
    left_out: dict[str, Counter[str]] = {}
    for line in sorted(lines, key=lambda line: line["shard"]):
        for way, reasons in line["left out"].items():
            left_out.setdefault(way, Counter()).update(reasons)
        for pair in sorted(line["pairs"], key=lambda pair: pair["sample"]):
            reason = refusal(pair, max_ratio)
            if reason is None:
                kept.append({**pair, "shard": line["shard"]})
            else:
                left_out[pair["way"]][reason] += 1
    if balance_lengths:
        kept, gone = balanced(kept)
        for pair in gone:
            left_out[pair["way"]]["for the balance of lengths"] += 1
    return kept, left_out


def refusal(pair: Mapping[str, Any], max_ratio: float) -> str | None:
    """Why a pair teaches nothing, or something else than what is true; None where it is one."""
    chosen, rejected = pair["chosen"], pair["rejected"]
    if normalise(chosen).lower() == normalise(rejected).lower():
        return "both sides are the same"
    if not (speaks(chosen, pair["language"]) and speaks(rejected, pair["language"])):
        return "in another language"
    if pair["asks yes or no"]:
        said = [verdict.yes_no(text, pair["question"]) for text in (chosen, rejected)]
        if said[0] == said[1]:
            return "both sides say the same"
        if verdict.UNKNOWN in said:
            return "one side says neither yes nor no"
    shorter, longer = sorted(max(1, len(words(text))) for text in (chosen, rejected))
    return f"one side has more than {max_ratio:g} times the words" if longer > max_ratio * shorter else None


def _audit(kept: Sequence[Mapping[str, Any]], left_out: Mapping[str, Counter[str]], total: int) -> dict[str, Any]:
    rows = examine(kept)
    return {
        "samples": total,
        "pairs": len(kept),
        "left out": {way: dict(reasons.most_common()) for way, reasons in left_out.items() if reasons},
        "rows": rows,
        "refused": refusals(rows),
        "warnings": warnings(rows),
    }


# --- writing ----------------------------------------------------------------------------------------------------------


def _samples(
    paths: Sequence[Path], kept: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    """Every pair as a sample, with the pictures that it shows."""
    waiting: dict[tuple[int, int], list[tuple[int, Mapping[str, Any]]]] = {}
    for number, pair in enumerate(kept):
        waiting.setdefault((pair["shard"], pair["sample"]), []).append((number, pair))
    for shard, path in enumerate(paths):
        if not any(place[0] == shard for place in waiting):
            continue
        card = path.parent / CARD
        told = json.loads(card.read_text("utf-8")) if card.exists() else {}
        for sample in read_shard(path):
            for number, pair in waiting.get((shard, sample.index), ()):
                talk = _conversation(conversation_of(sample), pair, number, told)
                yield talk, {name: sample.image(name) for name in talk.images}


def _conversation(talk: Conversation, pair: Mapping[str, Any], number: int, card: Mapping[str, Any]) -> Conversation:
    chosen, rejected = (joined(pair["given"], pair[side], pair["language"]) for side in ("chosen", "rejected"))
    if pair["alone"]:
        polarity, kind = pair["alone"]
        question = Turn("user", pair["question"], tuple(dict.fromkeys(talk.images))).timed(talk.seconds)
        turns: tuple[Turn, ...] = (question, Turn("assistant", chosen, (), polarity, kind, pair["language"]))
    else:
        last = max(place for place, turn in enumerate(talk.turns) if turn.role == "assistant")
        turns = (*talk.turns[:last], replace(talk.turns[last], text=chosen, language=pair["language"]))
    source, licence = source_and_licence(talk.extra, card)
    how = pair["how"] | ({"given": pair["given"]} if pair["given"] else {})
    extra = {
        **talk.extra,
        "source": source,
        "licence": licence,
        "rejected": rejected,
        "error": pair["kind"],
        "made": how,
    }
    return Conversation(f"{talk.key}-{pair['way']}-{number}", turns, extra)
