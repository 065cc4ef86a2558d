"""Requests held to the rules of the API document, where the server's own values are no reason to refuse a row. Pure."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.cells import in_words
from spotify_ads_async.bulk.plan.columns import Cell, Kind
from spotify_ads_async.bulk.plan.money import in_units
from spotify_ads_async.bulk.plan.state import Shape, State, copied, entity_shape, same
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.validation.checks import Check
from spotify_ads_async.validation.refused import Refused
from spotify_ads_async.validation.requests import check_body

__all__ = ["Refusal", "column_of", "refusal_of"]

_ORDINARY: Mapping[Kind, object] = {Kind.TEXT: "A name", Kind.MONEY: 100_000_000}
_DEEPEST = 2
_NO_PARTS: Mapping[str, tuple[Check, bytes]] = {}
_encode = msgspec.json.Encoder().encode
_STEP = re.compile(r"[^.\[\]]+")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row cannot be carried out."""

    reason: str
    column: str = ""


class _Broken(NamedTuple):
    """A rule that a request breaks, and where."""

    path: str
    reason: str


def refusal_of(
    entity: Entity, steps: Iterable[dict[str, Any]], before: State, values: Mapping[str, Cell], now: datetime
) -> Refusal | None:
    """Why the requests of a row break a rule of the API document, None where they break none."""
    for body in steps:
        if (refusal := _illegal(entity, body, before, values, now)) is not None:
            return refusal
    return None


def _illegal(
    entity: Entity, body: dict[str, Any], before: State, values: Mapping[str, Cell], now: datetime
) -> Refusal | None:
    """Hold one request to the rules of the API document. What came from the server is never a reason to refuse."""
    if (outline := _outline(entity, body)) is not None and _is_legal(entity, outline, now):
        return None
    ours, broken = body, _broken(entity, body, now)
    while broken is not None and (rest := _without_theirs_at(broken.path, ours, before)) is not None:
        ours, broken = rest, _broken(entity, rest, now)
    if broken is None:
        return None
    as_it_is = {field: before[field] for field in body if field in before}
    if as_it_is and _broken(entity, as_it_is, now) == broken:
        return None
    return Refusal(reason=broken.reason, column=column_of(broken.path, values))


def _outline(entity: Entity, body: dict[str, Any]) -> tuple[tuple[str, bytes], ...] | None:
    """A request, field by field, with the same text and amounts in the places of those that are judged alone.

    Rows differ in little else, and what is legal of one is legal of all. None where such a value breaks a rule itself.
    """
    outline: list[tuple[str, bytes]] = []
    judged = _judged_alone(entity)
    try:
        for field, value in body.items():
            parts = judged.get(field, _NO_PARTS)
            if value is None or not parts:
                text = _encode(value)
            elif "" in parts:
                check, text = parts[""]
                check(value)
            else:
                text = _with_ordinary_parts(entity, field, _encode(value))
            outline.append((field, text))
    except Refused:
        return None
    return tuple(outline)


@functools.lru_cache(maxsize=4096)
def _with_ordinary_parts(entity: Entity, field: str, text: bytes) -> bytes:
    """An object with ordinary values in the places of those that are judged alone.

    Raises:
        Refused: one of them breaks a rule.
    """
    value: object = msgspec.json.decode(text)
    if not isinstance(value, dict):
        return text
    parts = cast("dict[str, Any]", value)
    for part, (check, ordinary) in _judged_alone(entity)[field].items():
        if parts.get(part) is not None:
            check(parts[part])
            parts[part] = msgspec.Raw(ordinary)
    return _encode(parts)


@functools.lru_cache(maxsize=4096)
def _is_legal(entity: Entity, outline: Sequence[tuple[str, bytes]], now: datetime) -> bool:
    return _broken(entity, {field: msgspec.json.decode(text) for field, text in outline}, now) is None


@functools.cache
def _judged_alone(entity: Entity) -> Mapping[str, Mapping[str, tuple[Check, bytes]]]:
    """Names and amounts, which are held to their own bounds alone, by field and part: check, and an ordinary value."""
    found: defaultdict[str, dict[str, tuple[Check, bytes]]] = defaultdict(dict)
    for name, column in entity.columns.items():
        if name == "name" or (column.kind is Kind.MONEY and len(column.path) <= _DEEPEST):
            found[column.field]["".join(column.inner)] = (column.check, _encode(_ORDINARY[column.kind]))
    return dict(found)


def _without_theirs_at(path: str, body: dict[str, Any], before: State) -> dict[str, Any] | None:
    """A request without the value at a path, where that came from the server; None where it did not."""
    ours = copied(body)
    holder: Any = ours
    theirs: Any = before
    for step in _STEP.findall(path):
        if isinstance(holder, list) and step.isdecimal() and int(step) < len(cast("list[Any]", holder)):
            if not isinstance(theirs, list):
                return None
            if holder[int(step)] in theirs:
                del holder[int(step)]
                return ours
            holder, theirs = cast("list[Any]", holder)[int(step)], None
        elif isinstance(holder, dict) and isinstance(theirs, Mapping) and step in holder:
            known = cast("State", theirs).get(step)
            value = cast("dict[str, Any]", holder)[step]
            if not isinstance(value, dict | list) and same(cast("object", value), known):
                del holder[step]
                return ours
            holder, theirs = cast("Any", value), known
        else:
            return None
    return None


def _broken(entity: Entity, body: dict[str, Any], now: datetime) -> _Broken | None:
    try:
        known = _known_only(body, entity_shape(entity))
        check_body(entity.update, msgspec.convert(known, type=entity.update.body), now=now)
    except msgspec.ValidationError as problem:
        return _Broken(str(problem).rpartition("$.")[2].rstrip("`"), in_words(problem))
    except InvalidRequest as problem:
        return _Broken(problem.path.removeprefix("body."), problem.message.removeprefix("body."))
    return None


def _known_only(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The part of an object that the document knows; a null inside of it stands for nothing."""
    found: dict[str, Any] = {}
    for name, one in value.items():
        if name not in shape.known:
            continue
        if (inner := shape.inner.get(name)) is not None and isinstance(one, dict):
            found[name] = {
                part: kept for part, kept in _known_only(cast("dict[str, Any]", one), inner).items() if kept is not None
            }
        elif (listed := shape.listed.get(name)) is not None and isinstance(one, list):
            items = cast("list[Any]", one)
            found[name] = [
                _known_only(cast("dict[str, Any]", item), listed) if isinstance(item, dict) else item for item in items
            ]
        else:
            found[name] = one
    return found


def column_of(path: str, values: Mapping[str, Cell]) -> str:
    """The row's column nearest to a path in a request."""
    if (units := in_units(path)) in values:
        return units
    parts = path.partition("[")[0].split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in values:
            return name
    return next((name for name in values if name.partition(".")[0] == parts[0]), next(iter(values), ""))
