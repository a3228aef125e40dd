"""Tiny real parts, made once per test run: an LLM with a byte tokenizer, towers, shards of emoji scenes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from skymm.recipe import EmojiScenesRecipe, ModelRecipe, StageRecipe, parse

CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
EMOJI = list("🐼🐈🐕🦋🐧🍌")


@pytest.fixture(scope="session", autouse=True)
def _one_thread_is_enough() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def byte_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Every byte is a token, so every text in every language can be written."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<|start|>", "<|end|>")])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def save_tiny_llm(directory: Path, family: str = "llama") -> Path:
    """A random decoder of two layers, as `from_pretrained` would find it."""
    torch.manual_seed(0)
    config_class = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[family]
    config = config_class(
        vocab_size=264,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=257,
        tie_word_embeddings=family == "llama",
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)
    return directory


def save_tiny_clip(directory: Path) -> Path:
    """A random CLIP vision tower of two layers that sees 2 x 2 patches."""
    torch.manual_seed(1)
    config = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=16
    )
    transformers.CLIPVisionModel(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llm(tmp_path_factory.mktemp("llm"))


@pytest.fixture(scope="session")
def tiny_tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("tower"))


@pytest.fixture(scope="session")
def tiny_model_recipe(tiny_llm: Path, tiny_tower: Path) -> ModelRecipe:
    return ModelRecipe(
        llm=str(tiny_llm),
        towers=[str(tiny_tower)],
        resampler={"num_latents": 6, "num_layers": 1, "num_heads": 2, "width": 16},
        lora={"rank": 2, "alpha": 4, "dropout": 0.1},
        dtype="float32",
        attention="eager",
    )


@pytest.fixture
def tiny_model(tiny_model_recipe: ModelRecipe):
    """(model, processor), freshly built."""
    from skymm.model.build import build_model

    return build_model(tiny_model_recipe)


@pytest.fixture(scope="session")
def tiny_data_recipe() -> EmojiScenesRecipe:
    return EmojiScenesRecipe(source="emoji_scenes", concepts=EMOJI, num_images=24, images_per_shard=5, bench_images=2)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory, tiny_data_recipe: EmojiScenesRecipe) -> Path:
    """stage1, stage2 (five uneven shards each) and the benchmarks."""
    from skymm.curation.emoji_data import build

    return build(tiny_data_recipe, tmp_path_factory.mktemp("data"))


@pytest.fixture
def tiny_stage(tmp_path: Path, tiny_model_recipe: ModelRecipe, tiny_data: Path) -> StageRecipe:
    """Ten steps of stage 2 from new weights, a checkpoint every three."""
    data = {
        "out": str(tmp_path / "run"),
        "model": tiny_model_recipe.model_dump(),
        "data": {"instructions": {"shards": str(tiny_data / "stage2")}},
        "steps": 10,
        "batch_size": 4,
        "save_every": 3,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
    }
    return parse(data, StageRecipe)
