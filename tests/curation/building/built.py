"""What a build left on disk."""

import hashlib
import json
from pathlib import Path

from skymm.data.shards import conversation_of, expand, read_shard


def digests(directory: Path) -> dict[str, str]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def conversations(directory: Path):
    return [conversation_of(sample) for shard in expand(directory) for sample in read_shard(shard)]


def card(directory: Path) -> dict:
    return json.loads((directory / "card.json").read_text("utf-8"))
