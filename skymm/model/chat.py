"""One pass from a Conversation to token ids, labels and image positions.

The text of the whole conversation, as the LLM's chat template writes it, is tokenised once; labels and image positions
are found by the characters that each token stands for. So the ids are the template's own. Where that cannot be, the text
is cut and both sides are tokenised apart: where a question ends inside a token (what is asked with must be how the
training text begins), where an image stands inside a word, and inside control tokens that somebody typed (a user who
types `<|im_end|>` or `<image>` gets plain text). Each image owns exactly K positions, filled with an id that no text can
produce.
"""

from __future__ import annotations

import copy
import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from operator import itemgetter
from typing import Any

from tokenizers import processors

from skymm.conversation import BadSample, Conversation, Turn, is_frame
from skymm.encoded import IGNORE, Encoded
from skymm.model.chat_template import ChatTemplate, Content

# Behind one of these a tokenizer does not put what it puts before a text of its own (SentencePiece's word mark).
_ANCHORS = ("\n", ":", "a", "。")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")

_Token = tuple[int, int, int]  # its id, and the characters it stands for, from and to


@dataclass(slots=True)
class _Answer:
    """What is learned of a turn, in characters. `mark`: the id that has to end it where the text says something else."""

    turn: Turn
    start: int
    end: int = 0
    mark: int | None = None


