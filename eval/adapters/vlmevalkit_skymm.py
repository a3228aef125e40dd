"""VLMEvalKit asks a model of ours. With skymm installed beside the kit, this file runs the kit's own run.py:

    python eval/adapters/vlmevalkit_skymm.py KIT/run.py runs/stage2 --data MME POPE HallusionBench

Everything after the model is run.py's; results lie under the name of the model's directory.
"""

from __future__ import annotations

import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

from vlmeval.vlm.base import BaseModel

from skymm.model.build import open_model


class SkyMM(BaseModel):
    """`model_path`: a model directory or hub id of ours. Pictures and texts in any order; greedy."""

    INTERLEAVE = True

    def __init__(self, model_path: str, max_new_tokens: int = 512, device: str = "auto") -> None:
        super().__init__()
        self.model, self.processor = open_model(model_path, device=device)
        self.max_new_tokens = max_new_tokens

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        parts: list[dict[str, Any]] = [
            {"type": "text", "text": one["value"]} if one["type"] == "text" else {"type": "image", "path": one["value"]}
            for one in message
        ]
        chat = [{"role": "user", "content": parts}]
        inputs = self.processor.apply_chat_template(chat, add_generation_prompt=True).to(self.model.device)
        ids = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        return self.processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main() -> None:
    from vlmeval.config import supported_VLM

    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    script, model, *others = sys.argv[1:]
    name = Path(model).name
    supported_VLM[name] = partial(SkyMM, model_path=model)
    sys.argv = [script, "--model", name, *others]
    sys.path.insert(0, str(Path(script).resolve().parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
