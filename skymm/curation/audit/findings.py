"""What should worry whoever is going to train on this: sentences with numbers, the weightiest first; of a set of shards, and
of what a build has just made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from skymm.curation.audit.counts import Balance, Counts, count_shards, share
from skymm.curation.audit.reading import CAPTION_KINDS
from skymm.curation.building.workers import Engine, Ray
from skymm.page.document import Cell, Remark, Remarks, Section, Sentences, Table, Words
from skymm.page.numbers import NONE, percent
from skymm.page.terminal import print_parts
from skymm.verdict import NO, UNKNOWN, YES

MEND, LOOK, KNOW = 3, 2, 1
"""To be mended before training; worth a look; good to know."""
LEVELS = {MEND: "mend", LOOK: "look", KNOW: "know"}
MOST_SAMPLES = 10_000
"""Of larger builds, shards from all over it that hold about so many are looked at."""
TOO_MUCH = 0.60
"""Of the answers of a build that may be guessed."""

MIN_ASKED = 10
_ENOUGH = 50  # answers that a share needs to be worth a sentence
_LEANS, _FAR = 0.65, 0.8  # share of answers of one kind, from which on a set leans, and leans far
_MUCH = 0.2  # that guessing gains
_OPEN_GUESSED = 0.5
_MOST = 5  # kinds that are told one by one
_SMALL_SIDE, _LONG = 64, 5
_FEW = 0.1  # share of a language


def kind_name(kind: str, words: Words) -> str:
    """A kind, a language, a polarity in words; what the words do not have stands as it is, with spaces for underscores."""
    if kind in ("unknown", "yes", "no", "en", "zh", "positive", "negative", "all_kinds", "both_languages"):
        return words[kind]
    return "/".join(words["kinds"].get(part, part.replace("_", " ")) for part in kind.split("/"))


@dataclass(frozen=True, slots=True)
class Finding:
    """`size` (0 to 1) orders those of one level; the sentence of this name among the words tells it, with these values."""

    name: str
    level: int
    size: float = 0.0
    values: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, words: Words) -> str:
        """In the language of the words. Names of kinds and languages are translated, numbers are written out."""
        shown = {name: _written(value, words) for name, value in self.values.items()}
        for name in ("kind", "language", "answer"):
            if name in shown:
                shown[name] = kind_name(shown[name], words)
        sentence = words["sentences"][self.name].format(**shown)
        return sentence[:1].upper() + sentence[1:]


def _written(value: Any, words: Words) -> str:
    """A count, a share, a text, or a list of (name, count or share)."""
    if isinstance(value, list):
        return words["comma"].join(f"“{name}” {_written(number, words)}" for name, number in value) or "–"
    return f"{value:,}" if isinstance(value, int) else percent(value) if isinstance(value, float) else value


def findings(counts: Counts) -> list[Finding]:
    """All that the numbers give cause for; none, where there is nothing to say."""
    found = [*_shares(counts), *_polarity(counts), *_guessing(counts), *_languages(counts)]
    if not counts.totals["samples"]:
        found.append(Finding("nothing", MEND, 1.0))
    if "card" in counts.examples:
        found.append(Finding("card", LOOK, values={"message": counts.examples["card"][0]}))
    return sorted(found, key=lambda one: (-one.level, -one.size, one.name, str(one.values)))


Row = tuple[str, int, int, float, int, float, Mapping[str, Any]]
"""Name, how many, of how many, told above which share, level, one level more above which share, what else is said."""


def _shares(counts: Counts) -> Iterator[Finding]:
    """What is told where its share of a whole is large enough."""
    totals, repeats, histograms = counts.totals, counts.repeats, counts.histograms
    samples, everything, lost = totals["samples"], counts.balance(), counts.unreadable.total()
    yes_no = everything.yes + everything.no
    small = sum(count for side, count in histograms["sides"].items() if side < _SMALL_SIDE)
    long = sum(count for one, count in histograms["aspects"].items() if not 100 / _LONG <= one <= 100 * _LONG)
    measured = histograms["sides"].total()
    again = repeats["pictures"]["copies"] - repeats["wholes"]["copies"]
    bad = counts.bad_shards[0][1] if counts.bad_shards else ""
    denied = counts.examples["denied facts"][0] if totals["denied_facts"] else ""
    rows: list[Row] = [
        ("bad_shards", len(counts.bad_shards), len(counts.shards), 0, MEND, 1, {"message": bad}),
        ("unreadable", lost, samples + lost, 0, LOOK, 0.01, {"reasons": counts.unreadable.most_common()}),
        *(("leaked", count, samples, 0, MEND, 1, {"reason": name}) for name, count in counts.leaked.items()),
        ("denied_facts", totals["denied_facts"], totals["existence_questions"], 0, MEND, 1, {"example": denied}),
        ("pictures_not_shown", totals["pictures_not_shown"], totals["pictures"], 0, KNOW, 1, {}),
        ("polarity_against_answer", totals["polarity_against_answer"], yes_no, 0.02, LOOK, 1, {}),
        *(_one_sided_row(counts, polarity) for polarity in ("positive", "negative")),
        ("keys", repeats["keys"]["copies"], samples, 0, LOOK, 1, {}),
        ("wholes", repeats["wholes"]["copies"], samples, 0, LOOK, 0.05, {}),
        ("repeated_texts", repeats["texts"]["copies"], repeats["texts"]["total"], 0.02, KNOW, 0.2, {}),
        ("repeated_pictures", again, repeats["pictures"]["total"], 0.02, KNOW, 0.2, {}),
        ("other_script", totals["answers_of_other_script"], everything.total, 0.01, LOOK, 1, {}),
        ("small", small, measured, 0.01, KNOW, 0.05, {"side": _SMALL_SIDE}),
        ("long", long, measured, 0.01, KNOW, 0.05, {"aspect": _LONG}),
        ("no_licence", totals["no_licence"], samples, 0, LOOK, 1, {}),
        ("no_source", totals["no_source"], samples, 0, KNOW, 1, {}),
    ]
    for name, count, whole, least, level, much, more in rows:
        part = share(count, whole) or 0.0
        if part > least:
            values = {"count": count, "total": whole, "part": part, **more}
            yield Finding(name, level + (part > much), part, values)


def one_sided(counts: Counts, polarity: str) -> list[tuple[str, int]]:
    """Things that are only ever asked for where they are (`positive`) or are not, with how often: often enough that it is no
    chance. With fair coins, one of all these things would be asked so one-sidedly less than once in twenty sets.
    """
    found = [
        (name, asked.total())
        for name, asked in counts.things.items()
        if asked.total() >= MIN_ASKED
        and asked[polarity] == asked.total()
        and len(counts.things) * 2.0 ** (1 - min(asked.total(), 1000)) < 0.05
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _one_sided_row(counts: Counts, polarity: str) -> Row:
    found = one_sided(counts, polarity)
    name, asked = found[0] if found else ("", 0)
    values = {"things": len(found), "name": name, "asked": asked}
    number = sum(number for _, number in found)
    return f"only_{polarity}", number, counts.totals["existence_questions"], 0, LOOK, 0.1, values


def _polarity(counts: Counts) -> Iterator[Finding]:
    """Captions say what is there and are left out, unless there is nothing else."""
    asked = [row for row in counts.kinds if row.kind not in CAPTION_KINDS]
    both = {name: sum(getattr(row, name) for row in asked) for name in ("positive", "negative")}
    total, said = sum(row.total for row in asked), sum(both.values())
    most = max(both, key=lambda name: both[name])
    if counts.kinds and not asked:
        yield Finding("captions_only", KNOW, values={"count": counts.balance().total})
    part = both[most] / said if said >= _ENOUGH else 0.0
    if part > _LEANS:
        values = {"part": part, "count": both[most], "total": said}
        yield Finding(f"mostly_{most}", MEND if part > _FAR else LOOK, part, values)
    elif part:
        yield from _leaning_kinds(asked, counts)
    if total and said < 0.9 * total:
        unknown = total - said
        yield Finding("no_polarity", LOOK, unknown / total, {"part": unknown / total, "count": unknown})
    for row in (counts.balance(), *counts.languages):
        most, count = max((YES, row.yes), (NO, row.no), key=lambda one: one[1])
        if row.yes + row.no >= _ENOUGH and (part := count / (row.yes + row.no)) > _LEANS:
            language = row.language or "both_languages"
            values = {"part": part, "answer": most, "count": row.yes + row.no, "language": language}
            yield Finding("yes_leans", MEND if part > _FAR else LOOK, part, values)
            break  # one sentence is enough: the languages follow the whole


def _leaning_kinds(asked: Sequence[Balance], counts: Counts) -> Iterator[Finding]:
    """Kinds and languages that lean where the whole does not."""
    names = {"", *(row.kind for row in asked)}
    leaning = []
    for row in (*counts.languages, *counts.kinds_by_language):
        part = share(row.positive, row.positive + row.negative)
        if row.kind in names and part is not None and row.positive + row.negative >= _ENOUGH:
            values = {"kind": row.kind or "all_kinds", "language": row.language, "part": part}
            values["count"] = row.positive + row.negative
            leaning.append(Finding("kind_leans", LOOK, abs(part - 0.5), values))
    leaning.sort(key=lambda one: (-one.size, one.values["kind"]))
    yield from [one for one in leaning if one.size > _LEANS - 0.5][:_MOST]


def _guessing(counts: Counts) -> Iterator[Finding]:
    for one in counts.guesses:
        values = {"kind": one.kind, "language": one.language, "part": one.guessed, "count": one.count}
        values |= {"answer": one.answer, "same": one.answer_share}
        if one.kind in CAPTION_KINDS:
            continue
        if one.yes_no and one.tells:
            told = [(clue.word, clue.yes_share) for clue in one.telling]
            much = one.gain >= min(_MUCH, (1 - one.answer_share) / 2)
            yield Finding("guessed", MEND if much else LOOK, one.gain, {**values, "words": told})
        elif not one.yes_no and one.guessed >= _OPEN_GUESSED + 3 * one.error:
            yield Finding("guessed_open", LOOK, one.guessed - _OPEN_GUESSED, values)
    before = counts.guess_before()
    if before and before.tells:
        yield Finding("guessed_before", LOOK, before.gain, {"part": before.guessed, "same": before.answer_share})


def _languages(counts: Counts) -> Iterator[Finding]:
    total = counts.balance().total
    for row, other in zip(counts.languages, reversed(counts.languages)):
        if total and not row.total:
            yield Finding(f"only_{other.language}", LOOK, 1.0)
        elif row.total < _FEW * total:
            yield Finding(
                "few_of_language", LOOK, 1 - row.total / total, {"count": row.total, "language": row.language}
            )
        lengths = counts.histograms[f"answer_{row.language}"]
        short = share(lengths[1], lengths.total()) or 0.0
        if lengths.total() >= _ENOUGH and short > 0.9:
            yield Finding("one_word", KNOW, short, {"part": short, "language": row.language})
    if counts.kinds and all(row.kind == UNKNOWN for row in counts.kinds):
        yield Finding("no_kinds", KNOW)


# --- what a build tells of itself -------------------------------------------------------------------------------------------


def find_leaks(
    directory: Path, shards: Sequence[Mapping[str, Any]], engine: Engine | None = None
) -> list[dict[str, Any]]:
    """How well answers can be guessed without a look at a picture. Per kind and language of yes/no questions: how many answers
    were looked at, and the share of them that the words of the question alone give ("words"), what was said before
    ("history"), and the more frequent answer ("one answer").

    `shards`: what `write_shard` returned, which lie in the directory. A share of too few questions is None.
    """
    total = sum(shard["num_samples"] for shard in shards)
    if not total:
        return []
    wanted = min(len(shards), max(1, round(len(shards) * MOST_SAMPLES / total)))
    workers = engine.workers if isinstance(engine, Ray) else engine or 1
    places = sorted({int(place) for place in np.linspace(0, len(shards) - 1, wanted)})
    counts = count_shards([directory / shards[place]["name"] for place in places], num_shown=0, workers=workers)
    rows = []
    for one in sorted(counts.guesses, key=lambda one: (one.kind, one.language)):
        before = counts.guess_before(one.kind, one.language)
        shares = {"words": round(one.guessed, 4), "history": round(before.guessed, 4) if before else None}
        row = {"kind": one.kind, "language": one.language, "answers": one.count, **shares}
        rows += [{**row, "one answer": round(one.answer_share, 4)}] if one.yes_no else []
    return rows


def print_build(card: Mapping[str, Any], console: Console) -> None:
    """What a card tells, for whoever waited for the build: on the terminal, with what to change in red."""
    told = []
    for name, of_it in card.get("sources", {}).items():
        if "silent" in of_it:  # a card that was written before this was counted has none
            lost = {**of_it["left out"], **of_it["silent"]}
            reasons = "; ".join(f"{reason} {count:,}" for reason, count in lost.items() if count) or "none"
            parts = of_it["captions and conversations left out"]
            cut = (
                f"; captions and turns cut: {', '.join(f'{part} {n:,}' for part, n in parts.items())}" if parts else ""
            )
            made = f"{of_it['samples']:,} samples, {of_it['questions']:,} questions made"
            told.append(f"{name}: {made}. Left out: {reasons}{cut}")
    rows, red = [], []
    for row in card.get("guessed without looking", []):
        cells = [Cell(row["kind"]), row["language"], f"{row['answers']:,}"]
        for name, where in (("words", "the words of the question"), ("history", "earlier answers of the conversation")):
            part, much = row[name], (row[name] or 0) > TOO_MUCH
            cells.append(Cell(NONE if part is None else f"{part:.2f}", style="bad" if much else ""))
            if much:
                said = f"{row['kind']} ({row['language']}): {where} give {part:.0%} of the answers. {_advice(row)}"
                red.append(Remark(said, style="bad"))
        rows.append(cells)
    title = "yes/no answers that can be guessed without looking (0.50: none)"
    header = ("kind", "language", "answers", "from the words", "from earlier answers")
    table = Section(title, [Table(header, rows, wordy=frozenset([1]))])
    print_parts([Sentences(told), table, Remarks(red)], console)


def _advice(row: Mapping[str, Any]) -> str:
    if row["one answer"] > TOO_MUCH:
        return (
            f"One answer alone gives {row['one answer']:.0%}: set negative_share = 0.5, or leave out the turns that a source "
            'brings along (tasks without "turns") where they all say the same'
        )
    return (
        'Questions that are made here are balanced, so these come with a source: leave its turns out (tasks = ["negatives"]), '
        "or add questions with the same words and the other answer"
    )
