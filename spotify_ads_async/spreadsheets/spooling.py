"""What cannot be read twice, such as standard input, brought into a file that can. It blocks: run it in a thread."""

from __future__ import annotations

import os
import select
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from spotify_ads_async.spreadsheets.cells import SpreadsheetError

__all__ = ["STANDARD_INPUT", "open_content"]

STANDARD_INPUT = "-"
"""Stands for standard input where a file's name is wanted."""
LARGEST_PIPE = 1024 * 1024 * 1024
_IN_MEMORY = 8 * 1024 * 1024
_CHUNK = 256 * 1024
_LOOK_EVERY = 0.2
_PATIENCE = 20.0
_PATIENCE_WITH_PROGRAMS = 600.0
"""Seconds without a byte: for a named pipe, and for standard input, which a program at work may stand behind."""


def open_content(path: Path, check: Callable[[float], None] | None = None) -> BinaryIO:
    """A file's content, which can be read from any place of it; a pipe or a terminal is read to its end first.

    Args:
        path: the file, or ``-`` for standard input.
        check: called every now and then while nothing comes, with the seconds waited so far; it may raise to give up.

    Raises:
        OSError: it cannot be opened.
        SpreadsheetError: it is a directory, a device without end, or larger than 1 GB, or no byte comes for long.
    """
    if str(path) == STANDARD_INPUT:
        return _spooled(os.dup(0), _PATIENCE_WITH_PROGRAMS, check)
    about = path.stat()
    if stat.S_ISREG(about.st_mode):
        return path.open("rb")
    if stat.S_ISDIR(about.st_mode):
        raise SpreadsheetError("is a folder: name the file that is in it")
    # A pipe that nobody writes would not even open otherwise.
    return _spooled(os.open(path, os.O_RDONLY | os.O_NONBLOCK), _PATIENCE, check)


def _spooled(descriptor: int, patience: float, check: Callable[[float], None] | None) -> BinaryIO:
    # The caller closes it.
    kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="spotify-ads-")  # noqa: SIM115
    try:
        waiting_since = time.monotonic()
        while True:
            ready, _, _ = select.select([descriptor], [], [], _LOOK_EVERY)
            waited = time.monotonic() - waiting_since
            if check is not None:
                check(waited)
            _require_bytes(waited, patience)
            if not ready:
                continue
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                break
            kept.write(chunk)
            waiting_since = time.monotonic()
            _require_end(kept.tell())
    except BaseException:
        kept.close()
        raise
    finally:
        os.close(descriptor)
    return kept  # pyright: ignore[reportReturnType] - it has every method of one


def _require_bytes(waited: float, patience: float) -> None:
    if waited > patience:
        raise SpreadsheetError(f"gives nothing: no byte came for {patience:.0f} seconds")


def _require_end(size: int) -> None:
    if size > LARGEST_PIPE:
        raise SpreadsheetError(f"has no end: more than {LARGEST_PIPE // 1024**2:,} MB came")
