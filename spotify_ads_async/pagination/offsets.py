"""What to ask next and what of an answer is new, for lists with offsets. Pure: nothing here waits.

Rows move under an offset walk when others create or archive meanwhile. Four means keep the promise:

* pages overlap, and a page counts only when its *first* row was met before (or when it is where the walk began): then
  nothing lies between it and the rows before it. Otherwise rows shifted left, and the walk reads further left until
  that holds;
* every id is remembered, so that no row is yielded twice however often it is read;
* the list ends where a page that counts is shorter than what was asked for, and the server's number, or another answer,
  agrees;
* at the end, what came is compared with what the server counted throughout, and where that or the pages themselves
  leave a doubt (:class:`Sweep`), the walk passes over the list again.

Why this is enough while the order of any two rows stays the same: let F be the last row, in the list's order, that was
yielded, and let every row up to F that was there throughout have been yielded. A page that begins with a row yielded
before begins at or before F and has no gaps, so those of its rows that are not yet yielded complete everything up to
its last row. When the page was read does not matter, so pages may be read ahead and answered in any order. Where rows
with equal keys change places, the passes that follow ask for more overlap, so that each page begins with a key before
those that may have moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from spotify_ads_async.errors import WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.high_water_mark import HighWaterMark
from spotify_ads_async.pagination.order import sort_key
from spotify_ads_async.pagination.page import Page, identity
from spotify_ads_async.pagination.page_lengths import PageLengths
from spotify_ads_async.pagination.pagers import OVERLAP, PageOutcome, Request
from spotify_ads_async.pagination.passes import Passes
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.pagination.search import Search, step_after

__all__ = ["OffsetPager"]

ItemT = TypeVar("ItemT")

_MAX_CONTRADICTIONS = 3
_MAX_DOUBTS = 3


class OffsetPager(Generic[ItemT]):
    """Walks one offset list, with or without a total.

    Args:
        operation: the list.
        query: the query, with its order; ``limit`` is the page size and ``offset`` where to begin.
        fixed: whether no edit can change the order of two rows. Where one can, the walk passes over the list again
            after a disturbance, to pick up what moved from before it to behind it.
        digest: which list it is, for positions.
        start: where to go on, or None to begin.
    """

    def __init__(
        self,
        operation: ListOperation[Any, ItemT],
        query: Mapping[str, object],
        *,
        fixed: bool,
        digest: str,
        start: Position | None,
    ) -> None:
        self.done = False
        self._operation = operation
        limit, floor = query.get("limit"), query.get("offset")
        # Two rows are the least that can overlap and still lead on.
        self._limit = max(2, limit) if isinstance(limit, int) else operation.page_size
        self._floor = floor if isinstance(floor, int) else 0
        self._query = {**query}
        self._fixed = fixed
        self._digest = digest
        # Where the rows yielded before a position are all known, going on is no different from beginning.
        self._resumed = start is not None and bool(start.after) and not start.whole
        self._passes = Passes(operation.id, self._limit, self._floor, fixed=fixed, sort_key=sort_key(query))
        self._seen = self._passes.seen
        self._counts = self._passes.counts
        self._blind = False
        self._overlap = OVERLAP
        self._begun = False
        # How far the walk is, and how many rows the page that counted last added.
        self._mark = HighWaterMark(self._floor)
        self._gained = 0
        self._yielded = 0
        self._start = start
        # What to ask next; what was asked ahead and last; how many rows the server gives at once; how far to step back.
        self._next = self._floor
        self._ahead: int | None = None
        self._calm = False
        self._lengths = PageLengths(self._limit, counted=operation.style is ListStyle.OFFSET)
        self._back = 0
        self._contradictions = self._doubts = 0
        # Whether what is asked next lies just behind the last row.
        self._confirming = False
        self._search: Search | None = None
        if start is not None:
            self._go_on_from(start)

    def _go_on_from(self, start: Position) -> None:
        if not start.after:
            self._floor = self._passes.floor = self._next = max(self._floor, start.offset)
            self._mark = HighWaterMark(self._floor)
            return
        for key in start.after:
            self._seen.add(key)
        self._yielded = start.yielded
        self._passes.reordered = start.reordered
        self._passes.sweep.go_on_after(start.after)
        self._mark.resume(start)
        if start.whole:
            self._next = max(self._floor, start.offset - OVERLAP)
            return
        self._search = Search(
            self._operation.id, start.offset - self._limit // 2, self._floor, self._limit, start.total
        )
        self._next = self._search.offset

    def next_request(self) -> Request | None:
        """The next page to ask for, up to the one that reaches past the total.

        One at a time until a page has counted.
        """
        if self.done:
            return None
        if self._ahead is None:
            self._ahead = self._next
        elif not self._calm or (
            self._counts.last is not None and self._ahead + self._lengths.usual > self._counts.last
        ):
            return None
        else:
            self._ahead += step_after(self._lengths.usual, self._overlap)
        return Request({**self._query, "offset": self._ahead, "limit": self._limit}, self._ahead)

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take the answer to the oldest request.

        Its new rows, or None where it does not connect to what was yielded.
        """
        offset = self._floor if request.offset is None else request.offset
        if offset == self._ahead:
            self._ahead = None
        # A total of 0 beside rows is a total left out.
        total = page.total if page.total or not page.items else None
        previous = self._counts.last
        keys = [identity(row) or _content(row) for row in page.items]
        if (
            self._search is None
            and self._doubts < _MAX_DOUBTS
            and self._passes.falls_short(keys, total, offset + len(keys))
        ):
            self._doubts += 1
            return PageOutcome(None, restart=self._void(calm=False))
        self._doubts = 0
        if total is not None:
            self._counts.take(total)
        self._passes.disturbed |= self._begun and previous != self._counts.last
        if not self._begun and not self._resumed:
            self._blind = any(identity(row) is None for row in page.items)
            self._overlap = 0 if self._blind else OVERLAP
        if not self._connects(offset, keys, page):
            self._passes.watch.step_back(offset, total)
            self._passes.disturbed = True
            return PageOutcome(None, restart=self._void(calm=False))
        return self._take_in(offset, page, keys, total)

    def _connects(self, offset: int, keys: list[str], page: Page[ItemT]) -> bool:
        """Whether nothing lies between the rows met so far and this page; where to look otherwise."""
        if self._search is not None:
            if not self._search.find(keys, self._seen, page.total if page.total or not keys else None):
                self._next = self._search.offset
                return False
            self._search = None
            self._passes.disturbed |= self._start is None or not self._start.is_in(keys, offset, page.total)
            return True
        if self._blind or offset <= self._floor:
            return True
        if not keys and self._confirming and offset == self._next:
            return True
        if keys and keys[0] in self._passes.sweep.met and not self._passes.is_tied(page.items):
            return True
        if self._resumed:
            # What was yielded before the position is not remembered: a step too far left would find only strangers.
            self._search = Search(self._operation.id, offset - self._limit // 2, self._floor, self._limit, None)
            self._next = self._search.offset
        else:
            self._back = self._back * 2 or -(-self._lengths.usual // 2)
            self._next = max(self._floor, offset - self._back)
        return False

    def _take_in(self, offset: int, page: Page[ItemT], keys: list[str], total: int | None) -> PageOutcome[ItemT]:
        rows, sweep = page.items, self._passes.sweep
        self._passes.disturbed |= bool(sweep.tail) and keys[: len(sweep.tail)] != sweep.tail
        ends = sweep.ends_here(keys)
        met = sweep.take(offset, rows, keys, total, first=offset <= self._floor)
        fresh = len(keys) if self._blind else len(met)
        self._passes.watch.page(offset, keys, fresh, total)
        self._passes.reordered |= sweep.reordered and self._fixed
        first = offset <= self._floor
        new = list(range(len(keys))) if self._blind else self._passes.unseen(rows, keys, met, first=first)
        # Equal rows without ids are different rows to a blind walk.
        names = [f"{offset + index}" for index in range(len(keys))] if self._blind else keys
        self._mark.page(offset, names, new, total=total, first=offset <= self._floor)
        if not self._begun:
            self._passes.beginning.remember(rows, keys)
        self._begun = self._calm = True
        self._back = 0
        if fresh:
            self._passes.steps_out_of_a_tie = 0
        self._gained = len(new)
        self._yielded += len(new)
        sweep.found += len(new)
        overlap = self._overlap and sweep.overlap(rows)
        self._next = offset + sweep.next_from(keys, overlap)
        self._confirming = self._next == offset + len(keys)
        void = self._settle(offset, page, total, fresh=bool(fresh), ends=ends)
        if overlap > OVERLAP and not void:
            void = self._void()
        return PageOutcome([rows[index] for index in new], restart=void)

    def _settle(self, offset: int, page: Page[ItemT], total: int | None, *, fresh: bool, ends: bool) -> bool:
        """What follows from the page's length; whether what was read ahead is void."""
        length, reach = len(page.items), offset + len(page.items)
        full = length == self._limit
        if not full and self._lengths.is_last(page, total, reach, ends_by_repeating=not fresh if self._blind else None):
            return self._finish()
        self._passes.lied |= total is not None and reach > total
        self._lengths.take(length, total, reach)
        if ends and 0 < length < self._limit and (total is None or reach >= total):
            # Nothing but what overlaps: the end, or a page that is no longer than that.
            self._confirming, self._next = True, reach
            self._passes.sweep.tail = []
            return self._void(calm=False)
        if full or fresh or total is None or reach > total or length > OVERLAP:
            # Where it is not full, the server gives fewer rows at once than were asked for, known ones perhaps.
            self._contradictions = 0
            usual, self._lengths.usual = self._lengths.usual, max(1, length)
            resized, shorter = usual != length, length < usual
            return resized and self._void(calm=not (shorter and total is None))
        self._contradictions += 1
        if self._contradictions > _MAX_CONTRADICTIONS:
            if self._passes.reordered or self._passes.sweep.unproven:
                return self._finish(short=total - reach)
            raise self._passes.incomplete(
                total - reach if self._resumed else max(1, self._passes.counted(self._yielded)),
                f"the server counts {total} and has no more after {reach} (asked {self._contradictions} times, at"
                f" offset {offset})",
            )
        self._next = offset
        self._passes.sweep.expect_again()
        return self._void()

    def _finish(self, short: int = 0) -> bool:
        """The end of a pass, ``short`` of the server's count: the end of the walk too, unless rows may be missing."""
        if self._blind or self._resumed:
            self.done = True
            self._passes.end_only(short, self._yielded, lasting=not self._resumed)
            return True
        self.done = self._passes.end(short)
        if not self.done:
            self._contradictions = 0
            self._next = self._floor
            self._void()
        return True

    def _void(self, *, calm: bool | None = None) -> bool:
        self._ahead = None
        self._calm = self._calm if calm is None else calm
        return True

    def rewind(self) -> None:
        """Ask again from the last page that counted."""
        self._ahead = None

    def missing(self) -> WalkIncomplete | None:
        """Rows that no pass met."""
        return self._passes.error(self._yielded)

    def position(self, taken: int | None) -> Position:
        """The place after ``taken`` rows of the page that counted last, None for all of them."""
        after, offset, total = self._mark.place(taken)
        yielded = self._yielded - (0 if taken is None else self._gained - min(taken, self._gained))
        return Position(
            operation=self._operation.id,
            list=self._digest,
            offset=offset,
            after=() if self._blind else after,
            whole=not self._blind and not self._resumed and 0 < yielded == len(after),
            total=total,
            yielded=yielded,
            reordered=self._passes.reordered,
        )


def _content(row: object) -> str:
    """What stands for a row without an id."""
    return hashlib.blake2b(msgspec.json.encode(row, enc_hook=str), digest_size=16).hexdigest()
