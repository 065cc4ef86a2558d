"""Leave to send one request."""

from __future__ import annotations

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

    _departed_at: float
    _departure: int

    def __init__(self, gate: Gate, learning: Learning, lane: Lane, priority: Priority, max_wait: float | None) -> None:
        self._gate = gate
        self._learning = learning
        self._open = False
        self.lane = lane
        self.priority = priority
        self.max_wait = max_wait

    # Entering and the answer are walked by every request: they do in place what Bucket and Line do in methods.

    def enter_nowait(self) -> bool:
        """Whether the request may leave without a wait; then its tokens are taken."""
        if self._open:
            raise RuntimeError("an admission is for one request: ask the governor for another")
        gate = self._gate
        windows = self.lane.windows
        now = gate.clock()
        interactive = self.priority is Priority.INTERACTIVE
        if gate.line.length or gate.closed:
            return False
        for window in windows:
            returning = window.returning
            if returning and returning[0] <= now:
                window.refresh(now)
            if window.guarded or window.available < (1 if interactive else window.needed_for_bulk(now)):
                return False
        for window in windows:
            window.available -= 1
            window.in_flight += 1
            if interactive:
                window.interactive_taken += 1
        self._open = True
        self._departed_at = now
        self._departure = gate.departures = gate.departures + 1
        return True

    async def enter(self) -> None:
        """Return when the request may leave, with its tokens taken; raises what entering the block does."""
        gate = self._gate
        await gate.admit(self.lane, self.priority, self.max_wait, gate.clock())
        self._open = True
        self._departed_at = gate.clock()
        self._departure = gate.departures = gate.departures + 1

    async def __aenter__(self) -> Self:
        if not self.enter_nowait():
            await self.enter()
        return self

    async def __aexit__(self, problem: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if problem is None:
            self.answered(status=200)
        else:
            self.give_up()

    def answered(self, *, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """The answer's headers arrived: the tokens are back one window from now. What they say about quota is heeded."""
        if not self._open:
            return
        self._open = False
        gate = self._gate
        now = gate.clock()
        trip = now - self._departed_at
        if trip > gate.longest_trip:  # noqa: PLR1730 (a call of max costs more than the rest of the line)
            gate.longest_trip = trip
        if now < gate.strays_counted_by:
            for window in self.lane.windows:
                window.settle(now)
        else:
            for window in self.lane.windows:
                window.in_flight -= 1
                window.settled.append(now + window.cycle)
        if gate.line.length:
            gate.settled(now)
        if status == 429 or gate.refusing or (headers and ("X-RateLimit-Remaining" in headers or "x-ratelimit-remaining" in headers)):
            self._learning.heed(self.lane, self._departure, status, headers, now)

    def not_sent(self) -> None:
        """No byte of the request left: the tokens go straight back."""
        if self._open:
            self._open = False
            self.lane.give_back()
            self._gate.serve()

    def give_up(self) -> None:
        """Nobody waits for the answer any more, and the server may count the request yet."""
        if not self._open:
            return
        self._open = False
        gate = self._gate
        now = gate.clock()
        counted_by = gate.counted_by(self._departed_at, now)
        for window in self.lane.windows:
            window.settle(counted_by)
        if gate.line.length:
            gate.settled(now)
