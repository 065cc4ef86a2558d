"""One window's tokens: the rule itself. Pure, no clock of its own, no waiting.

A bucket holds N tokens. A request takes one when it leaves; the token stays out while the request is in flight and comes
back one window after its answer's headers arrived. Whoever uses the token next leaves at least one window after the server
counted its last user, so no two requests on one token share a window, and N tokens mean at most N requests in any window.
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

    Every time is in seconds of one monotonic clock and never goes back. ``cycle`` is the time that a token stays out after
    the answer; ``returning`` holds, in order, when the tokens that are out come back, but for those in flight. Used tokens go
    to ``settled``, which is the same here, and another place where a store takes them back.

    Args:
        limit: how many tokens there are, and the window after which a used one comes back.
        clock_resolution: seconds by which a reading of the clock may lag.
    """

    __slots__ = ("available", "cycle", "in_flight", "limit", "returning", "settled")

    def __init__(self, limit: Limit, *, clock_resolution: float = 0.0) -> None:
        self.limit = limit
        self.available: int = limit.requests
        self.in_flight: int = 0
        self.returning: deque[float] = deque()
        self.settled: deque[float] = self.returning
        self.cycle = limit.window * (1.0 + _MARGIN_SHARE) + _MARGIN_SECONDS + clock_resolution

    def refresh(self, now: float) -> None:
        """Take in the tokens whose time has come."""
        returning = self.returning
        while returning and returning[0] <= now:
            returning.popleft()
            self.available += 1

    def take(self) -> None:
        """One request leaves."""
        self.available -= 1
        self.in_flight += 1

    def settle(self, counted_by: float) -> None:
        """The request is over, and the server counted it no later than ``counted_by``: its token is back one window after."""
        self.in_flight -= 1
        due = counted_by + self.cycle
        settled = self.settled
        if settled and due < settled[-1]:
            insort(settled, due)
        else:
            settled.append(due)

    def give_back(self) -> None:
        """The request did not leave: its token is there again."""
        self.in_flight -= 1
        self.available += 1

    def there_at(self, tokens: int) -> float:
        """When so many tokens are there: in the past where they are, infinite where that depends on answers to come."""
        missing = tokens - self.available
        if missing <= 0:
            return -math.inf
        return self.returning[missing - 1] if missing <= len(self.returning) else math.inf

    def coming(self) -> deque[float]:
        """When tokens come that this process may then use, in order."""
        return self.returning
