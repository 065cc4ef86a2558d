"""Opening a file of changes so that reading it ends: no line without a bound, and no pipe that is waited on for ever."""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["LONGEST_LINE", "SilentPipe", "opened"]

LONGEST_LINE = 16 * 1024 * 1024
"""Characters of a line or a cell, at most."""

_PATIENCE_MS = 20_000


class SilentPipe(OSError):
    """A pipe gave nothing for too long."""


class _Pipe(io.RawIOBase):
    """The reading end of a pipe that gives up where nothing comes."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        if not waiting.poll(_PATIENCE_MS):
            raise SilentPipe(f"{self._name} is a pipe, and nothing came out of it for {_PATIENCE_MS // 1000} seconds")
        view = memoryview(buffer).cast("B")
        piece = os.read(self._descriptor, len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


@contextlib.contextmanager
def opened(path: Path) -> Generator[TextIO]:
    """A file of changes as text in UTF-8, with its line ends as they are.

    Raises:
        OSError: it cannot be opened or read; :class:`SilentPipe` where a pipe gives nothing.
    """
    if not stat.S_ISFIFO(path.stat().st_mode):
        with path.open(encoding="utf-8", newline="") as text:
            yield text
        return
    # Opening a pipe waits for somebody who writes, unless it is opened so.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with _Pipe(descriptor, str(path)) as raw, io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8", newline="") as text:
        yield text
