"""A record with its pictures opened: what filters look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from skymm.curation.record import Record
from skymm.images import MAX_PIXELS, decode_image


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

    def texts(self) -> Iterator[str]:
        """Captions, then what the conversation's assistant says."""
        yield from (caption.text for caption in self.record.captions)
        yield from (turn.text for turn in self.record.turns if turn.role == "assistant")


Check = Callable[[Sequence[Candidate]], list[str | None]]
"""A filter: for each candidate the reason why it is kept out (a short name, the same for every sample), or None."""
