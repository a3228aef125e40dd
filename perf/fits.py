"""Does an LLM with these towers fit into a GPU, and how long does it take? Arithmetic: nothing here was run on a GPU.

    python perf/fits.py
    python perf/fits.py --llm Qwen/Qwen3-8B --towers google/siglip-so400m-patch14-384

Any hub id or directory will do: its config.json is read.
The parts are built without weights, the adapter and the resampler by the code that trains them. What the backward pass of
one micro-batch would keep is counted tensor by tensor as autograd asks for it, and FLOPs by torch's counter.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import transformers
from plan import Assumptions, plan
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from skymm.model import lora
from skymm.model.patch_encoder import patch_grid
from skymm.model.resampler import resampler_of
from skymm.recipe import ModelRecipe

_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
_QWEN = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "vocab_size": 152064}
_LLAMA = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "vocab_size": 32000}
KNOWN = {
    "Qwen2.5-7B": transformers.Qwen2Config(
        **_QWEN, num_attention_heads=28, num_key_value_heads=4, tie_word_embeddings=False
    ),
    "Vicuna-13B": transformers.LlamaConfig(
        **_LLAMA, num_attention_heads=40, num_key_value_heads=40, tie_word_embeddings=False
    ),
    "CLIP-L-336": transformers.CLIPVisionConfig(**_LARGE, intermediate_size=4096, image_size=336, patch_size=14),
    "DINOv2-L": transformers.Dinov2Config(**_LARGE, image_size=224, patch_size=14),
}
GB = 1e9
_DEFAULT = ModelRecipe()
# bf16 and its gradient, and in fp32 the gradient, the master and both moments (skymm/train/optim.py).
BYTES_TRAINED = 2 + 2 + 4 + 4 + 4 + 4
# Logits of a labelled position in bf16, in fp32, their log-softmax and its gradient; at most 2048 at once (model/loss.py).
BYTES_LOGIT, MOST_LOGITS = 2 + 4 + 4 + 4, 2048
# 4 bits, a scale of 8 bits for 64 of them, and one of 32 bits for 256 scales.
BYTES_NF4 = 0.5 + (1 + 4 / 256) / 64


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes, but for `parameters`, `matrices` (of the decoder, which nf4 shrinks), `trained`, `patches` and `tower_flops` (of
    one picture)."""

    parameters: int
    matrices: int
    towers: int
    trained: int
    kept_per_position: float
    kept_checkpointed: float
    largest_layer: float
    vocabulary: int
    patches: int
    tower_flops: int

    def memory(self, positions: int, labels: int, *, nf4: bool = False, checkpointing: bool = False) -> float:
        """GB of one GPU, for a micro-batch of so many positions and labels. Left out: CUDA itself (about 1 GB), scratch
        space of kernels, and what the allocator loses between blocks.
        """
        llm = 2 * self.parameters - (2 - BYTES_NF4) * self.matrices * nf4
        kept = self.kept_checkpointed + self.largest_layer if checkpointing else self.kept_per_position
        logits = BYTES_LOGIT * self.vocabulary * min(labels, MOST_LOGITS)
        return (llm + 2 * self.towers + BYTES_TRAINED * self.trained + kept * positions + logits) / GB


class _Flash(torch.autograd.Function):
    """What a flash kernel keeps: queries, keys, values, its output, and a sum for each row and head."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError("only counted")


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
    return _Flash.apply(query, key, value).transpose(1, 2).contiguous(), None


@contextmanager
def _without_weights():
    """On torch's meta device, which knows shapes and no numbers, and for which torch has no autocast to ask about."""
    transformers.AttentionInterface.register("counted", _attention)
    with torch.device("meta"), patch("torch.is_autocast_enabled", lambda *device: False):
        yield


