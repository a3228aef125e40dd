"""What users would pick instead, composed of the very same parts: transformers' LLaVA class, and two ways to train it.

The tower is ours, wrapped so that `LlavaForConditionalGeneration` can hold it; the LLM's weights are the same; both add LoRA
to the same matrices and train it with the projector. LLaVA puts every patch feature into the LLM; that is its design.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from skymm.conversation import Conversation
from skymm.images import decode_image
from skymm.model.vision import Tower, preprocess

IGNORE = -100
IMAGE = "<image>"
Sample = tuple[Conversation, bytes]


class TowerConfig(transformers.PreTrainedConfig):
    """What LLaVA wants to know of a tower."""

    model_type = "skymm_tower_for_peers"

    def __init__(self, hidden_size: int = 320, image_size: int = 224, patch_size: int = 32, **kwargs: Any):
        self.hidden_size, self.image_size, self.patch_size = hidden_size, image_size, patch_size
        super().__init__(**kwargs)


class TowerModel(transformers.PreTrainedModel):
    """Our tower with the face of a vision model of transformers: pixels -> hidden states, the last being its features."""

    config_class = TowerConfig
    main_input_name = "pixel_values"

    def __init__(self, config: TowerConfig):
        super().__init__(config)
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)  # transformers wants one to tell the dtype by
        self.holder: list[Tower] = []
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutput:
        features = self.holder[0](pixel_values)
        return BaseModelOutput(last_hidden_state=features, hidden_states=(features,))


def llava_of(llm: nn.Module, tokenizer: Any, tower: Tower, *, rank: int, targets: Sequence[str]) -> nn.Module:
    """LLaVA made of these parts, LoRA on the LLM, the projector and the LoRA trainable."""
    from peft import LoraConfig, get_peft_model

    transformers.AutoConfig.register(TowerConfig.model_type, TowerConfig, exist_ok=True)
    transformers.AutoModel.register(TowerConfig, TowerModel, exist_ok=True)
    tokenizer.add_tokens([IMAGE], special_tokens=True)
    config = transformers.LlavaConfig(
        vision_config=TowerConfig(hidden_size=tower.width, image_size=tower.image_size),
        text_config=llm.config,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    model = transformers.LlavaForConditionalGeneration(config).to(llm.dtype)
    model.model.language_model.load_state_dict(llm.get_decoder().state_dict())
    model.lm_head.load_state_dict(llm.get_output_embeddings().state_dict())
    model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().weight.shape[0]))
    model.model.vision_tower.holder.append(tower)
    model.requires_grad_(False)
    lora = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=rf".*language_model.*\.({'|'.join(targets)})",
        modules_to_save=["multi_modal_projector"],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora)


class Collator:
    """Conversations -> padded batch, labels on the answers; images decoded and preprocessed in every step."""

    def __init__(self, tokenizer: Any, tower: Tower):
        self.tokenizer, self.tower = tokenizer, tower
        self.image_id = tokenizer.convert_tokens_to_ids(IMAGE)

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        rows = [self._row(conversation) for conversation, _ in samples]
        length = max(len(ids) for ids, _ in rows)
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        ids = torch.full((len(rows), length), pad)
        labels, mask = torch.full_like(ids, IGNORE), torch.zeros_like(ids)
        for row, (tokens, targets) in enumerate(rows):
            ids[row, : len(tokens)], labels[row, : len(tokens)] = torch.tensor(tokens), torch.tensor(targets)
            mask[row, : len(tokens)] = 1
        config = self.tower.to_config()
        pixels = [preprocess(decode_image(data, "image"), config) for _, data in samples]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "pixel_values": torch.stack(pixels)}

    def _row(self, conversation: Conversation) -> tuple[list[int], list[int]]:
        ids, labels = [self.image_id] * self.tower.num_patches, [IGNORE] * self.tower.num_patches
        for turn in conversation.turns:
            head = self.tokenizer.encode(f"<|im_start|>{turn.role}\n", add_special_tokens=False)
            body = self.tokenizer.encode(f"{turn.text}<|im_end|>\n", add_special_tokens=False)
            ids += head + body
            labels += [IGNORE] * len(head) + (body if turn.role == "assistant" else [IGNORE] * len(body))
        return ids, labels


def with_hf_trainer(
    model: nn.Module, collator: Collator, samples: Sequence[Sample], batch_size: int, out: str
) -> float:
    """Seconds of one epoch with the HF Trainer, as the documentation sets it up."""
    arguments = transformers.TrainingArguments(
        output_dir=out,
        per_device_train_batch_size=batch_size,
        num_train_epochs=1,
        learning_rate=2e-4,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        logging_steps=10,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=list(samples), data_collator=collator)
    started = time.perf_counter()
    trainer.train()
    return time.perf_counter() - started


def with_plain_loop(model: nn.Module, collator: Collator, samples: Sequence[Sample], batch_size: int) -> float:
    """Seconds of one epoch in a loop as small as nanoVLM's: autocast, AdamW, clip, no trainer."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4)
    loader = torch.utils.data.DataLoader(list(samples), batch_size=batch_size, shuffle=True, collate_fn=collator)
    started = time.perf_counter()
    for batch in loader:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - started
