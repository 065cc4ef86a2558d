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
from spotify_ads_async.pagination.pagers import OVERLAP, PageOutcome, Request, lost_place
from spotify_ads_async.pagination.position import Position
from spotify_ads_async.pagination.search import Search, step_after
from spotify_ads_async.pagination.seen import SeenIds
from spotify_ads_async.pagination.sweep import Sweep, is_ordered
from spotify_ads_async.pagination.watch import Watch

__all__ = ["OffsetPager"]

ItemT = TypeVar("ItemT")

_MAX_SWEEPS = 4
"""Passes over a list that edits reorder.

Or of which nothing worse is known than that rows were created and archived meanwhile.
"""
_MAX_SWEEPS_IN_DOUBT = 12
"""Passes over a list of which rows are missing, or whose rows changed places, as long as each finds more."""
_MAX_FRUITLESS = 3
_MAX_CONTRADICTIONS = 3
_MAX_DOUBTS = 3
_MAX_STEPS_OUT_OF_A_TIE = 3


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
        # Not where edits change it.
        self._sort_key = sort_key(query)
        self._digest = digest
        # Where the rows yielded before a position are all known, going on is no different from beginning.
        self._resumed = start is not None and bool(start.after) and not start.whole
        self._seen = SeenIds()
        self._blind = False
        self._begun = False
        # How far the walk is, and how many rows the page that counted last added.
        self._mark = HighWaterMark(self._floor)
        self._gained = 0
        self._yielded = 0
        # The list's length as it came last and first, and the least and the most that it was.
        self._total: int | None = None
        self._first_total: int | None = None
        self._least_total: int | None = None
        self._most_total = 0
        # What to ask next; what was asked ahead and last; how many rows the server gives at once; how far to step back.
        self._next = self._floor
        self._ahead: int | None = None
        self._calm = False
        self._size = self._limit
        self._back = 0
        self._steps_out_of_a_tie = 0
        self._contradictions = self._doubts = 0
        # Whether what is asked next lies just behind the last row; whether a page came shorter than it had to be; or
        # more rows than were counted.
        self._confirming = self._wary = self._lied = False
        # Passes over the list, and what they said of it.
        self._sweeps, self._fruitless = 1, 0
        self._sweep = Sweep(self._seen, self._sort_key, closely=False)
        self._watch = Watch(operation.id, self._limit)
        self._reordered = self._disturbed = False
        self._first_keys: list[str] = []
        self._newest: Any = None
        self._oldest: Any = None
        self._missing = 0
        self._search: Search | None = None
        if start is not None:
            self._go_on_from(start)

    def _go_on_from(self, start: Position) -> None:
        if not start.after:
            self._floor = self._next = max(self._floor, start.offset)
            self._mark = HighWaterMark(self._floor)
            return
        for key in start.after:
            self._seen.add(key)
        self._mark.resume(start)
        if start.whole:
            self._next = max(self._floor, start.offset - OVERLAP)
            return
        self._search = Search(start.offset - self._limit // 2, self._floor, self._limit, start.total)
        self._next = self._search.offset

    def next_request(self) -> Request | None:
        """The next page to ask for, up to the one that reaches past the total.

        One at a time until a page has counted.
        """
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

    @property
    def _again_and_closely(self) -> bool:
        """Whether this pass looks for what an earlier one may have lost under an order that lasts."""
        return self._fixed and self._sweeps > 1

    def accept(self, request: Request, page: Page[ItemT]) -> PageOutcome[ItemT]:
        """Take the answer to the oldest request.

        Its new rows, or None where it does not connect to what was yielded.
        """
        offset = self._floor if request.offset is None else request.offset
        if offset == self._ahead:
            self._ahead = None
        # A total of 0 beside rows is a total left out.
        total = page.total if page.total or not page.items else None
        previous = self._total
        keys = [identity(row) or _content(row) for row in page.items]
        if self._search is None and self._is_doubtful(offset, keys, total):
            self._doubts += 1
            return PageOutcome(None, restart=self._void(calm=False))
        self._doubts = 0
        if total is not None:
            self._total = total
            self._first_total = total if self._first_total is None else self._first_total
            self._least_total = total if self._least_total is None else min(self._least_total, total)
            self._most_total = max(self._most_total, total)
        self._disturbed |= self._begun and previous != self._total
        if not self._begun and not self._resumed:
            self._blind = any(identity(row) is None for row in page.items)
        if not self._connects(offset, keys, page):
            self._watch.step_back(offset, total)
            self._disturbed = True
            return PageOutcome(None, restart=self._void(calm=False))
        return self._take_in(offset, page, keys, total)

    def _is_doubtful(self, offset: int, keys: list[str], total: int | None) -> bool:
        """Whether a page would end the list short of what was counted before, and must be asked for again.

        Rows were archived meanwhile, or a replica answered that lags behind the others.
        """
        if total is None or total >= self._most_total or offset + len(keys) < total or self._doubts == _MAX_DOUBTS:
            return False
        return self._floor + len(self._seen) + sum(key not in self._seen for key in keys) < self._most_total

    def _connects(self, offset: int, keys: list[str], page: Page[ItemT]) -> bool:
        """Whether nothing lies between the rows met so far and this page; where to look otherwise."""
        if self._search is not None:
            last = max((index for index, key in enumerate(keys) if key in self._seen), default=None)
            if last is None:
                if not self._search.miss(len(keys), page.total if page.total or not keys else None):
                    raise lost_place(self._operation.id)
                self._next = self._search.offset
                return False
            # What stands before a row that was yielded was yielded too, or is newer than the walk.
            for key in keys[:last]:
                self._seen.add(key)
            self._search = None
            return True
        if self._blind or offset <= self._floor:
            return True
        if not keys and self._confirming and offset == self._next:
            return True
        if keys and keys[0] in self._sweep.met:
            stuck = (
                self._again_and_closely
                and self._sweep.tied(page.items)
                and self._steps_out_of_a_tie < _MAX_STEPS_OUT_OF_A_TIE
            )
            if not stuck:
                return True
            self._steps_out_of_a_tie += 1
        if self._resumed:
            # What was yielded before the position is not remembered: a step too far left would find only strangers.
            self._search = Search(offset - self._limit // 2, self._floor, self._limit, None)
            self._next = self._search.offset
        else:
            self._back = self._back * 2 or self._limit // 2
            self._next = max(self._floor, offset - self._back)
        return False

    def _take_in(self, offset: int, page: Page[ItemT], keys: list[str], total: int | None) -> PageOutcome[ItemT]:
        rows, sweep = page.items, self._sweep
        self._disturbed |= bool(sweep.tail) and keys[: len(sweep.tail)] != sweep.tail
        ends = sweep.ends_here(keys)
        met = sweep.take(rows, keys, total, first=offset <= self._floor)
        fresh = len(keys) if self._blind else len(met)
        self._watch.page(offset, keys, fresh, total)
        self._reordered |= sweep.reordered and self._fixed
        new = (
            list(range(len(keys)))
            if self._blind
            else met
            if sweep.met is self._seen
            else self._unseen(offset, keys, rows, met)
        )
        # Equal rows without ids are different rows to a blind walk.
        names = [f"{offset + index}" for index in range(len(keys))] if self._blind else keys
        self._mark.page(offset, names, new, total=total, first=offset <= self._floor)
        if not self._begun:
            self._first_keys = keys[: 2 * OVERLAP]
            sort_keys = [self._sort_key(row) for row in rows]
            if rows and is_ordered(sort_keys):
                self._newest, self._oldest = sort_keys[0], sort_keys[-1]
        self._begun = self._calm = True
        self._back = 0
        if fresh:
            self._steps_out_of_a_tie = 0
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

    def _unseen(self, offset: int, keys: list[str], rows: list[ItemT], met: list[int]) -> list[int]:
        """Of the rows that a later pass meets, those that the walk has not yielded.

        And that are not newer than the walk.
        Rows that stand before the walk's first one were created meanwhile. To yield them now would never end where each
        row that comes makes its reader create another.
        """
        begins, grown = 0, (self._total or 0) - (self._least_total or 0)
        if self._fixed and offset <= self._floor and not self._reordered:
            begins = next((index for index, key in enumerate(keys[: grown + 1]) if key in self._first_keys), 0)
        sort_keys = [self._sort_key(row) for row in rows]
        ordered = is_ordered(sort_keys)
        new: list[int] = []
        for index in met:
            newer = index < begins or (ordered and self._newer(sort_keys[0], sort_keys[index], sort_keys[-1]))
            if self._seen.add(keys[index]) and not newer:
                new.append(index)
        return new

    def _newer(self, first: Any, one: Any, last: Any) -> bool:  # noqa: ANN401 - whatever a list is sorted by
        """Whether a row stands before the walk's first one by its sort key.

        The page's ends tell which way the order runs; where it has turned round since the first page, nothing is newer.
        """
        if self._newest is None or first == last:
            return False
        turned = self._newest != self._oldest and (self._newest > self._oldest) != (first > last)
        return not turned and (one > self._newest if first > last else one < self._newest)

    def _settle(self, offset: int, page: Page[ItemT], total: int | None, *, fresh: bool, ends: bool) -> bool:
        """What follows from the page's length; whether what was read ahead is void."""
        length, reach = len(page.items), offset + len(page.items)
        full = length == self._limit
        if not full and self._ends(page, total, reach, fresh=fresh):
            return self._finish()
        self._lied |= total is not None and reach > total
        self._wary |= total is not None and (reach > total or (not full and reach < total))
        if ends and 0 < length < self._limit and (total is None or reach >= total):
            # Nothing but what overlaps: the end, or a page that is no longer than that.
            self._confirming, self._next = True, reach
            self._sweep.tail = []
            return self._void(calm=False)
        if full or fresh or total is None or reach > total:
            # Where it is not full, the server gives fewer rows at once than were asked for.
            self._contradictions = 0
            resized, shorter, self._size = self._size != length, length < self._size, max(1, length)
            return resized and self._void(calm=not (shorter and total is None))
        self._contradictions += 1
        if self._contradictions > _MAX_CONTRADICTIONS:
            if self._reordered or self._sweep.unproven:
                return self._finish(short=total - reach)
            raise self._incomplete(
                total - reach if self._resumed else max(1, self._counted(self._yielded)),
                f"the server counts {total} and has no more after {reach} (asked {self._contradictions} times, at"
                f" offset {offset})",
            )
        self._next = offset
        self._sweep.expect_again()
        return self._void()

    def _ends(self, page: Page[ItemT], total: int | None, reach: int, *, fresh: bool) -> bool:
        """Whether a page shorter than asked for is the last one, by the server's number or because nothing follows."""
        length = len(page.items)
        # A page as long as those before it, or as the server says that its pages are, may have another behind it.
        capped = length > 0 and (length in {self._size, page.page_size} or self._wary)
        if not length or (total is not None and reach == total and not capped):
            return total is None or reach >= total
        if total is not None and reach < total:
            return False
        # The total is none, or less than what is there: what the server says of its pages, or another answer, must
        # tell.
        if self._blind:
            return not fresh
        # Where rows are counted, a page without a count is odd enough to be asked behind.
        counted = self._operation.style is ListStyle.OFFSET
        return not counted and total is None and page.page_size is not None and length < page.page_size

    def _finish(self, short: int = 0) -> bool:
        """The end of a pass, ``short`` of the server's count: the end of the walk too, unless rows may be missing."""
        self.done = True
        if self._blind or self._resumed:
            if self._blind and not self._resumed:
                self._missing = self._counted(self._yielded)
            return True
        unseen = max(short, self._counted(len(self._seen)))
        if self._is_settled(unseen):
            return True
        self._fruitless = 0 if self._sweep.found else self._fruitless + 1
        in_doubt = self._fixed and (unseen > 0 or self._reordered or (self._lied and self._sweep.unproven))
        if self._sweeps >= (_MAX_SWEEPS_IN_DOUBT if in_doubt else _MAX_SWEEPS) or (
            in_doubt and self._fruitless >= _MAX_FRUITLESS
        ):
            self._missing = max(unseen, 1 if in_doubt else 0)
            return True
        self.done = False
        self._sweeps += 1
        self._disturbed = False
        self._contradictions = 0
        self._sweep = Sweep(SeenIds(), self._sort_key, closely=self._fixed)
        self._watch = Watch(self._operation.id, self._limit)
        self._next = self._floor
        return self._void()

    def _counted(self, came: int) -> int:
        """How many rows more the server counted throughout than came."""
        return (self._least_total or 0) - self._floor - came

    def _is_settled(self, unseen: int) -> bool:
        """Whether the pass that ends now leaves no doubt."""
        sweep = self._sweep
        if unseen > 0:
            return False
        if not self._fixed:
            return not (self._disturbed and sweep.found)
        if self._sweeps == 1 and self._floor + len(self._seen) < (self._total or 0) <= (self._first_total or 0):
            # Rows went and others came, or went and came back: a replica that lags behind may have answered.
            return False
        whole = sweep.total is not None and sweep.total - self._floor == len(sweep.met)
        if (
            not sweep.unproven
            and not sweep.reordered
            and (not self._reordered or sweep.by_keys or whole or self._least_total is None)
        ):
            return True
        # Counted alike all along, each row met, and nothing that had not come before.
        every = self._least_total == self._most_total and self._counted(len(self._seen)) == 0
        return self._sweeps > 1 and (whole or every) and not sweep.found

    def _void(self, *, calm: bool | None = None) -> bool:
        self._ahead = None
        self._calm = self._calm if calm is None else calm
        return True

    def rewind(self) -> None:
        """Ask again from the last page that counted."""
        self._ahead = None

    def missing(self) -> WalkIncomplete | None:
        """Rows that no pass met."""
        if self._missing <= 0:
            return None
        if not self._fixed:
            why = (
                f"{self._sweeps} passes did not meet them: edits keep moving them under the order that the list was"
                " asked for; walk it by CREATED_AT or ID where the operation offers that, or when less is edited"
            )
            return WalkIncomplete(
                f"{self._missing} rows are missing: {why}", operation=self._operation.id, missing=self._missing
            )
        counted = "" if self._least_total is None else f"the server counts {self._least_total} throughout; "
        return self._incomplete(
            self._missing, f"{counted}{self._yielded} came in {self._sweeps} passes, and rows change places meanwhile"
        )

    def _incomplete(self, missing: int, what: str) -> WalkIncomplete:
        rows = "1 row is" if missing == 1 else f"{missing} rows are"
        return WalkIncomplete(
            f"at least {rows} missing: {what}; the rows so far are sound; walk again, with filters that narrow the"
            " list, and tell the API's support if it stays so",
            operation=self._operation.id,
            missing=missing,
        )

    def position(self, taken: int | None) -> Position:
        """The place after ``taken`` rows of the page that counted last, None for all of them."""
        after, offset, total = self._mark.place(taken)
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
