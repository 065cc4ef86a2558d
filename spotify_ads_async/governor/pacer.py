"""Pacer: spaces departures evenly."""

from __future__ import annotations

import asyncio
import math

from aiolimiter import AsyncLimiter

__all__ = ["Pacer"]

_BURST_SECONDS = 0.03
"""What may leave together, in seconds of the rate: it makes up for a timer that rings late."""


class Pacer:
    """Spaces departures evenly, with a small burst.

    Args:
        requests: departures in ``window`` seconds.
        window: seconds.
    """

    __slots__ = ("_burst", "_drained_at", "_limiter", "_loop", "interval", "requests")

    def __init__(self, requests: int, window: float) -> None:
        self.requests = requests
        self.interval = window / requests
        self._burst = max(1, math.ceil(_BURST_SECONDS / self.interval))
        self._drained_at = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limiter = AsyncLimiter(self._burst, self._burst * self.interval)

    def ready(self) -> bool:
        """Whether a departure fits now."""
        return self._current().has_capacity()

    def wait(self, now: float) -> float:
        """Seconds until a departure fits. The limiter does not tell, but it drains evenly from what was taken."""
        return max(0.0, self._drained_at - (self._burst - 1) * self.interval - now)

    def take(self, now: float) -> None:
        """One departure. Only after :meth:`ready`: the limiter then has nothing to wait for."""
        acquisition = self._current().acquire()
        try:
            acquisition.send(None)
        except StopIteration:
            self._drained_at = max(self._drained_at, now) + self.interval
            return
        acquisition.close()
        raise RuntimeError("the pacer was not ready")

    def _current(self) -> AsyncLimiter:
        """The limiter of the running loop: it belongs to one loop, a governor may outlive that."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                self._limiter = AsyncLimiter(self._burst, self._burst * self.interval)
            self._loop = loop
        return self._limiter
