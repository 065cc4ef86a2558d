"""Private files: of mode 0600, written all or nothing; and small files, read within bounds of size and time."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import select
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from spotify_ads_async.errors import ConfigurationError

__all__ = [
    "append_private_line",
    "at_home",
    "read_small_file",
    "remove_left",
    "require_writable",
    "without_waiting",
    "write_private_file",
]

DoneT = TypeVar("DoneT")

_PATIENCE_SECONDS = 10.0
_IN_USE_TRIES = 200
_PAGE = 4096
_RANDOM = "?" * 8
"""How the names end that :mod:`tempfile` makes. Another file's may begin alike: a.json, a.json.json."""
_SURELY_LEFT_SECONDS = 600.0


def at_home(path: str | Path) -> Path:
    """The path, with ``~`` as the user's home.

    Raises:
        ConfigurationError: there is no home.
    """
    file = os.path.expanduser(path)  # noqa: PTH111 (without a home, pathlib's raises)
    if file.startswith("~"):
        raise ConfigurationError(f"{path}: there is no home that ~ could stand for: set HOME, or name the whole path")
    return Path(file)


def read_small_file(file: Path, largest: int) -> bytes:
    """What a file holds, or what comes through a pipe until its end, such as a secret from another program. Blocks.

    Args:
        file: the file or pipe.
        largest: bytes.

    Raises:
        OSError: it cannot be read, holds more, or is a pipe through which nothing comes for ten seconds.
    """
    with _when_free(lambda: open(file, "rb", buffering=0, opener=without_waiting)) as content:
        handle = content.fileno()
        waits = not stat.S_ISREG(os.fstat(handle).st_mode) and hasattr(select, "poll")
        found = bytearray()
        while len(found) <= largest:
            if waits and not _has_come(handle):
                raise OSError(
                    errno.ETIMEDOUT, f"nothing came through this pipe within {_PATIENCE_SECONDS:g} s", str(file)
                )
            chunk = content.read(largest + 1 - len(found))
            if chunk == b"":
                return bytes(found)
            found += chunk or b""
    raise OSError(errno.EFBIG, f"this is larger than {largest} bytes", str(file))


def _has_come(handle: int) -> bool:
    """Whether something, or the end, came through a pipe in time. A pipe that nobody has opened yet has no end."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(_PATIENCE_SECONDS * 1000))


def write_private_file(file: Path, content: bytes) -> None:
    """Write a file of mode 0600: whoever reads it sees the old content or the new. Its folder is made. Blocks.

    What a link leads to is written, and the link stays.

    Raises:
        OSError: it cannot be written.
    """
    file = file.resolve()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes files of mode 0600.
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
        _when_free(lambda: Path(name).replace(file))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    remove_left(file, older_than=_SURELY_LEFT_SECONDS)


def remove_left(file: Path, *, older_than: float = 0.0) -> None:
    """Remove what writers of a file that were killed have left beside it, and what is in there. Blocks.

    Args:
        file: the file.
        older_than: seconds; a younger one may be at it still.
    """
    for left in file.parent.glob(f".{glob.escape(file.name)}.{_RANDOM}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime >= older_than:
                left.unlink()


def require_writable(folder: Path) -> None:
    """Make, write and remove a file, which tells more than permissions, as on full disks and read-only mounts. Blocks.

    Raises:
        OSError: the folder keeps no file.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(_PAGE))
        probe.flush()
        os.fsync(probe.fileno())


def _when_free(work: Callable[[], DoneT]) -> DoneT:
    """Windows replaces no file that another process has open, and opens none that is being replaced: try again then."""
    for _ in range(_IN_USE_TRIES if sys.platform == "win32" else 0):
        with contextlib.suppress(PermissionError):
            return work()
        time.sleep(0.01)
    return work()


def append_private_line(file: Path, text: str) -> None:
    """Add a line to a file of mode 0600, which is made where there is none. Blocks.

    Raises:
        OSError: it cannot be written.
    """
    with open(file, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600)) as lines:
        lines.write(f"{text}\n".encode())


def without_waiting(name: str, flags: int) -> int:
    """An opener for :func:`open`: a pipe that nobody writes to would wait for ever otherwise."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
