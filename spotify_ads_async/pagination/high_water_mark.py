"""How far an offset walk has come, in the list's order: what its position names."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from spotify_ads_async.pagination.position import REMEMBERED_ROWS, Position

__all__ = ["HighWaterMark"]


class HighWaterMark:
    """The rows yielded last, in the list's order.

    That is not always the order in which they were yielded. When everything up to the walk's place was pushed on or
    taken away, the walk begins at its first offset again, and the rows that it yields there stand before its place:
    they must not count as the place, or going on from it would repeat what lies between. They count again once the old
    place has been passed.

    Args:
        offset: where the walk begins.
    """

    def __init__(self, offset: int) -> None:
        self._recent: deque[str] = deque(maxlen=REMEMBERED_ROWS)
        self._offset = offset
        self._total: int | None = None
        self._behind = False
        # As it was before the last page, and what that page added: the offset behind each new row, and its key if it
        # lies beyond.
        self._before: tuple[tuple[str, ...], int] = ((), offset)
        self._added: list[tuple[int, str | None]] = []

    def resume(self, start: Position) -> None:
        """Stand where ``start`` says."""
        self._recent.extend(start.after)
        self._offset, self._total = start.offset, start.total
        self._before = (start.after, start.offset)

    def page(self, offset: int, keys: Sequence[str], new: Sequence[int], *, total: int | None, first: bool) -> None:
        """Take in a page that counts.

        Args:
            offset: its offset.
            keys: its rows' keys.
            new: which of them are new, by index.
            total: the list's length.
            first: whether it is at the walk's first offset.
        """
        known = set(self._recent)
        passed = max((index for index, key in enumerate(keys) if key in known), default=None)
        self._behind = passed is None and (self._behind or (first and bool(known)))
        beyond = len(keys) if self._behind else -1 if passed is None else passed
        self._before = (tuple(self._recent), self._offset)
        self._added = [(offset + index + 1, keys[index] if index > beyond else None) for index in new]
        for place, key in self._added:
            if key is not None:
                self._recent.append(key)
                self._offset, self._total = place, total

    def place(self, taken: int | None) -> tuple[tuple[str, ...], int, int | None]:
        """After ``taken`` new rows of the last page: the rows before the place, its offset, the list's length then.

        None stands for all rows.
        """
        after, offset = self._before
        for place, key in self._added[:taken]:
            if key is not None:
                after, offset = (*after, key), place
        return after[-REMEMBERED_ROWS:], offset, self._total