@dataclass(slots=True)
class _Script:
    """The text of a conversation while it grows, and what stands where in it, in characters.

    `contents`: from and to where people wrote, and the ids that may not come of it. `asked`: where an answer is asked for.
    """

    text: str = ""
    contents: list[tuple[int, int, frozenset[int]]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    answers: list[_Answer] = field(default_factory=list)

    def write(self, turn: Turn, content: Content, forbidden: frozenset[int]) -> None:
        said = content.of(turn.text)
        start = len(self.text) + len(content.before)
        self.text += content.before + said
        self.contents.append((start, len(self.text), forbidden))
        stripped = len(turn.text) - len(turn.text.lstrip(content.left))
        for place in turn.places or (0,) * len(turn.images):
            self.images.append(start + min(max(place - stripped, 0), len(said)))

    def end_answer(self, ending: str, mark: int) -> None:
        """After an answer the mark that ends it is part of what is learned: without it a model never stops."""
        answer = self.answers[-1]
        if ending and self.text.startswith(ending, answer.end):
            answer.end += len(ending)
        else:
            answer.mark = mark


class ChatEncoder:
    """Conversation -> Encoded, for one tokenizer, K latents per image and one chat template.

    Args:
        frame_latents: how many a frame of a clip has; None: as many as an image.
        system: text of the system turn for conversations without one. None: whatever the template says by itself.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        num_latents: int,
        image_token_id: int,
        system: str | None = None,
        frame_latents: int | None = None,
    ):
        self.template = ChatTemplate(tokenizer)
        if not tokenizer.is_fast:
            raise ValueError(
                f"{type(tokenizer).__name__} does not tell which characters its tokens stand for; give the LLM a tokenizer "
                "that does, a fast one (with a tokenizer.json)"
            )
        self.tokenizer, self.system = tokenizer, system
        self.num_latents, self.frame_latents, self.image_token_id = num_latents, frame_latents, image_token_id
        self._fast = copy.deepcopy(tokenizer.backend_tokenizer)
        self._fast.no_truncation()
        self._fast.no_padding()
        # The template writes the special tokens itself, and some processors leave blanks out of the offsets.
        self._fast.post_processor = processors.Sequence([])
        self.special_ids = frozenset(tokenizer.all_special_ids)
        self.special_ids |= {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._control = self.special_ids | set(tokenizer.added_tokens_decoder)
        self._greedy = any(token.lstrip or token.rstrip for token in tokenizer.added_tokens_decoder.values())
        self._ending = lru_cache(maxsize=256)(self._ending)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to data workers as what it was made of; caches are not luggage."""
        options = {name: getattr(self, name) for name in ("num_latents", "image_token_id", "system", "frame_latents")}
        return partial(type(self), **options), (self.tokenizer,)

    def encode(self, conversation: Conversation, *, max_length: int | None = None) -> Encoded:
        """For training: every assistant turn is a target. Raises ValueError without one, or when it cannot fit."""
        if not conversation.targets:
            raise ValueError(f"{conversation.key}: nothing to learn, there is no assistant turn")
        return self._fit(conversation, max_length)

    def encode_prompt(
        self, conversation: Conversation, *, max_length: int | None = None, continue_final: bool = False
    ) -> Encoded:
        """For answering: the same walk, up to where the answer begins (or inside it, for `continue_final`)."""
        if continue_final:
            return self._fit(conversation, max_length, open_end=True)
        return self._fit(conversation.as_prompt(), max_length, prompt=True)

    def encode_text(self, pieces: Sequence[str], key: str) -> Encoded:
        """Text that stands as the template would write it, with an image between two pieces."""
        ends = list(itertools.accumulate(map(len, pieces)))
        script = _Script("".join(pieces), images=ends[:-1])
        names = tuple(str(index) for index in range(len(pieces) - 1))
        return self._labelled(Encoded(key, images=names), script, self._tokens(script, 0, len(script.text)))

    def latents_of(self, name: str) -> int:
        """How many positions an image of this name takes."""
        return self.frame_latents if self.frame_latents is not None and is_frame(name) else self.num_latents

    @property
    def end_id(self) -> int:
        """The id that ends an answer. `generate` has to stop at it, whatever else it stops at."""
        return self._ending(self.template.answered(("user", "assistant"), (None, None))[1])[1]

    @cached_property
    def opening_ids(self) -> tuple[int, ...]:
        """What the model itself writes before every answer, behind the prompt (gpt-oss's channel, GLM-4's line break).

        Who wants an answer's own first token puts it behind the prompt. What is part of that token (LLaMA-2's blank) is not
        in it.
        """
        runs = []
        for said in ("No", "没有", "A"):
            script = self._script((Turn("user", "a"), Turn("assistant", said)))
            tokens = self._tokens(script, 0, len(script.text))
            first, last = (_first_at(tokens, place) for place in (script.asked[0], script.contents[-1][0]))
            runs.append([id_ for id_, _, _ in tokens[first:last]])
        same = itertools.takewhile(lambda ids: len(set(ids)) == 1, zip(*runs))
        return tuple(ids[0] for ids in same)

    # --- the text -----------------------------------------------------------------------------------------------------

    def _walk(self, conversation: Conversation, *, prompt: bool = False, open_end: bool = False) -> Encoded:
        turns = self._with_system(conversation.turns)
        try:
            script = self._script(turns, prompt=prompt, open_end=open_end)
            tokens = self._tokens(script, 0, len(script.text))
        except ValueError as error:
            without_place = turns[0].role == "system" and not self.template.has_system_role
            raise BadSample(
                f"{conversation.key}: {error}", "system turn" if without_place else "cannot be encoded"
            ) from error
        return self._labelled(Encoded(conversation.key, images=conversation.images), script, tokens)

    def _with_system(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        if (
            self.system is None
            or turns[0].role == "system"
            or not (self.system.strip() or self.template.has_system_role)
        ):
            return turns
        return (Turn("system", self.system), *turns)

    def _script(self, turns: Sequence[Turn], *, prompt: bool = False, open_end: bool = False) -> _Script:
        """The text up to where the answer begins (`prompt`), or into it (`open_end`), or all of it."""
        roles = tuple(turn.role for turn in turns)
        blanks = tuple(None if turn.role == "assistant" or turn.text.strip() else turn.text for turn in turns)
        script, after, ending, mark = _Script(), "", "", 0
        for number in [*(number for number, role in enumerate(roles) if role == "assistant"), len(turns)]:
            at_end = number == len(turns)
            if at_end and roles[-1] == "assistant":
                if open_end:
                    break
                script.text += after
            else:
                asks = prompt or not at_end
                contents, opening = self.template.asked(roles[:number], blanks[:number], asks)
                for content in contents:
                    script.write(turns[content.number], content, self._markup)
                script.text += opening
                script.asked += [len(script.text)] * asks
            if script.answers:
                script.end_answer(ending, mark)
            if not at_end:
                content, after = self.template.answered(roles[: number + 1], blanks[: number + 1])
                ending, mark = self._ending(after)
                script.answers.append(_Answer(turns[number], len(script.text)))
                script.write(turns[number], content, self.special_ids | {mark})
                script.answers[-1].end = len(script.text)
        return script

    def _ending(self, text: str) -> tuple[str, int]:
        """What ends an answer: the template's text up to its first control token, and that token. ("", eos) without one."""
        for id_, _, end in self._piece(text, 0, len(text)):
            if id_ in self._control:
                return text[:end], id_
        if self.tokenizer.eos_token_id is None:
            raise ValueError(
                "the LLM's chat template ends answers without a control token, and its tokenizer has no eos_token; set "
                "tokenizer.eos_token, or generation would never stop"
            )
        return "", self.tokenizer.eos_token_id

    @cached_property
    def written_ids(self) -> frozenset[int]:
        """What the template itself writes around a question and its answer."""
        asked, opening = self.template.asked(("user",), (None,))
        answer, ending = self.template.answered(("user", "assistant"), (None, None))
        texts = (*(content.before for content in asked), opening, answer.before, ending)
        return frozenset({id_ for text in texts for id_, _, _ in self._piece(text, 0, len(text))} | {self.end_id})

    @cached_property
    def _markup(self) -> frozenset[int]:
        """Special tokens, and the added ones that the template writes: no question may bring one of them."""
        return self.special_ids | (self._control & self.written_ids)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _tokens(self, script: _Script, low: int, high: int) -> list[_Token]:
        """Of a part of the text: in one piece, or cut at the last place that needs it and so on, on both sides of it."""
        tokens = self._piece(script.text, low, high)
        cut = max((*self._typed(script, tokens), *self._straddled(script, tokens)), default=None)
        if cut is None:
            return tokens
        return self._tokens(script, low, cut) + self._tokens(script, cut, high)

    def _piece(self, text: str, low: int, high: int) -> list[_Token]:
        """Tokens of text[low:high], read as what goes on there."""
        for anchor in (*_ANCHORS, "") if low else ("",):
            try:
                encoding = self._fast.encode(anchor + text[low:high], add_special_tokens=False)
            except (TypeError, UnicodeError) as error:
                raise ValueError(_half_a_character(text) or str(error)) from error
            shift = low - len(anchor)
            tokens = [(id_, start + shift, end + shift) for id_, (start, end) in zip(encoding.ids, encoding.offsets)]
            if self._greedy:
                tokens = [_without_blanks(token, text) if token[0] in self._control else token for token in tokens]
            first = _first_at(tokens, low)
            if not anchor or first == len(tokens) or tokens[first][1] >= low:
                break
        return tokens[first:] if anchor else tokens

    def _straddled(self, script: _Script, tokens: list[_Token]) -> Iterator[int]:
        """Places where an answer is asked for, or an image stands, that lie inside a token."""
        for places, is_image in ((script.asked, False), (script.images, True)):
            for place in places:
                if not tokens or not tokens[0][1] < place < tokens[-1][2]:
                    continue
                index = _first_at(tokens, place)
                _, start, _ = tokens[index]
                last, _, end = tokens[index - 1] if index else (None, 0, place)
                if start < place:
                    # The blank that most vocabularies put before a word: an image stands before it just as well.
                    if not is_image or script.text[start:place].strip(" "):
                        yield place
                elif end < place and last not in self._control:
                    yield place  # blanks on both sides that were taken for one

    def _typed(self, script: _Script, tokens: list[_Token]) -> Iterator[int]:
        """Places inside control tokens that somebody typed: cut there, they are text."""
        for id_, start, end in tokens:
            if id_ not in self._control or end - start < 2:
                continue
            if id_ == self.tokenizer.unk_token_id and script.text[start:end] != self.tokenizer.unk_token:
                continue  # it stands for what the vocabulary lacks
            for low, high, forbidden in script.contents:
                if id_ in forbidden and max(low, start) < min(high, end):
                    yield start + 1

    def word_ids(self, text: str) -> list[int]:
        """The ids of words as they stand inside a text, without what a tokenizer puts before a text of its own."""
        script = _Script("\n" + text, [(1, 1 + len(text), self.special_ids)])
        return [id_ for id_, _, _ in self._tokens(script, 1, len(script.text))]

    def _labelled(self, encoded: Encoded, script: _Script, tokens: list[_Token]) -> Encoded:
        ids = [id_ for id_, _, _ in tokens]
        labels = [IGNORE] * len(ids)
        spans = []
        for answer in script.answers:
            start, end = _first_at(tokens, answer.start), bisect_left(tokens, answer.end, key=itemgetter(1))
            labels[start:end] = ids[start:end]
            if answer.mark is not None:
                if end == len(ids):
                    ids.append(answer.mark)
                    labels.append(IGNORE)
                labels[end] = answer.mark
                end += 1
            spans.append((answer.turn, start, end))
        shown = [_first_at(tokens, place) for place in script.images]
        counts = [self.latents_of(name) for name in encoded.images]
        for index, count in zip(reversed(shown), reversed(counts)):
            ids[index:index] = [self.image_token_id] * count
            labels[index:index] = [IGNORE] * count
        if self.frame_latents is not None:
            encoded.latents = tuple(counts)
        encoded.ids, encoded.labels, encoded.text, encoded.places = ids, labels, script.text, tuple(script.images)
        for turn, start, end in spans:
            shift = sum(counts[: bisect_right(shown, start)])
            encoded.targets.append((turn, start + shift, end + shift))
        return encoded

    # --- length -------------------------------------------------------------------------------------------------------

    def _fit(self, conversation: Conversation, max_length: int | None, **walk: bool) -> Encoded:
        """Drops the oldest question and answer until it fits; their images move on to the next question.

        Half a turn would teach half an answer, so text goes turn by turn. Image positions and the last turn stay.
        """
        while True:
            encoded = self._walk(conversation, **walk)
            if max_length is None or len(encoded.ids) <= max_length:
                return encoded
            shorter = _without_oldest_pair(conversation)
            if shorter is None:
                raise BadSample(
                    f"{conversation.key}: {len(encoded.ids)} tokens, {sum(map(self.latents_of, encoded.images))} of them image "
                    f"positions, and nothing left to shorten; the limit max_length is {max_length}",
                    "too long",
                )
            conversation = shorter


def _without_blanks(token: _Token, text: str) -> _Token:
    """Some control tokens take the white space beside them; it stands for nothing then."""
    id_, start, end = token
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return id_, start, end


def _first_at(tokens: list[_Token], place: int) -> int:
    """Index of the first token of what stands at `place` or behind it. It may begin before it, see `_straddled`."""
    index = bisect_right(tokens, place, key=itemgetter(2))
    while index and tokens[index - 1][1] >= place:  # tokens of no characters
        index -= 1
    return index


def _half_a_character(text: str) -> str | None:
    found = _HALF_CHARACTER.search(text)
    if found is None:
        return None
    around = text[max(0, found.start() - 20) : found.end() + 20]
    return f"half a character (the lone surrogate {found[0]!a}) in {around!a}; mend the text, or leave the sample out"


ROOM = 16


def free_id(tokenizer: Any, num_rows: int) -> int:
    """An id that no text can produce and that has none of `num_rows` embeddings, also where others, as transformers'
    decision pipeline does, give the tokenizer a few more tokens.
    """
    return max(num_rows, 1 + max(tokenizer.get_vocab().values())) + ROOM


def _without_oldest_pair(conversation: Conversation) -> Conversation | None:
    questions = sum(turn.role == "user" for turn in conversation.turns)
    return conversation.with_pairs(range(1, questions)) if questions > 1 else None
