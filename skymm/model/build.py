"""A new SkyMM from a recipe: frozen towers and LLM from where they live, a fresh resampler and LoRA between them."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from skymm.model import language
from skymm.model.chat import ChatEncoder, free_id
from skymm.model.checkpoint import llm_fingerprint
from skymm.model.configuration import SkyMMConfig
from skymm.model.modeling import SkyMMForConditionalGeneration
from skymm.model.named import resolve_llm
from skymm.model.patch_encoder import load_tower
from skymm.model.processing import SkyMMProcessor
from skymm.recipe import ModelRecipe


def build_model(
    recipe: ModelRecipe, *, seed: int = 0, device: str | torch.device = "cpu", attention: str = "auto"
) -> tuple[SkyMMForConditionalGeneration, SkyMMProcessor]:
    """Model and processor, on the CPU, trained parts initialised from `seed`; dtype and attention chosen for `device`."""
    dtype = language.pick_dtype(device) if recipe.dtype == "auto" else getattr(torch, recipe.dtype)
    source = resolve_llm(recipe.llm)
    trusted = {"trust_remote_code": recipe.trust_remote_code}
    where = {"revision": recipe.llm_revision or "main", **trusted}
    llm = language.load_llm(
        source, dtype=dtype, attention=attention, device=device, quantization=recipe.quantization, **where
    )
    llm.config.name_or_path = recipe.llm  # and not where it lies on this machine
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
    num_rows = llm.get_input_embeddings().weight.shape[0]
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id >= num_rows:
        tokenizer.pad_token = tokenizer.eos_token  # padding is never read, but it is looked up
    specs = [{"name": tower} if isinstance(tower, str) else tower.model_dump() for tower in recipe.towers]
    towers = [load_tower(**spec, dtype=dtype, **trusted) for spec in specs]
    config = SkyMMConfig(
        llm=recipe.llm,
        llm_revision=recipe.llm_revision,
        llm_fingerprint=llm_fingerprint(recipe.llm, recipe.llm_revision),
        text_config=llm.config,
        towers=[tower.to_config() for tower in towers],
        tower_fingerprints=[tower.fingerprint() for tower in towers],
        resampler=recipe.resampler.model_dump(exclude={"frame_latents"}),
        frame_latents=recipe.resampler.frame_latents,
        lora=recipe.lora.model_dump() if recipe.lora else None,
        image_token_id=free_id(tokenizer, num_rows),
        scaled_decode=recipe.scaled_decode,
        quantization=recipe.quantization,
        dtype=dtype,
        **trusted,
    )
    torch.manual_seed(seed)
    model = SkyMMForConditionalGeneration(config, towers=towers, language_model=llm)
    processor = SkyMMProcessor(
        tokenizer,
        towers=config.towers,
        num_latents=config.num_latents,
        frame_latents=config.frame_latents,
        image_token_id=config.image_token_id,
        system=recipe.system,
        min_side=config.min_side,
    )
    check_ids(processor.chat, num_rows, recipe.llm)
    stop_at(model, processor.chat.end_id)
    return model.eval(), processor


def open_model(
    directory: str | Path, *, device: str = "cpu", attention: str = "auto", trust_remote_code: bool = False
) -> tuple[SkyMMForConditionalGeneration, SkyMMProcessor]:
    """Model and processor that were saved side by side in a directory. `device` "auto": a GPU where there is one.

    It computes in the dtype in which it was saved, or in fp32 on a processor that multiplies bf16 more slowly.
    """
    config = SkyMMConfig.from_pretrained(str(directory), trust_remote_code=trust_remote_code)
    on_cpu = device == "cpu" or (device == "auto" and not torch.accelerator.is_available())
    is_slow = on_cpu and config.dtype == torch.bfloat16 and language.pick_dtype("cpu") == torch.float32
    options = {"device_map": device, "attn_implementation": attention, "trust_remote_code": trust_remote_code}
    model = SkyMMForConditionalGeneration.from_pretrained(
        str(directory), dtype=torch.float32 if is_slow else "auto", **options
    )
    processor = SkyMMProcessor.from_pretrained(str(directory))
    stop_at(model, processor.chat.end_id)
    return model, processor


def stop_at(model: SkyMMForConditionalGeneration, end_id: int) -> None:
    """Generation ends at what the model has learned to end with, also where the LLM's own configuration names other ids."""
    known = model.generation_config.eos_token_id
    known = [] if known is None else known if isinstance(known, list) else [known]
    if end_id not in known:
        model.generation_config.eos_token_id = [*known, end_id]


def check_ids(chat: ChatEncoder, num_rows: int, llm: str) -> None:
    """Raises ValueError where text or the chat template would give an id that the LLM has no embedding for."""
    for text, id_ in chat.tokenizer.get_vocab().items():
        if id_ >= num_rows and (id_ not in chat.special_ids or id_ in chat.written_ids):
            raise ValueError(
                f"llm {llm!r}: its tokenizer writes {text!r} as id {id_}, but the LLM has {num_rows} embeddings; give it the "
                "tokenizer that it was trained with, or embeddings that were resized for this one"
            )
