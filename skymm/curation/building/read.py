"""The first steps: every source lists its rows once, in order, into parts that processes can take; rows become records.

What is kept out is counted sample by sample, under its reason.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.manifest import Manifest, Piece, entries, fingerprint
from skymm.curation.building.storage import PictureStore, lines_and_places, read_lines, record_to_json, write_lines
from skymm.curation.building.workers import Job, Local
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import stated_facts
from skymm.curation.filters import Filters
from skymm.curation.filters.duplicates import SIGNATURE, signatures
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.record import Candidate, Record, Rejected
from skymm.curation.script import in_language, to_script
from skymm.curation.sources.source import open_source
from skymm.files import whole_file
from skymm.recipe import DataRecipe
from skymm.recipe.data import FiltersRecipe, TranslationRecipe
from skymm.recipe.sources import Source as SourceRecipe
from skymm.recipe.sources import parse_source

ROWS, RECORDS = ".build/rows", ".build/records"
FACT_TASKS = ("negatives", "preferences")
# What is made of a source's records, and how many of them are chosen, does not change its rows.
_LATER = ("tasks", "share", "licence")
_SINGLE = ("filters", "script", "translation")  # what of a recipe decides about single records, not about their mixture
_NEED_ALL = ("duplicates", "max_uses")  # of the filters
_BATCH = 64  # records whose pictures are open at a time
_EXAMPLES = 3  # rejected samples that are named, per reason
TABLE = np.dtype([("key", "<u8"), ("signature", SIGNATURE)])
"""What samples are compared by: 64 bits of the hash of a record's key, and its signature."""


def needs_facts(tasks: Iterable[str]) -> bool:
    return any(task in FACT_TASKS for task in tasks)


# --- rows -----------------------------------------------------------------------------------------------------------------


def list_rows(manifest: Manifest, recipe: DataRecipe) -> dict[str, dict[str, Any]]:
    """Source -> the manifest's line of its rows: files of rows, licence, and how many rows it has of which form, where its
    format has several.
    """
    found = {}
    for name, source in recipe.sources.items():
        fields = {key: value for key, value in source.model_dump().items() if key not in _LATER}
        inputs = fingerprint(name, fields, [_state(path) for path in _strings(fields)])
        job = {"directory": str(manifest.directory), "name": name, "source": source.model_dump()}
        piece = Piece(f"rows of {name}", inputs, job)
        # In this process: tables are read in order, and img2dataset has its own workers.
        line = manifest.make(f"listing {name}", [piece], list_source, engine=Local())[0]
        found[name] = {**line, "licence": source.licence or line["licence"]}
    return found


def list_source(job: Job) -> dict[str, Any]:
    """Worker: the rows of one source. Raises ValueError where there are none."""
    directory, name, recipe = Path(job["directory"]), job["name"], parse_source(job["source"])
    source = open_source(recipe)
    rows = iter(islice(source.rows(), recipe.limit))
    paths: list[Path] = []
    for first in rows:
        paths.append(directory / ROWS / f"{name}-{len(paths):05d}.jsonl")
        write_lines(paths[-1], chain([first], islice(rows, source.rows_per_part - 1)))
    if not paths:
        raise ValueError(f"source {name} ({recipe.format}) has no rows; expected at least one in {_named(recipe)}")
    forms = dict(Counter(getattr(source, "forms", {})).most_common())
    return {"files": entries(directory, paths), "licence": source.licence, "forms": forms}


def _named(recipe: SourceRecipe) -> str:
    """The recipe's files and directories."""
    fields = {key: value for key, value in recipe.model_dump().items() if key not in ("format", *_LATER)}
    return ", ".join(_strings(fields))


def _strings(value: Any) -> Iterator[str]:
    """All that may be paths."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _state(path: str) -> Any:
    """A table that was changed since is listed again. Of a directory, its own entry tells when files came or went."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError):
        return path
    return path, state.st_size, state.st_mtime_ns


# --- records --------------------------------------------------------------------------------------------------------------


