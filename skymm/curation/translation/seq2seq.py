"""Models made for translating: Marian (opus-mt), NLLB, M2M100, mBART-50, MADLAD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skymm.curation.translation import sentences
from skymm.curation.translation.batches import generate_all
from skymm.curation.translation.loading import Loaded
from skymm.curation.translation.protect import LETTERS, without_markers
from skymm.curation.translation.protocol import NAMES, Translator

# How families name a language: the token that says so and, where the tokenizer has to be told, its name of the language.
_BEGINS_WITH = {  # the first token of an answer: NLLB, mBART-50, M2M100
    "en": (("eng_Latn", "eng_Latn"), ("en_XX", "en_XX"), ("__en__", "en")),
    "zh": (("zho_Hans", "zho_Hans"), ("zh_CN", "zh_CN"), ("__zh__", "zh")),
}
_ASKED_BY = {
    "en": ("<2en>", ">>eng<<"),
    "zh": ("<2zh>", ">>cmn_Hans<<"),
}  # before the text: MADLAD, opus-mt with several
_ONE_WAY = {"en": ("eng", "en"), "zh": ("zho", "zh", "cmn", "chi")}  # what Marian's tokenizers say of themselves


class Seq2SeqTranslator(Translator):
    """Sentence by sentence, greedily. A sentence that finds no end within `max_new_tokens` makes its text's answer ""."""

    markers = LETTERS

    def __init__(self, loaded: Loaded, *, name: str, batch_size: int = 16, max_new_tokens: int = 512):
        self.loaded, self.name, self.max_new_tokens = loaded, name, max_new_tokens
        self.rows = batch_size
        self.batch_size = 8 * batch_size  # so that most batches of one length are full
        vocabulary = loaded.tokenizer.get_vocab()
        self._begins = {
            language: next((names for names in known if names[0] in vocabulary), None)
            for language, known in _BEGINS_WITH.items()
        }
        self._prefix = {
            language: next((token for token in known if token in vocabulary), None)
            for language, known in _ASKED_BY.items()
        }
        self.both_ways = all(self._begins.values()) or all(self._prefix.values())

    def identity(self, source: str, target: str) -> str:
        return f"seq2seq {self.loaded.revision} {self.max_new_tokens}"

    def check_direction(self, source: str, target: str) -> None:
        told = {
            source: getattr(self.loaded.tokenizer, "source_lang", None),
            target: getattr(self.loaded.tokenizer, "target_lang", None),
        }
        for language, other in ((source, target), (target, source)):
            if told[language] in _ONE_WAY[other] and not self.both_ways:
                raise ValueError(
                    f"{self.name} translates from {told[source]} into {told[target]}, "
                    f"expected a model from {NAMES[source]} into {NAMES[target]}"
                )

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        cut = [sentences.split(text) for text in texts]
        distinct = list(dict.fromkeys(sentence for text in cut for _, sentence in text if self._has_words(sentence)))
        said = dict(zip(distinct, self._translate_sentences(distinct, source, target)))
        answers: list[str | None] = []
        for text in cut:
            found = [(before, said.get(sentence, sentence)) for before, sentence in text]
            lost = any(said.get(sentence) == "" for _, sentence in text)
            answers.append("" if lost else sentences.join(found, target))
        return answers

    def _has_words(self, sentence: str) -> bool:
        """Given only a number or a mark to translate, models make something up."""
        return any(map(str.isalpha, without_markers(sentence, self.markers)))

    def _translate_sentences(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        import torch

        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        options: dict[str, Any] = {}
        begins, prefix = self._begins, self._prefix[target]
        if begins[source] and begins[target]:
            tokenizer.src_lang = begins[source][1]
            options["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(begins[target][0])
        prompts = [tokenizer(f"{prefix} {text}" if prefix else text)["input_ids"] for text in texts]
        ends = self.loaded.end_tokens

        @torch.inference_mode()
        def generate(length: int, batch: list[list[int]]) -> list[str]:
            padding = [length - len(prompt) for prompt in batch]
            ids = [prompt + [tokenizer.pad_token_id] * left for prompt, left in zip(batch, padding)]
            mask = [[1] * len(prompt) + [0] * left for prompt, left in zip(batch, padding)]
            written = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                # A sentence of the other language is never four times as long; what is has lost its way.
                max_new_tokens=min(self.max_new_tokens, 4 * length, self._limit() - 1),
                **options,
            )
            # The first token is the one that every decoder starts from, and for some models their end token as well.
            rows = [row if ends & set(row[1:]) else [] for row in written.tolist()]
            return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]

        return generate_all(prompts, generate, self.rows, self._limit())

    def _limit(self) -> int:
        """Tokens that encoder and decoder have positions for."""
        config = self.loaded.model.config
        positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 512
        return min(positions, self.loaded.tokenizer.model_max_length)
