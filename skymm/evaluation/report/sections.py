"""The section of a benchmark in the report: tables, charts and cards, models beside each other.

Intervals stand in small print below the numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from importlib import resources
from itertools import combinations, zip_longest

from PIL import Image, ImageOps

from skymm.evaluation.benchmark import Answer, Benchmark, Picture
from skymm.evaluation.compare import decoding_of, words_in
from skymm.evaluation.report.findings import difference_of, named, short_title
from skymm.evaluation.report.measure import Gain, Measured, Run, Twins, is_right, probabilities, said
from skymm.evaluation.report.trust_scores import twelve_scores
from skymm.evaluation.statistics import Interval, mcnemar
from skymm.page.charts import calibration_chart, interval_chart, two_marks
from skymm.page.document import Card, Cards, Cell, Columns, Figure, Figures, Line, Section, Table, Words, data_url
from skymm.page.drawing import PERCENT, Axis, swatch
from skymm.page.numbers import NONE, bounds, difference, p_value, probability, rate, score
from skymm.verdict import UNKNOWN

MAX_CARDS = 12
_LONGEST_SIDE = 560  # pixels of a picture on a card: twice what is shown, for dense screens
SOURCE = "github.com/BradyFU/Awesome-Multimodal-Large-Language-Models"

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
        *twelve_scores(runs, words),
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


def _cell(interval: Interval | None, unit: str, shown: Callable[[float, str], str] = score) -> Cell:
    return (
        Cell(NONE) if interval is None else Cell(shown(interval.value, unit), bounds(interval.low, interval.high, unit))
    )


def score_table(runs: Sequence[Measured], words: Words) -> Table:
    """The benchmark's metrics, official and strict, how complete each run is, and how it was decoded."""
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
    compared = words_in("zh" if words["html_language"].startswith("zh") else "en")
    decoding = [
        decoding_of(one.run, compared) if one.run.decoding or one.run.mode == "logits" else NONE for one in runs
    ]
    notes = [words["not_scored"].format(label=one.label, error=one.error) for one in runs if one.error]
    return Table(_heads(runs), [*rows, [words["complete"], *counts], [words["decoding"], *decoding]], notes)


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
        rows.append([names, *_mcnemar_cells(first, second), _cell(difference_of(first, second), main.unit, difference)])
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
    rows = []
    for one in found:
        gaps = _cell(one.zh, "rate"), _cell(one.en, "rate"), _cell(one.gap, "rate", difference)
        rows.append([one.label, str(one.count), *gaps, rate(one.alike), p_value(one.test.p)])
    return [Section(words["twins"], [words["twins_note"], Table(header, rows)])] if rows else []


def _entries(runs: Sequence[Measured], table: str, words: Words) -> Section:
    """A table of the scores (subtasks, capabilities, ...) with its chart."""
    names = list(dict.fromkeys(name for one in runs for name in one.entries(table)))
    intervals = [[one.interval(f"table.{table}.{name}") for one in runs] for name in names]
    axis, unit = PERCENT, "rate"
    if runs[0].benchmark.tables[table] == "score":
        unit, highest = "points", max(one.value for found in intervals for one in found if one is not None)
        top = next((top for top in (100, 200, 400, 1000, 2000) if highest <= top), highest)
        axis = Axis(0, top, [top * share / 4 for share in range(5)], lambda value: f"{value:g}")
    rows = [[named(name, words), *(_cell(one, unit) for one in found)] for name, found in zip(names, intervals)]
    title, labels = named(table, words), [one.label for one in runs]
    chart = interval_chart(title, [(row[0], found) for row, found in zip(rows, intervals)], labels, axis)
    figure = Figures([Figure("", chart, list(enumerate(labels)))])
    both = _beside(len(runs) <= 3, Section("", [Table(_heads(runs), rows)]), Section("", [figure]))
    return Section(title[:1].upper() + title[1:], [both])


