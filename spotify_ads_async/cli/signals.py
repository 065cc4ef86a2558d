"""Ctrl-C as a wish to end, not as an accident."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from types import FrameType

import anyio

__all__ = ["on_interrupt", "on_signals"]

_ENDINGS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def on_signals(react: Callable[[], None]) -> Generator[None]:
    """Call ``react`` in the running loop on every Ctrl-C or SIGTERM inside the block."""
    loop = asyncio.get_running_loop()
    try:
        for number in _ENDINGS:
            loop.add_signal_handler(number, react)
    except NotImplementedError:
        # Windows: there a handler of Python's own has to wake the loop.
        def handle(number: int, frame: FrameType | None) -> None:
            del number, frame
            loop.call_soon_threadsafe(react)

        before = {number: signal.signal(number, handle) for number in _ENDINGS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    else:
        try:
            yield
        finally:
            for number in _ENDINGS:
                loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def on_interrupt(wish: Callable[[], None]) -> AsyncGenerator[None]:
    """Call ``wish`` on the first Ctrl-C (or SIGTERM) inside the block; a second one cancels the block at once."""
    count = 0
    with anyio.CancelScope() as scope:

        def react() -> None:
            nonlocal count
            count += 1
            if count > 1:
                scope.cancel()
            wish()

        with on_signals(react):
            yield
