"""SqliteStore: windows shared by the processes of one machine, in an SQLite file.

The clock is ``time.monotonic``, which every process of a machine reads alike and nobody can set; it starts anew with
the machine. What is lost with the machine is safe by that.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.shared.ledger import Surroundings, exchange
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State
from spotify_ads_async.network.addresses import split_address
from spotify_ads_async.private_files import at_home
from spotify_ads_async.sqlite_file import LOCK_SECONDS, SqliteFile

__all__ = ["SqliteStore", "path_of"]

ResultT = TypeVar("ResultT")

_FORGET_AFTER = 24 * 3600 * 1_000_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, used_at INTEGER NOT NULL, state BLOB NOT NULL);
DELETE FROM kept WHERE used_at < {};
"""
"""A row is in use until the last of its times has passed: a window may last longer than rows are kept."""
_OLDER_TABLE = "windows_1"


def path_of(url: str) -> Path:
    """The file behind ``sqlite:///path``, absolute: ``~`` is the home, a bare name is in the working directory.

    Raises:
        ConfigurationError: the URL names a host, or no file, or a home where there is none.
    """
    parts = split_address(url)
    path = ""
    if parts is not None and not (parts.netloc or parts.query or parts.fragment):
        path = unquote(parts.path, errors="surrogateescape")  # what is no UTF-8 stays the same bytes
    if len(path.strip("/")) == 0 or "\0" in path:
        raise ConfigurationError(
            "store: the form is sqlite:///path/to/file: three slashes, no host, and %23 and %3F for # and ? in a name"
        )
    path = path.lstrip("/")
    if not path.startswith("~") and path[1:2] != ":" and "/" in path:  # neither home, a drive, nor a bare name
        path = f"/{path}"
    return at_home(path).absolute()


class SqliteStore:
    """Shares windows through an SQLite file. For ``url`` see :func:`path_of`, which may raise."""

    def __init__(self, url: str) -> None:
        path = path_of(url)
        self.name = f"the quota file {path}"
        self._file = SqliteFile(path, lambda new: new.executescript(_SCHEMA.format(_now() - _FORGET_AFTER)))

    async def exchange(self, message: Exchange) -> Reply:
        """One step, inside of a transaction."""
        return await self._run(lambda connection: _exchange(connection, message))

    async def look(self) -> list[KeptWindow]:
        """Every window in the file."""
        return await self._run(_look)

    async def aclose(self) -> None:
        """Close the file."""
        await self._file.aclose()

    async def _run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        try:
            return await self._file.run(work)
        except (sqlite3.Error, OSError, RuntimeError, msgspec.MsgspecError) as problem:
            raise StoreUnavailable(f"{self.name} cannot be used: {_advice(problem)}") from problem


def _exchange(connection: sqlite3.Connection, message: Exchange) -> Reply:
    kept: dict[str, State] = {}
    # Cast, for SQLite keeps values of any type in any column.
    for report in message.windows:
        for (data,) in connection.execute("SELECT CAST(state AS BLOB) FROM kept WHERE key = ?", (report.key,)):
            kept[report.key] = msgspec.msgpack.decode(data, type=State)
    reply = exchange(kept, message, _surroundings(connection))
    changed = [(key, _used_until(state), msgspec.msgpack.encode(state)) for key, state in kept.items()]
    connection.executemany("INSERT OR REPLACE INTO kept (key, used_at, state) VALUES (?, ?, ?)", changed)
    return reply


def _used_until(state: State) -> int:
    return max(state.now, state.closed, state.paused, *state.tokens.values())


def _surroundings(connection: sqlite3.Connection) -> Surroundings:
    """The clock inside of the transaction, so that times only grow from one to the next; and the machine's run."""
    lost = 0
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_OLDER_TABLE,)).fetchone():
        query = f"SELECT max(CAST(used_at AS INTEGER)) FROM {_OLDER_TABLE}"  # noqa: S608 (a constant)
        (used_at,) = connection.execute(query).fetchone()
        lost = used_at if used_at is not None and used_at <= _now() else 0
    return Surroundings(_now(), _boot(), lost=lost)


def _look(connection: sqlite3.Connection) -> list[KeptWindow]:
    rows = connection.execute("SELECT CAST(key AS TEXT), CAST(state AS BLOB) FROM kept ORDER BY key")
    kept = {key: msgspec.msgpack.decode(data, type=State) for key, data in rows}
    return [KeptWindow(key, state, _now()) for key, state in kept.items() if state.run == _boot()]


def _advice(problem: Exception) -> str:
    """What happened, and what to do."""
    text = str(problem)
    if isinstance(problem, RuntimeError):
        return f"{text}; look at the limits of threads and memory"
    if "locked" in text or "busy" in text:
        seconds = f"{LOCK_SECONDS:g} s"
        return f"another program kept it locked for {seconds}: close whatever has it open, such as a database browser"
    if isinstance(problem, OSError):
        text = problem.strerror or text
        return f"{text}: name another file with store='sqlite:///path', on a disk of this machine that you may write to"
    if isinstance(problem, msgspec.MsgspecError) or "malformed" in text or "not a database" in text:
        return f"it is damaged ({text}): delete it, and send nothing for a minute: what was spent went with it"
    return f"{text}: look at its rights, the room on the disk, and the limit of open files"


def _now() -> int:
    return time.monotonic_ns() // 1000


@functools.cache
def _boot() -> str:
    """Which start of the machine the clock counts from, "" where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
