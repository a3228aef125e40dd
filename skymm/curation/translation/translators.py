"""From what a recipe names to a translator."""

from __future__ import annotations

from skymm.curation.translation.protocol import BothWays, Translator
from skymm.recipe.data import TranslationRecipe

__all__ = ["Translator", "open_translator"]


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
    from skymm.curation.translation.chat import ChatTranslator, EndpointTranslator

    if spec.startswith("openai:"):
        from skymm.endpoint import Endpoint, split_spec

        endpoint = Endpoint(*split_spec(spec))
        return EndpointTranslator(endpoint, concurrency=recipe.batch_size, max_new_tokens=recipe.max_new_tokens)
    from skymm.curation.translation.loading import load
    from skymm.curation.translation.seq2seq import Seq2SeqTranslator

    loaded = load(spec)
    kind = Seq2SeqTranslator if loaded.model.config.is_encoder_decoder else ChatTranslator
    return kind(loaded, name=spec, batch_size=recipe.batch_size, max_new_tokens=recipe.max_new_tokens)
