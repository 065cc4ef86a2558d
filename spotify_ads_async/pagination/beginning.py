"""Where an offset walk began, so that later passes leave out what was created since. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from spotify_ads_async.pagination.pagers import OVERLAP
from spotify_ads_async.pagination.sweep import is_ordered

__all__ = ["Beginning"]


class Beginning:
    """The first page of a walk: its first rows, and which way their sort keys run.

    Rows that stand before the walk's first one were created meanwhile. To yield them in a later pass would never end
    where each row that comes makes its reader create another.

    Args:
        sort_key: what a row is sorted by, None where that is not known.
    """

    def __init__(self, sort_key: Callable[[object], Any]) -> None:
        self._sort_key = sort_key
        self._keys: Sequence[str] = ()
        self._newest: Any = None
        self._oldest: Any = None

    def remember(self, rows: Sequence[object], keys: Sequence[str]) -> None:
        """Take the first page."""
        self._keys = keys[: 2 * OVERLAP]
        sort_keys = [self._sort_key(row) for row in rows]
        if rows and is_ordered(sort_keys):
            self._newest, self._oldest = sort_keys[0], sort_keys[-1]

    def newer(self, rows: Sequence[object], keys: Sequence[str], grown: int | None) -> set[int]:
        """The indexes of a page's rows that are newer than the walk.

        Args:
            rows: the page's rows.
            keys: what tells them apart.
            grown: by how many rows the list has grown, where the page is its first one, and rows keep their order.
        """
        first = 0
        if grown is not None:
            first = next((index for index, key in enumerate(keys[: grown + 1]) if key in self._keys), 0)
        sort_keys = [self._sort_key(row) for row in rows]
        if not is_ordered(sort_keys):
            return set(range(first))
        return {
            index
            for index, one in enumerate(sort_keys)
            if index < first or self._newer(sort_keys[0], one, sort_keys[-1])
        }

    def _newer(self, first: Any, one: Any, last: Any) -> bool:  # noqa: ANN401 - whatever a list is sorted by
        """Whether a row stands before the walk's first one by its sort key.

        The page's ends tell which way the order runs; where it has turned round since the first page, nothing is newer.
        """
        if self._newest is None or first == last:
            return False
        turned = self._newest != self._oldest and (self._newest > self._oldest) != (first > last)
        return not turned and (one > self._newest if first > last else one < self._newest)
