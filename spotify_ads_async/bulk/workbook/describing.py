"""What a column holds, in words for people: its kind, its unit, its bounds, an example.

From the types that the API's facts made. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec

from spotify_ads_async.bulk.plan.columns import Column, Kind, is_list, listed_struct, unannotated
from spotify_ads_async.types import OpenEnum

__all__ = ["choices_of", "describe", "example_of"]

_EXAMPLES: Mapping[Kind, str] = {
    Kind.TEXT: "Autumn students",
    Kind.INTEGER: "3",
    Kind.MONEY: "12500000",
    Kind.AMOUNT: "12.50",
    Kind.NUMBER: "0.5",
    Kind.BOOLEAN: "true",
    Kind.TIME: "2030-01-31T18:30:00Z",
}
_FEW = 12


def choices_of(column: Column) -> tuple[str, ...]:
    """The values that a column, or each part of its list, takes; none where there is no list of them."""
    inner = unannotated(column.type)
    if is_list(column.type):
        inner = unannotated(next(iter(get_args(inner)), str))
    if not (isinstance(inner, type) and issubclass(inner, OpenEnum)):
        return ()
    return tuple(one.value for one in inner if one.value not in inner.answer_only)


def describe(column: Column, *, currency: str = "") -> str:
    """What a column holds: ``an amount of USD, such as 12.50``."""
    choices = choices_of(column)
    if choices:
        shown = ", ".join(choices[:_FEW]) + (", …" if len(choices) > _FEW else "")
        return f"one or more of {shown}, with commas between them" if is_list(column.type) else f"one of {shown}"
    match column.kind:
        case Kind.TEXT:
            return f"text{_length(column.type)}"
        case Kind.AMOUNT:
            unit = currency or "the account's currency"
            return f"an amount in units of {unit}, such as 12.50"
        case Kind.MONEY:
            return "a whole number of millionths of the account's currency, such as 12500000"
        case Kind.TIME:
            return "a time, such as 2030-01-31T18:30:00Z"
        case Kind.JSON:
            return _json(column)
        case _:
            return f"a {column.kind.value}, such as {_EXAMPLES[column.kind]}"


def _length(kind: Any) -> str:  # noqa: ANN401 - any annotation
    if get_origin(kind) is not Annotated:
        return ""
    metas = [one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta)]
    least = next((one.min_length for one in metas if one.min_length is not None), None)
    most = next((one.max_length for one in metas if one.max_length is not None), None)
    if least is not None and most is not None:
        return f" of {least} to {most} characters" if least < most else f" of {most} characters"
    return (
        f" of at most {most} characters"
        if most is not None
        else f" of at least {least} characters"
        if least is not None
        else ""
    )


def _json(column: Column) -> str:
    struct = listed_struct(column.type)
    if struct is not None and set(struct.__struct_fields__) == {"min", "max"}:
        return "one or more ranges, such as 18-24, 25-34"
    if struct is not None:
        return f"JSON, such as {msgspec.json.encode([_object(struct)]).decode()}"
    if is_list(column.type):
        return "one or more, with commas between them"
    inner = unannotated(column.type)
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return f"JSON, such as {msgspec.json.encode(_object(inner)).decode()}"
    return "JSON"


def _object(struct: type[msgspec.Struct]) -> dict[str, object]:
    """An object with what must be there, or all of it where nothing must."""
    fields = msgspec.structs.fields(struct)
    chosen = [field for field in fields if field.required] or list(fields)[:3]
    return {field.encode_name: _value(field.type) for field in chosen}


def _value(annotation: object) -> object:
    members = [one for one in get_args(annotation) if get_origin(annotation) is not Annotated] or [annotation]
    bare = unannotated(members[0])
    if isinstance(bare, type) and issubclass(bare, OpenEnum):
        return next(one.value for one in bare if one.value not in bare.answer_only)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _object(bare)
    return 18 if bare is int else True if bare is bool else "…"


def example_of(column: Column) -> str:
    """A cell that the column takes."""
    choices = choices_of(column)
    return choices[0] if choices else _EXAMPLES.get(column.kind, "")
