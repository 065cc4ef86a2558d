"""Leave to send one request."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from spotify_ads_async.governor.gate import Gate
from spotify_ads_async.governor.learning import Learning
from spotify_ads_async.governor.line import Lane, Priority

__all__ = ["Admission"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Admission:
    """Leave to send one request. Enter it, send, and tell it when the answer's headers arrived.

    Leaving the block counts as the answer where nothing was told before, and as giving the request up where an exception
    ends the block: then the server may still count it for as long as requests are under way lately.
    """

    __slots__ = ("_departed_at", "_departure", "_gate", "_learning", "_open", "lane", "max_wait", "priority")

    def __init__(self, gate: Gate, learning: Learning, lane: Lane, priority: Priority, max_wait: float | None) -> None:
        self._gate = gate
        self._learning = learning
        self._open = False
        self._departed_at = 0.0
        self._departure = 0
        self.lane = lane
        self.priority = priority
        self.max_wait = max_wait

    async def __aenter__(self) -> Self:
        if self._open:
            raise RuntimeError("an admission is for one request: ask the governor for another")
        gate = self._gate
        now = gate.clock()
        if gate.line.length or gate.closed or not self._takes_at_once(now):
            await gate.admit(self.lane, self.priority, self.max_wait, now)
            now = gate.clock()
        self._open = True
        self._departed_at = now
        self._departure = gate.departures = gate.departures + 1
        return self

    async def __aexit__(self, problem: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._open:
            now = self._gate.clock()
            self._settle(now, now if problem is None else self._gate.counted_by(self._departed_at, now))

    def answered(self, *, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """The answer's headers arrived: the tokens are back one window from now. What they say about quota is heeded."""
        if self._open:
            gate = self._gate
            now = gate.clock()
            self._settle(now, now)
            if status == 429 or gate.refusing or "X-RateLimit-Remaining" in headers or "x-ratelimit-remaining" in headers:
                self._learning.heed(self.lane, self._departure, status, headers, now)

    def not_sent(self) -> None:
        """No byte of the request left: the tokens go straight back."""
        if self._open:
            self._open = False
            self.lane.give_back()
            self._gate.serve()

    # The two ways below are walked by every request: they do in place what Bucket and Line do in methods.

    def _takes_at_once(self, now: float) -> bool:
        """Take the tokens, where nobody waits and nothing but their number decides."""
        windows = self.lane.windows
        bulk = self.priority is Priority.BULK
        for window in windows:
            returning = window.returning
            if returning and returning[0] <= now:
                window.refresh(now)
            if window.guarded or window.available <= (window.reserve(now) if bulk else 0):
                return False
        for window in windows:
            window.available -= 1
            window.in_flight += 1
            if not bulk:
                window.interactive_taken += 1
        return True

    def _settle(self, now: float, counted_by: float) -> None:
        self._open = False
        gate = self._gate
        trip = now - self._departed_at
        gate.longest_trip = max(gate.longest_trip, trip)
        for window in self.lane.windows:
            window.in_flight -= 1
            due = counted_by + window.cycle
            settled = window.settled
            if settled and due < settled[-1]:
                insort(settled, due)
            else:
                settled.append(due)
        if gate.line.length and now + gate.shortest_window < gate.wakes_at:
            gate.arm(now)
