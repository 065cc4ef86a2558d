"""Waits for quota, said on a terminal while they last."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable

from spotify_ads_async.cli.terminal import errors, somebody_watches
from spotify_ads_async.governor.snapshot import Snapshot, WindowSnapshot

__all__ = ["waiting_text", "waits_told"]

_EVERY_SECONDS = 0.4
_SHORTEST_WAIT_SECONDS = 1.0


def waiting_text(snapshot: Snapshot) -> str | None:
    """What is waited for, or None where nothing is, or not for long."""
    if not snapshot.waiting or not snapshot.windows:
        return None
    window = max(snapshot.windows, key=_seconds)
    seconds = _seconds(window)
    if seconds < _SHORTEST_WAIT_SECONDS or not math.isfinite(seconds):
        return None
    why = f", paused: {window.pause_cause}" if window.paused_for > 0.0 and window.pause_cause else ""
    return f"waiting {math.ceil(seconds)} s for quota: {window.limit} window{why}"


def _seconds(window: WindowSnapshot) -> float:
    """Until whoever waits first may leave, as far as this window goes."""
    returns = window.predicted_wait if window.next_return is None else min(window.predicted_wait, window.next_return)
    return max(returns, window.paused_for)


@contextlib.asynccontextmanager
async def waits_told(look: Callable[[], Snapshot]) -> AsyncGenerator[None]:
    """Say each wait for quota once, within a second, while the block lasts; nothing where no terminal listens."""
    if not somebody_watches():
        yield
        return
    telling = asyncio.create_task(_tell(look))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def _tell(look: Callable[[], Snapshot]) -> None:
    told = False
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        text = waiting_text(look())
        if text is not None and not told:
            errors().print(text)  # above a bar, where one is shown
        told = text is not None
