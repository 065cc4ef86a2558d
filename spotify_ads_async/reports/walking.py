"""Several requests walked as one list: which to send next, and in which order their rows come out. Pure.

A :class:`~spotify_ads_async.pagination.PageWalk` does the sending; it hands the answers over in the order of the
requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from spotify_ads_async.errors import ConfigurationError, InvalidAnswer, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.page import Page
from spotify_ads_async.pagination.pagers import ContinuationPager, PageOutcome, Pager, Request, WholePager
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.reports.planning import Query
from spotify_ads_async.reports.rows import Measured, ReportRow, TotalsRow, row_key

__all__ = ["BatchPager", "DistinctPager", "Merge", "Repeats"]

RowT = TypeVar("RowT", bound=Measured)
Merge = Callable[[list[list[RowT]]], list[RowT]]
"""From the rows of each request of a batch to the rows of the batch, in order."""

_NO_QUERY: Query = {}


_CLOCKS_APART = timedelta(days=1)
"""How far a period may lie outside the range that was asked for: accounts keep the days of their own time zone."""


class Repeats:
    """Tells rows that came before. The API's pages may repeat rows; none of them counts twice.

    Args:
        operation: what answers the rows.
        query: what was asked for. A row of another entity or another time is refused.
    """

    def __init__(self, operation: str, query: Query = _NO_QUERY) -> None:
        self._operation = operation
        same = query.get("entity_ids_type") == query.get("entity_type")
        # Ids of parents name none of the rows.
        self._ids = frozenset(str(one).lower() for one in query.get("entity_ids") or ()) if same else frozenset[str]()
        self._range = (query.get("report_start"), query.get("report_end"))
        self._seen: dict[int, int] = {}

    def is_new(self, row: Measured) -> bool:
        """Whether the row is the first of its entity and period.

        Raises:
            InvalidAnswer: nobody asked for this row.
            WalkIncomplete: another row of the same entity and period says something else.
        """
        self._require_asked(row)
        key = row_key(row)
        if key is None:
            return True
        values = hash(frozenset((field.field_type, field.field_value) for field in row.stats or ()))
        before = self._seen.get(hash(key))
        if before is None:
            self._seen[hash(key)] = values
        elif before != values:
            what = " ".join(str(part) for part in key if part is not None)
            raise WalkIncomplete(
                f"the server tells two rows of {what or 'the same period'} with different values, and which is right"
                " cannot be known: ask for the report again",
                operation=self._operation,
            )
        return before is None

    def _require_asked(self, row: Measured) -> None:
        if not isinstance(row, ReportRow | TotalsRow):
            return
        what = None
        if (
            isinstance(row, ReportRow)
            and self._ids
            and row.entity_id is not None
            and row.entity_id.lower() not in self._ids
        ):
            what = f"a row of {row.entity_id}"
        first, last = self._range
        time = row.start_time
        if time is not None and isinstance(first, datetime) and isinstance(last, datetime):
            # As differences: the ends of the calendar have no day beyond them.
            outside = first - time > _CLOCKS_APART or time - last > _CLOCKS_APART
            what = f"a row of {time.isoformat()}" if outside else what
        if what is not None:
            raise InvalidAnswer(
                f"the report has {what}, which was not asked for: the server seems to ignore what was, and no sum can"
                " be trusted",
                operation=self._operation,
            )

    def without(self, rows: Iterable[RowT]) -> list[RowT]:
        """The rows that are new."""
        return [row for row in rows if self.is_new(row)]


class DistinctPager(Generic[RowT]):
    """Another pager, without the rows that repeat over its pages."""

    def __init__(self, pager: Pager[RowT], operation: str, query: Query) -> None:
        self._pager = pager
        self._repeats = Repeats(operation, query)
        self._places: list[int] = []
        self.done = pager.done

    def next_request(self) -> Request | None:
        """The next request."""
        return self._pager.next_request()

    def accept(self, request: Request, page: Page[RowT]) -> PageOutcome[RowT]:
        """Take an answer; let out its rows that are new."""
        verdict = self._pager.accept(request, page)
        self.done = self._pager.done
        rows = verdict.rows or []
        self._places = [place for place, row in enumerate(rows) if self._repeats.is_new(row)]
        return PageOutcome([rows[place] for place in self._places], restart=verdict.restart)

    def rewind(self) -> None:
        """Ask again for what was asked and not answered."""
        self._pager.rewind()

    def missing(self) -> WalkIncomplete | None:
        """What the pager says is missing."""
        return self._pager.missing()

    def position(self, taken: int | None) -> Position:
        """The place after the first ``taken`` of the rows let out last."""
        if taken is None or taken >= len(self._places):
            return self._pager.position(None)
        return self._pager.position(self._places[taken])


class _Part(Generic[RowT]):
    """One request with its pages, and its rows so far."""

    def __init__(self, operation: ListOperation[Any, RowT], query: Query) -> None:
        kind: type[ContinuationPager[RowT] | WholePager[RowT]] = (
            ContinuationPager if operation.style is ListStyle.CONTINUATION else WholePager
        )
        self.pager = DistinctPager(kind(operation, query, "", None), operation.id, query)
        self.rows: list[RowT] = []


class BatchPager(Generic[RowT]):
    """Batches one after the other; the rows of a batch come out when all its requests are answered.

    Requests of later batches are sent while earlier ones are read, ``ahead`` at most. Parts take turns, and answers
    find the part that they belong to.
    """

    def __init__(
        self, operation: ListOperation[Any, RowT], batches: Sequence[Sequence[Query]], merge: Merge[RowT], *, ahead: int
    ) -> None:
        self._operation = operation
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
            self._open.append([_Part(self._operation, query) for query in self._waiting.popleft()])
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
