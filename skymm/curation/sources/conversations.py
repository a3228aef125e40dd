"""Conversations about pictures as people have them for training: one source for all the public forms
(conversation_forms.py), in json, jsonl and parquet. `llava` is its older name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.record import Picture, Record
from skymm.curation.sources import conversation_forms as forms
from skymm.curation.sources import source
from skymm.curation.sources.pictures import MISSING, Unusable, check_directories, clip_of, named, picture_of
from skymm.curation.sources.source import broken, key_of, text_of
from skymm.recipe.sources import ConversationsSource
from skymm.tables import ParquetCells, expect_names, has_bytes, parquet_rows, parquet_types, stream_rows, tables_at
from skymm.text import language_of

_PICTURES = ("images", "image", "image_path", "image_paths", "image_file", "img", "img_path")
_FILE = re.compile(r"\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|mp4|avi|mov|mkv|webm)\Z|\Adata:image/", re.IGNORECASE)
_DIFFER = "markers and pictures differ"
_ABOUT = ("id", "image_id", "data_path")


class Source(source.Source):
    """An entry is a record; of packed entries (lists of them), each. Keys are the entry's id and its place in the table, for
    ids are there several times. `forms`: how many entries there were of which form, after `rows`.
    """

    default_licence = (
        "as its publishers say: LLaVA-Instruct CC-BY 4.0 and OpenAI's terms of use; LLaVA-Pretrain those of CC3M, LAION, SBU "
        "and BLIP; ShareGPT4V CC-BY-NC 4.0; pictures under the terms of their own sources"
    )

    def __init__(self, recipe: ConversationsSource) -> None:
        super().__init__(recipe)
        self._cells = ParquetCells()
        table = Path(recipe.table)
        self._images = recipe.images or str(table if table.is_dir() else table.parent)

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self._images)
        self.forms.clear()
        number = 0
        for path in tables_at(self.recipe.table):
            first = number
            for row in self._parquet(path) if path.suffix.lower() == ".parquet" else self._text(path):
                number += 1
                key = {} if "refused" in row else {"key": f"{key_of(row['entry'].get('id', path.stem))}-{number}"}
                yield {**row, **key}
            if number == first:
                raise ValueError(f"{path}: found no entries")

    def record(self, row: dict[str, Any]) -> Record:
        entry = self._renamed({**row["entry"], **(self._cells.read(*row["cell"]) if "cell" in row else {})})
        said, rejected = forms.turns_in(entry)
        turns, cells = _placed(said, *self._pictures(entry))
        if row["elsewhere"] and not cells:
            raise Unusable("picture in another column", f"{row['elsewhere']}; if it is one, say so in image_column")
        folder = entry.get("data_path")
        if isinstance(folder, str):
            cells = [_below(folder.rstrip("/"), cell) for cell in cells]
        seen = [self._seen(cell) for cell in cells]
        seconds = [second for one in seen for _, second in one]
        pictures = named([picture for one in seen for picture, _ in one], seconds)
        names, sizes = iter(pictures), iter(map(len, seen))
        said = []
        for role, text, count, places in turns:
            counts = [*islice(sizes, count)]
            shown = tuple(islice(names, sum(counts)))
            stand = tuple(place for place, size in zip(places, counts) for _ in range(size))
            language = language_of(text) if role == "assistant" else None
            said.append(Turn(role, text, shown, language=language, places=stand))
        extra = {"rejected": rejected} if rejected else {}
        times = {name: round(second, 3) for name, second in zip(pictures, seconds) if second is not None}
        extra |= {"frame_seconds": times} if times else {}
        return Record(row["key"], pictures, turns=tuple(said), extra=extra)

    def _seen(self, cell: Any) -> list[tuple[Picture, float | None]]:
        """The picture of a cell, or the frames of its clip with their seconds."""
        if not isinstance(cell, forms.Clip):
            return [(picture_of(cell, self._images), None)]
        return clip_of(cell.cell, self._images, self.recipe.num_frames, self.recipe.fps)

    def _pictures(self, entry: Mapping[str, Any]) -> tuple[list[Any] | None, dict[str, Any]]:
        """The row's own pictures, in order, then its clips; None where it knows of none. And pictures by name, where its texts
        have names for them.
        """
        clips = [forms.Clip(cell) for name in forms.VIDEOS if entry.get(name) for cell in _listed(entry[name])]
        own, by_name = self._own_pictures(entry)
        return (own if not clips else [*(own or ()), *clips]), by_name

    def _own_pictures(self, entry: Mapping[str, Any]) -> tuple[list[Any] | None, dict[str, Any]]:
        columns = [self.recipe.image_column] if self.recipe.image_column else _PICTURES
        given = {name: entry[name] for name in columns if entry.get(name)}
        if "image" in given and "image_path" in given:
            del given["image_path"]  # where the picture was once
        if len(given) > 1 and len({str(_listed(cell)) for cell in given.values()}) > 1:
            raise Unusable("several columns of pictures", f"{', '.join(given)}; say which in image_column")
        if given:
            cell = next(iter(given.values()))
            if isinstance(cell, dict) and all(forms.MARK.fullmatch(name) for name in cell):
                return list(cell.values()), cell
            return _listed(cell), {str(index): one for index, one in enumerate(_listed(cell))}
        if entry.get("image_id") is not None:
            return [entry["image_id"]], {}
        return [] if any(isinstance(entry.get(name), list) for name in columns) else None, {}

    def _text(self, path: Path) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(stream_rows(path, packed=True), 1):
            if row.problem:
                yield broken(path, f"entry {number}", f"line {row.line}: {row.problem}")
            else:
                yield self._entry(row.cells, list(row.cells), [], f"{path}, entry {number}")

    def _parquet(self, path: Path) -> Iterator[dict[str, Any]]:
        types = parquet_types(path)
        binary = [name for name in types if has_bytes(types[name])]
        inside = [name for name in binary if name in self._columns()]
        others = [name for name in binary if name not in inside]
        texts = [name for name in types if name not in binary]
        for group, index, cells in parquet_rows(path, texts):
            row = self._entry(cells, list(types), inside, f"{path}, entry {index + 1}")
            cell = {"cell": [str(path), group, index, inside]} if inside else {}
            yield {**row, **({"elsewhere": ", ".join(others)} if others else {}), **cell}

    def _entry(self, cells: Mapping[str, Any], found: list[str], inside: list[str], where: str) -> dict[str, Any]:
        """What is looked at of a row that has these columns, its form counted. `inside`: columns with pictures' bytes.

        Raises ValueError where the first row has none of the forms.
        """
        entry = self._renamed({name: cells[name] for name in self._columns() if cells.get(name) is not None})
        form = forms.form_of(self._renamed({**entry, **dict.fromkeys(inside, True)}))
        if not form and not self.forms:
            advice = f"; expected {', '.join(forms.TURNS)}, or one of {', '.join(forms.ASKED)} with an answer"
            advice += "; what is called otherwise is named in turns_column"
            expect_names(found, ["conversations"], where, "field", advice)
        self.forms[form or "none"] += 1
        # Columns that nobody looks at and that seem to have a picture or a film; a row of words alone has none.
        elsewhere = [name for name in cells if name not in entry and any(map(_seems_shown, _listed(cells[name])))]
        return {"entry": entry, "elsewhere": ", ".join(map(str, elsewhere))[:80]}

    def _columns(self) -> list[str]:
        """What is looked at."""
        own = [name for name in (self.recipe.image_column, self.recipe.turns_column) if name]
        return [*forms.FIELDS, *_PICTURES, *_ABOUT, *own]

    def _renamed(self, entry: dict[str, Any]) -> dict[str, Any]:
        turns = self.recipe.turns_column
        if turns not in entry:
            return entry
        others = {name: value for name, value in entry.items() if name not in (*forms.TURNS, turns)}
        return {**others, "messages": entry[turns]}


def _below(folder: str, cell: Any) -> Any:
    if isinstance(cell, forms.Clip):
        return forms.Clip(_below(folder, cell.cell))
    return f"{folder}/{cell}" if isinstance(cell, str) else cell


def _seems_shown(cell: Any) -> bool:
    return isinstance(cell, str) and len(cell) < 1000 and bool(_FILE.search(cell))


def _listed(cell: Any) -> list[Any]:
    return cell if isinstance(cell, list) else [cell]


def _placed(
    said: Sequence[forms.SaidTurn], own: Sequence[Any] | None, by_name: Mapping[str, Any]
) -> tuple[list[tuple[str, str, int, tuple[int, ...]]], list[Any]]:
    """(role, text, number of pictures, their places) of each turn, and the pictures in the order in which they are shown.
    Those of a row whose texts have no marks stand before the first question.
    """
    marks = Counter(turn.role for turn in said for _ in _marks(turn))
    asked = [turn.text for turn in said if turn.role == "user"]
    inside = any(isinstance(piece, forms.Shown) for turn in said for piece in turn.pieces)
    if not inside and not own:
        for text in asked:  # words that were said of a picture, and the row has none
            if "<img>" not in text and (forms.means_picture(text) or (own is not None and forms.MARK.search(text))):
                raise Unusable(MISSING, "the entry names none, but its text has a marker for one")
        inside = not any("<img>" in text for text in asked)
    if not inside and own and marks["user"] != len(own) == marks["user"] + marks["assistant"]:
        raise Unusable("picture in an answer", f"{marks['assistant']} markers in what the assistant says")
    left, shown, known, turns = list(own or ()), [], {}, []
    for turn in said:
        pieces = list(turn.pieces)
        if turn.role == "user" and not inside:
            pieces = [part for piece in pieces for part in forms.pieces_of(str(piece), marks["user"] == 1)]
            if not marks["user"]:
                pieces = [*(forms.Shown() for _ in left), *pieces]
        cells = [_cell(piece, left, by_name, known) for piece in pieces if isinstance(piece, forms.Shown)]
        if cells and turn.role != "user":
            raise Unusable("picture in an answer", f"the {turn.role} shows one")
        text, places = forms.unmarked(
            "".join(
                forms.PLACE if isinstance(piece, forms.Shown) else piece.replace(forms.PLACE, "") for piece in pieces
            )
        )
        text_of(text, "turn is empty")
        turns.append((turn.role, text, len(cells), places))
        shown += cells
    if left and left != shown:
        raise Unusable(_DIFFER, f"{len(shown)} markers, {len(own or ())} pictures")
    return turns, shown


def _marks(turn: forms.SaidTurn) -> Iterator[Any]:
    for piece in turn.pieces:
        yield from forms.MARK.finditer(piece) if isinstance(piece, str) else [piece]


def _cell(piece: forms.Shown, left: list[Any], by_name: Mapping[str, Any], known: dict[str, Any]) -> Any:
    """The picture of a mark: its own, the one of its name, or the next that is left; a name means the same one again."""
    if piece.cell is not None:
        return piece.cell
    if piece.name in by_name:
        left[:] = [cell for cell in left if cell is not by_name[piece.name]]
        return by_name[piece.name]
    if piece.name in known:
        return known[piece.name]
    if piece.name.isdigit():
        raise Unusable(_DIFFER, f"index {piece.name}, which none of the {len(left)} pictures has")
    if not left:
        raise Unusable(_DIFFER, "more markers than pictures")
    # Those who write for one kind alone mark a clip as they mark a picture (LLaVA-Video).
    fits = [number for number, cell in enumerate(left) if isinstance(cell, forms.Clip) == piece.is_clip]
    if not fits and piece.is_clip:
        raise Unusable(_DIFFER, "more markers than videos")
    cell = left.pop(fits[0] if fits else 0)
    if piece.name:
        known[piece.name] = cell
    return cell
