"""A checkpoint is a delta and is complete: one directory, one writer, one reader that names what is missing.

config.json            names, revisions and hashes of the frozen parts; sizes of the trained ones
resampler.safetensors  the resampler
lora/                  the adapter, in peft's own format (absent when there is none)
processor_config.json, tokenizer files   written by the processor
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from skymm import assets
from skymm.model import language
from skymm.model import lora as adapter
from skymm.model.configuration import SkyMMConfig
from skymm.model.vision import load_tower

RESAMPLER, LORA = "resampler.safetensors", "lora"


def save_model(model, directory: str | Path) -> None:
    """Write the delta. The processor saves itself beside it with its own `save_pretrained`."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(directory)
    model.generation_config.save_pretrained(directory)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.resampler.state_dict().items()}
    save_file(state, directory / RESAMPLER, metadata={"format": "pt"})
    if model.config.lora:
        description = adapter.peft_config(model.language_model, model.config.lora, name=model.config.llm)
        description.save_pretrained(str(directory / LORA))
        state = {name: tensor.detach().cpu() for name, tensor in adapter.state_dict(model.language_model).items()}
        # The names that peft itself writes, so that the adapter also loads onto the bare LLM.
        save_file(
            {f"base_model.model.{n}": t for n, t in state.items()}, directory / LORA / "adapter_model.safetensors"
        )


def load_model(model_class: Any, name: str, *, lora: bool = True, **kwargs: Any) -> Any:
    """A `model_class` from a directory (or hub id) written by `save_model`, in eval mode.

    Args:
        lora: False leaves the adapter out, to see the bare LLM behind the same resampler.
        kwargs: dtype ("auto": as it was trained), attn_implementation, device_map ("cpu", "cuda", ...), config,
            token/revision of a hub id.

    Raises ValueError that names whatever is missing, and when a frozen part is not the one it was trained with.
    """
    directory = _local(name, kwargs)
    config = kwargs.get("config")
    if not isinstance(config, SkyMMConfig):
        config = SkyMMConfig.from_pretrained(directory)
    dtype = kwargs.get("dtype") or kwargs.get("torch_dtype") or "auto"
    if dtype == "auto":
        dtype = config.dtype or torch.float32
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    device = kwargs.get("device_map") or "cpu"
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if isinstance(device, dict):
        device = device.get("", "cpu")
    llm = language.load_llm(
        assets.resolve_llm(config.llm),
        dtype=dtype,
        attention=kwargs.get("attn_implementation") or "auto",
        device=device,
        revision=config.llm_revision,
        quantization=config.quantization,
    )
    specs = [{key: tower[key] for key in ("name", "image_size", "layer", "revision")} for tower in config.towers]
    for spec in specs:
        if spec["name"] == assets.EMBEDDED_TOWER:
            spec["revision"] = None
    towers = [load_tower(spec, dtype=config.dtype or torch.float32) for spec in specs]
    for tower, expected in zip(towers, config.tower_fingerprints):
        if tower.fingerprint() != expected:
            raise ValueError(
                f"{name}: tower {tower.name} has fingerprint {tower.fingerprint()}, this model was trained with {expected}; "
                "its weights or preprocessing have changed"
            )
    model = model_class(config, towers=[tower.to(dtype) for tower in towers], language_model=llm)
    model.resampler.load_state_dict(_read(directory / RESAMPLER))
    if config.lora:
        state = _read(directory / LORA / "adapter_model.safetensors")
        state = {key.removeprefix("base_model.model."): tensor.to(dtype) for key, tensor in state.items()}
        adapter.load_state_dict(model.language_model, state)
        if not lora:
            model.language_model.disable_adapters()
    return model.to(device).eval()


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ValueError(f"{path} is missing; a model directory holds config.json, {RESAMPLER} and, with LoRA, {LORA}/")
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own type for every kind of damage
        raise ValueError(f"{path} is damaged ({error}); copy the model directory again") from error


def _local(name: str, kwargs: dict[str, Any]) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir() and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        from huggingface_hub import snapshot_download

        path = Path(snapshot_download(name, revision=kwargs.get("revision"), token=kwargs.get("token")))
    config = path / "config.json"
    if not config.is_file():
        raise ValueError(f"{path} is not a model directory: {config.name} is missing")
    if json.loads(config.read_text("utf-8")).get("model_type") != SkyMMConfig.model_type:
        raise ValueError(f"{path} holds another kind of model, expected model_type {SkyMMConfig.model_type!r}")
    return path
