"""How a benchmark is asked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from skymm.recipe.loading import FilePath, Strict


class ContrastRecipe(Strict):
    """What is taken off an answer: what the model would say without seeing (skymm/answering/contrast.py has the formulas)."""

    kind: Literal["blind", "noised", "calibrated"] = Field(
        description="without the picture; with noise on it (VCD); in logits mode, of a blank picture, once per question text"
    )
    strength: float = Field(1.0, ge=0, description="how much is taken off; 0 is plain decoding")
    gate: float = Field(
        1.0, gt=0, le=1, description="only where the likeliest candidate has less probability than this"
    )
    beta: float = Field(
        0.1, ge=0, le=1, description="writing: candidates of less than beta times the likeliest are out"
    )
    noise_step: int = Field(500, ge=0, le=999, description="of noised: from 0, the picture, to 999, noise alone")
    growth: float | None = Field(
        None,
        gt=0,
        description="of blind: strength is multiplied by exp(growth * tokens written) - 1, so it begins with 0 "
        "(M3ID: 0.02, with strength 1); None: it stays as it is",
    )

    @model_validator(mode="after")
    def _grows_without_a_picture(self) -> ContrastRecipe:
        if self.growth is not None and self.kind != "blind":
            raise ValueError(f'growth is of kind = "blind", found kind = "{self.kind}"; leave it out')
        return self


class EvalRecipe(Strict):
    """How a benchmark is asked. `suffix` takes the place of the instruction that its questions end with; None leaves them
    alone. Paths are as seen from where the command runs.
    """

    benchmark: str = Field(description="a name that `skymm eval list` shows")
    root: FilePath = Field(description="file or directory with the questions, in the official layout")
    images: FilePath | None = Field(None, description="directory of the pictures, where they do not lie below root")
    split: str | None = Field(None, description="part of the benchmark, by its official name; None: all of it")
    num_items: int | None = Field(
        None, ge=1, description="items of each cell, where a benchmark is made here (trust); None: 104"
    )
    files: dict[str, FilePath] = Field({}, description="official tables that the scorer needs: labels, vocab, ...")
    official_suffix: str = Field("", description="the instruction that suffix takes the place of")
    suffix: str | None = Field(None, description="what every question ends with; None: the official one")
    max_new_tokens: int = Field(8, ge=1, description="of an answer")
    batch_size: int = Field(32, ge=1, description="questions that are asked together")
    contrast: ContrastRecipe | None = Field(None, description="taken off while decoding; None: plain greedy decoding")

    @field_validator("split", "images", mode="before")
    @classmethod
    def _none(cls, text: Any) -> Any:
        """`split=` on a command line takes the recipe's split away."""
        return None if text == "" else text
