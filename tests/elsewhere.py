"""Python in processes of their own without the nine seconds that importing takes: they are forked from one that has imported
skymm and has done nothing (conftest.py starts it). What is about imports themselves starts a Python of its own instead.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
PRELOAD = ["skymm.train.loop", "skymm.curation.building.build", "skymm.answering.skymm_model"]


class Elsewhere:
    """A process that runs `code`; `out` and `err` are what it has said so far."""

    def __init__(self, code: str, **environment: str) -> None:
        self._said = tempfile.TemporaryDirectory()
        self._process = _FORKS.Process(target=_run, args=(code, self._said.name, environment))
        self._process.start()

    @property
    def out(self) -> str:
        return (Path(self._said.name) / "1").read_text("utf-8")

    @property
    def err(self) -> str:
        return (Path(self._said.name) / "2").read_text("utf-8")

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit code, negative for a signal. A hang is an error."""
        self._process.join(seconds)
        if self.poll() is None:
            self._process.kill()
            raise TimeoutError(f"it took longer than {seconds} seconds: {self.err[-3000:]}")
        return self.poll()

    def kill(self) -> None:
        self._process.kill()


def cli(*arguments: object) -> str:
    """The code of a command."""
    return f"import sys; from skymm.cli import main; sys.argv = {['skymm', *map(str, arguments)]!r}; main()"


def _run(code: str, said: str, environment: dict[str, str]) -> None:
    for number in (1, 2):
        os.dup2(os.open(Path(said) / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(environment)
    sys.argv = ["-c"]
    exec(code, {"__name__": "__main__"})
