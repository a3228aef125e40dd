"""The tables of a report, ready to be shown: models beside each other, intervals in small print below the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from markupsafe import Markup

from skymm.evaluation.report import figures
from skymm.evaluation.report.figures import NONE
from skymm.evaluation.report.findings import difference_of, short_title
from skymm.evaluation.report.labels import named
from skymm.evaluation.report.leaderboard import PUBLISHED
from skymm.evaluation.report.measured import Measured
from skymm.evaluation.report.seeing import Gain
from skymm.evaluation.report.twins import Twins
from skymm.evaluation.report.words import Words
from skymm.evaluation.statistics import Interval, mcnemar
from skymm.page.drawing import swatch


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with what stands below it in small print; in a header, a name with the mark of its series."""

    text: str
    below: str = ""
    mark: Markup | str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Header and rows; the first column holds names, the others numbers. `emphasis` are rows to be set apart."""

    header: list[Cell]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)
    emphasis: frozenset[int] = frozenset()


def _heads(runs: Sequence[Measured], first: str = "") -> list[Cell]:
    return [Cell(first), *(Cell(one.label, mark=swatch(index)) for index, one in enumerate(runs))]


def _cell(interval: Interval | None, unit: str) -> Cell:
    return (
        Cell(NONE) if interval is None else Cell(figures.number(interval.value, unit), figures.bounds(interval, unit))
    )


def score_table(runs: Sequence[Measured], words: Words) -> Table:
    """The benchmark's metrics, official and strict, and how complete each run is."""
    rows = []
    for metric in runs[0].benchmark.metrics:
        for reading in ("official", "strict"):
            cells = [_cell(one.interval(f"{reading}.{metric.key}"), metric.unit) for one in runs]
            if reading == "official" or any(cell.text != NONE for cell in cells):
                name = (
                    Cell(named(metric.label, words), words[reading])
                    if reading == "official"
                    else Cell("", words[reading])
                )
                rows.append([name, *cells])
    answered = [sum(not answer.failed for answer in one.run.answers) for one in runs]
    counts = [words["complete_of"].format(answered=n, expected=one.run.expected) for n, one in zip(answered, runs)]
    rows.append([Cell(words["complete"]), *(Cell(count) for count in counts)])
    notes = [words["not_scored"].format(label=one.label, error=one.error) for one in runs if one.error]
    return Table(_heads(runs), rows, notes)


def looking_table(runs: Sequence[Measured], words: Words) -> Table | None:
    """How much the answers depend on the picture; None where nothing is chosen (captions)."""
    names = {
        "yes": "yes_ratio",
        "gold_yes": "gold_yes_ratio",
        "yes_where_yes": "yes_where_yes",
        "yes_where_no": "yes_where_no",
        **({"looks": "difference"} if asks_yes_no(runs) else {}),
        "same_answer": "same_answer",
        "right": "right_option",
        "chance": "chance",
        **({} if asks_yes_no(runs) else {"looks": "above_chance"}),
        "unknown": "unknown",
    }
    rows = []
    for name, word in names.items():
        found = [one.interval(f"seeing.{name}") for one in runs]
        if name in ("gold_yes", "chance"):  # facts of the benchmark: nothing to be unsure of
            found = [interval and Interval(interval.value) for interval in found]
        if any(found):
            rows.append([Cell(words[word]), *(_cell(interval, "rate") for interval in found)])
    return Table(_heads(runs), rows) if rows else None


def asks_yes_no(runs: Sequence[Measured]) -> bool:
    return any(one.value("seeing.gold_yes") is not None for one in runs)


def pair_table(runs: Sequence[Measured], words: Words) -> Table | None:
    """Every two runs on the same questions; those with other questions are refused in a note."""
    main = runs[0].benchmark.main
    header = [words[name] for name in ("model", "shared", "only_first", "only_second", "p_value")]
    header.append(words["difference_of"].format(metric=named(main.label, words)))
    rows, notes = [], []
    for first, second in combinations(runs, 2):
        if not first.bootstrap or not second.bootstrap:
            continue
        asked = first.bootstrap.asked, second.bootstrap.asked
        if asked[0] != asked[1]:
            numbers = {"num_first": len(asked[0]), "num_second": len(asked[1]), "shared": len(asked[0] & asked[1])}
            notes.append(words["refused"].format(first=first.label, second=second.label, **numbers))
            continue
        row = [Cell(first.label, words["against"].format(label=second.label)), *_mcnemar_cells(first, second)]
        found = difference_of(first, second)
        last = Cell(NONE)
        if found is not None:
            last = Cell(figures.difference(found.value, main.unit), figures.bounds(found, main.unit))
        rows.append([*row, last])
    if len(rows) > 1:
        notes.append(words["pairs_many"].format(count=len(rows)))
    return Table([Cell(text) for text in header], rows, notes) if rows or notes else None


