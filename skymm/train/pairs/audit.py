"""What pairs teach besides what they are for: whether the chosen side can be told by its length, or by its yes or no.

A pair is as much worth as its two sides are alike. Where the chosen answer is mostly the shorter one, shortness is learned, and
where it is always a no, denying is. So both are measured on all pairs of a way and language, and what can be told without
reading is refused where it is length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from skymm.curation.audit.findings import TOO_MUCH
from skymm.curation.audit.reading import yes_no
from skymm.text import words
from skymm.train.pairs.ways import speaks

_NUM_EXAMPLES = 3
_ALIKE = 0.25  # by which the mean lengths of both sides may differ, as a part of the longer
_ENOUGH = 20  # pairs whose mean length says something
Pair = Mapping[str, Any]


def examine(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """A row for each way and language. Lengths are words, of what follows on what both sides have in common.

    "told by length": what somebody gets right who always takes the longer, or always the shorter side (ties by a coin).
    """
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair["way"], pair["language"]), []).append(pair)
    return [_row(way, language, those) for (way, language), those in sorted(groups.items())]


def _row(way: str, language: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    lengths = [(len(words(pair["chosen"])), len(words(pair["rejected"]))) for pair in pairs]
    longer, shorter = (sum(sign * (one - other) > 0 for one, other in lengths) / len(pairs) for sign in (1, -1))
    verdicts = [said for pair in pairs if (said := yes_no(pair["chosen"])) is not None]
    spread = pairs[:: math.ceil(len(pairs) / _NUM_EXAMPLES)]
    return {
        "way": way,
        "language": language,
        "pairs": len(pairs),
        "mean words, chosen": sum(one for one, _ in lengths) / len(pairs),
        "mean words, rejected": sum(other for _, other in lengths) / len(pairs),
        "chosen longer": longer,
        "rejected longer": shorter,
        "told by length": 0.5 + abs(longer - shorter) / 2,
        "chosen says yes or no": len(verdicts),
        "of these no": verdicts.count("no") / len(verdicts) if verdicts else None,
        "languages differ": sum(
            not (speaks(pair["chosen"], language) and speaks(pair["rejected"], language)) for pair in pairs
        ),
        "examples": [
            {name: pair[name] for name in ("key", "question", "given", "chosen", "rejected", "kind")} for pair in spread
        ],
    }


def too_much(share: float, count: int) -> bool:
    """Whether a share lies further above one half than chance and `TOO_MUCH` allow."""
    return share > max(TOO_MUCH, 0.5 + 2 * math.sqrt(0.25 / count))


def refusals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each row whose lengths give the chosen side away."""
    found = []
    for row in rows:
        means, where = (row["mean words, chosen"], row["mean words, rejected"]), f"{row['way']} ({row['language']})"
        if too_much(row["told by length"], row["pairs"]):
            side = "longer" if row["chosen longer"] > row["rejected longer"] else "shorter"
            found.append(
                f"{where}: always the {side} answer is right in {row['told by length']:.0%} of {row['pairs']} pairs"
            )
        elif row["pairs"] >= _ENOUGH and abs(means[0] - means[1]) > _ALIKE * max(means):
            found.append(f"{where}: chosen answers have {means[0]:.1f} words on average, rejected ones {means[1]:.1f}")
    return found


def warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each row in which most of the chosen answers deny, or most affirm."""
    found = []
    for row in rows:
        no, count = row["of these no"], row["chosen says yes or no"]
        if no is not None and too_much(max(no, 1 - no), count):
            said = "no" if no > 0.5 else "yes"
            found.append(
                f"{row['way']} ({row['language']}): {max(no, 1 - no):.0%} of {count} chosen answers to questions of yes or no "
                f"say {said}, which is learned as well; mix with pairs where it is the other way round"
            )
    return found


def balanced(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The pairs of each way and language without as many as it takes until neither side is the longer one more often, and
    those that went; the furthest apart in length go first.
    """
    gaps: dict[tuple[str, str, bool], list[tuple[int, int]]] = {}
    for place, pair in enumerate(pairs):
        gap = len(words(pair["chosen"])) - len(words(pair["rejected"]))
        if gap:
            gaps.setdefault((pair["way"], pair["language"], gap > 0), []).append((-abs(gap), place))
    gone: set[int] = set()
    for (way, language, longer), those in gaps.items():
        surplus = len(those) - len(gaps.get((way, language, not longer), ()))
        gone.update(place for _, place in sorted(those)[: max(0, surplus)])
    kept = [pair for place, pair in enumerate(pairs) if place not in gone]
    return kept, [pairs[place] for place in sorted(gone)]


def print_audit(audit: Mapping[str, Any], console: Console) -> None:
    """What `AUDIT` holds, with what is wrong in red."""
    for row in audit["rows"]:
        means = (f"{row[f'mean words, {side}']:.1f} words {side}" for side in ("chosen", "rejected"))
        sides = f"the chosen one longer in {row['chosen longer']:.0%}, shorter in {row['rejected longer']:.0%}"
        no, count = row["of these no"], row["chosen says yes or no"]
        denied = "" if no is None else f"; {no:.0%} of {count:,} chosen yes or no are a no"
        told = f"{row['way']} ({row['language']}): {row['pairs']:,} pairs, {', '.join(means)}, {sides}{denied}"
        console.print(Text(told, "bold"), soft_wrap=True)
        for one in row["examples"]:
            shared = f" {one['given']} ..." if one["given"] else ""
            console.print(Text(f"  {one['key']} ({one['kind']}): {one['question']}{shared}"), soft_wrap=True)
            console.print(Text(f"    + {one['chosen']}\n    - {one['rejected']}"), soft_wrap=True)
    for way, reasons in audit["left out"].items():
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        console.print(Text(f"left out, {way}: {told}"), soft_wrap=True)
    for sentence in (*audit["refused"], *audit["warnings"]):
        console.print(Text(sentence, "bold red"), soft_wrap=True)
