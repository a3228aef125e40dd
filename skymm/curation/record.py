"""What a source gives: pictures, what is said about them, and what is known to be (and not to be) in them.

A Record is on its way to become a sample of a shard. It names where its pictures lie and holds none of their bytes, so
that millions of records can be listed, shuffled and chosen from before the first picture is copied. A Candidate is a record
whose pictures were read: what filters look at; an Outcome is what they leave of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from skymm.conversation import Turn
from skymm.images import MAX_PIXELS, decode_image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the encoded bytes of an image are: a file, `size` bytes of one from `offset` on (a member of a tar), or, for
    images that were made or came out of a table, `data` itself. `digest`: what the bytes were when a build looked at them.
    """

    path: str = ""
    offset: int = 0
    size: int | None = None
    data: bytes | None = None
    digest: str = ""

    def read(self) -> bytes:
        """Raises OSError where the file is not there."""
        if self.data is not None:
            return self.data
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return file.read(-1 if self.size is None else self.size)


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of thing in a picture.

    `name` is English, as the lexicon says it ("dog") or, where that has no such word, as the source does. `count` is exact or
    None (not known). `attributes` are what is said of any of them: colours and others, English ("brown", "wooden").
    """

    name: str
    count: int | None = None
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a picture. Nothing that is known to be there may ever be asked as absent.

    `relations` are (subject, relation, object): ("cat", "on", "table"). `texts` is writing that can be read in the picture.
    `complete` names a vocabulary of the lexicon that annotators looked for exhaustively ("coco80"): what of it is not among
    the things is not there. `absent` are names, as the source says them, of what is known not to be there: what its annotators
    looked for and did not find; () where they looked for nothing in particular. With either, nothing else is asked as absent.
    Without, absence is a well-founded guess out of captions and never about what these may have meant or left unsaid.
    """

    things: tuple[Thing, ...] = ()
    relations: tuple[tuple[str, str, str], ...] = ()
    texts: tuple[str, ...] = ()
    complete: str | None = None
    absent: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As it lies in a shard; empty fields are left out. `Facts.from_json` reads it back."""
        return to_plain(self)

    @classmethod
    def from_json(cls, data: Any) -> Facts:
        """Raises ValueError where the data is something else."""
        return from_plain(cls, data)


@dataclass(frozen=True, slots=True)
class Caption:
    """What somebody wrote under a picture. `language`: "en" or "zh"."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Record:
    """One sample to be.

    `key` is its name within its source: the same on every machine, of letters, digits, `-` and `_`. `pictures` go by the
    member suffix under which they will lie in the shard ("jpg", or "0.jpg", "1.png" for several); none: text only.
    `turns` is a conversation that the source brings along (its first user turn shows the pictures where none says so),
    `captions` are sentences out of which the builder makes one. `extra` travels into the sample's JSON.
    """

    key: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    captions: tuple[Caption, ...] = ()
    turns: tuple[Turn, ...] = ()
    facts: Facts = Facts()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that gives no record. `reason` is the short name under which it is counted, `detail` says more for one sample."""

    key: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Candidate:
    """`encoded` are the bytes of each picture by member name, read once. Pixels are decoded when a filter asks for them.

    `dropped` counts, by reason, the captions and conversations that filters took out of the record so far.
    """

    record: Record
    encoded: Mapping[str, bytes] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    dropped: Counter[str] = field(default_factory=Counter)
    _decoded: dict[str, Image.Image] = field(default_factory=dict)
    _computed: dict[Hashable, Any] = field(default_factory=dict)

    def image(self, name: str) -> Image.Image:
        """RGB or RGBA, upright. Raises UnreadableImage (skymm.images)."""
        if name not in self._decoded:
            where = f"{self.record.key}.{name}"
            self._decoded[name] = decode_image(self.encoded[name], where, self.max_pixels)
        return self._decoded[name]

    def once(self, name: Hashable, compute: Callable[[], Any]) -> Any:
        """What `compute` gives, computed once for all that look at this candidate and know it by this name."""
        if name not in self._computed:
            self._computed[name] = compute()
        return self._computed[name]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`record` is what a filter leaves of it, None when it goes; then `reason` says why.

    `dropped` counts the captions and conversations that went, by reason, whether or not the record stays.
    """

    record: Record | None
    reason: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


def keep(record: Record, captions: tuple[Caption, ...], turns: tuple[Turn, ...], dropped: Counter[str]) -> Outcome:
    """The record with these captions and turns. It goes when it has lost all that was said and nothing else is known of it."""
    if not dropped:
        return Outcome(record)
    if captions or turns or record.facts != Facts():
        return Outcome(replace(record, captions=captions, turns=turns), None, dict(dropped))
    return Outcome(None, next(iter(dropped)), dict(dropped))


def to_plain(value: Any) -> Any:
    """A record, or another dataclass, as plain JSON data without the fields that say nothing."""
    return _adapter(type(value)).dump_python(value, mode="json", exclude_defaults=True)


def from_plain(kind: type[T], data: Any) -> T:
    """What `to_plain` was given; other fields are not looked at. Raises ValueError where one is of another type."""
    try:
        return _adapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
