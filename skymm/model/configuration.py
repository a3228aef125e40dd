"""SkyMMConfig: what a SkyMM is made of. Names and hashes of the frozen parts, sizes of the trained ones."""

from __future__ import annotations

from typing import Any, ClassVar

import transformers
from transformers.configuration_utils import PreTrainedConfig


class SkyMMConfig(PreTrainedConfig):
    """Configuration of `SkyMMForConditionalGeneration`.

    Args:
        llm: name of the frozen LLM as in the recipe (hub id, directory, or the embedded default), and `llm_revision`.
        llm_fingerprint: of its weights; a checkpoint refuses others. None: not known.
        text_config: the LLM's own configuration.
        towers: one dict per frozen vision encoder, as `Tower.to_config()` gives it (name, image size, preprocessing, ...).
        tower_fingerprints: hash of each tower's weights and preprocessing; a checkpoint refuses other eyes.
        resampler: num_latents, num_layers, num_heads, width, dropout; of several towers mixing (none: joint) and weights.
        frame_latents: LLM positions of a frame of a clip: the first of its latents. None: all, as of an image.
        lora: rank, alpha, dropout, targets; None for none.
        unfrozen: "towers", "llm": parts that a stage has trained, whose weights lie beside the resampler's.
        quantization: "nf4" where the LLM was held in 4 bits while the adapter learned; it is opened in the same way.
        image_token_id: stands for an image position in `input_ids`. It is past the embedding table and past
            the tokenizer on purpose: no text can produce it, and looking it up would be an error instead of a wrong word.
        trust_remote_code: the LLM or a tower is made of code that lies beside its weights. It is run only when whoever opens
            the model says so as well.
        calibration: language -> {"offset", "temperature"} of the log-odds of yes, where they were fitted
            (skymm/evaluation/calibration.py); a stage that goes on from the model begins without.
        scaled_decode: large JPEGs are decoded at a fraction of their size, see `min_side`.
    """

    model_type = "skymm"
    auto_map: ClassVar = {}  # TRL asks it of every model that is not transformers' own
    keys_to_ignore_at_inference: ClassVar = ["loss_sum", "loss_count", "token_losses", "past_key_values"]

    def __init__(
        self,
        llm: str = "",
        llm_revision: str | None = None,
        llm_fingerprint: str | None = None,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        towers: list[dict[str, Any]] | None = None,
        tower_fingerprints: list[str] | None = None,
        resampler: dict[str, Any] | None = None,
        lora: dict[str, Any] | None = None,
        unfrozen: list[str] | None = None,
        image_token_id: int = -1,
        frame_latents: int | None = None,
        scaled_decode: bool = False,
        quantization: str | None = None,
        trust_remote_code: bool = False,
        calibration: dict[str, dict[str, float]] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.llm = llm
        self.llm_revision = llm_revision
        self.llm_fingerprint = llm_fingerprint
        if isinstance(text_config, dict):
            text_config = transformers.AutoConfig.for_model(**text_config)
        self.text_config = text_config
        self.towers = towers or []
        self.tower_fingerprints = tower_fingerprints or []
        self.resampler = resampler or {}
        self.frame_latents = frame_latents
        self.lora = lora
        self.unfrozen = unfrozen or []
        self.image_token_id = image_token_id
        self.scaled_decode = scaled_decode
        self.quantization = quantization
        self.trust_remote_code = trust_remote_code
        self.calibration = calibration

    @property
    def num_latents(self) -> int:
        """K: how many LLM positions one image takes."""
        return self.resampler["num_latents"]

    @property
    def min_side(self) -> int | None:
        """Pixels that both sides of a JPEG keep when it is decoded for the towers; None: it is decoded in full.

        The tower with the largest pictures decides. Pictures that are handed over decoded are taken as they are.
        """
        return max(tower["image_size"] for tower in self.towers) if self.scaled_decode and self.towers else None

    @property
    def feature_fingerprints(self) -> list[str]:
        """What stored features depend on, per tower: its own fingerprint, and how images are decoded for it.

        Raises ValueError for towers that were trained, which are no longer those of their fingerprints.
        """
        if "towers" in self.unfrozen:
            raise ValueError(
                "the towers of this model were trained, and stored features are of frozen ones; leave `features` out"
            )
        decoding = "" if self.min_side is None else f"-scaled-{self.min_side}"
        return [f"{fingerprint}{decoding}" for fingerprint in self.tower_fingerprints]
