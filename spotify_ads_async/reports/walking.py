"""Several requests walked as one list: which to send next, and in which order their rows come out. Pure.

A :class:`~spotify_ads_async.pagination.PageWalk` does the sending; it hands the answers over in the order of the
requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from spotify_ads_async.errors import ConfigurationError, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.page import Page
from spotify_ads_async.pagination.pagers import ContinuationPager, PageOutcome, Pager, Request, WholePager
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.reports.asked import Asked, Repeats, names_of
from spotify_ads_async.reports.planning import Query
from spotify_ads_async.reports.rows import Measured

__all__ = ["BatchPager", "DistinctPager", "Merge"]

RowT = TypeVar("RowT", bound=Measured)
Merge = Callable[[list[list[RowT]]], list[RowT]]
"""From the rows of each request of a batch to the rows of the batch, in order."""


class DistinctPager(Generic[RowT]):
    """Another pager, held to what was asked for, and without the rows that repeat over its pages.

    Args:
        pager: the other one.
        operation: what answers.
        account: the ad account that is asked.
        query: what was asked for.
        start: where the walk goes on, if not at the beginning. The rows before it must be those that came.
    """

    def __init__(
        self, pager: Pager[RowT], operation: str, account: str, query: Query, start: Position | None = None
    ) -> None:
        self._pager = pager
        self._operation = operation
        self._skipped = start.skipped if start else ""
        self._rows: list[RowT] | None = None
        self._asked = Asked(operation, account, query)
        self._repeats = Repeats(operation, query)
        self._places: list[int] = []
        self.done = pager.done

    def next_request(self) -> Request | None:
        """The next request."""
        return self._pager.next_request()

    def accept(self, request: Request, page: Page[RowT]) -> PageOutcome[RowT]:
        """Take an answer; let out its rows that are new."""
        self._asked.require(page)
        accepted = self._pager.accept(request, page)
        self.done = self._pager.done
        rows = accepted.rows or []
        # A walk that goes on from a position passes over the rows before it, and they may repeat, too.
        passed = page.items[: len(page.items) - len(rows)]
        if self._rows is None and self._skipped not in {"", names_of(passed)}:
            raise WalkIncomplete(
                "the report has other rows before the place where the walk stood than it had, so that nobody knows"
                " which of the others came: ask for it from the beginning",
                operation=self._operation,
            )
        self._rows = page.items
        self._repeats.without(passed)
        self._places = [place for place, row in enumerate(rows) if self._repeats.is_new(row)]
        return PageOutcome([rows[place] for place in self._places], restart=accepted.restart)

    def rewind(self) -> None:
        """Ask again for what was asked and not answered."""
        self._pager.rewind()

    def missing(self) -> WalkIncomplete | None:
        """What the pager says is missing."""
        return self._pager.missing()

    def position(self, taken: int | None) -> Position:
        """The place after the first ``taken`` of the rows let out last."""
        place = self._pager.position(None if taken is None or taken >= len(self._places) else self._places[taken])
        skipped = self._skipped if self._rows is None else names_of(self._rows[: place.skip])
        return msgspec.structs.replace(place, skipped=skipped)


class _Part(Generic[RowT]):
    """One request with its pages, and its rows so far."""

    def __init__(self, operation: ListOperation[Any, RowT], account: str, query: Query) -> None:
        kind: type[ContinuationPager[RowT] | WholePager[RowT]] = (
            ContinuationPager if operation.style is ListStyle.CONTINUATION else WholePager
        )
        self.pager = DistinctPager(kind(operation, query, "", None), operation.id, account, query)
        self.rows: list[RowT] = []


class BatchPager(Generic[RowT]):
    """Batches one after the other; the rows of a batch come out when all its requests are answered.

    Requests of later batches are sent while earlier ones are read, ``ahead`` at most. Parts take turns, and answers
    find the part that they belong to.
    """

    def __init__(
        self,
        operation: ListOperation[Any, RowT],
        account: str,
        batches: Sequence[Sequence[Query]],
        merge: Merge[RowT],
        *,
        ahead: int,
    ) -> None:
        self._operation = operation
        self._account = account
        self._sent: deque[_Part[RowT]] = deque()
        self._waiting = deque(batches)
        self._open: deque[list[_Part[RowT]]] = deque()
        self._merge = merge
        self._ahead = max(1, ahead)
        self.done = False

    def add(self, batches: Sequence[Sequence[Query]]) -> None:
        """Walk these batches too; without any, the walk is at its end."""
        self._waiting.extend(batches)
        self.done = not self._open and not self._waiting

    def _running(self) -> list[_Part[RowT]]:
        return [part for batch in self._open for part in batch if not part.pager.done]

    def _ask(self) -> Request | None:
        for part in self._running():
            request = part.pager.next_request()
            if request is not None:
                self._sent.append(part)
                return request
        return None

    def next_request(self) -> Request | None:
        """The next page of the first request that can go on, or the first one of a further batch."""
        request = self._ask()
        while request is None and self._waiting and len(self._running()) < self._ahead:
            self._open.append([_Part(self._operation, self._account, query) for query in self._waiting.popleft()])
            request = self._ask()
        return request

    def accept(self, request: Request, page: Page[RowT]) -> PageOutcome[RowT]:
        """Take an answer; let out what is complete."""
        part = self._sent.popleft()
        part.rows.extend(part.pager.accept(request, page).rows or ())
        rows: list[RowT] = []
        while self._open and all(one.pager.done for one in self._open[0]):
            rows.extend(self._merge([one.rows for one in self._open.popleft()]))
        self.done = not self._open and not self._waiting
        return PageOutcome(rows)

    def rewind(self) -> None:
        """Ask again for what was asked and not answered."""
        self._sent.clear()
        for part in self._running():
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
