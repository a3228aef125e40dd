"""The model that comes with skymm: its trained parts, and what it can and cannot (README.md here)."""

from __future__ import annotations

from pathlib import Path

SHIPPED = "skymm-photos"
SHIPPED_SHA256 = "b345582860772200276791df739134896ba698e1611449b6d429641b57d5a82e"
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


def photos(out: Path) -> None:
    """Write the three photos that come with skymm as a benchmark in the layout of MME: OUT/en/existence, OUT/zh/existence."""
    import tomllib

    source = Path(__file__).parent / "photos"
    questions = {"en": "Is there {}? Please answer yes or no.", "zh": "有{}吗？请回答是或否。"}
    for name, things in tomllib.loads((source / "photos.toml").read_text("utf-8")).items():
        for language, asked in questions.items():
            folder = out / language / "existence"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.jpg").write_bytes((source / f"{name}.jpg").read_bytes())
            lines = (
                f"{asked.format(thing)}\t{gold}\n" for thing, gold in zip(things[language], ("Yes", "No"), strict=True)
            )
            (folder / f"{name}.txt").write_text("".join(lines), "utf-8")
