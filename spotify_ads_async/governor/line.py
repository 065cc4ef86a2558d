"""The waiting line: who is next. No waiting in here, no clock."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from spotify_ads_async.governor.window import Window

__all__ = ["AGEING_SECONDS", "Lane", "Line", "Priority", "Waiter"]

AGEING_SECONDS = 5.0
"""A bulk request that has waited so long counts as an interactive one that has just come."""


class Priority(enum.Enum):
    """Who goes first: somebody who waits for the answer, or a job that takes its time."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Lane:
    """Requests that need the same windows.

    Args:
        windows: all of them give a token, or none does.
    """

    __slots__ = ("bulk", "interactive", "windows")

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self.windows = windows
        self.interactive: OrderedDict[int, Waiter] = OrderedDict()
        self.bulk: OrderedDict[int, Waiter] = OrderedDict()

    def queue(self, priority: Priority) -> OrderedDict[int, Waiter]:
        """Those of one class, in the order of their arrival."""
        return self.interactive if priority is Priority.INTERACTIVE else self.bulk

    def heads(self) -> Iterator[Waiter]:
        """The first of each class."""
        if self.interactive:
            yield next(iter(self.interactive.values()))
        if self.bulk:
            yield next(iter(self.bulk.values()))

    def take(self) -> None:
        """A token from every window: the request leaves."""
        for window in self.windows:
            window.take()
            if window.pacer is not None:
                window.pacer.take()

    def give_back(self) -> None:
        """Every token is back at once: the request did not leave."""
        for window in self.windows:
            window.give_back()


class Waiter:
    """One request in the line."""

    __slots__ = ("arrived_at", "expires_at", "future", "granted", "lane", "number", "priority")

    def __init__(self, number: int, lane: Lane, priority: Priority, arrived_at: float, expires_at: float) -> None:
        self.number = number
        self.lane = lane
        self.priority = priority
        self.arrived_at = arrived_at
        self.expires_at = expires_at
        self.granted = False
        self.future: asyncio.Future[None] | None = None

    def rank(self) -> tuple[float, int]:
        """Smaller goes first: by arrival, bulk as if it had come later."""
        handicap = 0.0 if self.priority is Priority.INTERACTIVE else AGEING_SECONDS
        return self.arrived_at + handicap, self.number

    def aged(self, now: float) -> bool:
        """Whether it may use what bulk otherwise leaves for interactive requests."""
        return self.priority is Priority.INTERACTIVE or now >= self.arrived_at + AGEING_SECONDS

    def grantable(self, now: float, interactive_ago: float) -> bool:
        """Whether every window gives a token now."""
        aged = self.aged(now)
        return all(window.grants(1 if aged else 1 + window.reserve(interactive_ago), now) for window in self.lane.windows)

    def grantable_at(self, now: float, interactive_ago: float) -> float:
        """The earliest time at which it can leave, infinite while that depends on answers."""
        plain = max((window.next_grant(1, now) for window in self.lane.windows), default=now)
        if self.aged(now):
            return plain
        leaving_reserve = max((window.next_grant(1 + window.reserve(interactive_ago), now) for window in self.lane.windows), default=now)
        return min(leaving_reserve, max(plain, self.arrived_at + AGEING_SECONDS))


class Line:
    """Everybody who waits, over all lanes."""

    __slots__ = ("_lanes", "interactive_at", "length")

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self.interactive_at = -math.inf
        self.length = 0

    def join(self, waiter: Waiter) -> None:
        """To the end of its class."""
        lane = waiter.lane
        if not lane.interactive and not lane.bulk:
            self._lanes.append(lane)
        lane.queue(waiter.priority)[waiter.number] = waiter
        self._count(waiter, 1)

    def leave(self, waiter: Waiter) -> None:
        """Out of the line, from wherever it stands."""
        lane = waiter.lane
        del lane.queue(waiter.priority)[waiter.number]
        self._count(waiter, -1)
        if not lane.interactive and not lane.bulk:
            self._lanes.remove(lane)

    def next(self, now: float) -> Waiter | None:
        """Who may leave now: of the heads that can, the one who has waited longest."""
        for lane in self._lanes:
            for window in lane.windows:
                window.refresh(now)
        interactive_ago = now - self.interactive_at
        able = [head for head in self._heads() if head.grantable(now, interactive_ago)]
        return min(able, key=Waiter.rank, default=None)

    def next_at(self, now: float) -> float:
        """When somebody can leave, infinite while that depends on answers."""
        interactive_ago = now - self.interactive_at
        return min((head.grantable_at(now, interactive_ago) for head in self._heads()), default=math.inf)

    def waiting_for(self, window: Window) -> Iterable[Waiter]:
        """Everybody who needs a token of ``window``."""
        return [
            waiter for lane in self._lanes if window in lane.windows for queue in (lane.interactive, lane.bulk) for waiter in queue.values()
        ]

    def _heads(self) -> Iterator[Waiter]:
        for lane in self._lanes:
            yield from lane.heads()

    def _count(self, waiter: Waiter, change: int) -> None:
        self.length += change
        for window in waiter.lane.windows:
            if waiter.priority is Priority.INTERACTIVE:
                window.waiting_interactive += change
            else:
                window.waiting_bulk += change
