"""Ctrl-C, SIGTERM and SIGHUP as wishes to end, not as accidents."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from types import FrameType

import anyio

__all__ = ["BY_OTHERS", "on_interrupt", "on_signals", "told_to_end"]

BY_OTHERS = tuple(one for one in signal.Signals if one.name in {"SIGTERM", "SIGHUP"})
"""What other programs end a command with; Windows has one of them."""
_ENDINGS = (signal.SIGINT, *BY_OTHERS)

told_to_end: list[signal.Signals] = []
"""By which signals this process was told to end, the latest last."""
_reactions = defaultdict[signal.Signals, list[Callable[[], None]]](list)


@contextlib.contextmanager
def on_signals(react: Callable[[], None], numbers: Collection[signal.Signals] = _ENDINGS) -> Generator[None]:
    """Call ``react`` in the running loop on every Ctrl-C, SIGTERM or SIGHUP inside the block.

    An inner block goes before an outer one. A SIGHUP that was ignored from the start (``nohup``) still is; a SIGINT is
    not, which shells ignore for every program that a script starts behind itself.
    """
    loop = asyncio.get_running_loop()
    heard = [one for one in numbers if one is signal.SIGINT or signal.getsignal(one) is not signal.SIG_IGN]

    def told(number: signal.Signals) -> None:
        told_to_end.append(number)
        _reactions[number][-1]()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        loop.call_soon_threadsafe(told, signal.Signals(number))

    before = {number: signal.getsignal(number) for number in heard}
    for number in heard:
        _reactions[number].append(react)
        try:
            loop.add_signal_handler(number, told, number)
        except NotImplementedError:  # Windows: there a handler of Python's own has to wake the loop
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            _reactions[number].pop()
            if _reactions[number]:
                continue
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, before[number] or signal.SIG_DFL)


@contextlib.asynccontextmanager
async def on_interrupt(wish: Callable[[], None]) -> AsyncGenerator[None]:
    """Call ``wish`` on the first signal inside the block; a second one cancels the block at once."""
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
