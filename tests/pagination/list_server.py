"""Lists held in memory, answered the way the API answers them: the walk's other side, one call at a time."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from spotify_ads_async.operation import ListOperation, ListStyle, Operation
from spotify_ads_async.types import UNSET, UnsetType


class Row(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    name: str = ""


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    page_size: int | None = None
    total_results: int | None = None
    offset: int | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[Row] | UnsetType | None = UNSET
    paging: Paging | UnsetType | None = UNSET
    continuation_token: str | UnsetType | None = UNSET
    warnings: list[str] = []


class SortField(enum.StrEnum):
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    NAME = "NAME"
    ID = "ID"


class SortDirection(enum.StrEnum):
    ASC = "ASC"
    DESC = "DESC"


class Field(enum.StrEnum):
    ID = "ID"
    NAME = "NAME"


ORDERED_QUERY: Mapping[str, Any] = {
    "limit": int,
    "offset": int,
    "sort_field": SortField,
    "sort_direction": SortDirection,
    "fields": list[Field],
    "name": str,
}


def list_operation(
    style: ListStyle = ListStyle.OFFSET,
    *,
    query: Mapping[str, Any] = ORDERED_QUERY,
    page_size: int = 50,
    operation_id: str = "getRows",
) -> ListOperation[Listing, Row]:
    return ListOperation(
        id=operation_id,
        method="GET",
        path="/rows",
        summary="Rows.",
        answer=Listing,
        query=query,
        item=Row,
        item_attribute="rows",
        style=style,
        page_size=page_size,
    )


ROWS = list_operation()
UNCOUNTED = list_operation(ListStyle.OFFSET_UNCOUNTED, query={"limit": int, "offset": int}, page_size=1000)
REPORT = list_operation(ListStyle.CONTINUATION, query={"limit": int, "continuation_token": str}, page_size=50)
LIMITED = list_operation(ListStyle.LIMIT, query={"limit": int}, page_size=50)
WHOLE = list_operation(ListStyle.WHOLE, query={})


def rows(count: int, first: int = 0) -> list[Row]:
    return [Row(id=f"row-{number}", name=f"Row {number}") for number in range(first, first + count)]


def names(items: Sequence[Row]) -> list[str]:
    return [item.name for item in items]


Answering = Callable[[Mapping[str, Any]], object]


@dataclass
class ListServer:
    """Answers with what ``answering`` makes of the query, after one turn of the loop.

    Keeps the queries and counts what is open.
    """

    answering: Answering
    queries: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    cancelled: int = 0
    gate: asyncio.Event | None = None
    ungated: int = 0
    keep: bool = True
    number: int = 0

    async def call(
        self, operation: Operation[Any], *, path: Mapping[str, str] = {}, query: Mapping[str, object] = {}
    ) -> Any:  # noqa: ANN401  # as generic as the operation
        del operation, path
        self.number = number = self.number + 1
        if self.keep:
            self.queries.append(dict(query))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(0)
            if self.gate is not None and number > self.ungated:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1
        return self.answering(query)

    @property
    def offsets(self) -> list[int]:
        return [query["offset"] for query in self.queries]


def offset_answers(
    listed: Sequence[Row], *, total: int | Literal["counted"] | None = "counted", cap: int = 1000
) -> Answering:
    """Pages of ``listed`` as it stands when asked, at most ``cap`` rows each."""

    def answer(query: Mapping[str, Any]) -> Listing:
        offset, limit = query.get("offset", 0), query.get("limit", 50)
        count = len(listed) if total == "counted" else total
        return Listing(
            rows=list(listed[offset : offset + min(limit, cap)]), paging=Paging(total_results=count, offset=offset)
        )

    return answer
