"""The iterators: they send what a pager names, several requests at once, and hand the answers out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import msgspec

from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError, WalkIncomplete
from spotify_ads_async.events import Listeners, PageWalked
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.pagination.page import Caller, Heard, Page, page_of
from spotify_ads_async.pagination.pagers import Pager, Request

__all__ = ["WHILE_WALKING", "PageWalk", "Walk"]

WHILE_WALKING = "while walking"
"""How the note begins that tells a program where a walk stood when a call failed."""

ItemT = TypeVar("ItemT")


class PageWalk(Generic[ItemT]):
    """Every page of a list, in order; its ``items`` are the rows that the walk has not yielded before.

    Several tasks may take pages from one walk. After an error, or a cancellation, the walk still stands where it stood:
    asking it for the next page asks the server again.

    Requests are made ahead in tasks that belong to this object. They end when the walk ends, when taking a page fails
    or is cancelled, on leaving ``async with``, by :meth:`aclose`, and at the latest when the object is dropped, as a
    ``break`` in a plain ``async for`` does.
    """

    def __init__(
        self,
        caller: Caller,
        operation: ListOperation[Any, ItemT],
        path: Mapping[str, str],
        pager: Pager[ItemT],
        *,
        read_ahead: int,
        eager: bool = False,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._caller = caller
        self._listeners = caller.listeners if isinstance(caller, Heard) else Listeners()
        self._operation = operation
        self._path = path
        self._pager = pager
        self._read_ahead = read_ahead
        self._eager = eager
        # Tells the pager what it walks, before the first page; asked again where it fails.
        self._prepare = prepare
        # Starts with one page, and doubles with each unless it is eager, so that a walk which is left early has asked
        # for little that nobody reads.
        self._depth = 0
        self._ahead: deque[tuple[Request, asyncio.Task[Page[ItemT]]]] = deque()
        self._ending: set[asyncio.Task[Page[ItemT]]] = set()
        self._turn = asyncio.Lock()
        self._began = False
        self._yielded = 0
        self._closed = False

    @property
    def position(self) -> str:
        """The place after the last page taken, as text to keep: see :meth:`ListCall.starting_at`."""
        return self.position_within(None)

    def position_within(self, taken: int | None) -> str:
        """The place after the first ``taken`` items of the last page taken, None for all of them."""
        return str(self._pager.position(taken))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[ItemT]:
        """The next page that has new rows; the first one also when it has none.

        Raises:
            WalkIncomplete: rows are missing, or the server leads nowhere.
            SpotifyAdsError: what a call raised; a note says where the walk stood.
        """
        async with self._turn:
            try:
                while True:
                    page = await self._take()
                    if page is not None:
                        return page
            except GeneratorExit:
                self._cancel()
                raise
            except BaseException as error:
                if isinstance(error, WalkIncomplete):
                    self._closed = True
                    error.yielded = self._yielded
                await self._end()
                raise

    async def _take(self) -> Page[ItemT] | None:
        """The oldest page read ahead, None where it holds nothing new."""
        if self._prepare is not None and not self._closed:
            await self._prepare()
            self._prepare = None
        if self._closed or self._pager.done:
            error = None if self._closed else self._pager.missing()
            self._closed = True
            if error is not None:
                raise error
            raise StopAsyncIteration
        self._fill(max(1, self._depth))
        request, page = await self._oldest()
        if self._closed:
            raise StopAsyncIteration
        # From here on nothing waits: a cancellation must not take rows away that count as yielded.
        self._ahead.popleft()
        outcome = self._pager.accept(request, page)
        if outcome.restart:
            self._depth //= 2
            self._cancel()
        else:
            self._depth = self._read_ahead if self._eager else min(self._read_ahead, max(1, self._depth * 2))
        self._fill(self._depth)
        if not outcome.rows and (self._began or outcome.rows is None):
            return None
        self._began = True
        self._yielded += len(outcome.rows)
        if self._listeners:
            self._listeners.emit(PageWalked(operation=self._operation.id, rows=len(outcome.rows)))
        return msgspec.structs.replace(page, items=outcome.rows)

    async def _oldest(self) -> tuple[Request, Page[ItemT]]:
        """The oldest request that was sent, and its answer."""
        request, task = self._ahead[0]
        if task.done() and not task.cancelled() and task.exception() is not None:
            # It failed while nobody waited for it (for quota longer than max_wait, say). Page by page it would be asked
            # for now.
            task = self._ask(request)
            self._ahead[0] = (request, task)
        try:
            return request, await task
        except asyncio.CancelledError:
            consumer = asyncio.current_task()
            if self._closed and (consumer is None or not consumer.cancelling()):
                # Closed by another task: the end of this walk, and no cancellation of whoever waits for it.
                raise StopAsyncIteration from None
            raise
        except InvalidRequest:
            raise
        except SpotifyAdsError as error:
            where = "" if request.offset is None else f" at offset {request.offset}"
            error.add_note(
                f"{WHILE_WALKING} {self._operation.id}{where}; ask the walk for its next row to try again, or go on"
                " from its position"
            )
            raise

    def _fill(self, depth: int) -> None:
        """Send requests until ``depth`` pages are read or being read ahead."""
        while len(self._ahead) < depth:
            request = self._pager.next_request()
            if request is None:
                return
            self._ahead.append((request, self._ask(request)))

    def _ask(self, request: Request) -> asyncio.Task[Page[ItemT]]:
        task = asyncio.create_task(
            _read(self._caller, self._operation, self._path, request.query), name=f"read {self._operation.id}"
        )
        task.add_done_callback(_look_at)
        return task

    def _cancel(self) -> None:
        """Let what is read ahead end."""
        for _, task in self._ahead:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._ahead.clear()
        self._pager.rewind()

    async def _end(self) -> None:
        """End what is read ahead, and wait until it has ended."""
        self._cancel()
        if self._ending:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(self._ending)

    async def aclose(self) -> None:
        """End the walk and its requests."""
        self._closed = True
        await self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        for _, task in self._ahead:
            loop = task.get_loop()
            if not task.done() and not loop.is_closed():
                # The collector may run in any thread.
                loop.call_soon_threadsafe(task.cancel)


async def _read(
    caller: Caller, operation: ListOperation[Any, ItemT], path: Mapping[str, str], query: Mapping[str, object]
) -> Page[ItemT]:
    # A function of its own: the task must not hold the walk, or dropping the walk could not end it.
    return page_of(operation, path, query, await caller.call(operation, path=path, query=query))


def _look_at(task: asyncio.Task[Any]) -> None:
    """An error in a page that nobody came to read is nobody's."""
    if not task.cancelled():
        task.exception()


class Walk(Generic[ItemT]):
    """Every item of a list, in order, each once: what ``async for`` over a list call uses.

    Several tasks may take items from one walk; each gets the next. What :class:`PageWalk` says of errors, cancellation
    and the end of its requests holds here too.
    """

    def __init__(self, pages: PageWalk[ItemT]) -> None:
        self._pages = pages
        self._rows: list[ItemT] = []
        self._taken = 0
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def position(self) -> str:
        """The place after the last item taken, as text to keep: see :meth:`ListCall.starting_at`."""
        return self._pages.position_within(self._taken)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        """The next item.

        Raises:
            WalkIncomplete: rows are missing, or the server leads nowhere.
            SpotifyAdsError: what a call raised; a note says where the walk stood.
        """
        if self._closed:
            raise StopAsyncIteration
        if self._taken == len(self._rows):
            async with self._turn:
                while self._taken == len(self._rows):
                    page = await self._pages.__anext__()
                    self._rows, self._taken = page.items, 0
        row = self._rows[self._taken]
        self._taken += 1
        return row

    async def aclose(self) -> None:
        """End the walk and its requests."""
        self._closed = True
        await self._pages.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
