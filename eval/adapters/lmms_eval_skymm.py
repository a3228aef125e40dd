"""lmms-eval asks a model of ours. Where both are installed (`pip install skymm lmms-eval`) it knows the model by its name:

lmms-eval --model skymm --model_args pretrained=runs/stage2 --tasks mme,pope --batch_size 8
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from lmms_eval.protocol import ChatMessages

from skymm.model.build import open_model

manifest = ModelManifest("skymm", chat_class_path=f"{__name__}.SkyMM")
MAX_NEW_TOKENS = 1024  # where a task does not say, as with the kit's other models


class SkyMM(lmms):
    """`pretrained`: a model directory or hub id of ours. Decoding is what the task asks for; greedy where it asks for none."""

    is_simple = False

    def __init__(self, pretrained: str, batch_size: int | str = 1, device: str | None = None) -> None:
        super().__init__()
        self.accelerator = Accelerator()
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self.device = torch.device(device or self.accelerator.device)
        self._model, self.processor = open_model(pretrained, device=str(self.device))
        self.batch_size = int(batch_size)

    def generate_until(self, requests: list[Any]) -> list[GenerationResult]:
        found: list[GenerationResult] = []
        # What is decoded in one way stands together in a task, and answers go back in the order of the requests.
        for decoding, alike in groupby((request.args for request in requests), key=lambda arguments: arguments[2]):
            waiting = list(alike)
            for start in range(0, len(waiting), self.batch_size):
                found += self._answer(waiting[start : start + self.batch_size], dict(decoding))
        return found

    def _answer(self, batch: list[tuple[Any, ...]], decoding: dict[str, Any]) -> list[GenerationResult]:
        chats = [
            ChatMessages(messages=doc_to_messages(self.task_dict[task][split][doc_id])).to_hf_messages()
            for _, doc_to_messages, _, doc_id, task, split in batch
        ]
        until = decoding.pop("until", None) or []
        until = [until] if isinstance(until, str) else until
        sampling = {"do_sample": False}
        if (decoding.get("temperature") or 0) > 0:
            sampling = {
                "do_sample": True,
                "temperature": decoding["temperature"],
                "top_p": decoding.get("top_p") or 1.0,
            }
        inputs = self.processor.apply_chat_template(chats, add_generation_prompt=True).to(self.device)
        ids = self._model.generate(
            **inputs,
            max_new_tokens=decoding.get("max_new_tokens", MAX_NEW_TOKENS),
            num_beams=decoding.get("num_beams") or 1,
            **sampling,
        )[:, inputs["input_ids"].shape[1] :]
        answers = []
        for arguments, row, text in zip(batch, ids, self.processor.batch_decode(ids, skip_special_tokens=True)):
            for stop in until:
                text = text.split(stop)[0]
            self.cache_hook.add_partial("generate_until", (arguments[0], arguments[2]), text)
            written = int((row != self.processor.pad_id).sum())
            answers.append(GenerationResult(text, TokenCounts(output_tokens=written)))
        return answers

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        raise NotImplementedError("`skymm eval run --mode logits` compares choices; this adapter only writes answers")

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError("tasks of several rounds are not answered by this adapter")
