"""Admission: leave to send one request."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from threading import get_ident
from types import MappingProxyType, TracebackType
from typing import Self

from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.wait_queue import Flow, Priority
from spotify_ads_async.governor.window import may_take, take
from spotify_ads_async.network.connections import leave_to_send
from spotify_ads_async.network.ratelimit_headers import retry_after

__all__ = ["Admission"]

_INTERACTIVE = Priority.INTERACTIVE
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Admission:
    """Leave to send one request. Enter it, send, and tell it when the answer's headers arrived.

    Leaving the block counts as the answer where nothing was told before, and as giving the request up where an
    exception ends the block: then the server may count it for as long as ``counted_within`` says. ``retry_after`` is
    what an answer that is no success asks to wait, in seconds.
    """

    __slots__ = "_adaptive _departure _flow _grant _max_wait _open _priority retry_after".split()  # noqa: SIM905
    retry_after: float | None

    def __init__(self, adaptive: AdaptiveLimits, flow: Flow, priority: Priority, max_wait: float | None) -> None:
        self._adaptive, self._flow, self._priority, self._max_wait = adaptive, flow, priority, max_wait
        self._open = False

    def enter_nowait(self) -> bool:
        """Whether the request may leave without a wait; then its tokens are taken."""
        if self._open:
            raise RuntimeError("an admission is for one request: ask the governor for another")
        scheduler, flow = self._adaptive.scheduler, self._flow
        # The loop's thread: asking for the loop itself asks the system for the process each time.
        if flow.grants is not None or scheduler.queue.length or scheduler.thread != get_ident():
            return False
        if scheduler.loop is None or scheduler.loop.is_closed():  # a fork and a closed governor have none
            return False
        now, interactive = scheduler.clock(), self._priority is _INTERACTIVE
        if not may_take(flow.windows, now, interactive):
            return False
        take(flow.windows, now, interactive)
        self._open, self._grant = True, None
        self._departure = scheduler.departures = scheduler.departures + 1
        leave_to_send.set(self)
        return True

    async def enter(self) -> None:
        """Return when the request may leave, with its tokens taken; raises what entering the block does."""
        scheduler = self._adaptive.scheduler
        self._grant = await scheduler.admit(self._flow, self._priority, self._max_wait)
        self._open = True
        self._departure = scheduler.departures = scheduler.departures + 1
        leave_to_send.set(self)

    def renewal(self) -> Awaitable[None] | None:
        """Leave to wait for again, where others may have the tokens of a request that is about to leave.

        While it waited for its connection, the process was stopped, the machine slept, or the loop stood still and
        another one took the governor over.
        """
        grant, grants = self._grant, self._flow.grants
        void = grants is not None and grant is not None and not grants.may_leave(grant)
        given_up = self._departure <= self._adaptive.scheduler.forked_at_departure
        return self._renew() if self._open and (void or given_up) else None

    async def _renew(self) -> None:
        self.not_sent()
        await self.enter()

    async def __aenter__(self) -> Self:
        if not self.enter_nowait():
            await self.enter()
        return self

    async def __aexit__(
        self, problem: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if problem is None:
            self.answered(status=200)
        else:
            self.give_up()

    def answered(self, *, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """The answer's headers arrived: the tokens are back one window from now."""
        scheduler, flow, asked = self._adaptive.scheduler, self._flow, None
        if not 200 <= status < 300:
            self.retry_after = asked = retry_after(headers, datetime.now(UTC))
        if not self._open or self._departure <= scheduler.forked_at_departure:
            return
        self._open = False
        now = scheduler.clock()
        if now < scheduler.late_until or flow.grants is not None:
            flow.settle(self._grant, now)
        else:
            for window in flow.windows:  # the same, without a call for each
                window.settled.append(now)
        if scheduler.queue.length:
            self._wake_next(now)
        counted = headers and ("X-RateLimit-Remaining" in headers or "x-ratelimit-remaining" in headers)
        if status == 429 or scheduler.refusing or counted:
            self._adaptive.on_response(flow, self._departure, status, headers, now, asked=asked)

    def not_sent(self) -> None:
        """No byte of the request left: the tokens go straight back."""
        if self._ends():
            self._flow.give_back(self._grant)
            self._adaptive.scheduler.serve()

    def give_up(self) -> None:
        """Nobody waits for the answer any more, and the server may count the request yet."""
        if self._ends():
            scheduler = self._adaptive.scheduler
            now = scheduler.clock()
            self._flow.settle(self._grant, scheduler.given_up(now))
            self._wake_next(now)

    def _wake_next(self, now: float) -> None:
        """Others wait, and the tokens are back one window from now."""
        if self._flow.windows:
            self._adaptive.scheduler.wake_at(now + min(window.cycle for window in self._flow.windows), now)

    def _ends(self) -> bool:
        """End it, if the request is under way and no copy of one that a parent process sent."""
        was_open, self._open = self._open, False
        return was_open and self._departure > self._adaptive.scheduler.forked_at_departure
