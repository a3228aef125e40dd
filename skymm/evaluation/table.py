"""Scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def score_table(scores: Mapping[str, Any], title: str = "MME") -> None:
    """Official and strict scores of every subtask, and the sums."""
    table = Table(title=title)
    for name in ("subtask", "score", "acc", "acc_plus", "other", "yes", "strict acc", "unknown"):
        table.add_column(name, justify="left" if name == "subtask" else "right")
    for name, official in scores["subtasks"].items():
        strict = scores["strict"]["subtasks"][name]
        table.add_row(
            name,
            f"{official['score']:.2f}",
            *(f"{official[field]:.3f}" for field in ("acc", "acc_plus")),
            f"{official['other']}",
            f"{official['yes_ratio']:.2f}",
            f"{strict['acc']:.3f}",
            f"{strict['unknown']:.2f}",
        )
    console = Console()
    console.print(table)
    for group in ("perception", "cognition"):
        if scores[group] is not None:
            console.print(f"{group}: {scores[group]:.2f}")
    if scores["missing"]:
        console.print(f"not in these answers, so not in the sums: {', '.join(scores['missing'])}")


Comparison = Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]]
COLUMNS = {"acc": "acc", "acc_plus": "acc+", "yes_ratio": "yes", "unknown": "neither"}


def comparison_rows(scores: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: model x subtask, English and Chinese beside each other.

    `scores[model][benchmark, language]` is what `mme.score` gives. English is read by MME's official rule, which knows no
    Chinese; the Chinese twins by the strict bilingual one. "neither" is the share of answers that are no yes and no no.
    """
    header = ["model", "subtask", *(f"{name} {language}" for language in ("en", "zh") for name in COLUMNS.values())]
    rows = []
    for model, of_model in scores.items():
        for benchmark in dict.fromkeys(name for name, _ in of_model):
            english, chinese = of_model[benchmark, "en"]["subtasks"], of_model[benchmark, "zh"]["strict"]["subtasks"]
            for subtask, one in english.items():
                label = subtask + benchmark.removeprefix("bench").replace("_", " ")
                official = {**one, "unknown": one["other"] / one["num_questions"]}
                cells = [_cell(name, part[name]) for part in (official, chinese[subtask]) for name in COLUMNS]
                rows.append([model, label, *cells])
    return header, rows


def _cell(name: str, value: float) -> str:
    return f"{value:.0%}" if name in ("yes_ratio", "unknown") else f"{value:.2f}"


def print_comparison(scores: Comparison) -> tuple[list[str], list[list[str]]]:
    """Print the comparison, a section per model, and return its header and rows."""
    header, rows = comparison_rows(scores)
    table = Table(
        title="held-out scenes: accuracy, acc+ (both questions of an image right), share of yes (right is 50%)"
    )
    for name in header[1:]:
        table.add_column(name, justify="left" if name == "subtask" else "right", no_wrap=name == "subtask")
    for index, row in enumerate(rows):
        if index == 0 or rows[index - 1][0] != row[0]:
            table.add_row(f"[bold]{row[0]}[/bold]")
        last = index + 1 == len(rows) or rows[index + 1][0] != row[0]
        table.add_row(*row[1:], end_section=last)
    # The table is made for reading, so it keeps its width where there is no terminal.
    Console(width=100 if not Console().is_terminal else None).print(table)
    return header, rows
