"""How many rows a server gives at once, and so whether a page that is shorter is the last one. Pure."""

from __future__ import annotations

from typing import Any

from spotify_ads_async.pagination.page import Page

__all__ = ["PageLengths"]


class PageLengths:
    """The lengths of an offset list's pages.

    Args:
        limit: rows asked for per page.
        counted: whether the server counts the rows of such lists.

    Attributes:
        usual: how many rows the server gives at once.
    """

    def __init__(self, limit: int, *, counted: bool) -> None:
        self.usual = limit
        self._limit = limit
        self._counted = counted
        # Whether a page came shorter than it had to be, or longer than what was counted.
        self._wary = False

    def take(self, length: int, total: int | None, reach: int) -> None:
        """Take in a page of ``length`` rows that ends at ``reach``."""
        self._wary |= total is not None and (reach > total or (length < self._limit and reach < total))

    def is_last(self, page: Page[Any], total: int | None, reach: int, *, ends_by_repeating: bool | None) -> bool:
        """Whether a page shorter than asked for is the last one, by the server's number or because nothing follows.

        Args:
            page: the page.
            total: the list's length as it came with it.
            reach: the offset at which it ends.
            ends_by_repeating: of rows without ids, whether the page holds nothing new; None for rows with ids.
        """
        length = len(page.items)
        # A page as long as those before it, or as the server says that its pages are, may have another behind it.
        capped = length > 0 and (length in {self.usual, page.page_size} or self._wary)
        if not length or (total is not None and reach == total and not capped):
            return total is None or reach >= total
        if total is not None and reach < total:
            return False
        # The total is none, or less than what is there: what the server says of its pages, or another answer, must
        # tell.
        if ends_by_repeating is not None:
            return ends_by_repeating
        # Where rows are counted, a page without a count is odd enough to be asked behind.
        return not self._counted and total is None and page.page_size is not None and length < page.page_size
