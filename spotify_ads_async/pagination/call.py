"""A list call: awaited it is one page, iterated it is every item."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any, Generic, NoReturn, Self, TypeVar

from spotify_ads_async.errors import ConfigurationError, InvalidRequest
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination.offsets import OffsetPager
from spotify_ads_async.pagination.order import is_fixed, with_identity, with_order
from spotify_ads_async.pagination.page import Caller, Page, page_of
from spotify_ads_async.pagination.pagers import ContinuationPager, Pager, WholePager
from spotify_ads_async.pagination.position import Position, list_digest
from spotify_ads_async.pagination.walk import PageWalk, Walk
from spotify_ads_async.types import UNSET

__all__ = ["READ_AHEAD", "ListCall", "require_filters"]

ItemT = TypeVar("ItemT")

READ_AHEAD = 16
"""Pages read ahead by default.

At 320 ms per answer they make 50 requests per second, which is what the windows sustain.
"""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def require_filters(filters: Mapping[str, Any], operation: str, place: str = "query") -> None:
    """Refuse a filter without values.

    Raises:
        InvalidRequest: one has none; on the wire it would be no filter.
    """
    for name, value in filters.items():
        if value in ([], ()):
            raise InvalidRequest(
                f"{name}=[] would be no filter, and list everything: leave it out for that",
                operation=operation,
                path=f"{place}.{name}",
                value=value,
                rule="one at least",
            )


class ListCall(Generic[ItemT]):
    """One list of the API, not yet asked for.

    ``await`` it for one page, as the query says; ``async for`` over it for every item; :meth:`collect` for a list of
    them; :meth:`pages` for every page. Each use asks the server anew.

    A walk keeps this promise: a row that is in the list from the walk's first request to its last is yielded exactly
    once, whatever is created and archived meanwhile, or the walk ends with :class:`WalkIncomplete`; and no row is
    yielded twice. It holds under orders that edits cannot change (``CREATED_AT``, ``ID``, ``TIMESTAMP``); where the
    query names no order and the operation offers one, the walk asks for such a one.
    ``docs/explanation/walking.md`` says what holds under the others.

    Args:
        session: what makes the calls.
        operation: the list operation.
        path: the path's parameters.
        query: the query; ``limit`` is the size of a page, ``offset`` where to begin. Values that are UNSET are left
            out.
        read_ahead: see :meth:`reading_ahead`.
        eager: see :meth:`reading_ahead`.
        start: see :meth:`starting_at`.
    """

    def __init__(
        self,
        session: Caller,
        operation: ListOperation[Any, ItemT],
        *,
        path: Mapping[str, str] = _NOTHING,
        query: Mapping[str, object] = _NOTHING,
        read_ahead: int = READ_AHEAD,
        eager: bool = False,
        start: Position | None = None,
    ) -> None:
        self._session = session
        self._operation = operation
        self._path = dict(path)
        self._query = {name: value for name, value in query.items() if value is not UNSET}
        self._read_ahead = read_ahead
        self._eager = eager
        self._start = start

    def __repr__(self) -> str:
        """What is listed, and by what; each use of it asks the server."""
        asked = ", ".join(f"{name}={value!r}" for name, value in {**self._path, **self._query}.items())
        return (
            f"<{type(self).__name__} {self._operation.id}({asked}): `await` it for a page, `async for` for every item>"
        )

    def __await__(self) -> Generator[Any, None, Page[ItemT]]:
        return self._one_page().__await__()

    async def _one_page(self) -> Page[ItemT]:
        if self._start is not None:
            raise ConfigurationError(
                "a position is for walking: iterate over this call, or await one with an offset",
                operation=self._operation.id,
            )
        self._check_place()
        answer = await self._session.call(self._operation, path=self._path, query=self._query)
        return page_of(self._operation, self._path, self._query, answer)

    def __iter__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} {self._operation.id} is read from the network: write `async for`, or `await"
            " ….collect()`"
        )

    def __aiter__(self) -> Walk[ItemT]:
        return self.walk()

    def walk(self) -> Walk[ItemT]:
        """An iterator over every item that also tells its ``position``.

        It can be closed (``async with``, ``aclose``).
        """
        return Walk(self.pages())

    def pages(self) -> PageWalk[ItemT]:
        """An iterator over every page.

        Each holds the rows that no earlier one held, so most hold a few less than ``limit``.

        Raises:
            InvalidRequest: ``limit`` is less than 1, or ``offset`` less than 0.
        """
        self._check_place()
        return PageWalk(
            self._session, self._operation, self._path, self._pager(), read_ahead=self._read_ahead, eager=self._eager
        )

    def _check_place(self) -> None:
        """Refuse what no page can begin at or hold, and a filter that would be none."""
        require_filters({name: value for name, value in self._query.items() if name != "fields"}, self._operation.id)
        for name, least in (("limit", 1), ("offset", 0)):
            value = self._query.get(name)
            if isinstance(value, int) and value < least:
                raise InvalidRequest(
                    f"{name}={value} is not possible: it is {least} or more",
                    operation=self._operation.id,
                    path=f"query.{name}",
                    value=value,
                    rule=f"at least {least}",
                )

    async def collect(self) -> list[ItemT]:
        """Every item, in a list.

        Raises:
            WalkIncomplete: rows are missing, or the server leads nowhere.
            SpotifyAdsError: what a call raised.
        """
        async with self._changed(eager=True).pages() as pages:
            return [item async for page in pages for item in page.items]

    def starting_at(self, position: str) -> Self:
        """The same list, walked from where an earlier walk stood (its ``position``), in this process or another.

        The rows just before the place are looked for, so it is found again though rows were created or archived since.
        Rows yielded before the position are not known any more: one that an edit moves behind it is yielded again.

        Raises:
            ConfigurationError: the text is no position, or one of another list, filter or order.
        """
        start = Position.parse(position)
        if start.operation != self._operation.id:
            raise ConfigurationError(f"the position belongs to {start.operation}", operation=self._operation.id)
        if start.list != self._digest():
            raise ConfigurationError(
                "the position belongs to a walk with other ids, filters or order: call the list with the same"
                " arguments",
                operation=self._operation.id,
            )
        return self._changed(start=start)

    def reading_ahead(self, pages: int, *, eager: bool = False) -> Self:
        """The same list with at most ``pages`` pages read before they are asked for; 0 reads page by page.

        A walk begins with few pages ahead and doubles them page by page, for it may be left early. An ``eager`` one
        reads as far ahead as it may from the second page on: for walks that will read everything.

        Raises:
            ConfigurationError: ``pages`` is negative.
        """
        if pages < 0:
            raise ConfigurationError(
                f"reading {pages} pages ahead is not possible: 0 reads page by page", operation=self._operation.id
            )
        return self._changed(read_ahead=pages, eager=eager)

    def _changed(
        self, *, start: Position | None = None, read_ahead: int | None = None, eager: bool | None = None
    ) -> Self:
        return type(self)(
            self._session,
            self._operation,
            path=self._path,
            query=self._query,
            read_ahead=self._read_ahead if read_ahead is None else read_ahead,
            eager=self._eager if eager is None else eager,
            start=self._start if start is None else start,
        )

    def _walked_query(self) -> dict[str, object]:
        """The query of a walk: with an order that lasts, and with ids."""
        if self._operation.style in {ListStyle.OFFSET, ListStyle.OFFSET_UNCOUNTED}:
            return with_identity(self._operation, with_order(self._operation, self._query))
        return self._query

    def _digest(self) -> str:
        return list_digest(self._path, self._walked_query())

    def _pager(self) -> Pager[ItemT]:
        query, digest = self._walked_query(), self._digest()
        match self._operation.style:
            case ListStyle.OFFSET | ListStyle.OFFSET_UNCOUNTED:
                return OffsetPager(self._operation, query, fixed=is_fixed(query), digest=digest, start=self._start)
            case ListStyle.CONTINUATION:
                return ContinuationPager(self._operation, query, digest, self._start)
            case ListStyle.LIMIT | ListStyle.WHOLE:
                return WholePager(self._operation, query, digest, self._start)
