"""The first steps: every source lists its rows, in order, into parts that processes can take; rows become records; and it is
found out what is there twice over all sources, and what is frequent in all of them.

What is kept out is counted sample by sample, under its reason.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from skymm.curation.building.manifest import Files, Manifest, Piece, entries, excerpt, file_of, full_disk_explained
from skymm.curation.building.storage import kept, places_of, read_lines, write_lines
from skymm.curation.building.workers import Job
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import stated_facts
from skymm.curation.filters import Filters
from skymm.curation.filters.duplicates import SIGNATURE, placeholders, repeated, signatures
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.record import Candidate, Record, Rejected, to_plain
from skymm.curation.script import in_language, to_script
from skymm.curation.sources.source import open_source
from skymm.files import whole_file
from skymm.progress import progress, say
from skymm.recipe import DataRecipe, parse
from skymm.recipe.data import FiltersRecipe, TranslationRecipe

ROWS, RECORDS, COMPARED = ".build/rows", ".build/records", ".build/compared"
KEY_TWICE, DUPLICATE, PLACEHOLDER = "key is there twice", "duplicate", "placeholder picture"
FACT_TASKS = {"negatives", "preferences"}
_BATCH = 64  # records whose pictures are open at a time
_EXAMPLES = 3  # rejected samples that are named, per reason
TABLE = np.dtype([("key", "<u8"), ("signature", SIGNATURE)])
"""What samples are compared by: 64 bits of the hash of a record's key, and its signature."""
Lines = Mapping[str, Sequence[Mapping[str, Any]]]
"""Source -> the manifest's lines of its parts of records."""


# --- rows -----------------------------------------------------------------------------------------------------------------


def list_rows(directory: Path, recipe: DataRecipe) -> dict[str, dict[str, Any]]:
    """Source -> files of its rows, its licence, and how many rows it has of which form, where its format has several.

    In this process, for tables are read in order, and each time anew, for they may have changed. Raises ValueError where a
    source has no rows.
    """
    found = {}
    with progress(transient=True) as bar, full_disk_explained(directory):
        task = bar.add_task("listing rows", total=len(recipe.sources), note="")
        for name, described in recipe.sources.items():
            bar.update(task, note=name)
            source = open_source(described)
            rows = iter(row for row in islice(source.rows(), described.limit) if _in_part(row, recipe))
            paths: list[Path] = []
            for first in rows:
                paths.append(directory / ROWS / f"{name}-{len(paths):05d}.jsonl")
                write_lines(paths[-1], chain([first], islice(rows, source.rows_per_part - 1)))
            if not paths:
                raise ValueError(f"source {name} ({described.format}) has no rows; expected at least one")
            forms = dict(Counter(getattr(source, "forms", {})).most_common())
            found[name] = {"files": entries(directory, paths), "licence": source.licence, "forms": forms}
            bar.advance(task)
    return found


def _in_part(row: Mapping[str, Any], recipe: DataRecipe) -> bool:
    """Whether a row belongs to this part of the recipe's data. Its key decides, whatever else is in the table."""
    if recipe.part is None:
        return True
    key = str(row.get("key") or json.dumps(row, sort_keys=True))
    place = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
    return (place < recipe.held_out_share) == (recipe.part == "held_out")


# --- records --------------------------------------------------------------------------------------------------------------


