"""Visual Genome: things, their attributes, what they do to each other, and phrases about parts of the pictures.

Boxes of one name overlap as they please (the same tree is there once for each worker who drew it), and nobody looked for
everything: so counts are not known and the facts are not complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from skymm.curation.record import Facts, Record, Thing
from skymm.curation.sources.pictures import Unusable, find, named
from skymm.curation.sources.source import (
    Join,
    JoinedSource,
    broken,
    captions_of,
    entries_of,
    identity,
    is_unicode,
    key_of,
)

_TABLES = {
    "objects": "objects.json",
    "attributes": "attributes.json",
    "relationships": "relationships.json",
    "regions": "region_descriptions.json",
}


class Source(JoinedSource):
    """An image is a record. Of several names for one thing ("monitor", "computer") all are there. Keys are the image ids."""

    default_licence = "Visual Genome CC-BY 4.0; pictures under Flickr's terms of use"

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        """Puts the tables into the join, no more of them than is needed."""
        most = self.recipe.regions_per_image
        paths = {kind: Path(self.recipe.root) / name for kind, name in _TABLES.items() if kind != "regions" or most}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if missing:
            expected = ", ".join(path.name for path in paths.values())
            raise ValueError(f"{self.recipe.root}: {', '.join(missing)} not there, expected {expected}")
        for kind, path in paths.items():
            for _, number, said, entry in entries_of(str(path), {"": [kind]}):
                image = identity(said.get("image_id", said.get("id")))  # region_descriptions.json says id
                if image is None or not isinstance(said.get(kind), list):
                    yield broken(path, f"entry {number}", f"found {entry!r}")
                    continue
                found = [each for each in said[kind] if isinstance(each, dict)]
                if kind == "regions":
                    join.add(image, kind, _largest(found, most))
                elif kind == "relationships":
                    join.add(image, kind, [_relation(each) for each in found])
                else:
                    join.add(image, kind, [[_names(each), _texts(each.get("attributes"))] for each in found])

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        return {"key": key_of(image), "image": str(image), **said}

    def record(self, row: dict[str, Any]) -> Record:
        facts = Facts(_things(row), _relations(row))
        captions = captions_of(_regions(row, self.recipe.regions_per_image))
        if not captions and not facts.to_json():
            raise Unusable("nothing is said", "no things, relations or regions")
        picture = find(f"{row['image']}.jpg", self.recipe.images)
        return Record(row["key"], named([picture]), tuple(captions), facts=facts)


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
    return [
        phrase for _, _, phrase in _distinct((region for entry in row.get("regions", []) for region in entry), count)
    ]


def _largest(regions: list[dict[str, Any]], count: int) -> list[tuple[float, int, str]]:
    """(negative area, id, phrase) of the largest regions with phrases of their own: what `_regions` needs of a table."""
    found = []
    for region in regions:
        width, height, number, phrase = (region.get(name) for name in ("width", "height", "region_id", "phrase"))
        sized = isinstance(width, int | float) and isinstance(height, int | float)
        if sized and isinstance(phrase, str) and phrase.strip():
            found.append((-float(width * height), number if isinstance(number, int) else 0, phrase.strip()))
    return _distinct(found, count)


def _distinct(regions: Iterable[Sequence[Any]], count: int) -> list[tuple[float, int, str]]:
    """Of regions with the same phrase, the largest."""
    phrases: dict[str, tuple[float, int, str]] = {}
    for region in sorted(map(tuple, regions)):
        phrases.setdefault(" ".join(region[2].lower().split()).rstrip("."), region)
    return list(phrases.values())[:count]


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