def _mcnemar_cells(first: Measured, second: Measured) -> list[Cell]:
    benchmark = first.benchmark
    other = {answer.question.id: answer for answer in second.run.answers}
    verdicts = [(benchmark.right(answer), benchmark.right(other[answer.question.id])) for answer in first.run.answers]
    both = [(bool(a), bool(b)) for a, b in verdicts if a is not None and b is not None]
    if not both:
        return [Cell(str(len(verdicts))), Cell(NONE), Cell(NONE), Cell(NONE)]
    test = mcnemar([a for a, _ in both], [b for _, b in both])
    return [Cell(str(len(both))), Cell(str(test.only_a)), Cell(str(test.only_b)), Cell(figures.p_value(test.p))]


def twin_table(found: Sequence[Twins], words: Words) -> Table | None:
    header = [words[name] for name in ("model", "twins_count", "chinese", "english", "gap", "alike", "p_value")]
    rows = []
    for one in found:
        rows.append(
            [
                Cell(one.label),
                Cell(str(one.count)),
                _cell(one.zh, "rate"),
                _cell(one.en, "rate"),
                Cell(figures.difference(one.gap.value, "rate"), figures.bounds(one.gap, "rate")),
                Cell(figures.rate(one.alike)),
                Cell(figures.p_value(one.test.p)),
            ]
        )
    return Table([Cell(text) for text in header], rows) if rows else None


def entries_table(runs: Sequence[Measured], table: str, words: Words, published: Sequence[int] = ()) -> Table:
    """A table of the scores (subtasks, capabilities, ...), with the published models of these indices beside it."""
    names = list(dict.fromkeys(name for one in runs for name in one.entries(table)))
    unit = unit_of(runs, table)
    rows = []
    for name in names:
        cells = [_cell(one.interval(f"table.{table}.{name}"), unit) for one in runs]
        known = [PUBLISHED[index].subtasks.get(name) for index in published]
        rows.append(
            [Cell(named(name, words)), *cells] + [Cell(NONE if value is None else f"{value:.2f}") for value in known]
        )
    header = _heads(runs) + [Cell(PUBLISHED[index].model) for index in published]
    return Table(header, rows)


def unit_of(runs: Sequence[Measured], table: str) -> str:
    return "points" if any(one.units.get(table) == "points" for one in runs) else "rate"


def published_table(runs: Sequence[Measured], words: Words) -> Table:
    """MME's two sums of these runs among published ones, the highest perception first."""
    found = [
        (row.perception, [Cell(row.model), Cell(f"{row.perception:.2f}"), Cell(f"{row.cognition:.2f}"), Cell(row.date)])
        for row in PUBLISHED
    ]
    own = []
    for index, one in enumerate(runs):
        sums = [one.interval(f"official.{name}") for name in ("perception", "cognition")]
        if sums[0] is not None and sums[1] is not None:
            row = [Cell(one.label, mark=swatch(index)), *(_cell(interval, "points") for interval in sums)]
            found.append((sums[0].value, [*row, Cell(words["this_run"])]))
            own.append(one.label)
    found.sort(key=lambda entry: -entry[0])
    rows = [row for _, row in found]
    emphasis = frozenset(place for place, row in enumerate(rows) if row[-1].text == words["this_run"])
    header = [words[name] for name in ("model", "published_sums", "published_cognition", "published_on")]
    return Table([Cell(text) for text in header], rows, [], emphasis)


def gain_table(gains: Sequence[Gain], titles: dict[str, str], words: Words) -> Table | None:
    header = [words["model"], words["benchmark"], "MG", "ML", *(words[f"gain_{name}"] for name in ("sv", "swv", "st"))]
    rows = [
        [
            Cell(one.model),
            Cell(titles.get(one.benchmark, one.benchmark)),
            *(Cell(NONE if value is None else f"{value:.1f}") for value in (one.mg, one.ml, one.sv, one.swv, one.st)),
        ]
        for one in gains
    ]
    return Table([Cell(text) for text in header], rows) if rows else None


def overview_table(sections: Sequence[Sequence[Measured]], words: Words) -> Table | None:
    """The main metric of every benchmark, models beside each other; None for a single benchmark or runs of one model
    that a column could not tell apart.
    """
    models = list(dict.fromkeys(one.run.model for runs in sections for one in runs))
    if len(sections) < 2 or any(len({one.run.model for one in runs}) < len(runs) for runs in sections):
        return None
    rows = []
    for runs in sections:
        main = runs[0].benchmark.main
        by_model = {one.run.model: one.interval(f"official.{main.key}") for one in runs}
        cells = [_cell(by_model.get(model), main.unit) for model in models]
        rows.append([Cell(short_title(runs[0], words), named(main.label, words)), *cells])
    return Table([Cell(words["benchmark"]), *(Cell(model) for model in models)], rows)
