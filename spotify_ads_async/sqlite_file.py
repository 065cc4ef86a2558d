"""SQLite file: one that many processes write to, forked ones too. In each of them a thread works on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from spotify_ads_async.locks import network_drive

__all__ = ["LOCK_SECONDS", "SqliteFile"]

ResultT = TypeVar("ResultT")

LOCK_SECONDS = 10.0
"""For so long a transaction waits for another one to end."""


class SqliteFile:
    """A file in WAL mode that only the user may read and write; it and its directories are made where they are missing.

    A thread of its own works on it, and one after the other those of all files of the process. ``prepare`` is called
    with each new connection.
    """

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], object]) -> None:
        self.path, self._prepare = path, prepare
        self._thread: ThreadPoolExecutor | None = None
        self._process = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: list[tuple[int, int]] = []
        _files.add(self)

    async def run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Do one piece of work in a transaction, all or none of it. After any error the file is opened anew.

        Raises:
            sqlite3.Error: as SQLite says.
            OSError: the file or its directory cannot be made, or is on a network drive.
            RuntimeError: the process may not have another thread, or the interpreter is about to end.
        """
        if self._thread is None or self._process != os.getpid():  # a forked process has no copy of the thread
            self._thread, self._process = ThreadPoolExecutor(1, f"file {self.path.name}"), os.getpid()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def aclose(self) -> None:
        """Close the file, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._process == os.getpid():
            with contextlib.suppress(RuntimeError):  # the interpreter is about to end
                closed = asyncio.get_running_loop().run_in_executor(thread, self.close)
                thread.shutdown(wait=False)
                await closed

    def close(self) -> None:
        """Close the connection; whoever works on the file next opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _transact(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        with _working:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except BaseException:
                self.close()
                raise
            return result

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one where somebody deleted or replaced the file, its log or its locks."""
        if self._connection is not None and _identity(self.path) == self._identity:
            return self._connection
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kind := network_drive(self.path.parent):
            raise OSError(f"it is on a network drive ({kind}), where processes do not see each other's locks")
        with contextlib.suppress(FileExistsError):
            # Never opened again: to close any descriptor of a file is to lose all locks that the process has on it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a commit may be lost with the machine
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, _identity(self.path)
        return connection


_files: weakref.WeakSet[SqliteFile] = weakref.WeakSet()
_working = threading.Lock()


def _before_fork() -> None:
    """No work is half done, and nothing is open, when the process is copied.

    SQLite keeps in the process which locks it holds. The copy of that knowledge is wrong in a child, whose own
    connections would then take none: whoever closes next believes to be the last, and deletes the log that the child
    writes to.
    """
    _working.acquire()
    for file in list(_files):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_working.release, after_in_child=_working.release)


def _identity(path: Path) -> list[tuple[int, int]]:
    """Which file it is, and which log and locks are beside it: two processes must not have a log or locks each."""
    with contextlib.suppress(FileNotFoundError):
        there = [part.stat() for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if part.exists()]
        return [(part.st_dev, part.st_ino) for part in there]
    return []
