"""What can be changed in bulk: ad sets, campaigns and ads, each with its operations and its rules."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from spotify_ads_async.bulk.plan.columns import Column, Kind, columns_of
from spotify_ads_async.operation import ListOperation, Operation
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import Answer

__all__ = ["ADS", "AD_SETS", "CAMPAIGNS", "ENTITIES", "Entity"]


class Entity:
    """A kind of thing that rows of changes are about.

    Attributes:
        name: the singular, ``ad set``.
        plural: the plural, ``ad sets``.
        id_column: the column and the path parameter that hold its id, ``ad_set_id``.
        update: the operation that changes one.
        get: the operation that reads one.
        list: the operation that reads many.
        states: the same, for those who read the JSON of the items: nothing else of them is decoded than what tells one
            from another and when it was made.
        id_filter: the list's query parameter for ids of the entity itself, or None where it has none.
        alone: fields that the API takes only without others in one request.
        parent_field: the field that holds the id of what it is in, or nothing.
        parent_filter: the list's query parameter for such ids, or None.
    """

    def __init__(
        self,
        *,
        name: str,
        update: str,
        get: str,
        listing: str,
        id_filter: str | None = None,
        alone: frozenset[str] = frozenset(),
        parent_field: str = "",
    ) -> None:
        self.name = name
        self.plural = f"{name}s"
        self.id_column = f"{name.replace(' ', '_')}_id"
        self.update: Operation[Any] = OPERATIONS[update]
        self.get: Operation[Any] = OPERATIONS[get]
        self.list: ListOperation[Any, Any] = _list_operation(listing)
        self.states = _undecoded(self.list)
        self.id_filter = id_filter
        self.alone = alone
        self.parent_field = parent_field
        self.parent_filter = f"{parent_field}s" if parent_field else None

    @functools.cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns that may be written."""
        return columns_of(self.update.body)

    @property
    def answer_columns(self) -> Mapping[str, Column]:
        """The columns of what is answered."""
        return columns_of(self.get.answer)

    @functools.cached_property
    def has_money(self) -> bool:
        """Whether amounts of money can be written."""
        return any(column.kind is Kind.AMOUNT for column in self.columns.values())

    def export_columns(self, *, micros: bool = False) -> tuple[Column, ...]:
        """The columns of an export: a struct of plain values is written as its parts, any other as JSON.

        Args:
            micros: amounts of money stand in micros, and not in currency units.
        """
        names = self.columns.keys()
        parted = {
            name for name in names if (parts := self._parts(name)) and all(one.kind is not Kind.JSON for one in parts)
        }
        left_out = Kind.AMOUNT if micros else Kind.MONEY
        return tuple(
            column
            for name, column in self.columns.items()
            if column.kind is not left_out and name not in parted and (column.parent == "" or column.parent in parted)
        )

    def _parts(self, name: str) -> list[Column]:
        return [column for column in self.columns.values() if column.parent == name]

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """The writable fields, without their parts."""
        return frozenset(name for name, column in self.columns.items() if not column.parent)

    @property
    def archives(self) -> bool:
        """Whether its status can be set to ARCHIVED, which nothing takes back."""
        return "status" in self.fields

    @functools.cached_property
    def read_only(self) -> frozenset[str]:
        """What the API answers and takes no change of."""
        found = {field.encode_name for field in msgspec.structs.fields(self.get.answer)}
        return frozenset(found - self.fields)

    def __repr__(self) -> str:
        return f"Entity({self.name!r})"


_DECODED = frozenset({"id", "created_at", "campaign_id", "ad_set_id"})


def _undecoded(operation: ListOperation[Any, Any]) -> ListOperation[Any, Any]:
    kinds = {field.name: field.type for field in msgspec.structs.fields(operation.item)}
    fields = [(name, kinds[name], None) for name in sorted(_DECODED & kinds.keys())]
    item = msgspec.defstruct(operation.item.__name__, fields, bases=(Answer,))
    items = (operation.item_attribute, list[item] | None, None)
    page = msgspec.defstruct(operation.answer.__name__, [items], bases=(operation.answer,))
    return msgspec.structs.replace(operation, answer=page, item=item)


def _list_operation(operation_id: str) -> ListOperation[Any, Any]:
    operation = OPERATIONS[operation_id]
    if not isinstance(operation, ListOperation):
        raise TypeError(f"{operation_id} is no list")
    return cast("ListOperation[Any, Any]", operation)


AD_SETS = Entity(
    name="ad set",
    update="updateAdSet",
    get="getAdSetById",
    listing="getAdSetsByAdAccountId",
    # Published with the schema Delivery: it must be the only field of an ad set PATCH.
    alone=frozenset({"delivery"}),
    parent_field="campaign_id",
)
CAMPAIGNS = Entity(
    name="campaign", update="updateCampaign", get="getCampaign", listing="getCampaigns", id_filter="campaign_ids"
)
ADS = Entity(name="ad", update="updateAd", get="getAd", listing="getAds", parent_field="ad_set_id")

ENTITIES: Mapping[str, Entity] = types.MappingProxyType({entity.plural: entity for entity in (AD_SETS, CAMPAIGNS, ADS)})
"""The kinds by their plural name."""
