"""Visual Genome: things, their attributes, what they do to each other, and phrases about parts of the pictures.

Boxes of one name overlap as they please (the same tree is there once for each worker who drew it), and nobody looked for
everything: so counts are not known and the facts are not complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skymm.curation.record import Facts, Record, Rejected, Thing
from skymm.curation.sources import json_stream
from skymm.curation.sources.join import Join
from skymm.curation.sources.pictures import check_directories, find, named
from skymm.curation.sources.rows import (
    Unusable,
    broken,
    captions_of,
    expect_names,
    identity,
    is_unicode,
    key_of,
    record_of,
)
from skymm.recipe.sources import VisualGenomeSource

LICENCE = "Visual Genome CC-BY 4.0; pictures under Flickr's terms of use"
_TABLES = {
    "objects": "objects.json",
    "attributes": "attributes.json",
    "relationships": "relationships.json",
    "regions": "region_descriptions.json",
}


class Source:
    """An image is a record. Of several names for one thing ("monitor", "computer") all are there. Keys are the image ids."""

    rows_per_part = 256

    def __init__(self, recipe: VisualGenomeSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or LICENCE

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        tables = {kind: name for kind, name in _TABLES.items() if kind != "regions" or self.recipe.regions_per_image}
        paths = {kind: Path(self.recipe.root) / name for kind, name in tables.items()}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if missing:
            raise ValueError(
                f"{self.recipe.root}: {', '.join(missing)} not there, expected {', '.join(tables.values())}"
            )
        with Join() as join:
            for kind, path in paths.items():
                yield from self._read(path, kind, join)
            for image, said in join.images():
                yield {"key": key_of(image), "image": str(image), **said}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        facts = Facts(_things(row), _relations(row))
        captions = captions_of(_regions(row, self.recipe.regions_per_image))
        if not captions and not facts.to_json():
            raise Unusable("nothing is said", "no things, relations or regions")
        return Record(
            row["key"], named([find(f"{row['image']}.jpg", self.recipe.images)]), tuple(captions), facts=facts
        )

    def _read(self, path: Path, kind: str, join: Join) -> Iterator[dict[str, Any]]:
        """Puts a table into the join, no more of it than is needed; yields what is broken."""
        number = 0
        for number, entry in enumerate(json_stream.values(path), 1):
            said = entry.value if isinstance(entry.value, dict) else {}
            if number == 1:
                expect_names(said.keys(), [kind], f"{path}, entry 1", "field")
            image = identity(said.get("image_id", said.get("id")))  # region_descriptions.json says id
            if image is None or not isinstance(said.get(kind), list):
                yield broken(path, f"entry {number}", f"found {entry.value!r}")
                continue
            found = [each for each in said[kind] if isinstance(each, dict)]
            if kind == "regions":
                join.add(image, kind, _largest(found, self.recipe.regions_per_image))
            elif kind == "relationships":
                join.add(image, kind, [_relation(each) for each in found])
            else:
                join.add(image, kind, [[_names(each), _texts(each.get("attributes"))] for each in found])
        if not number:
            raise ValueError(f"{path}: found no entries")


def _things(row: dict[str, Any]) -> tuple[Thing, ...]:
    attributes: dict[str, dict[str, None]] = {}
    for kind in ("objects", "attributes"):
        for entry in row.get(kind, []):
            for names, said in entry:
                for name in names:
                    attributes.setdefault(name, {}).update(dict.fromkeys(said))
    for entry in row.get("relationships", []):
        for subject, _, other in entry:
            for name in (*subject, *other):
                attributes.setdefault(name, {})
    return tuple(Thing(name, None, tuple(said)) for name, said in attributes.items())


def _relations(row: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    found = (
        (subject[0], predicate, other[0])
        for entry in row.get("relationships", [])
        for subject, predicate, other in entry
        if subject and predicate and other
    )
    return tuple(dict.fromkeys(found))


def _regions(row: dict[str, Any], count: int) -> list[str]:
    """The phrases of the largest regions, each once."""
    distinct: dict[str, tuple[float, int, str]] = {}
    for region in (tuple(region) for entry in row.get("regions", []) for region in entry):
        plain = _plain(region[2])
        distinct[plain] = min(distinct.get(plain, region), region)
    return [phrase for _, _, phrase in sorted(distinct.values())[:count]]


def _largest(regions: list[dict[str, Any]], count: int) -> list[tuple[float, int, str]]:
    """(negative area, id, phrase) of the largest regions with phrases of their own: what `_regions` needs of a table."""
    found = []
    for region in regions:
        width, height, number = (region.get(name) for name in ("width", "height", "region_id"))
        phrase = region.get("phrase")
        if (
            isinstance(phrase, str)
            and phrase.strip()
            and all(isinstance(side, int | float) for side in (width, height))
        ):
            found.append((-float(width * height), number if isinstance(number, int) else 0, phrase.strip()))
    phrases: dict[str, tuple[float, int, str]] = {}
    for region in sorted(found):
        phrases.setdefault(_plain(region[2]), region)
    return list(phrases.values())[:count]


def _plain(phrase: str) -> str:
    return " ".join(phrase.lower().split()).rstrip(".")


def _relation(said: dict[str, Any]) -> list[Any]:
    """[names of the subject, predicate, names of the object]"""
    ends = (said.get(name) for name in ("subject", "object"))
    subject, other = (end if isinstance(end, dict) else {} for end in ends)
    predicate = _texts([said.get("predicate")])
    return [_names(subject), predicate[0] if predicate else "", _names(other)]


def _names(thing: dict[str, Any]) -> list[str]:
    """Its names; in relationships.json some have one `name` instead of `names`."""
    return _texts(thing.get("names")) or _texts([thing.get("name")])


def _texts(values: Any) -> list[str]:
    texts = (
        [value for value in values if isinstance(value, str) and is_unicode(value)] if isinstance(values, list) else []
    )
    return list(dict.fromkeys(text for value in texts if (text := " ".join(value.lower().split()))))
