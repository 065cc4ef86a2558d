"""Finding a place in an offset list that has moved since."""

from __future__ import annotations

from collections.abc import Sequence

from spotify_ads_async.pagination.pagers import OVERLAP, lost_place
from spotify_ads_async.pagination.seen import SeenIds

__all__ = ["Search", "step_after"]


class Search:
    """Where to look for a place that has moved: around where it was, ever further, in both directions.

    Args:
        operation: the operationId, for the error.
        offset: where to look first.
        floor: the least offset.
        limit: rows per page.
        total: how many rows the list had when the place was there, or None where that tells nothing.
    """

    def __init__(self, operation: str, offset: int, floor: int, limit: int, total: int | None) -> None:
        self.offset = max(floor, offset)
        self._operation = operation
        self._floor = floor
        self._limit = limit
        self._former_total = total
        self._low: int | None = None
        self._high = 0
        self._width = limit
        self._leftwards = False
        self._right_end = False

    def find(self, keys: Sequence[str], seen: SeenIds, total: int | None) -> bool:
        """Whether a page holds the place; where to look next otherwise.

        Raises:
            WalkIncomplete: no place is left to look at.
        """
        last = max((index for index, key in enumerate(keys) if key in seen), default=None)
        if last is None:
            if not self._miss(len(keys), total):
                raise lost_place(self._operation)
            return False
        # What stands before a row that was yielded was yielded too, or is newer than the walk.
        for key in keys[:last]:
            seen.add(key)
        return True

    def _miss(self, length: int, total: int | None) -> bool:
        """The page at :attr:`offset` does not hold the place.

        Whether there is anywhere left to look, then in :attr:`offset`.
        """
        if self._former_total is not None and total is not None and total != self._former_total:
            # Rows created in front have pushed the place on by as many.
            growth, self._former_total = total - self._former_total, None
            self.offset = max(self._floor, self.offset + growth)
            return True
        self._former_total = None
        short = length < self._limit
        end = short and (total is None or self.offset + length >= total)
        if short and length and not end:
            self._width = length
        # A page may be shorter than the step to it: what lies between is looked at too.
        gap = self._low is None or 0 < length < self._low - self.offset
        self._low = self.offset if self._low is None else min(self._low, self.offset)
        if gap or self.offset >= self._high:
            self._high = self.offset + step_after(length, OVERLAP)
            self._right_end = end or not length
        if self._low <= self._floor and self._right_end:
            return False
        self._leftwards = self._low > self._floor and (self._right_end or not self._leftwards)
        self.offset = max(self._floor, self._low - step_after(self._width, OVERLAP)) if self._leftwards else self._high
        return True


def step_after(length: int, overlap: int) -> int:
    """How far the next page begins after one of ``length`` rows."""
    return max(1, length - min(overlap, length - 1)) if length else 0
