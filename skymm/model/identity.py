"""Which weights an LLM has, told from its files: the same wherever they lie, in whichever width they are opened."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from transformers.utils.hub import cached_file

from skymm import assets

SAMPLE = 1 << 20
"""Bytes that are read of each tensor, all of it where it is smaller: 0.3 GB of a 7B, and a fine-tune changes every tensor."""
_PIECES = 256
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLES = ("model.safetensors", "pytorch_model.bin")


def llm_fingerprint(name: str, revision: str | None = None) -> str | None:
    """16 hex digits that change with the weights of the LLM of that name; None where it has no files of a known kind.

    Names, types, shapes and samples of the values of all tensors, whichever file holds them; of pickled files, their bytes.
    """
    if name == assets.EMBEDDED_LLM:
        return assets.LLM_WHEEL_SHA256[:16]
    source = assets.resolve_llm(name)

    def find(file: str) -> Path | None:
        found = cached_file(
            source, file, revision=revision, local_files_only=True, _raise_exceptions_for_missing_entries=False
        )
        return Path(found) if found else None

    files = [path for path in map(find, _SINGLES) if path][:1]
    for index in map(find, _INDICES):
        if index and not files:
            names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            files = [path for path in map(find, sorted(names)) if path]
    if not files:
        return None
    parts: dict[str, bytes] = {}
    for path in files:
        parts |= _tensors(path) if path.suffix == ".safetensors" else {path.name: _sample(path, 0, path.stat().st_size)}
    digest = hashlib.sha256()
    for name, part in sorted(parts.items()):
        digest.update(name.encode() + part)
    return digest.hexdigest()[:16]


def _tensors(path: Path) -> dict[str, bytes]:
    """Of a safetensors file: eight bytes of length, a JSON header, then the values."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    parts = {}
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        parts[name] = f" {tensor['dtype']} {tensor['shape']}".encode() + _sample(path, 8 + size + start, end - start)
    return parts


def _sample(path: Path, start: int, length: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if length <= SAMPLE:
            file.seek(start)
            digest.update(file.read(length))
        else:
            piece = SAMPLE // _PIECES
            for index in range(_PIECES):
                file.seek(start + (length - piece) * index // (_PIECES - 1))
                digest.update(file.read(piece))
    return digest.digest()
