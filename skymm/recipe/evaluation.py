"""How a benchmark is asked."""

from __future__ import annotations

import os
from typing import Any

from pydantic import Field, field_validator

from skymm.recipe.strict import Strict


class EvalRecipe(Strict):
    """How a benchmark is asked. `suffix` takes the place of the instruction that its questions end with; None leaves them
    alone. Paths are as seen from where the command runs.
    """

    benchmark: str = Field(description="a name that `skymm eval list` shows")
    root: str = Field(description="file or directory with the questions, in the official layout")
    images: str | None = Field(None, description="directory of the pictures, where they do not lie below root")
    split: str | None = Field(None, description="part of the benchmark, by its official name; None: all of it")
    files: dict[str, str] = Field({}, description="official tables that the scorer needs: labels, objects, vocab, ...")
    official_suffix: str = Field("", description="the instruction that suffix takes the place of")
    suffix: str | None = None
    max_new_tokens: int = Field(8, ge=1)
    batch_size: int = Field(32, ge=1)

    @field_validator("root", "images", mode="before")
    @classmethod
    def _home(cls, path: Any) -> Any:
        """`~` is the user's, and 2024 on a command line is a directory of that name."""
        return os.path.expanduser(str(path)) if isinstance(path, str | int) else path

    @field_validator("files", mode="after")
    @classmethod
    def _homes(cls, files: dict[str, str]) -> dict[str, str]:
        return {name: os.path.expanduser(path) for name, path in files.items()}

    @field_validator("split", "images", mode="before")
    @classmethod
    def _none(cls, text: Any) -> Any:
        """`split=` on a command line takes the recipe's split away."""
        return None if text == "" else text
