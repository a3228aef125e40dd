"""Examine a run, a recipe or an environment, and tell what was found, the costliest first."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from skymm.recipe import StageRecipe, load
from skymm.train.doctor import machine as environment
from skymm.train.doctor import recipe, runs
from skymm.train.doctor.finding import Finding
from skymm.train.doctor.machine import Machine, this_machine
from skymm.train.runlog import read_history


@dataclass(frozen=True, slots=True)
class Examination:
    """What was looked at, how many things were looked for, and what was found."""

    target: str
    num_checks: int
    findings: list[Finding]

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def as_text(self, width: int = 110) -> str:
        """For people: a paragraph for each finding."""
        looked = f"{self.target}: {len(self.findings) or 'nothing'} found, {self.num_checks} things looked for"
        return "\n\n".join([looked, *(_paragraph(index, one, width) for index, one in enumerate(self.findings, 1))])


def examine(
    target: str | Path | None = None, overrides: Sequence[str] = (), machine: Machine | None = None
) -> Examination:
    """A run's directory, a stage's recipe (with this environment), or without a target this environment alone.

    Raises ValueError where the target is neither, and for overrides of what is no recipe.
    """
    machine = machine or this_machine()
    if target is not None and Path(target).is_dir():
        if overrides:
            raise ValueError(f"{target} is a run, whose recipe cannot be changed any more; overrides are for recipes")
        history = read_history(target)
        found = [check(history, machine) for check in runs.CHECKS]
    else:
        found = [check(machine) for check in environment.CHECKS]
        if target is not None:
            plan = recipe.plan_of(load(target, StageRecipe, overrides), machine)
            found += [check(plan) for check in recipe.CHECKS]
    findings = sorted((one for one in found if one is not None), key=lambda one: -one.cost)
    return Examination(str(target or "this environment"), len(found), findings)


def _paragraph(index: int, finding: Finding, width: int) -> str:
    lines = [f"{index}. {finding.name}"]
    for head, text in (("seen", finding.seen), ("why", finding.why), ("do", finding.do)):
        lines.append(textwrap.fill(text, width, initial_indent=f"   {head:<5}", subsequent_indent=" " * 8))
    return "\n".join(lines)
