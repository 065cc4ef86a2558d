"""Keeps the leases of one governor: tells the store what was spent, asks for tokens, and copes with the store being away."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import os
import socket
import uuid
from typing import Literal, NamedTuple

import anyio

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.events import RhythmChanged, StoreLost, StoreRegained
from spotify_ads_async.governor.gate import Gate
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.line import Lane, Priority, Waiter
from spotify_ads_async.governor.stores import Store
from spotify_ads_async.governor.stores.messages import Answer, Exchange
from spotify_ads_async.governor.stores.window import SharedWindow

__all__ = ["LeaseKeeper", "OnStoreFailure", "checked_policy", "lease_seconds", "store_timeout"]

OnStoreFailure = Literal["fail", "pause", "share"]
"""What happens while the store is away: waiting calls fail, they wait, or each process carries on with its share."""

logger = logging.getLogger("spotify_ads_async")

_LEASE_SHARE = 0.6
_SHORTEST_LEASE_SECONDS = 0.6
_LONGEST_LEASE_SECONDS = 6.0
_USE_SHARE = 0.5
"""Share of the lease in which tokens are used: the rest is for requests that are under way when it ends."""

_BEATS_PER_LEASE = 6
_TOKENS_PER_EXCHANGE = 4
_LINGER_BEATS = 30
_LEAST_RATE = 0.5
"""Requests in a second from which on tokens are kept at hand."""

_TRIP_MEMORY = 0.2
_GOODBYE_SECONDS = 1.0


def lease_seconds(limits: tuple[Limit, ...]) -> float:
    """How long a process's tokens stay its own without a word from it."""
    shortest = min((limit.window for limit in limits), default=_LONGEST_LEASE_SECONDS)
    return min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, shortest * _LEASE_SHARE))


def store_timeout(limits: tuple[Limit, ...]) -> float:
    """Seconds after which one exchange has failed."""
    return max(1.0, lease_seconds(limits) / 4)


class _Doubt(NamedTuple):
    """A request that waits, whose wait could not be foretold when it came, and its place in the line of each window."""

    waiter: Waiter
    places: list[tuple[SharedWindow, int]]


