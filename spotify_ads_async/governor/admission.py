"""Admission: leave to send one request."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.wait_queue import Flow, Priority
from spotify_ads_async.governor.window import may_take, take

__all__ = ["Admission"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Admission:
    """Leave to send one request. Enter it, send, and tell it when the answer's headers arrived.

    Leaving the block counts as the answer where nothing was told before, and as giving the request up where an exception
    ends the block: then the server may count it for as long as ``counted_within`` says.
    """

    __slots__ = ("_adaptive", "_departed_at", "_departure", "_flow", "_grant", "_open", "_scheduler", "max_wait", "priority")

    def __init__(self, scheduler: Scheduler, adaptive: AdaptiveLimits, flow: Flow, priority: Priority, max_wait: float | None) -> None:
        self._scheduler = scheduler
        self._adaptive = adaptive
        self._flow = flow
        self._open = False
        self.priority = priority
        self.max_wait = max_wait

    def enter_nowait(self) -> bool:
        """Whether the request may leave without a wait; then its tokens are taken."""
        if self._open:
            raise RuntimeError("an admission is for one request: ask the governor for another")
        scheduler, flow = self._scheduler, self._flow
        if scheduler.queue.length or scheduler.closed or flow.grants is not None or scheduler.loop is not get_running_loop():
            return False
        now = scheduler.clock()
        interactive = self.priority is Priority.INTERACTIVE
        if not may_take(flow.windows, now, interactive=interactive):
            return False
        take(flow.windows, now, interactive=interactive)
        self._leave(0, now)
        return True

    async def enter(self) -> None:
        """Return when the request may leave, with its tokens taken; raises what entering the block does."""
        grant = await self._scheduler.admit(self._flow, self.priority, self.max_wait)
        self._leave(grant, self._scheduler.clock())

    def _leave(self, grant: int, now: float) -> None:
        self._open = True
        self._grant = grant
        self._departed_at = now
        self._departure = self._scheduler.departures = self._scheduler.departures + 1

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
        scheduler, flow = self._scheduler, self._flow
        now = scheduler.clock()
        if flow.grants is not None or now < scheduler.late_until:
            flow.settle(self._grant, now)
        else:
            for window in flow.windows:  # the same, without a call for each
                window.returning.append(now + window.cycle)
        if scheduler.queue.length:
            scheduler.settled(now)
        if status == 429 or scheduler.refusing or (headers and ("X-RateLimit-Remaining" in headers or "x-ratelimit-remaining" in headers)):
            self._adaptive.on_response(flow, self._departure, status, headers, now)

    def not_sent(self) -> None:
        """No byte of the request left: the tokens go straight back."""
        if self._is_this_process_s():
            self._open = False
            self._flow.give_back(self._grant)
            self._scheduler.serve()

    def give_up(self) -> None:
        """Nobody waits for the answer any more, and the server may count the request yet."""
        if self._is_this_process_s():
            self._open = False
            now = self._scheduler.clock()
            self._flow.settle(self._grant, self._scheduler.given_up(self._departed_at, now))
            if self._scheduler.queue.length:
                self._scheduler.settled(now)

    def _is_this_process_s(self) -> bool:
        """Whether the request is under way, and no copy of one that a parent process sent."""
        return self._open and self._departure > self._scheduler.forked_at_departure
