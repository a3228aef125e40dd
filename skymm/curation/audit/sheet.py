"""Samples to look at: chosen so that every kind, polarity and language is seen, and read again from their shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from skymm.curation.audit.counts import Cell, Counts, Reference
from skymm.curation.audit.lowest import digest
from skymm.curation.audit.prints import Repeat
from skymm.curation.audit.reading import UNKNOWN, clean
from skymm.curation.audit.tally import NUM_TURNS_SHOWN, kind_of
from skymm.data.shards import BadSample, Sample, conversation_of, read_shard
from skymm.images import UnreadableImage, decode_image
from skymm.page.thumbnails import data_url

_SIDE = 320
_MOST_PICTURES = 4
_MOST_LETTERS = 400


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """`role` is system, user or assistant; the rest belongs to answers."""

    role: str
    text: str
    polarity: str = ""
    kind: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A sample as it is shown: its pictures as (name, data URL or None), its turns, and how many questions are left out."""

    key: str
    shard: str
    pictures: tuple[tuple[str, str | None], ...]
    turns: tuple[ShownTurn, ...]
    more: int

    @property
    def file(self) -> str:
        return PurePath(self.shard).name


def choose(counts: Counts, num_samples: int) -> tuple[list[Reference], int, int]:
    """Samples, how many cells they show, and how many there are. Each adds as many new cells as any can; lowest hash first."""
    known: dict[int | str, Reference] = {}
    cells: set[Cell] = set()
    for kind in counts.kinds.values.values():
        for few in kind.samples.values():
            for name, reference in few.lowest():
                known[name] = reference
                cells.update(reference.cells)
    ordered = [known[name] for name in sorted(known)]
    chosen: list[Reference] = []
    seen: set[Cell] = set()
    while ordered and len(chosen) < num_samples:
        best = max(ordered, key=lambda one: len(set(one.cells) - seen))  # the first of equals
        if not set(best.cells) - seen:
            break
        chosen.append(best)
        seen.update(best.cells)
    for _, reference in counts.shown.lowest():
        if len(chosen) < num_samples and reference not in chosen:
            chosen.append(reference)
            seen.update(reference.cells)
    return chosen, len(seen & cells), len(cells)


def read_cards(references: Sequence[Reference]) -> list[Card]:
    """The samples as cards; those whose shard has changed meanwhile are left out."""
    cards = [_card(sample) for one in references if (sample := _read(one.shard, one.index)) is not None]
    return [card for card in cards if card is not None]


def picture_of(repeat: Repeat, counts: Counts) -> tuple[str, str | None]:
    """Where a repeated picture stands first ("SHARD KEY"), and it as a data URL."""
    shard = counts.shards[repeat.shard]
    sample = _read(shard, repeat.sample)
    for name in sample.images if sample else ():
        if sample and name in sample.members and f"{digest(sample.members[name]):016x}" == repeat.hash:
            return clean(f"{shard} {sample.key}"), _thumbnail(sample, name)
    return shard, None


def _read(shard: str, index: int) -> Sample | None:
    try:
        return next(read_shard(shard, index), None)
    except (ValueError, OSError):
        return None


def _card(sample: Sample) -> Card | None:
    try:
        conversation = conversation_of(sample)
    except BadSample:
        return None
    turns: list[ShownTurn] = []
    num_questions = 0
    for turn in conversation.turns:
        num_questions += turn.role == "user"
        if num_questions > NUM_TURNS_SHOWN:
            continue
        text = clean(turn.text, _MOST_LETTERS) + ("…" if len(turn.text) > _MOST_LETTERS else "")
        told = (turn.polarity or UNKNOWN, kind_of(turn), turn.language or "") if turn.role == "assistant" else ()
        turns.append(ShownTurn(turn.role, text, *told))
    pictures = tuple((name, _thumbnail(sample, name)) for name in sample.images[:_MOST_PICTURES])
    more = max(0, num_questions - NUM_TURNS_SHOWN)
    return Card(clean(sample.key, 120), clean(sample.shard), pictures, tuple(turns), more)


def _thumbnail(sample: Sample, name: str) -> str | None:
    """None where only the features are left, and for a picture that is damaged behind its header."""
    if name not in sample.members:
        return None
    try:
        return data_url(decode_image(sample.members[name], name, min_side=_SIDE), _SIDE)
    except UnreadableImage:
        return None
