"""One call of an operation, as its handler sees it, and what handlers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from spotify_ads_async.emulator.domain.answers import Response
from spotify_ads_async.emulator.domain.store import Account, Business, Store
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["Call", "Handler", "page", "paging"]


class Call(msgspec.Struct, kw_only=True):
    """A request that kept to the document: path, query and body are checked and converted."""

    operation: str
    store: Store
    path: dict[str, str]
    query: dict[str, Any]
    body: Any = None
    client_id: str = ""
    origin: str = ""

    @property
    def account(self) -> Account:
        """The ad account in the path."""
        return self.store.account(self.path["ad_account_id"])

    @property
    def business(self) -> Business:
        """The business in the path."""
        return self.store.business(self.path["business_id"])


Handler: TypeAlias = Callable[[Call], Response]


def paging(total: int, offset: int, limit: int) -> dict[str, int]:
    """The ``paging`` attribute of a list."""
    return {"page_size": limit, "total_results": total, "offset": offset, "current_page": offset // limit + 1}


def page(call: Call, rows: list[Row], key: str) -> Response:
    """One page of ``rows``, under ``key``."""
    offset, limit = call.query["offset"], call.query["limit"]
    return Response({"paging": paging(len(rows), offset, limit), key: rows[offset : offset + limit]}, rows_in=key)
