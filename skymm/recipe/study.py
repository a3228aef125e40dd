"""A study: several ways to train and to ask, judged on the same questions over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from skymm.recipe.loading import FilePath, Strict
from skymm.shipped import SHIPPED

_SET = (
    "key=value, as on a command line; {NAME} is the directory of the stage or the pairs of that name with the same seed"
)


class StudyStage(Strict):
    """A training: a stage's recipe with what is changed in it. `out`, `init` and `seed` are the study's."""

    recipe: FilePath
    after: str | None = Field(None, description="the stage whose model it starts from; None: what the recipe says")
    set: list[str] = Field([], description=_SET)


class StudyPairs(Strict):
    """Preference pairs that are made of shards, as `skymm data prefer` makes them (skymm/train/pairs/)."""

    model: str | None = Field(None, description="the stage whose model answers; only the way `rule` needs none")
    shards: str | list[str]
    ways: list[str] = Field(min_length=1, description="weakened, injected, rule, on_policy")
    answers: int = Field(5, ge=2, description="on_policy: how many are sampled for each question")
    temperature: float = Field(1.0, gt=0)
    describe: bool = Field(False, description="on_policy: descriptions, in place of the samples' last questions")
    max_new_tokens: int = Field(64, ge=1)
    balance_lengths: bool = True


class StudyBenchmark(Strict):
    """What is asked, and which numbers of its scores are shown."""

    recipe: FilePath
    set: list[str] = Field([], description=_SET)
    mode: Literal["generate", "logits"] = "generate"
    pictures: Literal["true", "blank", "none"] = Field(
        "true", description="blank: the mean colour in place of every picture, so whatever is seen in it is made up"
    )
    metrics: dict[str, str] = Field(min_length=1, description="key of the scores -> its name in the table")
    probe: list[str] = Field(
        [],
        description="shards with facts: what linear readers of towers fitted to them, and latents, tell, below the table",
    )


class StudyArm(Strict):
    """One row of the table: a model, and how it is asked."""

    model: str = Field(description="a stage, or what `--model` of `skymm eval run` takes: the same for every seed")
    set: list[str] = Field([], description="of every benchmark's recipe: how this arm decodes")
    benchmarks: list[str] | None = Field(None, description="those that it is asked; None: all")
    against: str | None = Field(None, description="the arm that the difference is to; None: the first arm")


class StudyRecipe(Strict):
    """Stages and pairs are trained and made once for each seed, in the order in which they need each other."""

    seeds: list[int] = Field([0, 1, 2], min_length=1)
    stages: dict[str, StudyStage] = Field({})
    pairs: dict[str, StudyPairs] = Field({})
    benchmarks: dict[str, StudyBenchmark] = Field(min_length=1)
    arms: dict[str, StudyArm] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_there(self) -> StudyRecipe:
        named = [(f"stages.{name}.after", one.after, self.stages) for name, one in self.stages.items() if one.after]
        named += [(f"pairs.{name}.model", one.model, self.stages) for name, one in self.pairs.items() if one.model]
        given = [name for name in {one.model: 0 for one in self.arms.values()} if _is_given(name)]
        named += [(f"arms.{name}.model", one.model, [*self.stages, *given]) for name, one in self.arms.items()]
        named += [(f"arms.{name}.against", one.against, self.arms) for name, one in self.arms.items() if one.against]
        for arm, one in self.arms.items():
            named += [(f"arms.{arm}.benchmarks", name, self.benchmarks) for name in one.benchmarks or ()]
        for place, name, known in named:
            if name not in known:
                raise ValueError(f"{place} is {name!r}, expected one of {', '.join(known)}")
        for arm in self.arms:
            lacking = [name for name in self.asked(arm) if name not in self.asked(self.against(arm))]
            if lacking:
                raise ValueError(
                    f"arms.{arm} is compared with {self.against(arm)!r}, which is not asked {lacking[0]!r}"
                )
        both = self.stages.keys() & self.pairs.keys()
        if both:
            raise ValueError(f"{min(both)!r} names a stage and pairs; give one of them another name")
        return self

    def asked(self, arm: str) -> list[str]:
        """The benchmarks that an arm is asked."""
        return self.arms[arm].benchmarks or list(self.benchmarks)

    def against(self, arm: str) -> str:
        """The arm that the differences of this one are to, the first for those that say none."""
        return self.arms[arm].against or next(iter(self.arms))


def _is_given(model: str) -> bool:
    """Whether it is there without a stage that makes it."""
    return model == SHIPPED or ":" in model or Path(model).is_dir()
