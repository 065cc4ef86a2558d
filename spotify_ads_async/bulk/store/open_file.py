"""What every open plan does, of changes or of a workbook: transactions, its header, and closing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from spotify_ads_async.bulk.records import PlanDamaged
from spotify_ads_async.bulk.store import schema

__all__ = ["OpenFile"]


class OpenFile:
    """An open plan, locked for others; a context manager."""

    _connection: sqlite3.Connection
    _known: tuple[Path, tuple[int, int] | None] | None = None
    path: Path

    def close(self) -> None:
        """Unlock and close."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if value is not None:
            with schema.in_one_sentence(self.path):
                raise value

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Everything inside becomes durable together, or not at all. The file must be where it was at the first time.

        SQLite writes on beside a file that was moved, under its old name, where nobody would look for it.
        """
        file, known = self._known or (self.path.absolute(), None)
        found = _identity(file)
        if known not in {None, found}:
            raise PlanDamaged(
                f"{self.path} was moved, replaced or removed while it was worked on: put it back under that name, where"
                " the files beside it still are, and resume it there"
            )
        self._known = file, found
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def write_header(self, header: msgspec.Struct) -> None:
        """Replace the header."""
        values = [
            (name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in msgspec.to_builtins(header).items()
        ]
        self._connection.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", values)


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        there = path.stat()
        return there.st_dev, there.st_ino
    return None
