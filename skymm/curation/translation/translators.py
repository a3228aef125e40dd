"""What a translator is, and models of transformers that are run on this machine, always in the same shapes.

What a model says about a text must not depend on the texts beside it. Sums in another order differ in their last digits, and
a kernel sums in another order for another shape; between two words that are equally likely this decides. So a text is always
computed in the shape that follows from its own length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from skymm.curation.translation.protect import BRACKETS, LETTERS, Markers

NAMES = {"en": "English", "zh": "Chinese"}
SHORTEST = 16  # tokens that a text is padded to at least
_ENDS = 1 << 20  # bytes
# Of a model's generation settings only these are kept: the rest is about sampling, beams and penalties, and decoding here is
# plain and greedy. `forced_eos_token_id` goes too: it would make an answer that was cut off look finished.
_KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "bad_words_ids", "suppress_tokens")


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


# --- models of transformers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode on its device. `revision` changes with its files."""

    model: Any
    tokenizer: Any
    revision: str


def load(source: str) -> Loaded:
    """`source`: a directory or hub id. Encoder-decoder models in fp32, since half precision spoils some of them; others in
    their own precision on a GPU. Raises ValueError for what cannot be loaded.
    """
    import torch
    import transformers

    source = source.removeprefix("hf:")
    if not Path(source).is_dir() and (source.count("/") != 1 or source.startswith((".", "/", "~"))):
        raise ValueError(
            f"translation.model: no directory at {source}; expected a directory, a hub id (OWNER/NAME) or openai:URL#MODEL"
        )
    config = _try(source, lambda: transformers.AutoConfig.from_pretrained(source))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    both = bool(config.is_encoder_decoder)
    model_class = transformers.AutoModelForSeq2SeqLM if both else transformers.AutoModelForCausalLM
    dtype = torch.float32 if both or device == "cpu" else "auto"
    tokenizer = _try(source, lambda: transformers.AutoTokenizer.from_pretrained(source))
    model = _try(source, lambda: model_class.from_pretrained(source, dtype=dtype)).to(device).eval()
    settings = {name: getattr(model.generation_config, name, None) for name in _KEPT}
    model.generation_config = transformers.GenerationConfig(**settings)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Loaded(model, tokenizer, getattr(config, "_commit_hash", None) or fingerprint(Path(source)))


def fingerprint(directory: Path) -> str:
    """16 hex digits over names, sizes and both ends of the files: in no time for large models, and changed by training."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith(".")):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(0, size - _ENDS))
            digest.update(file.read(_ENDS))
    return digest.hexdigest()[:16]


def _try(source: str, load_part: Callable[[], Any]) -> Any:
    try:
        return load_part()
    except (ImportError, OSError, ValueError, KeyError) as error:
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if isinstance(error, ImportError):
            raise ValueError(
                f"translation.model: {source} needs a package that is not installed: {why}; "
                'pip install "skymm[translation]" has those of the usual models'
            ) from error
        raise ValueError(
            f"translation.model: {source} cannot be loaded: {why}; "
            "expected a translation model or a chat model of transformers"
        ) from error


class LocalTranslator(Translator):
    """Greedy; an answer that finds no end is "". `rows` texts are computed at a time, `batch_size` are wanted."""

    def __init__(self, loaded: Loaded, *, name: str, rows: int, max_new_tokens: int):
        self.model, self.tokenizer, self.revision = loaded.model, loaded.tokenizer, loaded.revision
        self.name, self.rows, self.max_new_tokens = name, rows, max_new_tokens

    def write(
        self,
        prompts: Sequence[list[int]],
        *,
        left: bool,
        limit: int,
        most: Callable[[int], int],
        begins_at: Callable[[int], int],
        **options: Any,
    ) -> list[str]:
        """An answer per prompt (tokens); prompts of more than `limit` tokens are not asked and have the answer "".

        Padded on the `left` or right. Of the length L that prompts are padded to follow how many new tokens there are at
        `most`, and the place in a row of `generate` from which an end is looked for.
        """
        import torch

        answers = [""] * len(prompts)
        ends, pad = self._ends(), self.tokenizer.pad_token_id
        short = [index for index, prompt in enumerate(prompts) if len(prompt) <= limit]
        for length, chosen in fixed_batches([len(prompts[index]) for index in short], self.rows):
            length = min(length, limit)
            batch = [prompts[short[index]] for index in chosen]
            filling = [length - len(tokens) for tokens in batch]
            ids = [[pad] * n + tokens if left else tokens + [pad] * n for tokens, n in zip(batch, filling)]
            ones = [[1] * len(tokens) for tokens in batch]
            mask = [[0] * n + seen if left else seen + [0] * n for seen, n in zip(ones, filling)]
            with torch.inference_mode():
                written_RL = self.model.generate(
                    input_ids=torch.tensor(ids, device=self.model.device),
                    attention_mask=torch.tensor(mask, device=self.model.device),
                    max_new_tokens=most(length),
                    **options,
                )
            answered = [row[begins_at(length) :] for row in written_RL.tolist()]
            said = self.tokenizer.batch_decode(
                [row if ends & set(row) else [] for row in answered], skip_special_tokens=True
            )
            for index, text in zip(chosen, said):
                answers[short[index]] = text.strip()
        return answers

    def _ends(self) -> set[int]:
        """Tokens with which an answer ends."""
        ends = self.model.generation_config.eos_token_id
        ends = ends if ends is not None else self.tokenizer.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}


def padded_length(length: int) -> int:
    """16, 32, 48, 64, 96, 128, 192, ...: the next power of two, or the middle before it."""
    size = SHORTEST
    while size < length:
        size *= 2
    middle = size * 3 // 4
    return middle if size > 2 * SHORTEST and length <= middle else size


def fixed_batches(lengths: Sequence[int], batch_size: int) -> Iterator[tuple[int, list[int]]]:
    """(length to pad to, `batch_size` indices), the shortest first. Where too few are left, the last is repeated."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(padded_length(length), []).append(index)
    for length in sorted(by_length):
        indices = by_length[length]
        for start in range(0, len(indices), batch_size):
            part = indices[start : start + batch_size]
            yield length, part + part[-1:] * (batch_size - len(part))
