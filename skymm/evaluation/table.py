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


def comparison_rows(scores: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: model x benchmark x subtask, English and Chinese beside each other.

    English is read by MME's official rule, which knows no Chinese; the Chinese twins by the strict bilingual one.
    `scores[model][benchmark, language]` is what `mme.score` gives.
    """
    header = ["model", "subtask", "acc en", "acc+ en", "yes en", "acc zh", "acc+ zh", "yes zh"]
    rows = []
    for model, of_model in scores.items():
        for benchmark in dict.fromkeys(name for name, _ in of_model):
            english, chinese = of_model[benchmark, "en"], of_model[benchmark, "zh"]["strict"]
            for subtask, one in english["subtasks"].items():
                label = subtask + benchmark.removeprefix("bench").replace("_", " ")
                cells = []
                for part in (one, chinese["subtasks"][subtask]):
                    cells += [f"{part['acc']:.2f}", f"{part['acc_plus']:.2f}", f"{part['yes_ratio']:.0%}"]
                rows.append([model, label, *cells])
    return header, rows


def print_comparison(scores: Comparison) -> tuple[list[str], list[list[str]]]:
    """Print the comparison, a section per model, and return its header and rows."""
    header, rows = comparison_rows(scores)
    table = Table(
        title="held-out scenes: accuracy, both questions of an image right (acc+), share of yes (right is 50%)"
    )
    for name in header:
        table.add_column(name, justify="left" if name in ("model", "subtask") else "right")
    for index, row in enumerate(rows):
        first = index == 0 or rows[index - 1][0] != row[0]
        last = index + 1 == len(rows) or rows[index + 1][0] != row[0]
        table.add_row(row[0] if first else "", *row[1:], end_section=last)
    Console().print(table)
    return header, rows
