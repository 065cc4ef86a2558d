"""Where requests wait for leave: one line, one timer, whatever their number."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, RateLimited
from spotify_ads_async.events import Listeners
from spotify_ads_async.governor.events import Admitted, Waiting, WaitRefused
from spotify_ads_async.governor.line import Lane, Line, Priority, Waiter
from spotify_ads_async.governor.window import BULK_TURN, Window

__all__ = ["Gate"]

_SHORTEST_SLEEP_SECONDS = 0.001
_TRIPS_KEPT_SECONDS = 60.0
_ASSUMED_TRIP_SECONDS = 1.0
_ASSUMED_TRIP_SHARE = 0.1
_PREDICTION_ROUNDS = 4
_EXPIRIES_KEPT = 32


class Gate:
    """Lets requests leave, at once or after a wait.

    Args:
        clock: a monotonic clock, in seconds.
        listeners: who hears of waits.
        longest_pause: seconds; a longer pause is an error instead of a wait.
        shortest_window: the length of the shortest window, in seconds.

    Attributes:
        for_want_of_tokens: called with each request that must wait, where windows are shared; answers why it need not wait.
    """

    __slots__ = (
        "_assumed_trip",
        "_expiries",
        "_expiries_gone",
        "_former_longest_trip",
        "_loop",
        "_shortest_window",
        "_timer",
        "_trips_counted_until",
        "arrivals",
        "clock",
        "closed",
        "departures",
        "for_want_of_tokens",
        "line",
        "listeners",
        "longest_pause",
        "longest_trip",
        "refusing",
        "strays_counted_by",
        "wakes_at",
    )

    def __init__(self, *, clock: Callable[[], float], listeners: Listeners, longest_pause: float, shortest_window: float) -> None:
        self.clock = clock
        self.listeners = listeners
        self.longest_pause = longest_pause
        self.line = Line()
        self.closed = False
        self.arrivals = 0
        self.departures = 0
        self.refusing: set[Window] = set()
        self.for_want_of_tokens: Callable[[Waiter], Exception | None] | None = None
        self.wakes_at = math.inf
        self.longest_trip = 0.0
        self.strays_counted_by = -math.inf
        self._former_longest_trip = 0.0
        self._shortest_window = shortest_window
        self._assumed_trip = min(_ASSUMED_TRIP_SECONDS, shortest_window * _ASSUMED_TRIP_SHARE)
        self._trips_counted_until = -math.inf
        self._expiries: list[tuple[float, int, Waiter]] = []
        self._expiries_gone = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def admit(self, lane: Lane, priority: Priority, max_wait: float | None, now: float) -> None:
        """Return when the request may leave, with its tokens taken.

        Raises:
            QuotaTimeout: the wait would exceed, or exceeded, ``max_wait`` seconds; nothing was spent.
            RateLimited: the server asked for a pause longer than ``longest_pause``.
            ConfigurationError: the governor is closed.
        """
        waiter = self._enter(lane, priority, max_wait, now)
        if waiter is not None:
            await self._wait(waiter)

    def serve(self) -> None:
        """Let leave whoever can."""
        if self.line.length and self._loop is not None and not self._loop.is_closed():
            now = self.clock()
            self._serve(now)
            self.arm(now)

    def arm(self, now: float) -> None:
        """See to it that the timer rings when somebody can leave, or when somebody's patience ends."""
        if not self.line.length or self._loop is None or self._loop.is_closed():
            self._disarm()
            return
        at = max(self.line.next_at(now), now + _SHORTEST_SLEEP_SECONDS)
        expiries = self._expiries
        while expiries and expiries[0][2].gone():
            heapq.heappop(expiries)
        if expiries:
            at = min(at, expiries[0][0])
        if at < self.wakes_at:
            self._disarm()
            self.wakes_at = at
            self._timer = self._loop.call_later(max(0.0, at - now), self._ring)

    def counted_by(self, departed_at: float, now: float) -> float:
        """When the server has surely counted a request that was given up: it may still be on its way.

        That is taken to last no longer than the longest round trip of the last minute or two, and a second at least.
        """
        if now >= self._trips_counted_until:
            self._former_longest_trip, self.longest_trip = self.longest_trip, 0.0
            self._trips_counted_until = now + _TRIPS_KEPT_SECONDS
        counted_by = max(now, departed_at + max(self._assumed_trip, self._former_longest_trip, self.longest_trip))
        self.strays_counted_by = max(self.strays_counted_by, counted_by)
        return counted_by

    def settled(self, now: float) -> None:
        """A request is over while others wait: its tokens are back a window from now."""
        if now + self._shortest_window < self.wakes_at:
            self.arm(now)

    def drop_hopeless(self, window: Window, now: float) -> None:
        """A pause came: refuse at once those who will not get through it in time."""
        too_long = window.paused_until - now > self.longest_pause
        if not too_long and not (self._expiries and self._expiries[0][0] < window.paused_until):
            return
        for lane in self.line.lanes_for(window):
            for waiter in [*lane.interactive.values(), *lane.bulk.values()]:
                if too_long:
                    self._fail(waiter, _pause_too_long(window, now))
                elif waiter.expires_at < window.paused_until:
                    self._fail(waiter, self._refusal(window, window.paused_until - now, waiter.expires_at - waiter.arrived_at))

    def close(self) -> None:
        """Refuse whoever still waits, and all who come later."""
        self.closed = True
        self.refuse_everybody(lambda: ConfigurationError("the governor was closed while the request waited for leave: nothing was sent"))
        self._disarm()

    def refuse_everybody(self, error: Callable[[], Exception]) -> None:
        """Nobody who waits now can leave: each of them gets an error of its own."""
        for waiter in self.line.everybody():
            self._fail(waiter, error())

    def refuse(self, waiter: Waiter, window: Window, predicted: float) -> None:
        """A request that waits turns out to have to wait longer than it allows."""
        if not waiter.gone():
            self._fail(waiter, self._refusal(window, predicted, waiter.expires_at - waiter.arrived_at))

    def _enter(self, lane: Lane, priority: Priority, max_wait: float | None, now: float) -> Waiter | None:
        """Let the request leave at once, or put it into the line."""
        if self.closed:
            raise ConfigurationError("the governor is closed: nothing leaves through it any more")
        self._adopt(asyncio.get_running_loop())
        for window in lane.windows:
            window.refresh(now)
            if window.paused_until - now > self.longest_pause:
                raise _pause_too_long(window, now)
        self.arrivals += 1
        expires_at = math.inf if max_wait is None else now + max(0.0, max_wait)
        waiter = Waiter(self.arrivals, lane, priority, now, expires_at)
        self.line.join(waiter)
        self._serve(now)
        if waiter.granted:
            return None
        if self.for_want_of_tokens is not None and (problem := self.for_want_of_tokens(waiter)) is not None:
            self.line.leave(waiter)
            raise problem
        if max_wait is not None:
            predicted, binding = self._prediction(waiter, now)
            if predicted > max_wait:
                self.line.leave(waiter)
                raise self._refusal(binding, predicted, max_wait)
            heapq.heappush(self._expiries, (expires_at, waiter.number, waiter))
        waiter.future = asyncio.get_running_loop().create_future()
        if self.listeners:
            self.listeners.emit(Waiting(limits=_names(lane), priority=priority.value, length=self.line.length))
        self.arm(now)
        return waiter

    async def _wait(self, waiter: Waiter) -> None:
        """Until the request may leave. Cancelled while waiting, it leaves the line; granted and cancelled, its tokens go back."""
        assert waiter.future is not None  # noqa: S101 (set with every waiter that waits)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.granted:
                waiter.lane.give_back()
            else:
                self.line.leave(waiter)
            self.serve()
            raise
        finally:
            if waiter.expires_at < math.inf:
                self._expiry_gone()
        if self.listeners:
            waited = self.clock() - waiter.arrived_at
            self.listeners.emit(Admitted(limits=_names(waiter.lane), priority=waiter.priority.value, waited=waited))

    def _serve(self, now: float) -> None:
        while (waiter := self.line.next(now)) is not None:
            self.line.leave(waiter)
            if waiter.gone():
                continue  # cancelled in this very tick
            waiter.lane.take(waiter.priority, now)
            waiter.granted = True
            if waiter.future is not None:
                waiter.future.set_result(None)

    def _ring(self) -> None:
        self._timer = None
        self.wakes_at = math.inf
        now = self.clock()
        self._serve(now)
        while self._expiries and self._expiries[0][0] <= now:
            _, _, waiter = heapq.heappop(self._expiries)
            if not waiter.gone():
                predicted, binding = self._prediction(waiter, now)
                self._fail(waiter, self._refusal(binding, predicted, waiter.expires_at - waiter.arrived_at))
        self.arm(now)

    def _disarm(self) -> None:
        self.wakes_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, waiter: Waiter, error: Exception) -> None:
        if waiter.future is not None and not waiter.future.done():
            self.line.leave(waiter)
            waiter.future.set_exception(error)

    def _expiry_gone(self) -> None:
        """Keep requests that left early from filling the heap: sweep when half of it can be stale."""
        self._expiries_gone += 1
        if self._expiries_gone > _EXPIRIES_KEPT + len(self._expiries) // 2:
            self._expiries = [entry for entry in self._expiries if not entry[2].gone()]
            heapq.heapify(self._expiries)
            self._expiries_gone = 0

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to the running loop. What waited on a loop that is closed will never leave."""
        if loop is self._loop:
            return
        if self._loop is not None and self.line.length:
            if not self._loop.is_closed():
                raise ConfigurationError("a governor belongs to one event loop at a time, and requests wait for it on another")
            for waiter in self.line.everybody():
                self.line.leave(waiter)
        self._expiries.clear()
        self._disarm()
        self._loop = loop

    def _prediction(self, waiter: Waiter, now: float) -> tuple[float, Window]:
        """Seconds until the last of the waiter's class can leave, and the window that binds. The waiter itself is in the line."""
        return max(((self._predicted_for(waiter, window, now), window) for window in waiter.lane.windows), key=lambda pair: pair[0])

    def _predicted_for(self, waiter: Waiter, window: Window, now: float) -> float:
        bulk = waiter.priority is Priority.BULK
        kept = 0
        predicted = math.inf
        # Others who need further windows are held up there: how many go before depends on the wait, which depends on them.
        for _ in range(_PREDICTION_ROUNDS):
            interactive, other = self._ahead(waiter.lane, window, predicted, now)
            if bulk:
                # Either all interactive ones go first, and the reserve stays, or so many that it is its turn.
                turn = max(0, other * BULK_TURN - window.overtaken)
                kept = 0 if interactive >= turn else window.reserve(now)
                position = other + min(interactive, turn)
            else:
                position = interactive + min(other, interactive // BULK_TURN)
            closer = window.predicted(max(1, position), now, kept)
            if closer >= predicted:
                break
            predicted = closer
        return predicted

    def _ahead(self, lane: Lane, window: Window, horizon: float, now: float) -> tuple[int, int]:
        """How many interactive and how many bulk requests can take a token of ``window`` within ``horizon`` seconds."""
        interactive = bulk = 0
        for other in self.line.lanes_for(window):
            passing = math.inf
            if other is not lane and horizon < math.inf:
                passing = min(
                    (further.usable_within(horizon, now) for further in other.windows if further not in lane.windows), default=passing
                )
            interactive += int(min(len(other.interactive), passing))
            bulk += int(min(len(other.bulk), passing))
        return interactive, bulk

    def _refusal(self, window: Window, predicted: float, max_wait: float) -> QuotaTimeout:
        if self.listeners:
            self.listeners.emit(WaitRefused(limit=window.limit.name, predicted_wait=predicted))
        if predicted > max_wait:
            reason = f"leave to send would take about {predicted:.1f} s, longer than max_wait allows ({max_wait:g} s)"
        else:
            reason = f"no leave to send came within max_wait ({max_wait:g} s)"
        return QuotaTimeout(
            f"{reason}; the limit {window.limit.name} binds ({window.limit.requests} in {window.limit.window:g} s): wait longer, "
            "or send less",
            predicted_wait=predicted,
            limit=window.limit.name,
        )


def _names(lane: Lane) -> tuple[str, ...]:
    return tuple(window.limit.name for window in lane.windows)


def _pause_too_long(window: Window, now: float) -> RateLimited:
    pause = window.paused_until - now
    problem = RateLimited(
        f"the server asked for a pause of {pause:.0f} s on {window.limit.name} ({window.owner}), longer than the governor waits: "
        "nothing was sent; come back later"
    )
    problem.retry_after = pause
    return problem
