"""WaitQueue: who waits for leave, and who is next. No waiting in here, no clock.

First come, first served within a class. Interactive requests go before bulk ones and find a reserve of tokens that bulk
ones leave; after every few that overtake, one of the bulk requests has its turn, so that they never starve. A request
holds nothing while it waits, and stands in nobody's way who needs other windows.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Protocol

from spotify_ads_async.governor.window import BULK_TURN, Window, may_take, take

__all__ = ["Flow", "Grants", "PendingRequest", "Priority", "WaitQueue"]


class Priority(enum.Enum):
    """Who goes first: somebody who waits for the answer, or a job that takes its time."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Grants(Protocol):
    """What a store granted one flow. Each grant is for one request, over all windows of the flow."""

    def due_at(self) -> float:
        """When the first grant may be used, infinite without one."""
        ...

    def pop(self) -> int:
        """Use the first grant; answers its number."""
        ...

    def usable(self, grant: int) -> bool:
        """Whether a grant that was used just now is still good."""
        ...

    def give_back(self, grant: int) -> None:
        """The request did not leave after all."""
        ...

    def settle(self, grant: int, counted_by: float) -> None:
        """The request is over, and the server counted it no later than ``counted_by``."""
        ...


class PendingRequest:
    """One request in the queue. ``expires_at`` is when its patience ends; ``grant`` numbers what a store granted it."""

    __slots__ = ("arrived_at", "expires_at", "flow", "future", "grant", "granted", "number", "priority")

    def __init__(self, number: int, flow: Flow, priority: Priority, arrived_at: float, expires_at: float) -> None:
        self.number = number
        self.flow = flow
        self.priority = priority
        self.arrived_at = arrived_at
        self.expires_at = expires_at
        self.granted = False
        self.grant = 0
        self.future: asyncio.Future[None] | None = None

    def gone(self) -> bool:
        """Whether it waits no longer: granted, refused or cancelled."""
        return self.granted or (self.future is not None and self.future.done())


class Flow:
    """Requests that need the same windows.

    Args:
        windows: all of them give a token, or none does.
        owner: in whose name the requests are made, for people.
        grants: what a store granted, None where the windows are kept in this process.
    """

    __slots__ = ("bulk", "grants", "interactive", "owner", "windows")

    def __init__(self, windows: tuple[Window, ...], owner: str, grants: Grants | None = None) -> None:
        self.windows = windows
        self.owner = owner
        self.grants = grants
        self.interactive: OrderedDict[int, PendingRequest] = OrderedDict()
        self.bulk: OrderedDict[int, PendingRequest] = OrderedDict()

    def pending(self, priority: Priority) -> OrderedDict[int, PendingRequest]:
        """Those of one class, in the order of their arrival."""
        return self.interactive if priority is Priority.INTERACTIVE else self.bulk

    def may_take(self, priority: Priority, now: float) -> bool:
        """Whether a request of this class may leave now."""
        if self.grants is not None and self.grants.due_at() > now:
            return False
        return may_take(self.windows, now, priority is Priority.INTERACTIVE)

    def take(self, priority: Priority, now: float) -> int:
        """A request leaves; answers the number of its grant."""
        take(self.windows, now, priority is Priority.INTERACTIVE)
        return 0 if self.grants is None else self.grants.pop()

    def give_back(self, grant: int) -> None:
        """Every token is back at once: the request did not leave."""
        for window in self.windows:
            window.available += 1
        if self.grants is not None:
            self.grants.give_back(grant)

    def settle(self, grant: int, counted_by: float) -> None:
        """A request is over, and the server counted it no later than ``counted_by``."""
        for window in self.windows:
            window.settle(counted_by)
        if self.grants is not None:
            self.grants.settle(grant, counted_by)

    def turn_of_bulk(self, now: float) -> bool:
        """Whether its bulk requests have waited long enough for interactive ones."""
        return any(window.turn_of_bulk(now) for window in self.windows)

    def next_at(self, now: float) -> float:
        """A time before which none of its requests can leave.

        Infinite while that depends on answers or on the store.
        """
        granted_at = now if self.grants is None else self.grants.due_at()
        if granted_at == math.inf:
            return math.inf
        plain = max(
            (window.next_grant(window.needed(interactive=True, now=now), now) for window in self.windows), default=now
        )
        if self.interactive:
            return max(granted_at, plain)
        by_tokens = max(
            (window.next_grant(window.needed(interactive=False, now=now), now) for window in self.windows), default=now
        )
        by_reserve = min((window.demand_changes_at() for window in self.windows), default=now)
        return max(granted_at, min(by_tokens, max(plain, by_reserve)))


