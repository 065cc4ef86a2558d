"""What to ask next and what of an answer is new, for lists without offsets. Pure: nothing here waits.

A pager is told each answer in order (:meth:`Pager.accept`) and names the requests that may be sent meanwhile
(:meth:`Pager.next_request`). :mod:`spotify_ads_async.pagination.walk` does the sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from spotify_ads_async.errors import ConfigurationError, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.page import Page, identity
from spotify_ads_async.pagination.position import REMEMBERED_ROWS, Position

__all__ = ["MAX_ROWS_WITHOUT_TOTAL", "OVERLAP", "ContinuationPager", "PageOutcome", "Pager", "Request", "WholePager"]

ItemT = TypeVar("ItemT")

MAX_ROWS_WITHOUT_TOTAL = 2_000_000
"""After so many rows a list that names no total counts as endless; the walk can be resumed from its position."""

OVERLAP = 2
"""Rows that each page of an offset list shares with the one before.

One may vanish between two reads and nothing is read again.
"""

_MAX_EMPTY_PAGES = 20
_MAX_EQUAL_PAGES = 3


class Request(msgspec.Struct, frozen=True):
    """One request of a walk: its query, and the offset in it where the list takes one."""

    query: Mapping[str, object]
    offset: int | None = None


class PageOutcome(msgspec.Struct, Generic[ItemT], frozen=True):
    """What an answer meant: its new rows, None where it must be asked again; whether what was read ahead is void."""

    rows: list[ItemT] | None
    restart: bool = False


class Pager(Protocol[ItemT]):
    """How one style of list is walked."""

    done: bool
    """Whether the last row has been handed out."""

    def next_request(self) -> Request | None:
        """The next request that may be sent before earlier answers are known; None where an answer is needed first."""
        ...

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take the answer to the oldest request that is not yet accepted."""
        ...

    def rewind(self) -> None:
        """Forget the requests that were named and not accepted: their answers will never come."""
        ...

    def missing(self) -> WalkIncomplete | None:
        """What to say after the last row, where rows are missing."""
        ...

    def position(self, taken: int | None) -> Position:
        """The place after the first ``taken`` rows that were new in the answer accepted last, None for all of them."""
        ...


