"""The section of a benchmark in the report: tables, charts and cards, models beside each other.

Intervals stand in small print below the numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib import resources
from itertools import combinations

from skymm.evaluation.report.findings import difference_of, named, short_title
from skymm.evaluation.report.measure import Gain, Measured, Twins
from skymm.evaluation.report.mistakes import mistakes
from skymm.evaluation.statistics import Interval, mcnemar
from skymm.page.charts import calibration_chart, interval_chart, two_marks
from skymm.page.document import Cell, Columns, Figure, Figures, Section, Table, Words
from skymm.page.drawing import PERCENT, Axis, swatch
from skymm.page.numbers import NONE, bounds, difference, p_value, rate, score

SOURCE = "github.com/BradyFU/Awesome-Multimodal-Large-Language-Models"
DRAWN = ("Skywork-MM-13B", "Qwen-VL-Max")  # the model that this project follows, and the highest of the latest listing

# A row of the table on looking: the rate of `seeing_rates` -> the word for it.
_YES_NO = {
    "yes": "yes_ratio",
    "gold_yes": "gold_yes_ratio",
    "yes_where_yes": "yes_where_yes",
    "yes_where_no": "yes_where_no",
    "looks": "difference",
    "same_answer": "same_answer",
    "right": "right_option",
    "chance": "chance",
    "unknown": "unknown",
}
_OPTIONS = {"right": "right_option", "chance": "chance", "looks": "above_chance", "unknown": "unknown"}


def section(runs: Sequence[Measured], twins: Sequence[Twins], words: Words) -> Section:
    """The section of a benchmark; `twins` are the language gaps of these runs."""
    benchmark = runs[0].benchmark
    asked = [answer.question for one in runs for answer in one.run.answers]
    size = words["size"].format(
        num_questions=len({question.id for question in asked}), num_clusters=len({one.cluster for one in asked})
    )
    scores = Section(words["scores"], [words["scores_note"], score_table(runs, words)])
    parts = [
        size,
        _beside(len(runs) <= 3, scores, *_looking(runs, words)),
        _calibrations(runs, words),
        *_pairs(runs, words),
        *_twins(twins, words),
        *(_entries(runs, table, words) for table in benchmark.tables if any(one.entries(table) for one in runs)),
        *_among_published(runs, words),
        mistakes(runs, words),
    ]
    return Section(short_title(runs[0], words), parts, benchmark.name)


def _beside(narrow: bool, *sections: Section) -> Columns | Section:
    """Sections beside each other, where their tables are narrow enough for that; else below each other."""
    return Columns(sections) if narrow else Section("", sections)


def _heads(runs: Sequence[Measured], first: str = "") -> list[str | Cell]:
    return [first, *(Cell(one.label, mark=swatch(index)) for index, one in enumerate(runs))]


def _cell(interval: Interval | None, unit: str) -> Cell:
    if interval is None:
        return Cell(NONE)
    return Cell(score(interval.value, unit), bounds(interval.low, interval.high, unit))


def _change(interval: Interval | None, unit: str) -> Cell:
    if interval is None:
        return Cell(NONE)
    return Cell(difference(interval.value, unit), bounds(interval.low, interval.high, unit))


def score_table(runs: Sequence[Measured], words: Words) -> Table:
    """The benchmark's metrics, official and strict, and how complete each run is."""
    rows: list[list[str | Cell]] = []
    for metric in runs[0].benchmark.metrics:
        for reading in ("official", "strict"):
            cells = [_cell(one.interval(f"{reading}.{metric.key}"), metric.unit) for one in runs]
            if reading == "official":
                rows.append([Cell(named(metric.label, words), words[reading]), *cells])
            elif any(cell.text != NONE for cell in cells):
                rows.append([Cell("", words[reading]), *cells])
    answered = [sum(not answer.failed for answer in one.run.answers) for one in runs]
    counts = [words["complete_of"].format(answered=n, expected=one.run.expected) for n, one in zip(answered, runs)]
    notes = [words["not_scored"].format(label=one.label, error=one.error) for one in runs if one.error]
    return Table(_heads(runs), [*rows, [words["complete"], *counts]], notes)


