"""Hypothesis strategies for what users pass: from the types of operations, as the checks of the package read them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from spotify_ads_async.types import UNSET

Strategy = st.SearchStrategy[Any]

LONGEST_LIST = 3
LONGER_TEXT = 12
TEXT = st.characters(exclude_categories=["Cs"])
INTS = {"int32": 2**31}
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001 - hypothesis takes naive bounds
PLAIN: Mapping[type[inspect.Type], Strategy] = {
    inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000),
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
    inspect.BytesType: st.binary(max_size=20),
    inspect.DateType: st.dates(date(2000, 1, 1), date(2060, 1, 1)),
}


@functools.cache
def values(kind: Any) -> Strategy:  # noqa: ANN401 - any type of an operation
    """Values of an annotated type. Types without a value that may be sent give the strategy that gives nothing."""
    return _of(inspect.type_info(kind), {})


def _of(node: inspect.Type, extra: dict[str, Any]) -> Strategy:
    match node:
        case inspect.Metadata():
            return _of(node.type, {**extra, **(node.extra_json_schema or {}), **(node.extra or {})})
        case inspect.UnionType():
            return st.one_of(*[_of(one, extra) for one in node.types])
        case inspect.StructType():
            return _structs(node.cls)
        case inspect.ListType():
            return _lists(node, extra)
        case _:
            return _plain(node, extra)


def _plain(node: inspect.Type, extra: dict[str, Any]) -> Strategy:
    match node:
        case inspect.StrType():
            return _texts(node, extra)
        case inspect.IntType():
            bound = INTS.get(extra.get("format", ""), 2**63)
            return st.integers(-bound if node.ge is None else node.ge, bound - 1 if node.le is None else node.le)
        case inspect.DateTimeType():
            return TIMES.map(lambda one: one.replace(microsecond=0, tzinfo=UTC))
        case inspect.EnumType():
            return (
                st.sampled_from([one for one in node.cls if one.value not in node.cls.answer_only])
                if _sendable(node)
                else st.nothing()
            )
        case _:
            return PLAIN[type(node)]


def _lists(node: inspect.ListType, extra: dict[str, Any]) -> Strategy:
    low = node.min_length or 0
    items = _of(node.item_type, {})
    if items.is_empty:
        return st.nothing()
    high = max(low, min(node.max_length or LONGEST_LIST, LONGEST_LIST))
    unique_by = msgspec.json.encode if extra.get("uniqueItems") else None
    return st.lists(items, min_size=low, max_size=high, unique_by=unique_by)


def _sendable(node: inspect.EnumType) -> bool:
    return any(one.value not in node.cls.answer_only for one in node.cls)


def _texts(node: inspect.StrType, extra: dict[str, Any]) -> Strategy:
    if extra.get("format") == "uuid":
        return st.uuids().map(str)
    if extra.get("format") == "uri":
        return st.sampled_from(["https://www.example.com", "http://example.com/a?b=c#d"])
    low = node.min_length or 0
    high = min(low + LONGER_TEXT, node.max_length if node.max_length is not None else low + LONGER_TEXT)
    if node.pattern == "^[a-z]{2}$":
        return st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=2)
    if node.pattern:
        return st.text("ab é🎧夏", min_size=low, max_size=high).filter(
            lambda text: len(text) > 1 and text == text.strip()
        )
    return st.text(TEXT, min_size=low, max_size=high)


@functools.cache
def _structs(kind: type[Any]) -> Strategy:
    node = inspect.type_info(kind)
    assert isinstance(node, inspect.StructType)
    fields: dict[str, Strategy] = {}
    for field in node.fields:
        given = _of(field.type, {})
        fields[field.name] = given if field.required else st.just(UNSET) | given
    return st.builds(kind, **fields)