class WaitQueue:
    """Everybody who waits, over all flows."""

    __slots__ = ("_blocker", "_flows", "length")

    def __init__(self) -> None:
        self._flows: dict[Flow, None] = {}
        self._blocker: Window | None = None
        self.length = 0

    def join(self, request: PendingRequest) -> None:
        """To the end of its class."""
        self._flows[request.flow] = None
        request.flow.pending(request.priority)[request.number] = request
        self._count(request, 1)

    def leave(self, request: PendingRequest) -> None:
        """Out of the queue, from wherever it stands, if it is there."""
        flow = request.flow
        if flow.pending(request.priority).pop(request.number, None) is None:
            return
        self._count(request, -1)
        if not flow.interactive and not flow.bulk:
            del self._flows[flow]

    def depart(self, now: float) -> Iterator[PendingRequest]:
        """Those who may leave now, one after the other, each with its tokens taken."""
        if self._blocked(now):
            return
        interactive = _in_order_of_arrival(self._flows, Priority.INTERACTIVE)
        bulk = _in_order_of_arrival(self._flows, Priority.BULK)
        while True:
            flow, priority = self._first_able(interactive, Priority.INTERACTIVE, now), Priority.INTERACTIVE
            other = self._first_able(bulk, Priority.BULK, now)
            if flow is None or (other is not None and other.turn_of_bulk(now)):
                flow, priority = other, Priority.BULK
            if flow is None:
                return
            pending = flow.pending(priority)
            request = next(iter(pending.values()))
            self.leave(request)
            heap = interactive if priority is Priority.INTERACTIVE else bulk
            if pending:
                heapq.heapreplace(heap, (next(iter(pending)), id(flow), flow))
            else:
                heapq.heappop(heap)
            if request.gone():
                continue  # cancelled in this very tick
            request.grant = flow.take(priority, now)
            request.granted = True
            if priority is Priority.INTERACTIVE and request.arrived_at < now and self._overtakes_bulk(flow):
                bulk = _in_order_of_arrival(self._flows, Priority.BULK)
            yield request

    def next_at(self, now: float) -> float:
        """A time before which nobody can leave, infinite while that depends on answers or on the store."""
        if self._blocked(now) and self._blocker is not None:
            return self._blocker.next_grant(self._blocker.needed(interactive=True, now=now), now)
        return min((flow.next_at(now) for flow in self._flows), default=math.inf)

    def flows(self) -> list[Flow]:
        """The flows in which somebody waits."""
        return list(self._flows)

    def flows_for(self, window: Window) -> list[Flow]:
        """The flows whose requests wait for tokens of ``window``."""
        return [flow for flow in self._flows if window in flow.windows]

    def everybody(self) -> Iterator[PendingRequest]:
        """All who wait."""
        for flow in list(self._flows):
            yield from [*flow.interactive.values(), *flow.bulk.values()]

    def _overtakes_bulk(self, flow: Flow) -> bool:
        """Count that an interactive request which had to wait left before bulk ones.

        Whether it is the turn of these now.
        """
        turn = False
        for window in flow.windows:
            window.overtaken += window.waiting_bulk > 0
            turn = turn or window.overtaken == BULK_TURN
        return turn

    def _first_able(self, heap: list[tuple[int, int, Flow]], priority: Priority, now: float) -> Flow | None:
        """The flow whose first request of this class came first among those that may leave.

        Others are not looked at again.
        """
        while heap:
            flow = heap[0][2]
            if flow.may_take(priority, now):
                return flow
            heapq.heappop(heap)
            if self._finds_blocker(flow, now):
                heap.clear()
        return None

    def _finds_blocker(self, flow: Flow, now: float) -> bool:
        """Whether a window that everybody needs has no token for anybody: then nobody else need be asked."""
        for window in flow.windows:
            if window.waiting == self.length and window.available < window.needed(interactive=True, now=now):
                self._blocker = window
                return True
        return False

    def _blocked(self, now: float) -> bool:
        """Whether the window that was in everybody's way still is."""
        blocker = self._blocker
        if blocker is None:
            return False
        blocker.refresh(now)
        if blocker.waiting == self.length and blocker.available < blocker.needed(interactive=True, now=now):
            return True
        self._blocker = None
        return False

    def _count(self, request: PendingRequest, change: int) -> None:
        self.length += change
        for window in request.flow.windows:
            if request.priority is Priority.INTERACTIVE:
                window.waiting_interactive += change
            else:
                window.waiting_bulk += change


def _in_order_of_arrival(flows: Iterable[Flow], priority: Priority) -> list[tuple[int, int, Flow]]:
    heap = [(next(iter(pending)), id(flow), flow) for flow in flows if (pending := flow.pending(priority))]
    heapq.heapify(heap)
    return heap
