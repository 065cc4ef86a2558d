"""The waiting line: who is next. No waiting in here, no clock.

First come, first served within a class. Interactive requests go before bulk ones and find a reserve of tokens that bulk
ones leave; after every few that overtake, one of the bulk requests has its turn, so that they never starve. A request
holds nothing while it waits, and stands in nobody's way who needs other windows.
"""

from __future__ import annotations

import asyncio
import enum
import math
from collections import OrderedDict
from collections.abc import Iterator

from spotify_ads_async.governor.window import BULK_TURN, Window

__all__ = ["Lane", "Line", "Priority", "Waiter"]


class Priority(enum.Enum):
    """Who goes first: somebody who waits for the answer, or a job that takes its time."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Waiter:
    """One request in the line. ``expires_at`` is when its patience ends."""

    __slots__ = ("arrived_at", "expires_at", "future", "granted", "lane", "number", "priority")

    def __init__(self, number: int, lane: Lane, priority: Priority, arrived_at: float, expires_at: float) -> None:
        self.number = number
        self.lane = lane
        self.priority = priority
        self.arrived_at = arrived_at
        self.expires_at = expires_at
        self.granted = False
        self.future: asyncio.Future[None] | None = None

    def gone(self) -> bool:
        """Whether it waits no longer: granted, refused or cancelled."""
        return self.granted or (self.future is not None and self.future.done())


class Lane:
    """Requests that need the same windows.

    Args:
        windows: all of them give a token, or none does.
        owner: in whose name the requests are made, for people.
    """

    __slots__ = ("bulk", "interactive", "owner", "windows")

    def __init__(self, windows: tuple[Window, ...], owner: str) -> None:
        self.windows = windows
        self.owner = owner
        self.interactive: OrderedDict[int, Waiter] = OrderedDict()
        self.bulk: OrderedDict[int, Waiter] = OrderedDict()

    def queue(self, priority: Priority) -> OrderedDict[int, Waiter]:
        """Those of one class, in the order of their arrival."""
        return self.interactive if priority is Priority.INTERACTIVE else self.bulk

    def first(self, priority: Priority, now: float) -> Waiter | None:
        """The first of a class, if it may leave now."""
        queue = self.queue(priority)
        if not queue:
            return None
        for window in self.windows:
            if not window.grants(1 if priority is Priority.INTERACTIVE else window.needed_for_bulk(now), now):
                return None
        return next(iter(queue.values()))

    def turn_of_bulk(self) -> bool:
        """Whether enough interactive requests overtook its bulk ones."""
        return any(window.overtaken >= BULK_TURN for window in self.windows)

    def next_at(self, now: float) -> float:
        """A time before which none of its requests can leave, infinite while that depends on answers."""
        plain = max((window.next_grant(1, now) for window in self.windows), default=now)
        if self.interactive:
            return plain
        by_tokens = max((window.next_grant(window.needed_for_bulk(now), now) for window in self.windows), default=now)
        by_reserve = min((window.reserve_changes_at() for window in self.windows), default=now)
        return min(by_tokens, max(plain, by_reserve))

    def take(self, priority: Priority, now: float) -> None:
        """A token from every window: a request leaves."""
        for window in self.windows:
            window.take()
            if window.pacer is not None:
                window.pacer.take(now)
            if priority is Priority.BULK:
                window.overtaken = 0
            else:
                window.interactive_taken += 1
                if window.waiting_bulk:
                    window.overtaken += 1

    def give_back(self) -> None:
        """Every token is back at once: the request did not leave."""
        for window in self.windows:
            window.give_back()


class Line:
    """Everybody who waits, over all lanes."""

    __slots__ = ("_lanes", "length")

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self.length = 0

    def join(self, waiter: Waiter) -> None:
        """To the end of its class."""
        lane = waiter.lane
        if not lane.interactive and not lane.bulk:
            self._lanes.append(lane)
        lane.queue(waiter.priority)[waiter.number] = waiter
        self._count(waiter, 1)

    def leave(self, waiter: Waiter) -> None:
        """Out of the line, from wherever it stands, if it is there."""
        lane = waiter.lane
        if lane.queue(waiter.priority).pop(waiter.number, None) is None:
            return
        self._count(waiter, -1)
        if not lane.interactive and not lane.bulk:
            self._lanes.remove(lane)

    def next(self, now: float) -> Waiter | None:
        """Who may leave now: of the first ones that can, interactive before bulk, then who came first."""
        for lane in self._lanes:
            for window in lane.windows:
                window.refresh(now)
        interactive = self._earliest(Priority.INTERACTIVE, now)
        bulk = self._earliest(Priority.BULK, now)
        if interactive is None or (bulk is not None and bulk.lane.turn_of_bulk()):
            return bulk
        return interactive

    def next_at(self, now: float) -> float:
        """A time before which nobody can leave, infinite while that depends on answers."""
        return min((lane.next_at(now) for lane in self._lanes), default=math.inf)

    def lanes(self) -> list[Lane]:
        """The lanes in which somebody waits."""
        return list(self._lanes)

    def lanes_for(self, window: Window) -> list[Lane]:
        """The lanes whose requests wait for tokens of ``window``."""
        return [lane for lane in self._lanes if window in lane.windows]

    def everybody(self) -> Iterator[Waiter]:
        """All who wait."""
        for lane in list(self._lanes):
            yield from [*lane.interactive.values(), *lane.bulk.values()]

    def _earliest(self, priority: Priority, now: float) -> Waiter | None:
        able = (waiter for lane in self._lanes if (waiter := lane.first(priority, now)) is not None)
        return min(able, key=lambda waiter: waiter.number, default=None)

    def _count(self, waiter: Waiter, change: int) -> None:
        self.length += change
        for window in waiter.lane.windows:
            if waiter.priority is Priority.INTERACTIVE:
                window.waiting_interactive += change
            else:
                window.waiting_bulk += change
