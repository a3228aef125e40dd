"""Recipes: TOML files that say what a model is made of, how a stage trains it, and how it is judged.

Every field has one home and one default, here. An unknown key is an error that says where it stands, what is allowed
there, and which allowed key it resembles. No torch in this file, so mistakes are told at once.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TowerRecipe(_Strict):
    """A frozen vision encoder. None: what the checkpoint says."""

    name: str
    image_size: int | None = None
    layer: int | None = None
    revision: str | None = None


class ResamplerRecipe(_Strict):
    num_latents: int = Field(64, ge=1, description="LLM positions that one image takes")
    num_layers: int = Field(2, ge=1)
    num_heads: int = Field(8, ge=1)
    width: int = Field(512, ge=8)


class LoraRecipe(_Strict):
    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] = Field(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], min_length=1
    )


class ModelRecipe(_Strict):
    """Which frozen parts are joined, and by what. `llm` and tower names are hub ids, directories or the embedded default."""

    llm: str = "smollm2-135m-instruct"
    llm_revision: str | None = None
    towers: list[str | TowerRecipe] = ["efficientnet-lite0"]
    resampler: ResamplerRecipe = ResamplerRecipe()
    lora: LoraRecipe | None = LoraRecipe()
    system: str | None = Field(None, description='system turn of every conversation; "" saves its tokens')
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    scaled_decode: bool = Field(
        False, description="large JPEGs are decoded at 1/2 to 1/8: faster, slightly other pixels"
    )
    quantization: Literal["nf4"] | None = Field(None, description="nf4: the LLM in 4 bits (QLoRA, needs bitsandbytes)")


class SourceRecipe(_Strict):
    """Shards with their share of the mixture."""

    shards: str | list[str]
    weight: float = Field(1.0, gt=0)


class StageRecipe(_Strict):
    """One stage of training. Learning rates are peaks: linear warm-up over `warmup_steps`, level, linear to zero at the end."""

    out: str
    init: str | None = Field(None, description="run or model directory to start from; None: new resampler and LoRA")
    model: ModelRecipe | None = Field(None, description="only without init")
    objective: Literal["answers", "words"] = Field(
        "answers",
        description="answers: next token through the LLM; words: latents name what the answers say, without it",
    )
    trains: list[Literal["resampler", "lora"]] = ["resampler", "lora"]
    data: dict[str, SourceRecipe]
    negative_share: float | None = Field(None, ge=0, le=1, description="of the answers; None: as the shards have it")
    languages: list[Literal["en", "zh"]] = ["en", "zh"]
    steps: int = Field(ge=1)
    batch_size: int = Field(32, ge=1, description="conversations per step, over all processes")
    micro_batch_size: int | None = Field(None, ge=1, description="conversations per forward pass at most")
    micro_batch_tokens: int | None = Field(None, ge=8, description="positions per forward pass at most")
    attention: str = Field(
        "auto", description="auto, varlen, flash_attention_2, sdpa, eager, ... (attn_implementation)"
    )
    packing: bool | None = Field(
        None, description="several conversations in one row without padding; None: where the attention can"
    )
    max_turns: int | None = Field(None, ge=1, description="questions per conversation at most")
    max_length: int = Field(2048, ge=8)
    learning_rate: float = Field(1e-3, gt=0)
    lora_learning_rate: float | None = Field(None, gt=0, description="None: learning_rate")
    warmup_steps: int = Field(10, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    gradient_checkpointing: bool = Field(False, description="compute activations twice instead of keeping them")
    compile: bool = Field(False, description="torch.compile the LLM's layers: for runs of an hour and more")
    liger: bool = Field(False, description="Liger's fused head and cross entropy (CUDA)")
    seed: int = 0
    first_epoch: int = Field(
        0, ge=0, description="of the data's order; a run that begins with another's weights goes on"
    )
    save_every: int = Field(100, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    held_out: str | list[str] | None = Field(None, description="shards whose loss is measured and never trained on")
    held_out_every: int = Field(100, ge=1, description="steps; the checkpoint with the lowest held-out loss is kept")
    held_out_samples: int = Field(64, ge=1)
    max_skip_ratio: float = Field(0.01, ge=0, le=1)
    workers: int = Field(
        0, ge=0, description="data worker processes per rank; 0: samples are prepared between the steps"
    )
    features: str | None = Field(
        None,
        description='directory of a feature cache, or "shards": they lie beside the samples; None: towers run in every step',
    )
    features_precision: Literal["bfloat16", "int8"] = Field("bfloat16", description="of features that are written")
    trackers: list[Literal["tensorboard", "trackio", "swanlab", "wandb"]] = Field(
        [], description="where the numbers of every step are shown as well, besides log.jsonl"
    )


class EmojiScenesRecipe(_Strict):
    """Scenes of emoji with bilingual captions and questions, and a benchmark in MME's layout, made on this machine."""

    source: Literal["emoji_scenes"]
    concepts: list[str] = Field([], description="emoji characters; empty: all of them")
    styles: list[Literal["twemoji", "openmoji"]] = ["twemoji", "openmoji"]
    num_images: int = Field(1000, ge=1)
    images_per_shard: int = Field(250, ge=1)
    max_items: int = Field(4, ge=1, le=4)
    word_share: float = Field(0.10, ge=0, le=1, description="images that show a written word")
    sum_share: float = Field(0.04, ge=0, le=1, description="images that show a written sum")
    questions_per_image: int = Field(8, ge=2)
    kinds: dict[str, int] = Field(
        {
            "existence": 5,
            "count": 1,
            "position": 1,
            "color": 1,
            "OCR": 3,
            "text_translation": 1,
            "numerical_calculation": 3,
        }
        | {"name": 1, "layout": 0},
        description="how often each kind of question is tried per image",
    )
    bench_images: int = Field(6, ge=1, description="per subtask of the benchmark; five times as many for existence")
    seed: int = 0


