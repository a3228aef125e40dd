"""From what stands after --model to an answerer."""

from __future__ import annotations

import json
from pathlib import Path

from skymm.answering.protocol import Answerer
from skymm.shipped import SHIPPED, shipped_model_dir


def open_answerer(spec: str, *, max_new_tokens: int, tower: bool = False) -> Answerer:
    """DIR (ours, or of any transformers model), skymm-photos (which comes with skymm), hf:ID, openai:URL#MODEL or
    decisions:URL#MODEL.

    `tower`: a CLIP-like model is to be judged.

    Raises ValueError that says what was found and what is expected.
    """
    kind, _, rest = spec.partition(":")
    source = rest if kind == "hf" else spec
    if spec == SHIPPED and not Path(spec).is_dir():
        source = str(shipped_model_dir())
    if kind in ("openai", "decisions"):
        if tower:
            raise ValueError(f"found {spec!r}, expected a model of texts and images such as CLIP: a directory or hf:ID")
        from skymm.answering.openai_endpoint import DecisionsAnswerer, OpenAIAnswerer
        from skymm.endpoint import split_spec

        asks = OpenAIAnswerer if kind == "openai" else DecisionsAnswerer
        return asks(*split_spec(spec), max_new_tokens=max_new_tokens)
    if kind != "hf" and not Path(source).is_dir():
        raise ValueError(
            f"no model directory at {source}; expected a directory, {SHIPPED}, hf:ID, openai:URL#MODEL or "
            "decisions:URL#MODEL"
        )
    from skymm.answering import transformers_model as theirs

    if tower:
        return theirs.TowerAnswerer.from_pretrained(source, name=spec)
    if _is_ours(source):
        from skymm.answering.skymm_model import SkyMMAnswerer

        return SkyMMAnswerer.from_directory(source, name=spec, max_new_tokens=max_new_tokens)
    return theirs.TransformersAnswerer.from_pretrained(source, name=spec, max_new_tokens=max_new_tokens)


def _is_ours(source: str) -> bool:
    """A directory without a configuration is taken for ours, whose reader says best what is missing."""
    config = Path(source) / "config.json"
    if not Path(source).is_dir():
        import transformers

        return transformers.PreTrainedConfig.get_config_dict(source)[0].get("model_type") == "skymm"
    return not config.is_file() or json.loads(config.read_text("utf-8")).get("model_type") == "skymm"
