"""Pacer: spaces departures evenly."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

__all__ = ["Pacer"]

_BURST_SECONDS = 0.03
"""What may leave together, in seconds of the rate: it makes up for a timer that rings late."""


class Pacer:
    """Spaces ``requests`` departures evenly over ``window`` seconds, with a small burst."""

    _limiter: AsyncLimiter

    def __init__(self, requests: int, window: float) -> None:
        self.requests = requests
        self.interval = window / requests
        self._burst = max(1, math.ceil(_BURST_SECONDS / self.interval))
        self._drained_at = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None

    def ready(self) -> bool:
        """Whether a departure fits now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a limiter belongs to one loop, and a governor may outlive that
            from aiolimiter import AsyncLimiter  # noqa: PLC0415 - most governors never pace, and it loads slowly

            self._loop = loop
            self._limiter = AsyncLimiter(self._burst, self._burst * self.interval)
        return self._limiter.has_capacity()

    def wait(self, now: float) -> float:
        """Seconds until a departure fits. The limiter does not tell, but it drains evenly from what was taken."""
        return max(0.0, self._drained_at - (self._burst - 1) * self.interval - now)

    def take(self, now: float) -> None:
        """One departure. Only after :meth:`ready`: the limiter then has nothing to wait for."""
        try:
            self._limiter.acquire().send(None)
        except StopIteration:
            self._drained_at = max(self._drained_at, now) + self.interval
        else:
            raise RuntimeError("the pacer was not ready")
