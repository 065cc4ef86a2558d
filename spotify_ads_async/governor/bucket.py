"""Bucket: one window's tokens, the rule itself. Pure, no clock of its own, no waiting.

A bucket holds N tokens. A request takes one when it leaves; the token stays out while the request is in flight and
comes back one window after its answer's headers arrived. Whoever uses the token next leaves at least one window after
the server counted its last user, so no two requests on one token share a window, and N tokens mean at most N requests
in any window.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque

from spotify_ads_async.governor.limits import Limit

__all__ = ["Bucket"]

_MARGIN_SECONDS = 0.001
"""Covers a server that rounds arrivals to milliseconds."""

_MARGIN_SHARE = 0.0001
"""Share of the window that covers a server whose clock runs faster than ours."""


class Bucket:
    """The tokens of one limit.

    ``available`` ones, those in flight, and those that come back ``cycle`` seconds after a time in ``settled``.
    Every time is in seconds of one monotonic clock and never goes back. ``settled`` is in order, and says by when the
    server had counted the requests that are over; what is due there is taken in by :meth:`refresh`.

    Args:
        limit: how many tokens there are, and the window after which a used one comes back.
        clock_resolution: seconds by which a reading of the clock may lag.
    """

    __slots__ = ("available", "cycle", "limit", "settled")

    def __init__(self, limit: Limit, *, clock_resolution: float = 0.0) -> None:
        self.limit = limit
        self.available: int = limit.requests
        self.settled: deque[float] = deque()
        self.cycle = limit.window * (1.0 + _MARGIN_SHARE) + _MARGIN_SECONDS + clock_resolution

    @property
    def out(self) -> int:
        """Tokens that are in flight or on their way back."""
        return self.limit.requests - self.available

    @property
    def in_flight(self) -> int:
        """Tokens of requests without an answer."""
        return self.limit.requests - self.available - len(self.settled)

    def refresh(self, now: float) -> None:
        """Take in the tokens whose time has come."""
        settled, over = self.settled, now - self.cycle
        while settled and settled[0] <= over:
            settled.popleft()
            self.available += 1

    def settle(self, counted_by: float) -> None:
        """A request is over, and the server counted it no later than ``counted_by``.

        Its token is back one window after.
        """
        if self.settled and counted_by < self.settled[-1]:
            insort(self.settled, counted_by)
        else:
            self.settled.append(counted_by)

    def there_at(self, tokens: int) -> float:
        """When so many tokens are there: in the past where they are, infinite where that depends on answers to come."""
        missing = tokens - self.available
        if missing <= 0:
            return -math.inf
        return self.settled[missing - 1] + self.cycle if missing <= len(self.settled) else math.inf