def read_records(
    manifest: Manifest, recipe: DataRecipe, rows: Mapping[str, Mapping[str, Any]], leakage: Path | None
) -> dict[str, list[dict[str, Any]]]:
    """Source -> the manifest's lines of its parts. Raises ValueError where more than `max_rejected` of a source is lost."""
    index = [str(leakage), entries(leakage.parent, [leakage])[leakage.name][1]] if leakage else [None, None]
    # Filters that need all samples come later.
    filters = recipe.filters.model_dump(exclude={"duplicates", "max_uses"})
    pieces = []
    for name, listed in rows.items():
        job = {"recipe": {**excerpt(recipe, name, "script", "translation"), "filters": filters}, "leakage": index}
        if recipe.translation is not None and name not in (recipe.translation.sources or rows):
            job["recipe"]["translation"] = None
        for number, (file, state) in enumerate(listed["files"].items()):
            part = f"{name}-{number:05d}"
            pieces.append(Piece(f"records of {part}", {**job, "part": part, "rows": {file: state}}))
    so_far: Counter[str] = Counter()

    def note(line: dict[str, Any]) -> str:
        so_far.update(kept=line["records"], lost=sum(line["rejected"].values()))
        return f"{so_far['kept']} kept, {so_far['lost']} left out"

    found: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    for line in manifest.make("reading", pieces, read_part, note):
        found[line["source"]].append(line)
    for name, lines in found.items():
        _check_rejected(name, lines, recipe.max_rejected)
    return found


