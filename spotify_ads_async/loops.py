"""Event loops of other threads: what belongs to one is touched by nobody but its thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["LoopAway", "on_loop"]

DoneT = TypeVar("DoneT")

_TO_BEGIN_SECONDS, _TO_END_SECONDS = 5.0, 60.0
_BETWEEN_LOOKS_SECONDS = 0.5


class LoopAway(Exception):
    """The loop has ended, or is blocked: it does nothing for others."""


async def on_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, DoneT]]) -> DoneT:
    """Do something on the event loop that it belongs to, which may be this one or run in another thread.

    Done here, it would wake nobody there.

    Raises:
        LoopAway: the loop does not run, ends over the work, or is blocked: it has not begun after five seconds, or
            not ended a minute later.
    """
    if loop is asyncio.get_running_loop():
        return await work()
    if not loop.is_running():
        raise LoopAway
    until = time.monotonic() + _TO_BEGIN_SECONDS

    async def there() -> DoneT:
        nonlocal until
        until += _TO_END_SECONDS
        return await work()

    handed = there()
    try:
        done = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(handed, loop))
    except RuntimeError:  # closed
        handed.close()
        raise LoopAway from None
    while loop.is_running() and time.monotonic() < until:
        await asyncio.wait([done], timeout=_BETWEEN_LOOKS_SECONDS)
        if done.done():
            break
    if not done.done() or done.cancelled():
        raise LoopAway  # a blocked loop does it yet, when it comes to it
    return done.result()
