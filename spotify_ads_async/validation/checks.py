"""From a type to a function that refuses every value which the type does not allow.

msgspec holds a struct to its constraints when it decodes one, not when a program builds one. Requests are built by
programs: :func:`checker` reads the same annotations, once per type, and returns a plain function for use on every call.

Beyond what ``msgspec.Meta`` can say, these count: ``format`` and ``uniqueItems`` in its ``extra_json_schema`` (or
``extra``), as in the API document; an enum's ``answer_only`` values, which are not sent; and a struct's ``at_least``,
the fewest fields it sets.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
from msgspec import inspect

from spotify_ads_async.types import UNSET, Secret, is_text
from spotify_ads_async.validation.formats import FORMATS
from spotify_ads_async.validation.refused import Refused

if TYPE_CHECKING:
    from enum import Enum

__all__ = ["Check", "checker"]

Check: TypeAlias = Callable[[Any], None]
"""Raises :class:`Refused` for a value that breaks the rule, and returns nothing for one that does not."""

_INT64 = (-(2**63), 2**63 - 1)
_INT32 = (-(2**31), 2**31 - 1)
_MOST_LISTED = 12
_NO_OFFSET = timedelta(0)
_UTC_RULE = "must be a time in UTC with whole seconds, as in datetime(2030, 1, 31, 8, 0, tzinfo=UTC)"


def checker(kind: object) -> Check:
    """The function that holds values to ``kind``: a struct, a union of structs, or an annotated plain type."""
    return _compile(inspect.type_info(kind), {})


def _compile(node: inspect.Type, extra: Mapping[str, object]) -> Check:
    if isinstance(node, inspect.Metadata):
        more = cast(
            "list[Mapping[str, object] | None]", [getattr(node, name) for name in ("extra_json_schema", "extra")]
        )
        return _compile(node.type, {**extra, **(more[0] or {}), **(more[1] or {})})
    for kind, build in _BUILDERS.items():
        if isinstance(node, kind):
            return build(node, extra)
    raise TypeError(f"no rule is known for values of {node}")


def _anything(_node: object, _extra: object) -> Check:
    return lambda _value: None


def _instance(node: inspect.Type, _extra: object) -> Check:
    kinds, rule = _INSTANCES[type(node)]

    def check(value: object) -> None:
        if not isinstance(value, kinds):
            raise Refused(value, rule)

    return check


_INSTANCES: Mapping[type[inspect.Type], tuple[Any, str]] = {
    inspect.BoolType: (bool, "must be True or False"),
    inspect.NoneType: (type(None), "must be None"),
    inspect.BytesType: ((bytes, bytearray, memoryview), "must be bytes"),
}


def _string(node: inspect.StrType, extra: Mapping[str, object]) -> Check:
    low, high = node.min_length or 0, node.max_length
    # A pattern of JSON Schema ends where the string ends; Python's $ would let one newline follow.
    pattern = re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", node.pattern)) if node.pattern else None
    rule = f"must be a string{_length(low, high, 'characters')}"
    accepts, format_rule = FORMATS.get(str(extra.get("format")), (None, ""))

    def check(value: object) -> None:
        if not isinstance(value, str):
            raise Refused(value, rule)
        if not low <= len(value) or (high is not None and len(value) > high):
            raise Refused(value, rule)
        if pattern is not None and pattern.search(value) is None:
            raise Refused(value, f"must match {node.pattern}")
        if accepts is not None and not accepts(value):
            raise Refused(value, format_rule)
        if not (value.isascii() or is_text(value)):
            raise Refused(ascii(value), "must be text that UTF-8 can hold: no lone surrogates")

    return check


def _length(low: int, high: int | None, unit: str) -> str:
    if high is None:
        return f" of at least {low} {unit}" if low else ""
    if not low:
        return f" of at most {high} {unit}"
    return f" of {low} {unit}" if low == high else f" of {low} to {high} {unit}"


def _integer(node: inspect.IntType, extra: Mapping[str, object]) -> Check:
    smallest, largest = _INT32 if extra.get("format") == "int32" else _INT64
    low = max(smallest, smallest if node.ge is None else node.ge, smallest if node.gt is None else node.gt + 1)
    high = min(largest, largest if node.le is None else node.le, largest if node.lt is None else node.lt - 1)
    bounds = _range(None if low == smallest else low, None if high == largest else high)
    rule = f"must be an integer{bounds or f' of {largest.bit_length() + 1} bits'}"

    def check(value: object) -> None:
        if type(value) is not int or not low <= value <= high:
            raise Refused(value, rule)

    return check


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {high}"
    return f" of at least {low}" if high is None else f" from {low} to {high}"


def _number(node: inspect.FloatType, _extra: object) -> Check:
    low, high = node.ge, node.le
    rule = f"must be a finite number{_range(low, high)}"

    def check(value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise Refused(value, rule)
        if (low is not None and value < low) or (high is not None and value > high):
            raise Refused(value, rule)

    return check


def _time(_node: object, _extra: object) -> Check:

    def check(value: object) -> None:
        if (
            not isinstance(value, datetime)
            or value.microsecond
            or (value.tzinfo is not UTC and value.utcoffset() != _NO_OFFSET)
        ):
            raise Refused(value, _UTC_RULE)

    return check


def _day(_node: object, _extra: object) -> Check:

    def check(value: object) -> None:
        if not isinstance(value, date) or isinstance(value, datetime):
            raise Refused(value, "must be a day, as in date(2030, 1, 31)")

    return check


def _member(node: inspect.EnumType, _extra: object) -> Check:
    kind: type[Enum] = node.cls
    answer_only: frozenset[str] = getattr(kind, "answer_only", frozenset())
    allowed = tuple(str(one.value) for one in kind if one.value not in answer_only)
    known = frozenset(allowed)
    listed = ", ".join(allowed) if len(allowed) <= _MOST_LISTED else f"the values of {kind.__name__}"
    rule = f"must be one of {listed}" if allowed else f"must be left out: {kind.__name__} has values for answers only"

    def check(value: object) -> None:
        if not isinstance(value, str) or value not in known:
            raise Refused(value, rule)

    return check


def _list(node: inspect.CollectionType, extra: Mapping[str, object]) -> Check:
    item_check = _compile(node.item_type, {})
    low, high = node.min_length or 0, node.max_length
    unique = bool(extra.get("uniqueItems"))
    rule = f"must be a list{_length(low, high, 'items')}"

    def check(value: object) -> None:
        items = cast("list[Any]", value)
        if not isinstance(value, list | tuple) or len(items) < low or (high is not None and len(items) > high):
            raise Refused(items, rule)
        index = 0
        try:
            for index, item in enumerate(items):  # noqa: B007 - the index of the item that was refused
                item_check(item)
        except Refused as refused:
            raise refused.inside(f"[{index}]") from None
        if unique and len(items) > 1 and not _all_differ(items):
            raise Refused(items, "must hold every item once only")

    return check


def _all_differ(items: list[Any]) -> bool:
    try:
        return len(set(items)) == len(items)
    except TypeError:
        return len({msgspec.json.encode(item) for item in items}) == len(items)


def _dict(node: inspect.DictType, _extra: object) -> Check:
    value_check = _compile(node.value_type, {})

    def check(value: object) -> None:
        if not isinstance(value, Mapping):
            raise Refused(value, "must be a mapping")
        for name, one in cast("Mapping[Any, Any]", value).items():
            try:
                value_check(one)
            except Refused as refused:
                raise refused.inside(f".{name}") from None

    return check


def _union(node: inspect.UnionType, extra: Mapping[str, object]) -> Check:
    kinds = [one for one in node.types if not isinstance(one, inspect.NoneType)]
    checks = [_compile(one, extra) for one in kinds]
    optional = len(kinds) < len(node.types)
    if len(checks) == 1:
        check_one = checks[0]
    elif all(isinstance(one, inspect.StructType) for one in kinds):
        check_one = _one_of_structs(
            {cast("inspect.StructType", one).cls: check for one, check in zip(kinds, checks, strict=True)}
        )
    else:
        check_one = _first_that_fits(checks)
    return (lambda value: None if value is None else check_one(value)) if optional else check_one


def _one_of_structs(by_kind: Mapping[type[Any], Check]) -> Check:
    rule = f"must be one of {', '.join(kind.__name__ for kind in by_kind)}"

    def check(value: object) -> None:
        check_struct = by_kind.get(type(value))
        if check_struct is None:
            raise Refused(value, rule)
        check_struct(value)

    return check


def _first_that_fits(checks: list[Check]) -> Check:
    def check(value: object) -> None:
        for one in checks[:-1]:
            try:
                return one(value)
            except Refused:
                continue
        return checks[-1](value)

    return check


_structs: dict[type[Any], Check] = {}


def _struct(node: inspect.StructType, _extra: object) -> Check:
    kind: type[Any] = node.cls
    if kind in _structs:
        return _structs[kind]
    # A struct that holds itself finds this one until the finished function stands there.
    _structs[kind] = lambda value: _structs[kind](value)  # noqa: PLW0108 - looked up when it runs
    names = [field.name for field in node.fields]
    shown = [f".{field.encode_name}" for field in node.fields]
    checks = [_compile(field.type, {}) for field in node.fields]
    required = [field.required for field in node.fields]
    read = _reader(names)
    at_least: int = getattr(kind, "at_least", 0)

    def check(value: object) -> None:
        if not isinstance(value, kind):
            raise Refused(value, f"must be a {kind.__name__}")
        step = ""
        try:
            for step, item, check_field, needed in zip(shown, read(value), checks, required, strict=True):  # noqa: B007 - the field that was refused
                if item is not UNSET:
                    check_field(item)
                elif needed:
                    raise Refused(item, "is required")  # noqa: TRY301 - caught to name the field
        except Refused as refused:
            raise refused.inside(step) from None
        if at_least and sum(item is not UNSET for item in read(value)) < at_least:
            raise Refused({}, f"must set at least {at_least} of {', '.join(names)}")

    _structs[kind] = check
    return check


def _reader(names: list[str]) -> Callable[[object], tuple[Any, ...]]:
    """Reads all attributes in one step."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _custom(node: inspect.CustomType, _extra: object) -> Check:
    rule = "must be a Secret, as in Secret(text)" if node.cls is Secret else f"must be a {node.cls.__name__}"

    def check(value: object) -> None:
        if not isinstance(value, node.cls):
            raise Refused(None if node.cls is Secret else value, rule)

    return check


_BUILDERS: Mapping[type[inspect.Type], Callable[[Any, Mapping[str, object]], Check]] = {
    inspect.StrType: _string,
    inspect.IntType: _integer,
    inspect.FloatType: _number,
    inspect.BoolType: _instance,
    inspect.NoneType: _instance,
    inspect.BytesType: _instance,
    inspect.DateTimeType: _time,
    inspect.DateType: _day,
    inspect.EnumType: _member,
    inspect.StructType: _struct,
    inspect.CollectionType: _list,
    inspect.DictType: _dict,
    inspect.UnionType: _union,
    inspect.CustomType: _custom,
    inspect.AnyType: _anything,
    inspect.RawType: _anything,
}
