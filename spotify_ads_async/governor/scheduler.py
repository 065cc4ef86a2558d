"""Scheduler: where requests wait for leave. One queue and one timer for tokens, whatever their number."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Sequence

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.events import Listeners
from spotify_ads_async.forks import when_forked
from spotify_ads_async.governor.events import Admitted, Waiting, WaitRefused
from spotify_ads_async.governor.forecast import pause_too_long, predicted_wait, wait_too_long
from spotify_ads_async.governor.grants import Grant
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest, Priority, WaitQueue
from spotify_ads_async.governor.window import Window

__all__ = ["Scheduler"]

_SHORTEST_SLEEP_SECONDS = 0.001
_ASKING_SECONDS = 0.5
"""To ask a store is no wait for quota: so long its answer is waited for, which says how long a wait there will be."""


class Scheduler:
    """Lets requests leave, at once or after a wait.

    Where a store keeps the windows, its side is told that a request has to wait (and answers why it need not), that the
    process is a fork, and that the server refused something; and it is asked why it is away. Up to
    ``forked_at_departure``, requests are the parent's, or those of a loop before this one.
    """

    def __init__(
        self, clock: Callable[[], float], listeners: Listeners, longest_pause: float, counted_within: float
    ) -> None:
        self.clock, self.listeners = clock, listeners
        self.longest_pause, self.counted_within = longest_pause, counted_within
        self.queue = WaitQueue()
        self.windows: dict[tuple[str, str, str], Window] = {}  # by limit, origin and identity
        self.refusing: set[Window] = set()
        self.on_starved: Callable[[PendingRequest], Exception | None] | None = None
        self.on_fork: Callable[[], None] | None = None
        self.on_refusal: Callable[[tuple[Window, ...]], None] | None = None
        self.why_away: Callable[[], str | None] | None = None
        self.closed = False
        self.departures = self.forked_at_departure = self._arrivals = 0
        self.late_until = -math.inf
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self._taking_over = threading.Lock()
        self._wakes_at, self._timer = math.inf, None
        when_forked(self.begin_anew)

    async def admit(self, flow: Flow, priority: Priority, max_wait: float | None) -> Grant | None:
        """Return when the request may leave, with its tokens taken, and with a store's grant where one keeps them.

        Raises what :meth:`Governor.admit` names.
        """
        expires_at = math.inf if max_wait is None else self.clock() + max(0.0, max_wait)
        while True:
            request = self._join(flow, priority, expires_at)
            grant = request.future.result() if request.future.done() else await self._wait(request)
            if flow.grants is None or grant is None or flow.grants.is_valid(grant):
                return grant
            flow.give_back(grant)  # the process was stopped between the grant and this moment

    def serve(self) -> None:
        """Let leave whoever can, and wake when the next one can."""
        if self.queue.length and self.loop is not None and not self.loop.is_closed():
            now = self.clock()
            self.queue.depart(now)
            self.wake_at(self.queue.next_at(now), now)

    def wake_at(self, at: float, now: float) -> None:
        """Somebody can leave then, and no sooner."""
        at = max(at, now + _SHORTEST_SLEEP_SECONDS)
        if self.queue.length and at < self._wakes_at and self.loop is not None:
            self._disarm()
            self._wakes_at, self._timer = at, self.loop.call_later(at - now, self._ring)

    def given_up(self, now: float) -> float:
        """By when the server has counted a request that nobody waits for any more: it may have left just now."""
        self.late_until = now + self.counted_within
        return self.late_until

    def drop_hopeless(self, window: Window, now: float) -> None:
        """A pause came: refuse at once those who will not get through it in time."""
        waiting = [one for flow in self.queue.flows_for(window) for one in flow.everybody()]
        if window.asked_until - now > self.longest_pause:
            for request in waiting:
                self._refuse(request, pause_too_long(window, now))
        else:
            self._refuse_waits([request for request in waiting if request.expires_at < window.paused_until])

    def refuse_hopeless(self, requests: Sequence[PendingRequest]) -> None:
        """Refuse those whose wait, as it can now be foretold, is longer than they allow: who came last is first."""
        now, hopeless = self.clock(), list[PendingRequest]()
        for request in reversed(requests):
            patience = max(0.0, request.expires_at - now)  # that a store was asked meanwhile was no wait
            is_limited = patience < math.inf and not request.future.done()
            if is_limited and predicted_wait(request, self.queue, now)[0] > patience:
                self.queue.leave(request)  # nobody who came before waits for it
                hopeless.append(request)
        self._refuse_waits(hopeless)

    def refuse_everybody(self, error: Callable[[], Exception]) -> None:
        """Nobody who waits now can leave: each of them gets an error of its own."""
        for request in self.queue.everybody():
            self._refuse(request, error())

    def close(self) -> None:
        """Refuse whoever still waits, and all who come later."""
        self.closed = True
        self.refuse_everybody(
            lambda: ConfigurationError("the governor was closed while the request waited for leave: nothing was sent")
        )
        self._belong_to(None)

    def begin_anew(self) -> None:
        """This process is a fork: nobody waits here, and what is under way is the parent's."""
        self._timer = None  # it is the parent's loop's
        self._taking_over = threading.Lock()  # another thread of the parent may have held it
        self._belong_to(None)
        self._give_up_what_is_under_way()

    def _give_up_what_is_under_way(self) -> None:
        """Nobody is left here who could tell when it is over."""
        self.forked_at_departure = self.departures
        counted_by = self.given_up(self.clock())
        for window in self.windows.values():
            for _ in range(window.in_flight):
                window.settle(counted_by)
            if window.shared:  # what the parent has out is in the store
                window.settled.clear()
                window.available = window.limit.requests
        if self.on_fork is not None:
            self.on_fork()

    def _begin_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever comes now waits on this loop."""
        if self.closed:
            raise ConfigurationError("the governor is closed: nothing leaves through it any more")
        if loop is self.loop:
            return
        with self._taking_over:  # two threads' loops may come at once
            if self.loop is not None and self.loop.is_running():
                raise ConfigurationError(
                    "a governor belongs to one event loop at a time, and another thread's loop is running with it: "
                    "make a governor for each loop, with a common store (store='sqlite:///quota.db') where they share "
                    "windows"
                )
            if self.loop is not None and not self.loop.is_closed():  # it stands still, and may go on
                self.refuse_everybody(
                    lambda: ConfigurationError(
                        "another event loop took over the governor while the request waited for leave: nothing was sent"
                    )
                )
            if any(window.in_flight for window in self.windows.values()):
                self._give_up_what_is_under_way()
            self._belong_to(loop)

    def _belong_to(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """What waits on another loop will never leave."""
        for request in self.queue.everybody():
            self.queue.leave(request)
        self._disarm()
        self.loop, self.thread = loop, threading.get_ident()

    def _join(self, flow: Flow, priority: Priority, expires_at: float) -> PendingRequest:
        """Put a request into the queue, and let it leave at once or refuse it at once where that is clear."""
        self._begin_on(asyncio.get_running_loop())
        now = self.clock()
        for window in flow.windows:
            window.refresh(now)
            if window.asked_until - now > self.longest_pause:
                raise pause_too_long(window, now)
        self._arrivals += 1
        request = PendingRequest(self._arrivals, flow, priority, arrived_at=now, expires_at=expires_at)
        self.queue.join(request)
        if len(flow.pending(priority)) == 1 and flow.may_take(priority, now):
            self.serve()  # whoever came before is looked at first all the same
        if request.future.done():
            return request
        if self.on_starved is None:
            self.refuse_hopeless([request])
        elif (problem := self.on_starved(request)) is not None:  # else the store will tell how long it takes
            self._refuse(request, problem)
        if not request.future.done():
            if self.listeners:
                length = self.queue.length
                self.listeners.emit(Waiting(limits=flow.limits, priority=priority.value, length=length))
            self.wake_at(flow.next_at(now), now)
        return request

    async def _wait(self, request: PendingRequest) -> Grant | None:
        """Until the request may leave. Cancelled, it leaves the queue, or what it was granted goes back."""
        future, patience = request.future, None
        if request.expires_at < math.inf:
            left = max(request.expires_at - self.clock(), 0.0 if request.flow.grants is None else _ASKING_SECONDS)
            patience = future.get_loop().call_later(left, self._expire, request)
        try:
            grant = await future
        except asyncio.CancelledError:
            if future.cancelled():
                self.queue.leave(request)
            elif future.exception() is None:
                request.flow.give_back(future.result())
            self.serve()
            raise
        finally:
            if patience is not None:
                patience.cancel()
        if self.listeners:
            waited = self.clock() - request.arrived_at
            self.listeners.emit(Admitted(limits=request.flow.limits, priority=request.priority.value, waited=waited))
        return grant

    def _expire(self, request: PendingRequest) -> None:
        """Its patience is over; who can leave at this very moment does."""
        self.serve()
        self._refuse_waits([request])

    def _ring(self) -> None:
        self._wakes_at, self._timer = math.inf, None
        self.serve()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at, self._timer = math.inf, None

    def _refuse_waits(self, requests: Sequence[PendingRequest]) -> None:
        """Refuse all of these, each with the wait of one who would come now that they are gone."""
        now, waiting = self.clock(), [request for request in requests if not request.future.done()]
        for request in waiting:
            self.queue.leave(request)
        away = self.why_away() if waiting and self.why_away is not None else None
        for request in waiting:
            self.queue.join(request)
            predicted, window = predicted_wait(request, self.queue, now)
            self.listeners.emit(WaitRefused(limit=window.limit.name, predicted_wait=predicted))
            self._refuse(request, wait_too_long(request, window, predicted, now, away))

    def _refuse(self, request: PendingRequest, error: Exception) -> None:
        if not request.future.done():
            self.queue.leave(request)
            request.future.set_exception(error)