def need(llm: transformers.PreTrainedConfig, towers: list[Any], recipe: ModelRecipe = _DEFAULT) -> Need:
    """Of an LLM and towers by their configurations, with the resampler and the adapter of `recipe`."""
    with _without_weights():
        model = transformers.AutoModelForCausalLM.from_config(
            llm, dtype=torch.bfloat16, attn_implementation="counted"
        ).requires_grad_(False)
        parameters = sum(one.numel() for one in model.parameters())
        if recipe.lora:
            lora.add(model, **recipe.lora.model_dump())
        adapter = sum(one.numel() for _, one in lora.parameters(model))
        matrices = sum(one.base_layer.weight.numel() for one in model.modules() if hasattr(one, "base_layer"))
        grids = [patch_grid(one, one.image_size) for one in towers]
        sizes = recipe.resampler.model_dump(exclude={"frame_latents"})
        resampler = resampler_of(
            grids=grids,
            context_widths=[one.hidden_size for one in towers],
            embedding_width=llm.hidden_size,
            **sizes,
        )
        seen = [torch.empty(1, rows * columns, one.hidden_size) for (rows, columns), one in zip(grids, towers)]
        assert resampler(seen).shape == (1, recipe.resampler.num_latents, llm.hidden_size)
        looking = [transformers.AutoModel.from_config(one, attn_implementation="eager") for one in towers]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            for one, config in zip(looking, towers):
                one(pixel_values=torch.empty(1, 3, config.image_size, config.image_size))
        kept, layer = _kept(model, llm)
    return Need(
        parameters=parameters,
        matrices=matrices,
        towers=sum(value.numel() for one in looking for value in one.parameters()),
        trained=adapter + sum(one.numel() for one in resampler.parameters()),
        kept_per_position=kept,
        kept_checkpointed=2.0 * llm.hidden_size * llm.num_hidden_layers,
        largest_layer=layer,
        vocabulary=llm.vocab_size,
        patches=sum(rows * columns for rows, columns in grids),
        tower_flops=counter.get_total_flops(),
    )


def _kept(model: nn.Module, llm: transformers.PreTrainedConfig, positions: int = 256) -> tuple[float, float]:
    """Bytes per position that the backward pass needs: of the whole decoder, and of a layer."""
    own = {one.untyped_storage()._cdata for one in model.parameters()}
    kept: dict[int, Tensor] = {}  # the tensors too: an address that is free would be used again

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    words = torch.empty(1, positions, llm.hidden_size, dtype=torch.bfloat16, requires_grad=True)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model.get_decoder()(inputs_embeds=words, use_cache=False)
    whole = sum(one.untyped_storage().nbytes() for one in kept.values()) / positions
    return whole, whole / llm.num_hidden_layers


def table(
    llms: dict[str, Any], towers: dict[str, Any], conversations: int = 16, text: int = 100, samples: float = 1e6
) -> str:
    given = Assumptions()
    positions, labels = conversations * (given.latents + text), conversations * text // 2
    eyes = " + ".join(towers)
    lines = [
        f"ARITHMETIC, not measured. GB of one GPU for a micro-batch of {conversations} conversations, each with one picture of "
        f"{given.latents} latents and",
        f"{text} tokens of text, half of them learned; LoRA of rank 16 and the resampler are trained. Left out: CUDA itself,",
        f"scratch space, fragments. Hours: {samples / 1e6:g} million such conversations, one GPU at 40 % of "
        f"{given.peak / 1e12:g} TFLOP/s.",
        "",
        f"towers: {eyes}",
        f"{'LLM':>12} {'parameters':>11} {'trained':>9} {'bf16':>7} {'+ checkpointing':>16} {'nf4 + checkpointing':>20} "
        f"{'hours':>7}",
    ]
    for name, config in llms.items():
        found = need(config, list(towers.values()))
        sizes = Assumptions(
            samples=samples, text_tokens=text, tower_flops=found.tower_flops, patches=found.patches, width=1024
        )
        hours = plan(found.parameters, 1, 0.4, sizes).hours
        gb = [
            found.memory(positions, labels, nf4=nf4, checkpointing=again)
            for nf4, again in ((False, False), (False, True), (True, True))
        ]
        lines.append(
            f"{name:>12} {found.parameters / 1e9:9.2f} B {found.trained / 1e6:7.1f} M {gb[0]:7.1f} {gb[1]:16.1f} {gb[2]:20.1f} "
            f"{hours:7.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--llm", nargs="+", default=["Qwen2.5-7B", "Vicuna-13B"], help="of those that are known, or ids"
    )
    parser.add_argument("--towers", nargs="+", default=["CLIP-L-336"], help="together")
    parser.add_argument("--conversations", type=int, default=16, help="of a micro-batch")
    parser.add_argument("--text-tokens", type=int, default=100)
    parser.add_argument("--samples", type=float, default=1e6)
    arguments = parser.parse_args()
    llms = {name: _config(name).get_text_config() for name in arguments.llm}
    towers = {name: getattr(one := _config(name), "vision_config", one) for name in arguments.towers}
    print(table(llms, towers, arguments.conversations, arguments.text_tokens, arguments.samples))


def _config(name: str) -> transformers.PreTrainedConfig:
    return KNOWN[name] if name in KNOWN else transformers.AutoConfig.from_pretrained(name)


if __name__ == "__main__":
    main()
