"""What stands in the parts of an audit's page: rows of tables, and charts with their titles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.conversation import LANGUAGES
from skymm.curation.audit.findings import MIN_ASKED, one_sided
from skymm.curation.audit.guessing import Guess
from skymm.curation.audit.naming import kind_name, percent, size_name
from skymm.curation.audit.summary import Audit, Balance, Thing, middle, share
from skymm.curation.audit.words import Words
from skymm.page.bars import Bins, histogram_chart, number_bars, paired_bars, share_bars, two_marks
from skymm.page.curves import axis_of
from skymm.page.drawing import Axis

POLARITY_STYLES = ("pos", "neg", "unk")
LANGUAGE_STYLES = {"en": "s0", "zh": "s1"}
MOST_ROWS = 40
_MOST_BARS = 16
_HALVES = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), lambda value: f"{value * 100:g}%")

_WORDS = Bins(*zip(*((start, str(start)) for start in (1, 2, 3, 4, 6, 9, 13, 21, 33, 65, 129, 257))))
_ROUNDS = Bins(*zip(*((start, str(start)) for start in (1, 2, 3, 4, 5, 6, 8, 11, 16, 31))))
_SIDES = Bins(
    (0, 32, 64, 128, 224, 336, 448, 672, 1024, 2048),
    ("0", "32", "64", "128", "224", "336", "448", "672", "1024", "2048"),
)
_ASPECTS = Bins(
    (0, 20, 34, 50, 67, 90, 111, 150, 200, 300, 500),
    ("", "1:5", "1:3", "1:2", "2:3", "9:10", "10:9", "3:2", "2:1", "3:1", "5:1"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, its legend (class, name) and a note."""

    title: str
    chart: Markup
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""


def balance_figures(audit: Audit, words: Words) -> list[Figure]:
    """Polarity by language and by kind."""
    legend = [(style, words[name]) for style, name in zip(POLARITY_STYLES, ("positive", "negative", "unknown"))]
    used = [entry for entry, count in zip(legend, _polarities(audit.overall)) if count]
    by_language = [(words[row.language], _polarities(row)) for row in audit.languages if row.total]
    by_kind = [(kind_name(row.name, words), _polarities(row)) for row in audit.kinds[:_MOST_BARS]]
    found = []
    for title, rows in (("by_language", by_language), ("by_kind", by_kind)):
        if rows:
            found.append(Figure(words[title], share_bars(words[title], rows, POLARITY_STYLES, percent), used))
    return found


def balance_rows(audit: Audit, words: Words) -> list[list[str]]:
    """One for each kind and language: answers, positive, negative, not said, yes, no."""
    rows = []
    for row in (*audit.languages, *audit.kinds_by_language[:MOST_ROWS]):
        if row.total:
            name = kind_name(row.name, words) if row.name else words["all_kinds"]
            counts = (row.total, *_polarities(row), row.yes, row.no)
            rows.append([name, words[row.language], *(f"{count:,}" for count in counts)])
    return rows


def guessing_figure(audit: Audit, words: Words) -> Figure | None:
    rows = [(_guess_name(one, words), one.answer_share, one.guessed) for one in audit.guesses[:_MOST_BARS]]
    if audit.before:
        rows.append((words["from_before"], audit.before.answer_share, audit.before.guessed))
    if not rows:
        return None
    return Figure(words["guessing"], two_marks(words["guessing"], rows, _HALVES), (), words["guessing_chart"])


def guessing_rows(audit: Audit, words: Words) -> list[list[str]]:
    """Kind, language, questions tried, most frequent answer, always that, from the words, words that tell."""
    rows = []
    for one in audit.guesses[:MOST_ROWS]:
        telling = words["comma"].join(f"{clue.word} ({percent(clue.yes_share)})" for clue in one.telling)
        rows.append(
            [
                *(kind_name(one.kind, words), words[one.language], f"{one.count:,}", kind_name(one.answer, words)),
                *(percent(one.answer_share), percent(one.guessed), telling),
            ]
        )
    if audit.before:
        one = audit.before
        names = (words["all_kinds"], words["both_languages"], f"{one.count:,}", kind_name(one.answer, words))
        rows.append([*names, percent(one.answer_share), percent(one.guessed), words["from_before"]])
    return rows


