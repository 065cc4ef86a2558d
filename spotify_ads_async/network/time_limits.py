"""Time limits of what the tasks of an event loop do, at little cost for each."""

from __future__ import annotations

import asyncio
import math
from typing import Any

__all__ = ["TimeLimits"]


class TimeLimits:
    """When tasks of one event loop have to be done with what they do. One timer serves all of them.

    Nearly everything ends long before: a timer for each request costs a tenth of its call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ends_at: dict[asyncio.Task[Any], float] = {}
        self.rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring_at(self, at: float) -> None:
        """Look then, and no later, who has taken too long."""
        if self._timer is not None:
            self._timer.cancel()
        self.rings_at, self._timer = at, self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self.rings_at, self._timer = math.inf, None
        now = self.loop.time()
        for task in [task for task, ends_at in self.ends_at.items() if ends_at <= now]:
            del self.ends_at[task]
            task.cancel()
        if self.ends_at:
            self.ring_at(min(self.ends_at.values()))