class WholePager(Generic[ItemT]):
    """Everything in one answer: lists without paging, and those that take a ``limit`` and no offset."""

    def __init__(
        self, operation: ListOperation[Any, ItemT], query: Mapping[str, object], digest: str, start: Position | None
    ) -> None:
        self.done = False
        self._operation = operation
        self._digest = digest
        self._start = start
        self._asked = False
        self._rows: list[ItemT] = []
        self._skipped = 0
        self._missing: int | None = None
        self._filled = False
        self._query = dict(query)
        self._wants_all = True
        if operation.style is ListStyle.LIMIT:
            asked = self._query.setdefault("limit", operation.page_size)
            self._wants_all = asked == operation.page_size

    def next_request(self) -> Request | None:
        """The one request, once."""
        if self._asked:
            return None
        self._asked = True
        return Request(self._query)

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take the one answer."""
        del request
        self.done = True
        if page.total is not None and page.total > len(page.items) and self._wants_all:
            self._missing = page.total - len(page.items)
        self._filled = page.total is None and self._wants_all and 0 < len(page.items) == self._query.get("limit")
        self._skipped = self._resume_at(page.items)
        self._rows = page.items[self._skipped :]
        return PageOutcome(self._rows)

    def _resume_at(self, rows: list[ItemT]) -> int:
        if self._start is None:
            return 0
        if not self._start.after:
            return self._start.skip
        places = {identity(row): index for index, row in enumerate(rows)}
        found = [places[key] for key in self._start.after if key in places]
        if not found:
            raise lost_place(self._operation.id)
        return max(found) + 1

    def rewind(self) -> None:
        """Ask again, unless the answer is there."""
        self._asked = self.done

    def missing(self) -> WalkIncomplete | None:
        """The rows that ``total_results`` counts beyond those that came."""
        if self._filled:
            return WalkIncomplete(
                f"{len(self._rows)} rows came, as many as can be asked for, and the server neither counts them nor"
                " offers more: whether there are more cannot be known; narrow the list with filters where it takes"
                " some",
                operation=self._operation.id,
            )
        if self._missing is None:
            return None
        return WalkIncomplete(
            f"{self._missing} rows are missing: the server counts them in total_results, left them out of its one"
            " answer, and offers no way to ask for more; narrow the list with filters where it takes some",
            operation=self._operation.id,
            missing=self._missing,
        )

    def position(self, taken: int | None) -> Position:
        """The place after ``taken`` rows, None for all that were read."""
        taken = len(self._rows) if taken is None else taken
        if not taken:
            return self._start or Position(operation=self._operation.id, list=self._digest)
        rows = self._rows[max(0, taken - REMEMBERED_ROWS) : taken]
        after = tuple(key for key in map(identity, rows) if key is not None)
        return Position(
            operation=self._operation.id,
            list=self._digest,
            after=after if len(after) == len(rows) else (),
            skip=self._skipped + taken,
        )


class ContinuationPager(Generic[ItemT]):
    """Pages that each name the token of the next.

    A token is sent alone: the server ignores whatever stands beside it.
    """

    def __init__(
        self, operation: ListOperation[Any, ItemT], query: Mapping[str, object], digest: str, start: Position | None
    ) -> None:
        if "continuation_token" in query:
            raise ConfigurationError(
                "a walk begins without a continuation_token and follows those that it gets; to begin at one, save a"
                " walk's position and use starting_at(position), or await the list for the one page",
                operation=operation.id,
            )
        self.done = False
        self._operation = operation
        self._query = {"limit": operation.page_size, **query}
        self._digest = digest
        self._token = start.token if start else None
        self._skip = start.skip if start else 0
        self._asked = False
        self._here = (self._token, self._skip, 0)
        self._tokens = {hash(self._token)}
        self._rows = self._empty = self._equal = 0
        self._last: list[ItemT] = []

    def next_request(self) -> Request | None:
        """The next page, once its token is known."""
        if self._asked or self.done:
            return None
        self._asked = True
        return Request(self._query if self._token is None else {"continuation_token": self._token})

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take the next page and its token."""
        del request
        self._watch(page)
        skipped, self._skip = min(self._skip, len(page.items)), 0
        self._here = (self._token, skipped, len(page.items) - skipped)
        self._token = page.continuation_token
        self._asked = False
        self.done = self._token is None
        return PageOutcome(page.items[skipped:])

    def _watch(self, page: Page[ItemT]) -> None:
        """Raise where the server leads nowhere."""
        token = page.continuation_token
        self._rows += len(page.items)
        self._empty = 0 if page.items else self._empty + 1
        self._equal = self._equal + 1 if page.items and page.items == self._last else 0
        self._last = page.items
        if token is None:
            return
        if hash(token) in self._tokens:
            raise self._endless("a continuation token leads back to itself or to an earlier page")
        if self._empty >= _MAX_EMPTY_PAGES:
            raise self._endless(f"{self._empty} pages in a row were empty, and each names another")
        if self._equal >= _MAX_EQUAL_PAGES:
            raise self._endless(f"the same page came {self._equal + 1} times, each time with another token")
        if self._rows > MAX_ROWS_WITHOUT_TOTAL:
            raise self._endless(f"the list goes on after {self._rows} rows")
        self._tokens.add(hash(token))

    def _endless(self, what: str) -> WalkIncomplete:
        return WalkIncomplete(
            f"{what} (after {self._rows} rows); the rows so far are sound, and whether more exist cannot be known: "
            "narrow the report, or go on from the walk's position",
            operation=self._operation.id,
        )

    def rewind(self) -> None:
        """Ask for the same page again."""
        self._asked = False

    def missing(self) -> WalkIncomplete | None:
        """Nothing: no total says what is missing."""
        return None

    def position(self, taken: int | None) -> Position:
        """The place after ``taken`` rows of the page read last, None for all of them."""
        token, skipped, count = self._here
        return Position(
            operation=self._operation.id,
            list=self._digest,
            token=token,
            skip=skipped + (count if taken is None else min(taken, count)),
        )


def lost_place(operation: str) -> WalkIncomplete:
    """What to say where no row before a position is in the list any more."""
    return WalkIncomplete(
        f"none of the {REMEMBERED_ROWS} rows before the place where the walk stood is in the list any more, so the"
        " place cannot be found again; start the walk from the beginning",
        operation=operation,
    )
