"""A set of shards in sections: what is in it, what should worry, and samples to look at; for a page and for the terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.audit import counts as counting
from skymm.curation.audit.counts import Balance, Counts, Reference, share
from skymm.curation.audit.findings import LEVELS, Finding, findings, kind_name, one_sided
from skymm.curation.audit.guessing import Guess
from skymm.curation.audit.reading import clean
from skymm.data.shards import Sample, conversation_of, read_shard
from skymm.images import UnreadableImage, decode_image
from skymm.page import document
from skymm.page.charts import paired_bars, share_bars, two_marks
from skymm.page.document import Card, Cell, Figure, Figures, Line, Page, Section, Sentences, Table, Words
from skymm.page.drawing import PERCENT
from skymm.page.numbers import percent, size_name

PAGE = "audit.html"
STYLES = {"mend": "bad", "look": "fair", "know": ""}
MOST_ROWS = 40
_MOST_BARS = 16
_MOST_PLACES = 3
_POLARITIES = {"positive": "pos", "negative": "neg", "unknown": "unk"}
_SIZES = (*(f"{role}_{language}" for role in ("question", "answer") for language in LANGUAGES), "rounds", "sides")
_SIDE = 320  # of a picture on a card, pixels
_MOST_PICTURES = 8
_MOST_LETTERS = 400


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found, as sections and as numbers, and where the page is."""

    counts: Counts
    findings: list[Finding]
    page: Page
    path: Path
    words: Words

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data: findings with their sentences, the numbers, and the path of the page."""
        counts, before = self.counts, self.counts.guess_before()
        spoken = sorted({(kind, language) for kind, language, *_ in counts.before})
        tables = ["totals", "things", "histograms", "repeats", "unreadable", "leaked", "examples", "bad_shards"]
        balances = ("languages", "kinds", "kinds_by_language")
        told = [
            {**asdict(one), "level": LEVELS[one.level], "sentence": one.sentence(self.words)} for one in self.findings
        ]
        return {
            "page": str(self.path),
            "findings": told,
            "overall": counts.balance()._asdict(),
            **{name: [row._asdict() for row in getattr(counts, name)] for name in balances},
            "guesses": [asdict(one) for one in counts.guesses],
            "before": asdict(before) if before else None,
            "before_kinds": [asdict(one) for both in spoken if (one := counts.guess_before(*both))],
            **{name: getattr(counts, name) for name in tables},
            "sources": [[*names, count] for names, count in _ordered(counts.sources)],
            "shards": len(counts.shards),
        }


def audit_words(language: str) -> Words:
    """Raises ValueError for a language without words."""
    return document.read_words(__package__, "words", language)


def audit_shards(
    shards: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    language: str = "en",
    **options: Any,
) -> Audited:
    """Count shards, tell what should worry, and write the page: to `out`, else audit.html in the directory that all
    shards share. `options`: as of `count_shards`.

    Raises ValueError where there are no shards, and for a language without words.
    """
    words = audit_words(language)
    counts = counting.count_shards(shards, **options)
    found = findings(counts)
    if out is None:
        out = Path(os.path.commonpath([Path(shard).absolute().parent for shard in counts.shards])) / PAGE
    page = _page(counts, found, words, options.get("decode", False))
    return Audited(counts, found, page, document.write_page(page, out), words)


def _page(counts: Counts, found: Sequence[Finding], words: Words, decoded: bool) -> Page:
    """Samples are read again from their shards."""
    places = list(dict.fromkeys(str(Path(shard).parent) for shard in counts.shards))
    stated = words["stated"].format(
        shards=f"{len(counts.shards):,}",
        size=size_name(counts.totals["shard_bytes"]),
        places=", ".join(places[:_MOST_PLACES]) + (", …" if len(places) > _MOST_PLACES else ""),
    )
    remarks = [
        document.Remark(one.sentence(words), words[f"level_{LEVELS[one.level]}"], STYLES[LEVELS[one.level]])
        for one in found
    ]
    contents: dict[str, list[Any]] = {  # by the name of their title
        "findings": [document.Remarks(remarks)] if remarks else [Sentences([words["none_found"]])],
        "balance": _balance(counts, words),
        "guessing": _guessing(counts, words),
        "things": _things(counts, words),
        "sizes": [words["sizes_note"], words["decoded" if decoded else "headers_only"], _sizes(counts, words)],
        "repeats": _repeats(counts, words),
        "sources": _sources(counts, words),
        "unreadable": _unreadable(counts, words),
        "sheet": _sheet(counts, words),
    }
    sections = [Section(words[name], parts, name) for name, parts in contents.items()]
    return Page(words["title"], words["html_language"], stated, sections, _headline(counts, words))


def _headline(counts: Counts, words: Words) -> list[tuple[str, str]]:
    """(name, number) of what one wants to know first."""
    totals, overall, chinese = counts.totals, counts.balance(), counts.balance("", "zh")
    shares = {
        "chinese_answers": share(chinese.total, overall.total),
        "negative_answers": share(overall.negative, overall.positive + overall.negative),
        "yes_answers": share(overall.yes, overall.yes + overall.no),
    }
    rare = {name: totals[name] for name in ("text_only", "several_pictures")}
    rare["unreadable_samples"] = counts.unreadable.total()
    return [
        *((words[name], f"{totals[name]:,}") for name in ("samples", "pictures", "questions")),
        *((words[name], percent(part)) for name, part in shares.items() if part is not None),
        *((words[name], f"{count:,}") for name, count in rare.items() if count),
        (words["picture_bytes"], size_name(totals["picture_bytes"])),
    ]


def _table(
    names: Sequence[str], rows: Sequence[Sequence[str | Cell]], words: Words, wordy: Sequence[int] = ()
) -> Table:
    """The first rows, with the words of these names as the header."""
    more = len(rows) - MOST_ROWS
    notes = [words["more_rows"].format(count=f"{more:,}")] if more > 0 else []
    return Table([words[name] for name in names], rows[:MOST_ROWS], notes, wordy=frozenset(wordy))


def _balance(counts: Counts, words: Words) -> list[Any]:
    """Polarity by language and by kind, and all counts."""

    def polarities(row: Balance) -> tuple[int, int, int]:
        return row.positive, row.negative, row.unknown

    used = zip(_POLARITIES.items(), polarities(counts.balance()))
    legend = [(style, words[name]) for (name, style), count in used if count]
    languages = [row for row in counts.languages if row.total]
    bars = [(kind_name(row.kind or row.language, words), polarities(row)) for row in (*languages, *counts.kinds)]
    chart = share_bars(words["balance"], bars[:_MOST_BARS], tuple(_POLARITIES.values()), percent)
    table = [
        [
            kind_name(row.kind or "all_kinds", words),
            words[row.language],
            *(f"{count:,}" for count in (row.total, *polarities(row), row.yes, row.no)),
        ]
        for row in (*languages, *counts.kinds_by_language)
    ]
    names = ("kind", "language", "answers", "positive", "negative", "unknown", "yes", "no")
    return [words["balance_note"], Figures([Figure("", chart, legend)]), _table(names, table, words, wordy=[1])]


def _guessing(counts: Counts, words: Words) -> list[Any]:
    note = words["guessing_note"].format(most=f"{counting.NUM_QUESTIONS:,}")
    rows, marks = [], []

    def add(one: Guess, kind: str, language: str, telling: str, mark: str) -> None:
        numbers = (f"{one.count:,}", kind_name(one.answer, words), percent(one.answer_share), percent(one.guessed))
        rows.append([kind, language, *numbers, telling])
        marks.append((mark, one.answer_share, one.guessed))

    if before := counts.guess_before():
        add(before, words["all_kinds"], words["both_languages"], words["from_before"], words["from_before"])
    for one in counts.guesses:
        kind, language = kind_name(one.kind, words), words[one.language]
        telling = words["comma"].join(f"{clue.word} ({percent(clue.yes_share)})" for clue in one.telling)
        add(one, kind, language, telling, words["kind_in"].format(kind=kind, language=language))
    if not rows:
        return [note, words["too_few"]]
    figure = Figure("", two_marks(words["guessing"], marks[:_MOST_BARS], PERCENT), note=words["guessing_chart"])
    names = ("kind", "language", "tried", "most_frequent", "always_it", "from_words", "telling")
    return [note, Figures([figure]), _table(names, rows, words, wordy=[1, 3, 6])]


def _things(counts: Counts, words: Words) -> list[Any]:
    often = sorted(counts.things.items(), key=lambda one: (-one[1].total(), one[0]))[:_MOST_BARS]
    if not often:
        return [words["no_things"]]
    bars = [(name, asked["negative"], asked["positive"]) for name, asked in often]
    chart = paired_bars(words["things_asked"], bars, ("neg", "pos"))
    legend = [("neg", words["where_it_is_not"]), ("pos", words["where_it_is"])]
    rows = [
        [name, words[f"only_{polarity}"], f"{number:,}"]
        for polarity in ("positive", "negative")
        for name, number in one_sided(counts, polarity)
    ]
    figures = Figures([Figure(words["things_asked"], chart, legend)])
    return [words["things_note"], figures, _table(("thing", "asked", "questions"), rows, words, wordy=[1])]


def _sizes(counts: Counts, words: Words) -> Table:
    """Of each histogram its median, and what all but the smallest and largest 5% lie between."""
    rows = []
    for name in _SIZES:
        if histogram := counts.histograms[name]:
            numbers, shares = zip(*sorted(histogram.items()))
            places = np.searchsorted(np.cumsum(shares), [part * histogram.total() for part in (0.05, 0.5, 0.95)])
            rows.append([words[f"size_{name}"], *(f"{numbers[place]:,}" for place in places)])
    return _table(("what", "smallest", "median", "largest"), rows, words)


def _repeats(counts: Counts, words: Words) -> list[Any]:
    rows = [
        [words[f"repeat_{name}"], *(f"{count:,}" for count in one.values())] for name, one in counts.repeats.items()
    ]
    return [words["repeats_note"], _table(("what", "total", "copies"), rows, words)]


def _sources(counts: Counts, words: Words) -> list[Any]:
    rows = [
        [kind_name(source, words), words["unknown_licence"] if licence == "unknown" else licence, f"{count:,}"]
        for (source, licence), count in _ordered(counts.sources)
    ]
    return [_table(("source", "licence", "samples"), rows, words, wordy=[1])]


def _unreadable(counts: Counts, words: Words) -> list[Any]:
    """Samples by what is wrong with them, and shards that are cut short or damaged; then what may not be trained on."""

    def table(found: Counter[str]) -> Table:
        examples = {name: Cell("", "\n".join(counts.examples[name][: counting.NUM_EXAMPLES])) for name in found}
        rows = [[name, f"{count:,}", examples[name]] for name, count in _ordered(found)]
        return _table(("reason", "count", "examples"), rows, words, wordy=[2])

    shards = [message if path in message else f"{path}: {message}" for path, message in counts.bad_shards[:MOST_ROWS]]
    parts = [table(counts.unreadable), Sentences(shards)] if counts.unreadable or shards else [words["all_readable"]]
    return [*parts, *([Section(words["leaked"], [table(counts.leaked)])] if counts.leaked else [])]


def _ordered(found: Counter[Any]) -> list[tuple[Any, int]]:
    """The most frequent first, equals by name."""
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


# --- samples to look at -----------------------------------------------------------------------------------------------------


def choose(counts: Counts) -> tuple[list[Reference], int]:
    """Samples that show answers of every kind, polarity and language, while there is room; and how many of these they show."""
    few = [list(found.chosen().values()) for _, found in sorted(counts.samples.items())]
    by_turns = [found[rank] for rank in range(counts.num_shown) for found in few if rank < len(found)]
    seen: set[tuple[str, str, str]] = set()
    first = []  # what shows something that none before it does
    for one in by_turns:
        if set(one.cells) - seen:
            first.append(one)
            seen.update(one.cells)
    chosen = list(dict.fromkeys([*first, *by_turns]))[: counts.num_shown]
    return chosen, len({cell for one in chosen for cell in one.cells})


def _sheet(counts: Counts, words: Words) -> list[Any]:
    """Samples whose shards have changed meanwhile are left out."""
    chosen, seen = choose(counts)
    cards = [card for one in chosen if (card := sample_card(one, words)) is not None]
    note = words["sheet_note"].format(seen=seen, cells=len(counts.samples))
    return [note, document.Cards(cards, words["no_picture"])]


def sample_card(reference: Reference, words: Words) -> Card | None:
    """A sample as a card, read again from its shard; None where that has changed meanwhile. Of several pictures the words say
    where they stand.
    """
    try:
        sample = next(read_shard(reference.shard, reference.index), None)
        turns = conversation_of(sample).turns if sample else ()
    except (ValueError, OSError):
        return None
    if sample is None:
        return None
    names = list(dict.fromkeys(name for turn in turns for name in turn.images))
    marks = {name: f"⟦{number}⟧" * (len(names) > 1) for number, name in enumerate(names, 1)}
    shown, num_questions = [], 0
    for turn in turns:
        num_questions += turn.role == "user"
        if num_questions <= counting.NUM_TURNS_SHOWN:
            shown.append(_line(turn, marks, words))
    key = clean(sample.key, 120)
    pictures = [
        (words["picture"].format(name=f"{key}.{name}"), _thumbnail(sample, name)) for name in names[:_MOST_PICTURES]
    ]
    left_out = {"more_pictures": len(names) - _MOST_PICTURES, "more_turns": num_questions - counting.NUM_TURNS_SHOWN}
    note = " · ".join(words[name].format(count=count) for name, count in left_out.items() if count > 0)
    return Card(pictures, shown, f"{PurePath(clean(sample.shard)).name} {key}", note)


def _line(turn: Turn, marks: Mapping[str, str], words: Words) -> Line:
    said = "".join(marks[part] if kind == "image" else part for kind, part in turn.parts)
    text = clean(said, _MOST_LETTERS) + ("…" if len(said) > _MOST_LETTERS else "")
    if turn.role != "assistant":
        return Line(text, turn.role)
    kind = counting.kind_of(turn)
    told = [kind_name(name, words) for name in (kind if kind != "unknown" else None, turn.language) if name]
    return Line(text, _POLARITIES[turn.polarity or "unknown"], note=" · ".join(told))


def _thumbnail(sample: Sample, name: str) -> str | None:
    """None where only the features are left, and for a picture that is damaged behind its header."""
    if name not in sample.members:
        return None
    try:
        return document.data_url(decode_image(sample.members[name], name, min_side=_SIDE), _SIDE)
    except UnreadableImage:
        return None
