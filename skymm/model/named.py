"""What a name in a recipe stands for: an embedded part, a hub id or a directory."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

EMBEDDED = "the name of an embedded one (smollm2-135m-instruct, efficientnet-lite0, efficientnet-lite2)"


def assets_for(name: str) -> ModuleType | None:
    """`skymm.assets`, where the name can be that of an embedded part. None beside an exported model without skymm."""
    if os.path.isabs(name):
        return None
    try:
        from skymm import assets
    except ImportError:
        return None
    return assets


def resolve_llm(name: str) -> str:
    """What `from_pretrained` takes for an LLM named in a recipe.

    The embedded one's directory (made now if absent), else the name itself: a hub id or a local directory. Raises
    ValueError when the name is a path and nothing is there, AssetError when the embedded one cannot be made.
    """
    assets = assets_for(name)
    if assets and name == assets.EMBEDDED_LLM:
        return str(assets.default_llm_dir())
    return check_model_name(name, "llm")


def check_model_name(name: str, what: str) -> str:
    """A hub id (`name` or `org/name`) as it is, a local path with `~` expanded; ValueError when that path is not there.

    Without this a mistyped directory would be looked up on the hub, and the answer would speak of repository ids.
    """
    path = Path(name).expanduser()
    if name.strip() and path.is_dir():
        return str(path)
    looks_like_path = name.startswith((".", "/", "~")) or os.path.isabs(name) or name.count("/") > 1 or "\\" in name
    if not name.strip() or looks_like_path:
        found = "a file, not a directory" if path.is_file() else f"nothing at {path.absolute()}"
        raise ValueError(
            f"{what} is {name!r}: found {found}; expected a directory with a config.json, a hub id such as org/name, or "
            f"{EMBEDDED}; check the path"
        )
    return name
