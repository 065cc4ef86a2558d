"""Notices a server that leads an offset walk nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from spotify_ads_async.errors import WalkIncomplete
from spotify_ads_async.pagination.pagers import MAX_ROWS_WITHOUT_TOTAL, OVERLAP

__all__ = ["Watch"]

_MAX_EQUAL_PAGES = 3
_MAX_OVERRUNS = 3
_ROOM_TO_GROW = 100_000
_MAX_STEPS_BACK_WITHOUT_TOTAL = 1000


class Watch:
    """Counts what a sound list cannot show for long, and raises :class:`WalkIncomplete` when it does.

    Args:
        operation: the operationId, for the error.
        limit: rows asked for per page.
    """

    def __init__(self, operation: str, limit: int) -> None:
        self.yielded = 0
        self._operation = operation
        self._limit = limit
        self._first_total: int | None = None
        self._last_keys: Sequence[str] = ()
        self._last_offset = -1
        self._equal_pages = self._overruns = self._passed_over = self._steps_back = 0

    def page(self, offset: int, keys: Sequence[str], new: int, total: int | None) -> None:
        """Look at a page that counts: its offset, its rows' keys, how many are new, and the total it came with."""
        if self._first_total is None:
            self._first_total = total
        self.yielded += new
        # Rows with ids are new once, so this is for rows without: the same ones, taken for new at another offset.
        repeated = new > 0 and offset != self._last_offset and keys == self._last_keys
        self._equal_pages = self._equal_pages + 1 if repeated else 0
        self._last_keys, self._last_offset = keys, offset
        self._passed_over = 0 if new else self._passed_over + max(1, len(keys) - OVERLAP)
        overran = total is not None and new > 0 and offset > total + self._limit
        self._overruns = self._overruns + 1 if overran else 0
        if self._equal_pages >= _MAX_EQUAL_PAGES:
            raise self._error(offset, "the server answers the same rows whatever the offset")
        if self._passed_over > 2 * self.yielded + 10 * self._limit:
            raise self._error(
                offset, f"the last {self._passed_over} rows were all read before: the server repeats itself"
            )
        if self._overruns >= _MAX_OVERRUNS:
            raise self._error(offset, f"the server counts {total} rows and goes on beyond them")
        if self.yielded > self._bound():
            raise self._error(offset, "the list grows as fast as it is read, or has no end")

    def step_back(self, offset: int, total: int | None) -> None:
        """Look at a page that does not connect to the rows before it, so that the walk must look further left."""
        self._steps_back += 1
        # Where there is a total, what such a walk can yield is bounded by it.
        if total is None and self._steps_back > _MAX_STEPS_BACK_WITHOUT_TOTAL:
            raise self._error(offset, f"pages did not connect {self._steps_back} times: every answer holds other rows")

    def _bound(self) -> int:
        return MAX_ROWS_WITHOUT_TOTAL if self._first_total is None else 2 * self._first_total + _ROOM_TO_GROW

    def _error(self, offset: int, what: str) -> WalkIncomplete:
        return WalkIncomplete(
            f"{what} (at offset {offset}, after {self.yielded} rows); the rows so far are sound, and whether more exist"
            " cannot be known: walk again, with filters that narrow the list, and tell the API's support if it"
            " stays so",
            operation=self._operation,
        )
