"""What a filter leaves of a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from skymm.conversation import Turn
from skymm.curation.record import Caption, Facts, Record


@dataclass(frozen=True, slots=True)
class Outcome:
    """`record` is what is left of it, None when it goes; then `reason` says why.

    `dropped` counts the captions and conversations that went, by reason, whether or not the record stays.
    """

    record: Record | None
    reason: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


def keep(record: Record, captions: tuple[Caption, ...], turns: tuple[Turn, ...], dropped: Counter[str]) -> Outcome:
    """The record with these captions and turns. It goes when it has lost all that was said and nothing else is known of it."""
    if not dropped:
        return Outcome(record)
    if captions or turns or record.facts != Facts():
        return Outcome(replace(record, captions=captions, turns=turns), None, dict(dropped))
    return Outcome(None, next(iter(dropped)), dict(dropped))
