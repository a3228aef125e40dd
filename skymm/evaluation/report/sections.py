"""A section of the report for each benchmark: tables, charts and cards, models beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.evaluation.report import figures, tables
from skymm.evaluation.report.cards import Card, cards_of
from skymm.evaluation.report.charts import calibration_chart, interval_chart, radar, yes_chart
from skymm.evaluation.report.findings import short_title
from skymm.evaluation.report.labels import named
from skymm.evaluation.report.leaderboard import PUBLISHED, SOURCE
from skymm.evaluation.report.leaderboard import SUBTASKS as MME_SUBTASKS
from skymm.evaluation.report.measured import Measured
from skymm.evaluation.report.tables import Table
from skymm.evaluation.report.twins import Twins
from skymm.evaluation.report.words import Words
from skymm.page.drawing import Axis

DRAWN = ("Skywork-MM-13B", "Qwen-VL-Max")  # the model that this project follows, and the highest of the latest listing
_PERCENT = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), lambda value: f"{value * 100:.0f}%")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with what stands above and below it. Without a chart: a sentence."""

    title: str
    chart: Markup | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A table of the scores with its chart."""

    title: str
    chart: Markup
    table: Table


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    subtitle: str
    labels: list[str]
    scores: Table
    looking: Table | None
    looking_note: str
    yes: Markup | None
    calibrations: list[Drawing]
    pairs: Table | None
    twins: Table | None
    parts: list[Part]
    radars: list[Drawing]
    published: Table | None
    published_note: str
    published_names: list[str]
    cards: list[Card]
    cards_title: str
    confident: bool
    pictures_unread: str


def section(runs: Sequence[Measured], twins: Sequence[Twins], words: Words) -> Section:
    """The section of a benchmark; `twins` are the language gaps of these runs."""
    benchmark = runs[0].benchmark
    yes_no = tables.asks_yes_no(runs)
    of_mme = [one for one in runs if benchmark.name == "mme" and one.entries("subtasks")]
    cards, unread = cards_of([one.run for one in runs], [one.label for one in runs])
    confident = any(reply.confidence for card in cards for reply in card.replies)
    return Section(
        name=benchmark.name,
        title=short_title(runs[0], words),
        subtitle=_size(runs, words),
        labels=[one.label for one in runs],
        scores=tables.score_table(runs, words),
        looking=tables.looking_table(runs, words),
        looking_note=words["looking_note" if yes_no else "looking_note_options"],
        yes=_yes_chart(runs, words) if yes_no else None,
        calibrations=[_calibration(one, index, words) for index, one in enumerate(runs)],
        pairs=tables.pair_table(runs, words),
        twins=tables.twin_table(twins, words),
        parts=[_part(runs, table, words) for table in benchmark.tables if any(one.entries(table) for one in runs)],
        radars=[_radar(one, runs.index(one), words) for one in of_mme],
        published=tables.published_table(runs, words) if of_mme else None,
        published_note=words["published_note"].format(
            source=SOURCE, dates=", ".join(sorted({PUBLISHED[index].date for index in _drawn()}))
        ),
        published_names=[PUBLISHED[index].model for index in _drawn()],
        cards=cards,
        confident=confident,
        cards_title=words["mistakes" if confident else "mistakes_unsure"],
        pictures_unread=words["pictures_unread"].format(error=unread) if unread else "",
    )


def _size(runs: Sequence[Measured], words: Words) -> str:
    asked = [answer.question for one in runs for answer in one.run.answers]
    return words["size"].format(
        num_questions=len({question.id for question in asked}),
        num_clusters=len({question.cluster for question in asked}),
    )


def _yes_chart(runs: Sequence[Measured], words: Words) -> Markup | None:
    rows = []
    for one in runs:
        where_no, where_yes = one.value("seeing.yes_where_no"), one.value("seeing.yes_where_yes")
        rows.append((one.label, where_no, where_yes))
    found = [(label, no, yes) for label, no, yes in rows if no is not None and yes is not None]
    return yes_chart(words["looking"], found, _PERCENT) if len(found) == len(rows) else None


def _calibration(one: Measured, series: int, words: Words) -> Drawing:
    found = one.calibration
    if found is None:
        return Drawing(one.label, None, words["calibration_none"].format(label=one.label))
    kind = "yes" if one.about_yes else "choice"
    chart = calibration_chart(
        words["calibration"], found, series, words[f"across_{kind}"], words[f"up_{kind}"], _PERCENT
    )
    numbers = words["calibration_numbers"].format(
        ece=figures.rate(found.ece), brier=f"{found.brier:.3f}", count=found.count
    )
    return Drawing(one.label, chart, numbers)


def _part(runs: Sequence[Measured], table: str, words: Words) -> Part:
    names = list(dict.fromkeys(name for one in runs for name in one.entries(table)))
    rows = [
        (
            named(name, words),
            [one.interval(f"table.{table}.{name}") for one in runs],
        )
        for name in names
    ]
    found = [interval for _, intervals in rows for interval in intervals if interval is not None]
    axis = _PERCENT
    if tables.unit_of(runs, table) == "points":
        top = next(top for top in (100, 200, 400, 1000, 2000, float("inf")) if all(one.value <= top for one in found))
        top = max(one.value for one in found) if top == float("inf") else top
        axis = Axis(0, top, [top * share / 4 for share in range(5)], lambda value: f"{value:g}")
    published = _drawn() if runs[0].benchmark.name == "mme" and table == "subtasks" else []
    title = named(table, words)
    chart = interval_chart(title, rows, [one.label for one in runs], axis)
    return Part(title, chart, tables.entries_table(runs, table, words, published))


def _drawn() -> list[int]:
    return [index for index, row in enumerate(PUBLISHED) if row.model in DRAWN]


def _radar(one: Measured, series: int, words: Words) -> Drawing:
    values = [one.value(f"table.subtasks.{subtask}") for subtask in MME_SUBTASKS]
    axes = [named(subtask, words) for subtask in MME_SUBTASKS]
    return Drawing(one.label, radar(one.label, axes, values, series, [PUBLISHED[index].scores for index in _drawn()]))
