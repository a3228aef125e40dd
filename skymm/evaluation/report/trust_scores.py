"""The section of the trust report: twelve scores as a table of modalities by properties, one for each run."""

from __future__ import annotations

from collections.abc import Sequence

from skymm.evaluation.benchmark import grouped
from skymm.evaluation.report.findings import named
from skymm.evaluation.report.measure import Measured, confidences
from skymm.evaluation.statistics import calibration
from skymm.page.document import Cell, Section, Table, Words
from skymm.page.numbers import NONE, bounds, score


def twelve_scores(runs: Sequence[Measured], words: Words) -> list[Section]:
    """A table for each run, with the interval and, where log-probabilities were kept, the calibration error below each
    score; nothing for other benchmarks.
    """
    if runs[0].benchmark.name != "trust":
        return []
    tables = [_table(one, words) for one in runs if one.entries("cells")]
    return [Section(words["trust"], [words["trust_note"], *tables, words["trust_published"]])] if tables else []


def _table(one: Measured, words: Words) -> Table:
    asked = [cell.split(".") for cell in one.entries("cells")]
    modalities, properties = (list(dict.fromkeys(names)) for names in zip(*asked))
    answers = grouped((answer.question.fields["cell"], answer) for answer in one.run.answers)
    rows = []
    for modality in modalities:
        cells = []
        for name in properties:
            interval = one.interval(f"table.cells.{modality}.{name}")
            if interval is None:
                cells.append(Cell(NONE))
                continue
            confidence, outcome, _ = confidences(answers[f"{modality}.{name}"])
            sure = calibration(confidence, outcome)
            below = [bounds(interval.low, interval.high, "rate"), sure and f"ECE {sure.ece:.2f}"]
            cells.append(Cell(score(interval.value, "rate"), " · ".join(filter(None, below))))
        rows.append([named(modality, words), *cells])
    return Table([one.label, *(named(name, words) for name in properties)], rows)
