"""Visual Genome: things, their attributes, what they do to each other, and phrases about parts of the pictures.

Boxes of one name overlap as they please (the same tree is there once for each worker who drew it), and nobody looked for
everything: so counts are not known and the facts are not complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from skymm.curation.record import Facts, Thing
from skymm.curation.sources.source import Join, JoinedSource, broken, entries_of, identity, is_unicode

_TABLES = {
    "objects": "objects.json",
    "attributes": "attributes.json",
    "relationships": "relationships.json",
    "regions": "region_descriptions.json",
}


class Source(JoinedSource):
    """An image is a record. Of several names for one thing ("monitor", "computer") all are there."""

    nothing_said = ("nothing is said", "no things, relations or regions")
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
                    join.add(image, kind, _largest(filter(None, map(_region, found)), most))
                elif kind == "relationships":
                    join.add(image, kind, [_relation(each) for each in found])
                else:
                    join.add(image, kind, [[_names(each), _texts(each.get("attributes"))] for each in found])

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        objects, attributes, relations, regions = (list(chain.from_iterable(said.get(kind, []))) for kind in _TABLES)
        ends = ((names, []) for subject, _, other in relations for names in (subject, other))
        things: dict[str, dict[str, None]] = {}
        for names, described in (*objects, *attributes, *ends):
            for name in names:
                things.setdefault(name, {}).update(dict.fromkeys(described))
        facts = Facts(
            tuple(Thing(name, None, tuple(described)) for name, described in things.items()),
            tuple({(one[0], verb, other[0]): None for one, verb, other in relations if one and verb and other}),
        )
        phrases = [phrase for _, _, phrase in _largest(regions, self.recipe.regions_per_image)]
        return self.row_of(image, f"{image}.jpg", phrases, facts)


def _region(said: dict[str, Any]) -> tuple[float, int, str] | None:
    """(negative area, id, phrase)"""
    width, height, number, phrase = (said.get(name) for name in ("width", "height", "region_id", "phrase"))
    sized = isinstance(width, int | float) and isinstance(height, int | float)
    if not sized or not isinstance(phrase, str) or not phrase.strip():
        return None
    return -float(width * height), number if isinstance(number, int) else 0, phrase.strip()


def _largest(regions: Iterable[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    """So many of the largest; of those with the same phrase, one."""
    phrases: dict[str, Sequence[Any]] = {}
    for region in sorted(map(tuple, regions)):
        phrases.setdefault(" ".join(region[2].lower().split()).rstrip("."), region)
    return list(phrases.values())[:count]


def _relation(said: dict[str, Any]) -> list[Any]:
    """[names of the subject, predicate, names of the object]"""
    subject, other = (end if isinstance(end := said.get(name), dict) else {} for name in ("subject", "object"))
    return [_names(subject), "".join(_texts([said.get("predicate")])), _names(other)]


def _names(thing: dict[str, Any]) -> list[str]:
    """Its names; in relationships.json some have one `name` instead of `names`."""
    return _texts(thing.get("names")) or _texts([thing.get("name")])


def _texts(values: Any) -> list[str]:
    """In small letters, each once."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    plain = (" ".join(text.lower().split()) for text in texts if is_unicode(text))
    return list(dict.fromkeys(filter(None, plain)))
