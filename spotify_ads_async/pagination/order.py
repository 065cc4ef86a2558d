"""The order that a walk asks for, and whether edits can change it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec.inspect

from spotify_ads_async.operation import ListOperation
from spotify_ads_async.pagination.page import identity, value_in

__all__ = ["is_fixed", "sort_key", "with_identity", "with_order"]

_PREFERRED = {"CREATED_AT": "DESC", "TIMESTAMP": "DESC", "ID": "ASC", "NAME": "ASC"}
"""Sort fields from the one that serves a walk best, each with its direction.

The published default where there is one.
"""

_FIXED = frozenset({"CREATED_AT", "TIMESTAMP", "ID", "ENTITY_TYPE", "PRINCIPAL_TYPE"})
"""Fields that nothing changes once the row exists.

ENTITY_TYPE and PRINCIPAL_TYPE belong to change history, whose rows are final.
"""


_SHOWN = {"CREATED_AT": "created_at", "TIMESTAMP": "timestamp"}
"""Sort fields of this kind whose value stands in the rows, and the attribute that holds it."""


def with_order(operation: ListOperation[Any, Any], query: Mapping[str, object]) -> dict[str, object]:
    """``query`` with an order that stays put while the list is walked.

    Where the caller named none and the operation offers one.
    """
    ordered = dict(query)
    fields = _offered(operation, "sort_field")
    directions = _offered(operation, "sort_direction")
    if "sort_field" in query or fields is None:
        return ordered
    for field, direction in _PREFERRED.items():
        if field in fields:
            ordered["sort_field"] = fields[field]
            if directions is not None:
                ordered.setdefault("sort_direction", directions[direction])
            break
    return ordered


def with_identity(operation: ListOperation[Any, Any], query: Mapping[str, object]) -> dict[str, object]:
    """``query`` asking for ``ID`` too where it trims the rows: without it nobody can tell whether a row came twice."""
    offered = _offered(operation, "fields")
    fields = query.get("fields")
    # What is no list of fields, or an empty one, is left for the session to refuse.
    if (
        not fields
        or isinstance(fields, str)
        or not isinstance(fields, Iterable)
        or offered is None
        or "ID" not in offered
    ):
        return dict(query)
    asked = list(cast("Iterable[object]", fields))
    return {**query, "fields": asked if any(str(one) == "ID" for one in asked) else [*asked, offered["ID"]]}


def is_fixed(query: Mapping[str, object]) -> bool:
    """Whether no edit can change the order of two rows.

    A list without ``sort_field`` counts as fixed: nothing is published about its order, and nothing could be asked for.
    """
    return "sort_field" not in query or str(query["sort_field"]) in _FIXED


def sort_key(query: Mapping[str, object]) -> Callable[[object], Any]:
    """What a row is sorted by under an order that no edit changes.

    None for a row that does not show it, or under another order.
    """
    name = str(query.get("sort_field", ""))
    if name == "ID":
        return identity
    attribute = _SHOWN.get(name)
    if attribute is None:
        return lambda _: None
    return lambda row: value_in(row, attribute)


def _offered(operation: ListOperation[Any, Any], name: str) -> Mapping[str, enum.Enum] | None:
    """The values of an enum parameter, by value; None where the operation has no such parameter."""
    if name not in operation.query:
        return None
    for kind in _kinds(msgspec.inspect.type_info(operation.query[name])):
        if isinstance(kind, msgspec.inspect.EnumType):
            return {str(member.value): member for member in kind.cls}
    return None


def _kinds(info: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """The plain types that a parameter's type is made of."""
    match info:
        case msgspec.inspect.Metadata():
            yield from _kinds(info.type)
        case msgspec.inspect.UnionType():
            for kind in info.types:
                yield from _kinds(kind)
        case msgspec.inspect.CollectionType():
            yield from _kinds(info.item_type)
        case _:
            yield info
