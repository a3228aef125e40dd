"""Questions about one image begin alike: what they share is read once, and each goes on from there.

An image's positions are most of a short question's tokens, so two questions about it cost little more than one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from skymm.encoded import Encoded, pad


def common_start(prompts: Sequence[Sequence[int]], groups: Sequence[Hashable], image_token_id: int) -> int:
    """How many tokens every prompt shares with the others of its group, short of its last; 0 where sharing is no gain
    or would cut an image off from its question.
    """
    first: dict[Hashable, Sequence[int]] = {}
    length = min(len(prompt) for prompt in prompts) - 1
    for prompt, group in zip(prompts, groups):
        other = first.setdefault(group, prompt)
        length = next((index for index in range(length) if prompt[index] != other[index]), length)
    if len(first) == len(prompts) or any(image_token_id in prompt[length:] for prompt in prompts):
        return 0
    return length


def next_logits(
    model: Any,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Hashable],
    features: list[Tensor] | None,
    *,
    length: int,
    pad_id: int,
) -> Tensor:
    """Logits (A, V) of the token after each of A prompts, whose first `length` tokens are read once per group.

    `features` (I, N, C) per tower are of the images of the groups, in the order in which these first come.
    """
    device, rows = model.device, {group: row for row, group in enumerate(dict.fromkeys(groups))}
    starts = {group: list(prompt[:length]) for prompt, group in zip(prompts, groups)}
    starts_GP = torch.tensor([starts[group] for group in rows], device=device)
    read = model.language_model(
        inputs_embeds=model.embed(starts_GP, features), use_cache=True, logits_to_keep=1
    ).past_key_values
    which_A = torch.tensor([rows[group] for group in groups], device=device)
    read.batch_select_indices(which_A)
    rest = [list(prompt[length:]) for prompt in prompts]
    batch = pad([Encoded("", ids, ids) for ids in rest], pad_id=pad_id, side="left")
    seen = torch.ones(len(prompts), length, dtype=torch.long)
    mask = torch.cat([seen, batch["attention_mask"]], dim=1).to(device)
    positions = (mask.cumsum(-1) - 1)[:, length:].clamp(min=0)
    output = model.language_model(
        inputs_embeds=model.embed(batch["input_ids"].to(device), None),
        attention_mask=mask,
        position_ids=positions,
        past_key_values=read,
        logits_to_keep=1,
    )
    return output.logits[:, -1]