def _looking(runs: Sequence[Measured], words: Words) -> list[Section]:
    """How much the answers depend on the picture; nothing where nothing is chosen (captions)."""
    yes_no = any(one.value("seeing.gold_yes") is not None for one in runs)
    rows: list[list[str | Cell]] = []
    for name, word in (_YES_NO if yes_no else _OPTIONS).items():
        found = [one.interval(f"seeing.{name}") for one in runs]
        if name in ("gold_yes", "chance"):  # facts of the benchmark: nothing to be unsure of
            found = [interval and Interval(interval.value) for interval in found]
        if any(found):
            rows.append([words[word], *(_cell(interval, "rate") for interval in found)])
    if not rows:
        return []
    marks = [(one.label, one.value("seeing.yes_where_no"), one.value("seeing.yes_where_yes")) for one in runs]
    figures = []
    if yes_no and all(None not in row for row in marks):
        chart = two_marks(words["looking"], marks, PERCENT, series=True)
        figures = [Figures([Figure("", chart, note=words["yes_chart"])])]
    note = words["looking_note" if yes_no else "looking_note_options"]
    return [Section(words["looking"], [note, *figures, Table(_heads(runs), rows)])]


def _calibrations(runs: Sequence[Measured], words: Words) -> Section:
    figures, missing = [], []
    for series, one in enumerate(runs):
        found, kind = one.calibration, "yes" if one.about_yes else "choice"
        if found is None:
            missing.append(words["calibration_none"].format(label=one.label))
            continue
        names = words[f"across_{kind}"], words[f"up_{kind}"]
        chart = calibration_chart(words["calibration"], found.bins, series, *names, PERCENT)
        note = words["calibration_numbers"].format(ece=rate(found.ece), brier=f"{found.brier:.3f}", count=found.count)
        figures.append(Figure(one.label, chart, note=note))
    drawn = [words["calibration_note"], Figures(figures)] if figures else []
    return Section(words["calibration"], [*drawn, *missing])


def _pairs(runs: Sequence[Measured], words: Words) -> list[Section]:
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
        names = Cell(first.label, words["against"].format(label=second.label))
        rows.append([names, *_mcnemar_cells(first, second), _change(difference_of(first, second), main.unit)])
    if len(rows) > 1:
        notes.append(words["pairs_many"].format(count=len(rows)))
    if not rows and not notes:
        return []
    return [Section(words["pairs"], [*([words["pairs_note"]] if rows else []), Table(header, rows, notes)])]


def _mcnemar_cells(first: Measured, second: Measured) -> list[str]:
    benchmark = first.benchmark
    other = {answer.question.id: answer for answer in second.run.answers}
    verdicts = [(benchmark.right(answer), benchmark.right(other[answer.question.id])) for answer in first.run.answers]
    both = [(bool(a), bool(b)) for a, b in verdicts if a is not None and b is not None]
    if not both:
        return [str(len(verdicts)), NONE, NONE, NONE]
    test = mcnemar([a for a, _ in both], [b for _, b in both])
    return [str(len(both)), str(test.only_a), str(test.only_b), p_value(test.p)]


def _twins(found: Sequence[Twins], words: Words) -> list[Section]:
    header = [words[name] for name in ("model", "twins_count", "chinese", "english", "gap", "alike", "p_value")]
    rows = [
        [
            one.label,
            str(one.count),
            _cell(one.zh, "rate"),
            _cell(one.en, "rate"),
            _change(one.gap, "rate"),
            rate(one.alike),
            p_value(one.test.p),
        ]
        for one in found
    ]
    return [Section(words["twins"], [words["twins_note"], Table(header, rows)])] if rows else []


