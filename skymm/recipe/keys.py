"""Every key that a recipe may hold, with its default and what it means: read off the models, so the list is never old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from skymm.recipe.data import DataRecipe, EmojiScenesRecipe
from skymm.recipe.evaluation import EvalRecipe
from skymm.recipe.study import StudyRecipe
from skymm.recipe.suite import SuiteRecipe
from skymm.recipe.training import StageRecipe

KINDS: dict[str, type[BaseModel]] = {
    "stage": StageRecipe,
    "data": DataRecipe,
    "scenes": EmojiScenesRecipe,
    "eval": EvalRecipe,
    "study": StudyRecipe,
    "suite": SuiteRecipe,
}


def keys(
    kind: type[BaseModel], section: str = "", skip: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str]]:
    """(key, type and default, meaning) of every key of a recipe. Behind a section stand its own keys; NAME is in the place
    of names that the user gives. Of several kinds of a section (sources) what all have comes once, and what each has more
    behind its `format`.
    """
    for name, field in kind.model_fields.items():
        if name in skip:
            continue
        path = f"{section}.{name}".strip(".")
        inner = _models_in(field.annotation)
        yield (
            path,
            f"{_type(field.annotation)}{_default(field)}",
            field.description or (_about(inner[0]) if len(inner) == 1 else ""),
        )
        below = f"{path}.NAME" if get_origin(field.annotation) is dict else path
        if len(inner) < 2:
            for model in inner:
                yield from keys(model, below)
            continue
        shared = frozenset.intersection(*(frozenset(model.model_fields) for model in inner))
        yield from keys(inner[0], below, frozenset(inner[0].model_fields) - shared | {"format"})
        for model in inner:
            yield f"{below}.format", _type(model.model_fields["format"].annotation), _about(model)
            yield from keys(model, below, shared)


def _about(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _type(annotation: Any) -> str:
    if annotation is type(None) or annotation is None:
        return "none"
    arguments = get_args(annotation)
    if not arguments or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "section" if _models_in(annotation) else getattr(annotation, "__name__", str(annotation))
    origin = get_origin(annotation)
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if origin in (list, dict):
        return f"{origin.__name__} of {_type(arguments[-1])}"
    told = [_type(one) if isinstance(one, type) or get_args(one) or one is None else _toml(one) for one in arguments]
    return " | ".join(dict.fromkeys(told))


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ", required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or isinstance(value, BaseModel):
        return ""
    return f" = {_toml(value)}"
