"""File lock: one holder among all processes of a machine; the operating system gives it back when its holder dies.

On a network drive that does not hold: :func:`network_drive` tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio

__all__ = ["close_locked", "network_drive", "open_locked", "taken_off_loop", "try_lock"]

T = TypeVar("T")

_NETWORK_DRIVES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.rclone"}
)


def network_drive(folder: Path) -> str:
    """The kind of network drive that a folder is on, "" where it is on none or the system does not say."""
    mounts: list[list[str]] = []
    with contextlib.suppress(OSError):
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    folder = folder.resolve()
    inside = [(len(mount[1]), mount[2]) for mount in mounts if folder.is_relative_to(mount[1].replace("\\040", " "))]
    kind = max(inside, default=(0, ""))[1]
    return kind if kind in _NETWORK_DRIVES else ""


async def taken_off_loop(take: Callable[[], T], give_back: Callable[[T], object] = lambda _: None) -> T:
    """What ``take`` takes or does in a thread. Where the task is cancelled meanwhile, it is awaited, and given back.

    Anyio's threads are awaited under its own cancellation alone. Nothing that a thread works on, such as an open
    SQLite file, may be closed under it: that ends the process.
    """
    taking = asyncio.get_running_loop().run_in_executor(None, take)  # no task, which the loop's end would cancel
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        # No thread can be cancelled, however often somebody tries.
        with anyio.CancelScope(shield=True):
            while not taking.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([taking])
        if taking.exception() is None:
            give_back(taking.result())
        raise


def close_locked(file: int) -> None:
    """Give the lock back and close the file, also where a forked child has it open as well."""
    _unlock(file)
    os.close(file)


def open_locked(path: Path) -> int | None:
    """Open a file for reading and appending, made where it is missing, and lock it. None while somebody else has it.

    Its holder may remove it at the end: what is locked is the file that is there now.

    Raises:
        OSError: it cannot be opened or made.
    """
    while True:
        # Windows would write line feeds as two characters otherwise.
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            locked = try_lock(file)
            with contextlib.suppress(FileNotFoundError):  # who had it took it away
                if locked and os.path.samestat(os.fstat(file), path.stat()):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        if not locked:
            return None


if sys.platform == "win32":
    import msvcrt

    _FAR_AWAY = 1 << 30
    """A locked byte cannot be read by others, so it is one that no content has."""

    def try_lock(file: int) -> bool:
        """Lock an open file, unless somebody else has it."""
        return _at_its_place(file, msvcrt.LK_NBLCK)

    def _unlock(file: int) -> None:
        _at_its_place(file, msvcrt.LK_UNLCK)

    def _at_its_place(file: int, mode: int) -> bool:
        position = os.lseek(file, 0, os.SEEK_CUR)
        os.lseek(file, _FAR_AWAY, os.SEEK_SET)
        try:
            msvcrt.locking(file, mode, 1)
        except OSError:
            return False
        finally:
            os.lseek(file, position, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(file: int) -> bool:
        """Lock an open file, unless somebody else has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
