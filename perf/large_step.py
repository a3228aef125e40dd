"""The step of a large frozen LLM with LoRA: packed rows against padded ones, as a share of the device's matrix ceiling.

    python perf/large_step.py                       # 7B-shaped, random weights; one GPU of 40 GB or more
    python perf/large_step.py --shape 135m --tokens 2048 --steps 2     # the same on a CPU

Work is counted as 4 x parameters x tokens (forward, and backward to the activations; frozen weights get no gradient) over real
tokens: padding is no work. Lengths are drawn from 64 to 1024 tokens, each conversation with one image of 64 latents.
"""

from __future__ import annotations

import argparse
import random
import time

import torch
import transformers

from skymm.data.batches import pack
from skymm.encoded import IGNORE, Encoded, pad
from skymm.model import language
from skymm.model.attention import register
from skymm.model.configuration import SkyMMConfig
from skymm.model.efficientnet_lite import EfficientNetLite
from skymm.model.modeling import SkyMMForConditionalGeneration
from skymm.model.vision import Tower
from skymm.recipe import LoraRecipe, ResamplerRecipe
from skymm.train.optim import MasterAdamW
from skymm.train.throughput import matrix_ceiling, memory_gib

# Llama-2-7B, SmolLM2-1.7B and SmolLM2-135M: width, inner width, layers, heads, key heads, words.
SHAPES = {
    "7b": (4096, 11008, 32, 32, 32, 32000),
    "1.7b": (2048, 8192, 24, 32, 32, 49152),
    "135m": (576, 1536, 30, 9, 3, 49152),
}
TOWER = {
    "family": "efficientnet-lite0", "name": "efficientnet-lite0", "revision": None, "layer": -1, "image_size": 320,
    "mean": [0.5] * 3, "std": [0.5] * 3, "resample": 3, "width": 320, "grid": [10, 10], "vision": {},
}  # fmt: skip
WAYS = {
    "padded, sdpa": {"attention": "sdpa", "packing": False},
    "packed": {"attention": "auto", "packing": True},
    "packed, gradient checkpointing": {"attention": "auto", "packing": True, "again": True},
    "packed, compiled": {"attention": "auto", "packing": True, "compile": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--tokens", type=int, default=16384, help="real tokens of a step")
    parser.add_argument("--steps", type=int, default=8, help="after two that warm up")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--only", nargs="*", choices=WAYS, help="ways to train, as the table has them")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = language.pick_dtype(device)
    width, *_ = SHAPES[arguments.shape]
    ceiling = matrix_ceiling(device, dtype, width, seconds=1.0)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {dtype}, matrix ceiling {ceiling / 1e12:.2f} TFLOP/s")
    for way, options in WAYS.items():
        if arguments.only and way not in arguments.only:
            continue
        try:
            print(f"{way:32} {measured(arguments, device, dtype, ceiling, **options)}", flush=True)
        except (torch.OutOfMemoryError, RuntimeError, ValueError) as error:
            print(f"{way:32} did not run: {str(error).splitlines()[0]}", flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def measured(
    arguments: argparse.Namespace,
    device: torch.device,
    dtype: torch.dtype,
    ceiling: float,
    *,
    attention: str,
    packing: bool,
    again: bool = False,
    compile: bool = False,
) -> str:
    model = build(arguments.shape, device, dtype, rank=arguments.rank)
    model.language_model.set_attn_implementation(language.pick_attention(attention, device, dtype))
    model.train()
    model.freeze_for(["resampler", "lora"])
    if again:
        language.checkpoint_activations(model.language_model)
    if compile:
        language.compile_layers(model.language_model)
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    optimizer = MasterAdamW({"all": (trained, 1e-4)}, weight_decay=0.0, clip=1.0)
    frozen = sum(parameter.numel() for parameter in model.language_model.parameters() if not parameter.requires_grad)
    conversations = drawn(arguments.tokens, model.config.image_token_id)
    tokens = sum(len(one.ids) for one in conversations)
    inputs = pack(conversations) if packing else pad(conversations, pad_id=0, side="right")
    inputs = {name: one.to(device) if isinstance(one, torch.Tensor) else one for name, one in inputs.items()}
    features = [torch.randn(len(conversations), 100, 320, device=device, dtype=dtype)]
    seconds = []
    for _ in range(arguments.steps + 2):
        began = time.perf_counter()
        model(**inputs, features=features).loss.backward()
        optimizer.step(1.0)  # returns a Python number, so everything before it has been done
        seconds.append(time.perf_counter() - began)
    mean = sum(seconds[2:]) / arguments.steps
    share = 4 * frozen * tokens / mean / ceiling
    return (
        f"{tokens / mean:9.0f} tokens/s  {share:6.1%} of the ceiling  {memory_gib(device):6.1f} GiB  "
        f"{inputs['input_ids'].numel() - tokens} positions of padding, first step {seconds[0]:.1f} s"
    )


def build(shape: str, device: torch.device, dtype: torch.dtype, *, rank: int) -> SkyMMForConditionalGeneration:
    """SkyMM around an LLM of that shape with random weights, made on the device."""
    width, inner, layers, heads, key_heads, words = SHAPES[shape]
    text_config = transformers.LlamaConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        vocab_size=words,
        max_position_embeddings=4096,
        tie_word_embeddings=words == 49152,
    )
    config = SkyMMConfig(
        text_config=text_config,
        towers=[TOWER],
        resampler=ResamplerRecipe().model_dump(),
        lora=LoraRecipe(rank=rank).model_dump(),
        image_token_id=words,
        dtype=dtype,
    )
    register()
    with torch.device(device):
        kind = language.pick_attention("varlen", device, dtype)
        llm = transformers.AutoModelForCausalLM.from_config(text_config, dtype=dtype, attn_implementation=kind)
        tower = Tower(EfficientNetLite(), TOWER)
        return SkyMMForConditionalGeneration(config, towers=[tower], language_model=language.freeze(llm)).to(device)


def drawn(tokens: int, image_token_id: int) -> list[Encoded]:
    """Conversations of 64 to 1024 tokens, a quarter of the text to be learned, until there are enough tokens."""
    chance, found, total = random.Random(0), [], 0
    while total < tokens:
        length = min(chance.randint(64, 1024), max(64, tokens - total))
        text = [chance.randrange(1000) for _ in range(length)]
        labels = [IGNORE] * 64 + [IGNORE] * (length * 3 // 4) + text[length * 3 // 4 :]
        found.append(Encoded(str(len(found)), [image_token_id] * 64 + text, labels, images=("a",)))
        total += length + 64
    return found


if __name__ == "__main__":
    main()
