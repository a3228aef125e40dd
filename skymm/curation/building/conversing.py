"""Third step: records become conversations without their questions, and it is found out what could be asked of each picture,
knowing what is frequent and what goes together in all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.audit.reading import CAPTION_KINDS
from skymm.curation.building.asking import askable_of, askable_to_json, source_of
from skymm.curation.building.engines import Job
from skymm.curation.building.jsonl import read_lines, write_lines
from skymm.curation.building.manifest import entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.building.stored import record_from_json, turn_to_json
from skymm.curation.building.tasks import Made, converse
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import stated_facts
from skymm.curation.record import Record
from skymm.files import whole_file
from skymm.recipe import DataRecipe, parse

FOLDER = ".build/conversations"
FACT_TASKS = ("negatives", "preferences")
FIELDS = ("negatives", "chinese_share", "negative_share", "max_turns", "seed")


def make_conversations(
    shop: Workshop,
    recipe: DataRecipe,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    repeated: Mapping[str, Path],
    statistics: Path,
    licences: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The manifest's lines of all parts, sources in the recipe's order. `repeated`: part -> which of its records go."""
    known = entries(shop.directory, [statistics])
    settings = recipe.model_dump(include=set(FIELDS))
    pieces = []
    for name, lines in records.items():
        tasks = list(recipe.sources[name].tasks)
        described = recipe.sources[name].model_dump(exclude={"tasks", "share"})
        for line in lines:
            part = line["part"]
            gone = entries(shop.directory, [repeated[part]])
            pieces.append(
                Piece(
                    f"conversations of {part}",
                    fingerprint(line["files"], gone, known, tasks, settings, licences[name], described),
                    {
                        "directory": str(shop.directory),
                        "part": part,
                        "name": name,
                        "source": recipe.sources[name].model_dump(),
                        "records": next(file for file in line["files"] if file.endswith(".jsonl")),
                        "repeated": str(repeated[part]),
                        "statistics": [str(statistics), fingerprint(known)],
                        "tasks": tasks,
                        "licence": licences[name],
                        "recipe": recipe.model_dump(),
                    },
                )
            )
    return shop.make("making conversations", pieces, converse_part)


def converse_part(job: Job) -> dict[str, Any]:
    """Worker: the conversations of one part, how many answers of which language and polarity each has, and what more its
    picture may be asked.

    Counts what filters took out of the records of which they are made: only now it is known which of them stay.
    """
    directory, part = Path(job["directory"]), job["part"]
    recipe, statistics = parse(job["recipe"], DataRecipe), _statistics(*job["statistics"])
    repeated = np.load(job["repeated"], allow_pickle=False)
    source = source_of(json.dumps(job["source"]))
    own = source.most if source is not None and "turns" in job["tasks"] else 0
    sorts: list[tuple[int, ...]] = []
    askables: list[dict[str, Any]] = []
    silent = 0
    dropped: Counter[str] = Counter()

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal silent
        for number, (data, gone) in enumerate(zip(read_lines(directory / job["records"]), repeated, strict=True)):
            if gone:
                continue
            dropped.update(data.get("dropped", {}))
            record = record_from_json(data)
            seed = f"{recipe.seed}/{job['name']}/{record.key}"
            told = False
            for one in converse(record, job["tasks"], recipe, statistics, seed, own):
                asked = askable_of(record, source, job["tasks"], recipe, statistics) if one.room else {}
                if asked or one.turns:
                    told = True
                    sorts.append(_sort(one))
                    askables.append(askable_to_json(asked))
                    yield {**_line(one, record, data["pictures"], job), "record": number}
            silent += not told

    path = directory / FOLDER / f"{part}.jsonl"
    num_conversations = write_lines(path, lines())
    write_lines(directory / FOLDER / f"{part}.askable.jsonl", askables)
    table = path.with_suffix(".npy")
    with whole_file(table) as file:
        np.save(file, np.array(sorts, dtype=np.uint16).reshape(len(sorts), 5))
    return {
        "files": entries(directory, sorted(path.parent.glob(f"{part}.*"))),
        "part": part,
        "source": job["name"],
        "records": job["records"],
        "conversations": num_conversations,
        "silent": silent,
        "dropped": dict(sorted(dropped.items())),
    }


def _sort(made: Made) -> tuple[int, ...]:
    """(answers, Chinese ones, those that affirm or deny, negative ones, room for questions)"""
    answers = [turn for turn in made.turns if turn.role == "assistant"]
    decided = [
        turn for turn in answers if turn.polarity and turn.kind not in CAPTION_KINDS and "rejected" not in made.extra
    ]
    return (
        len(answers),
        sum(turn.language == "zh" for turn in answers),
        len(decided),
        sum(turn.polarity == "negative" for turn in decided),
        made.room,
    )


def _line(made: Made, record: Record, pictures: Mapping[str, Any], job: Job) -> dict[str, Any]:
    asked = any(task in FACT_TASKS for task in job["tasks"])
    facts = (stated_facts(record) if asked else record.facts).to_json()
    extra = {"source": job["name"], "licence": job["licence"], **({"facts": facts} if facts else {}), **record.extra}
    return {
        "key": f"{job['name']}_{record.key}{made.suffix}",
        "turns": [turn_to_json(turn) for turn in made.turns],
        "pictures": dict(pictures),
        "extra": {**extra, **made.extra},
    }


@lru_cache(maxsize=1)
def _statistics(path: str, digest: str) -> Statistics:
    """Once per process and content: a process may outlive one build and see the next one's file at the same place."""
    return Statistics.from_json(json.loads(Path(path).read_text("utf-8")))
