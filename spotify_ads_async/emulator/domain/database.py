"""Persistence: a SQLite file that follows the store."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.locks import taken_off_loop

__all__ = ["Database"]

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


class Database:
    """Loads a store from a file and keeps the file up to date.

    Changes are written twice a second and at the end, in a thread, in one transaction each.

    Args:
        path: the file; made when it is not there.

    Raises:
        ValueError: the file is no SQLite database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changes: dict[tuple[str, str], Row | None] = {}
        self._task: asyncio.Task[None] | None = None
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise ValueError(f"{path} is no database of an emulator: {error}") from None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)

    def load(self, store: Store) -> bool:
        """Fill the store from the file; False where the file holds nothing yet."""
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT owner, content, position FROM store ORDER BY position").fetchall()
        for owner, content, _ in rows:
            store.restore(owner, msgspec.json.decode(content))
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
        await taken_off_loop(lambda: self._write(changes))

    def _write(self, changes: dict[tuple[str, str], Row | None]) -> None:
        puts = [(*place, msgspec.json.encode(row)) for place, row in changes.items() if row is not None]
        removals = [place for place, row in changes.items() if row is None]
        with closing(self._connect()) as connection, connection:
            connection.executemany(_REMOVE, removals)
            connection.executemany(_PUT, puts)

    def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._flush(), name="emulator database")

    async def stop(self) -> None:
        """Write what is left, and end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._keep()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            if self._changes:
                await self._keep()