def _entries(runs: Sequence[Measured], table: str, words: Words) -> Section:
    """A table of the scores (subtasks, capabilities, ...) with its chart; MME's beside published models."""
    names = list(dict.fromkeys(name for one in runs for name in one.entries(table)))
    unit = "points" if any(one.units.get(table) == "points" for one in runs) else "rate"
    intervals = [[one.interval(f"table.{table}.{name}") for one in runs] for name in names]
    beside = (
        [one for one in published() if one["model"] in DRAWN]
        if runs[0].benchmark.name == "mme" and table == "subtasks"
        else []
    )
    rows = []
    for name, found in zip(names, intervals):
        cells = [_two(one[name]) if name in one else NONE for one in beside]
        rows.append([named(name, words), *(_cell(one, unit) for one in found), *cells])
    axis = PERCENT
    if unit == "points":
        highest = max(one.value for found in intervals for one in found if one is not None)
        top = next((top for top in (100, 200, 400, 1000, 2000) if highest <= top), highest)
        axis = Axis(0, top, [top * share / 4 for share in range(5)], lambda value: f"{value:g}")
    title, labels = named(table, words), [one.label for one in runs]
    chart = interval_chart(title, [(row[0], found) for row, found in zip(rows, intervals)], labels, axis)
    header = [*_heads(runs), *(one["model"] for one in beside)]
    figure = Figures([Figure("", chart, list(enumerate(labels)))])
    both = _beside(len(header) <= 4, Section("", [Table(header, rows)]), Section("", [figure]))
    return Section(title[:1].upper() + title[1:], [both])


def published() -> list[dict[str, str]]:
    """What other models got on MME, as it was published: model, date, perception, cognition, and every subtask (of 200).

    Source: the leaderboards in SOURCE (branch Evaluation), as they stood on the day given. Perception and cognition are the
    published sums, which may differ from the sum of the rounded subtasks in the last digit.
    """
    lines = (resources.files(__package__) / "published_mme.tsv").read_text("utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def _two(number: str) -> str:
    return f"{float(number):.2f}"


def _among_published(runs: Sequence[Measured], words: Words) -> list[Section]:
    """MME's two sums of these runs among published ones, the highest perception first."""
    if runs[0].benchmark.name != "mme" or not any(one.entries("subtasks") for one in runs):
        return []
    found = [
        (float(one["perception"]), [one["model"], _two(one["perception"]), _two(one["cognition"]), one["date"]])
        for one in published()
    ]
    for index, one in enumerate(runs):
        sums = [one.interval(f"official.{name}") for name in ("perception", "cognition")]
        if None not in sums:
            names = Cell(one.label, mark=swatch(index)), *(_cell(interval, "points") for interval in sums)
            found.append((sums[0].value, [*names, words["this_run"]]))
    rows = [row for _, row in sorted(found, key=lambda entry: -entry[0])]
    own = frozenset(place for place, row in enumerate(rows) if row[-1] == words["this_run"])
    header = [words[name] for name in ("model", "published_sums", "published_cognition", "published_on")]
    dates = ", ".join(sorted({one["date"] for one in published()}))
    note = words["published_note"].format(source=SOURCE, dates=dates)
    return [Section(words["published"], [note, Table(header, rows, emphasis=own)])]


def overview(groups: Sequence[Sequence[Measured]], words: Words) -> list[Section]:
    """The main metric of every benchmark, models beside each other; nothing for a single benchmark or runs of one model
    that a column could not tell apart.
    """
    models = list(dict.fromkeys(one.run.model for runs in groups for one in runs))
    if len(groups) < 2 or any(len({one.run.model for one in runs}) < len(runs) for runs in groups):
        return []
    rows = []
    for runs in groups:
        main = runs[0].benchmark.main
        by_model = {one.run.model: one.interval(f"official.{main.key}") for one in runs}
        cells = [_cell(by_model.get(model), main.unit) for model in models]
        rows.append([Cell(short_title(runs[0], words), named(main.label, words)), *cells])
    return [Section(words["overview"], [Table([words["benchmark"], *models], rows)])]


def gain_section(gains: Sequence[Gain], titles: dict[str, str], words: Words) -> list[Section]:
    header = [words["model"], words["benchmark"], "MG", "ML", *(words[f"gain_{name}"] for name in ("sv", "swv", "st"))]
    rows = []
    for one in gains:
        numbers = (one.mg, one.ml, one.sv, one.swv, one.st)
        cells = [NONE if value is None else f"{value:.1f}" for value in numbers]
        rows.append([one.model, titles.get(one.benchmark, one.benchmark), *cells])
    return [Section(words["gain"], [words["gain_note"], Table(header, rows)])] if rows else []
