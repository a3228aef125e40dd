"""One process at a time in a directory. The lock ends with its process, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def alone_in(directory: Path, refusal: str) -> Iterator[None]:
    """Makes the directory, and takes it away again where nothing was put into it.

    Raises ValueError with `refusal` while another process is inside.
    """
    from filelock import FileLock, Timeout

    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(refusal) from None
    try:
        yield
    finally:
        unused = [path.name for path in directory.iterdir()] == [LOCK]
        lock.release()
        if unused:
            with suppress(OSError):
                (directory / LOCK).unlink()
                directory.rmdir()
