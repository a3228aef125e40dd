"""A recipe from its TOML file; a mistake is told with its place, what is allowed there and what it resembles."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

Recipe = TypeVar("Recipe", bound=BaseModel)


def _home(path: Any) -> Any:
    return os.path.expanduser(str(path)) if isinstance(path, str | int) else path


FilePath = Annotated[str, BeforeValidator(_home)]
"""`~` is the user's, and 2024 on a command line is a directory of that name."""


class Strict(BaseModel):
    """What every recipe is: frozen, and without a place for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load(path: str | Path, kind: type[Recipe], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `section.key=value` overrides (values as in TOML; a bare word is a string).

    Raises ValueError naming the file and every wrong key.
    """
    return parse(read(path, overrides), kind, str(path))


def read(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The plain data of a recipe, with its overrides. Raises ValueError naming the file where it is no TOML."""
    try:
        data = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise ValueError(f"no recipe at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _override(data, override)
    return data


def parse(data: dict[str, Any], kind: type[Recipe], where: str = "recipe") -> Recipe:
    """A recipe from plain data. Raises ValueError with one line per mistake."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ValueError("\n".join(f"{where}: {_explain(one, kind)}" for one in error.errors())) from None


def differences(old: BaseModel, new: BaseModel) -> list[str]:
    """`key: old -> new` for every leaf in which two recipes differ."""
    before, after = leaves(old.model_dump()), leaves(new.model_dump())
    keys = sorted(before.keys() | after.keys())
    return [f"{key}: {before.get(key)!r} -> {after.get(key)!r}" for key in keys if before.get(key) != after.get(key)]


def leaves(data: Any, path: str = "") -> dict[str, Any]:
    """Nested data as `section.key` -> value."""
    if isinstance(data, dict) and data:
        return {k: v for name, value in data.items() for k, v in leaves(value, f"{path}.{name}".strip(".")).items()}
    return {path: data}


def _override(data: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"override {override!r}, expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if re.fullmatch(r"\s*\[.*\]\s*", text, re.S):  # most often the shell has taken the quotes inside it
            raise ValueError(
                f"override {override!r}: found no TOML list, expected one such as ['a', 'b']; quote the whole for the shell: "
                f"\"{path}=['a', 'b']\""
            ) from None
        value = text
    *sections, key = path.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ValueError(f"override {override!r}: {section!r} is a value, not a section")
    data[key] = value


def _explain(error: Any, kind: type[BaseModel]) -> str:
    shown, here = _walk(kind, error["loc"])
    path, context = ".".join(map(str, shown)), error.get("ctx", {})
    discriminator = str(context.get("discriminator", "")).strip("'")
    if error["type"] == "extra_forbidden":
        allowed = sorted(here.model_fields)
        return f"unknown key {path!r}{_meant(str(shown[-1]), allowed)} Allowed here: {', '.join(allowed)}."
    if error["type"] == "missing":
        return f"{path!r} is missing"
    if error["type"] == "union_tag_not_found":
        return f"{path!r} says no {discriminator!r}"
    if error["type"] == "union_tag_invalid":
        allowed = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
        place = f"{path}.{discriminator}"
        return f"{place!r} is {context['tag']!r}{_meant(context['tag'], allowed)} There are {', '.join(allowed)}."
    return f"{path!r} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _meant(found: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(found, allowed, n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def _walk(kind: type[BaseModel], location: Sequence[Any]) -> tuple[list[Any], type[BaseModel]]:
    """The keys of a path as the user wrote them (pydantic puts in which of several models it tried), and the model of the
    section that holds the last of them.
    """
    shown: list[Any] = []
    among: list[type[BaseModel]] = [kind]
    for part in location:
        tried = [model for model in among if part in (model.__name__, *_tags(model))]
        if tried and part not in kind.model_fields:
            kind, among = tried[0], tried
            continue
        if part == "str" and part not in kind.model_fields:
            continue
        shown.append(part)
        if part in kind.model_fields:
            found = _models_in(kind.model_fields[part].annotation)
            if found and part is not location[-1]:
                kind, among = found[0], found
    return shown, kind


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """What the field `format` of a source may say."""
    annotation = model.model_fields["format"].annotation if "format" in model.model_fields else None
    return getattr(annotation, "__args__", ())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
