"""Several requests walked as one list: which to send next, and in which order their rows come out. Pure.

A :class:`~spotify_ads_async.pagination.PageWalk` does the sending; it hands the answers over in the order of the requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from spotify_ads_async.errors import ConfigurationError, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.page import Page
from spotify_ads_async.pagination.pagers import ContinuationPager, PageOutcome, Pager, Request, WholePager
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.reports.planning import PAGE, Query
from spotify_ads_async.reports.rows import ReportRow

__all__ = ["BatchPlan", "Merge", "StreamPlan"]

ItemT = TypeVar("ItemT")
Merge = Callable[[list[list[ItemT]]], list[ItemT]]
"""From the rows of each request of a batch to the rows of the batch, in order."""


class _Part(Generic[ItemT]):
    """One request with its pages, and its rows that have not come out yet."""

    def __init__(self, operation: ListOperation[Any, ItemT], query: Query) -> None:
        kind = ContinuationPager if operation.style is ListStyle.CONTINUATION else WholePager
        self.pager: Pager[ItemT] = kind(operation, query, "", None)
        self.rows: deque[ItemT] = deque()


class _Parts(Generic[ItemT]):
    """What both plans share: parts take turns, and answers find the part that they belong to."""

    def __init__(self, operation: ListOperation[Any, ItemT]) -> None:
        self._operation = operation
        self._sent: deque[_Part[ItemT]] = deque()

    def _ask(self, parts: Sequence[_Part[ItemT]]) -> Request | None:
        for part in parts:
            request = part.pager.next_request()
            if request is not None:
                self._sent.append(part)
                return request
        return None

    def _take(self, request: Request, page: Page[ItemT]) -> None:
        part = self._sent.popleft()
        part.rows.extend(part.pager.accept(request, page).rows or ())

    def _rewind(self, parts: Sequence[_Part[ItemT]]) -> None:
        self._sent.clear()
        for part in parts:
            part.pager.rewind()

    def missing(self) -> WalkIncomplete | None:
        """Nothing: no total says what is missing."""
        return None

    def position(self, taken: int | None) -> Position:
        """None: several requests are under way at once."""
        del taken
        raise ConfigurationError(
            "a report of several requests has no position to go on from: ask for it again", operation=self._operation.id
        )


class BatchPlan(_Parts[ItemT]):
    """Batches one after the other; the rows of a batch come out when all its requests are answered.

    Requests of later batches are sent while earlier ones are read, ``ahead`` at most.
    """

    def __init__(
        self, operation: ListOperation[Any, ItemT], batches: Sequence[Sequence[Query]], merge: Merge[ItemT], *, ahead: int
    ) -> None:
        super().__init__(operation)
        self._waiting = deque(batches)
        self._open: deque[list[_Part[ItemT]]] = deque()
        self._merge = merge
        self._ahead = max(1, ahead)
        self.done = False

    def _running(self) -> list[_Part[ItemT]]:
        return [part for batch in self._open for part in batch if not part.pager.done]

    def next_request(self) -> Request | None:
        """The next page of the first request that can go on, or the first one of a further batch."""
        request = self._ask(self._running())
        while request is None and self._waiting and len(self._running()) < self._ahead:
            self._open.append([_Part(self._operation, query) for query in self._waiting.popleft()])
            request = self._ask(self._running())
        return request

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take an answer; let out what is complete."""
        self._take(request, page)
        rows: list[ItemT] = []
        while self._open and all(part.pager.done for part in self._open[0]):
            rows.extend(self._merge([list(part.rows) for part in self._open.popleft()]))
        self.done = not self._open and not self._waiting
        return PageOutcome(rows)

    def rewind(self) -> None:
        """Ask again for what was asked and not answered."""
        self._rewind(self._running())


class StreamPlan(_Parts[ReportRow]):
    """One request per window, over all entities: rows come out entity by entity, each entity's periods in order.

    It holds a page or two per window, however long the report is. Entities stand in the server's order.
    """

    def __init__(self, operation: ListOperation[Any, ReportRow], queries: Sequence[Query]) -> None:
        super().__init__(operation)
        self._parts = [_Part(operation, query) for query in queries]
        self._entity: str | None = None
        self._at = len(self._parts)
        self.done = False

    def next_request(self) -> Request | None:
        """The next page of a window that has less than a page in hand."""
        return self._ask([part for part in self._parts if len(part.rows) < PAGE and not part.pager.done])

    def accept(self, request: Request, page: Page[ReportRow]) -> PageOutcome[ReportRow]:
        """Take an answer; let out the rows whose turn has come."""
        self._take(request, page)
        rows: list[ReportRow] = []
        while self._begin():
            while self._at < len(self._parts):
                part = self._parts[self._at]
                while part.rows and part.rows[0].entity_id == self._entity:
                    rows.append(part.rows.popleft())
                if not part.rows and not part.pager.done:
                    return PageOutcome(rows)
                self._at += 1
        self.done = all(part.pager.done and not part.rows for part in self._parts)
        return PageOutcome(rows)

    def _begin(self) -> bool:
        """Whether an entity's rows can go on, or a next entity is known."""
        if self._at < len(self._parts):
            return True
        if any(not part.rows and not part.pager.done for part in self._parts):
            return False
        lead = next((part for part in self._parts if part.rows), None)
        if lead is None:
            return False
        self._entity, self._at = lead.rows[0].entity_id, 0
        return True

    def rewind(self) -> None:
        """Ask again for what was asked and not answered."""
        self._rewind(self._parts)
