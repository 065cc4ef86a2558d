"""Ctrl-C, SIGTERM and SIGHUP as wishes to end, not as accidents."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from types import FrameType

import anyio

from spotify_ads_cli.consoles import told_to_end

__all__ = ["BY_OTHERS", "ToldToEnd", "on_interrupt", "on_signals", "raised"]

BY_OTHERS = tuple(one for one in signal.Signals if one.name in {"SIGTERM", "SIGHUP"})
"""What other programs end a command with; Windows has one of them."""
_ENDINGS = (signal.SIGINT, *BY_OTHERS)


class ToldToEnd(BaseException):
    """A signal ended what waited for somebody."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.number = number


_reactions = defaultdict[signal.Signals, list[Callable[[], None]]](list)


@contextlib.contextmanager
def on_signals(react: Callable[[], None], numbers: Collection[signal.Signals] = _ENDINGS) -> Generator[None]:
    """Call ``react`` in the running loop on every Ctrl-C, SIGTERM or SIGHUP inside the block.

    An inner block goes before an outer one. A SIGHUP that was ignored from the start (``nohup``) still is; a SIGINT is
    not, which shells ignore for every program that a script starts behind itself.
    """
    loop, heard = asyncio.get_running_loop(), _heard(numbers)

    def told(number: int) -> None:
        for reaction in _reactions[signal.Signals(number)][-1:]:
            reaction()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        # Not by the loop's own way to hear signals: that hears none while a write waits for whoever reads the output.
        told_to_end.append(signal.Signals(number))
        loop.call_soon_threadsafe(told, number)

    before = {number: signal.getsignal(number) for number in heard}
    for number in heard:
        _reactions[number].append(react)
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            _reactions[number].pop()
            if not _reactions[number]:
                signal.signal(number, before[number] or signal.SIG_DFL)


@contextlib.contextmanager
def raised() -> Generator[None]:
    """Raise the first Ctrl-C, SIGTERM or SIGHUP inside the block as :class:`ToldToEnd`, and no other.

    Outside of an event loop, for what must be given back on the way out, such as a terminal's echo: a second signal
    would come between.
    """
    told = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal told
        del frame
        if not told:
            told = True
            told_to_end.append(signal.Signals(number))
            raise ToldToEnd(told_to_end[-1])

    before = {number: signal.signal(number, handle) for number in _heard(_ENDINGS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _heard(numbers: Collection[signal.Signals]) -> list[signal.Signals]:
    return [one for one in numbers if one is signal.SIGINT or signal.getsignal(one) is not signal.SIG_IGN]


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