def rejections(lines: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Samples that were left out, by reason."""
    return sum((Counter(line["rejected"]) for line in lines), Counter())


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
    pictures, records, table, statistics = (
        base.with_suffix(suffix) for suffix in (".bin", ".jsonl", ".samples.npy", ".statistics.json")
    )
    reader = Reader(job)
    (rows,) = job["rows"]
    with whole_file(pictures) as file:
        num_records = write_lines(records, reader.lines(directory / rows, pictures, file))
    with whole_file(table) as file:
        np.save(file, np.concatenate([np.zeros(0, TABLE), *reader.table]))
    with whole_file(statistics, "w", encoding="utf-8") as file:
        json.dump(reader.statistics.to_json(), file, ensure_ascii=False)
    return {
        "files": entries(directory, [pictures, records, places_of(records), table, statistics]),
        "part": part,
        "source": reader.name,
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
        recipe = parse(job["recipe"], DataRecipe)
        ((self.name, described),) = recipe.sources.items()
        self.source, self.language = open_source(described), described.language
        self.named = described.language is not None or isinstance(getattr(described, "caption_column", None), dict)
        self.filters = _filters(recipe.filters.model_dump_json(), *job["leakage"])
        self.script, self.translation = recipe.script, recipe.translation
        self.needs_facts = not FACT_TASKS.isdisjoint(described.tasks)
        self.statistics = Statistics()
        self.table: list[np.ndarray] = []
        self.rejected: Counter[str] = Counter()
        self.untranslated: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def lines(self, rows: Path, path: Path, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        """Records as JSON, in the order of the rows. Pictures that lie nowhere else are put into PATH, open as `file`."""
        found = (self._opened(record) for row in read_lines(rows) for record in self.source.records(row))
        candidates = (candidate for candidate in found if candidate is not None)
        while batch := list(islice(candidates, _BATCH)):
            passed = []
            for candidate, outcome in zip(batch, self.filters.sift(batch)):
                if outcome.record is None:
                    self._reject(candidate.record.key, outcome.reason or "filtered")
                else:
                    candidate.record = outcome.record
                    candidate.dropped.update(outcome.dropped)
                    passed.append(candidate)
            for candidate in self._translated(passed):
                yield self._line(candidate, path, file)

    def _opened(self, record: Record | Rejected) -> Candidate | None:
        """A record whose words are good, before its pictures are opened; None where it is left out."""
        if isinstance(record, Rejected):
            return self._reject(record.key, record.reason, record.detail)
        outcome = self.filters.prune(to_script(in_language(record, self.language), self.script), named=self.named)
        if outcome.record is None:
            return self._reject(record.key, outcome.reason or "filtered")
        try:
            encoded = {name: picture.read() for name, picture in record.pictures.items()}
        except OSError as error:
            return self._reject(record.key, "picture cannot be read", str(error))
        return Candidate(outcome.record, encoded, self.filters.recipe.max_pixels, Counter(outcome.dropped))

    def _translated(self, candidates: list[Candidate]) -> Iterator[Candidate]:
        """The candidates, and beside them those that translation made of them; all show the same pictures."""
        if self.translation is None:
            yield from candidates
            return
        from skymm.curation.translation import translate_records

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

    def _line(self, candidate: Candidate, path: Path, file: IO[bytes]) -> dict[str, Any]:
        """What is known of a record is found out once: "stated" goes into the sample, and statistics are taken over it."""
        record = candidate.record
        facts = stated_facts(record) if self.needs_facts else record.facts
        if self.needs_facts:
            self.statistics.add(facts)
        row = np.zeros(1, TABLE)
        row["key"] = int.from_bytes(hashlib.sha256(record.key.encode()).digest()[:8], "little")
        row["signature"] = signatures([candidate])
        self.table.append(row)
        pictures = {
            name: kept(picture, candidate.encoded[name], path, file) for name, picture in record.pictures.items()
        }
        plain = to_plain(replace(record, pictures=pictures))
        return {"record": plain, "stated": facts.to_json(), "dropped": candidate.dropped}

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
    """The models and the cache."""
    from skymm.curation.translation.cache import TranslationCache
    from skymm.curation.translation.translators import open_translators

    recipe = TranslationRecipe.model_validate_json(settings)
    return open_translators(recipe), TranslationCache(recipe.cache)


# --- all records together ---------------------------------------------------------------------------------------------------


def find_repeated(
    directory: Path, recipe: DataRecipe, records: Lines
) -> tuple[dict[str, list[int]], dict[str, Counter[str]]]:
    """(part -> numbers of its records that go, source -> how many go and why).

    Sources come in the recipe's order, records in their source's: of several alike the first one stays.
    """
    parts = [line for lines in records.values() for line in lines]
    starts = np.cumsum([0, *(line["records"] for line in parts)])
    places = list(zip(parts, starts, starts[1:]))
    path = directory / COMPARED / "samples.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.lib.format.open_memmap(path, "w+", TABLE, (int(starts[-1]),))
    source_of = np.zeros(len(table), np.uint16)
    names = list(records)
    for line, begin, end in places:
        table[begin:end] = np.load(file_of(directory, line["files"], ".samples.npy"), allow_pickle=False)
        source_of[begin:end] = names.index(line["source"])
    gone = np.zeros(len(table), bool)
    reasons: dict[str, Counter[str]] = {name: Counter() for name in records}
    for reason, mask in _reasons(recipe, table, source_of):
        for number, count in enumerate(np.bincount(source_of[mask & ~gone], minlength=len(names))):
            if count:
                reasons[names[number]][reason] += int(count)
        gone |= mask
    return {line["part"]: np.flatnonzero(gone[begin:end]).tolist() for line, begin, end in places}, reasons


def _reasons(recipe: DataRecipe, table: np.ndarray, source_of: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    twice = np.ones(len(table), bool)
    for source in np.unique(source_of):
        rows = np.flatnonzero(source_of == source)
        twice[rows[np.unique(table["key"][rows], return_index=True)[1]]] = False
    yield KEY_TWICE, twice
    filters = recipe.filters
    if len(table) >= 100_000 and (filters.duplicates is not None or filters.max_uses is not None):
        say(f"comparing {len(table)} samples")
    if filters.max_uses is not None:
        yield PLACEHOLDER, placeholders(table["signature"], filters.max_uses)
    if filters.duplicates is not None:
        yield DUPLICATE, repeated(table["signature"], filters.duplicates)


def gather_statistics(directory: Path, records: Lines) -> Files:
    """One file with the frequencies of things in all records."""
    total = Statistics()
    for line in (line for lines in records.values() for line in lines):
        text = file_of(directory, line["files"], ".statistics.json").read_text("utf-8")
        total.merge(Statistics.from_json(json.loads(text)))
    path = directory / COMPARED / "statistics.json"
    with whole_file(path, "w", encoding="utf-8") as file:
        json.dump(total.to_json(), file, ensure_ascii=False, sort_keys=True)
    return entries(directory, [path])