def published() -> list[dict[str, str]]:
    """What other models got on MME, as it was published: model, date, perception, cognition, and every subtask (of 200).

    Source: the leaderboards in SOURCE (branch Evaluation), as they stood on the day given. Perception and cognition are the
    published sums, which may differ from the sum of the rounded subtasks in the last digit.
    """
    lines = (resources.files(__package__) / "published_mme.tsv").read_text("utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def _among_published(runs: Sequence[Measured], words: Words) -> list[Section]:
    """MME's two sums of these runs among published ones, the highest perception first."""
    if runs[0].benchmark.name != "mme" or not any(one.entries("subtasks") for one in runs):
        return []
    sums, found = ("perception", "cognition"), []
    for one in published():
        cells = [f"{float(one[name]):.2f}" for name in sums]
        found.append((float(one["perception"]), [one["model"], *cells, one["date"]]))
    for index, one in enumerate(runs):
        intervals = [one.interval(f"official.{name}") for name in sums]
        if None not in intervals:
            cells = [_cell(interval, "points") for interval in intervals]
            found.append((intervals[0].value, [Cell(one.label, mark=swatch(index)), *cells, words["this_run"]]))
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


# --- the mistakes that say most about a model ----------------------------------------------------------------------------


def mistakes(runs: Sequence[Measured], words: Words) -> Section:
    """At most MAX_CARDS questions that the runs were wrong about, with the picture and what all of them answered."""
    chosen = in_turn([one.run for one in runs], MAX_CARDS)
    pictures, unread = _pictures([one.run for one in runs]) if chosen else ({}, "")
    answers = [{_asked(answer): answer for answer in one.run.answers} for one in runs]
    cards = []
    for question in (answer.question for answer in chosen):
        key = question.id, question.text
        picture = pictures.get(key)
        shown = words["picture"].format(id=question.id), None if picture is None else thumbnail(picture)
        lines = [Line(question.text or question.id), Line(question.gold, label=words["right_answer"])]
        lines += [
            _reply(known[key], one, swatch(series), words)
            for series, (one, known) in enumerate(zip(runs, answers))
            if key in known
        ]
        cards.append(Card([shown], lines))
    confident = any(line.note for card in cards for line in card.lines)
    title = words["mistakes" if confident else "mistakes_unsure"]
    if not cards:
        return Section(title, [words["no_mistakes"]])
    note = [words["mistakes_note"], *([words["mistakes_percent"]] if confident else [])]
    reason = [words["pictures_unread"].format(error=unread)] if unread else []
    return Section(title, [words["between_sentences"].join(note), *reason, Cards(cards, words["no_picture"])])


def _reply(answer: Answer, one: Measured, mark: str, words: Words) -> Line:
    right, confidence = is_right(answer, one.benchmark), confidence_of(answer, one.benchmark)
    style = "" if right is None else "right" if right else "wrong"
    note = "" if confidence is None else probability(confidence)
    return Line(answer.response.strip() or words["nothing_said"], style, one.label, mark, note)


def in_turn(runs: Sequence[Run], most: int) -> list[Answer]:
    """At most `most` answers: the worst mistake of each run, then the second worst, one for each cluster in all."""
    chosen: dict[tuple[str, str], Answer] = {}
    for place in zip_longest(*(worst_mistakes(run, most) for run in runs)):
        for run, answer in zip(runs, place):
            if answer is not None and len(chosen) < most:
                # Two tables of one benchmark may number their pictures alike.
                chosen.setdefault((run.recipe.root, answer.question.cluster), answer)
    return list(chosen.values())


def worst_mistakes(run: Run, most: int) -> list[Answer]:
    """Wrong answers that are definite, one for each cluster: the surest first where confidence was recorded; behind them
    those without, spread evenly over the benchmark's own order, so that no part of it fills the page.
    """
    wrong = [(confidence_of(one, run.benchmark), one) for one in run.answers if _definitely_wrong(one, run.benchmark)]
    sure = sorted(((sure, one) for sure, one in wrong if sure is not None), key=lambda pair: -pair[0])
    unsure = [one for sure, one in wrong if sure is None]
    first: dict[str, Answer] = {}
    for answer in [*(one for _, one in sure), *unsure[:: max(1, len(unsure) // most)]]:
        first.setdefault(answer.question.cluster, answer)
    return list(first.values())


def confidence_of(answer: Answer, benchmark: Benchmark) -> float | None:
    """The recorded probability of what was said; where that cannot be read, of the most likely choice."""
    chances = probabilities(answer)
    return None if chances is None else chances.get(said(answer, benchmark) or "", max(chances.values()))


def _definitely_wrong(answer: Answer, benchmark: Benchmark) -> bool:
    wrong = is_right(answer, benchmark) is False and benchmark.right(answer) is not True
    return wrong and said(answer, benchmark) != UNKNOWN


def _asked(answer: Answer) -> tuple[str, str]:
    """Runs in two languages may have the same ids: the same question has the same words too."""
    return answer.question.id, answer.question.text


def _pictures(runs: Sequence[Run]) -> tuple[dict[tuple[str, str], Picture], str]:
    """(id, text) of a question -> its first picture, as the files have it now; and why some could not be read, or ""."""
    found: dict[tuple[str, str], Picture] = {}
    reason = ""
    for run in {run.recipe.model_dump_json(include={"root", "images", "split", "files"}): run for run in runs}.values():
        try:
            questions = run.benchmark.load(run.recipe)
        except Exception as error:  # the page is about answers: whatever keeps files from being read is said on it
            reason = reason or f"{type(error).__name__}: {error}"
            continue
        for question in questions:
            if question.images:
                found.setdefault((question.id, question.text), question.images[0])
    return found, reason


def thumbnail(picture: Picture) -> str | None:
    """The picture as a data URL, upright and scaled down; None where it is gone or cannot be read."""
    try:
        data = picture if isinstance(picture, bytes) else picture.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            return data_url(ImageOps.exif_transpose(opened), _LONGEST_SIDE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # SyntaxError: Pillow, for broken PNGs
        return None
