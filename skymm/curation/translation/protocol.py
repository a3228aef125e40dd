"""What a translator is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from skymm.curation.translation.protect import BRACKETS, LETTERS, Markers

NAMES = {"en": "English", "zh": "Chinese"}


class Translator(Protocol):
    """Subclasses say at least `name` and `translate`.

    The translation of a text depends on that text alone, never on those beside it; `identity` names everything else that
    it depends on, so that what was translated once can be looked up.
    """

    name: str

    markers: Markers = BRACKETS
    """What comes through it unharmed."""

    batch_size: int = 16
    """How many texts it wants at a time; they are stored together when it is done with them."""

    def identity(self, source: str, target: str) -> str:
        """Model, revision, prompt: whatever changes the answers."""
        return self.name

    def check_direction(self, source: str, target: str) -> None:
        """Raises ValueError where this model does not translate this way."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """A translation per text, from language "en" or "zh" into the other.

        "" where the model says nothing that can be used (that is an answer, and stored as one); None where no answer came,
        so that it is asked again another time. Raises TranslationStopped where none will come.
        """
        ...


class TranslationStopped(ValueError):
    """No further answers can be had now. `done` are those of this call that came before, by index."""

    def __init__(self, message: str, done: Mapping[int, str]):
        super().__init__(message)
        self.done = done


class BothWays(Translator):
    """Two models of one direction each. `target` is what the first translates into."""

    def __init__(self, forward: Translator, back: Translator, target: str):
        self.forward, self.back, self.target = forward, back, target
        self.name = f"{forward.name} and back by {back.name}"
        # One style for both: letters come through wherever brackets do, but not the other way round.
        self.markers = LETTERS if LETTERS in (forward.markers, back.markers) else forward.markers
        self.batch_size = forward.batch_size

    def identity(self, source: str, target: str) -> str:
        return self._of(target).identity(source, target)

    def check_direction(self, source: str, target: str) -> None:
        self._of(target).check_direction(source, target)

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        return self._of(target).translate(texts, source, target)

    def _of(self, target: str) -> Translator:
        return self.forward if target == self.target else self.back
