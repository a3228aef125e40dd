"""Webdataset shards: of ours, of img2dataset and of others. Pictures stay where they lie in the tar.

Only the caption member and KEY.json are ever decoded. Other members, pickles and arrays above all, are not looked at.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from skymm.conversation import is_frame, parse
from skymm.curation.record import Facts, Picture, Record, Rejected
from skymm.curation.sources import source
from skymm.curation.sources.pictures import MISSING, Unusable, suffix_of
from skymm.curation.sources.source import captions_of, is_unicode, key_of
from skymm.data.shards import ShardError, expand, is_image_name, members

_LARGEST = 16 * 1024 * 1024  # bytes of a text member
_NUMBERED = re.compile(r"\d+\.")


class Source(source.Source):
    """A row is a shard. Keys are the number of the shard in the list and the key in it, for shards often count from 0 each."""

    rows_per_part = 1

    def rows(self) -> Iterator[dict[str, Any]]:
        for index, path in enumerate(expand(self.recipe.shards)):
            yield {"key": f"{index:05d}", "shard": str(path)}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        """Raises ShardError, before the first record, for a shard with links, devices or names that lead out of it."""
        shard = row["shard"]
        found, damage = _samples(Path(shard))
        given: set[str] = set()
        for name, group in found:
            key = f"{row['key']}-{key_of(name)}"
            if name in given:
                yield Rejected(key, "key is there twice", f"{shard}: {name}")
                continue
            given.add(name)
            try:
                yield self._record(key, shard, name, group)
            except Unusable as error:
                yield Rejected(key, error.reason, error.detail)
        if damage:
            yield Rejected(row["key"], "shard is damaged", f"{shard}: {damage}; {len(given)} keys before it")

    def _record(self, key: str, shard: str, name: str, group: Mapping[str, Picture]) -> Record:
        """The record of a sample that has these members by suffix."""
        place = f"{shard}: {name}"
        data = _json(group["json"], f"{place}.json") if "json" in group else {}
        if "turns" in data:
            return _ours(key, name, data, {suffix: group[suffix] for suffix in group if is_image_name(suffix)})
        captions = captions_of(self._caption(group, data, shard, name), self.recipe.language)
        if not captions:
            raise Unusable("caption is missing", f"{place} has {', '.join(group)}")
        pictures = {suffix: group[suffix] for suffix in self._shown(group)}
        if not pictures:
            raise Unusable(MISSING, f"{place} has {', '.join(group)}")
        names = _names(pictures)
        return Record(key, {names[old]: pictures[old] for old in pictures}, tuple(captions), extra=data)

    def _caption(self, group: Mapping[str, Picture], data: Mapping[str, Any], shard: str, name: str) -> Any:
        wanted = self.recipe.caption_member
        if wanted.startswith("json."):
            value: Any = data
            for field in wanted.split(".")[1:]:
                value = value.get(field) if isinstance(value, Mapping) else None
            return value
        try:
            return _read(group[wanted], f"{shard}: {name}.{wanted}").decode("utf-8-sig") if wanted in group else None
        except UnicodeDecodeError as error:
            raise Unusable("caption cannot be read", f"{shard}: {error}") from error

    def _shown(self, group: Mapping[str, Picture]) -> list[str]:
        """The first of the image members that is there, or all that have its name and a number."""
        for suffix in self.recipe.image_members:
            if suffix in group:
                return [suffix]
        return [suffix for suffix in group if _NUMBERED.sub("", suffix, count=1) in self.recipe.image_members]


def _samples(path: Path) -> tuple[list[tuple[str, dict[str, Picture]]], str]:
    """(key, members by suffix) of all whole samples in file order, and what is damaged. Reads headers only."""
    found: list[tuple[str, dict[str, Picture]]] = []
    damage = ""
    try:
        with path.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                raise ShardError(f"{path}: compressed (gzip); expected a plain tar: unpack it with gunzip")
            file.seek(0)
            for member in members(file, path, "members like KEY.jpg, KEY.txt, KEY.json"):
                if not found or found[-1][0] != member.key or member.suffix in found[-1][1]:
                    found.append((member.key, {}))
                found[-1][1][member.suffix] = Picture(str(path), member.offset, member.size)
    except (tarfile.TarError, EOFError) as error:
        damage = str(error)
        del found[-1:]  # nobody knows what of it is lost
    except OSError as error:
        raise ShardError(f"{path}: cannot be read ({error})") from error
    if not found and not damage:
        raise ShardError(f"{path}: an empty tar; expected members like KEY.jpg, KEY.txt, KEY.json")
    return found, damage


def _ours(key: str, name: str, data: Mapping[str, Any], pictures: Mapping[str, Picture]) -> Record:
    try:
        conversation = parse(data, name, tuple(pictures))
    except ValueError as error:
        raise Unusable("bad json", str(error)) from error
    lost = [image for image in conversation.images if image not in pictures]
    if lost:
        raise Unusable(MISSING, f"{name} shows {lost[0]}, its pictures are {', '.join(pictures) or 'none'}")
    names = _names(pictures)
    turns = tuple(replace(turn, images=tuple(names[image] for image in turn.images)) for turn in conversation.turns)
    extra, facts = dict(conversation.extra), Facts()
    with suppress(KeyError, TypeError, ValueError, AttributeError):  # something else of that name stays where it is
        facts = Facts.from_json(extra["facts"])
        del extra["facts"]
    return Record(key, {names[old]: pictures[old] for old in pictures}, (), turns, facts, extra)


def _names(pictures: Mapping[str, Picture]) -> dict[str, str]:
    """New member names by old ones: what the first bytes say, with the number that was there."""
    numbers = {old: "".join(_NUMBERED.findall(old)[:1]) for old in pictures}
    if len({*numbers.values()}) < len(pictures):
        numbers = {old: f"{index}." for index, old in enumerate(pictures)}
    kinds = {old: "frame." * is_frame(old) for old in pictures}
    return {old: f"{numbers[old]}{kinds[old]}{suffix_of(picture)}" for old, picture in pictures.items()}


def _json(member: Picture, place: str) -> dict[str, Any]:
    content = _read(member, place)
    try:
        data = json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise Unusable("bad json", f"{place}: {error}") from error
    if not isinstance(data, dict):
        raise Unusable("bad json", f"{place}: found {type(data).__name__}, expected an object")
    if not is_unicode(json.dumps(data, ensure_ascii=False)):
        raise Unusable("text is not Unicode", place)
    return data


def _read(member: Picture, place: str) -> bytes:
    if member.size is not None and member.size > _LARGEST:
        raise Unusable("text is too long", f"{place} has {member.size} bytes")
    return member.read()
