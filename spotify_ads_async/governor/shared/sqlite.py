"""SqliteStore: windows shared by the processes of one machine, in an SQLite file.

The clock is ``time.monotonic``, which every process of a machine reads alike and nobody can set; it starts anew with
the machine. One thread of each process works on a file, for all governors there, and nobody else's threads are needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.shared.ledger import SCHEMA, Surroundings, exchange
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State

__all__ = ["SqliteStore", "path_of"]

ResultT = TypeVar("ResultT")
_Work = Callable[[sqlite3.Connection], object]

_LOCK_SECONDS = 10.0
_FORGET_AFTER = 24 * 3600 * 1_000_000
_SURELY_OVER = 60 * 1_000_000
_OLDER_TABLE = "windows_1"
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.rclone"}
)


def path_of(url: str) -> Path:
    """The file behind ``sqlite:///path``: absolute, for processes must mean the same file; ``~`` is the home.

    A bare file name, as in ``sqlite:///quota.db``, is in the working directory of the process that reads the URL.

    Raises:
        ConfigurationError: the URL names a host, or no file.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or len(path.strip("/")) == 0 or "\0" in path:
        raise ConfigurationError(f"store: the form is sqlite:///path/to/file (three slashes), not {url!r}")
    if path.startswith("/~") or path[2:3] == ":":  # the home directory, or a drive
        path = path[1:]
    if "/" not in path.lstrip("/"):
        path = path.lstrip("/")
    return Path(path).expanduser().absolute()


class SqliteStore:
    """Shares windows through an SQLite file in WAL mode, which only the user may read and write.

    The file and the directories above it are made where they are missing. For ``url`` see :func:`path_of`, which may
    raise.
    """

    def __init__(self, url: str) -> None:
        self.path = path_of(url)
        self.name = f"the quota file {self.path}"
        self._file: _File | None = None

    async def exchange(self, message: Exchange) -> Reply:
        """One step, inside of a transaction."""
        return await self._run(lambda connection: exchange(connection, message, _surroundings(connection)))

    async def look(self) -> list[KeptWindow]:
        """Every window in the file."""
        return await self._run(_look)

    async def aclose(self) -> None:
        """Close the file, once no other governor of this process uses it."""
        file, self._file = self._file, None
        if file is not None:
            await asyncio.wrap_future(file.leave())

    async def _run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        if self._file is None or self._file.process != os.getpid():
            self._file = _File.of(self.path)
        return await asyncio.wrap_future(self._file.submit(work))


class _File:
    """One file, the thread that works on it, and how many stores of this process use it.

    Several pieces of work share a transaction.
    """

    opened: dict[Path, _File] = {}  # noqa: RUF012 (guarded by the lock)
    lock = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path, self.process, self.users = path, os.getpid(), 0
        self.busy = threading.Lock()
        self._work: queue.SimpleQueue[tuple[_Work | None, Future[object]]] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        threading.Thread(target=self._serve, name=f"quota file {path.name}", daemon=True).start()

    @classmethod
    def of(cls, path: Path) -> _File:
        with cls.lock:
            file = cls.opened.get(path)
            if file is None:
                file = cls.opened[path] = cls(path)
            file.users += 1
            return file

    def submit(self, work: Callable[[sqlite3.Connection], ResultT] | None) -> Future[ResultT]:
        done: Future[ResultT] = Future()
        self._work.put((work, done))  # pyright: ignore[reportArgumentType] (the future is of what the work answers)
        return done

    def leave(self) -> Future[None]:
        with self.lock:
            self.users -= 1
            if self.users > 0 or self.process != os.getpid():
                done: Future[None] = Future()
                done.set_result(None)
                return done
            self.opened.pop(self.path, None)
        return self.submit(None)

    def _serve(self) -> None:
        while True:
            batch = [self._work.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    batch.append(self._work.get_nowait())
            with self.busy:
                self._do(
                    [(work, done) for work, done in batch if work is not None and done.set_running_or_notify_cancel()]
                )
                leaving = [done for work, done in batch if work is None]
                if leaving:
                    self.close()
            for done in leaving:
                done.set_result(None)
            if leaving and self._work.empty():
                return

    def _do(self, batch: list[tuple[_Work, Future[object]]]) -> None:
        if not batch:
            return
        results: list[object] = []
        try:
            with self._transaction() as connection:
                results = [work(connection) for work, _ in batch]
        except Exception as problem:  # noqa: BLE001 (whoever waits for the work gets it)
            for _, done in batch:
                done.set_exception(_explained(problem, self.path))
        else:
            for (_, done), result in zip(batch, results, strict=True):
                done.set_result(result)

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError, msgspec.MsgspecError):
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one where somebody deleted or replaced the file."""
        if self._connection is not None and _identity(self.path) == self._identity:
            return self._connection
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (kind := _file_system(self.path.parent)) in _NETWORK:
            raise OSError(f"it is on a network drive ({kind}), where processes do not see each other's locks")
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a commit may be lost with the machine: its quota is safe by the clock
            connection.executescript(SCHEMA)
            _forget(connection)
        except BaseException:
            connection.close()
            raise
        self._identity = _identity(self.path)
        self._connection = connection
        return connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _before_fork() -> None:
    """No work is half done, and nothing is open, when the process is copied; who needs a file opens it again.

    SQLite keeps in the process which locks it holds. The copy of that knowledge is wrong in a child, whose own
    connections would then take none: whoever closes next believes to be the last, and deletes the log that the child
    writes to.
    """
    _File.lock.acquire()
    for file in _File.opened.values():
        file.busy.acquire()
        file.close()


def _after_fork() -> None:
    for file in _File.opened.values():
        file.busy.release()
    _File.lock.release()


def _after_fork_in_child() -> None:
    _after_fork()
    _File.opened = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


def _surroundings(connection: sqlite3.Connection) -> Surroundings:
    """The clock inside of the transaction, so that times only grow from one to the next; and the machine's run."""
    lost = 0
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_OLDER_TABLE,)).fetchone():
        (used_at,) = connection.execute(f"SELECT max(used_at) FROM {_OLDER_TABLE}").fetchone()  # noqa: S608 (a constant)
        lost = used_at if used_at is not None and used_at <= _now() else 0
    return Surroundings(_now(), _boot(), lost=lost)


