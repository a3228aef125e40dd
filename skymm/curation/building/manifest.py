"""A build in pieces: each is made by one process out of files, into files of its own, and is finished or not there."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.curation.building.workers import Engine, Job, Local
from skymm.files import Journal
from skymm.progress import progress
from skymm.recipe import DataRecipe

NAME = "manifest.jsonl"
FORMAT = 5
"""Part of every fingerprint: one more whenever the lines or files of pieces change, so that no build goes on from old ones."""

Files = dict[str, tuple[int, str]]
"""Names below the directory of the build -> (bytes, sha256)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`job` tells a worker what to do, and is all that the piece is made of, files by what is in them (`entries`): when it
    changes, and only then, the piece is made anew.
    """

    name: str
    job: Job


class Manifest:
    """`DIRECTORY/manifest.jsonl`, kept by one process. A line: piece, inputs (the fingerprint of its job), files and counts.

    A piece has its line when its files are whole; what has no line is made again. Raises ValueError where the file is none.
    """

    def __init__(self, directory: Path, engine: Engine | None = None) -> None:
        self.directory, self.engine = directory, engine or Local()
        try:
            self._journal = Journal(directory / NAME)
            self._lines = {entry["piece"]: entry for entry in self._journal.entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{directory / NAME} is no manifest of a build ({error}); remove {directory} and build again, or "
                "put the file back"
            ) from error

    def make(
        self,
        title: str,
        pieces: Sequence[Piece],
        work: Callable[[Job], dict[str, Any]],
        note: Callable[[dict[str, Any]], str] = lambda line: "",
    ) -> list[dict[str, Any]]:
        """The lines of all pieces, in order; those that are finished already are not made again.

        `work` is given the job and its "directory", and returns {"files": entries of the files it wrote (`entries`), and
        whatever is to be counted}. `note` is told of every line once and says what stands beside the bar.
        """
        lines = [self.done(piece) for piece in pieces]
        waiting = [index for index, line in enumerate(lines) if line is None]
        for index in waiting:
            self._forget(pieces[index].name)
        jobs = [{**pieces[index].job, "directory": str(self.directory)} for index in waiting]
        with progress(transient=True) as bar, full_disk_explained(self.directory):
            told = [note(line) for line in lines if line is not None]
            task = bar.add_task(title, total=len(pieces), completed=len(told), note=told[-1] if told else "")
            for number, result in self.engine.run(work, jobs):
                piece = pieces[waiting[number]]
                line = self._add({"piece": piece.name, "inputs": _fingerprint(piece.job), **result})
                lines[waiting[number]] = self._lines[piece.name] = line
                bar.update(task, advance=1, note=note(line))
        return [line for line in lines if line is not None]

    def done(self, piece: Piece) -> dict[str, Any] | None:
        """The line of a piece that is finished, made of these inputs, and whose files are still there."""
        line = self._lines.get(piece.name)
        if line is None or line["inputs"] != _fingerprint(piece.job):
            return None
        files = ((self.directory / name, size) for name, (size, _) in line["files"].items())
        return line if all(path.is_file() and path.stat().st_size == size for path, size in files) else None

    def _forget(self, name: str) -> None:
        """Before a piece is made anew: its files change from now on, and may be of the same size as they were."""
        if self._lines.pop(name, None) is not None:
            self._add({"piece": name, "inputs": None, "files": {}})

    def _add(self, line: dict[str, Any]) -> dict[str, Any]:
        """The line as it will be read back."""
        self._journal.add(line)
        return json.loads(json.dumps(line))


def _fingerprint(job: Job) -> str:
    text = json.dumps([FORMAT, job], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def excerpt(recipe: DataRecipe, name: str, *fields: str) -> dict[str, Any]:
    """What decides about the samples of one source: a recipe of that source alone, and of these fields. How many of its samples
    are chosen is no part of it.
    """
    source = recipe.sources[name].model_dump(exclude={"share"})
    return {"sources": {name: source}, **recipe.model_dump(include=set(fields))}


def entries(directory: Path, paths: Iterable[Path]) -> Files:
    found = {}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(directory).as_posix()] = (path.stat().st_size, digest)
    return found


def file_of(directory: str | Path, files: Files, ending: str) -> Path:
    """The one of these files that ends so."""
    return Path(directory) / next(name for name in files if name.endswith(ending))


@contextmanager
def full_disk_explained(directory: Path) -> Iterator[None]:
    """Raises ValueError, saying what to do, in the place of the system's own error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ValueError(
            f"no space left for {error.filename or directory} ({error.strerror}); what the manifest in {directory} lists is "
            "complete. Make room and run the same command again: it goes on there"
        ) from error
