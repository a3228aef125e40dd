"""What should worry whoever is going to train on this: sentences with numbers, the weightiest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.curation.audit.reading import CAPTION_KINDS
from skymm.curation.audit.summary import Audit, Balance, Thing
from skymm.page.document import Words
from skymm.page.numbers import percent
from skymm.verdict import UNKNOWN

MEND, LOOK, KNOW = 3, 2, 1
"""To be mended before training; worth a look; good to know."""
LEVELS = {MEND: "mend", LOOK: "look", KNOW: "know"}

ENOUGH = 50  # answers that a share needs to be worth a sentence
_LEANS, _FAR = 0.65, 0.8  # share of answers of one kind, from which on a set leans, and leans far
_GAIN, _MUCH, _MOST_OF_IT = 0.05, 0.2, 0.5  # what guessing may gain, what is much, and much of what can be gained
_OPEN_GUESSED = 0.5
MIN_ASKED = 10
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
    size: float
    values: dict[str, Any]

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


def findings(audit: Audit) -> list[Finding]:
    """All that the numbers give cause for; none, where there is nothing to say."""
    abouts = (_reading, _polarity, _yes, _guessing, _things, _repeats, _languages, _pictures, _sources)
    found = [one for about in abouts for one in about(audit)]
    return sorted(found, key=lambda one: (-one.level, -one.size, one.name, str(one.values)))


def _reading(audit: Audit) -> Iterator[Finding]:
    samples, lost = audit.totals.get("samples", 0), sum(wrong.count for wrong in audit.unreadable)
    if not samples:
        yield Finding("nothing", MEND, 1.0, {})
    if audit.bad_shards:
        path, message = audit.bad_shards[0]
        values = {"count": len(audit.bad_shards), "total": len(audit.shards), "path": path, "message": message}
        yield Finding("bad_shards", MEND, len(audit.bad_shards) / len(audit.shards), values)
    if lost:
        part, reasons = lost / (samples + lost), [(wrong.name, wrong.count) for wrong in audit.unreadable]
        values = {"count": lost, "part": part, "reasons": reasons}
        yield Finding("unreadable", MEND if part > 0.01 else LOOK, part, values)
    for wrong in audit.checked:
        values = {"count": wrong.count, "reason": wrong.name, "part": wrong.count / samples}
        yield Finding("checked", MEND, wrong.count / samples, values)
    for name, level in (("bad_facts", LOOK), ("pictures_not_shown", KNOW)):
        if count := audit.totals.get(name, 0):
            yield Finding(name, level, count / max(samples, audit.totals["pictures"]), {"count": count})
    if "card" in audit.details:
        yield Finding("card", LOOK, 0.0, {"message": audit.details["card"][0]})


def _polarity(audit: Audit) -> Iterator[Finding]:
    """Captions say what is there and are left out, unless there is nothing else."""
    asked = [row for row in audit.kinds if row.name not in CAPTION_KINDS]
    positive, negative = (sum(getattr(row, name) for row in asked) for name in ("positive", "negative"))
    total, said = sum(row.total for row in asked), positive + negative
    if not asked and audit.overall.total:
        yield Finding("captions_only", KNOW, 0.0, {"count": audit.overall.total})
    elif said >= ENOUGH:
        most, count = max(("positive", positive), ("negative", negative), key=lambda one: one[1])
        part = count / said
        if part == 1:
            yield Finding(f"all_{most}", MEND, 1.0, {"count": count})
        elif part > _LEANS:
            values = {"part": part, "count": count, "total": said}
            yield Finding(f"mostly_{most}", MEND if part > _FAR else LOOK, part, values)
        else:
            yield from _leaning_kinds(asked, audit)
    if total and said < 0.9 * total:
        unknown = total - said
        yield Finding("no_polarity", LOOK, unknown / total, {"part": unknown / total, "count": unknown})
    against, read = audit.totals.get("polarity_against_answer", 0), audit.overall.yes + audit.overall.no
    if read and against / read > 0.02:
        yield Finding("polarity_against_answer", LOOK, against / read, {"count": against, "part": against / read})


def _leaning_kinds(asked: Sequence[Balance], audit: Audit) -> Iterator[Finding]:
    """Kinds and languages that lean where the whole does not."""
    names = {"", *(row.name for row in asked)}
    leaning = [
        (abs(part - 0.5), row, part)
        for row in (*audit.languages, *audit.kinds_by_language)
        if row.name in names and (part := row.positive_share) is not None and row.positive + row.negative >= ENOUGH
    ]
    leaning = sorted((one for one in leaning if one[0] > _LEANS - 0.5), key=lambda one: (-one[0], one[1].name))
    for far, row, part in leaning[:_MOST]:
        values = {"kind": row.name or "all_kinds", "language": row.language, "part": part}
        yield Finding("kind_leans", LOOK, far, {**values, "count": row.positive + row.negative})


def _yes(audit: Audit) -> Iterator[Finding]:
    """One sentence is enough: the languages follow the whole."""
    for row in (audit.overall, *audit.languages):
        share, count = row.yes_share, row.yes + row.no
        if share is not None and count >= ENOUGH and not 1 - _LEANS <= share <= _LEANS:
            part, said = max((share, "yes"), (1 - share, "no"))
            values = {"part": part, "answer": said, "count": count, "language": row.language or "both_languages"}
            yield Finding("yes_leans", MEND if part > _FAR else LOOK, part, values)
            return


def _guessing(audit: Audit) -> Iterator[Finding]:
    for one in audit.guesses:
        if one.kind in CAPTION_KINDS:
            continue
        values = {"kind": one.kind, "language": one.language, "part": one.guessed, "count": one.count}
        values |= {"answer": one.answer, "same": one.answer_share}
        if one.yes_no and one.gain >= max(_GAIN, 3 * one.error):
            told = [(clue.word, clue.yes_share) for clue in one.telling]
            much = one.gain >= _MUCH or one.closed >= _MOST_OF_IT
            yield Finding("guessed", MEND if much else LOOK, one.gain, {**values, "words": told})
        elif not one.yes_no and one.guessed >= _OPEN_GUESSED + 3 * one.error:
            yield Finding("guessed_open", LOOK, one.guessed - _OPEN_GUESSED, values)
    before = audit.before
    if before and before.gain >= max(_GAIN, 3 * before.error):
        yield Finding("guessed_before", LOOK, before.gain, {"part": before.guessed, "same": before.answer_share})


def one_sided(things: Sequence[Thing], polarity: str) -> list[Thing]:
    """Things that are only ever asked for where they are (`positive`) or are not, often enough that it is no chance.

    With fair coins, one of all these things would be asked so one-sidedly by chance less than once in twenty sets.
    """
    num_asked = sum(thing.asked > 0 for thing in things)
    return [
        thing
        for thing in things
        if thing.asked >= MIN_ASKED
        and getattr(thing, polarity) == thing.asked
        and num_asked * 2.0 ** (1 - min(thing.asked, 1000)) < 0.05
    ]


def _things(audit: Audit) -> Iterator[Finding]:
    total = audit.totals.get("existence_questions", 0)
    for polarity in ("positive", "negative"):
        found = one_sided(audit.things, polarity)
        if found:
            part = sum(thing.asked for thing in found) / total
            values = {"name": found[0].name, "asked": found[0].asked, "count": len(found), "part": part}
            name = f"only_{polarity}" if len(found) > 1 else f"only_{polarity}_one"
            yield Finding(name, MEND if part > 0.1 else LOOK, part, values)
    if denied := audit.totals.get("denied_facts", 0):
        values = {"count": denied, "example": audit.details["denied facts"][0]}
        yield Finding("denied_facts", MEND, denied / total, values)


def _repeats(audit: Audit) -> Iterator[Finding]:
    wholes, pictures, texts, keys = (audit.repeats[name] for name in ("wholes", "pictures", "texts", "keys"))
    if keys.copies:
        yield Finding("keys", LOOK, keys.copies / keys.total, {"count": keys.copies})
    if wholes.copies:
        part = wholes.copies / wholes.total
        values = {"count": wholes.copies, "part": part, "within": wholes.within, "across": wholes.across}
        yield Finding("wholes", MEND if part > 0.05 else LOOK, part, values)
    for name, total, copies in (
        ("texts", texts.total, texts.copies),
        ("pictures", pictures.total, pictures.copies - wholes.copies),
    ):
        if copies > 0.02 * total:
            values = {"count": copies, "part": copies / total}
            yield Finding(f"repeated_{name}", KNOW if copies < 0.2 * total else LOOK, copies / total, values)
    for name, count in audit.alike.items():
        if count:
            part = count / audit.totals["samples"]
            yield Finding("alike", LOOK, part, {"count": count, "part": part, "name": name})


def _languages(audit: Audit) -> Iterator[Finding]:
    total = sum(row.total for row in audit.languages)
    for row, other in zip(audit.languages, reversed(audit.languages)):
        if total and row.total < _FEW * total:
            values = {"count": row.total, "language": row.language, "other": other.language}
            name = "few_of_language" if row.total else f"only_{other.language}"
            yield Finding(name, LOOK, 1 - row.total / total, values if row.total else {})
    other_script = audit.totals.get("answers_of_other_script", 0)
    if total and other_script > 0.01 * total:
        yield Finding("other_script", LOOK, other_script / total, {"count": other_script, "part": other_script / total})
    for language in LANGUAGES:
        lengths = audit.histograms[f"answer_{language}"]
        count = sum(lengths.values())
        short = lengths.get(1, 0) / count if count else 0.0
        if count >= ENOUGH and short > 0.9:
            yield Finding("one_word", KNOW, short, {"part": short, "language": language})
    if audit.overall.total and all(row.name == UNKNOWN for row in audit.kinds):
        yield Finding("no_kinds", KNOW, 0.0, {})


def _pictures(audit: Audit) -> Iterator[Finding]:
    sides, aspects = audit.histograms["sides"], audit.histograms["aspects"]
    small = sum(count for side, count in sides.items() if side < _SMALL_SIDE)
    long = sum(count for aspect, count in aspects.items() if not 100 / _LONG <= aspect <= 100 * _LONG)
    for name, found, value in (("small", small, {"side": _SMALL_SIDE}), ("long", long, {"aspect": _LONG})):
        part = found / max(1, sum(sides.values()))
        if part > 0.01:
            yield Finding(name, LOOK if part > 0.05 else KNOW, part, {"part": part, "count": found, **value})


def _sources(audit: Audit) -> Iterator[Finding]:
    for name, level in (("no_licence", LOOK), ("no_source", KNOW)):
        if count := audit.totals.get(name, 0):
            yield Finding(name, level, count / audit.totals["samples"], {"count": count})
