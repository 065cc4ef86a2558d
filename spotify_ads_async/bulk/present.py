"""Reading the present state of many entities by few requests: lists where they are cheaper than single reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import RequestRejected
from spotify_ads_async.pagination import READ_AHEAD, ListCall
from spotify_ads_async.pagination.order import with_order
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.pagination.some import batched

__all__ = ["MISSING", "PAGE_SIZE", "Found", "Take", "read_present"]

PAGE_SIZE = 50
"""The largest page that the lists of campaigns, ad sets and ads give."""

_WITHOUT_ASKING = 2
MISSING = frozenset({400, 404})
"""What a single read of something that is not there is answered with.

The document has no 404 for every kind: then 400 says the same.
"""

Found = tuple[str, msgspec.Struct | None]
"""An id and its entity, None where there is none."""

Take = Callable[[Sequence[Found]], Awaitable[None]]
"""Receives what was found, a page at a time, in no order."""


async def read_present(caller: Caller, entity: Entity, ad_account_id: str, wanted: Iterable[str], take: Take) -> None:
    """Read every entity of ``wanted``, each once, and hand them to ``take``.

    A list gives fifty for one request and a single read one. Campaigns are listed by their ids. Ad sets and ads have no
    such filter: the first page tells how many there are, and then either the list is walked or the rest is read singly,
    whichever needs fewer requests. What no list shows is asked for by its id before it counts as missing.

    Raises:
        SpotifyAdsError: a read failed for good.
    """
    reader = _Reader(caller, entity, ad_account_id, wanted, take)
    if len(reader.missing) > _WITHOUT_ASKING:
        if entity.id_filter is not None:
            await reader.list_by_ids(entity.id_filter)
        else:
            await reader.walk()
    await reader.get_rest()


class _Reader:
    def __init__(self, caller: Caller, entity: Entity, ad_account_id: str, wanted: Iterable[str], take: Take) -> None:
        self._caller = caller
        self._entity = entity
        self._path = {"ad_account_id": ad_account_id}
        self._take = take
        self.missing = dict.fromkeys(wanted)

    async def _found(self, items: Iterable[Any]) -> None:
        found: list[Found] = []
        for item in items:
            entity_id = str(item.id)
            if self.missing.pop(entity_id, item) is None:
                found.append((entity_id, item))
        if found:
            await self._take(found)

    def _list(self, query: Mapping[str, object]) -> ListCall[Any]:
        return ListCall(self._caller, self._entity.states, path=self._path, query={"limit": PAGE_SIZE, **query})

    async def list_by_ids(self, parameter: str) -> None:
        async def read(chunk: Sequence[str]) -> None:
            await self._found((await self._list({parameter: chunk})).items)

        await some_at_once(read, list(batched(list(self.missing), PAGE_SIZE)))

    async def walk(self) -> None:
        # An order that edits cannot change, the same for the first page and for the walk behind it.
        order = with_order(self._entity.states, {})
        first = await self._list(order)
        await self._found(first.items)
        left = (first.total or 0) - PAGE_SIZE
        pages_left = -(-left // PAGE_SIZE)
        if pages_left <= 0 or len(self.missing) <= pages_left:
            return
        rest = self._list({**order, "offset": PAGE_SIZE}).reading_ahead(min(READ_AHEAD, pages_left), eager=True)
        async with rest.pages() as pages:
            async for page in pages:
                await self._found(page.items)
                if not self.missing:
                    return

    async def get_rest(self) -> None:
        async def read(entity_id: str) -> None:
            found: msgspec.Struct | None = None
            try:
                found = await self._caller.call(
                    self._entity.get, path={**self._path, self._entity.id_column: entity_id}
                )
            except RequestRejected as refused:
                if refused.status not in MISSING:
                    raise
            self.missing.pop(entity_id, None)
            await self._take([(entity_id, found)])

        await some_at_once(read, list(self.missing))
