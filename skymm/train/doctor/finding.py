"""What the doctor says: one thing that was seen, why it costs, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is short and stays the same, for scripts. `cost` orders findings: about which share of the run's time or
    worth is lost, from 0 to 1; 1 where nothing of it can be used, or it will not start.
    """

    name: str
    cost: float
    seen: str
    why: str
    do: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", min(1.0, max(0.0, self.cost)))


def percent(share: float) -> str:
    """A share for a sentence."""
    return f"{share * 100:.0f} %" if share >= 0.01 or share == 0 else f"{share * 100:.2g} %"
