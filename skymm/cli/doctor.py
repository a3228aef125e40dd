"""`skymm doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    target: Annotated[
        Path | None, typer.Argument(help="A run's directory or a stage's recipe; none: the environment alone.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for a recipe.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where anything is found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what slows or endangers a run: what was seen, why it costs, what to do; the costliest first."""
    from skymm.train.doctor.examine import examine

    found = examine(target, overrides or [])
    print(found.as_json() if as_json else found.as_text())
    if strict and found.findings:
        raise typer.Exit(1)