def _forget(connection: sqlite3.Connection) -> None:
    """Drop what an earlier start of the machine left, once everything that was spent then is over.

    And what is older than a day.
    """
    connection.execute("DELETE FROM tokens WHERE due < ?", (_now() - _FORGET_AFTER,))
    for key, data in connection.execute("SELECT key, state FROM windows").fetchall():
        state = msgspec.msgpack.decode(data, type=State)
        if state.run != _boot() and _now() > state.cycle + _SURELY_OVER:
            connection.execute("DELETE FROM windows WHERE key = ?", (key,))
            connection.execute("DELETE FROM tokens WHERE key = ?", (key,))


def _look(connection: sqlite3.Connection) -> list[KeptWindow]:
    now, found = _now(), list[KeptWindow]()
    for key, data in connection.execute("SELECT key, state FROM windows ORDER BY key").fetchall():
        state = msgspec.msgpack.decode(data, type=State)
        if state.run == _boot():
            dues = [
                due
                for (due,) in connection.execute(
                    "SELECT due FROM tokens WHERE key = ? AND due > ? ORDER BY due", (key, now)
                )
            ]
            found.append(KeptWindow(key, state, dues, now))
    return found


def _explained(problem: Exception, path: Path) -> Exception:
    """What happened to which file, and what to do, in one sentence."""
    if not isinstance(problem, sqlite3.Error | OSError | msgspec.MsgspecError):
        return problem
    text = str(problem)
    if "locked" in text or "busy" in text:
        advice = (
            f"another program kept it locked for {_LOCK_SECONDS:g} s: close whatever has it open, a database browser"
            " for example"
        )
    elif isinstance(problem, OSError):
        advice = (
            f"{text}: name another file with store='sqlite:///path', on a disk of this machine that you may write to"
        )
    elif isinstance(problem, msgspec.MsgspecError) or "malformed" in text or "not a database" in text:
        advice = f"it is damaged ({text}): delete it, and the quota that was spent is waited out"
    else:
        advice = f"{text}: look at its rights and at the room on the disk"
    made = StoreUnavailable(f"the quota file {path} cannot be used: {advice}")
    made.__cause__ = problem
    return made


def _now() -> int:
    return time.monotonic_ns() // 1000


@functools.cache
def _boot() -> str:
    """Which start of the machine the clock counts from, "" where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder is on, "" where the system does not say."""
    mounts: list[list[str]] = []
    with contextlib.suppress(OSError):
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    folder = folder.resolve()
    inside = [(len(mount[1]), mount[2]) for mount in mounts if folder.is_relative_to(mount[1].replace("\\040", " "))]
    return max(inside, default=(0, ""))[1]


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
