"""From shards to an audit with its page: what `skymm data audit` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.curation.audit.count import Plan, count_shards
from skymm.curation.audit.findings import LEVELS, Finding, findings
from skymm.curation.audit.page import PAGE, write_page
from skymm.curation.audit.summary import Audit, summarise
from skymm.curation.audit.words import WORDS
from skymm.data.shards import expand


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found, and where the page is."""

    audit: Audit
    findings: list[Finding]
    page: Path

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Everything as plain data: findings with their sentences, the numbers, and the path of the page."""
        found = [
            {
                "name": one.name,
                "level": LEVELS[one.level],
                "sentence": one.sentence(WORDS[language]),
                "values": one.values,
            }
            for one in self.findings
        ]
        return {"page": str(self.page), "findings": found, **self.audit.to_json()}


def audit_shards(
    shards: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    plan: Plan | None = None,
    workers: int | None = None,
    language: str = "en",
    advance: Callable[[int], None] = lambda shards: None,
) -> Audited:
    """Count shards, tell what should worry, and write the page: to `out`, else audit.html in the directory that all
    shards share. `advance` is told of every shard that is done.

    Raises ValueError where there are no shards, and for a language without words.
    """
    if language not in WORDS:
        raise ValueError(f"found language {language!r}, expected one of {', '.join(WORDS)}")
    plan = plan or Plan()
    counts = count_shards(shards, plan, workers, advance)
    audit = summarise(counts, plan)
    found = findings(audit)
    path = Path(out) if out is not None else _beside(expand(shards))
    write_page(path, audit, found, counts, decoded=plan.decode, language=language)
    return Audited(audit, found, path)


def _beside(shards: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([shard.absolute().parent for shard in shards])) / PAGE