class LeaseKeeper:
    """Works for as long as there is something to ask or to tell: one task, which ends with the governor or with the loop.

    Args:
        store: where the windows are kept.
        gate: whose requests need the tokens.
        lease: seconds that tokens stay this process's own.
        on_failure: what happens while the store is away.
        expected_processes: among how many ``share`` divides the windows.
        auto: whether a refusal that another process met changes the rhythm here.

    Attributes:
        exchanges: round trips to the store so far.
    """

    def __init__(
        self, store: Store, gate: Gate, *, lease: float, on_failure: OnStoreFailure, expected_processes: int | None, auto: bool
    ) -> None:
        self.store = store
        self.windows: list[SharedWindow] = []
        self.exchanges = 0
        self._gate = gate
        self._lease = lease
        self._beat = lease / _BEATS_PER_LEASE
        self._on_failure: OnStoreFailure = on_failure
        self._sharers = (expected_processes or 1) if on_failure == "share" else 0
        self._auto = auto
        self._owner, self._label, self._process = "", "", -1
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._fresh = True
        self._trip = 0.0
        self._last_at = -math.inf
        self._needed_at = -math.inf
        self._retry_at = -math.inf
        self._away_since: float | None = None
        self._problem: StoreUnavailable | None = None
        self._ask_again_at: dict[Lane, float] = {}
        self._doubts: list[_Doubt] = []

    @property
    def away_for(self) -> float | None:
        """Seconds since the store was last heard of, None while it answers."""
        return None if self._away_since is None else self._gate.clock() - self._away_since

    def window(self, limit: Limit, *, key: str, owner: str, smooth: bool, clock_resolution: float) -> SharedWindow:
        """A window kept in the store."""
        window = SharedWindow(
            limit, key=key, owner=owner, smooth=smooth, sharers=self._sharers, clock_resolution=clock_resolution, poke=self.poke
        )
        self.windows.append(window)
        return window

    def ask(self, waiter: Waiter) -> Exception | None:
        """A request has to wait: see to it that the store is asked. Answers why it need not wait."""
        self._needed_at = self._gate.clock()
        self._start()
        if self._problem is not None and self._on_failure == "fail":
            return _lost(self._problem)
        if waiter.expires_at < math.inf:
            interactive = waiter.priority is Priority.INTERACTIVE
            shared = [window for window in waiter.lane.windows if isinstance(window, SharedWindow)]
            self._doubts.append(
                _Doubt(waiter, [(window, window.waiting_interactive if interactive else window.waiting) for window in shared])
            )
        self._wake.set()
        return None

    def poke(self) -> None:
        """Look again what there is to do."""
        self._wake.set()

    async def aclose(self) -> None:
        """Tell the store the rest, give back what is unused, and end."""
        self._closing = True
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return
        self._wake.set()
        _, late = await asyncio.wait([task], timeout=2 * _GOODBYE_SECONDS)
        if late:  # the store does not answer
            task.cancel()
            await asyncio.wait([task])

    def _start(self) -> None:
        if self._process != os.getpid():
            self._begin_anew()
        loop = asyncio.get_running_loop()
        if self._task is not None and not self._task.done() and self._task.get_loop() is loop:
            return
        self._wake = asyncio.Event()
        # An empty context: the task outlives the call that happened to start it, and must not carry its variables.
        self._task = loop.create_task(self._run(), name="quota leases", context=contextvars.Context())

    def _begin_anew(self) -> None:
        """A process of its own: also where it was forked from one that had leases."""
        if self._process != -1:
            for window in self.windows:
                window.forget()
        self._process = os.getpid()
        self._owner = uuid.uuid4().hex
        self._label = f"{socket.gethostname()}:{self._process}"
        self._fresh = True

    async def _run(self) -> None:
        try:
            while not (self._closing or self._is_idle()):
                self._wake.clear()
                await self._step()
            await self._goodbye()
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._goodbye()
            raise
        except Exception as problem:
            # A fault of ours must not leave anybody waiting for ever.
            logger.exception("the keeper of the quota leases failed")
            reason = str(problem)
            self._gate.refuse_everybody(lambda: StoreUnavailable(f"the quota leases cannot be kept: {reason}"))

    async def _step(self) -> None:
        now = self._gate.clock()
        due = self._due(now)
        if due <= now:
            await self._exchange()
            return
        with anyio.move_on_after(due - now if due < math.inf else self._beat * _LINGER_BEATS):
            await self._wake.wait()

    def _is_idle(self) -> bool:
        idle_for = self._gate.clock() - max(self._last_at, self._needed_at)
        return idle_for > self._beat * _LINGER_BEATS and not self._gate.line.length and not any(window.holds for window in self.windows)

    # When to speak.

    def _due(self, now: float) -> float:
        """When the store is to be spoken to next."""
        for window in self.windows:
            window.horizon = self._ahead(window)
            window.refresh(now)
            window.measure(now)
        if self._away_since is not None:
            return self._retry_at if self._has_business() else math.inf
        dues = [math.inf]
        lacking = self._lacking_lanes(now)
        dues.extend(self._ask_again_at.get(lane, now) for lane in lacking)
        for window in self.windows:
            if window.has_news:
                return now
            if window.holds:
                dues.append(self._last_at + self._beat)
            if not lacking:
                if not self._stock(window) / 2 <= window.spare <= self._most_to_keep(window, now):
                    dues.append(self._last_at + self._interval(window))
                elif window.spare:
                    dues.append(now + self._interval(window))  # look again how the load develops, without a word to the store
        return min(dues)

    def _has_business(self) -> bool:
        waited_for = self._gate.line.length or self._gate.clock() - self._needed_at < self._beat * _LINGER_BEATS
        return bool(waited_for) or any(window.holds for window in self.windows)

    def _interval(self, window: SharedWindow) -> float:
        """Seconds between two exchanges of a busy process: in which a few tokens come together for it."""
        even = _TOKENS_PER_EXCHANGE * window.cycle * window.active / window.limit.requests
        return min(2 * self._beat, max(self._beat / 8, even))

    def _ahead(self, window: SharedWindow) -> float:
        """How many seconds ahead tokens are asked for: until after the next exchange."""
        return 2 * (self._interval(window) + self._trip) + self._beat / 10

    def _stock(self, window: SharedWindow) -> int:
        """Tokens to have at hand: twice what leaves until after the next exchange, for requests come unevenly."""
        if window.paused_until > self._gate.clock() or window.rate < _LEAST_RATE:
            return 0
        return min(window.limit.requests, math.ceil(2 * window.rate * self._ahead(window)) + 1)

    def _most_to_keep(self, window: SharedWindow, now: float) -> int:
        """Tokens beyond which some are given back."""
        usable = self._usable(window, now)
        return max(2 * self._stock(window) + usable, window.own_spare(wanted=usable > 0))

    def _usable(self, window: SharedWindow, now: float) -> int:
        """Tokens that waiting requests can use with what is lent of other windows."""
        usable = 0
        for lane in self._gate.line.lanes_for(window):
            elsewhere = [other.spare for other in lane.windows if isinstance(other, SharedWindow) and other is not window]
            usable += min([self._want(lane, now), *elsewhere])
        return usable

    def _want(self, lane: Lane, now: float) -> int:
        """Tokens of each window that a lane can use soon."""
        if not lane.windows:
            return 0
        want = len(lane.interactive) + len(lane.bulk)
        if lane.bulk:
            want += max(window.reserve(now) for window in lane.windows)
        for window in lane.windows:
            if isinstance(window, SharedWindow):
                ahead = self._ahead(window)
                if window.paused_until > now + ahead:
                    return 0
                if window.pacer is not None:
                    want = min(want, 1 + math.ceil(2 * ahead / window.pacer.interval))
        return want

    def _lacking_lanes(self, now: float) -> list[Lane]:
        """Lanes whose requests wait for tokens that are not even lent."""
        lacking: list[Lane] = []
        for lane in self._gate.line.lanes():
            want = self._want(lane, now)
            if any(isinstance(window, SharedWindow) and window.spare < want for window in lane.windows):
                lacking.append(lane)
        return lacking

    # Speaking.

    async def _exchange(self) -> None:
        """One exchange; a second try where the first failed at once, as it does on a connection that the store closed."""
        for attempt in (1, 2):
            asked_at = self._gate.clock()
            message, windows = self._message(asked_at)
            if not windows:
                await asyncio.sleep(self._beat / _BEATS_PER_LEASE)  # whatever made it look as if there were something to say
                return
            self.exchanges += 1
            try:
                answers = await self.store.exchange(message)
            except StoreUnavailable as problem:
                self._fresh = True
                for window in windows:
                    window.unanswered()
                if attempt == 2 or self._gate.clock() - asked_at > self._beat / 2:
                    self._store_lost(problem)
                    return
            except BaseException:
                self._fresh = True
                for window in windows:
                    window.unanswered()
                raise
            else:
                self._take_in(message, windows, answers, asked_at)
                return

    def _message(self, now: float, *, leaving: bool = False) -> tuple[Exchange, list[SharedWindow]]:
        lanes = [] if leaving else self._gate.line.lanes()
        away = self._away_since is not None
        windows = [
            window for window in self.windows if away or window.holds or window.has_news or any(window in lane.windows for lane in lanes)
        ]
        alone = any(window.alone for window in windows)
        for window in windows:
            if leaving:
                window.keep_nothing()
            else:
                window.keep(self._most_to_keep(window, now))
        reports = [
            window.report(
                now,
                ahead=self._ahead(window),
                remembers=window.cycle + self._lease,
            )
            for window in windows
        ]
        message = Exchange(
            owner=self._owner,
            label=self._label,
            lease=math.ceil(self._lease * 1e6),
            windows=reports,
            lanes=[] if leaving else self._wishes(windows, now),
            leaving=leaving,
            fresh=self._fresh,
            alone=alone,
            sharing=self._sharers > 0,
        )
        return message, windows

    def _wishes(self, windows: list[SharedWindow], now: float) -> list[tuple[list[int], int]]:
        """What the lanes need, then what is to be had at hand: layer by layer, so that no window has more than it can be used with."""
        places = {window: place for place, window in enumerate(windows)}
        wishes: list[tuple[list[int], int]] = []
        extra = {window: self._stock(window) for window in windows}
        for lane in self._gate.line.lanes():
            shared = [window for window in lane.windows if isinstance(window, SharedWindow)]
            want = self._want(lane, now)
            if shared and want > 0:
                wishes.append(([places[window] for window in shared], want))
                for window in shared:
                    extra[window] -= want
        laid = 0
        for window in sorted(windows, key=extra.__getitem__):
            layer = extra[window] - laid
            if layer > 0:
                wishes.append(([places[other] for other in windows if extra[other] >= extra[window]], layer))
                laid += layer
        return wishes

    def _take_in(self, message: Exchange, windows: list[SharedWindow], answers: list[Answer], asked_at: float) -> None:
        now = self._gate.clock()
        self._fresh = False
        self._last_at = now
        self._trip += (now - asked_at - self._trip) * _TRIP_MEMORY
        for window, answer in zip(windows, answers, strict=True):
            before = window.paused_until
            window.answered(answer, asked_at, now, lease=self._lease * _USE_SHARE)
            if window.paused_until > before:
                self._gate.drop_hopeless(window, now)
            if self._auto and window.is_told_to_smooth():
                window.smooth_out()
                if self._gate.listeners:
                    self._gate.listeners.emit(RhythmChanged(limit=window.limit.name, owner=window.owner))
        if self._away_since is not None:
            self._store_regained(now)
        if message.leaving:
            return
        self._gate.serve()
        self._plan_next_asking(windows, answers, now)
        self._settle_doubts(now)

    def _plan_next_asking(self, windows: list[SharedWindow], answers: list[Answer], now: float) -> None:
        """When it makes sense to ask again for the lanes that did not get all they want."""
        answer_of = dict(zip(windows, answers, strict=True))
        self._ask_again_at.clear()
        for lane in self._lacking_lanes(now):
            waits: list[float] = []
            for window in lane.windows:
                answer = answer_of.get(window) if isinstance(window, SharedWindow) else None
                if answer is None or not isinstance(window, SharedWindow):
                    continue
                wait = self._interval(window)
                if answer.stale or answer.resend_after >= 0:
                    wait = 0.0
                elif answer.outlook and answer.next_return > 0:
                    wait = max(wait, answer.next_return / 1e6 - self._ahead(window))
                waits.append(max(wait, answer.closed_for / 1e6))
            self._ask_again_at[lane] = now + min(max(waits, default=0.0), 2 * self._beat)

    def _settle_doubts(self, now: float) -> None:
        """Refuse at once whoever will surely not get through in time, now that the store has told how things are."""
        doubts, self._doubts = self._doubts, []
        for waiter, places in doubts:
            if waiter.gone() or not places:
                continue
            window, predicted = max(((window, window.predicted(place, now)) for window, place in places), key=lambda pair: pair[1])
            if now + predicted > waiter.expires_at:
                self._gate.refuse(waiter, window, predicted)

    # The store being away.

    def _store_lost(self, problem: StoreUnavailable) -> None:
        now = self._gate.clock()
        self._retry_at = now + self._beat / 2
        self._problem = problem
        if self._away_since is None:
            self._away_since = now
            logger.warning("%s (until it can: %s)", problem, self._on_failure)
            if self._gate.listeners:
                self._gate.listeners.emit(StoreLost(store=self.store.name, policy=self._on_failure, problem=str(problem)))
        if self._on_failure == "fail":
            self._gate.refuse_everybody(lambda: _lost(problem))
        elif self._on_failure == "share":
            for window in self.windows:
                if not window.alone:
                    window.go_alone(now, now + self._lease + window.cycle)
            self._gate.serve()

    def _store_regained(self, now: float) -> None:
        away = now - (self._away_since or now)
        self._away_since = None
        self._problem = None
        logger.warning("%s answers again after %.1f s", self.store.name, away)
        if self._gate.listeners:
            self._gate.listeners.emit(StoreRegained(store=self.store.name, away=away))

    async def _goodbye(self) -> None:
        """The last exchange: everything that can be given back is."""
        with anyio.move_on_after(_GOODBYE_SECONDS):
            now = self._gate.clock()
            for window in self.windows:
                window.refresh(now)
            message, windows = self._message(now, leaving=True)
            if windows and (self._away_since is None or message.alone):  # what was spent alone is worth a try
                with contextlib.suppress(StoreUnavailable):
                    self._take_in(message, windows, await self.store.exchange(message), now)
        with anyio.move_on_after(_GOODBYE_SECONDS), contextlib.suppress(StoreUnavailable, OSError):
            await self.store.aclose()


def checked_policy(on_store_failure: str, expected_processes: int | None) -> None:
    """See that the policy is one, and has what it needs.

    Raises:
        ConfigurationError: it is none, or lacks the number of processes.
    """
    if on_store_failure not in {"fail", "pause", "share"}:
        raise ConfigurationError(f"on_store_failure is fail, pause or share, not {on_store_failure!r}")
    if on_store_failure == "share" and expected_processes is None:
        raise ConfigurationError("on_store_failure='share' needs expected_processes: among how many the limits are divided")
    if expected_processes is not None and expected_processes < 1:
        raise ConfigurationError(f"expected_processes must be at least 1, not {expected_processes}")


def _lost(problem: StoreUnavailable) -> StoreUnavailable:
    return StoreUnavailable(f"{problem.message}. Nothing was sent: on_store_failure='fail' was asked for")
