"""The folder in which a customer list lies, as hashes, while it is uploaded.

A kill leaves it behind; the next upload clears it.
Whoever works in a folder holds the lock on a file in it, which the operating system lifts when the process dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from spotify_ads_async.locks import close_locked, open_locked, try_lock

__all__ = ["hash_folder"]

_PREFIX = "spotify-ads-list-"
_LOCK = "lock"
_SURELY_LEFT_SECONDS = 24 * 3600
"""After so long a folder without a lock is nobody's."""


@contextlib.contextmanager
def hash_folder() -> Generator[Path]:
    """A folder that only this user can read.

    It is removed at the end, and those of processes that died are removed now.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_left_behind(left):
                shutil.rmtree(left, ignore_errors=True)
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        close_locked(lock)


def _locked_folder() -> tuple[Path, int]:
    """A new folder and the lock on it.

    Another upload may take it for one that was left before it is locked: then there is another.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with contextlib.suppress(FileNotFoundError):
            lock = open_locked(folder / _LOCK)
            if lock is not None:
                return folder, lock


def _is_left_behind(folder: Path) -> bool:
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or (sys.platform != "win32" and about.st_uid != os.getuid()):
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return time.time() - about.st_mtime > _SURELY_LEFT_SECONDS
    try:
        return try_lock(lock)
    finally:
        os.close(lock)
