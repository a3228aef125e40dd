"""Records in the other language: captions beside or in place of their originals, conversations whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from skymm.conversation import Turn
from skymm.curation.record import Caption, Record
from skymm.curation.translation.asking import Asker, Outcome, Text
from skymm.curation.translation.cache import TranslationCache
from skymm.curation.translation.checks import require_round_trip
from skymm.curation.translation.protect import protect
from skymm.curation.translation.protocol import Translator
from skymm.recipe.data import TranslationRecipe
from skymm.text import count_units, language_of

TWO_LANGUAGES = "a conversation in both languages stays as it is"
PREFERENCE = "a chosen answer stays as it is, beside the rejected one"
AMID_TEXT = "a conversation with pictures between its words stays as it is"


def translate_records(
    records: Sequence[Record], recipe: TranslationRecipe, translator: Translator, cache: TranslationCache
) -> tuple[list[Record], Counter[str]]:
    """All records, in order, with what was translated of them into `recipe.to`; and why the rest was not, by reason.

    With `keep_original`, a record gets translated captions beside its own, and a translated conversation becomes a record of
    its own right after, KEY-zh (or KEY-en), of the same pictures and facts and without captions. Otherwise translations take
    their original's place. What cannot be translated stays as it was; so does what is there in `recipe.to` already.
    One failed turn fails its conversation. A caption or conversation that failed counts once.

    What comes out for a record does not depend on the records beside it, on batches or processes. Raises TranslationStopped
    (a ValueError) where the model is gone, with what it said before in the cache; ValueError for a cache that is damaged.
    """
    target, source = recipe.to, "en" if recipe.to == "zh" else "zh"
    if recipe.min_round_trip > 0:
        require_round_trip()
    reasons: Counter[str] = Counter()
    plans = [_plan(record, recipe, source, reasons) for record in records]
    asker = Asker(translator, cache, source, target, recipe.min_round_trip)
    outcomes = asker.translate(dict.fromkeys(text for plan in plans for text in plan.texts()))
    written: list[Record] = []
    for plan in plans:
        written.extend(_write(plan, outcomes, recipe, reasons))
    return written, reasons


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of a record is to be translated: captions (None for those that stay), and all turns or none."""

    record: Record
    captions: tuple[Text | None, ...]
    turns: tuple[Text, ...]

    def texts(self) -> Iterator[Text]:
        yield from (text for text in self.captions if text is not None)
        yield from self.turns


def _plan(record: Record, recipe: TranslationRecipe, source: str, reasons: Counter[str]) -> _Plan:
    there = any(caption.language == recipe.to for caption in record.captions)
    captions = tuple(
        _text(caption.text, record, recipe) if caption.language == source and not there else None
        for caption in record.captions
    )
    spoken = _languages(record.turns)
    if len(spoken) > 1:
        reasons[TWO_LANGUAGES] += 1
    turns = record.turns if spoken == {source} else ()
    why = PREFERENCE if record.extra.get("rejected") else AMID_TEXT if any(any(turn.places) for turn in turns) else ""
    if turns and why:
        reasons[why] += 1
        turns = ()
    return _Plan(record, captions, tuple(_text(turn.text, record, recipe) for turn in turns))


def _languages(turns: Sequence[Turn]) -> set[str]:
    """Figures, quotations and names of their own say nothing about it."""
    rests = [(turn, protect(turn.text).rest) for turn in turns]
    return {turn.language or language_of(rest) for turn, rest in rests if sum(count_units(rest))}


def _text(text: str, record: Record, recipe: TranslationRecipe) -> Text:
    """Writing in the picture stays, where it stands out: in capitals. (What is quoted stays in any case.)"""
    writing = {word for word in record.facts.texts if len(word) > 1 and word.isascii() and word.isupper()}
    return Text(text, (*recipe.protect, *sorted(word for word in writing if word in text)))


def _write(
    plan: _Plan, outcomes: Mapping[Text, Outcome], recipe: TranslationRecipe, reasons: Counter[str]
) -> Iterator[Record]:
    record = plan.record
    captions = [outcomes[text] if text is not None else None for text in plan.captions]
    reasons.update(outcome.fault for outcome in captions if outcome is not None and outcome.fault)
    turns = _translated_turns(plan, outcomes, recipe.to, reasons)
    mark = {**record.extra, "translated_from": "en" if recipe.to == "zh" else "zh"}
    new = [
        Caption(outcome.translation, recipe.to) if outcome is not None and outcome.translation is not None else None
        for outcome in captions
    ]
    if recipe.keep_original:
        yield replace(record, captions=(*record.captions, *(caption for caption in new if caption is not None)))
        if turns:
            yield replace(record, key=f"{record.key}-{recipe.to}", captions=(), turns=turns, extra=mark)
        return
    if turns or any(new):
        captions_now = tuple(caption or old for caption, old in zip(new, record.captions))
        record = replace(record, captions=captions_now, turns=turns or record.turns, extra=mark)
    yield record


def _translated_turns(
    plan: _Plan, outcomes: Mapping[Text, Outcome], target: str, reasons: Counter[str]
) -> tuple[Turn, ...]:
    """Empty where there is nothing to translate or something could not be."""
    found = [outcomes[text] for text in plan.turns]
    fault = next((outcome.fault for outcome in found if outcome.fault), None)
    if fault:
        reasons[fault] += 1
        return ()
    return tuple(
        replace(turn, text=outcome.translation or "", language=target if _has_language(turn) else None)
        for turn, outcome in zip(plan.record.turns, found)
    )


def _has_language(turn: Turn) -> bool:
    """It belongs to the answer."""
    return turn.role == "assistant" or turn.language is not None
