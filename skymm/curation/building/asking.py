"""Questions of all sources in one form: what a record may be asked, and how what it is asked is said.

Most know things by name and are asked in the words of `negatives`; a source that knows its pictures better has ways of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from skymm.conversation import Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.negatives import kinds
from skymm.curation.negatives.balance import Askable, Asked, Key, Rules, Unless
from skymm.curation.record import Record
from skymm.curation.sources.source import open_source
from skymm.recipe import DataRecipe
from skymm.recipe.sources import parse_source


@runtime_checkable
class Asking(Protocol):
    """A source with questions of its own, which its task "turns" asks, `most` of each picture at most."""

    @property
    def most(self) -> int: ...

    def askable(self, record: Record) -> Askable: ...

    def rules(self) -> Rules:
        """Its shares are the recipe's."""
        ...

    def exchange(self, record: Record, asked: Asked) -> tuple[Turn, Turn]: ...


@lru_cache(maxsize=16)
def source_of(settings: str) -> Asking | None:
    """The source, where it has questions of its own."""
    source = open_source(parse_source(json.loads(settings)))
    return source if isinstance(source, Asking) else None


OWN = "own:"
"""Before the labels of a source's own questions, until they are said."""


def askable_of(
    record: Record, source: Asking | None, tasks: Sequence[str], recipe: DataRecipe, statistics: Statistics
) -> Askable:
    found: dict[str, Any] = {}
    if "negatives" in tasks:
        found.update(kinds.askable(record, recipe.negatives, statistics))
    if source is not None and "turns" in tasks:
        found.update({OWN + label: both for label, both in source.askable(record).items()})
    return found


def rules_of(recipe: DataRecipe) -> Rules:
    """For all that is asked in a build."""
    chinese, negative = (0.5 if share is None else share for share in (recipe.chinese_share, recipe.negative_share))
    common = kinds.rules(recipe.negatives, chinese, negative)
    sources = [source_of(source.model_dump_json()) for source in recipe.sources.values() if "turns" in source.tasks]
    own = next((source.rules() for source in sources if source is not None), None)
    if own is None:
        return common

    def topics(label: str, key: Key) -> Iterable[str]:
        return own.topics(label.removeprefix(OWN), key) if label.startswith(OWN) else common.topics(label, key)

    def closes(label: str, polarity: str) -> bool:
        return own.closes(label.removeprefix(OWN), polarity) if label.startswith(OWN) else True

    quotas = {**common.quotas, **{OWN + kind: number for kind, number in own.quotas.items()}}
    return replace(common, quotas=quotas, topics=topics, closes=closes)


def exchanges(
    record: Record, asked: Sequence[Asked], source: Asking | None, explained_share: float
) -> list[tuple[Turn, Turn]]:
    known = facts_about(record) if any(not one.label.startswith(OWN) for one in asked) else None
    found = []
    for number, one in enumerate(asked):
        if known is None or one.label.startswith(OWN):
            assert source is not None
            found.append(source.exchange(record, replace(one, label=one.label.removeprefix(OWN))))
            continue
        found.append(kinds.exchange(one, known, number == len(asked) - 1, explained_share))
    return found


def askable_to_json(found: Askable) -> dict[str, Any]:
    return {
        label: [list(yes), no.to_json() if isinstance(no, Unless) else list(no)] for label, (yes, no) in found.items()
    }


def askable_from_json(data: Mapping[str, Any], names: dict[tuple[str, ...], Key]) -> Askable:
    """`names` holds every key once, for there are millions of the same."""

    def keys(those: Sequence[Sequence[str]]) -> list[Key]:
        return [names.setdefault(key, key) for key in map(tuple, those)]

    return {label: (keys(yes), Unless(**no) if isinstance(no, dict) else keys(no)) for label, (yes, no) in data.items()}
