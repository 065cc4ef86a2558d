"""Grants: what a store granted the requests of one flow, and what is to be told of each window."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.shared.store import Exchange, Pause, WindowReport
from spotify_ads_async.governor.window import Window

__all__ = ["Account", "FlowGrants", "Grant", "Utterance", "awake", "lease_seconds", "microseconds"]

_SHORTEST_LEASE_SECONDS, _LONGEST_LEASE_SECONDS, _LEASE_SHARE = 1.2, 6.0, 0.6
_DRIFT = 0.0005
"""By so much the clocks of a process and of the store may run apart."""


def lease_seconds(limits: tuple[Limit, ...]) -> float:
    """For how long a process's claims are its own without a word from it.

    The first half to leave, the second to be counted.
    """
    shortest = min((limit.window for limit in limits), default=_LONGEST_LEASE_SECONDS)
    return min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, shortest * _LEASE_SHARE))


def awake() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def microseconds(seconds: float) -> int:
    """Rounded up."""
    return math.ceil(seconds * 1e6)


class Account:
    """What is to be told of one window.

    ``news`` is what everybody should know at once: a pause, or its end by hand (``lift``).
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.epoch, self.lifts = "", -1
        self.settled: dict[int, float] = {}
        self.unused: set[int] = set()
        self.news = self.lift = False

    def report(self, now: float, extended: list[int]) -> WindowReport:
        """What to tell the store now."""
        window = self.window
        window.refresh(now)
        pause = None
        if self.news and not self.lift and window.paused_until > now:
            asked = max(window.paused_until, min(window.asked_until, now + 1e9))
            pause = Pause(microseconds(window.paused_until - now), microseconds(asked - now), window.pause_cause or "")
        lift, self.news, self.lift = self.lift, False, False
        return WindowReport(
            key=window.key,
            capacity=window.limit.requests,
            cycle=microseconds(window.cycle * (1.0 + _DRIFT)),
            epoch=self.epoch if window.out or self.epoch == "?" else "",
            held=window.out,
            in_flight=window.in_flight,
            waiting=window.waiting,
            interactive=window.wanted(now),
            withheld=max(window.held_back, window.foreign.expected(max(now, window.paused_until))),
            settled=[(number, int((now - counted_by) * 1e6)) for number, counted_by in self.settled.items()],
            unused=list(self.unused),
            extended=extended,
            pause=pause,
            lift=lift,
            smooth=window.smooth,
        )

    def told(self, report: WindowReport) -> None:
        """The store has taken it in."""
        for number, _ in report.settled:
            self.settled.pop(number, None)
        self.unused.difference_update(report.unused)

    def not_told(self, report: WindowReport) -> None:
        """The store may not have heard of it."""
        self.lift = self.lift or report.lift
        self.news = self.news or report.lift or report.pause is not None

    @property
    def has_more(self) -> bool:
        """Whether there is something left to tell."""
        return bool(self.settled or self.unused or self.news)


class Grant(NamedTuple):
    """Leave for one request, from ``usable_at`` on.

    Void after ``use_by``, and after ``awake_by`` of the clock that never stands still.
    """

    usable_at: float
    number: int
    use_by: float
    awake_by: float


class FlowGrants:
    """See :class:`~spotify_ads_async.governor.wait_queue.Grants`.

    Args:
        accounts: of the windows.
        now: the governor's clock.
        touched: called where something is to be told with the next exchange.
    """

    def __init__(
        self, accounts: tuple[Account, ...], now: Callable[[], float], touched: Callable[[tuple[Account, ...]], None]
    ) -> None:
        self.accounts = accounts
        self.ask_at = -math.inf
        self.granted: deque[Grant] = deque()
        self.in_flight: dict[int, tuple[Grant, float]] = {}
        self._now, self._touched = now, touched

    def due_at(self) -> float:
        """When the first grant may be used, infinite without one."""
        while self.granted and self._is_void(self.granted[0]):
            self.drop([self.granted.popleft().number])
        return self.granted[0].usable_at if self.granted else math.inf

    def pop(self) -> int:
        """Use the first grant; answers its number."""
        grant = self.granted.popleft()
        self.in_flight[grant.number] = grant, self._now()
        return grant.number

    def usable(self, number: int) -> bool:
        """Whether a grant that was used just now is still good."""
        return not self._is_void(self.in_flight[number][0])

    def give_back(self, number: int) -> None:
        """The request did not leave: another may, or the store hears of it."""
        found = self.in_flight.pop(number, None)
        if found is not None:
            self.granted.appendleft(found[0])
            self._touched(self.accounts)

    def settle(self, number: int, counted_by: float) -> None:
        """The request is over, and the server counted it no later than ``counted_by``."""
        if self.in_flight.pop(number, None) is not None:
            for account in self.accounts:
                account.settled[number] = counted_by
            self._touched(self.accounts)

    def drop(self, numbers: list[int]) -> None:
        """No request will use these."""
        for account in self.accounts:
            account.unused.update(numbers)
        self._touched(self.accounts)

    def keep(self, waiting: int) -> None:
        """Nobody waits for more than so many."""
        while len(self.granted) > waiting:
            self.drop([self.granted.pop().number])

    def long_in_flight(self, before: float, now: float) -> list[int]:
        """Requests of which the store was told before then, and hears now."""
        found = [number for number, (_, told_at) in self.in_flight.items() if told_at <= before]
        for number in found:
            self.in_flight[number] = self.in_flight[number][0], now
        return found

    def _is_void(self, grant: Grant) -> bool:
        """Whether the time for using it is over: also where the process was stopped, or the machine slept."""
        return self._now() > grant.use_by or awake() > grant.awake_by


class Utterance(NamedTuple):
    """One message, when it was written, by the governor's clock and by one that never stands still, and its subject."""

    message: Exchange
    asked_at: float
    awake_at: float
    accounts: list[Account]
    asking: list[FlowGrants]
