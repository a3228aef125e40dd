"""Texts through protection, cache, model and checks: each to its translation, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skymm.curation.translation import checks
from skymm.curation.translation.cache import TranslationCache, key_of
from skymm.curation.translation.protect import Protected, protect, restore, without_markers
from skymm.curation.translation.protocol import TranslationStopped, Translator
from skymm.text import count_units

NONE_CAME = "no translation came"
UNUSABLE = "the model gave no translation"
LOST = "a protected word was lost"
NOT_BACK = "the round trip came back different"
NO_UNICODE = "the text is not valid Unicode"


@dataclass(frozen=True, slots=True)
class Text:
    """`names` stay as they are."""

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of the two."""

    translation: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """From language `source` into `target`. What comes out for a text depends on no other text."""

    translator: Translator
    cache: TranslationCache
    source: str
    target: str
    min_round_trip: float

    def translate(self, texts: Iterable[Text]) -> dict[Text, Outcome]:
        """Raises TranslationStopped where the model is gone; what it said before is in the cache then."""
        wanted = {text: protect(text.text.strip(), text.names, self.translator.markers) for text in texts}
        asked = [one.text for one in wanted.values() if _is_unicode(one.text) and self._says_something(one)]
        said = self._ask(asked, self.source, self.target)
        outcomes = {text: self._judge(protected, said) for text, protected in wanted.items()}
        if self.min_round_trip > 0:
            fit = {
                text: wanted[text]
                for text, outcome in outcomes.items()
                if outcome.fault is None
                and wanted[text].text in said
                and checks.round_trip_tells(wanted[text].rest, self.source)
            }
            back = self._ask([said[one.text] or "" for one in fit.values()], self.target, self.source)
            outcomes |= {text: self._judge_back(one, said, back, outcomes[text]) for text, one in fit.items()}
        return outcomes

    def _says_something(self, protected: Protected) -> bool:
        """Names and figures alone are the same in both languages, and so is Latin writing among Chinese."""
        num_han, num_words = count_units(protected.rest)
        return bool(num_han if self.source == "zh" else num_han + num_words)

    def _judge(self, protected: Protected, said: dict[str, str | None]) -> Outcome:
        if not _is_unicode(protected.text):
            return Outcome(fault=NO_UNICODE)
        if protected.text not in said:
            same = restore(protected.text, protected)
            return Outcome(same) if same is not None else Outcome(fault=LOST)
        answer = said[protected.text]
        if not answer:
            return Outcome(fault=NONE_CAME if answer is None else UNUSABLE)
        translation = restore(answer, protected, self.target)
        if translation is None:
            return Outcome(fault=LOST)
        rest = without_markers(answer, protected.markers)
        fault = checks.find_fault(protected.rest, self.source, rest, self.target)
        return Outcome(fault=fault) if fault else Outcome(translation)

    def _judge_back(
        self, protected: Protected, said: dict[str, str | None], back: dict[str, str | None], outcome: Outcome
    ) -> Outcome:
        again = back[said[protected.text] or ""]
        if again is None:
            return Outcome(fault=NONE_CAME)
        score = checks.round_trip(protected.rest, without_markers(again, protected.markers))
        return outcome if score >= self.min_round_trip else Outcome(fault=NOT_BACK)

    def _ask(self, texts: Sequence[str], source: str, target: str) -> dict[str, str | None]:
        """Each different text once, and none that was translated before."""
        identity = self.translator.identity(source, target)
        keys = {text: key_of(identity, source, target, text) for text in texts}
        known = self.cache.look_up(keys.values())
        # Texts of about one length go together, so that little of a batch is padding.
        missing = sorted((text for text, key in keys.items() if key not in known), key=lambda text: (len(text), text))
        for start in range(0, len(missing), self.translator.batch_size):
            batch = missing[start : start + self.translator.batch_size]
            try:
                answers = self.translator.translate(batch, source, target)
            except TranslationStopped as error:
                self.cache.store({keys[batch[index]]: _clean(text) for index, text in error.done.items()})
                raise
            if len(answers) != len(batch):
                raise ValueError(f"{self.translator.name} gave {len(answers)} translations, expected {len(batch)}")
            self.cache.store({keys[text]: _clean(answer) for text, answer in zip(batch, answers) if answer is not None})
            # Another process may have been first; what is stored counts, today and next time.
            known |= self.cache.look_up(keys[text] for text in batch)
        return {text: known.get(key) for text, key in keys.items()}


def _clean(answer: str) -> str:
    return answer.strip() if _is_unicode(answer) else ""


def _is_unicode(text: str) -> bool:
    """Halves of surrogate pairs can come out of broken JSON, and no tokenizer takes them."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
