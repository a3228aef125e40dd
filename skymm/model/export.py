"""A trained model for others: whole, with its adapter merged into the LLM, or the adapter alone as peft has it."""

from __future__ import annotations

import shutil
from pathlib import Path

from skymm.files import whole_directory
from skymm.model import lora
from skymm.model.build import open_model
from skymm.model.checkpoint import ADAPTER, INSIDE, llm_fingerprint


def export_merged(directory: str | Path, out: str | Path, *, trust_remote_code: bool = False) -> Path:
    """Write a model without an adapter, with its own LLM in OUT/llm: it loads without peft and without the LLM it was
    trained from. Towers stay where they are named.

    Answers are the same up to the rounding of the LLM's dtype. Raises ValueError where OUT is there already, for a model
    without an adapter, and for an LLM in 4 bits.
    """
    model, processor = open_model(directory, trust_remote_code=trust_remote_code)
    config = model.config
    if not config.lora:
        raise ValueError(f"{directory} has no adapter to merge; it is as it is")
    lora.merge(model.language_model)
    with whole_directory(Path(out)) as partial:
        model.language_model.save_pretrained(partial / INSIDE)
        processor.tokenizer.save_pretrained(partial / INSIDE)
        config.llm, config.llm_revision, config.lora = INSIDE, None, None
        config.llm_fingerprint = llm_fingerprint(str(partial / INSIDE))
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
    return Path(out)


def export_adapter(directory: str | Path, out: str | Path) -> Path:
    """Copy the adapter, which lies there as peft writes it: `PeftModel.from_pretrained(llm, OUT)` puts it onto the bare LLM.
    The resampler is no part of it, so that LLM has no eyes.

    Raises ValueError where there is none, or where OUT is there already.
    """
    source = Path(directory) / ADAPTER
    if not source.is_file():
        raise ValueError(f"{directory} has no adapter; expected {ADAPTER} in it")
    with whole_directory(Path(out)) as partial:
        for path in source.parent.iterdir():
            shutil.copy2(path, partial / path.name)
    return Path(out)
