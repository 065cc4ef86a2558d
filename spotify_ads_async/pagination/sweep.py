"""One pass over an offset list: what it met, and whether its pages prove that it met everything. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from spotify_ads_async.pagination.pagers import OVERLAP
from spotify_ads_async.pagination.search import step_after
from spotify_ads_async.pagination.seen import SeenIds

__all__ = ["Sweep"]


class Sweep:
    """One pass over the list, from the walk's first offset to the list's end.

    Two pages leave no gap between them where the second begins with a row whose sort key comes strictly before the last key of the
    first one. That holds however rows with equal keys change places. Where sort keys are not known, or are equal, it is taken for
    granted while nothing moves: the second page begins with just the rows that overlap, nothing else in it was met before, and
    the total is the same. All else leaves the pass unproven.

    Args:
        met: what the pass has met: the walk's own rows in the first pass, a set of its own in later ones.

    Attributes:
        found: how many rows were new to the walk.
        unproven: whether a gap is possible between two of its pages.
        by_keys: whether sort keys alone prove that there is none.
        reordered: whether two rows changed places, which no order that lasts shows.
        tail: the keys with which the next page begins if nothing moves.
    """

    def __init__(self, met: SeenIds) -> None:
        self.met = met
        self.found = 0
        self.unproven = self.reordered = False
        self.by_keys = self._ordered = True
        self.tail: list[str] = []
        self._last: dict[str, int] = {}
        self._edge: Any = None
        self._total: int | None = None
        self._totals: set[int | None] = set()

    @property
    def total(self) -> int | None:
        """The list's length as every answer of the pass gave it, None where they differ or gave none."""
        return next(iter(self._totals)) if len(self._totals) == 1 else None

    def tied(self, sort_keys: Sequence[Any]) -> bool:
        """Whether a page begins with the sort key that the last one ended with, so that rows may lie between them."""
        return self._ordered and bool(sort_keys) and self._edge is not None and sort_keys[0] == self._edge

    def take(self, keys: Sequence[str], sort_keys: Sequence[Any], total: int | None, *, first: bool) -> list[int]:
        """Take in a page that counts; the indexes of the rows that this pass had not met.

        Args:
            keys: what tells its rows apart.
            sort_keys: what they are sorted by, None where that is not known.
            total: the list's length as it came with the page.
            first: whether the page is where the pass began.
        """
        self._totals.add(total)
        if not keys:
            return []
        known = sum(key in self.met for key in keys)
        still = bool(self.tail) and list(keys[: len(self.tail)]) == self.tail and known == len(self.tail) and total == self._total
        self._ordered &= _is_ordered(sort_keys)
        strict = self._ordered and None not in {self._edge, sort_keys[0]} and sort_keys[0] != self._edge
        self.unproven |= not (first or still or strict)
        self.by_keys &= first or strict
        self.reordered |= self._swapped(keys)
        self._total = total
        self._last = {key: index for index, key in enumerate(keys)}
        self._edge = sort_keys[-1]
        return [index for index, key in enumerate(keys) if self.met.add(key)]

    def _swapped(self, keys: Sequence[str]) -> bool:
        """Whether two rows of the last page stand the other way round."""
        places = [self._last[key] for key in keys if key in self._last]
        return any(after < before for before, after in pairwise(places))

    def overlap(self, sort_keys: Sequence[Any], *, strict: bool) -> int:
        """How many rows the next page shall share with this one: where it is ``strict``, back to a sort key before the last one."""
        if strict and self._ordered and sort_keys and sort_keys[-1] is not None:
            equal = next((count for count, key in enumerate(reversed(sort_keys)) if key != sort_keys[-1]), None)
            # Equal keys that fill a page have no beginning that it could share.
            if equal is not None and equal + 1 < len(sort_keys):
                return max(OVERLAP, equal + 1)
        return OVERLAP

    def ends_here(self, keys: Sequence[str]) -> bool:
        """Whether a page holds nothing beyond the rows that overlap: the end of a list without a total."""
        return list(keys) == self.tail

    def expect_again(self) -> None:
        """The next page is the last one, asked for once more."""
        self.tail = list(self._last)

    def next_from(self, keys: Sequence[str], overlap: int) -> int:
        """Remember with which rows the next page begins; how far behind this one's beginning that is."""
        step = step_after(len(keys), overlap)
        self.tail = list(keys[step:])
        return step


def _is_ordered(sort_keys: Sequence[Any]) -> bool:
    """Whether the keys run one way, as far as they can be compared."""
    if None in sort_keys:
        return False
    try:
        return all(one <= other for one, other in pairwise(sort_keys)) or all(one >= other for one, other in pairwise(sort_keys))
    except TypeError:
        return False
