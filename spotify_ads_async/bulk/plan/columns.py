"""The columns that a changes file may have, derived from the struct of an update, and how a cell becomes a value.

Nobody lists the writable fields by hand: a column exists for every field of the update struct, and for every field of a
struct inside it under a dotted name (``budget`` and ``budget.micro_amount``). Money has two: ``bid_micro_amount`` takes
whole micros, ``bid_amount`` currency units; both write the same field. Rules that a column can't know (a name's
length, two fields that need each other) are checked on the request that a row comes down to.
"""

from __future__ import annotations

import difflib
import enum
import functools
import types
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from spotify_ads_async.bulk.plan.money import MICROS, in_units
from spotify_ads_async.types import OpenEnum, UnsetType
from spotify_ads_async.validation.checks import Check, checker

__all__ = [
    "Cell",
    "Column",
    "Kind",
    "columns_of",
    "inner_struct",
    "is_list",
    "listed_struct",
    "suggestion",
    "unannotated",
]


class Kind(enum.Enum):
    """How a column's cells are written."""

    TEXT = "text"
    INTEGER = "whole number"
    MONEY = "money in micros"
    AMOUNT = "money in currency units"
    NUMBER = "number"
    BOOLEAN = "true or false"
    TIME = "time"
    CHOICE = "one of a list"
    JSON = "JSON"


class Column:
    """One writable column.

    Attributes:
        name: the dotted name, ``budget.micro_amount``, or ``budget.amount`` for the same in currency units.
        kind: how its cells are written.
        type: the type of the value, without UNSET and None.
        nullable: whether null may be sent.
        writes: the dotted name of the field that it writes.
        path: the names from the update struct down to that field.
        field: the first of them, which a request holds whole.
        inner: the names below it.
        parent: the field that this one is a part of, or nothing.
        takes_object: whether its values are objects, and so JSON.
        is_text: whether its values are texts.
        is_json: whether its cells are JSON.
        is_money: whether its values are amounts of money.
    """

    def __init__(self, name: str, kind: Kind, of: Any, *, nullable: bool = False, writes: str = "") -> None:  # noqa: ANN401 - any type
        self.name = name
        self.kind = kind
        self.type = of
        self.nullable = nullable
        self.writes = writes or name
        self.path = tuple(self.writes.split("."))
        self.field, *inner = self.path
        self.inner = tuple(inner)
        self.parent = name.rpartition(".")[0]
        self.is_text, self.is_json = kind is Kind.TEXT, kind is Kind.JSON
        self.is_money = kind in {Kind.AMOUNT, Kind.MONEY}
        self.takes_object = isinstance(bare := unannotated(of), type) and issubclass(bare, msgspec.Struct)

    @functools.cached_property
    def check(self) -> Check:
        """Holds a value to the bounds of its type."""
        return checker(self.type)


Cell = str | int | float | bool | list[Any] | dict[str, Any] | None
"""A value in the form JSON gives it. ``None`` clears a nullable field."""


@functools.cache
def columns_of(struct: type[msgspec.Struct]) -> Mapping[str, Column]:
    """A column for every field of ``struct`` and of the structs inside it, the whole fields before their parts."""
    columns: dict[str, Column] = {}
    _collect(struct, "", columns)
    return types.MappingProxyType(columns)


def _collect(struct: type[msgspec.Struct], prefix: str, columns: dict[str, Column]) -> None:
    for field in msgspec.structs.fields(struct):
        kind, nullable = _bare(field.type)
        name = prefix + field.encode_name
        columns[name] = column = Column(name, _kind(name, kind), kind, nullable=nullable)
        if column.kind is Kind.MONEY:
            units = in_units(name)
            columns[units] = Column(units, Kind.AMOUNT, kind, nullable=nullable, writes=name)
        inner = inner_struct(kind)
        if inner is not None:
            _collect(inner, f"{name}.", columns)


def inner_struct(annotation: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds, or None where it holds something else."""
    inner = unannotated(_bare(annotation)[0])
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def listed_struct(annotation: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds a list of, or None where it holds something else."""
    inner = unannotated(_bare(annotation)[0])
    return inner_struct(get_args(inner)[0]) if get_origin(inner) is list else None


def _bare(annotation: object) -> tuple[Any, bool]:
    """The type without UNSET and None, and whether None was allowed."""
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation, False
    members = get_args(annotation)
    kept = tuple(one for one in members if one not in {UnsetType, type(None)})
    return (kept[0] if len(kept) == 1 else Union[kept]), type(None) in members  # noqa: UP007 - built from a tuple


def unannotated(kind: Any) -> Any:  # noqa: ANN401 - any annotation
    """A type without its constraints."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def is_list(kind: object) -> bool:
    """Whether values of a type are lists."""
    bare = unannotated(kind)
    return (get_origin(bare) or bare) in {list, tuple, set, frozenset}


_KINDS: Mapping[Any, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    datetime: Kind.TIME,
}


def _kind(name: str, kind: object) -> Kind:
    bare = unannotated(kind)
    if bare is int and name.endswith(MICROS):
        return Kind.MONEY
    if isinstance(bare, type) and issubclass(bare, OpenEnum):
        return Kind.CHOICE
    return _KINDS.get(bare, Kind.JSON)


def suggestion(word: str, words: Iterable[str]) -> str:
    """``"; did you mean X?"`` for the nearest of ``words``, or nothing."""
    near = difflib.get_close_matches(word.lower(), {one.lower(): one for one in words}, n=1, cutoff=0.6)
    if not near:
        return ""
    return f"; did you mean {next(one for one in words if one.lower() == near[0])}?"
