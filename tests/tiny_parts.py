"""Tiny real parts: a tokenizer in which every byte is a token, an LLM and a tower of two layers each."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

_TEXT = {
    "vocab_size": 264,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
    "initializer_range": 0.2,  # loud enough for answers to differ and for an adapter to matter
}
_VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_VISION |= {"image_size": 32, "patch_size": 16}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


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
    config = config_class(**_TEXT, max_position_embeddings=4096, tie_word_embeddings=family == "llama")
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)
    return directory


def save_tiny_clip(directory: Path) -> Path:
    """A random CLIP vision tower of two layers that sees 2 x 2 patches."""
    torch.manual_seed(1)
    config = transformers.CLIPVisionConfig(**_VISION)
    transformers.CLIPVisionModel(config).save_pretrained(directory)
    return directory


def save_tiny_dinov2(directory: Path) -> Path:
    """A random DINOv2 of two layers that sees 3 x 3 patches."""
    torch.manual_seed(4)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "mlp_ratio": 2}
    config = transformers.Dinov2Config(**sizes, image_size=42, patch_size=14)
    transformers.Dinov2Model(config).save_pretrained(directory)
    return directory


VLM_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def save_tiny_vlm(directory: Path) -> Path:
    """transformers' own LLaVA with random weights, and its processor."""
    torch.manual_seed(2)
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**_VISION),
        text_config=transformers.LlamaConfig(**_TEXT),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(directory)
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VLM_TEMPLATE,
    )
    processor.save_pretrained(directory)
    return directory


def save_tiny_matcher(directory: Path) -> Path:
    """A whole CLIP, texts and images, with random weights."""
    torch.manual_seed(3)
    text = {"vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 257}
    config = transformers.CLIPConfig(
        text_config=text | {"max_position_embeddings": 256},
        vision_config=_VISION,
        projection_dim=16,
    )
    transformers.CLIPModel(config).save_pretrained(directory)
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    tokenizer = byte_tokenizer()
    # CLIP reads a text at its end mark, so its tokenizer writes one.
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 256), ("<|end|>", 257)]
    )
    transformers.CLIPProcessor(images, tokenizer).save_pretrained(directory)
    return directory
