"""WaitQueue: who waits for leave, and who is next. No waiting in here, no clock.

First come, first served within a class. A request holds nothing while it waits, and stands in nobody's way who needs
other windows.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import math
from collections import OrderedDict

from spotify_ads_async.governor.grants import Grant, Grants
from spotify_ads_async.governor.window import BULK_TURN, Window, may_take, take

__all__ = ["Flow", "PendingRequest", "Priority", "WaitQueue"]


class Priority(enum.Enum):
    """Who goes first: somebody who waits for the answer, or a job that takes its time."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class PendingRequest:
    """One request in the queue, until ``future`` has its leave or refusal; its patience ends at ``expires_at``."""

    __slots__ = ("arrived_at", "expires_at", "flow", "future", "number", "priority")

    def __init__(self, number: int, flow: Flow, priority: Priority, *, arrived_at: float, expires_at: float) -> None:
        self.number, self.flow, self.priority = number, flow, priority
        self.arrived_at, self.expires_at = arrived_at, expires_at
        self.future: asyncio.Future[Grant | None] = asyncio.get_running_loop().create_future()


class Flow:
    """Requests in one ``owner``'s name that need the same windows: all of them give a token, or none does.

    ``grants`` is what a store granted, None where the windows are kept in this process.
    """

    def __init__(self, windows: tuple[Window, ...], owner: str, grants: Grants | None = None) -> None:
        self.windows, self.owner, self.grants = windows, owner, grants
        self.limits = tuple(window.limit.name for window in windows)
        self.interactive: OrderedDict[int, PendingRequest] = OrderedDict()
        self.bulk: OrderedDict[int, PendingRequest] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Its requests in the queue."""
        return len(self.interactive) + len(self.bulk)

    def everybody(self) -> list[PendingRequest]:
        """All of them."""
        return [*self.interactive.values(), *self.bulk.values()]

    def pending(self, priority: Priority) -> OrderedDict[int, PendingRequest]:
        """Those of one class, in the order of their arrival."""
        return self.interactive if priority is Priority.INTERACTIVE else self.bulk

    def may_take(self, priority: Priority, now: float) -> bool:
        """Whether a request of this class may leave now."""
        if self.grants is not None and self.grants.next_at() > now:
            return False
        return may_take(self.windows, now, priority is Priority.INTERACTIVE)

    def take(self, priority: Priority, now: float) -> Grant | None:
        """A request leaves, with a store's grant where one keeps the windows."""
        take(self.windows, now, priority is Priority.INTERACTIVE)
        return None if self.grants is None else self.grants.take()

    def give_back(self, grant: Grant | None) -> None:
        """The request did not leave: every token is back at once."""
        for window in self.windows:
            window.available += 1
        if self.grants is not None and grant is not None:
            self.grants.give_back(grant)

    def settle(self, grant: Grant | None, counted_by: float) -> None:
        """A request is over, and the server counted it no later than ``counted_by``."""
        for window in self.windows:
            window.settle(counted_by)
        if self.grants is not None and grant is not None:
            self.grants.settle(grant, counted_by)

    def next_at(self, now: float) -> float:
        """A time before which none of its requests can leave, infinite while answers or the store decide."""
        granted_at = now if self.grants is None else self.grants.next_at()
        if granted_at == math.inf:
            return math.inf
        interactive = bool(self.interactive)
        return max([granted_at, *(window.next_grant(interactive=interactive, now=now) for window in self.windows)])


class WaitQueue:
    """Everybody who waits, over all flows: ``length`` requests."""

    def __init__(self) -> None:
        self.length = 0
        self._flows: dict[Flow, None] = {}
        self._blocker: Window | None = None

    def join(self, request: PendingRequest) -> None:
        """To the end of its class."""
        self._flows.setdefault(request.flow)
        request.flow.pending(request.priority)[request.number] = request
        self._count(request, 1)

    def leave(self, request: PendingRequest) -> None:
        """Out of the queue, from wherever it stands, if it is there."""
        if request.flow.pending(request.priority).pop(request.number, None) is not None:
            self._count(request, -1)
            if not request.flow.waiting:
                del self._flows[request.flow]

    def depart(self, now: float) -> None:
        """Let leave whoever may now, one after the other, each with its tokens taken."""
        if self._blocked_by(now) is not None:
            return
        interactive, bulk = self._in_order(Priority.INTERACTIVE), self._in_order(Priority.BULK)
        while True:
            priority, heap = Priority.INTERACTIVE, interactive
            flow = self._first_able(interactive, priority, now)
            other = self._first_able(bulk, Priority.BULK, now)
            if flow is None or (other is not None and any(window.turn_of_bulk(now) for window in other.windows)):
                flow, priority, heap = other, Priority.BULK, bulk
            if flow is None:
                return
            pending = flow.pending(priority)
            request = next(iter(pending.values()))
            self.leave(request)
            heapq.heappop(heap)
            if pending:
                heapq.heappush(heap, (next(iter(pending)), flow))
            if request.future.done():
                continue  # cancelled in this very tick
            request.future.set_result(flow.take(priority, now))
            if priority is Priority.INTERACTIVE and request.arrived_at < now and self._overtakes_bulk(flow):
                bulk = self._in_order(Priority.BULK)

    def next_at(self, now: float) -> float:
        """A time before which nobody can leave, infinite while that depends on answers."""
        if (blocker := self._blocked_by(now)) is not None:
            return blocker.next_grant(interactive=True, now=now)
        return min((flow.next_at(now) for flow in self._flows), default=math.inf)

    def flows_for(self, window: Window) -> list[Flow]:
        """The flows in which somebody waits for a token of ``window``."""
        return [flow for flow in self._flows if window in flow.windows]

    def everybody(self) -> list[PendingRequest]:
        """All who wait."""
        return [request for flow in self._flows for request in flow.everybody()]

    def _in_order(self, priority: Priority) -> list[tuple[int, Flow]]:
        """A heap of the flows in which somebody of a class waits, by who came first."""
        heap = [(next(iter(pending)), flow) for flow in self._flows if (pending := flow.pending(priority))]
        heapq.heapify(heap)
        return heap

    def _first_able(self, heap: list[tuple[int, Flow]], priority: Priority, now: float) -> Flow | None:
        """The flow whose first request came first among those that may leave. Others are not looked at again."""
        while heap:
            flow = heap[0][1]
            if flow.may_take(priority, now):
                return flow
            heapq.heappop(heap)
            self._blocker = next((window for window in flow.windows if self._blocks(window, now)), self._blocker)
            if self._blocker is not None:
                heap.clear()
        return None

    def _blocked_by(self, now: float) -> Window | None:
        """The window that was in everybody's way, if it still is."""
        if self._blocker is not None and not self._blocks(self._blocker, now):
            self._blocker = None
        return self._blocker

    def _blocks(self, window: Window, now: float) -> bool:
        """Whether everybody needs this window, and it has no token for anybody: then nobody else need be asked."""
        window.refresh(now)
        return window.waiting == self.length and window.available < window.needed(interactive=True, now=now)

    def _overtakes_bulk(self, flow: Flow) -> bool:
        """Count that an interactive request which had to wait left before bulk ones; whether it is now their turn."""
        for window in flow.windows:
            window.overtaken += window.waiting_bulk > 0
        return any(window.overtaken == BULK_TURN for window in flow.windows)

    def _count(self, request: PendingRequest, change: int) -> None:
        self.length += change
        for window in request.flow.windows:
            if request.priority is Priority.INTERACTIVE:
                window.waiting_interactive += change
            else:
                window.waiting_bulk += change
