"""Captions and conversations in the other language: what may not change is protected, what came out is checked.

A text goes through protection, cache, model and checks, and comes out as its translation or as the reason why there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from skymm.curation.record import Caption, Record
from skymm.curation.translation import checks, protect
from skymm.curation.translation.cache import TranslationCache, key_of
from skymm.curation.translation.protect import LETTERS, Markers, Protected, restore, without_markers
from skymm.curation.translation.translators import TranslationStopped, Translator
from skymm.recipe.data import TranslationRecipe
from skymm.text import count_units, language_of

NONE_CAME = "no translation came"
UNUSABLE = "the model gave no translation"
LOST = "a protected word was lost"
NOT_BACK = "the round trip came back different"
NO_UNICODE = "the text is not valid Unicode"
TWO_LANGUAGES = "a conversation in both languages stays as it is"
PREFERENCE = "a chosen answer stays as it is, beside the rejected one"
AMID_TEXT = "a conversation with pictures between its words stays as it is"


class Text(NamedTuple):
    """`names` stay as they are."""

    text: str
    names: tuple[str, ...] = ()


class Fault(str):
    """In place of a translation: why there is none."""


def translate_records(
    records: Sequence[Record],
    recipe: TranslationRecipe,
    translators: tuple[Translator, Translator],
    cache: TranslationCache,
) -> tuple[list[Record], Counter[str]]:
    """All records, in order, with what was translated of them into `recipe.to`; and why the rest was not, by reason.
    `translators`: for there and back (`open_translators`).

    With `keep_original`, a record gets translated captions beside its own, and a translated conversation becomes a record of
    its own right after, KEY-zh (or KEY-en), of the same pictures and facts and without captions. Otherwise translations take
    their original's place. What cannot be translated stays as it was; so does what is there in `recipe.to` already.
    One failed turn fails its conversation. A caption or conversation that failed counts once.

    What comes out for a record does not depend on the records beside it, on batches or processes. Raises TranslationStopped
    (a ValueError) where the model is gone, with what it said before in the cache; ValueError for a cache that is damaged.
    """
    if recipe.min_round_trip > 0:
        checks.chrf()
    source = "en" if recipe.to == "zh" else "zh"
    reasons: Counter[str] = Counter()
    captions = [_captions(record, recipe, source) for record in records]
    turns = [_turns(record, recipe, source, reasons) for record in records]
    texts = dict.fromkeys(text for row in (*captions, *turns) for text in row if text is not None)
    outcomes = Asker(*translators, cache, source, recipe.to, recipe.min_round_trip).translate(texts)
    written: list[Record] = []
    for record, its_captions, its_turns in zip(records, captions, turns):
        said = [outcomes[text] if text is not None else None for text in its_captions]
        reasons.update(str(one) for one in said if isinstance(one, Fault))
        spoken = [outcomes[text] for text in its_turns]
        if fault := next((one for one in spoken if isinstance(one, Fault)), None):
            reasons[str(fault)] += 1
            spoken = []
        written.extend(_write(record, said, spoken, recipe))
    return written, reasons


def _captions(record: Record, recipe: TranslationRecipe, source: str) -> list[Text | None]:
    """What is to be translated of them; None for those that stay."""
    there = any(caption.language == recipe.to for caption in record.captions)
    return [
        _text(caption.text, record, recipe) if caption.language == source and not there else None
        for caption in record.captions
    ]


def _turns(record: Record, recipe: TranslationRecipe, source: str, reasons: Counter[str]) -> list[Text]:
    """All turns, or none where they stay."""
    # Figures, quotations and names of their own say nothing about the language.
    rests = [(turn, protect.protect(turn.text).rest) for turn in record.turns]
    spoken = {turn.language or language_of(rest) for turn, rest in rests if sum(count_units(rest))}
    if len(spoken) > 1:
        reasons[TWO_LANGUAGES] += 1
    if spoken != {source}:
        return []
    if (
        why := PREFERENCE
        if record.extra.get("rejected")
        else AMID_TEXT
        if any(turn.places for turn in record.turns)
        else ""
    ):
        reasons[why] += 1
        return []
    return [_text(turn.text, record, recipe) for turn in record.turns]


def _text(text: str, record: Record, recipe: TranslationRecipe) -> Text:
    """Writing in the picture stays, where it stands out: in capitals. (What is quoted stays in any case.)"""
    writing = {word for word in record.facts.texts if len(word) > 1 and word.isascii() and word.isupper()}
    return Text(text, (*recipe.protect, *sorted(word for word in writing if word in text)))


def _write(
    record: Record, captions: Sequence[str | None], spoken: Sequence[str], recipe: TranslationRecipe
) -> Iterator[Record]:
    """`captions`: beside those of the record, with None or a fault for what stays; `spoken`: of all turns, or of none."""
    new = [None if one is None or isinstance(one, Fault) else Caption(one, recipe.to) for one in captions]
    turns = tuple(
        # An answer always has a language; other turns where they had one.
        replace(turn, text=text, language=recipe.to if turn.role == "assistant" or turn.language else None)
        for turn, text in zip(record.turns, spoken)
    )
    mark = {**record.extra, "translated_from": "en" if recipe.to == "zh" else "zh"}
    if recipe.keep_original:
        yield replace(record, captions=(*record.captions, *(caption for caption in new if caption)))
        if turns:
            yield replace(record, key=f"{record.key}-{recipe.to}", captions=(), turns=turns, extra=mark)
    elif turns or any(new):
        now = tuple(caption or old for caption, old in zip(new, record.captions))
        yield replace(record, captions=now, turns=turns or record.turns, extra=mark)
    else:
        yield record


# --- one text after the other ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asker:
    """From language `source` into `target`. What comes out for a text depends on no other text."""

    forward: Translator
    back: Translator
    cache: TranslationCache
    source: str
    target: str
    min_round_trip: float

    @property
    def markers(self) -> Markers:
        """One style for both ways: letters come through wherever brackets do, but not the other way round."""
        return LETTERS if LETTERS in (self.forward.markers, self.back.markers) else self.forward.markers

    def translate(self, texts: Iterable[Text]) -> dict[Text, str]:
        """A translation or a Fault for each. Raises TranslationStopped where the model is gone; what it said before is in the
        cache then.
        """
        wanted = {text: protect.protect(text.text.strip(), text.names, self.markers) for text in texts}
        asked = [one.text for one in wanted.values() if _is_unicode(one.text) and self._says_something(one)]
        said = self._ask(self.forward, asked, self.source, self.target)
        outcomes = {text: self._judge(protected, said) for text, protected in wanted.items()}
        if self.min_round_trip > 0:
            fit = {
                text: wanted[text]
                for text, outcome in outcomes.items()
                if not isinstance(outcome, Fault)
                and wanted[text].text in said
                and checks.round_trip_tells(wanted[text].rest, self.source)
            }
            again = self._ask(self.back, [said[one.text] or "" for one in fit.values()], self.target, self.source)
            for text, protected in fit.items():
                back = again[said[protected.text] or ""]
                if back is None:
                    outcomes[text] = Fault(NONE_CAME)
                elif checks.round_trip(protected.rest, without_markers(back, self.markers)) < self.min_round_trip:
                    outcomes[text] = Fault(NOT_BACK)
        return outcomes

    def _says_something(self, protected: Protected) -> bool:
        """Names and figures alone are the same in both languages, and so is Latin writing among Chinese."""
        num_han, num_words = count_units(protected.rest)
        return bool(num_han if self.source == "zh" else num_han + num_words)

    def _judge(self, protected: Protected, said: Mapping[str, str | None]) -> str:
        if not _is_unicode(protected.text):
            return Fault(NO_UNICODE)
        if protected.text not in said:
            same = restore(protected.text, protected)
            return Fault(LOST) if same is None else same
        answer = said[protected.text]
        if not answer:
            return Fault(NONE_CAME if answer is None else UNUSABLE)
        translation = restore(answer, protected, self.target)
        if translation is None:
            return Fault(LOST)
        rest = without_markers(answer, protected.markers)
        fault = checks.find_fault(protected.rest, self.source, rest, self.target)
        return Fault(fault) if fault else translation

    def _ask(self, translator: Translator, texts: Sequence[str], source: str, target: str) -> dict[str, str | None]:
        """Each different text once, and none that was translated before."""
        keys = {text: key_of(translator.identity, source, target, text) for text in texts}
        known = self.cache.look_up(keys.values())
        # Texts of about one length go together, so that little of a batch is padding.
        missing = sorted((text for text, key in keys.items() if key not in known), key=lambda text: (len(text), text))
        for start in range(0, len(missing), translator.batch_size):
            batch = missing[start : start + translator.batch_size]
            try:
                answers = translator.translate(batch, source, target)
            except TranslationStopped as error:
                self.cache.store({keys[batch[index]]: _clean(text) for index, text in error.done.items()})
                raise
            if len(answers) != len(batch):
                raise ValueError(f"{translator.name} gave {len(answers)} translations, expected {len(batch)}")
            self.cache.store({keys[text]: _clean(answer) for text, answer in zip(batch, answers) if answer is not None})
            # Another process may have been first; what is stored counts, today and next time.
            known |= self.cache.look_up(keys[text] for text in batch)
        return {text: known.get(key) for text, key in keys.items()}


def _clean(answer: str) -> str:
    return answer.strip() if _is_unicode(answer) else ""


def _is_unicode(text: str) -> bool:
    """Halves of surrogate pairs can come out of broken JSON, and no tokenizer takes them."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
