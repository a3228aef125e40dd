"""What was translated once is not asked again: a file of SQLite that several processes may use at a time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

WAIT = 60.0  # seconds for others to finish writing
_MAGIC = 0x736B7974  # "skyt": says that the file is one of these
_AT_A_TIME = 500  # below the number of variables that any SQLite takes


def key_of(identity: str, source: str, target: str, text: str) -> bytes:
    """`identity`: what besides the text an answer depends on (`Translator.identity`)."""
    parts = (part.encode("utf-8", "surrogatepass") for part in (identity, source, target, text))
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


class TranslationCache:
    """Every `store` is on disk when it returns, and is there whole or not at all after `kill -9`.

    Opened when first used; a copy that is sent to another process opens the file there. Raises ValueError for a file that is
    damaged or something else.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return TranslationCache, (self.path,)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def look_up(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Those that are there."""
        wanted, found = list(dict.fromkeys(keys)), {}
        with self._open() as connection:
            for start in range(0, len(wanted), _AT_A_TIME):
                part = wanted[start : start + _AT_A_TIME]
                marks = ", ".join("?" * len(part))
                found.update(connection.execute(f"SELECT key, text FROM translations WHERE key IN ({marks})", part))
        return found

    def store(self, translations: Mapping[bytes, str]) -> None:
        """The first translation of a text stays, so that processes that race agree from then on."""
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO translations VALUES (?, ?)", translations.items())

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
                with connection:
                    _begin(connection)
                self._connection = connection
            yield self._connection
        except (OSError, sqlite3.OperationalError) as error:
            raise ValueError(
                f"{self.path}: translations cannot be stored there ({error}); "
                "see that the directory can be written to and has space, or choose another `cache`"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self.path}: found {error}, expected translations that are stored here; "
                "move the file away, then what it held is translated again"
            ) from error


def _begin(connection: sqlite3.Connection) -> None:
    """Make the table where the file is new; a database of somebody else is left as it is."""
    connection.execute("BEGIN IMMEDIATE")
    [magic] = connection.execute("PRAGMA application_id").fetchone()
    [num_tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if num_tables and magic != _MAGIC:
        raise sqlite3.DatabaseError("a database of something else")
    if not num_tables:
        connection.execute("CREATE TABLE translations (key BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
        connection.execute(f"PRAGMA application_id = {_MAGIC}")
