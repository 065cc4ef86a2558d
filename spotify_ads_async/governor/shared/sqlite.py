"""SqliteStore: windows shared by the processes of one machine, in an SQLite file.

The clock is ``time.monotonic``, which every process of a machine reads alike and nobody can set; it starts anew with
the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.shared.ledger import SCHEMA, Surroundings, exchange
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State
from spotify_ads_async.locks import network_drive
from spotify_ads_async.network.addresses import split_address
from spotify_ads_async.private_files import at_home

__all__ = ["SqliteStore", "path_of"]

ResultT = TypeVar("ResultT")

_LOCK_SECONDS = 10.0
_FORGET_AFTER = 24 * 3600 * 1_000_000
_FORGET = """
BEGIN IMMEDIATE;
DELETE FROM windows WHERE key IN (SELECT key FROM tokens GROUP BY key HAVING max(due) < {});
DELETE FROM tokens WHERE key NOT IN (SELECT key FROM windows);
COMMIT;
"""
_OLDER_TABLE = "windows_1"


def path_of(url: str) -> Path:
    """The file behind ``sqlite:///path``, absolute: ``~`` is the home, a bare name is in the working directory.

    Raises:
        ConfigurationError: the URL names a host, or no file, or a home where there is none.
    """
    parts = split_address(url)
    path = "" if parts is None or parts.netloc or parts.query or parts.fragment else unquote(parts.path)
    if len(path.strip("/")) == 0 or "\0" in path:
        raise ConfigurationError(
            "store: the form is sqlite:///path/to/file: three slashes, no host, and %23 and %3F for # and ? in a name"
        )
    path = path.lstrip("/")
    if not path.startswith("~") and path[1:2] != ":" and "/" in path:  # neither home, a drive, nor a bare name
        path = f"/{path}"
    return at_home(path).absolute()


class SqliteStore:
    """Shares windows through an SQLite file in WAL mode, which only the user may read and write.

    The file and the directories above it are made where they are missing. For ``url`` see :func:`path_of`, which may
    raise. A thread of the store's own works on the file, and one after the other those of all stores of the process.
    """

    def __init__(self, url: str) -> None:
        self.path = path_of(url)
        self.name = f"the quota file {self.path}"
        self._thread: ThreadPoolExecutor | None = None
        self._process = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        _stores.add(self)

    async def exchange(self, message: Exchange) -> Reply:
        """One step, inside of a transaction."""
        return await self._run(lambda connection: exchange(connection, message, _surroundings(connection)))

    async def look(self) -> list[KeptWindow]:
        """Every window in the file."""
        return await self._run(_look)

    async def aclose(self) -> None:
        """Close the file, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._process == os.getpid():
            closed = self._submitted(thread, self.close)
            thread.shutdown(wait=False)
            await closed

    def close(self) -> None:
        """Close the connection; whoever works on the file next opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        if self._thread is None or self._process != os.getpid():  # a forked process has no copy of the thread
            self._thread, self._process = ThreadPoolExecutor(1, f"quota file {self.path.name}"), os.getpid()
        return await self._submitted(self._thread, functools.partial(self._transact, work))

    def _submitted(self, thread: ThreadPoolExecutor, work: Callable[[], ResultT]) -> asyncio.Future[ResultT]:
        try:
            return asyncio.get_running_loop().run_in_executor(thread, work)
        except RuntimeError as problem:  # the process may not have another thread, or the interpreter is about to end
            raise StoreUnavailable(
                f"the quota file {self.path} cannot be used: {problem}; look at the limits of threads and memory"
            ) from problem

    def _transact(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Do one piece of work, all or none of it."""
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
            except (sqlite3.Error, OSError, msgspec.MsgspecError) as problem:
                self.close()
                raise StoreUnavailable(f"the quota file {self.path} cannot be used: {_advice(problem)}") from problem
            return result

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one where somebody deleted or replaced the file."""
        if self._connection is not None and _identity(self.path) == self._identity:
            return self._connection
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kind := network_drive(self.path.parent):
            raise OSError(f"it is on a network drive ({kind}), where processes do not see each other's locks")
        with contextlib.suppress(FileExistsError):
            # Never opened again: to close any descriptor of a file is to lose all locks that the process has on it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit may be lost with the machine: its quota is safe by the clock.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(SCHEMA + _FORGET.format(_now() - _FORGET_AFTER))
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, _identity(self.path)
        return connection


_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_working = threading.Lock()


def _before_fork() -> None:
    """No work is half done, and nothing is open, when the process is copied.

    SQLite keeps in the process which locks it holds. The copy of that knowledge is wrong in a child, whose own
    connections would then take none: whoever closes next believes to be the last, and deletes the log that the child
    writes to.
    """
    _working.acquire()
    for store in list(_stores):
        store.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_working.release, after_in_child=_working.release)


def _surroundings(connection: sqlite3.Connection) -> Surroundings:
    """The clock inside of the transaction, so that times only grow from one to the next; and the machine's run."""
    lost = 0
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_OLDER_TABLE,)).fetchone():
        query = f"SELECT max(used_at) FROM {_OLDER_TABLE}"  # noqa: S608 (a constant)
        (used_at,) = connection.execute(query).fetchone()
        lost = used_at if used_at is not None and used_at <= _now() else 0
    return Surroundings(_now(), _boot(), lost=lost)


def _look(connection: sqlite3.Connection) -> list[KeptWindow]:
    now, found = _now(), list[KeptWindow]()
    for key, data in connection.execute("SELECT key, state FROM windows ORDER BY key").fetchall():
        state = msgspec.msgpack.decode(data, type=State)
        if state.run == _boot():
            query = "SELECT due FROM tokens WHERE key = ? AND due > ? ORDER BY due"
            dues = [due for (due,) in connection.execute(query, (key, now))]
            found.append(KeptWindow(key, state, dues, now))
    return found


def _advice(problem: Exception) -> str:
    """What happened, and what to do."""
    text = str(problem)
    if "locked" in text or "busy" in text:
        seconds = f"{_LOCK_SECONDS:g} s"
        return f"another program kept it locked for {seconds}: close whatever has it open, such as a database browser"
    if isinstance(problem, OSError):
        text = problem.strerror or text
        return f"{text}: name another file with store='sqlite:///path', on a disk of this machine that you may write to"
    if isinstance(problem, msgspec.MsgspecError) or "malformed" in text or "not a database" in text:
        return f"it is damaged ({text}): delete it, and the quota that was spent is waited out"
    return f"{text}: look at its rights, the room on the disk, and the limit of open files"


def _now() -> int:
    return time.monotonic_ns() // 1000


@functools.cache
def _boot() -> str:
    """Which start of the machine the clock counts from, "" where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
