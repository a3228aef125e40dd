"""A trained model for others: whole, with its adapter merged into the LLM, as it is in half the size, or the adapter alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from skymm.files import whole_directory
from skymm.model import lora
from skymm.model.build import open_model
from skymm.model.chat import free_id
from skymm.model.checkpoint import ADAPTER, INSIDE, TOWER_INSIDE, llm_fingerprint, save_model, trained_names
from skymm.model.configuration import SkyMMConfig
from skymm.model.patch_encoder import load_tower, save_tower
from skymm.model.remote_code import AUTO_MAP, write_code

DECISION = "decision.json"
"""Settings of transformers' decision pipeline."""


def export_merged(directory: str | Path, out: str | Path, *, trust_remote_code: bool = False) -> Path:
    """Write a model without an adapter, with its own LLM in OUT/llm: it loads without peft and without the LLM it was
    trained from. Towers stay where they are named.

    Answers are the same up to the rounding of the LLM's dtype. Raises ValueError where OUT is there already, for a model
    without an adapter, and for an LLM in 4 bits.
    """
    model, processor = open_model(directory, trust_remote_code=trust_remote_code)
    if not model.config.lora and "llm" not in model.config.unfrozen:
        raise ValueError(f"{directory} has no adapter to merge; it is as it is")
    with whole_directory(Path(out)) as partial:
        _write_merged(model, processor, partial)
    return Path(out)


def export_whole(model: Any, processor: Any, out: Path) -> None:
    """Write the model, merging its adapter, so that it needs nothing else: no skymm and no peft (its code lies in OUT/code),
    no LLM and no towers from elsewhere. Beside it lies what transformers' decision pipeline reads.

    Raises ValueError for an LLM in 4 bits.
    """
    config = model.config
    for index, tower in enumerate(config.towers):
        name = TOWER_INSIDE.format(index)
        spec = {key: tower[key] for key in ("name", "image_size", "layer", "revision")}
        save_tower(load_tower(**spec, dtype=None), out / name)
        config.towers[index] = tower | {"name": name, "revision": None}
    processor.towers = config.towers
    rows = model.get_input_embeddings().weight.shape[0]
    config.image_token_id = processor.image_token_id = free_id(processor.tokenizer, rows)
    config.auto_map = AUTO_MAP
    _write_merged(model, processor, out)
    described = out / "processor_config.json"
    settings = json.loads(described.read_text("utf-8")) | {"auto_map": {"AutoProcessor": AUTO_MAP["AutoProcessor"]}}
    _write_json(described, settings)
    write_code(out)
    _write_json(out / DECISION, {"labels": processor.decision_labels()})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _write_merged(model: Any, processor: Any, out: Path) -> None:
    config = model.config
    if config.lora:
        lora.merge(model.language_model)
    model.language_model.save_pretrained(out / INSIDE)
    processor.tokenizer.save_pretrained(out / INSIDE)
    config.llm, config.llm_revision, config.lora = INSIDE, None, None
    config.unfrozen = [part for part in config.unfrozen if part != "llm"]  # what was trained of it lies there
    config.llm_fingerprint = llm_fingerprint(str(out / INSIDE))
    model.save_pretrained(out)
    processor.save_pretrained(out)


def export_half(directory: str | Path, out: str | Path) -> Path:
    """Write the model as it is, what was trained of it in bfloat16: half the size, for others to download. Trained parts are
    computed in float32 again when it is opened. Raises ValueError where OUT is there already.
    """
    model, processor = open_model(directory)
    state = model.state_dict()
    half = {name: state[name].to(torch.bfloat16) for name in trained_names(model)}
    with whole_directory(Path(out)) as partial:
        save_model(model, partial, state=half)
        processor.save_pretrained(partial)
    return Path(out)


def export_adapter(directory: str | Path, out: str | Path) -> Path:
    """Copy the adapter, which lies there as peft writes it: `PeftModel.from_pretrained(llm, OUT)` puts it onto the bare LLM.
    The resampler is no part of it, so that LLM has no eyes.

    Raises ValueError where there is none, where the LLM was trained with it, or where OUT is there already.
    """
    source = Path(directory) / ADAPTER
    if not source.is_file():
        raise ValueError(f"{directory} has no adapter; expected {ADAPTER} in it")
    if "llm" in SkyMMConfig.from_pretrained(directory).unfrozen:
        raise ValueError(f"{directory}: the LLM was trained too, and the bare one is another; merge them (--merge)")
    with whole_directory(Path(out)) as partial:
        for path in source.parent.iterdir():
            shutil.copy2(path, partial / path.name)
    return Path(out)
