"""A page that a person can look at: a dozen pictures, the questions about them, and what each model answered."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.evaluation.predictions import PREDICTIONS, read_lines
from skymm.verdict import yes_no

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; }
body { font: 15px/1.5 system-ui, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; margin: 2rem auto;
       max-width: 1180px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(350px, 1fr)); gap: 1.2rem; }
.card { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.card img { width: 100%; aspect-ratio: 16 / 9; object-fit: contain; background: #8882; display: block; }
.card table { width: 100%; font-size: 13px; table-layout: fixed; overflow-wrap: anywhere; }
.right { color: var(--good); } .wrong { color: var(--bad); }
"""


def write_page(
    path: Path,
    title: str,
    intro: str,
    table: tuple[Sequence[str], Sequence[Sequence[str]]],
    runs: Mapping[str, Path],
    images: Mapping[str, Path],
) -> Path:
    """Write a self-contained HTML page.

    Args:
        table: header and rows of the scores. runs: name of a model -> its predictions (all of the same questions).
        images: "benchmark/subtask/file" -> picture; the cards, in order. Predictions lie in DIR/benchmark_language.
    """
    answers = {name: {p["id"]: p for p in _all_predictions(directory)} for name, directory in runs.items()}
    cards = "".join(_card(key, image, answers) for key, image in images.items())
    header, rows = table
    cells = "".join(f"<th{_number(index)}>{html.escape(name)}</th>" for index, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(f"<td{_number(index)}>{html.escape(cell)}</td>" for index, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(intro)}</p><table><tr>{cells}</tr>{body}</table>"
        f'<h2>What they answered</h2><div class="cards">{cards}</div></html>',
        "utf-8",
    )
    return path


def _all_predictions(directory: Path) -> list[dict[str, Any]]:
    """Predictions of every language below a directory; the language becomes part of the id."""
    found = []
    for file in sorted(directory.glob(f"*/{PREDICTIONS}")):
        found += [{**prediction, "id": f"{file.parent.name}/{prediction['id']}"} for prediction in read_lines(file)]
    return found


def _number(index: int) -> str:
    """The first two columns are names."""
    return ' class="number"' if index > 1 else ""


def _card(key: str, image: Path, answers: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    data = base64.b64encode(image.read_bytes()).decode()
    first = next(iter(answers.values()))
    benchmark, picture = key.split("/", 1)
    wanted = {f"{benchmark}_{language}/{picture}" for language in LANGUAGES}
    questions = [name for name in first if name.rsplit("/", 1)[0] in wanted]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in answers)
    rows = ""
    for name in questions:
        gold = first[name]["gold"]
        cells = ""
        for predictions in answers.values():
            response = predictions[name]["response"]
            verdict = "right" if yes_no(response, first[name]["question"]) == gold else "wrong"
            cells += f'<td class="{verdict}">{html.escape(response) or "(nothing)"}</td>'
        rows += f"<tr><td>{html.escape(first[name]['prompt'])}</td>{cells}</tr>"
    return (
        f'<div class="card"><img alt="{html.escape(key)}" src="data:image/jpeg;base64,{data}">'
        f"<table><tr><th>question</th>{head}</tr>{rows}</table></div>"
    )
