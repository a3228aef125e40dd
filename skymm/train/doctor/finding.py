"""What the doctor says: one thing that was seen, why it costs, what to do. Its sentences are in findings.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


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


def finding(kind: str, cost: float, **values: Any) -> Finding:
    """A finding in the sentences of its kind, filled in; the cost is cut to 0..1."""
    sentences = {name: text.format(**values) for name, text in _sentences()[kind].items()}
    return Finding(**{"name": kind, "cost": min(1.0, max(0.0, cost)), **sentences})


@cache
def _sentences() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("findings.toml").read_text("utf-8"))


def percent(share: float) -> str:
    """A share for a sentence."""
    return f"{share * 100:.0f} %" if share >= 0.01 or share == 0 else f"{share * 100:.2g} %"
