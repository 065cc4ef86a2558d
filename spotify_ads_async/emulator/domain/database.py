"""Persistence: a SQLite file that follows the store."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import weakref
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.locks import close_locked, open_locked, taken_off_loop

__all__ = ["Database", "NotKept"]

logger = logging.getLogger("spotify_ads_async.emulator")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS store (
    position INTEGER PRIMARY KEY, owner TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (owner, id)
) STRICT
"""
_PUT = (
    "INSERT INTO store (owner, id, content) VALUES (?, ?, ?) ON CONFLICT (owner, id) DO UPDATE SET content ="
    " excluded.content"
)
_REMOVE = "DELETE FROM store WHERE owner = ? AND id = ?"
_FLUSH_SECONDS = 0.5


class NotKept(OSError):
    """What changed last is not in the file, which could not be written when the emulator ended."""


class Database:
    """Loads a store from a file and keeps the file up to date. No other emulator can use the file meanwhile.

    Changes are written twice a second and at the end, in a thread, in one transaction each. What cannot be written is
    tried again with what came since.

    Args:
        path: the file; made when it is not there.

    Raises:
        ValueError: the file is no database of an emulator, or another emulator has it.
        OSError: its folder cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changes: dict[tuple[str, str], Row | None] = {}
        self._task: asyncio.Task[None] | None = None
        self._late = False
        try:
            with closing(self._connect()) as connection, connection:
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if tables and "store" not in tables:
                    raise ValueError(f"{path} is no database of an emulator, but of another program")
                connection.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise ValueError(f"{path} is no database of an emulator: {error}") from None
        self._take()

    def _take(self) -> None:
        place = Path(f"{os.path.realpath(self._path)}.lock")
        lock = open_locked(place)
        if lock is None:
            raise ValueError(f"another emulator uses {self._path}: end that one, or name another file")
        self._give_back = weakref.finalize(self, _give_back, lock, place, os.getpid())
        self._give_back.atexit = False  # the system gives it back then

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)

    def load(self, store: Store) -> bool:
        """Fill the store from the file; False where the file holds nothing yet.

        Raises:
            ValueError: the file is damaged, or holds something else.
        """
        try:
            with closing(self._connect()) as connection:
                rows = connection.execute("SELECT owner, content, position FROM store ORDER BY position").fetchall()
            for owner, content, _ in rows:
                store.restore(owner, msgspec.json.decode(content))
        except (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"{self._path} is no database of an emulator, or damaged: {error!r}") from None
        if rows:
            store.renew_identifiers(b"%d" % rows[-1][2])
        return bool(rows)

    def save_all(self, store: Store) -> None:
        """Write the whole store."""
        self._write(
            {(table.name, identifier): row for table in store.tables() for identifier, row in table.rows.items()}
        )

    def follow(self, store: Store) -> None:
        """Write what changes from now on."""
        store.listeners.append(self._note)

    def _note(self, owner: str, identifier: str, row: Row | None) -> None:
        self._changes[owner, identifier] = row

    async def _keep(self) -> None:
        changes, self._changes = self._changes, {}
        try:
            await taken_off_loop(lambda: self._write(changes))
        except BaseException:
            self._changes = changes | self._changes
            raise

    def _write(self, changes: dict[tuple[str, str], Row | None]) -> None:
        puts = [(*place, msgspec.json.encode(row)) for place, row in changes.items() if row is not None]
        removals = [place for place, row in changes.items() if row is None]
        with closing(self._connect()) as connection, connection:
            connection.executemany(_REMOVE, removals)
            connection.executemany(_PUT, puts)

    def start(self) -> None:
        """Begin to write in the background.

        Raises:
            ValueError: another emulator uses the file since this one ended.
        """
        if not self._give_back.alive:
            self._take()
        self._task = asyncio.create_task(self._flush(), name="emulator database")

    async def stop(self) -> None:
        """Write what is left, and end.

        Raises:
            NotKept: it cannot be written.
        """
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            await self._keep()
        except sqlite3.Error as error:
            raise NotKept(
                f"{self._path} cannot be written ({error}): {len(self._changes)} rows that changed last are not in it"
            ) from None
        finally:
            self._give_back()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            if not self._changes:
                continue
            try:
                await self._keep()
                self._late = False
            except sqlite3.Error as error:
                if not self._late:
                    logger.warning("%s cannot be written (%s): what changes is kept for later", self._path, error)
                self._late = True


def _give_back(lock: int, place: Path, process: int) -> None:
    if os.getpid() != process:  # a forked child has it open, and it is its parent's
        os.close(lock)
        return
    with suppress(OSError):  # Windows removes no open file
        place.unlink()
    close_locked(lock)
