"""Windows shared by the processes of one machine, in an SQLite file.

The clock is ``time.monotonic``, which every process of a machine reads alike and nobody can set. It starts anew with the
machine; then whatever was spent before counts as spent at the start.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.stores.messages import Answer, Exchange, PoolView, Report
from spotify_ads_async.governor.stores.pool import Pool, exchange

__all__ = ["SqliteStore", "path_of"]

_TABLE = "windows_1"
_FORGET_AFTER = 7 * 24 * 3600 * 1_000_000


def path_of(url: str) -> Path:
    """The file behind ``sqlite:///path``: absolute, for processes must mean the same file; ``~`` is the home.

    A bare file name, as in ``sqlite:///quota.db``, is in the working directory of the process that reads the URL.

    Raises:
        ConfigurationError: the URL names a host, or no file.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or len(path.strip("/")) == 0:
        raise ConfigurationError(f"store: the form is sqlite:///path/to/file (three slashes), not {url}")
    if path.startswith("/~") or path[2:3] == ":":  # the home directory, or a drive
        path = path[1:]
    if "/" not in path.lstrip("/"):
        path = path.lstrip("/")
    return Path(path).expanduser().absolute()


class SqliteStore:
    """Shares windows through an SQLite file in WAL mode, which only the user may read and write.

    Args:
        url: ``sqlite:///path``, see :func:`path_of`. The file and the directories above it are made where they are missing.
        timeout: seconds to wait for another process's transaction.

    Raises:
        ConfigurationError: the URL has another form.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self.path = path_of(url)
        self.name = f"the quota file {self.path}"
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._one_at_a_time = threading.Lock()

    async def exchange(self, message: Exchange) -> list[Answer]:
        """One transaction, in a thread."""
        return await anyio.to_thread.run_sync(self._exchange, message)

    async def look(self) -> list[PoolView]:
        """Every window in the file."""
        return await anyio.to_thread.run_sync(self._look)

    async def aclose(self) -> None:
        """Close the file."""
        await anyio.to_thread.run_sync(self._close)

    def _exchange(self, message: Exchange) -> list[Answer]:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            now = _now()  # read inside of the transaction: times then only grow from one to the next
            pools = [self._pool(connection, report, now) for report in message.windows]
            answers = exchange(pools, message, now)
            connection.executemany(
                f"INSERT OR REPLACE INTO {_TABLE} (key, used_at, pool) VALUES (?, ?, ?)",  # noqa: S608 (a constant)
                [(report.key, now, pool.encode()) for report, pool in zip(message.windows, pools, strict=True)],
            )
            return answers

    def _pool(self, connection: sqlite3.Connection, report: Report, now: int) -> Pool:
        row = connection.execute(f"SELECT pool FROM {_TABLE} WHERE key = ?", (report.key,)).fetchone()  # noqa: S608 (a constant)
        if row is None:
            return Pool.new(report, now)
        pool = Pool.decode(row[0])
        if pool.now <= now:
            return pool
        # The machine started anew, so everything was spent before the clock's zero.
        return Pool.new(report, 0, spent=True)

    def _look(self) -> list[PoolView]:
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(f"SELECT key, pool FROM {_TABLE} ORDER BY key").fetchall()  # noqa: S608 (a constant)
            now = _now()
        pools = [(key, Pool.decode(data)) for key, data in rows]
        return [pool.view(key, now) for key, pool in pools if pool.now <= now]

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Generator[sqlite3.Connection]:
        with self._one_at_a_time:
            try:
                connection = self._opened()
                connection.execute(begin)
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as problem:
                self._close_now()
                raise StoreUnavailable(
                    f"{self.name} cannot be used: {problem}. Look at its rights and at the disk; a damaged file may be deleted"
                ) from problem

    def _opened(self) -> sqlite3.Connection:
        """The connection; a new one where somebody deleted or replaced the file."""
        if self._connection is not None and _identity(self.path) == self._file:
            return self._connection
        self._close_now()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a commit may be lost with the machine: its quota is safe by the clock
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} (key TEXT PRIMARY KEY, used_at INTEGER NOT NULL, pool BLOB NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"DELETE FROM {_TABLE} WHERE used_at < ?", (_now() - _FORGET_AFTER,))  # noqa: S608 (a constant)
        except BaseException:
            connection.close()
            raise
        self._file = _identity(self.path)
        self._connection = connection
        return connection

    def _close(self) -> None:
        with self._one_at_a_time:
            self._close_now()

    def _close_now(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _now() -> int:
    return time.monotonic_ns() // 1000


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
