"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import anyio
import anyio.to_thread

__all__ = ["whole_file", "whole_file_off_loop"]


@contextlib.contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """Where to write a file that appears under its name, or is replaced, once it is complete. Blocks.

    What a link leads to is written, and not the link. What is there and no file, such as a device or a pipe, is written
    to and never replaced.

    Args:
        path: the file.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    # Whoever writes the same file meanwhile has a part of their own.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def whole_file_off_loop(path: Path) -> AsyncGenerator[Path]:
    """The same, off the event loop."""
    manager = whole_file(path)
    part = await anyio.to_thread.run_sync(manager.__enter__)
    try:
        yield part
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(manager.__exit__, *sys.exc_info())
        raise
    await anyio.to_thread.run_sync(manager.__exit__, None, None, None)
