"""One answer of a list operation, and how its parts are found whatever the operation calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

import msgspec

from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.events import Listeners
from spotify_ads_async.operation import ListOperation, ListStyle, Operation

__all__ = ["Caller", "Heard", "Page", "identity", "page_of", "value_in"]

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")

_OFFSET_STYLES = frozenset({ListStyle.OFFSET, ListStyle.OFFSET_UNCOUNTED})
_UUID_LENGTH = 36
_BELONGS_TO = frozenset({"ad_account_id", "campaign_ids", "ad_set_ids", "asset_ids", "audience_ids"})
"""Parameters that say whose rows a list has, or which; rows tell it under the same name, or in their ``id``."""
_ID_ATTRIBUTES = ("id", "change_id")


class Caller(Protocol):
    """All that a walk needs of a session."""

    async def call(
        self,
        operation: Operation[AnswerT],
        *,
        path: Mapping[str, str] = ...,
        query: Mapping[str, object] = ...,
    ) -> AnswerT:
        """One call of ``operation``."""
        ...


@runtime_checkable
class Heard(Protocol):
    """A caller with listeners, who hear of pages too."""

    @property
    def listeners(self) -> Listeners:
        """Who hears."""
        ...


class Page(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True):
    """One page of a list.

    Attributes:
        items: the rows. In a walk: those that the walk has not yielded before. Empty where the server left the
            attribute out.
        total: ``paging.total_results``, or None where the server names none.
        page_size: how many rows the server gives at once, as it says; None where it doesn't.
        offset: the offset that was asked for, from 0; None on lists that take none.
        continuation_token: what leads to the next page, or None at the end and on lists without tokens.
        answer: the whole decoded answer, with whatever else it holds (``warnings``, ``report_start`` …).
    """

    items: list[ItemT]
    total: int | None = None
    page_size: int | None = None
    offset: int | None = None
    continuation_token: str | None = None
    answer: Any = None

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def page_of(
    operation: ListOperation[Any, ItemT], path: Mapping[str, str], query: Mapping[str, object], answer: object
) -> Page[ItemT]:
    """The parts of ``answer``; any may be absent or null (published: every answer field can be), but not all at once.

    Raises:
        InvalidAnswer: the answer says nothing, and so not that the list is empty; leaves out a list that it counts; or
            has rows of another ad account, campaign or ad set than was asked for.
    """
    items = getattr(answer, operation.item_attribute, None)
    paging = getattr(answer, "paging", None)
    total = getattr(paging, "total_results", None)
    page_size = getattr(paging, "page_size", None) or getattr(answer, "page_size", None)
    token = getattr(answer, "continuation_token", None)
    offset = query.get("offset", 0) if operation.style in _OFFSET_STYLES else None
    place = offset if isinstance(offset, int) else 0
    counted = total if isinstance(total, int) else None
    if not isinstance(items, list):
        # Servers that leave out what is empty and what is 0 still say something, such as the size of a page.
        if isinstance(answer, msgspec.Struct) and all(value is None for value in msgspec.structs.astuple(answer)):
            raise InvalidAnswer(
                f"the answer holds no {operation.item_attribute}, and nothing else", operation=operation.id
            )
        if counted is not None and counted > place:
            raise InvalidAnswer(
                f"the answer holds no {operation.item_attribute}, though it counts {counted}", operation=operation.id
            )
    rows = cast("list[ItemT]", items) if isinstance(items, list) else []
    _require_asked(operation, {**path, **query}, rows)
    return Page(
        items=rows,
        total=counted,
        page_size=page_size if isinstance(page_size, int) else None,
        offset=offset if isinstance(offset, int) else None,
        continuation_token=token if isinstance(token, str) and token else None,
        answer=answer,
    )


def _require_asked(operation: ListOperation[Any, Any], asked: Mapping[str, Any], rows: Sequence[object]) -> None:
    """Refuse rows of others, as they come where something on the way ignores what was asked."""
    for name in asked.keys() & _BELONGS_TO:
        attribute = name.removesuffix("s")
        if name != attribute and operation.item_attribute.startswith(attribute.removesuffix("_id")):
            attribute = "id"
        ids = [asked[name]] if isinstance(asked[name], str) else asked[name]
        wanted = {str(one).lower() for one in ids}
        for row in rows:
            found = value_in(row, attribute)
            if isinstance(found, str) and found and found.lower() not in wanted:
                raise InvalidAnswer(
                    f"the list has a row whose {attribute} is {found}, which is not what was asked for",
                    operation=operation.id,
                )


def value_in(row: object, name: str) -> object:
    """A row's value by its name; rows of types that nobody knows are mappings. None where it has none."""
    return cast("dict[str, object]", row).get(name) if isinstance(row, dict) else getattr(row, name, None)


def identity(row: object) -> str | None:
    """What tells a row from every other of its list, or None where the server sent no id (report rows, some geos)."""
    for name in _ID_ATTRIBUTES:
        value = value_in(row, name)
        if isinstance(value, str) and value:
            return value.lower() if len(value) == _UUID_LENGTH else value  # a UUID is the same in either case
        if isinstance(value, int):
            return str(value)
    return None