def read_records(
    manifest: Manifest, recipe: DataRecipe, rows: Mapping[str, Mapping[str, Any]], leakage: Path | None
) -> dict[str, list[dict[str, Any]]]:
    """Source -> the manifest's lines of its parts. Raises ValueError where more than `max_rejected` of a source is lost."""
    settings = recipe.model_dump(include=set(_SINGLE))
    filters = {name: value for name, value in settings["filters"].items() if name not in _NEED_ALL}
    index = entries(leakage.parent, [leakage]) if leakage else None
    pieces = []
    for name, listed in rows.items():
        source = recipe.sources[name]
        job = {
            "directory": str(manifest.directory),
            "name": name,
            "source": source.model_dump(),
            "needs_facts": needs_facts(source.tasks),
            "settings": settings,
            "leakage": [str(leakage), fingerprint(index)] if leakage else None,
        }
        described = source.model_dump(exclude={"tasks", "share"})
        inputs = (name, described, job["needs_facts"], {**settings, "filters": filters}, index)
        for number, (file, (_, digest)) in enumerate(listed["files"].items()):
            part = f"{name}-{number:05d}"
            piece_job = {**job, "part": part, "rows": file}
            pieces.append(Piece(f"records of {part}", fingerprint(digest, *inputs), piece_job))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    for line in manifest.make("reading", pieces, read_part, _Note()):
        found[line["source"]].append(line)
    for name, lines in found.items():
        _check_rejected(name, lines, recipe.max_rejected)
    return found


