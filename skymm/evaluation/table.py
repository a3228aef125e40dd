"""Scores as tables for a terminal; and models beside each other on a page, with pictures, questions and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from skymm.conversation import LANGUAGES
from skymm.evaluation.benchmark import Benchmark, coverage_line, value_of
from skymm.evaluation.predictions import PREDICTIONS, read_lines
from skymm.page import document
from skymm.page.drawing import swatch
from skymm.page.numbers import bounds
from skymm.verdict import yes_no


def benchmark_table(benchmarks: Sequence[Benchmark]) -> None:
    """What can be asked."""
    table = Table(title="benchmarks", caption="skymm eval list NAME: what to download, and what root has to hold")
    for name in ("name", "what", "size", "licence"):
        table.add_column(name, overflow="fold")
    for one in benchmarks:
        table.add_row(one.name, one.title, one.size, one.licence)
    _console().print(table)


def benchmark_details(one: Benchmark) -> None:
    """One benchmark in full."""
    lines = {"size": one.size, "licence": one.licence, "download": one.download, "root holds": one.layout}
    console = _console()
    console.print(f"[bold]{one.name}[/bold]  {one.title}", highlight=False)
    for name, text in lines.items():
        console.print(f"{name + ':':12}{text}", markup=False, highlight=False)
    console.print("scores:     " + ", ".join(metric.label for metric in one.metrics), markup=False, highlight=False)


def time_table(rows: Sequence[tuple[str, int, int, float]]) -> None:
    """How long a suite takes. Rows: name, number of questions, how many of them are left, the seconds for these."""
    table = Table(title="how long it will take")
    for name in ("benchmark", "questions", "left to ask", "seconds each", "minutes"):
        table.add_column(name, justify="left" if name == "benchmark" else "right", overflow="fold")
    for name, number, left, seconds in rows:
        each = f"{seconds / left:.2f}" if left else "-"
        table.add_row(name, str(number), str(left), each, f"{seconds / 60:.1f}", end_section=name == rows[-1][0])
    table.add_row(
        "all",
        *(str(sum(row[place] for row in rows)) for place in (1, 2)),
        "",
        f"{sum(row[3] for row in rows) / 60:.1f}",
    )
    _console().print(table)


def score_table(one: Benchmark, scores: Mapping[str, Any]) -> None:
    """Official and strict scores: the ones that count, then the benchmark's tables."""
    console = _console()
    strict = scores.get("strict", {})
    head = Table(title=one.title)
    for name in ("", "official", "strict, zh and en"):
        head.add_column(name, justify="right" if name else "left", overflow="fold")
    for metric in one.metrics:
        official, strictly = (_shown(value_of(part, metric.key), metric.unit) for part in (scores, strict))
        between = bounds(*scores.get("intervals", {}).get(metric.key, (None, None)), metric.unit)
        head.add_row(metric.label, f"{official} {between}".strip(), strictly)
    head.add_row("says nothing readable", "", _shown(strict.get("unknown"), "rate"))
    console.print(head)
    for key in one.tables:
        rows = scores.get(key) or {}
        if rows:
            console.print(_rows_table(key, rows))
    if "answered" in scores:
        console.print(f"answered: {scores['answered']} of {scores['expected']}", markup=False, highlight=False)
        if coverage_line(scores):
            console.print(coverage_line(scores), style="yellow", markup=False, highlight=False)
    for note in ("note", "missing", "incomplete"):
        if scores.get(note):
            text = ", ".join(scores[note]) if isinstance(scores[note], list) else scores[note]
            console.print(f"{note.replace('_', ' ')}: {text}", markup=False, highlight=False)


def _rows_table(key: str, rows: Mapping[str, Any]) -> Table:
    """A table of named rows: numbers, or numbers by name."""
    columns = list(
        dict.fromkeys(name for row in rows.values() for name in (row if isinstance(row, Mapping) else ("",)))
    )
    table = Table(title=key)
    table.add_column("", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    for label, row in rows.items():
        cells = row if isinstance(row, Mapping) else {"": row}
        table.add_row(label, *(_plain(cells.get(name)) for name in columns))
    return table


def _shown(value: Any, unit: str) -> str:
    if not isinstance(value, int | float):
        return "-" if value is None else str(value)
    return f"{value:.2f}" if unit == "points" else f"{value:.1%}"


def _plain(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _console() -> Console:
    # Tables are made for reading, so they keep their width where there is no terminal.
    return Console(width=None if Console().is_terminal else 120)


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
                label = (subtask + benchmark.removeprefix("bench")).replace("_", " ")
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
    _console().print(table)
    return header, rows


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures of a page with what models answered about them.

    `runs`: name of a model -> its predictions (all of the same questions). `images`: "benchmark/subtask/file" -> picture; the
    cards, in order. Predictions lie in DIR/benchmark_language.
    """

    heading: str
    runs: Mapping[str, Path]
    images: Mapping[str, Path]


def write_comparison(
    path: Path,
    title: str,
    intro: str,
    table: tuple[Sequence[str], Sequence[Sequence[str]]],
    shown: Sequence[Shown],
) -> Path:
    """Write a page with the scores, and what each model answered about some pictures.

    Args:
        table: header and rows of the scores.
    """
    header, rows = table
    sections = [document.Section("", [document.Table(header, rows, wordy=frozenset([1]))])]
    for one in shown:
        answers = {name: _predictions(directory) for name, directory in one.runs.items()}
        cards = [_answer_card(key, image, answers) for key, image in one.images.items()]
        sections.append(document.Section(one.heading, [document.Cards(cards, "no picture")]))
    return document.write_page(document.Page(title, "en", intro, sections), path)


def _predictions(directory: Path) -> dict[str, dict[str, Any]]:
    """By id, those of every language below a directory; the language becomes part of the id."""
    return {
        f"{file.parent.name}/{one['id']}": one
        for file in sorted(directory.glob(f"*/{PREDICTIONS}"))
        for one in read_lines(file)
    }


def _answer_card(key: str, image: Path, answers: Mapping[str, Mapping[str, Any]]) -> document.Card:
    benchmark, picture = key.split("/", 1)
    wanted = {f"{benchmark}_{language}/{picture}" for language in LANGUAGES}
    lines = []
    for name, asked in next(iter(answers.values())).items():
        if name.rsplit("/", 1)[0] not in wanted:
            continue
        lines.append(document.Line(asked["prompt"]))
        for series, (model, predictions) in enumerate(answers.items()):
            said = predictions[name]["response"]
            style = "right" if yes_no(said, asked["question"]) == asked["gold"] else "wrong"
            lines.append(document.Line(said or "(nothing)", style, model, swatch(series)))
    with Image.open(image) as opened:
        return document.Card([(key, document.data_url(opened, 512))], lines)
