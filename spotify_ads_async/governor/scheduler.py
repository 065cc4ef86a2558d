"""Scheduler: where requests wait for leave. One queue, one timer, whatever their number."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
from collections.abc import Callable

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout
from spotify_ads_async.events import Listeners
from spotify_ads_async.governor import forks
from spotify_ads_async.governor.events import Admitted, Waiting, WaitRefused
from spotify_ads_async.governor.forecast import Outlook, predicted_wait
from spotify_ads_async.governor.refusals import names_of, pause_too_long, wait_too_long
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest, Priority, WaitQueue
from spotify_ads_async.governor.window import Window

__all__ = ["Scheduler"]

_SHORTEST_SLEEP_SECONDS = 0.001
_EXPIRIES_KEPT = 32


class Scheduler:
    """Lets requests leave, at once or after a wait.

    Args:
        clock: a monotonic clock, in seconds.
        listeners: who hears of waits.
        longest_pause: see :class:`~spotify_ads_async.governor.Governor`.
        counted_within: the same.
        shortest_window: the length of the shortest window, in seconds.

    A store sets ``on_starved`` (a request has to wait for it; answers why it need not wait), ``on_fork`` and
    ``on_news`` (other processes should hear of these windows), and ``outlooks``. Up to ``forked_at_departure``,
    requests are the parent process's.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        listeners: Listeners,
        longest_pause: float,
        counted_within: float,
        shortest_window: float,
    ) -> None:
        self.clock = clock
        self.listeners = listeners
        self.longest_pause = longest_pause
        self.counted_within = counted_within
        self.queue = WaitQueue()
        self.closed = False
        self.departures = 0
        self.refusing: set[Window] = set()
        self.windows: list[Window] = []
        self.outlooks: dict[Window, Outlook] = {}
        self.on_starved: Callable[[PendingRequest], Exception | None] | None = None
        self.on_fork: Callable[[], None] | None = None
        self.on_news: Callable[[tuple[Window, ...]], None] | None = None
        self.forked_at_departure = 0
        self.wakes_at = math.inf
        self.late_until = -math.inf
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self._arrivals = 0
        self._shortest_window = shortest_window
        self._expiries: list[tuple[float, int, PendingRequest]] = []
        self._expiries_gone = 0
        self._timer: asyncio.TimerHandle | None = None
        forks.watch(self)

    async def admit(self, flow: Flow, priority: Priority, max_wait: float | None) -> int:
        """Return when the request may leave, with its tokens taken; answers the number of its grant.

        Raises:
            QuotaTimeout: the wait would exceed, or exceeded, ``max_wait`` seconds; nothing was spent.
            RateLimited: the server asked for a pause longer than ``longest_pause``.
            StoreUnavailable: the store that keeps the windows does not answer, and the governor is to fail then.
            ConfigurationError: the governor is closed, or another running loop has it.
        """
        ends_at = math.inf if max_wait is None else self.clock() + max_wait
        while True:
            request = self._enter(flow, priority, None if max_wait is None else ends_at - self.clock())
            if not request.granted:
                await self._wait(request)
            if flow.grants is None or flow.grants.usable(request.grant):
                return request.grant
            flow.give_back(request.grant)  # the process was stopped between the grant and this moment

    def serve(self) -> None:
        """Let leave whoever can."""
        if self.queue.length and self.loop is not None and not self.loop.is_closed():
            now = self.clock()
            self._depart(now)
            self.arm(now)

    def arm(self, now: float) -> None:
        """See to it that the timer rings when somebody can leave, or when somebody's patience ends."""
        if not self.queue.length or self.loop is None or self.loop.is_closed():
            self._disarm()
            return
        self._ring_at(self.queue.next_at(now), now)

    def given_up(self, departed_at: float, now: float) -> float:
        """By when the server has counted a request that nobody waits for any more: it may still be on its way."""
        counted_by = max(now, departed_at + self.counted_within)
        self.late_until = max(self.late_until, counted_by)
        return counted_by

    def settled(self, now: float) -> None:
        """A request is over while others wait: its tokens are back a window from now."""
        if now + self._shortest_window < self.wakes_at and self.loop is not None and not self.loop.is_closed():
            self._ring_at(now + self._shortest_window, now)

    def drop_hopeless(self, window: Window, now: float) -> None:
        """A pause came: refuse at once those who will not get through it in time."""
        too_long = window.asked_until - now > self.longest_pause
        if not too_long and not (self._expiries and self._expiries[0][0] < window.paused_until):
            return
        for flow in self.queue.flows_for(window):
            for request in [*flow.interactive.values(), *flow.bulk.values()]:
                if too_long:
                    self._fail(request, pause_too_long(window, now))
                elif request.expires_at < window.paused_until:
                    self.refuse(request, window, window.paused_until - now)

    def close(self) -> None:
        """Refuse whoever still waits, and all who come later."""
        self.closed = True
        self.refuse_everybody(
            lambda: ConfigurationError("the governor was closed while the request waited for leave: nothing was sent")
        )
        self._disarm()
        self.loop, self.thread = None, 0

    def refuse_everybody(self, error: Callable[[], Exception]) -> None:
        """Nobody who waits now can leave: each of them gets an error of its own."""
        for request in self.queue.everybody():
            self._fail(request, error())

    def refuse(self, request: PendingRequest, window: Window, predicted: float) -> None:
        """A request that waits turns out to have to wait longer than it allows."""
        if not request.gone():
            self._fail(request, self._too_long(window, predicted, request.expires_at - request.arrived_at))

    def refuse_if_hopeless(self, request: PendingRequest, now: float) -> None:
        """Refuse a request whose wait, as it can now be foretold, is longer than it allows."""
        predicted, binding = predicted_wait(request, self.queue, self.outlooks, now)
        if now + predicted > request.expires_at:
            self.refuse(request, binding, predicted)

    def adopt_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to the running loop. What waited on a loop that is over will never leave.

        Raises:
            ConfigurationError: another loop has it, and still runs.
        """
        if loop is self.loop:
            return
        if self.loop is not None and self.loop.is_running():
            raise ConfigurationError(
                "a governor belongs to one event loop at a time, and another thread's loop is running with it: make a"
                " governor for each loop, with a common store (store='sqlite:///quota.db') where they share windows"
            )
        self._abandon()
        self.loop, self.thread = loop, threading.get_ident()

    def begin_anew(self) -> None:
        """This process is a fork.

        Nobody waits here, and what the parent has under way is no business of this process.
        """
        self._timer = None  # it is the parent's loop's
        self._abandon()
        self.loop, self.thread = None, 0
        self.forked_at_departure = self.departures
        counted_by = self.clock() + self.counted_within
        for window in self.windows:
            for _ in range(window.in_flight):
                window.settle(counted_by)
            if window.shared:  # what the parent has out is in the store
                window.settled.clear()
                window.available = window.limit.requests
        if self.on_fork is not None:
            self.on_fork()

    def _abandon(self) -> None:
        for request in self.queue.everybody():
            self.queue.leave(request)
        self._expiries.clear()
        self._expiries_gone = 0
        self._disarm()

    def _enter(self, flow: Flow, priority: Priority, max_wait: float | None) -> PendingRequest:
        """Let the request leave at once, or put it into the queue."""
        if self.closed:
            raise ConfigurationError("the governor is closed: nothing leaves through it any more")
        self.adopt_loop(asyncio.get_running_loop())
        now = self.clock()
        for window in flow.windows:
            window.refresh(now)
            if window.asked_until - now > self.longest_pause:
                raise pause_too_long(window, now)
        self._arrivals += 1
        expires_at = math.inf if max_wait is None else now + max(0.0, max_wait)
        request = PendingRequest(self._arrivals, flow, priority, now, expires_at)
        self.queue.join(request)
        if len(flow.pending(priority)) == 1 and flow.may_take(
            priority, now
        ):  # whoever came before is looked at first all the same
            self._depart(now)
        if request.granted:
            return request
        if (problem := self._why_not_wait(request, max_wait, now)) is not None:
            self.queue.leave(request)
            raise problem
        if max_wait is not None:
            heapq.heappush(self._expiries, (expires_at, request.number, request))
        request.future = asyncio.get_running_loop().create_future()
        if self.listeners:
            self.listeners.emit(Waiting(limits=names_of(flow), priority=priority.value, length=self.queue.length))
        self._ring_at(flow.next_at(now), now)
        return request

    def _why_not_wait(self, request: PendingRequest, max_wait: float | None, now: float) -> Exception | None:
        if self.on_starved is not None:  # the store knows how long it would be
            return self.on_starved(request)
        if max_wait is None:
            return None
        predicted, binding = predicted_wait(request, self.queue, self.outlooks, now)
        return self._too_long(binding, predicted, max_wait) if predicted > max_wait else None

    async def _wait(self, request: PendingRequest) -> None:
        """Until the request may leave.

        Cancelled while waiting, it leaves the queue; granted and cancelled, its tokens go back.
        """
        assert request.future is not None  # noqa: S101 (set with every request that waits)
        try:
            await request.future
        except asyncio.CancelledError:
            if request.granted:
                request.flow.give_back(request.grant)
            else:
                self.queue.leave(request)
            self.serve()
            raise
        finally:
            if request.expires_at < math.inf:
                self._expiry_gone()
        if self.listeners:
            waited = self.clock() - request.arrived_at
            self.listeners.emit(Admitted(limits=names_of(request.flow), priority=request.priority.value, waited=waited))

    def _depart(self, now: float) -> None:
        for request in self.queue.depart(now):
            if request.future is not None:
                request.future.set_result(None)

    def _ring_at(self, at: float, now: float) -> None:
        assert self.loop is not None  # noqa: S101 (whoever waits came through a loop)
        expiries = self._expiries
        while expiries and expiries[0][2].gone():
            heapq.heappop(expiries)
        if expiries:
            at = min(at, expiries[0][0])
        at = max(at, now + _SHORTEST_SLEEP_SECONDS)
        if at < self.wakes_at:
            self._disarm()
            self.wakes_at = at
            self._timer = self.loop.call_later(max(0.0, at - now), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.wakes_at = math.inf
        now = self.clock()
        self._depart(now)
        while self._expiries and self._expiries[0][0] <= now:
            _, _, request = heapq.heappop(self._expiries)
            if not request.gone():
                predicted, binding = predicted_wait(request, self.queue, self.outlooks, now)
                self.refuse(request, binding, predicted)
        self.arm(now)

    def _disarm(self) -> None:
        self.wakes_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, request: PendingRequest, error: Exception) -> None:
        if request.future is not None and not request.future.done():
            self.queue.leave(request)
            request.future.set_exception(error)

    def _too_long(self, window: Window, predicted: float, max_wait: float) -> QuotaTimeout:
        if self.listeners:
            self.listeners.emit(WaitRefused(limit=window.limit.name, predicted_wait=predicted))
        return wait_too_long(window, predicted, max_wait)

    def _expiry_gone(self) -> None:
        """Keep requests that left early from filling the heap: sweep when half of it can be stale."""
        self._expiries_gone += 1
        if self._expiries_gone > _EXPIRIES_KEPT + len(self._expiries) // 2:
            self._expiries = [entry for entry in self._expiries if not entry[2].gone()]
            heapq.heapify(self._expiries)
            self._expiries_gone = 0
