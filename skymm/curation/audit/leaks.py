"""What a build tells of itself: what was kept of what, and how well its answers can be guessed without a look at a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skymm.curation.audit.count import Plan, count_shards
from skymm.curation.audit.summary import summarise

MOST_SAMPLES = 10_000
"""Of larger builds, shards from all over it that hold about so many."""
TOO_MUCH = 0.60


def find_leaks(directory: Path, shards: Sequence[Mapping[str, Any]], workers: int = 1) -> list[dict[str, Any]]:
    """Per kind and language of yes/no questions: how many answers were looked at, and the share of them that the words of the
    question alone give ("words"), what was said before ("history"), and the more frequent answer ("one answer").

    `shards`: what `write_shard` returned, which lie in the directory. A share of too few questions is None.
    """
    total = sum(shard["num_samples"] for shard in shards)
    if not total:
        return []
    wanted = min(len(shards), max(1, round(len(shards) * MOST_SAMPLES / total)))
    places = sorted({int(place) for place in np.linspace(0, len(shards) - 1, wanted)})
    audit = summarise(count_shards([directory / shards[place]["name"] for place in places], Plan(num_shown=0), workers))
    history = {(one.kind, one.language): round(one.guessed, 4) for one in audit.before_kinds}
    return [
        {
            "kind": one.kind,
            "language": one.language,
            "answers": one.count,
            "words": round(one.guessed, 4),
            "history": history.get((one.kind, one.language)),
            "one answer": round(one.answer_share, 4),
        }
        for one in sorted(audit.guesses, key=lambda one: (one.kind, one.language))
        if one.yes_no
    ]


def print_build(card: Mapping[str, Any], console: Console) -> None:
    """What a card tells, for whoever waited for the build: on the terminal, with what to change in red."""
    for name, told in card.get("sources", {}).items():
        if "silent" not in told:  # built before this was counted
            continue
        lost = {**told["left out"], **told["silent"]}
        reasons = "; ".join(f"{reason} {count:,}" for reason, count in lost.items() if count) or "none"
        parts = told["captions and conversations left out"]
        cut = f"; captions and turns cut: {', '.join(f'{name} {n:,}' for name, n in parts.items())}" if parts else ""
        made = f"{told['samples']:,} samples, {told['questions']:,} questions made"
        console.print(Text(f"{name}: {made}. Left out: {reasons}{cut}"), soft_wrap=True)
    rows = card.get("guessed without looking", [])
    if not rows:
        return
    table = Table(title="yes/no answers that can be guessed without looking (0.50: none)")
    for name in ("kind", "language", "answers", "from the words", "from earlier answers"):
        table.add_column(name, justify="left" if name in ("kind", "language") else "right")
    red = []
    for row in rows:
        cells = []
        for name, where in (("words", "the words of the question"), ("history", "earlier answers of the conversation")):
            share, much = row[name], (row[name] or 0) > TOO_MUCH
            cells.append(Text("–" if share is None else f"{share:.2f}", "bold red" if much else ""))
            if much:
                red.append(
                    f"{row['kind']} ({row['language']}): {where} give {share:.0%} of the answers. {_advice(row)}"
                )
        table.add_row(Text(row["kind"]), row["language"], f"{row['answers']:,}", *cells)
    console.print(table)
    for sentence in red:
        console.print(Text(sentence, "bold red"), soft_wrap=True)


def _advice(row: Mapping[str, Any]) -> str:
    if row["one answer"] > TOO_MUCH:
        return (
            f"One answer alone gives {row['one answer']:.0%}: set negative_share = 0.5, or leave out the turns that a source "
            'brings along (tasks without "turns") where they all say the same'
        )
    return (
        'Questions that are made here are balanced, so these come with a source: leave its turns out (tasks = ["negatives"]), '
        "or add questions with the same words and the other answer"
    )
