"""The look before a row.

Present states read just ahead of the requests, by single reads or by lists, whichever is cheaper.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Sized
from functools import partial
from typing import Any, TypeAlias

import anyio
from anyio.abc import ObjectSendStream

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import PAGE_SIZE
from spotify_ads_async.bulk.records import RowWork
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.core.tasks import first_cause, some_at_once
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.order import with_order
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.pagination.some import batched

__all__ = ["Lookout", "Offer"]

_ROWS_AT_ONCE = 400
_PARENTS_AT_ONCE = 50
_SINGLY = 2
_PAGES_AHEAD = 10
_PAGES_LAID_BY = 6
_GROUPS_AT_ONCE = 2

_Looked: TypeAlias = tuple[Sequence[int], Mapping[int, str] | None]
"""Rows, and the JSON of their entities where that was read."""

Offer = Callable[[RowWork, str | None], Awaitable[bool]]
"""Takes a row with its entity's JSON, None where it is still to be read; answers whether more rows are wanted.

It waits while many are
under way, so that nothing is read long before it is needed.
"""


class Lookout:
    """Reads what the open rows of a plan are about, and offers row by row.

    Args:
        caller: makes the calls; it keeps the JSON of answers.
        entity: what the rows are about.
        ad_account_id: the ad account.
        journal: the plan.
        is_fresh: whether what the plan says was read a moment ago, so that nothing needs to be read again.
    """

    def __init__(
        self,
        caller: Caller,
        entity: Entity,
        ad_account_id: str,
        journal: Journal[PlanFile],
        is_fresh: Callable[[], bool],
    ) -> None:
        self._caller = caller
        self._entity = entity
        self._path = {"ad_account_id": ad_account_id}
        self._journal = journal
        self._is_fresh = is_fresh

    async def offer_all(self, offer: Offer) -> None:
        """Offer every open row once.

        Lists are read side by side and a little ahead: rows that wait for quota shall not wait for lists as well. Of
        many rows the first one, which goes alone, is not kept waiting until a list shows it.

        Raises:
            SpotifyAdsError: a list could not be read.
        """
        groups = list(_groups(await self._journal.read(PlanFile.parents)))
        if not groups:
            return
        rows = await self._journal.read(lambda plan: plan.open_rows(groups[0]))
        first = min(rows.values()) if len(groups) > 1 else 0
        sender, pages = anyio.create_memory_object_stream[_Looked](_PAGES_LAID_BY)

        async def read() -> None:
            async with sender:
                await some_at_once(partial(self._read_group, sender, first), groups, at_once=_GROUPS_AT_ONCE)

        try:
            async with pages, anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                wanted = not first or await self._offer([first], None, offer)
                while wanted and (looked := await anext(pages, None)) is not None:
                    wanted = await self._offer(*looked, offer)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise first_cause(group) from None

    async def _read_group(self, pages: ObjectSendStream[_Looked], first: int, parents: Sequence[str]) -> None:
        """Read what is in some campaigns or ad sets, and hand over their rows, those that no list shows unread."""
        open_rows = await self._journal.read(lambda plan: plan.open_rows(parents))
        wanted = {entity_id: number for entity_id, number in open_rows.items() if number != first}

        async def take(items: Sequence[Any]) -> None:
            texts = {wanted.pop(str(item.id)): state_of(item) for item in items if str(item.id) in wanted}
            await pages.send((list(texts), texts))

        if len(wanted) > _SINGLY and not self._is_fresh():
            if self._entity.id_filter is not None:
                for chunk in batched(list(wanted), PAGE_SIZE):
                    await take((await self._list({self._entity.id_filter: chunk})).items)
            elif self._entity.parent_filter is not None and all(parents):
                await self._walk(parents, wanted, take)
        await pages.send((list(wanted.values()), None))

    async def _walk(
        self, parents: Sequence[str], wanted: Sized, take: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        """Walk the list of what is in some campaigns or ad sets, unless single reads turn out to be fewer."""
        query = {str(self._entity.parent_filter): list(parents), **with_order(self._entity.states, {})}
        first = await self._list(query)
        await take(first.items)
        left = -(-((first.total or 0) - PAGE_SIZE) // PAGE_SIZE)
        if left <= 0 or len(wanted) <= left:
            return
        rest = self._list({**query, "offset": PAGE_SIZE}).reading_ahead(min(_PAGES_AHEAD, left), eager=True)
        async with rest.pages() as pages:
            async for page in pages:
                await take(page.items)
                if not wanted:
                    break

    def _list(self, query: Mapping[str, object]) -> ListCall[Any]:
        return ListCall(self._caller, self._entity.states, path=self._path, query={"limit": PAGE_SIZE, **query})

    async def _offer(self, numbers: Sequence[int], texts: Mapping[int, str] | None, offer: Offer) -> bool:
        for some in batched(numbers, PAGE_SIZE):
            for work in await self._journal.read(lambda plan, some=some: plan.work(some)):
                text = texts[work.number] if texts is not None else (work.text or None) if self._is_fresh() else None
                if not await offer(work, text):
                    return False
        return True


def _groups(parents: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """Parents side by side, so many that their rows are worth a walk and their list can be asked for at once."""
    group: list[str] = []
    rows = 0
    for parent, count in parents:
        group.append(parent)
        rows += count
        if rows >= _ROWS_AT_ONCE or len(group) == _PARENTS_AT_ONCE:
            yield group
            group, rows = [], 0
    if group:
        yield group