class EvalRecipe(_Strict):
    """How a benchmark is asked. `suffix` takes the place of the instruction that its questions end with; None leaves them
    alone. Paths are as seen from where the command runs.
    """

    benchmark: str = Field(description="a name that `skymm eval list` shows")
    root: str = Field(description="file or directory with the questions, in the official layout")
    images: str | None = Field(None, description="directory of the pictures, where they do not lie below root")
    split: str | None = Field(None, description="part of the benchmark, by its official name; None: all of it")
    files: dict[str, str] = Field({}, description="official tables that the scorer needs: labels, objects, vocab, ...")
    official_suffix: str = Field("", description="the instruction that suffix takes the place of")
    suffix: str | None = None
    max_new_tokens: int = Field(8, ge=1)
    batch_size: int = Field(32, ge=1)

    @field_validator("root", "images", mode="before")
    @classmethod
    def _home(cls, path: Any) -> Any:
        """`~` is the user's, and 2024 on a command line is a directory of that name."""
        return os.path.expanduser(str(path)) if isinstance(path, str | int) else path

    @field_validator("files", mode="after")
    @classmethod
    def _homes(cls, files: dict[str, str]) -> dict[str, str]:
        return {name: os.path.expanduser(path) for name, path in files.items()}

    @field_validator("split", "images", mode="before")
    @classmethod
    def _none(cls, text: Any) -> Any:
        """`split=` on a command line takes the recipe's split away."""
        return None if text == "" else text


Recipe = TypeVar("Recipe", bound=BaseModel)


def load(path: str | Path, kind: type[Recipe], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `section.key=value` overrides (values as in TOML; a bare word is a string).

    Raises ValueError naming the file and every wrong key.
    """
    try:
        data = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise ValueError(f"no recipe at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _override(data, override)
    return parse(data, kind, str(path))


def parse(data: dict[str, Any], kind: type[Recipe], where: str = "recipe") -> Recipe:
    """A recipe from plain data. Raises ValueError with one line per mistake."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ValueError("\n".join(f"{where}: {_explain(one, kind)}" for one in error.errors())) from None


def differences(old: BaseModel, new: BaseModel) -> list[str]:
    """`key: old -> new` for every leaf in which two recipes differ."""
    before, after = leaves(old.model_dump()), leaves(new.model_dump())
    keys = sorted(before.keys() | after.keys())
    return [f"{key}: {before.get(key)!r} -> {after.get(key)!r}" for key in keys if before.get(key) != after.get(key)]


def leaves(data: Any, path: str = "") -> dict[str, Any]:
    """Nested data as `section.key` -> value."""
    if isinstance(data, dict) and data:
        return {k: v for name, value in data.items() for k, v in leaves(value, f"{path}.{name}".strip(".")).items()}
    return {path: data}


def _override(data: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"override {override!r}, expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = path.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ValueError(f"override {override!r}: {section!r} is a value, not a section")
    data[key] = value


def _explain(error: Any, kind: type[BaseModel]) -> str:
    location = [part for part in error["loc"] if not (isinstance(part, str) and part in ("str", "TowerRecipe"))]
    path = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        allowed = _allowed_at(kind, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {path!r}{hint} Allowed here: {', '.join(allowed)}."
    if error["type"] == "missing":
        return f"{path!r} is missing"
    return f"{path!r} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _allowed_at(kind: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Keys of the section that a path of keys leads to."""
    for part in location:
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else kind
        models = _models_in(annotation)
        kind = models[0] if models else kind
    return sorted(kind.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
