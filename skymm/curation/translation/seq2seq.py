"""Models made for translating (Marian alias opus-mt, NLLB, M2M100, mBART-50, MADLAD), sentence by sentence: they were trained
on single sentences and lose the rest of a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from skymm.curation.translation.protect import LETTERS, without_markers
from skymm.curation.translation.translators import NAMES, Loaded, LocalTranslator

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

# Titles and Latin shorthand after which a full stop ends nothing.
_ABBREVIATIONS = (
    r"(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bvs)(?<!\bNo)(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\b[A-Z])"
)
_END = re.compile(
    rf"(?:[.!?…]*[!?…]|{_ABBREVIATIONS}\.+)[\"'”’)\]]*(?=\s+[^\sa-z])"  # before a small letter nothing has ended
    "|[。！？；…]+[”’」』）\\]]*"
)
_LINE = re.compile(r"(\s*\n\s*(?:[-*•·]\s+)?)")
_BULLET = re.compile(r"\s*(?:[-*•·]\s+)?")


class Seq2SeqTranslator(LocalTranslator):
    """Sentence by sentence, greedily. A sentence that finds no end within `max_new_tokens` makes its text's answer ""."""

    markers = LETTERS

    def __init__(self, loaded: Loaded, *, name: str, batch_size: int = 16, max_new_tokens: int = 512):
        super().__init__(loaded, name=name, rows=batch_size, max_new_tokens=max_new_tokens)
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
        return f"seq2seq {self.revision} {self.max_new_tokens}"

    def check_direction(self, source: str, target: str) -> None:
        told = {
            source: getattr(self.tokenizer, "source_lang", None),
            target: getattr(self.tokenizer, "target_lang", None),
        }
        for language, other in ((source, target), (target, source)):
            if told[language] in _ONE_WAY[other] and not self.both_ways:
                raise ValueError(
                    f"{self.name} translates from {told[source]} into {told[target]}, "
                    f"expected a model from {NAMES[source]} into {NAMES[target]}"
                )

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        cut = [split_sentences(text) for text in texts]
        distinct = list(dict.fromkeys(sentence for text in cut for _, sentence in text if self._has_words(sentence)))
        said = dict(zip(distinct, self._translate_sentences(distinct, source, target)))
        answers: list[str | None] = []
        for text in cut:
            found = [(before, said.get(sentence, sentence)) for before, sentence in text]
            lost = any(said.get(sentence) == "" for _, sentence in text)
            answers.append("" if lost else join_sentences(found, target))
        return answers

    def _has_words(self, sentence: str) -> bool:
        """Given only a number or a mark to translate, models make something up."""
        return any(map(str.isalpha, without_markers(sentence, self.markers)))

    def _translate_sentences(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        options: dict[str, Any] = {}
        begins, prefix, limit = self._begins, self._prefix[target], self._limit()
        if begins[source] and begins[target]:
            self.tokenizer.src_lang = begins[source][1]
            options["forced_bos_token_id"] = self.tokenizer.convert_tokens_to_ids(begins[target][0])
        return self.write(
            [self.tokenizer(f"{prefix} {text}" if prefix else text)["input_ids"] for text in texts],
            left=False,
            limit=limit,
            # A sentence of the other language is never four times as long; what is has lost its way.
            most=lambda length: min(self.max_new_tokens, 4 * length, limit - 1),
            # The first token is the one that every decoder starts from, and for some models their end token as well.
            begins_at=lambda length: 1,
            **options,
        )

    def _limit(self) -> int:
        """Tokens that encoder and decoder have positions for."""
        config = self.model.config
        positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 512
        return min(positions, self.tokenizer.model_max_length)


def split_sentences(text: str) -> list[tuple[str, str]]:
    """(what stands before a sentence and is not translated: space, line breaks, bullets; the sentence). Joined, the text.

    The last sentence may be empty.
    """
    found: list[tuple[str, str]] = []
    parts = _LINE.split(text)
    for index in range(0, len(parts), 2):
        before = parts[index - 1] if index else ""
        line, start = parts[index], 0
        ends = [match.end() for match in _END.finditer(line)]
        for end in [*ends, len(line)]:
            if end > start or not start:
                sentence = line[start:end]
                space = _BULLET.match(sentence) if not start else re.match(r"\s*", sentence)
                found.append((before + space[0], sentence[space.end() :]))
                before, start = "", end
    return found


def join_sentences(sentences: list[tuple[str, str]], target: str) -> str:
    """Sentences of Chinese stand without a space between them, sentences of English with one; line breaks stay."""
    written = ""
    for before, sentence in sentences:
        if written and "\n" not in before:
            before = " " if target == "en" and sentence else ""
        written += before + sentence
    return written
