"""The model that comes with skymm: its trained parts, and what it can and cannot (README.md here)."""

from __future__ import annotations

from pathlib import Path

SHIPPED = "skymm-photos"
SHIPPED_SHA256 = "5f7aeb54bd9e3dc725ba8c035c94cc06e4daafdd2766503c4403c668050e346f"
"""Of `resampler.safetensors` and `lora/adapter_model.safetensors`, one behind the other."""


def shipped_model_dir() -> Path:
    """The directory of SHIPPED. Raises AssetError where its weights are not those that were shipped."""
    import hashlib

    from skymm.assets import AssetError

    directory = Path(__file__).parent
    digest = hashlib.sha256()
    for name in ("resampler.safetensors", "lora/adapter_model.safetensors"):
        path = directory / name
        if not path.is_file():
            raise AssetError(f"{path} is missing; install skymm anew")
        digest.update(path.read_bytes())
    if digest.hexdigest() != SHIPPED_SHA256:
        raise AssetError(
            f"{directory}: found weights with SHA-256 {digest.hexdigest()}, expected {SHIPPED_SHA256}; install skymm anew"
        )
    return directory
