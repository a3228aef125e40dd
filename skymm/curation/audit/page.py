"""One page about a set of shards: what is in it, what should worry, and samples to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.curation.audit.cards import choose, repeat_card, sample_cards
from skymm.curation.audit.count import Plan, count_shards
from skymm.curation.audit.counts import NUM_KINDS, NUM_OBJECTS, NUM_QUESTIONS, Counts
from skymm.curation.audit.findings import LEVELS, MIN_ASKED, Finding, findings, kind_name, one_sided
from skymm.curation.audit.summary import Audit, Balance, Thing, Wrong, middle, share, summarise
from skymm.page.charts import histogram_chart, number_bars, paired_bars, share_bars, two_marks
from skymm.page.document import (
    Cards,
    Cell,
    Columns,
    Figure,
    Figures,
    Names,
    Page,
    Remark,
    Remarks,
    Section,
    Sentences,
    Table,
    Words,
    read_words,
    write_page,
)
from skymm.page.drawing import PERCENT
from skymm.page.numbers import NONE, percent, size_name

PAGE = "audit.html"
STYLES = {"mend": "bad", "look": "fair", "know": ""}
MOST_ROWS = 40
_MOST_BARS = 16
_MOST_PLACES = 3
_POLARITIES = {"positive": "pos", "negative": "neg", "unknown": "unk"}
_LANGUAGE_STYLES = {"en": "s0", "zh": "s1"}
_WORDS = {start: str(start) for start in (1, 2, 3, 4, 6, 9, 13, 21, 33, 65, 129, 257)}
_ROUNDS = {start: str(start) for start in (1, 2, 3, 4, 5, 6, 8, 11, 16, 31)}
_SIDES = {start: str(start) for start in (0, 32, 64, 128, 224, 336, 448, 672, 1024, 2048)}
_ASPECTS = {
    **{0: "", 20: "1:5", 34: "1:3", 50: "1:2", 67: "2:3", 90: "9:10"},
    **{111: "10:9", 150: "3:2", 200: "2:1", 300: "3:1", 500: "5:1"},
}


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found, and where the page is."""

    audit: Audit
    findings: list[Finding]
    page: Path

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Everything as plain data: findings with their sentences, the numbers, and the path of the page."""
        words = audit_words(language)
        found = [
            {"name": one.name, "level": LEVELS[one.level], "sentence": one.sentence(words), "values": one.values}
            for one in self.findings
        ]
        return {"page": str(self.page), "findings": found, **self.audit.to_json()}


def audit_words(language: str) -> Words:
    """Raises ValueError for a language without words."""
    return read_words(__package__, "words", language)


def audit_shards(
    shards: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    plan: Plan | None = None,
    workers: int | None = None,
    language: str = "en",
    advance: Callable[[int], None] = lambda shards: None,
) -> Audited:
    """Count shards, tell what should worry, and write the page: to `out`, else audit.html in the directory that all
    shards share. `advance` is told of every shard that is done.

    Raises ValueError where there are no shards, and for a language without words.
    """
    words = audit_words(language)
    plan = plan or Plan()
    counts = count_shards(shards, plan, workers, advance)
    audit = summarise(counts, plan.similar)
    found = findings(audit)
    if out is None:
        out = Path(os.path.commonpath([Path(shard).absolute().parent for shard in counts.shards])) / PAGE
    page = write_page(_page(audit, found, counts, words, plan.decode), out)
    return Audited(audit, found, page)


def _page(audit: Audit, found: Sequence[Finding], counts: Counts, words: Words, decoded: bool) -> Page:
    """Samples are read again from their shards."""
    places = list(dict.fromkeys(str(Path(shard).parent) for shard in audit.shards))
    stated = words["stated"].format(
        shards=f"{len(audit.shards):,}",
        size=size_name(audit.totals.get("shard_bytes", 0)),
        places=", ".join(places[:_MOST_PLACES]) + (", …" if len(places) > _MOST_PLACES else ""),
    )
    remarks = [
        Remark(one.sentence(words), words[f"level_{LEVELS[one.level]}"], STYLES[LEVELS[one.level]]) for one in found
    ]
    contents: dict[str, list[Any]] = {  # by the name of their title
        "findings": [Remarks(remarks)] if remarks else [Sentences([words["none_found"]])],
        "balance": _balance(audit, words),
        "guessing": _guessing(audit, words),
        "things": _things(audit, words),
        "lengths": [words["lengths_note"], Figures(_length_figures(audit, words))],
        "pictures_title": _pictures(audit, words, decoded),
        "repeats": _repeats(audit, counts, words),
        "sources": _sources(audit, words),
        "unreadable": _unreadable(audit, words),
        "sheet": _sheet(counts, words),
        "methods": [words["method_memory"].format(names=f"{NUM_OBJECTS:,}", kinds=NUM_KINDS), words["method_guess"]],
    }
    sections = [Section(words[name], parts, "" if name == "methods" else name) for name, parts in contents.items()]
    return Page(words["title"], words["html_language"], stated, sections, headline(audit, words))


def headline(audit: Audit, words: Words) -> list[tuple[str, str]]:
    """(name, number) of what one wants to know first."""
    totals, overall = audit.totals, audit.overall
    lost = sum(wrong.count for wrong in audit.unreadable)
    chinese = next(row.total for row in audit.languages if row.language == "zh")
    shares = [
        ("chinese_answers", share(chinese, overall.total)),
        ("negative_answers", share(overall.negative, overall.positive + overall.negative)),
        ("yes_answers", overall.yes_share),
    ]
    numbers = [(name, totals.get(name, 0)) for name in ("samples", "pictures", "questions")]
    rare = [(name, totals.get(name, 0)) for name in ("text_only", "several_pictures")] + [("unreadable_samples", lost)]
    return [
        *((words[name], f"{count:,}") for name, count in numbers),
        *((words[name], percent(part)) for name, part in shares if part is not None),
        *((words[name], f"{count:,}") for name, count in rare if count),
        (words["picture_bytes"], size_name(totals.get("picture_bytes", 0))),
    ]


def _balance(audit: Audit, words: Words) -> list[Any]:
    """Polarity by language and by kind, and all counts."""

    def polarities(row: Balance) -> tuple[int, int, int]:
        return row.positive, row.negative, row.unknown

    used = zip(_POLARITIES.items(), polarities(audit.overall))
    legend = [(style, words[name]) for (name, style), count in used if count]
    rows_of = {
        "by_language": [(words[row.language], polarities(row)) for row in audit.languages if row.total],
        "by_kind": [(kind_name(row.name, words), polarities(row)) for row in audit.kinds[:_MOST_BARS]],
    }
    figures = [
        Figure(words[title], share_bars(words[title], rows, tuple(_POLARITIES.values()), percent), legend)
        for title, rows in rows_of.items()
        if rows
    ]
    rows = []
    for row in (*audit.languages, *audit.kinds_by_language[:MOST_ROWS]):
        if row.total:
            name = kind_name(row.name or "all_kinds", words)
            counts = (row.total, *polarities(row), row.yes, row.no)
            rows.append([name, words[row.language], *(f"{count:,}" for count in counts)])
    names = ("kind", "language", "answers", "positive", "negative", "unknown", "yes", "no")
    table = _table(names, rows, words, len(audit.kinds_by_language), wordy=[1])
    return [words["balance_note"], Figures(figures), table]


def _table(
    names: Sequence[str], rows: Sequence[Sequence[str | Cell]], words: Words, total: int, wordy: Sequence[int] = ()
) -> Table:
    """A table with the words of these names as its header, and of how many rows in all it shows the first."""
    notes = [words["more_rows"].format(count=f"{total - MOST_ROWS:,}")] if total > MOST_ROWS else []
    return Table([words[name] for name in names], rows, notes, wordy=frozenset(wordy))


def _guessing(audit: Audit, words: Words) -> list[Any]:
    note = words["guessing_note"].format(most=f"{NUM_QUESTIONS:,}")
    rows, marks = [], []
    for one in audit.guesses[:MOST_ROWS]:
        kind, language = kind_name(one.kind, words), words[one.language]
        telling = words["comma"].join(f"{clue.word} ({percent(clue.yes_share)})" for clue in one.telling)
        numbers = (f"{one.count:,}", kind_name(one.answer, words), percent(one.answer_share), percent(one.guessed))
        rows.append([kind, language, *numbers, telling])
        marks.append((words["kind_in"].format(kind=kind, language=language), one.answer_share, one.guessed))
    del marks[_MOST_BARS:]
    if audit.before:
        one = audit.before
        numbers = (f"{one.count:,}", kind_name(one.answer, words), percent(one.answer_share), percent(one.guessed))
        rows.append([words["all_kinds"], words["both_languages"], *numbers, words["from_before"]])
        marks.append((words["from_before"], one.answer_share, one.guessed))
    if not rows:
        return [note, words["too_few"]]
    figure = Figure("", two_marks(words["guessing"], marks, PERCENT), note=words["guessing_chart"])
    names = ("kind", "language", "tried", "most_frequent", "always_it", "from_words", "telling")
    return [note, Figures([figure]), _table(names, rows, words, 0, wordy=[1, 3, 6])]


def _things(audit: Audit, words: Words) -> list[Any]:
    asked = [thing for thing in audit.things if thing.asked][:_MOST_BARS]
    often = [thing for thing in audit.things if thing.asked >= MIN_ASKED]
    lopsided = sorted(often, key=lambda one: (-((one.positive - one.negative) ** 2) / one.asked, one.name))
    seen = sorted((thing for thing in audit.things if thing.pictures), key=lambda one: (-one.pictures, one.name))
    legend = [("neg", words["where_it_is_not"]), ("pos", words["where_it_is"])]
    figures = []
    for title, things in (("things_asked", asked), ("things_lopsided", lopsided[:_MOST_BARS])):
        if things:
            rows = [(one.name, one.negative, one.positive) for one in things]
            figures.append(Figure(words[title], paired_bars(words[title], rows, ("neg", "pos")), legend))
    if seen:
        rows = [(one.name, one.pictures) for one in seen[:_MOST_BARS]]
        figures.append(Figure(words["things_seen"], number_bars(words["things_seen"], rows)))
    if not figures:
        return [words["no_things"]]
    sides = [
        Section(words[f"only_{polarity}"], _one_sided(one_sided(audit.things, polarity), words))
        for polarity in ("positive", "negative")
    ]
    notes = [words["one_sided_note"]]
    if audit.num_things > len(audit.things):
        few = words["few_names"].format(count=f"{audit.num_things:,}", shown=f"{len(audit.things):,}")
        notes.append(few)
    return [words["things_note"], Figures(figures), Columns(sides), *notes]


def _one_sided(things: Sequence[Thing], words: Words) -> list[Any]:
    if not things:
        return [Sentences([words["none"]])]
    more = len(things) - MOST_ROWS
    names = Names([(thing.name, f"{thing.asked:,}") for thing in things[:MOST_ROWS]])
    return [names, *([words["more_rows"].format(count=f"{more:,}")] if more > 0 else [])]


def _length_figures(audit: Audit, words: Words) -> list[Figure]:
    found = []
    for role in ("question", "answer"):
        series = [(language, audit.histograms[f"{role}_{language}"]) for language in LANGUAGES]
        series = [(language, histogram) for language, histogram in series if histogram]
        if series:
            title = words[f"{role}_words"]
            chart = histogram_chart(title, _WORDS, [(one, _LANGUAGE_STYLES[language]) for language, one in series])
            notes = [
                words["median"].format(language=words[language], median=middle(one), most=middle(one, 0.95))
                for language, one in series
            ]
            legend = [(_LANGUAGE_STYLES[language], words[language]) for language, _ in series]
            found.append(Figure(title, chart, legend, words["between_sentences"].join(notes)))
    rounds = {number: number * count for number, count in audit.histograms["rounds"].items()}
    if sum(rounds.values()):
        chart = histogram_chart(words["rounds"], _ROUNDS, [(rounds, "s2")])
        found.append(Figure(words["rounds"], chart, note=words["rounds_note"]))
    return found


def _pictures(audit: Audit, words: Words, decoded: bool) -> list[Any]:
    count, size = sum(audit.formats.values()), audit.totals.get("picture_bytes", 0)
    told = words["no_pictures"]
    if count:
        formats = words["comma"].join(f"{name} {number:,}" for name, number in sorted(audit.formats.items()))
        told = words["formats_note"].format(formats=formats, size=size_name(size), mean=size_name(size / count))
    figures = [
        Figure(words[name], histogram_chart(words[name], bins, [(audit.histograms[name], "s3")]))
        for name, bins in (("sides", _SIDES), ("aspects", _ASPECTS))
        if audit.histograms[name]
    ]
    return [told, words["decoded" if decoded else "headers_only"], Figures(figures)]


def _repeats(audit: Audit, counts: Counts, words: Words) -> list[Any]:
    rows = [
        [words[f"repeat_{name}"], *(f"{count:,}" for count in (one.total, one.copies, one.within, one.across))]
        for name, one in audit.repeats.items()
    ]
    samples = f"{audit.totals.get('samples', 0):,}"
    rows += [[words["alike_by"].format(name=name), samples, f"{one:,}", "", ""] for name, one in audit.alike.items()]
    table = _table(("what", "total", "copies", "within", "across"), rows, words, 0)
    cards = [repeat_card(one, counts, words) for one in audit.repeats["pictures"].most]
    most = [Section(words["most_often"], [Cards(cards, words["no_picture"], small=True)])] if cards else []
    return [words["repeats_note"], table, *most]


def _sources(audit: Audit, words: Words) -> list[Any]:
    rows = []
    for row in audit.sources[:MOST_ROWS]:
        shares = (share(row.chinese, row.answers), share(row.negative, row.positive + row.negative))
        counts = (f"{count:,}" for count in (row.samples, row.pictures, row.answers))
        licence = words["unknown_licence"] if row.licence == "unknown" else row.licence
        written = (NONE if one is None else percent(one) for one in shares)
        rows.append([kind_name(row.source, words), *counts, *written, licence])
    names = ("source", "samples", "pictures", "answers", "chinese_share", "negative_share", "licence")
    return [_table(names, rows, words, audit.num_sources, wordy=[6])]


def _unreadable(audit: Audit, words: Words) -> list[Any]:
    def wrongs(found: Sequence[Wrong]) -> list[Table]:
        rows = [[one.name, f"{one.count:,}", Cell("", "\n".join(one.examples))] for one in found]
        return [_table(("reason", "count", "examples"), rows, words, 0, wordy=[2])] if rows else []

    shards = [message_of(path, message) for path, message in audit.bad_shards[:MOST_ROWS]]
    parts = [*wrongs(audit.unreadable), *([Sentences(shards)] if shards else [])] or [words["all_readable"]]
    return [*parts, *([Section(words["checks"], wrongs(audit.checked))] if audit.checked else [])]


def message_of(path: str, message: str) -> str:
    """What is wrong with a shard, with its path said once."""
    return message if path in message else f"{path}: {message}"


def _sheet(counts: Counts, words: Words) -> list[Any]:
    chosen, seen, cells = choose(counts, counts.num_shown)
    note = words["sheet_note"].format(seen=seen, cells=cells)
    return [note, Cards(sample_cards(chosen, words), words["no_picture"])]
