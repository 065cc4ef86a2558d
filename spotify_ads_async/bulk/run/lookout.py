"""The look before a row.

Present states read just ahead of the requests, by single reads or by lists, whichever is cheaper.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import PAGE_SIZE
from spotify_ads_async.bulk.records import RowWork
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.order import with_order
from spotify_ads_async.pagination.page import Caller

__all__ = ["Lookout", "Offer"]

_ROWS_AT_ONCE = 200
_PARENTS_AT_ONCE = 50
_SINGLY = 2
_PAGES_AHEAD = 2

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

        Raises:
            SpotifyAdsError: a list could not be read.
        """
        for parents in _groups(await self._journal.read(PlanFile.parents)):
            wanted = await self._journal.read(lambda plan, parents=parents: plan.open_rows(parents))
            if not await self._offer_group(parents, wanted, offer):
                return

    async def _offer_group(self, parents: Sequence[str], wanted: dict[str, int], offer: Offer) -> bool:
        if self._is_fresh():
            return await self._offer(list(wanted.values()), None, offer)
        if len(wanted) > _SINGLY:
            if self._entity.id_filter is not None:
                for chunk in _chunks(list(wanted)):
                    page = await self._list({self._entity.id_filter: chunk})
                    if not await self._offer_found(page.items, wanted, offer):
                        return False
            elif (
                self._entity.parent_filter is not None and all(parents) and not await self._walk(parents, wanted, offer)
            ):
                return False
        return await self._offer(list(wanted.values()), None, offer)

    async def _walk(self, parents: Sequence[str], wanted: dict[str, int], offer: Offer) -> bool:
        """Walk the list of what is in some campaigns or ad sets, unless single reads turn out to be fewer."""
        query = {str(self._entity.parent_filter): list(parents), **with_order(self._entity.states, {})}
        first = await self._list(query)
        if not await self._offer_found(first.items, wanted, offer):
            return False
        left = -(-((first.total or 0) - PAGE_SIZE) // PAGE_SIZE)
        if left <= 0 or len(wanted) <= left:
            return True
        rest = self._list({**query, "offset": PAGE_SIZE}).reading_ahead(min(_PAGES_AHEAD, left))
        async with rest.pages() as pages:
            async for page in pages:
                if not await self._offer_found(page.items, wanted, offer):
                    return False
                if not wanted:
                    break
        return True

    def _list(self, query: Mapping[str, object]) -> ListCall[Any]:
        return ListCall(self._caller, self._entity.states, path=self._path, query={"limit": PAGE_SIZE, **query})

    async def _offer_found(self, items: Sequence[Any], wanted: dict[str, int], offer: Offer) -> bool:
        texts = {wanted.pop(str(item.id)): state_of(item) for item in items if str(item.id) in wanted}
        return await self._offer(list(texts), texts, offer)

    async def _offer(self, numbers: Sequence[int], texts: Mapping[int, str] | None, offer: Offer) -> bool:
        for some in _chunks(numbers):
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


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + PAGE_SIZE] for start in range(0, len(items), PAGE_SIZE))
