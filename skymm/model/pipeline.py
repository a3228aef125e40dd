"""transformers' image-text-to-text pipeline, which opens `images=` itself: without transparency and as if 16 bits were 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import BatchFeature, ImageTextToTextPipeline

from skymm.model.processing import SkyMMProcessor


class OpeningPipeline(ImageTextToTextPipeline):
    """Leaves the opening to the processor where that is ours; with any other model it is what it was."""

    def preprocess(self, inputs: Any = None, timeout: float | None = None, **kwargs: Any) -> BatchFeature:
        if not isinstance(self.processor, SkyMMProcessor) or not isinstance(inputs, Mapping):
            return super().preprocess(inputs, timeout=timeout, **kwargs)
        kwargs.pop("continue_final_message", None)
        kwargs |= kwargs.pop("processor_kwargs", None) or {}
        batch = self.processor(images=inputs["images"], text=inputs["text"], **kwargs).to(dtype=self.dtype)
        batch["text"] = inputs["text"]
        return batch
