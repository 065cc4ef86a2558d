"""A bucket with what the waiting line needs to know of it: its rhythm, its reserve, and who waits."""

from __future__ import annotations

import math

from aiolimiter import AsyncLimiter

from spotify_ads_async.governor.bucket import Bucket
from spotify_ads_async.governor.limits import Limit

__all__ = ["Pacer", "Window"]

_HELD_BACK_SHARE = 0.01
"""Share of the tokens that the smooth rhythm leaves unused, so that a weighted two-window counter never refuses."""

_BURST_SECONDS = 0.03
_STANDING_RESERVE_SHARE = 0.002
_BUSY_RESERVE_SHARE = 0.02
_BUSY_WINDOWS = 3.0
_SPREAD_SHARE = 0.1


class Pacer:
    """Spaces departures evenly, with a small burst.

    Args:
        requests: departures in ``window`` seconds.
        window: seconds.
    """

    __slots__ = ("_limiter", "interval")

    def __init__(self, requests: int, window: float) -> None:
        burst = max(1, math.ceil(requests / window * _BURST_SECONDS))
        self.interval = window / requests
        self._limiter = AsyncLimiter(burst, burst * self.interval)

    def ready(self) -> bool:
        """Whether a departure fits now."""
        return self._limiter.has_capacity()

    def take(self) -> None:
        """One departure. Only after :meth:`ready`: the limiter then has nothing to wait for."""
        acquisition = self._limiter.acquire()
        try:
            acquisition.send(None)
        except StopIteration:
            return
        acquisition.close()
        raise RuntimeError("the pacer was not ready")


class Window(Bucket):
    """One limit's tokens in one scope.

    Args:
        limit: the limit.
        owner: whose window it is, for people: an origin with a client ID or an address.
        smooth: whether departures are spaced from the start.
        clock_resolution: see :class:`Bucket`.
    """

    __slots__ = (
        "_busy_reserve",
        "_standing_reserve",
        "feedback_from",
        "owner",
        "pacer",
        "pacing_ends_at",
        "waiting_bulk",
        "waiting_interactive",
    )

    def __init__(self, limit: Limit, *, owner: str, smooth: bool, clock_resolution: float) -> None:
        super().__init__(limit, clock_resolution=clock_resolution)
        self.owner = owner
        self.pacer: Pacer | None = None
        self.pacing_ends_at = -math.inf
        self.waiting_interactive = 0
        self.waiting_bulk = 0
        self.feedback_from = 0
        self._standing_reserve = min(limit.requests - 1, math.ceil(limit.requests * _STANDING_RESERVE_SHARE))
        self._busy_reserve = min(limit.requests - 1, math.ceil(limit.requests * _BUSY_RESERVE_SHARE))
        if smooth:
            self.smooth_out()

    @property
    def smooth(self) -> bool:
        """Whether departures are spaced for good."""
        return self.pacer is not None and self.pacing_ends_at == math.inf

    def smooth_out(self) -> None:
        """Space departures from now on, and leave a few tokens unused."""
        requests = self.limit.requests
        self.hold_back(min(requests - 1, math.ceil(requests * _HELD_BACK_SHARE)))
        self.pacer = Pacer(requests - self.held_back, self.limit.window)
        self.pacing_ends_at = math.inf

    def spread_after_pause(self) -> None:
        """Space the first departures after the present pause, so that the line does not leave in one tick."""
        if not self.smooth:
            self.guarded = True
            self.pacer = self.pacer or Pacer(self.limit.requests, self.limit.window)
            self.pacing_ends_at = self.paused_until + self.limit.window * _SPREAD_SHARE

    def reserve(self, interactive_ago: float) -> int:
        """Tokens that bulk requests leave for interactive ones: more for a while after an interactive call."""
        return self._busy_reserve if interactive_ago < _BUSY_WINDOWS * self.limit.window else self._standing_reserve

    def refresh(self, now: float) -> None:
        """Take in what has become due: tokens, the end of a pause, the end of spacing."""
        super().refresh(now)
        if self.paused_until <= now:
            if self.pacer is not None and self.pacing_ends_at <= now:
                self.pacer = None
            if self.pacer is None and self.paused_until > -math.inf:
                self.paused_until = -math.inf
                self.pause_cause = None
            self.guarded = self.withheld > 0 or self.pacer is not None

    def grants(self, needed: int, now: float) -> bool:
        """Whether a request that leaves ``needed - 1`` tokens for others may leave now."""
        if self.available - self.withheld < needed or self.paused_until > now:
            return False
        return self.pacer is None or self.pacer.ready()

    def next_grant(self, needed: int, now: float) -> float:
        """The earliest time at which :meth:`grants` can be true, infinite while that depends on answers."""
        at = self.next_change(needed)
        if self.pacer is not None and not self.pacer.ready():
            at = max(at, now + self.pacer.interval)
        return at
