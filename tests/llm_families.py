"""Random LLMs of two to six layers of many families, each as transformers' own configuration makes it."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tiny_parts import byte_tokenizer

SIZES = {
    "vocab_size": 264,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
    "initializer_range": 0.2,
}
_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 6,  # narrower than keys, as in the real ones
}
_DEEPSEEK = _LATENT | _EXPERTS | {"n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1}
_LINEAR = {
    "head_dim": 8,
    "num_hidden_layers": 4,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "shared_expert_intermediate_size": 16,
}
_GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4}
_OLD = {"n_embd": 32, "n_layer": 2, "n_head": 4}

OWN: dict[str, dict] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "qwen3_moe": {"head_dim": 8, **_EXPERTS},
    "mixtral": _EXPERTS,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA | {"num_hidden_layers": 6},
    "phi3": {},
    "glm4": {"head_dim": 8},
    "gpt_neox": {},
    "gpt2": _OLD | {"n_positions": 512},
    "falcon": {},
    "bloom": _OLD,
    "cohere": {},
    "cohere2": {"head_dim": 8, "sliding_window": 4},
    "granite": {"logits_scaling": 8.0, "embedding_multiplier": 12.0},
    "hyperclovax": {"logits_scaling": 0.5},
    "minicpm3": _LATENT | {"scale_emb": 12, "dim_model_base": 16},
    "deepseek_v2": _DEEPSEEK | {"first_k_dense_replace": 1},
    "deepseek_v3": _DEEPSEEK | {"first_k_dense_replace": 1},
    "gpt_oss": {"head_dim": 8, "sliding_window": 4, **_EXPERTS},
    "qwen3_next": _LINEAR | _EXPERTS,
    "qwen3_5_text": _LINEAR,
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "granitemoehybrid": _EXPERTS
    | {
        "logits_scaling": 8.0,
        "layer_types": ["mamba", "attention"],
        "mamba_n_heads": 8,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
    },
    "llama4_text": _EXPERTS
    | {"head_dim": 8, "attention_chunk_size": 4, "num_hidden_layers": 4, "intermediate_size_mlp": 48},
    "stablelm": {},
    "nemotron": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon_h1": {
        "head_dim": 8,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
    },
}


def random_llm(family: str) -> torch.nn.Module:
    config = transformers.AutoConfig.for_model(family, **SIZES | OWN[family])
    torch.manual_seed(0)
    llm = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for name, parameter in llm.named_parameters():
        if "sinks" in name:  # they begin as nothing
            torch.nn.init.normal_(parameter)
    return llm


def save_family(directory: Path, family: str) -> Path:
    random_llm(family).save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)
    return directory
