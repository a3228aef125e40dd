"""Models of transformers, from a directory or the hub, and what of them an answer depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENDS = 1 << 20  # bytes
# Of a model's generation settings only these are kept: the rest is about sampling, beams and penalties, and decoding here is
# plain and greedy. `forced_eos_token_id` goes too: it would make an answer that was cut off look finished.
_KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "bad_words_ids", "suppress_tokens")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode on its device. `revision` changes with its files."""

    model: Any
    tokenizer: Any
    revision: str

    @property
    def end_tokens(self) -> set[int]:
        """Tokens with which an answer ends."""
        ends = self.model.generation_config.eos_token_id
        ends = ends if ends is not None else self.tokenizer.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}


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
    revision = getattr(config, "_commit_hash", None) or fingerprint(Path(source))
    return Loaded(model, tokenizer, revision)


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
    except ImportError as error:
        raise ValueError(
            f"translation.model: {source} needs a package that is not installed: {_first_line(error)}; "
            'pip install "skymm[translation]" has those of the usual models'
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"translation.model: {source} cannot be loaded: {_first_line(error)}; "
            "expected a translation model or a chat model of transformers"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
