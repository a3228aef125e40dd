"""Records in the other language: captions beside or in place of their originals, conversations whole or not at all.

A text goes through protection, cache, model and checks, and comes out as its translation or as the reason why there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from skymm.conversation import Turn
from skymm.curation.record import Caption, Record
from skymm.curation.translation import checks
from skymm.curation.translation.cache import TranslationCache, key_of
from skymm.curation.translation.chat import ChatTranslator, EndpointTranslator
from skymm.curation.translation.protect import Protected, protect, restore, without_markers
from skymm.curation.translation.seq2seq import Seq2SeqTranslator
from skymm.curation.translation.translators import BothWays, TranslationStopped, Translator, load
from skymm.endpoint import Endpoint, split_spec
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


def open_translator(recipe: TranslationRecipe) -> Translator:
    """The model, together with the one for the way back where that is another.

    Raises ValueError for what is not there, cannot be loaded, or translates the wrong way.
    """
    source, target = ("en", "zh") if recipe.to == "zh" else ("zh", "en")
    forward = _open(recipe.model, recipe)
    forward.check_direction(source, target)
    if recipe.back_model is not None:
        back = _open(recipe.back_model, recipe)
        back.check_direction(target, source)
        return BothWays(forward, back, target)
    if recipe.min_round_trip > 0 and not getattr(forward, "both_ways", True):
        raise ValueError(
            f"{recipe.model} translates one way only, so nothing can be translated back to be compared; "
            "name the model of the opposite way as translation.back_model, or set translation.min_round_trip = 0"
        )
    return forward


def _open(spec: str, recipe: TranslationRecipe) -> Translator:
    if spec.startswith("openai:"):
        endpoint = Endpoint(*split_spec(spec))
        return EndpointTranslator(endpoint, concurrency=recipe.batch_size, max_new_tokens=recipe.max_new_tokens)
    loaded = load(spec)
    kind = Seq2SeqTranslator if loaded.model.config.is_encoder_decoder else ChatTranslator
    return kind(loaded, name=spec, batch_size=recipe.batch_size, max_new_tokens=recipe.max_new_tokens)


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
        checks.require_round_trip()
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


# --- one text after the other ---------------------------------------------------------------------------------------------


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
