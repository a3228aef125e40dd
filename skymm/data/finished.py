"""Which shards a feature cache has whole: of ten million images, a killed build must not read nine million again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

FINISHED = "shards.jsonl"


class FinishedShards:
    """Appends to DIR/shards.jsonl: path, size and time of change of a shard, its images, and how many rows the cache had then.

    A shard that changed since is not finished. Nor is one that was noted when the cache had more rows than it has now:
    rows were lost, and its own may be among them. Such notes are taken off at once, before the cache grows past them.
    """

    def __init__(self, directory: str | Path, num_rows: int):
        self.path = Path(directory) / FINISHED
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # the last line may be half-written
        notes = [json.loads(line) for line in whole.splitlines()]
        valid = [note for note in notes if note["rows"] <= num_rows]
        if len(valid) < len(notes) or whole != text:
            partial = self.path.with_suffix(".partial")
            partial.write_text("".join(f"{json.dumps(note)}\n" for note in valid), "utf-8")
            partial.replace(self.path)
        self._images = {tuple(note["shard"]): note["images"] for note in valid}

    def get(self, shard: Path) -> int | None:
        """The number of images in a shard whose features are all there; None for any other shard."""
        return self._images.get(_identity(shard))

    def add(self, shards: Iterable[tuple[Path, int]], num_rows: int) -> None:
        """Shards and their numbers of images, all in the cache, which has so many rows now."""
        found = [(_identity(shard), num_images) for shard, num_images in shards]
        lines = [json.dumps({"shard": shard, "images": count, "rows": num_rows}) for shard, count in found]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        self._images.update(found)


def _identity(shard: Path) -> tuple[str, int, int]:
    """As in make: what has another size or time has other content. Names alone say little, there are many 00000.tar."""
    found = shard.stat()
    return str(shard.resolve()), found.st_size, found.st_mtime_ns
