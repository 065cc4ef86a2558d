"""The columns that a changes file may have, derived from the struct of an update, and how a cell becomes a value.

Nobody lists the writable fields by hand: a column exists for every field of the update struct, and for every field of a
struct inside it under a dotted name (``budget`` and ``budget.micro_amount``). Rules that a column can't know (a name's
length, two fields that need each other) are checked on the request that a row comes down to.
"""

from __future__ import annotations

import difflib
import enum
import functools
import re
import types
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.money import micros
from spotify_ads_async.types import UNSET, OpenEnum, UnsetType
from spotify_ads_async.validation.checks import Check, Refused, checker

__all__ = [
    "CLEAR",
    "Cell",
    "CellError",
    "Column",
    "Kind",
    "columns_of",
    "inner_struct",
    "is_list",
    "listed_struct",
    "parse_cell",
    "parse_value",
    "suggestion",
    "to_cell",
    "unguarded",
]

CLEAR = "<clear>"
"""The token that empties a field, unless another one is chosen. A blank cell keeps the field."""

_SMALLEST_PLAUSIBLE_MICROS = 10_000
_MONEY_SUFFIX = "micro_amount"
_NEEDS_GUARD = re.compile(rf"'*(?:[=+\-@\t\r]|{re.escape(CLEAR)}$)")


class CellError(ValueError):
    """A cell cannot become a value of its column."""


class Kind(enum.Enum):
    """How a column's cells are written."""

    TEXT = "text"
    INTEGER = "whole number"
    MONEY = "money"
    NUMBER = "number"
    BOOLEAN = "true or false"
    TIME = "time"
    CHOICE = "one of a list"
    JSON = "JSON"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One writable column.

    Attributes:
        name: the dotted name, ``budget.micro_amount``.
        kind: how its cells are written.
        type: the type of the value, without UNSET and None.
        nullable: whether null may be sent.
    """

    name: str
    kind: Kind
    type: Any
    nullable: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the update struct down to this field."""
        return tuple(self.name.split("."))

    @property
    def parent(self) -> str:
        """The field that this one is a part of, or nothing."""
        return self.name.rpartition(".")[0]


Cell = str | int | float | bool | list[Any] | dict[str, Any] | None
"""A value in the form JSON gives it. ``None`` clears a nullable field."""


def columns_of(struct: type[msgspec.Struct]) -> Mapping[str, Column]:
    """A column for every field of ``struct`` and of the structs inside it, the whole fields before their parts."""
    columns: dict[str, Column] = {}
    _collect(struct, "", columns)
    return types.MappingProxyType(columns)


def _collect(struct: type[msgspec.Struct], prefix: str, columns: dict[str, Column]) -> None:
    for field in msgspec.structs.fields(struct):
        kind, nullable = _bare(field.type)
        name = prefix + field.encode_name
        columns[name] = Column(name=name, kind=_kind(name, kind), type=kind, nullable=nullable)
        inner = inner_struct(kind)
        if inner is not None:
            _collect(inner, f"{name}.", columns)


