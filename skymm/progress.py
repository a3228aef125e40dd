"""The progress bar of everything that takes longer than two seconds, and plain lines beside it; both on stderr."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

CONSOLE = Console(stderr=True, highlight=False)


def progress(**kwargs: Any) -> Progress:
    """Description, bar, count, time gone and left, and `note`: every task needs that field, empty or not."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=CONSOLE,
        **kwargs,
    )


def say(text: str) -> None:
    """A line for people. Not wrapped: a path that is broken in two cannot be copied."""
    CONSOLE.print(text, markup=False, soft_wrap=True)