def rejections(lines: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Samples that were left out, by reason."""
    return sum((Counter(line["rejected"]) for line in lines), Counter())


class _Note:
    """Beside the progress bar: what is kept and left out so far."""

    def __init__(self) -> None:
        self.kept = self.lost = 0

    def __call__(self, line: dict[str, Any]) -> str:
        self.kept += line["records"]
        self.lost += sum(line["rejected"].values())
        return f"{self.kept} kept, {self.lost} left out"


def _check_rejected(name: str, lines: Sequence[Mapping[str, Any]], limit: float) -> None:
    lost, kept = rejections(lines), sum(line["records"] for line in lines)
    if lost.total() > limit * (lost.total() + kept) or not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.most_common(5))
        example = next((line["examples"] for line in lines if line["examples"]), {})
        raise ValueError(
            f"source {name}: {lost.total()} of {lost.total() + kept} samples cannot be used ({reasons}), more than "
            f"max_rejected = {limit}; for example {example}. Mend the source, or raise max_rejected"
        )


def read_part(job: Job) -> dict[str, Any]:
    """Worker: the rows of one file. What it kept, what it left out and why, and the files with all that."""
    directory, part = Path(job["directory"]), job["part"]
    base = directory / RECORDS / part
    reader = Reader(job)
    pictures, records, table, statistics = (
        base.with_suffix(suffix) for suffix in (".bin", ".jsonl", ".samples.npy", ".statistics.json")
    )
    with whole_file(pictures) as file:
        num_records = write_lines(records, reader.lines(directory / job["rows"], PictureStore(pictures, file)))
    with whole_file(table) as file:
        np.save(file, np.concatenate([np.zeros(0, TABLE), *reader.table]))
    with whole_file(statistics, "w", encoding="utf-8") as file:
        json.dump(reader.statistics.to_json(), file, ensure_ascii=False)
    return {
        "files": entries(directory, [pictures, *lines_and_places(records), table, statistics]),
        "part": part,
        "source": job["name"],
        "records": num_records,
        "rejected": dict(sorted(reader.rejected.items())),
        "not translated": dict(sorted(reader.untranslated.items())),
        "examples": reader.examples,
    }


class Reader:
    """Records, their pictures opened once: filters, facts, translations, signatures.

    Counts as it goes, by reason: `rejected` samples, and captions and conversations that stay `untranslated`.
    """

    def __init__(self, job: Job) -> None:
        settings, recipe = job["settings"], parse_source(job["source"])
        self.source, self.language = open_source(recipe), recipe.language
        self.named = recipe.language is not None or isinstance(getattr(recipe, "caption_column", None), dict)
        self.filters = _filters(json.dumps(settings["filters"]), *(job["leakage"] or (None, None)))
        self.script, self.needs_facts = settings["script"], job["needs_facts"]
        wanted = settings["translation"]
        translates = wanted is not None and (not wanted["sources"] or job["name"] in wanted["sources"])
        self.translation = TranslationRecipe(**wanted) if translates else None
        self.statistics = Statistics()
        self.table: list[np.ndarray] = []
        self.rejected: Counter[str] = Counter()
        self.untranslated: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def lines(self, rows: Path, store: PictureStore) -> Iterator[dict[str, Any]]:
        """Records as JSON, in the order of the rows, the bytes of pictures that lie nowhere else put into the store."""
        records = self._accepted(record for row in read_lines(rows) for record in self.source.records(row))
        while batch := list(islice(records, _BATCH)):
            candidates = self._opened(batch)
            kept = []
            for candidate, outcome in zip(candidates, self.filters.sift(candidates)):
                if outcome.record is None:
                    self._reject(candidate.record.key, outcome.reason or "filtered")
                else:
                    candidate.record = outcome.record
                    candidate.dropped.update(outcome.dropped)
                    kept.append(candidate)
            for candidate in self._translated(kept):
                yield self._line(candidate, store)

    def _accepted(self, records: Iterable[Record | Rejected]) -> Iterator[tuple[Record, Mapping[str, int]]]:
        """Records whose words are good, before any picture is opened, and what was taken out of them."""
        for record in records:
            if isinstance(record, Rejected):
                self._reject(record.key, record.reason, record.detail)
                continue
            outcome = self.filters.prune(to_script(in_language(record, self.language), self.script), named=self.named)
            if outcome.record is None:
                self._reject(record.key, outcome.reason or "filtered")
                continue
            yield outcome.record, outcome.dropped

    def _opened(self, records: Sequence[tuple[Record, Mapping[str, int]]]) -> list[Candidate]:
        found = []
        for record, dropped in records:
            try:
                encoded = {name: picture.read() for name, picture in record.pictures.items()}
            except OSError as error:
                self._reject(record.key, "picture cannot be read", str(error))
                continue
            found.append(Candidate(record, encoded, self.filters.recipe.max_pixels, Counter(dropped)))
        return found

    def _translated(self, candidates: list[Candidate]) -> Iterator[Candidate]:
        """The candidates, and beside them those that translation made of them; all show the same pictures."""
        if self.translation is None:
            yield from candidates
            return
        from skymm.curation.translation.translate import translate_records

        records = [candidate.record for candidate in candidates]
        made, faults = translate_records(records, self.translation, *_translator(self.translation.model_dump_json()))
        self.untranslated.update(faults)
        index = -1
        for record in made:  # each original, then what was made of it, which may be called as the next original is
            following = records[index + 1] if index + 1 < len(records) else None
            if following is not None and record.key == following.key and record.pictures is following.pictures:
                index += 1
                yield replace(candidates[index], record=record)
            else:
                yield replace(candidates[index], record=record, dropped=Counter())

    def _line(self, candidate: Candidate, store: PictureStore) -> dict[str, Any]:
        """What is known of a record is found out once: "stated" goes into the sample, and statistics are taken over it."""
        record = candidate.record
        facts = stated_facts(record) if self.needs_facts else record.facts
        if self.needs_facts:
            self.statistics.add(facts)
        row = np.zeros(1, TABLE)
        row["key"] = int.from_bytes(hashlib.sha256(record.key.encode()).digest()[:8], "little")
        row["signature"] = signatures([candidate])
        self.table.append(row)
        pictures = {name: store.keep(record.pictures[name], candidate.encoded[name]) for name in record.pictures}
        return {**record_to_json(record, pictures), "stated": facts.to_json(), "dropped": candidate.dropped}

    def _reject(self, key: str, reason: str, detail: str = "") -> None:
        self.rejected[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"{key}: {detail}" if detail else key)


@lru_cache(maxsize=1)
def _filters(settings: str, leakage: str | None, digest: str | None) -> Filters:
    """Once per process and content (the index's `digest`): it and the model of the agreement filter are large."""
    return Filters(FiltersRecipe(**json.loads(settings)), LeakageIndex.load(leakage) if leakage else None)


@lru_cache(maxsize=1)
def _translator(settings: str) -> tuple[Any, Any]:
    """The model and the cache."""
    from skymm.curation.translation.cache import TranslationCache
    from skymm.curation.translation.translate import open_translator

    recipe = TranslationRecipe.model_validate_json(settings)
    return open_translator(recipe), TranslationCache(recipe.cache)