def inner_struct(annotation: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds, or None where it holds something else."""
    inner = _unannotated(_bare(annotation)[0])
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def listed_struct(annotation: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds a list of, or None where it holds something else."""
    inner = _unannotated(_bare(annotation)[0])
    return inner_struct(get_args(inner)[0]) if get_origin(inner) is list else None


def _bare(annotation: object) -> tuple[Any, bool]:
    """The type without UNSET and None, and whether None was allowed."""
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation, False
    members = get_args(annotation)
    kept = tuple(one for one in members if one not in {UnsetType, type(None)})
    return (kept[0] if len(kept) == 1 else Union[kept]), type(None) in members  # noqa: UP007 - built from a tuple


def _unannotated(kind: Any) -> Any:  # noqa: ANN401 - any annotation
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def is_list(kind: object) -> bool:
    """Whether values of a type are lists."""
    bare = _unannotated(kind)
    return (get_origin(bare) or bare) in {list, tuple, set, frozenset}


_KINDS: Mapping[Any, Kind] = {str: Kind.TEXT, int: Kind.INTEGER, float: Kind.NUMBER, bool: Kind.BOOLEAN, datetime: Kind.TIME}


def _kind(name: str, kind: object) -> Kind:
    bare = _unannotated(kind)
    if bare is int and name.endswith(_MONEY_SUFFIX):
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


def parse_cell(column: Column, text: str, *, clear: str = CLEAR) -> Cell:
    """Turn a CSV cell that is not blank into a value.

    Money is micros when it is a whole number and currency units when it has a decimal point, exact in both.

    Raises:
        CellError: the text is no value of the column.
    """
    text = text.strip() if column.kind is not Kind.TEXT else text
    if text == clear:
        return _cleared(column)
    match column.kind:
        case Kind.TEXT:
            return _typed(column, unguarded(text))
        case Kind.INTEGER:
            return _typed(column, _integer(text))
        case Kind.MONEY:
            return _typed(column, _money(text))
        case Kind.NUMBER:
            return _typed(column, _number(text))
        case Kind.BOOLEAN:
            return _typed(column, _boolean(text))
        case Kind.TIME:
            return _typed(column, _time(text))
        case Kind.CHOICE:
            return _choice(column, text)
        case Kind.JSON:
            return _typed(column, _json(text))


def parse_value(column: Column, value: object) -> Cell:
    """Turn a value of a JSON line into a value of the column; null clears.

    Raises:
        CellError: it is no value of the column.
    """
    if value is None:
        return _cleared(column)
    match column.kind:
        case Kind.MONEY if isinstance(value, Decimal | str):
            return _typed(column, _money(format(value, "f") if isinstance(value, Decimal) else value))
        case Kind.MONEY if isinstance(value, int):
            return _typed(column, _plausible(value))
        case Kind.TIME if isinstance(value, str):
            return _typed(column, _time(value))
        case Kind.CHOICE if isinstance(value, str):
            return _choice(column, value)
        case _:
            return _typed(column, _without_decimals(value))


def _cleared(column: Column) -> Cell:
    if column.nullable:
        return None
    if is_list(column.type):
        return []
    raise CellError("cannot be cleared: the API takes no empty value here")


def _typed(column: Column, value: object) -> Cell:
    """Check ``value`` against the column's type and bring it into one form."""
    try:
        converted = msgspec.convert(value, type=column.type, strict=True)
    except msgspec.ValidationError as problem:
        raise CellError(in_words(problem)) from None
    try:
        _checker(column)(converted)
    except Refused as refused:
        raise CellError(f"{refused.path.lstrip('.')} {refused.rule}".strip()) from None
    return cast("Cell", msgspec.to_builtins(converted))


def in_words(problem: msgspec.ValidationError) -> str:
    """What msgspec says, without its marks: ``expected int >= 1 at [0].max_impressions``."""
    text = str(problem).replace("`$", "`").replace("`.", "`").replace(" - at ", " at ").replace("`", "")
    return text[:1].lower() + text[1:]


@functools.cache
def _checker(column: Column) -> Check:
    return checker(column.type)


def _without_decimals(value: object) -> object:
    """Decimals of a JSON line as floats, where the column is no money."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {key: _without_decimals(one) for key, one in cast("dict[str, object]", value).items()}
        case list():
            return [_without_decimals(one) for one in cast("list[object]", value)]
        case _:
            return value


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise CellError(f"{text!r} is no whole number")
    return int(text)


def _money(text: str) -> int:
    if re.fullmatch(r"[0-9]+", text):
        return _plausible(int(text))
    if not re.fullmatch(r"[0-9]+\.[0-9]+", text):
        raise CellError(
            f"{text!r} is no amount: write micros (12500000) or currency units with a point (12.50), without separators or a currency sign"
        )
    try:
        return micros(text)
    except InvalidRequest as problem:
        raise CellError(problem.message) from None


def _plausible(amount: int) -> int:
    """Refuse the documented mistake of writing units where micros are meant."""
    if 0 < amount < _SMALLEST_PLAUSIBLE_MICROS:
        raise CellError(
            f"{amount} micros are less than a hundredth of a currency unit: for {amount} units write {amount}.00 or {amount}000000"
        )
    return amount


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CellError(f"{text!r} is no number") from None


def _boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise CellError(f"{text!r} is neither true nor false")


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CellError(f"{text!r} is no time: write 2026-09-23T04:56:07Z") from None
    if moment.tzinfo is None:
        raise CellError(f"{text!r} names no time zone: write 2026-09-23T04:56:07Z, or an offset, which is turned into UTC")
    if moment.microsecond:
        raise CellError(f"{text!r} has a fraction of a second: the API takes none")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _choice(column: Column, text: str) -> Cell:
    """One of an enum's values. Values newer than this package are the business of ``call``, not of a file of changes."""
    members = cast("type[OpenEnum]", _unannotated(column.type))
    legal = [one.value for one in members if one.value not in members.answer_only]
    if text not in legal:
        raise CellError(f"{text!r} is none of {', '.join(legal)}{suggestion(text, legal)}")
    return text


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise CellError(f"is not JSON: {problem}") from None


def to_cell(value: object) -> str:
    """Write a value so that :func:`parse_cell` reads it back equal: the form that exports have.

    Text that a spreadsheet would take for a formula, or that reads like the clear token, gets an apostrophe in front,
    which reading takes off again. An absent value is a blank.
    """
    match value:
        case None:
            return ""
        case _ if value is UNSET:
            return ""
        case str():
            return f"'{value}" if _NEEDS_GUARD.match(value) else value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return msgspec.json.encode(value).decode()


def unguarded(text: str) -> str:
    """Take off the apostrophe that keeps a spreadsheet from running a cell."""
    return text[1:] if text.startswith("'") and _NEEDS_GUARD.match(text) else text
