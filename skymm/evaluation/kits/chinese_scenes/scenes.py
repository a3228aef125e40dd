"""Chinese scenes with bilingual questions, made on this machine: the files of a small benchmark.

Signs, shops, direction signs, doors, menus, couplets, banners, cards, tickets and notices in simplified and traditional
characters, and emoji scenes of Chinese life. Whatever is asked is computed from what is drawn. The same seed gives the same
bytes (with the same versions of Pillow and of the packages that the fonts and pictures come from).
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from skymm.curation import emoji
from skymm.evaluation.kits.chinese_scenes import families
from skymm.evaluation.kits.chinese_scenes.questions import Picture, rows

VERSION = 1  # raise it when anything that is drawn or asked changes
SEED = 0
MANIFEST, QUESTIONS, PICTURES = "manifest.json", "questions.jsonl", "pictures"
LICENCES = {**emoji.LICENCES, "fonts": "Noto Sans SC and Noto Serif SC, SIL Open Font License 1.1"}
FAMILIES: Mapping[str, Callable[[int], Iterator[Picture]]] = {
    make.__name__: make
    for make in (
        *(families.signs, families.shops, families.directions, families.doors, families.menus, families.couplets),
        *(families.banners, families.cards, families.tickets, families.notices, families.things),
    )
}


def pictures(seed: int = SEED) -> dict[str, Picture]:
    """Name -> picture with its questions, not drawn yet."""
    found = {}
    for family, make in FAMILIES.items():
        for index, picture in enumerate(make(seed)):
            found[f"{family}-{index:03d}"] = picture
    return found


def questions(seed: int = SEED) -> list[dict[str, Any]]:
    """The questions as they stand in the file: id, text, gold, cluster, picture, choices, fields."""
    known = pictures(seed)
    return list(rows(list(known.values()), list(known), seed))


def build(directory: str | Path, seed: int = SEED) -> Path:
    """Write DIRECTORY/{manifest.json, questions.jsonl, pictures/NAME.png}, all of it or nothing.

    It is made beside and renamed; when another process was faster, its copy stays. Raises ValueError where something
    else lies there.
    """
    directory = Path(directory)
    if directory.exists():
        check(directory, seed)
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        made = work / directory.name
        _write(made, seed)
        try:
            made.rename(directory)
        except OSError:
            check(directory, seed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return directory


def _write(directory: Path, seed: int) -> None:
    (directory / PICTURES).mkdir(parents=True)
    known = pictures(seed)
    for name, picture in known.items():
        (directory / PICTURES / f"{name}.png").write_bytes(_png(picture.draw()))
    asked = list(rows(list(known.values()), list(known), seed))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in asked]
    (directory / QUESTIONS).write_text("".join(lines), "utf-8", newline="\n")
    card = {
        "version": VERSION,
        "seed": seed,
        "sha256": digest(directory),
        "num_pictures": len(known),
        "num_questions": len(asked),
        "families": dict(Counter(picture.family for picture in known.values())),
        "licences": LICENCES,
    }
    text = json.dumps(card, ensure_ascii=False, indent=2) + "\n"
    (directory / MANIFEST).write_text(text, "utf-8", newline="\n")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def digest(directory: Path) -> str:
    """SHA-256 over names and bytes of the questions and of every picture."""
    total = hashlib.sha256()
    for path in [directory / QUESTIONS, *sorted((directory / PICTURES).glob("*.png"))]:
        data = path.read_bytes()
        total.update(f"{path.name} {len(data)}\n".encode() + data)
    return total.hexdigest()


def check(directory: str | Path, seed: int = SEED) -> None:
    """Raise ValueError unless the directory holds exactly what `build` wrote there, with this version and seed."""
    directory = Path(directory)
    path, remove = directory / MANIFEST, f"remove {directory} (it is made again) or name another root"
    try:
        card = json.loads(path.read_text("utf-8"))
        found = {name: card[name] for name in ("version", "seed", "sha256")}
        expected = {"version": VERSION, "seed": seed, "sha256": digest(directory)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{directory}: expected the Chinese scenes with a {MANIFEST} ({error!r}); {remove}") from error
    for name, value in expected.items():
        if found[name] != value:
            what = {"sha256": "of these files, so they have been changed"}.get(name, "of this skymm")
            raise ValueError(f"{path}: found {name} {found[name]!r}, expected {value!r} {what}; {remove}")
