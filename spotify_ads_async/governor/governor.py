"""When a request may leave. The rule is in ``bucket``, the order in ``line``; here is the waiting."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
import warnings
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, Self

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, RateLimited
from spotify_ads_async.events import Listener, Listeners
from spotify_ads_async.governor.events import Admitted, LimitTightened, Paused, RhythmChanged, Waiting, WaitRefused
from spotify_ads_async.governor.feedback import rate_headers, retry_after
from spotify_ads_async.governor.limits import PUBLISHED_LIMITS, Limit, checked_limits
from spotify_ads_async.governor.line import Lane, Line, Priority, Waiter
from spotify_ads_async.governor.snapshot import Snapshot, WindowSnapshot
from spotify_ads_async.governor.window import Window

__all__ = ["Admission", "Governor", "Pace", "Scope", "default_governor"]

Pace = Literal["burst", "smooth", "auto"]

_CLOCK_RESOLUTION = time.get_clock_info("monotonic").resolution
_FIRST_BLIND_PAUSE_SECONDS = 1.0
_NO_HEADERS: Mapping[str, str] = {}


class Governor:
    """Lets requests leave so that no window is ever exceeded, whatever the network does.

    One governor may serve many clients; it belongs to one event loop at a time.

    Args:
        limits: the windows to keep. An empty collection keeps none.
        pace: ``burst`` uses a token as soon as it is there; ``smooth`` spaces departures evenly and leaves a few tokens
            unused; ``auto`` is burst until the server refuses something, and smooth from then on.
        store: where the windows are kept; ``memory`` serves one process.
        client_id: the owner of the client window, where a scope names none.
        ip: the owner of the IP window.
        longest_pause: seconds; where the server asks for more, calls fail with :class:`RateLimited` instead of waiting.
        clock: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: an unknown pace or store, or two limits of one name.
    """

    def __init__(
        self,
        limits: Iterable[Limit] = PUBLISHED_LIMITS,
        *,
        pace: Pace = "auto",
        store: str = "memory",
        client_id: str = "default",
        ip: str = "this address",
        longest_pause: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if pace not in {"burst", "smooth", "auto"}:
            raise ConfigurationError(f"pace is burst, smooth or auto, not {pace!r}")
        if store != "memory":
            raise ConfigurationError(f"store is memory, not {store!r}")
        self.limits = checked_limits(limits)
        self.pace: Pace = pace
        self.longest_pause = longest_pause
        self.listeners = Listeners()
        self._client_id = client_id
        self._ip = ip
        self.clock = clock
        self.departures = 0
        self.line = Line()
        self._windows: dict[tuple[str, str, str], Window] = {}
        self._scopes: dict[tuple[str, str], Scope] = {}
        self._arrivals = 0
        self._expiries: list[tuple[float, int, Waiter]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def scope(self, *, origin: str = "", client_id: str | None = None) -> Scope:
        """The same governor for calls to one API origin in one client's name: windows are shared where their owners are."""
        key = (origin, client_id or self._client_id)
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = Scope(self, *key)
        return found

    def admit(self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None) -> Admission:
        """Wait for leave to send one request that spends ``limits``; held until the answer's headers arrived.

        Names that the governor keeps no window for are ignored. Use as ``async with``: inside the block the request is
        on its way, and leaving the block without :meth:`Admission.answered` counts as giving it up.

        Raises:
            QuotaTimeout: on entering, where the wait would exceed ``max_wait`` seconds; nothing was spent.
            RateLimited: on entering, where the server asked for a pause longer than ``longest_pause``.
        """
        return self.scope().admit(limits, priority=priority, max_wait=max_wait)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the governor's events; the function returned ends that."""
        return self.listeners.add(listener)

    def snapshot(self) -> Snapshot:
        """The present state of every window in use."""
        now = self.clock()
        return Snapshot(pace=self.pace, waiting=self.line.length, windows=tuple(_shown(window, now) for window in self._windows.values()))

    async def aclose(self) -> None:
        """Refuse whoever still waits, and forget the timer."""
        self.closed = True
        self._disarm()
        for window in self._windows.values():
            for waiter in self.line.waiting_for(window):
                self._fail(waiter, ConfigurationError("the governor is closed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # What scopes and admissions call.

    def lane(self, origin: str, client_id: str, limits: Collection[str]) -> Lane:
        """The windows that a request spends."""
        return Lane(tuple(self._window(limit, origin, client_id) for limit in self.limits if limit.name in limits))

    def enter(self, admission: Admission, now: float) -> Waiter | None:
        """Let the request leave at once, or put it into the line."""
        if self.closed:
            raise ConfigurationError("the governor is closed: nothing leaves through it any more")
        lane = admission.lane
        for window in lane.windows:
            window.refresh(now)
            if window.paused_until - now > self.longest_pause:
                raise _pause_too_long(window, now)
        self._arrivals += 1
        max_wait = admission.max_wait
        expires_at = math.inf if max_wait is None else now + max_wait
        waiter = Waiter(self._arrivals, lane, admission.priority, now, expires_at)
        self.line.join(waiter)
        self._serve(now)
        if waiter.granted:
            return None
        if max_wait is not None:
            predicted, binding = self._prediction(waiter, now)
            if predicted > max_wait:
                self.line.leave(waiter)
                raise self._refusal(binding, predicted, max_wait)
            heapq.heappush(self._expiries, (expires_at, waiter.number, waiter))
        waiter.future = asyncio.get_running_loop().create_future()
        if self.listeners:
            self.listeners.emit(Waiting(limits=_names(lane), priority=admission.priority.value, length=self.line.length))
        self.arm(now)
        return waiter

    async def wait(self, waiter: Waiter) -> None:
        """Until the request may leave. Cancelled while waiting, it leaves the line; granted and cancelled, its tokens go back."""
        assert waiter.future is not None  # noqa: S101 (set with every waiter that waits)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.granted:
                waiter.lane.give_back()
            elif not waiter.future.done() or waiter.future.cancelled():
                self.line.leave(waiter)
            self.serve()
            raise
        if self.listeners:
            waited = self.clock() - waiter.arrived_at
            self.listeners.emit(Admitted(limits=_names(waiter.lane), priority=waiter.priority.value, waited=waited))

    def arm(self, now: float) -> None:
        """Set the one timer of the line: to when the next token can be used, or the next patience ends."""
        expiries = self._expiries
        while expiries and (expiries[0][2].granted or _is_done(expiries[0][2])):
            heapq.heappop(expiries)
        at = min(self.line.next_at(now), expiries[0][0] if expiries else math.inf) if self.line.length else math.inf
        self._disarm()
        if at < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now), self._ring)

    def serve(self) -> None:
        """Let leave whoever can."""
        if self.line.length:
            now = self.clock()
            self._serve(now)
            self.arm(now)

    def learn(self, lane: Lane, departure: int, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take in what an answer says about quota. It can only tighten."""
        seen = rate_headers(headers)
        for window in lane.windows:
            window.refresh(now)
        named = [window for window in lane.windows if seen is not None and seen.limit == window.limit.requests]
        if status == 429:
            self._refused(named or _most_likely(lane), headers, seen.reset if seen is not None else None, now)
        elif len(named) == 1 and seen is not None and seen.remaining is not None and departure > named[0].feedback_from:
            named[0].feedback_from = departure
            self._tightening(named[0], lambda window: window.remaining_seen(seen.remaining or 0, now))
        self.serve()

    def _refused(self, windows: Iterable[Window], headers: Mapping[str, str], reset: float | None, now: float) -> None:
        asked = retry_after(headers, datetime.now(UTC))
        for window in windows:
            self._tightening(window, lambda window: window.refused(now))
            if self.pace == "auto" and not window.smooth:
                window.smooth_out()
                if self.listeners:
                    self.listeners.emit(RhythmChanged(limit=window.limit.name, owner=window.owner))
            pause = asked if asked is not None else reset
            if pause is None:
                pause = min(_FIRST_BLIND_PAUSE_SECONDS, window.limit.window / 10)
            cause = "429 with Retry-After" if asked is not None else "429"
            if window.pause(now + pause, cause):
                window.spread_after_pause()
                if self.listeners:
                    self.listeners.emit(Paused(limit=window.limit.name, owner=window.owner, seconds=pause, cause=cause))
                self._drop_hopeless(window, now)

    def _tightening(self, window: Window, change: Callable[[Window], None]) -> None:
        before = window.withheld
        change(window)
        if window.withheld > before and self.listeners:
            self.listeners.emit(LimitTightened(limit=window.limit.name, owner=window.owner, withheld=window.withheld))

    def _drop_hopeless(self, window: Window, now: float) -> None:
        """A pause came: refuse at once those who will not get through it in time."""
        pause = window.paused_until - now
        for waiter in self.line.waiting_for(window):
            if pause > self.longest_pause:
                self._fail(waiter, _pause_too_long(window, now))
            elif window.paused_until > waiter.expires_at:
                self._fail(waiter, self._refusal(window, pause, waiter.expires_at - waiter.arrived_at))

    def _serve(self, now: float) -> None:
        while (waiter := self.line.next(now)) is not None:
            self.line.leave(waiter)
            waiter.lane.take()
            waiter.granted = True
            if waiter.future is not None:
                waiter.future.set_result(None)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        now = self.clock()
        self._serve(now)
        while self._expiries and self._expiries[0][0] <= now:
            _, _, waiter = heapq.heappop(self._expiries)
            if not waiter.granted and not _is_done(waiter):
                predicted, binding = self._prediction(waiter, now)
                self._fail(waiter, self._refusal(binding, predicted, waiter.expires_at - waiter.arrived_at))
        self.arm(now)

    def _fail(self, waiter: Waiter, error: Exception) -> None:
        if waiter.future is not None and not waiter.future.done():
            self.line.leave(waiter)
            waiter.future.set_exception(error)

    def _prediction(self, waiter: Waiter, now: float) -> tuple[float, Window]:
        """The waiter's wait in seconds, were it to come now, and the window that binds."""

        def wait(window: Window) -> float:
            # The waiter itself is counted already.
            position = window.waiting_interactive
            if waiter.priority is Priority.BULK:
                position += window.waiting_bulk + window.reserve(now - self.line.interactive_at)
            pacing = 0.0 if window.pacer is None else (position - 1) * window.pacer.interval
            return max(window.predicted(position, now), pacing)

        return max(((wait(window), window) for window in waiter.lane.windows), key=lambda pair: pair[0])

    def _refusal(self, window: Window, predicted: float, max_wait: float) -> QuotaTimeout:
        if self.listeners:
            self.listeners.emit(WaitRefused(limit=window.limit.name, predicted_wait=predicted))
        return QuotaTimeout(
            f"leave to send would take about {predicted:.1f} s, longer than max_wait allows ({max_wait:g} s); the limit "
            f"{window.limit.name} binds ({window.limit.requests} in {window.limit.window:g} s): wait longer, or send less",
            predicted_wait=predicted,
            limit=window.limit.name,
        )

    def _window(self, limit: Limit, origin: str, client_id: str) -> Window:
        identity = self._ip if limit.name == "ip" else client_id
        key = (limit.name, origin, identity)
        found = self._windows.get(key)
        if found is None:
            owner = f"{identity} at {origin}" if origin else identity
            found = self._windows[key] = Window(limit, owner=owner, smooth=self.pace == "smooth", clock_resolution=_CLOCK_RESOLUTION)
        return found


class Scope:
    """A governor, for one API origin and one client ID. Made by :meth:`Governor.scope`."""

    __slots__ = ("_client_id", "_lanes", "_origin", "governor")

    def __init__(self, governor: Governor, origin: str, client_id: str) -> None:
        self.governor = governor
        self._origin = origin
        self._client_id = client_id
        self._lanes: dict[frozenset[str], Lane] = {}

    def admit(self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None) -> Admission:
        """As :meth:`Governor.admit`, for this scope's windows."""
        names = limits if isinstance(limits, frozenset) else frozenset(limits)
        lane = self._lanes.get(names)
        if lane is None:
            lane = self._lanes[names] = self.governor.lane(self._origin, self._client_id, names)
        return Admission(self.governor, lane, priority, max_wait)


class Admission:
    """Leave to send one request. Enter it, send, and tell it when the answer's headers arrived."""

    __slots__ = ("_departure", "_governor", "_open", "lane", "max_wait", "priority")

    def __init__(self, governor: Governor, lane: Lane, priority: Priority, max_wait: float | None) -> None:
        self._governor = governor
        self._open = False
        self._departure = 0
        self.lane = lane
        self.priority = priority
        self.max_wait = max_wait

    async def __aenter__(self) -> Self:
        governor = self._governor
        now = governor.clock()
        if self.priority is Priority.INTERACTIVE:
            governor.line.interactive_at = now
        if governor.line.length or governor.closed or not self._takes_at_once(now):
            waiter = governor.enter(self, now)
            if waiter is not None:
                await governor.wait(waiter)
        self._open = True
        self._departure = governor.departures = governor.departures + 1
        return self

    def _takes_at_once(self, now: float) -> bool:
        """The short way for a request that need not wait: it must cost next to nothing."""
        windows = self.lane.windows
        bulk = self.priority is Priority.BULK
        for window in windows:
            returning = window.returning
            if returning and returning[0] <= now:
                window.refresh(now)
            reserve = window.reserve(now - self._governor.line.interactive_at) if bulk else 0
            if window.guarded or window.available <= reserve:
                return False
        for window in windows:
            window.available -= 1
            window.in_flight += 1
        return True

    async def __aexit__(self, *_: object) -> None:
        if self._open:
            self._settle()

    def answered(self, *, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """The answer's headers arrived: the tokens are back one window from now. What they say about quota is heeded."""
        if self._open:
            now = self._settle()
            if status == 429 or "X-RateLimit-Remaining" in headers:
                self._governor.learn(self.lane, self._departure, status, headers, now)

    def not_sent(self) -> None:
        """The request did not leave, or not completely: the tokens go straight back."""
        if self._open:
            self._open = False
            self.lane.give_back()
            self._governor.serve()

    def _settle(self) -> float:
        self._open = False
        governor = self._governor
        now = governor.clock()
        for window in self.lane.windows:
            window.in_flight -= 1
            window.returning.append(now + window.cycle)
        if governor.line.length:
            governor.arm(now)
        return now


_default_governors: weakref.WeakValueDictionary[tuple[str, str], Governor] = weakref.WeakValueDictionary()


def default_governor(*, origin: str, client_id: str | None) -> Governor:
    """A governor with the published limits, for a client that was given none.

    Warns with :class:`RuntimeWarning` where the process has one for the same windows already: two of them together
    exceed what each keeps.
    """
    key = (origin, client_id or "")
    if key in _default_governors and not _default_governors[key].closed:
        warnings.warn(
            f"a second client for {origin} with a governor of its own: together they exceed the limits that each keeps. "
            "Make one Governor and pass it to both: AdsClient(…, governor=governor)",
            RuntimeWarning,
            stacklevel=3,
        )
    governor = Governor()
    _default_governors[key] = governor
    return governor


def _is_done(waiter: Waiter) -> bool:
    return waiter.future is not None and waiter.future.done()


def _names(lane: Lane) -> tuple[str, ...]:
    return tuple(window.limit.name for window in lane.windows)


def _most_likely(lane: Lane) -> list[Window]:
    """Which windows a refusal without a usable limit can mean: the reporting one takes precedence over the general ones."""
    reporting = [window for window in lane.windows if window.limit.name == "reporting"]
    return reporting or list(lane.windows)


def _pause_too_long(window: Window, now: float) -> RateLimited:
    pause = window.paused_until - now
    problem = RateLimited(
        f"the server asked for a pause of {pause:.0f} s on {window.limit.name} ({window.owner}), longer than the governor waits: "
        "nothing was sent; come back later"
    )
    problem.retry_after = pause
    return problem


def _shown(window: Window, now: float) -> WindowSnapshot:
    window.refresh(now)
    return WindowSnapshot(
        limit=window.limit.name,
        owner=window.owner,
        window=window.limit.window,
        capacity=window.limit.requests,
        available=max(0, window.available - window.withheld),
        in_flight=window.in_flight,
        returning=len(window.returning),
        withheld=window.withheld,
        next_return=max(0.0, window.returning[0] - now) if window.returning else None,
        waiting=window.waiting_interactive + window.waiting_bulk,
        predicted_wait=window.predicted(window.waiting_interactive + 1, now),
        smooth=window.smooth,
        paused_for=max(0.0, window.paused_until - now),
        pause_cause=window.pause_cause,
    )
