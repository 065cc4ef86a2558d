"""What to ask next and what of an answer is new, for lists with offsets. Pure: nothing here waits.

Rows move under an offset walk when others create or archive meanwhile. Three means keep the promise:

* pages overlap, and a page counts only when its *first* row was yielded before (or when it is where the walk began): then nothing
  lies between it and the rows before it. Otherwise rows shifted left, and the walk reads further left until that holds;
* every id is remembered, so that no row is yielded twice however often it is read;
* the list ends where a page that counts is shorter than what was asked for.

Why this is enough while the order of any two rows stays the same: let F be the last row, in the list's order, that was yielded, and
let every row up to F that was there throughout have been yielded. A page that begins with a row yielded before begins at or before F
and has no gaps, so those of its rows that are not yet yielded complete everything up to its last row. When the page was read does
not matter, so pages may be read ahead and answered in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from spotify_ads_async.errors import WalkIncomplete
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.pagination.frontier import Frontier
from spotify_ads_async.pagination.page import Page, identity
from spotify_ads_async.pagination.plans import OVERLAP, Request, Verdict, lost_place
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.pagination.search import Search, step_after
from spotify_ads_async.pagination.seen import SeenIds
from spotify_ads_async.pagination.watch import Watch

__all__ = ["OffsetPlan"]

ItemT = TypeVar("ItemT")

_MAX_PASSES = 4
_MAX_CONTRADICTIONS = 3


class OffsetPlan(Generic[ItemT]):
    """Walks one offset list, with or without a total.

    Args:
        operation: the list.
        query: the query, with its order; ``limit`` is the page size and ``offset`` where to begin.
        fixed: whether no edit can change the order of two rows. Where one can, the walk passes over the list again after a
            disturbance, to pick up what moved from before it to behind it.
        digest: which list it is, for positions.
        start: where to go on, or None to begin.
    """

    def __init__(
        self, operation: ListOperation[Any, ItemT], query: Mapping[str, object], *, fixed: bool, digest: str, start: Position | None
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
        self._seen = SeenIds()
        self._watch = Watch(operation.id, self._limit)
        self._blind = False
        self._begun = False
        # How far the walk is, and how many rows the page that counted last added.
        self._frontier = Frontier(self._floor)
        self._gained = 0
        self._total: int | None = None
        self._first_total: int | None = None
        # What to ask next; what was asked ahead and last; how many rows the server gives at once; how far to step back.
        self._next = self._floor
        self._ahead: int | None = None
        self._calm = False
        self._size = self._limit
        self._back = 0
        self._contradictions = 0
        # Passes over a list whose order edits can change.
        self._passes, self._found, self._disturbed = 1, 0, False
        self._unseen = 0
        self._tail: list[str] = []
        self._search: Search | None = None
        if start is not None:
            self._go_on_from(start)

    def _go_on_from(self, start: Position) -> None:
        if not start.after:
            self._floor = self._next = max(self._floor, start.offset)
            self._frontier = Frontier(self._floor)
            return
        for key in start.after:
            self._seen.add(key)
        self._frontier.resume(start)
        if start.whole:
            self._next = max(self._floor, start.offset - OVERLAP)
            return
        self._search = Search(start.offset - self._limit // 2, self._floor, self._limit, start.total)
        self._next = self._search.offset

    def upcoming(self) -> Request | None:
        """The next page to ask for, up to the one that reaches past the total; one at a time until a page has counted."""
        if self.done:
            return None
        if self._ahead is None:
            self._ahead = self._next
        elif not self._calm or (self._total is not None and self._ahead + self._size > self._total):
            return None
        else:
            self._ahead += step_after(self._size, self._overlap)
        return Request({**self._query, "offset": self._ahead, "limit": self._limit}, self._ahead)

    @property
    def _overlap(self) -> int:
        return 0 if self._blind else OVERLAP

    def absorb(self, request: Request, page: Page[ItemT]) -> Verdict[ItemT]:
        """Take the answer to the oldest request: its new rows, or None where it does not connect to what was yielded."""
        offset = self._floor if request.offset is None else request.offset
        if offset == self._ahead:
            self._ahead = None
        # A total of 0 beside rows is a total left out.
        total = page.total if page.total or not page.items else None
        previous, self._total = self._total, total if total is not None else self._total
        self._first_total = self._total if self._first_total is None else self._first_total
        self._disturbed |= self._begun and previous != self._total
        if not self._begun and not self._resumed:
            self._blind = any(identity(row) is None for row in page.items)
        keys = [identity(row) or _content(row) for row in page.items]
        if not self._connects(offset, keys, total):
            self._watch.step_back(offset, total)
            return self._again()
        return self._accept(offset, page, keys, total)

    def _connects(self, offset: int, keys: list[str], total: int | None) -> bool:
        """Whether nothing lies between the rows yielded so far and this page; where to look otherwise."""
        if self._search is not None:
            last = max((index for index, key in enumerate(keys) if key in self._seen), default=None)
            if last is None:
                if not self._search.miss(len(keys), total):
                    raise lost_place(self._operation.id)
                self._next = self._search.offset
                return False
            # What stands before a row that was yielded was yielded too, or is newer than the walk.
            for key in keys[:last]:
                self._seen.add(key)
            self._search = None
            return True
        if self._blind or offset <= self._floor or (keys and keys[0] in self._seen):
            return True
        if self._resumed:
            # What was yielded before the position is not remembered: a step too far left would find only strangers.
            self._search = Search(offset - self._limit // 2, self._floor, self._limit, None)
            self._next = self._search.offset
        else:
            self._back = self._back * 2 or self._limit // 2
            self._next = max(self._floor, offset - self._back)
        return False

    def _again(self) -> Verdict[ItemT]:
        self._disturbed = True
        self._calm = False
        self._ahead = None
        return Verdict(None, restart=True)

    def _accept(self, offset: int, page: Page[ItemT], keys: list[str], total: int | None) -> Verdict[ItemT]:
        rows = page.items
        self._disturbed |= bool(self._tail) and keys[: len(self._tail)] != self._tail
        self._watch.page(offset, keys, len(keys) if self._blind else sum(key not in self._seen for key in keys), total)
        new = [index for index, key in enumerate(keys) if self._seen.add(key) or self._blind]
        # Equal rows without ids are different rows to a blind walk.
        names = [f"{offset + index}" for index in range(len(keys))] if self._blind else keys
        self._frontier.page(offset, names, new, total=total, first=offset <= self._floor)
        self._begun = self._calm = True
        self._back = 0
        self._gained = len(new)
        self._found += len(new)
        step = step_after(len(rows), self._overlap)
        self._tail = keys[step:]
        self._next = offset + step
        return Verdict([rows[index] for index in new], restart=self._settle(offset, page, bool(new), total))

    def _settle(self, offset: int, page: Page[ItemT], new: bool, total: int | None) -> bool:  # noqa: FBT001  # whether there are any
        """What follows from the page's length; whether what was read ahead is void."""
        length = len(page.items)
        full = length == self._limit
        # Without a total, a page as long as the server's pages may have another behind it.
        ends = length != page.page_size or not new if total is None else offset + length >= total
        if not full and ends:
            return self._finish()
        if full or new:
            # Where it is not full, the server gives fewer rows at once than were asked for.
            self._contradictions = 0
            resized, self._size = self._size != length, max(1, length)
            return resized and self._void()
        self._contradictions += 1
        if self._contradictions > _MAX_CONTRADICTIONS:
            raise WalkIncomplete(
                f"rows are missing: the server counts {total} and has no more after {offset + length} (asked "
                f"{self._contradictions} times, at offset {offset}); walk again, and tell the API's support if it stays so",
                operation=self._operation.id,
            )
        self._next, self._tail = offset, []
        return self._void()

    def _finish(self) -> bool:
        """The end of the list: the end of the walk too, unless rows may have moved from before it to behind it."""
        self.done = True
        if self._fixed or self._resumed or self._blind:
            return True
        unseen = (self._total or 0) - self._floor - len(self._seen)
        if unseen <= 0 and not (self._disturbed and self._found):
            return True
        if self._passes >= _MAX_PASSES:
            self._unseen = min(unseen, (self._first_total or 0) - self._floor - len(self._seen))
            return True
        self.done = False
        self._passes += 1
        self._found, self._disturbed, self._tail = 0, False, []
        self._next = self._floor
        return self._void()

    def _void(self) -> bool:
        self._ahead = None
        return True

    def rewind(self) -> None:
        """Ask again from the last page that counted."""
        self._ahead = None

    def missing(self) -> WalkIncomplete | None:
        """Rows that moved out of sight in every pass."""
        if self._unseen <= 0:
            return None
        return WalkIncomplete(
            f"{self._unseen} rows were not met in {self._passes} passes: edits keep moving them under the order that the list was asked "
            "for; walk it by CREATED_AT or ID where the operation offers that, or when less is edited",
            operation=self._operation.id,
        )

    def position(self, taken: int | None) -> Position:
        """The place after ``taken`` rows of the page that counted last, None for all of them."""
        after, offset, total = self._frontier.place(taken)
        yielded = len(self._seen) - (0 if taken is None else self._gained - min(taken, self._gained))
        return Position(
            operation=self._operation.id,
            list=self._digest,
            offset=offset,
            after=() if self._blind else after,
            whole=not self._blind and not self._resumed and 0 < yielded == len(after),
            total=total,
        )


def _content(row: object) -> str:
    """What stands for a row without an id."""
    return hashlib.blake2b(msgspec.json.encode(row, enc_hook=str), digest_size=16).hexdigest()
