"""The twelve cells, and the directory that their items are written to: text, code, image and video by three properties.

Group number n of a cell hangs on the seed, the cell and n alone: whoever makes it, and whatever else is made.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.evaluation.kits.trust import code_cells, image_cells, text_cells, video_cells
from skymm.evaluation.kits.trust.items import LANGUAGES, Family, Group, jpeg, words

VERSION, SEED, NUM_ITEMS = 2, 2026, 104
MODALITIES = {"text": text_cells, "code": code_cells, "image": image_cells, "video": video_cells}
PROPERTIES = ("generalisation", "trustworthiness", "causality")
CELLS: Mapping[str, tuple[Family, ...]] = {
    f"{modality}.{name}": getattr(room, name.upper()) for modality, room in MODALITIES.items() for name in PROPERTIES
}
MANIFEST, QUESTIONS, PICTURES = "manifest.json", "questions.jsonl", "pictures"


def group(cell: str, index: int, seed: int = SEED) -> Group:
    families = CELLS[cell]
    turn, place = divmod(index, len(families))
    family = families[place]
    number = turn * families.count(family) + families[:place].count(family)  # how many it has made before
    if family is text_cells.request and number >= len(words("en")["requests"]):
        family = text_cells.pressure  # there are only so many requests
    return family(random.Random(f"{seed}/{cell}/{index}"), number)


def groups(cell: str, num_items: int, seed: int = SEED) -> Iterator[tuple[str, Group]]:
    """(name, group) of a cell, until there are `num_items` items in each language or a few more: groups stay whole."""
    index = made = 0
    while made < num_items:
        one = group(cell, index, seed)
        yield f"{cell}/{index:03d}", one
        index, made = index + 1, made + len(one.cases)


def rows(name: str, one: Group) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
    """The questions of a group as they stand in the file, each with its pictures by name; every case in both languages."""
    cell = name.split("/")[0]
    modality, prop = cell.split(".")
    for place, case in enumerate(one.cases):
        twin = f"{name}{'abc'[place]}"
        ending = ".frame.jpg" if case.seconds else ".jpg"
        pictures = {f"{twin.replace('/', '-')}-{n}{ending}": jpeg(image) for n, image in enumerate(case.pictures)}
        for language in LANGUAGES:
            options = dict(one.options.get(language, {}))
            ending_words = words(language).get(one.form, "")
            text = f"{case.context[language]}\n{one.question[language]}".lstrip()
            text += "".join(f"\n{letter}. {option}" for letter, option in options.items())
            text += f"{chr(10) if options else ' ' if language == 'en' else ''}{ending_words}" if ending_words else ""
            turn = Turn("user", text, tuple(pictures)).timed(dict(zip(pictures, case.seconds)))
            fields = {"cell": cell, "modality": modality, "property": prop, "kind": one.kind, "form": one.form}
            row = {
                "id": f"{twin}-{language}",
                "text": turn.text,
                "gold": case.gold,
                "cluster": name,
                "pictures": list(pictures),
                "places": list(turn.places),
                "choices": {"yes_no": ["yes", "no"], "choice": list(options), "request": []}[one.form],
                "fields": {
                    **fields,
                    "language": language,
                    "twin": twin,
                    "options": options,
                    "asked": one.question[language],
                },
            }
            yield row, pictures


# --- the directory ---------------------------------------------------------------------------------------------------------


def build(directory: str | Path, num_items: int = NUM_ITEMS, seed: int = SEED) -> Path:
    """Write DIRECTORY/{manifest.json, questions.jsonl, pictures/NAME.jpg}, all of it or nothing; what is there stays.

    Raises ValueError where something else lies there, or where it has been changed since it was made.
    """
    directory = Path(directory)
    if directory.exists():
        check(directory, num_items, seed)
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        made = work / directory.name
        (made / PICTURES).mkdir(parents=True)
        with (made / QUESTIONS).open("w", encoding="utf-8", newline="\n") as file:
            for cell in CELLS:
                for name, one in groups(cell, num_items, seed):
                    for row, pictures in rows(name, one):
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
                        for picture, data in pictures.items():
                            (made / PICTURES / picture).write_bytes(data)
        card = {"version": VERSION, "seed": seed, "num_items": num_items, "sha256": digest(made)}
        (made / MANIFEST).write_text(json.dumps(card, indent=2) + "\n", "utf-8", newline="\n")
        try:
            made.rename(directory)
        except OSError:  # another process was faster
            check(directory, num_items, seed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return directory


def digest(directory: Path) -> str:
    """SHA-256 over names and bytes of the questions and of every picture."""
    total = hashlib.sha256()
    for path in [directory / QUESTIONS, *sorted((directory / PICTURES).iterdir())]:
        data = path.read_bytes()
        total.update(f"{path.name} {len(data)}\n".encode() + data)
    return total.hexdigest()


def check(directory: Path, num_items: int, seed: int) -> None:
    """Raise ValueError unless the directory holds exactly what `build` writes there."""
    path, remove = directory / MANIFEST, f"remove {directory} (it is made again) or name another root"
    try:
        card = json.loads(path.read_text("utf-8"))
        found = [card[name] for name in ("version", "seed", "num_items", "sha256")]
        expected = [VERSION, seed, num_items, digest(directory)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{directory}: expected the trust report's items with a {MANIFEST} ({error!r}); {remove}"
        ) from error
    if found != expected:
        raise ValueError(
            f"{path}: found version, seed, num_items and sha256 {found}, expected {expected}: made otherwise, or changed "
            f"since; {remove}"
        )
