"""Recipes: TOML files that say what goes in, what a model is made of, how a stage trains it, and how it is judged.

Every field has one home and one default, here. An unknown key is an error that says where it stands, what is allowed
there, and which allowed key it resembles. No torch in this folder, so mistakes are told at once.
"""

from skymm.recipe.data import DataRecipe, EmojiScenesRecipe, load_data
from skymm.recipe.evaluation import ContrastRecipe, EvalRecipe
from skymm.recipe.loading import differences, leaves, load, parse
from skymm.recipe.training import (
    LoraRecipe,
    ModelRecipe,
    PreferenceRecipe,
    ResamplerRecipe,
    SourceRecipe,
    StageRecipe,
    TowerRecipe,
)

__all__ = [
    "ContrastRecipe",
    "DataRecipe",
    "EmojiScenesRecipe",
    "EvalRecipe",
    "LoraRecipe",
    "ModelRecipe",
    "PreferenceRecipe",
    "ResamplerRecipe",
    "SourceRecipe",
    "StageRecipe",
    "TowerRecipe",
    "differences",
    "leaves",
    "load",
    "load_data",
    "parse",
]
