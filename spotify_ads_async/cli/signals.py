"""Ctrl-C as a wish to end, not as an accident."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncGenerator, Callable

import anyio

__all__ = ["on_interrupt"]


@contextlib.asynccontextmanager
async def on_interrupt(wish: Callable[[], None]) -> AsyncGenerator[None]:
    """Call ``wish`` on the first Ctrl-C (or SIGTERM) inside the block; a second one cancels the block at once."""
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                count = 0
                async for _ in signals:
                    count += 1
                    if count > 1:
                        tasks.cancel_scope.cancel()
                    wish()

        tasks.start_soon(listen)
        yield
        tasks.cancel_scope.cancel()
