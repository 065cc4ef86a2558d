"""Snapshot: what the governor shows of itself. Plain values, cheap enough to take ten times a second."""

from __future__ import annotations

import msgspec

from spotify_ads_async.governor.forecast import wait_for
from spotify_ads_async.governor.window import Window

__all__ = ["Snapshot", "WindowSnapshot", "shown"]


class WindowSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One window.

    ``capacity`` tokens in all: ``available`` ones can be used now, ``in_flight`` ones belong to requests without an
    answer, ``returning`` ones come back with time, the first of them in ``next_return`` seconds;
    ``reserved_for_others`` ones are left to other programs; ``reserve`` of the available ones are kept for interactive
    requests. ``predicted_wait`` is for an interactive request that came now. ``paused_for`` counts down a pause, and
    ``pause_cause`` says who met it.
    """

    limit: str
    owner: str
    window: float
    capacity: int
    available: int
    in_flight: int
    returning: int
    reserved_for_others: int
    reserve: int
    next_return: float | None
    waiting: int
    predicted_wait: float
    smooth: bool
    paused_for: float
    pause_cause: str | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The governor at one instant: its pace, how many requests wait in the queue, and every window in use.

    Where a store keeps the windows, ``in_flight``, ``returning`` and ``waiting`` are this process's, and ``available``
    is what the store last said; ``store_away_for`` is for how many seconds the store has not answered, None while it
    does.
    """

    pace: str
    waiting: int
    windows: tuple[WindowSnapshot, ...]
    store_away_for: float | None = None


def shown(window: Window, now: float) -> WindowSnapshot:
    """One window as it is now."""
    window.refresh(now)
    available = min(window.available, window.outlook.free) if window.shared else window.available - window.reserved
    return WindowSnapshot(
        limit=window.limit.name,
        owner=window.owner,
        window=window.limit.window,
        capacity=window.limit.requests,
        available=max(0, available),
        in_flight=window.in_flight,
        returning=len(window.settled),
        reserved_for_others=window.reserved,
        reserve=window.reserve(now),
        next_return=max(0.0, window.settled[0] + window.cycle - now) if window.settled else None,
        waiting=window.waiting,
        predicted_wait=wait_for(window, window.waiting_interactive + 1, window.opens_at, now),
        smooth=window.smooth,
        paused_for=max(0.0, window.paused_until - now),
        pause_cause=window.pause_cause or None,
    )
