"""A build in pieces: each is made by one process out of files, into files of its own, and is finished or not there."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.curation.building.engines import Engine, Job
from skymm.curation.building.manifest import Manifest
from skymm.progress import progress


@dataclass(frozen=True, slots=True)
class Piece:
    """`inputs` is the fingerprint of all that it is made of, `job` tells a worker what to do."""

    name: str
    inputs: str
    job: Job


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a build happens: its directory, its manifest, and who does the work."""

    directory: Path
    manifest: Manifest
    engine: Engine

    def make(
        self,
        title: str,
        pieces: Sequence[Piece],
        work: Callable[[Job], dict[str, Any]],
        note: Callable[[dict[str, Any]], str] = lambda line: "",
    ) -> list[dict[str, Any]]:
        """The manifest's lines of all pieces, in order; those that are finished already are not made again.

        `work` returns {"files": entries of the files it wrote (`entries`), and whatever is to be counted}. `note` is told of
        every line once and says what stands beside the bar.
        """
        lines = [self.manifest.done(piece.name, piece.inputs) for piece in pieces]
        waiting = [index for index, line in enumerate(lines) if line is None]
        for index in waiting:
            self.manifest.forget(pieces[index].name)
        with progress(transient=True) as bar:
            told = [note(line) for line in lines if line is not None]
            task = bar.add_task(title, total=len(pieces), completed=len(told), note=told[-1] if told else "")
            with _full_disk_explained(self.directory):
                for number, result in self.engine.run(work, [pieces[index].job for index in waiting]):
                    piece = pieces[waiting[number]]
                    line = lines[waiting[number]] = self.manifest.add(piece.name, piece.inputs, result)
                    bar.update(task, advance=1, note=note(line))
        return [line for line in lines if line is not None]


@contextmanager
def _full_disk_explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ValueError(
            f"no space left for {error.filename or directory} ({error.strerror}); what the manifest in {directory} lists is "
            "complete. Make room and run the same command again: it goes on there"
        ) from error
