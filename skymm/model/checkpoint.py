"""A checkpoint is a delta and is complete: one directory, one writer, one reader that names what is missing.

config.json            names, revisions and hashes of the frozen parts; sizes of the trained ones
resampler.safetensors  the resampler
lora/                  the adapter, in peft's own format (absent when there is none)
unfrozen.safetensors   all weights of towers or LLM, where a stage has trained them; loaded over the frozen ones
model.safetensors.index.json             which file has which weight, for trainers that resume by it
processor_config.json, tokenizer files   written by the processor
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.utils.hub import cached_file

from skymm.model import language
from skymm.model import lora as adapter
from skymm.model.configuration import SkyMMConfig
from skymm.model.named import assets_for, resolve_llm
from skymm.model.patch_encoder import load_tower
from skymm.model.vision import Tower

RESAMPLER, ADAPTER, INDEX = "resampler.safetensors", "lora/adapter_model.safetensors", "model.safetensors.index.json"
UNFROZEN, GENERATION = "unfrozen.safetensors", "generation_config.json"
INSIDE, TOWER_INSIDE = "./llm", "./towers/{}"
"""Where the frozen parts of an exported model lie: inside its directory."""
_PEFT, _PLACE = "base_model.model.", "language_model."


def name_in_model(name: str) -> str:
    """The name of a weight in one of our files -> its name in `state_dict()`, which it may have already."""
    if name.startswith(_PEFT):
        for part in ("lora_A", "lora_B"):
            name = name.replace(f".{part}.weight", f".{part}.default.weight")
        if name.endswith(".lora_magnitude_vector"):  # DoRA's lengths
            name += ".default.weight"
        return _PLACE + name.removeprefix(_PEFT)
    return name if name.startswith(("towers.", "resampler.", _PLACE)) else f"resampler.{name}"


def trained_names(model: Any) -> list[str]:
    """What a checkpoint holds, under the names of `model.state_dict()`."""
    added = [name for name in model.state_dict() if name.startswith("resampler.") or "lora_" in name]
    return added + unfrozen_names(model)


def unfrozen_names(model: Any) -> list[str]:
    """Weights of the parts in `config.unfrozen`. Parameters only: a tied one is there once, and buffers never change."""
    places = tuple({"towers": "towers.", "llm": _PLACE}[part] for part in model.config.unfrozen)
    return [name for name, _ in model.named_parameters() if name.startswith(places) and "lora_" not in name]


def refuse(what: str, given: Mapping[str, Any], *, fine: Mapping[str, Any]) -> None:
    """Raises ValueError for a keyword that would change nothing. None and False ask for nothing, and `fine` is done anyhow."""
    for name, value in given.items():
        if value is not None and value is not False and (name not in fine or value != fine[name]):
            raise ValueError(f"{what} does nothing with {name}={value!r}; leave it out")


def save_model(
    model: Any, directory: str | Path, *, state: Mapping[str, torch.Tensor] | None = None, **kwargs: Any
) -> None:
    """Write the delta. The processor saves itself beside it with its own `save_pretrained`.

    `state` holds the weights instead of the model where they are spread over ranks. Raises ValueError where a part that the
    delta does not hold is trainable: it would be lost.
    """
    refuse("save_pretrained of SkyMM", kwargs, fine={"safe_serialization": True, "save_peft_format": True})
    kept = set(trained_names(model))
    lost = next((name for name, one in model.named_parameters() if one.requires_grad and name not in kept), None)
    if lost:
        raise ValueError(
            f"{lost} is trainable, and this checkpoint holds {', '.join(['the resampler', 'LoRA', *model.config.unfrozen])} "
            'only: what it learned would be lost. Train model.freeze_for(["resampler", "lora"]), with "towers" or "llm"'
        )
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(directory)
    model.generation_config.save_pretrained(directory)
    weights = model.state_dict() if state is None else state
    weights = {name: weights[name].detach().cpu().contiguous() for name in trained_names(model)}
    unfrozen = {name: weights[name] for name in unfrozen_names(model)}
    places = {name: ADAPTER if "lora_" in name else UNFROZEN if name in unfrozen else RESAMPLER for name in weights}
    resampler = {name.removeprefix("resampler."): weights[name] for name in weights if places[name] == RESAMPLER}
    save_file(resampler, directory / RESAMPLER, metadata={"format": "pt"})
    if unfrozen:
        save_file(unfrozen, directory / UNFROZEN, metadata={"format": "pt"})
    size = sum(one.numel() * one.element_size() for one in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (directory / INDEX).write_text(json.dumps(index, indent=2), "utf-8")
    if model.config.lora:
        description = adapter.peft_config(model.language_model, model.config.lora, name=model.config.llm)
        description.save_pretrained(str((directory / ADAPTER).parent))
        # The names that peft itself writes, so that the adapter also loads onto the bare LLM.
        by_name = {name_in_model(_PEFT + name): _PEFT + name for name in adapter.state_dict(model.language_model)}
        save_file({by_name[name]: weights[name] for name in weights if "lora_" in name}, directory / ADAPTER)


def load_model(
    model_class: Any,
    name: str,
    *,
    lora: bool = True,
    dtype: torch.dtype | str | None = None,
    attn_implementation: str | None = None,
    device_map: Any = None,
    quantization_config: Any = None,
    config: SkyMMConfig | None = None,
    llm: str | None = None,
    towers: Sequence[str] | None = None,
    trust_remote_code: bool | None = None,
    **kwargs: Any,
) -> Any:
    """A `model_class` from a directory (or hub id) written by `save_model`, in eval mode.

    Args:
        lora: False leaves the adapter out, to see the bare LLM behind the same resampler.
        dtype: "auto", or None: as it was trained. attn_implementation: of the LLM. device_map: one device for the whole
            model, "auto": a GPU where there is one. quantization_config: transformers' own, for the LLM (bitsandbytes, ...).
        llm, towers: where the frozen parts lie now, if they were moved; `relocate` writes that down.
        trust_remote_code: run the code that lies beside the weights of the LLM or a tower, where the model needs it.
        kwargs: revision, token, cache_dir, local_files_only, force_download of a hub id.

    Raises ValueError that names whatever is missing, when a frozen part is not the one it was trained with, and for every
    other keyword that asks for something.
    """
    hub = {
        key: kwargs.pop(key, None) for key in ("revision", "token", "cache_dir", "local_files_only", "force_download")
    }
    dtype = dtype or kwargs.pop("torch_dtype", None) or "auto"
    kwargs.pop("adapter_kwargs", None)  # AutoModel's own, as are the names with an underscore
    kwargs = {key: value for key, value in kwargs.items() if not key.startswith("_")}
    refuse("from_pretrained of SkyMM", kwargs, fine={"use_safetensors": True, "weights_only": True})
    directory = _local(name, {key: value for key, value in hub.items() if value is not None})
    if not isinstance(config, SkyMMConfig):
        config = SkyMMConfig.from_pretrained(directory)
    config.name_or_path = name  # trainers open a reference model by it
    _look_inside(config, directory)
    if dtype == "auto":
        dtype = config.dtype or torch.float32
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    if config.trust_remote_code and not trust_remote_code:
        raise ValueError(
            f"{name} runs Python code that lies beside the weights of {config.llm} or of a tower; read it, then open the "
            "model with trust_remote_code=True"
        )
    device, trusted = _device(device_map), config.trust_remote_code
    _name_anew(config, llm, towers)
    _check_llm(config, name)
    language_model = language.load_llm(
        _found(resolve_llm, config.llm, name),
        dtype=dtype,
        # AutoModel hands it over in the configuration.
        attention=attn_implementation or config._attn_implementation or "auto",
        device=device,
        revision=config.llm_revision,
        quantization=quantization_config or config.quantization,
        trust_remote_code=trusted,
    )
    eyes = _load_towers(config, name, dtype, trusted)
    model = model_class(config, towers=eyes, language_model=language_model)
    if (directory / GENERATION).is_file():  # it may name an end that the LLM's own does not, see `stop_at`
        saved = json.loads((directory / GENERATION).read_text("utf-8"))
        model.generation_config.eos_token_id = saved.get("eos_token_id")
    model.resampler.load_state_dict(_read(directory / RESAMPLER))
    if config.unfrozen:
        _load_unfrozen(model, directory / UNFROZEN)
    if config.lora:
        state = _read(directory / ADAPTER)
        state = {key.removeprefix(_PEFT): tensor.to(dtype) for key, tensor in state.items()}
        adapter.load_state_dict(model.language_model, state)
        if not lora:
            model.language_model.disable_adapters()
    return model.to(device).eval()


@torch.no_grad()
def _load_unfrozen(model: Any, path: Path) -> None:
    state, own = _read(path), dict(model.named_parameters())
    if different := sorted(set(state) ^ set(unfrozen_names(model))):
        raise ValueError(
            f"{path} does not hold the weights of {', '.join(model.config.unfrozen)}: {different[0]} and "
            f"{len(different) - 1} more are missing or too many; copy the model directory again"
        )
    for name, tensor in state.items():
        own[name].copy_(tensor)


def relocate(directory: str | Path, *, llm: str | None = None, towers: Sequence[str] | None = None) -> list[Path]:
    """Write down where the frozen parts of a model lie now: in all model directories inside `directory`, which are returned.

    Raises ValueError when what lies there are other weights, and then nothing is written.
    """
    found = []
    for path in sorted(Path(directory).rglob("config.json")):
        if json.loads(path.read_text("utf-8")).get("model_type") == SkyMMConfig.model_type:
            config = SkyMMConfig.from_pretrained(path.parent)
            _name_anew(config, llm, towers)
            found.append((path.parent, config))
    if not found:
        raise ValueError(f"{directory} holds no model; name a model directory, or a run with models in it")
    if towers:
        _load_towers(found[0][1], str(directory), torch.float32, config.trust_remote_code)
    for path, config in found:
        _check_llm(config, str(path))
    for path, config in found:
        config.save_pretrained(path)
    return [path for path, _ in found]


def _look_inside(config: SkyMMConfig, directory: Path) -> None:
    """Frozen parts that an export has put into the directory, by their full names."""
    if config.llm == INSIDE:
        config.llm = str(directory / INSIDE)
    for index, tower in enumerate(config.towers):
        if tower["name"] == TOWER_INSIDE.format(index):
            config.towers[index] = tower | {"name": str(directory / tower["name"])}


def _name_anew(config: SkyMMConfig, llm: str | None, towers: Sequence[str] | None) -> None:
    if llm is not None:
        config.llm, config.llm_revision = llm, None
    if towers is not None:
        if len(towers) != len(config.towers):
            raise ValueError(f"found {len(towers)} names of towers, expected {len(config.towers)}, in their order")
        config.towers = [tower | {"name": name} for tower, name in zip(config.towers, towers)]


def _check_llm(config: SkyMMConfig, name: str) -> None:
    found = _found(lambda llm: llm_fingerprint(llm, config.llm_revision), config.llm, name)
    if config.llm_fingerprint and found and found != config.llm_fingerprint:
        raise ValueError(
            f"{name}: the weights of llm {config.llm} have fingerprint {found}, this model was trained with "
            f"{config.llm_fingerprint}; they have been replaced, or another LLM lies there; give the one it was trained "
            f"with, {_MOVED}"
        )


def _load_towers(config: SkyMMConfig, name: str, dtype: torch.dtype, trusted: bool) -> list[Tower]:
    def load(tower: Mapping[str, Any]) -> Tower:
        spec = {key: tower[key] for key in ("name", "image_size", "layer", "revision")}
        return load_tower(**spec, dtype=dtype, trust_remote_code=trusted)

    eyes = []
    for known, expected in zip(config.towers, config.tower_fingerprints, strict=True):
        tower = _found(load, known, name)
        # Earlier checkpoints hold the fingerprint of the weights after they were cast.
        if expected not in (tower.fingerprint(), tower.fingerprint_as_cast()):
            raise ValueError(
                f"{name}: tower {tower.name} has fingerprint {tower.fingerprint()}, this model was trained with {expected}; "
                f"its weights or preprocessing have changed; give the one it was trained with, {_MOVED}"
            )
        eyes.append(tower)
    return eyes


_MOVED = "or, if it was moved, `skymm relocate MODEL --llm DIR` (--tower DIR), or from_pretrained(..., llm=DIR, towers=[DIR])"


def _found(find: Callable[[Any], Any], what: Any, name: str) -> Any:
    try:
        return find(what)
    except ValueError as error:
        if "found nothing at" not in str(error):
            raise
        raise ValueError(f"{name}: {error}; {_MOVED}") from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        others = f"with LoRA, lora/, with trained towers or LLM, {UNFROZEN}"
        raise ValueError(f"{path} is missing; a model directory holds config.json, {RESAMPLER} and, {others}")
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own type for every kind of damage
        raise ValueError(f"{path} is damaged ({error}); copy the model directory again") from error


def _device(device_map: Any) -> Any:
    if isinstance(device_map, dict) and set(device_map) == {""}:
        device_map = device_map[""]
    if isinstance(device_map, dict) or device_map in ("balanced", "balanced_low_0", "sequential"):
        raise ValueError(
            f"device_map is {device_map!r}: a SkyMM is loaded onto one device; expected cpu, cuda, cuda:1, auto, ..."
        )
    if device_map == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cpu" if device_map is None else device_map


def _local(name: str, hub: dict[str, Any]) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir() and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        from huggingface_hub import snapshot_download

        path = Path(snapshot_download(name, **hub))
    config = path / "config.json"
    if not config.is_file():
        raise ValueError(f"{path} is not a model directory: {config.name} is missing")
    if json.loads(config.read_text("utf-8")).get("model_type") != SkyMMConfig.model_type:
        raise ValueError(f"{path} holds another kind of model, expected model_type {SkyMMConfig.model_type!r}")
    return path


def delta_fingerprint(name: str) -> str:
    """Hash of the trained weights in a directory (or hub id). Raises ValueError where there is no model of ours."""
    digest = hashlib.sha256()
    for path in (_local(name, {}) / file for file in (RESAMPLER, ADAPTER, UNFROZEN)):
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]


# --- which weights an LLM has ---------------------------------------------------------------------------------------------

SAMPLE = 1 << 20
"""Bytes that are read of each tensor, all of it where it is smaller: 0.3 GB of a 7B, and a fine-tune changes every tensor."""
_NUM_PARTS = 256


def llm_fingerprint(name: str, revision: str | None = None) -> str | None:
    """16 hex digits that change with the weights of the LLM of that name; None where it has no files of a known kind.

    The same wherever the files lie, and in whichever width they are opened: names, types, shapes and samples of the values
    of all tensors, whichever file holds them; of pickled files, their bytes.
    """
    assets = assets_for(name)
    if assets and name == assets.EMBEDDED_LLM:
        return assets.LLM_WHEEL_SHA256[:16]
    source = resolve_llm(name)
    options = {"revision": revision, "local_files_only": True, "_raise_exceptions_for_missing_entries": False}

    def find(file: str) -> Path | None:
        found = cached_file(source, file, **options)
        return Path(found) if found else None

    files = [path for path in map(find, ("model.safetensors", "pytorch_model.bin")) if path][:1]
    for index in map(find, ("model.safetensors.index.json", "pytorch_model.bin.index.json")):
        if index and not files:
            names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            files = [path for path in map(find, sorted(names)) if path]
    if not files:
        return None
    parts: dict[str, bytes] = {}
    for path in files:
        parts |= _tensors(path) if path.suffix == ".safetensors" else {path.name: _sample(path, 0, path.stat().st_size)}
    digest = hashlib.sha256()
    for name, part in sorted(parts.items()):
        digest.update(name.encode() + part)
    return digest.hexdigest()[:16]


def _tensors(path: Path) -> dict[str, bytes]:
    """Of a safetensors file: eight bytes of length, a JSON header, then the values."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    parts = {}
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        parts[name] = f" {tensor['dtype']} {tensor['shape']}".encode() + _sample(path, 8 + size + start, end - start)
    return parts


def _sample(path: Path, start: int, length: int) -> bytes:
    part, places = length, [start]
    if length > SAMPLE:
        part = SAMPLE // _NUM_PARTS
        places = [start + (length - part) * index // (_NUM_PARTS - 1) for index in range(_NUM_PARTS)]
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for place in places:
            file.seek(place)
            digest.update(file.read(part))
    return digest.digest()
