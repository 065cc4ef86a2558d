"""How far an offset walk has come, in the list's order: what its position names."""

from __future__ import annotations

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
        self._recent: tuple[str, ...] = ()
        self._offset = offset
        self._total: int | None = None
        self._behind = False
        # As it was before the last page; that page, and which of its new rows lie beyond: all but the first few.
        self._before = self._recent, offset
        self._page: tuple[int, Sequence[str]] = offset, ()
        self._added: Sequence[int] = ()
        self._repeated = 0

    def resume(self, start: Position) -> None:
        """Stand where ``start`` says."""
        self._recent, self._offset, self._total = start.after[-REMEMBERED_ROWS:], start.offset, start.total
        self._before = start.after, start.offset

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
        self._before = self._recent, self._offset
        self._page, self._added = (offset, keys), [index for index in new if index > beyond]
        self._repeated = len(new) - len(self._added)
        if self._added:
            self._total = total
        self._recent, self._offset, _ = self.place(None)

    def place(self, taken: int | None) -> tuple[tuple[str, ...], int, int | None]:
        """After ``taken`` new rows of the last page: the rows before the place, its offset, the list's length then.

        None stands for all rows.
        """
        after, place = self._before
        offset, keys = self._page
        added = self._added if taken is None else self._added[: max(0, taken - self._repeated)]
        if added:
            after, place = (*after, *[keys[index] for index in added[-REMEMBERED_ROWS:]]), offset + added[-1] + 1
        return after[-REMEMBERED_ROWS:], place, self._total