def thing_figures(audit: Audit, words: Words) -> list[Figure]:
    asked = [thing for thing in audit.things if thing.asked][:_MOST_BARS]
    seen = sorted((thing for thing in audit.things if thing.pictures), key=lambda one: (-one.pictures, one.name))
    legend = [("neg", words["where_it_is_not"]), ("pos", words["where_it_is"])]
    often = [thing for thing in audit.things if thing.asked >= MIN_ASKED]
    lopsided = sorted(often, key=lambda one: (-((one.positive - one.negative) ** 2) / one.asked, one.name))
    found = []
    for title, things in (("things_asked", asked), ("things_lopsided", lopsided[:_MOST_BARS])):
        if things:
            rows = [(one.name, one.negative, one.positive) for one in things]
            found.append(Figure(words[title], paired_bars(words[title], rows, ("neg", "pos")), legend))
    if seen:
        chart = number_bars(words["things_seen"], [(one.name, one.pictures) for one in seen[:_MOST_BARS]])
        found.append(Figure(words["things_seen"], chart))
    return found


def one_sided_names(audit: Audit) -> list[tuple[str, list[Thing], int]]:
    """("only_positive" or "only_negative", the first of them, how many more)."""
    found = []
    for polarity in ("positive", "negative"):
        things = one_sided(audit.things, polarity)
        found.append((f"only_{polarity}", things[:MOST_ROWS], max(0, len(things) - MOST_ROWS)))
    return found


def length_figures(audit: Audit, words: Words) -> list[Figure]:
    found = []
    for role in ("question", "answer"):
        series = [(language, audit.histograms[f"{role}_{language}"]) for language in LANGUAGES]
        series = [(language, histogram) for language, histogram in series if histogram]
        if series:
            title = words[f"{role}_words"]
            chart = histogram_chart(
                title, _WORDS, [(histogram, LANGUAGE_STYLES[language]) for language, histogram in series], _share_axis
            )
            notes = [
                words["median"].format(language=words[language], median=middle(histogram), most=middle(histogram, 0.95))
                for language, histogram in series
            ]
            legend = [(LANGUAGE_STYLES[language], words[language]) for language, _ in series]
            found.append(Figure(title, chart, legend, words["between_sentences"].join(notes)))
    rounds = {number: number * count for number, count in audit.histograms["rounds"].items()}
    if sum(rounds.values()):
        chart = histogram_chart(words["rounds"], _ROUNDS, [(rounds, "s2")], _share_axis)
        found.append(Figure(words["rounds"], chart, (), words["rounds_note"]))
    return found


def picture_figures(audit: Audit, words: Words) -> list[Figure]:
    found = []
    for name, bins in (("sides", _SIDES), ("aspects", _ASPECTS)):
        histogram = audit.histograms[name]
        if histogram:
            found.append(Figure(words[name], histogram_chart(words[name], bins, [(histogram, "s3")], _share_axis)))
    return found


def formats_note(audit: Audit, words: Words) -> str:
    count, size = sum(audit.formats.values()), audit.totals.get("picture_bytes", 0)
    if not count:
        return words["no_pictures"]
    formats = words["comma"].join(f"{name} {number:,}" for name, number in sorted(audit.formats.items()))
    return words["formats_note"].format(formats=formats, size=size_name(size), mean=size_name(size / count))


def repeat_rows(audit: Audit, words: Words) -> list[list[str]]:
    """What, in all, copies, in the same shard, in other shards."""
    rows = [
        [words[f"repeat_{name}"], *(f"{count:,}" for count in (one.total, one.copies, one.within, one.across))]
        for name, one in audit.repeats.items()
    ]
    samples = audit.totals.get("samples", 0)
    for name, count in audit.alike.items():
        rows.append([words["alike_by"].format(name=name), f"{samples:,}", f"{count:,}", "", ""])
    return rows


def source_rows(audit: Audit, words: Words) -> list[list[str]]:
    rows = []
    for row in audit.sources[:MOST_ROWS]:
        shares = (share(row.chinese, row.answers), share(row.negative, row.positive + row.negative))
        counts = (row.samples, row.pictures, row.answers)
        rows.append(
            [
                *(kind_name(row.source, words), *(f"{count:,}" for count in counts)),
                *("–" if one is None else percent(one) for one in shares),
                words["unknown_licence"] if row.licence == "unknown" else row.licence,
            ]
        )
    return rows


def _polarities(row: Balance) -> tuple[int, int, int]:
    return row.positive, row.negative, row.unknown


def _guess_name(one: Guess, words: Words) -> str:
    return words["kind_in"].format(kind=kind_name(one.kind, words), language=words[one.language])


def _share_axis(highest: float) -> Axis:
    show: Callable[[float], str] = lambda value: f"{value * 100:.3g}%"  # noqa: E731
    return axis_of([0.0, max(highest, 0.01)], show, zero=True)
