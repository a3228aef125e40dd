"""A worker that reads rows: records, their pictures opened once, filters, facts, translations, signatures."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from skymm.curation.building.engines import Job
from skymm.curation.building.jsonl import read_lines, write_lines
from skymm.curation.building.manifest import entries
from skymm.curation.building.stored import PictureStore, record_to_json
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import stated_facts
from skymm.curation.filters import Filters
from skymm.curation.filters.duplicates import SIGNATURE, signatures
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.record import Candidate, Record, Rejected
from skymm.curation.script import in_language, to_script
from skymm.curation.sources.source import open_source
from skymm.files import whole_file
from skymm.recipe.data import FiltersRecipe, TranslationRecipe
from skymm.recipe.sources import parse_source

FOLDER = ".build/records"
BATCH = 64  # records whose pictures are open at a time
EXAMPLES = 3  # rejected samples that are named, per reason
UNREADABLE = "picture cannot be read"


def read_part(job: Job) -> dict[str, Any]:
    """Worker: the rows of one file. What it kept, what it left out and why, and the files with all that."""
    directory, part = Path(job["directory"]), job["part"]
    base = directory / FOLDER / part
    reader = Reader(job)
    pictures, lines = base.with_suffix(".bin"), base.with_suffix(".jsonl")
    with whole_file(pictures) as file:
        num_records = write_lines(lines, reader.lines(directory / job["rows"], PictureStore(pictures, file)))
    tables = {".signatures.npy": np.concatenate(reader.signatures), ".keys.npy": np.array(reader.keys, dtype="<u8")}
    for suffix, table in tables.items():
        with whole_file(base.with_suffix(suffix)) as file:
            np.save(file, table)
    with whole_file(base.with_suffix(".statistics.json"), "w", encoding="utf-8") as file:
        json.dump(reader.statistics.to_json(), file, ensure_ascii=False)
    suffixes = (".bin", ".jsonl", ".jsonl.places.npy", *tables, ".statistics.json")
    return {
        "files": entries(directory, [base.with_suffix(suffix) for suffix in suffixes]),
        "part": part,
        "source": job["name"],
        "records": num_records,
        "rejected": dict(sorted(reader.rejected.items())),
        "not translated": dict(sorted(reader.untranslated.items())),
        "examples": reader.examples,
    }


class Reader:
    """Counts as it goes, by reason: `rejected` samples, and captions and conversations that stay `untranslated`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        settings = job["settings"]
        recipe = parse_source(job["source"])
        self.source = open_source(recipe)
        self.language = recipe.language
        self.named = recipe.language is not None or isinstance(getattr(recipe, "caption_column", None), dict)
        self.filters = _filters(json.dumps(settings["filters"]), *(job["leakage"] or (None, None)))
        self.script = settings["script"]
        self.translation = TranslationRecipe(**settings["translation"]) if _translates(job) else None
        self.statistics = Statistics()
        self.signatures = [np.zeros(0, SIGNATURE)]
        self.keys: list[int] = []
        self.rejected: Counter[str] = Counter()
        self.untranslated: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def lines(self, rows: Path, store: PictureStore) -> Iterator[dict[str, Any]]:
        """Records as JSON, in the order of the rows, the bytes of pictures that lie nowhere else put into the store."""
        records = (record for row in read_lines(rows) for record in self.source.records(row))
        for batch in _batches(self._accepted(records), BATCH):
            candidates = self._opened(batch)
            kept = []
            for candidate, outcome in zip(candidates, self.filters.sift(candidates)):
                if outcome.record is None:
                    self._reject(candidate.record.key, outcome.reason or "filtered", "")
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
                self._reject(record.key, outcome.reason or "filtered", "")
                continue
            yield outcome.record, outcome.dropped

    def _opened(self, records: Sequence[tuple[Record, Mapping[str, int]]]) -> list[Candidate]:
        found = []
        for record, dropped in records:
            try:
                encoded = {name: picture.read() for name, picture in record.pictures.items()}
            except OSError as error:
                self._reject(record.key, UNREADABLE, str(error))
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
        record = candidate.record
        if self.job["needs_facts"]:
            self.statistics.add(stated_facts(record))
        self.signatures.append(signatures([candidate]))
        self.keys.append(int.from_bytes(hashlib.sha256(record.key.encode()).digest()[:8], "little"))
        pictures = {name: store.keep(record.pictures[name], candidate.encoded[name]) for name in record.pictures}
        return record_to_json(record, pictures) | ({"dropped": candidate.dropped} if candidate.dropped else {})

    def _reject(self, key: str, reason: str, detail: str) -> None:
        self.rejected[reason] += 1
        known = self.examples.setdefault(reason, [])
        if len(known) < EXAMPLES:
            known.append(f"{key}: {detail}" if detail else key)


Item = TypeVar("Item")


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch


def _translates(job: Job) -> bool:
    wanted = job["settings"]["translation"]
    return wanted is not None and (not wanted["sources"] or job["name"] in wanted["sources"])


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
