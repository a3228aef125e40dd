"""Samples to look at: chosen so that every kind, polarity and language is seen, and read again from their shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from skymm.conversation import Turn
from skymm.curation.audit.counts import NUM_TURNS_SHOWN, Cell, Counts, Reference, digest, kind_of
from skymm.curation.audit.findings import kind_name
from skymm.curation.audit.reading import clean
from skymm.curation.audit.summary import Repeat
from skymm.data.shards import BadSample, Sample, conversation_of, read_shard
from skymm.images import UnreadableImage, decode_image
from skymm.page.document import Card, Line, Words, data_url

_SIDE = 320
_MOST_PICTURES = 4
_MOST_LETTERS = 400
_STYLES = {"positive": "pos", "negative": "neg", None: "unk"}


def choose(counts: Counts, num_samples: int) -> tuple[list[Reference], int, int]:
    """Samples, how many cells they show, and how many there are. Each adds as many new cells as any can; lowest hash first."""
    known = {name: one for kind in counts.kinds.values() for few in kind.samples.values() for name, one in few.items()}
    cells = {cell for reference in known.values() for cell in reference.cells}
    ordered = [known[name] for name in sorted(known)]
    chosen: list[Reference] = []
    seen: set[Cell] = set()
    while ordered and len(chosen) < num_samples:
        best = max(ordered, key=lambda one: len(set(one.cells) - seen))  # the first of equals
        if not set(best.cells) - seen:
            break
        chosen.append(best)
        seen.update(best.cells)
    for reference in counts.shown.lowest():
        if len(chosen) < num_samples and reference not in chosen:
            chosen.append(reference)
            seen.update(reference.cells)
    return chosen, len(seen & cells), len(cells)


def sample_cards(references: Sequence[Reference], words: Words) -> list[Card]:
    """The samples as cards; those whose shard has changed meanwhile are left out."""
    cards = [_card(sample, words) for one in references if (sample := _read(one.shard, one.index)) is not None]
    return [card for card in cards if card is not None]


def repeat_card(repeat: Repeat, counts: Counts, words: Words) -> Card:
    """A repeated picture, how often it stands, and where first ("SHARD KEY")."""
    times = words["times"].format(count=f"{repeat.count:,}")
    shard = counts.shards[repeat.shard]
    sample = _read(shard, repeat.sample)
    place, picture = shard, None
    for name in sample.images if sample else ():
        if sample and name in sample.members and f"{digest(sample.members[name]):016x}" == repeat.hash:
            place, picture = clean(f"{shard} {sample.key}"), _thumbnail(sample, name)
            break
    return Card([(times, picture)], [Line(times, "strong")], place)


def _read(shard: str, index: int) -> Sample | None:
    try:
        return next(read_shard(shard, index), None)
    except (ValueError, OSError):
        return None


def _card(sample: Sample, words: Words) -> Card | None:
    try:
        conversation = conversation_of(sample)
    except BadSample:
        return None
    lines: list[Line] = []
    num_questions = 0
    for turn in conversation.turns:
        num_questions += turn.role == "user"
        if num_questions <= NUM_TURNS_SHOWN:
            lines.append(_line(turn, words))
    key, more = clean(sample.key, 120), num_questions - NUM_TURNS_SHOWN
    pictures = [
        (words["picture"].format(name=f"{key}.{name}"), _thumbnail(sample, name))
        for name in sample.images[:_MOST_PICTURES]
    ]
    place = f"{PurePath(clean(sample.shard)).name} {key}"
    return Card(pictures, lines, place, words["more_turns"].format(count=more) if more > 0 else "")


def _line(turn: Turn, words: Words) -> Line:
    text = clean(turn.text, _MOST_LETTERS) + ("…" if len(turn.text) > _MOST_LETTERS else "")
    if turn.role != "assistant":
        return Line(text, turn.role)
    kind = kind_of(turn)
    told = [kind_name(name, words) for name in (kind if kind != "unknown" else None, turn.language) if name]
    return Line(text, _STYLES[turn.polarity], note=" · ".join(told))


def _thumbnail(sample: Sample, name: str) -> str | None:
    """None where only the features are left, and for a picture that is damaged behind its header."""
    if name not in sample.members:
        return None
    try:
        return data_url(decode_image(sample.members[name], name, min_side=_SIDE), _SIDE)
    except UnreadableImage:
        return None
