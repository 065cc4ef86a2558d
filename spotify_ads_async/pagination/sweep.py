"""One pass over an offset list: what it met, and whether its pages prove that it met everything. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from spotify_ads_async.pagination.pagers import OVERLAP
from spotify_ads_async.pagination.search import step_after
from spotify_ads_async.pagination.seen import SeenIds

__all__ = ["Sweep", "is_ordered"]


class Sweep:
    """One pass over the list, from the walk's first offset to the list's end.

    Two pages leave no gap between them where the second begins with a row whose sort key comes strictly before the last
    key of the first one. That holds however rows with equal keys change places. Where sort keys are not known, or are
    equal, it is taken for granted while nothing moves: the second page begins with just the rows that overlap, nothing
    else in it was met before, and the total is the same. All else leaves the pass unproven.

    Args:
        met: what the pass has met: the walk's own rows in the first pass, a set of its own in later ones.
        sort_key: what a row is sorted by, None where that is not known.
        closely: whether each page shall prove itself by its sort keys.

    Attributes:
        found: how many rows were new to the walk.
        unproven: whether a gap is possible between two of its pages.
        unexplained: whether a page moved by another number of rows than were created or archived, and no sort key
            proves it.
        by_keys: whether sort keys alone prove that there is none.
        reordered: whether two rows changed places, which no order that lasts shows.
        tail: the keys with which the next page begins if nothing moves.
    """

    def __init__(self, met: SeenIds, sort_key: Callable[[object], Any], *, closely: bool) -> None:
        self.met = met
        self.found = 0
        self.unproven = self.unexplained = self.reordered = False
        self.by_keys = self._ordered = True
        self.tail: list[str] = []
        self._sort_key = sort_key
        self._closely = closely
        self._offset = -1
        self._last: Sequence[str] = ()
        self._edge: Any = None
        self._total: int | None = None
        self._totals: set[int | None] = set()

    @property
    def total(self) -> int | None:
        """The list's length as every answer of the pass gave it, None where they differ or gave none."""
        return next(iter(self._totals)) if len(self._totals) == 1 else None

    def tied(self, rows: Sequence[object]) -> bool:
        """Whether a page begins with the sort key that the last one ended with, so that rows may lie between them."""
        return self._ordered and bool(rows) and self._edge is not None and self._sort_key(rows[0]) == self._edge

    def take(
        self, offset: int, rows: Sequence[object], keys: Sequence[str], total: int | None, *, first: bool
    ) -> list[int]:
        """Take in a page that counts; the indexes of the rows that this pass had not met.

        Args:
            offset: its offset.
            rows: its rows.
            keys: what tells them apart.
            total: the list's length as it came with the page.
            first: whether the page is where the pass began.
        """
        self._totals.add(total)
        if not keys:
            # What stood behind the last row may have moved before it meanwhile.
            self.unproven |= not first and total != self._total
            return []
        new = [index for index, key in enumerate(keys) if self.met.add(key)]
        tail = len(self.tail)
        still = tail > 0 and len(keys) - len(new) == tail and list(keys[:tail]) == self.tail and total == self._total
        # A page on which nothing moved proves itself; most are such, and looking at each row's sort key costs time.
        strict = (self._closely or not still) and self._is_strict(rows)
        self.unproven |= not (first or still or strict)
        self.unexplained |= not (first or still or strict or self._is_shifted(offset, keys, total))
        self.by_keys &= first or strict
        self.reordered |= not still and self._swapped(keys)
        self._total, self._offset, self._last, self._edge = total, offset, keys, self._sort_key(rows[-1])
        return new

    def _is_shifted(self, offset: int, keys: Sequence[str], total: int | None) -> bool:
        """Whether the last page's rows moved by no more than the list has grown or shrunk since, or none can tell."""
        grown = (total or 0) - (self._total or 0)
        last = {key: self._offset + index for index, key in enumerate(self._last)}
        shifts = [offset + index - last[key] for index, key in enumerate(keys) if key in last]
        return self._offset < 0 or (bool(shifts) and min(0, grown) <= min(shifts) and max(shifts) <= max(0, grown))

    def _is_strict(self, rows: Sequence[object]) -> bool:
        """Whether a page begins with a sort key before the last one's end."""
        sort_keys = [self._sort_key(row) for row in rows]
        self._ordered &= is_ordered(sort_keys)
        return self._ordered and None not in {self._edge, sort_keys[0]} and sort_keys[0] != self._edge

    def _swapped(self, keys: Sequence[str]) -> bool:
        """Whether two rows of the last page stand the other way round."""
        last = {key: index for index, key in enumerate(self._last)}
        places = [last[key] for key in keys if key in last]
        return any(after < before for before, after in pairwise(places))

    def overlap(self, rows: Sequence[object]) -> int:
        """How many rows the next page shall share with this one.

        In a pass that looks closely, back to a key before the last one.
        """
        if self._closely and self._ordered and rows:
            last = self._sort_key(rows[-1])
            equal = next((count for count, row in enumerate(reversed(rows)) if self._sort_key(row) != last), None)
            # Equal keys that fill a page have no beginning that it could share.
            if last is not None and equal is not None and equal + 1 < len(rows):
                return max(OVERLAP, equal + 1)
        return OVERLAP

    def ends_here(self, keys: Sequence[str]) -> bool:
        """Whether a page holds nothing beyond the rows that overlap: the end of a list without a total."""
        return list(keys) == self.tail

    def go_on_after(self, keys: Sequence[str]) -> None:
        """Begin behind these rows, which came in this order."""
        self._last = keys

    def expect_again(self) -> None:
        """The next page is the last one, asked for once more."""
        self.tail = list(self._last)

    def next_from(self, keys: Sequence[str], overlap: int) -> int:
        """Remember with which rows the next page begins; how far behind this one's beginning that is."""
        step = step_after(len(keys), overlap)
        self.tail = list(keys[step:])
        return step


def is_ordered(sort_keys: Sequence[Any]) -> bool:
    """Whether the keys run one way, as far as they can be compared."""
    if None in sort_keys:
        return False
    try:
        return all(one <= other for one, other in pairwise(sort_keys)) or all(
            one >= other for one, other in pairwise(sort_keys)
        )
    except TypeError:
        return False
