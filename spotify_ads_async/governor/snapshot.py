"""What the governor shows of itself: plain values, cheap enough to take ten times a second."""

from __future__ import annotations

import msgspec

__all__ = ["Snapshot", "WindowSnapshot"]


class WindowSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One window.

    ``capacity`` tokens in all: ``available`` ones can be used now, ``in_flight`` ones belong to requests without an
    answer, ``returning`` ones come back with time, the first of them in ``next_return`` seconds; ``withheld`` ones are
    left to others. ``predicted_wait`` is for an interactive request that came now. ``paused_for`` counts down a pause,
    and ``pause_cause`` says who caused it.
    """

    limit: str
    owner: str
    window: float
    capacity: int
    available: int
    in_flight: int
    returning: int
    withheld: int
    next_return: float | None
    waiting: int
    predicted_wait: float
    smooth: bool
    paused_for: float
    pause_cause: str | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The governor at one instant."""

    pace: str
    waiting: int
    windows: tuple[WindowSnapshot, ...]
