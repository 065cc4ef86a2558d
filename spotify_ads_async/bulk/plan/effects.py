"""What a change does to a present state, and what a present state says about a change. Pure.

A state is the writable part of an answer in the form JSON gives it: read-only parts (a budget's ``currency``) are left
out. A request sends every field it touches whole, since nothing published says whether nested objects merge.
"""

from __future__ import annotations

import copy
import enum
import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.cells import in_words
from spotify_ads_async.bulk.plan.columns import Cell, inner_struct, listed_struct
from spotify_ads_async.bulk.plan.money import AmountRefused, check_amounts, in_units
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.validation import requests as validation

__all__ = [
    "Effect",
    "Inverse",
    "Merge",
    "Refusal",
    "Settled",
    "State",
    "effect",
    "inverse",
    "leaf",
    "merge",
    "same",
    "settle",
    "writable_state",
]

State = Mapping[str, Cell]
_OFF = "OFF"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one row comes down to. Without steps it changes nothing.

    Attributes:
        before: the fields that change, as they are; a field that is not set is left out.
        after: the same fields, as they shall be.
        steps: the bodies of the requests, in the order in which they must be made.
    """

    before: dict[str, Cell]
    after: dict[str, Cell]
    steps: tuple[dict[str, Cell], ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row cannot be carried out."""

    reason: str
    column: str = ""


class Settled(enum.Enum):
    """What reading back says about a write whose answer was lost."""

    DONE = "done"
    NOT_DONE = "not done"
    CHANGED_BY_OTHERS = "changed by others"


class Inverse(msgspec.Struct, frozen=True, kw_only=True):
    """How a row is taken back: ``values`` to write, and why some fields can't be restored."""

    values: dict[str, Cell]
    impossible: dict[str, str]


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """A change after a three-way comparison: what is left of it, and the columns in conflict."""

    values: dict[str, Cell]
    conflicts: dict[str, str]


def writable_state(entity: Entity, answer: msgspec.Struct) -> dict[str, Cell]:
    """The writable part of an answer; what is null or not set is left out."""
    return cast("dict[str, Cell]", _pruned(msgspec.to_builtins(answer), entity.update.body))


def _pruned(value: dict[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner, listed in _shape(struct):
        found = value.get(name)
        if inner is not None and isinstance(found, dict):
            kept[name] = _pruned(cast("dict[str, Any]", found), inner)
        elif listed is not None and isinstance(found, list):
            kept[name] = [_pruned(one, listed) for one in cast("list[dict[str, Any]]", found)]
        elif found is not None:
            kept[name] = found
    return kept


@functools.cache
def _shape(struct: type[msgspec.Struct]) -> tuple[tuple[str, type[msgspec.Struct] | None, type[msgspec.Struct] | None], ...]:
    """The struct's fields, each with the struct that it holds, or holds a list of."""
    return tuple((field.encode_name, inner_struct(field.type), listed_struct(field.type)) for field in msgspec.structs.fields(struct))


def leaf(state: State, path: Iterable[str]) -> Cell:
    """The value at a dotted path, None where there is none."""
    found: object = state
    for name in path:
        found = cast("Mapping[str, object]", found).get(name) if isinstance(found, Mapping) else None
    return cast("Cell", found)


def same(one: object, other: object) -> bool:
    """Whether two values mean the same to the API: the order of a list does not count, nor do nulls and empty lists beside absence."""
    match one, other:
        case (None | [], None | []):
            return True
        case dict(), dict():
            ours, theirs = cast("dict[str, object]", one), cast("dict[str, object]", other)
            return all(same(ours.get(name), theirs.get(name)) for name in ours.keys() | theirs.keys())
        case list(), list():
            return one == other or _canonical(cast("list[object]", one)) == _canonical(cast("list[object]", other))
        case _:
            return one == other and (type(one) is type(other) or (_is_number(one) and _is_number(other)))


def _canonical(values: list[object]) -> list[bytes]:
    return sorted(msgspec.json.encode(one, order="sorted") for one in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def effect(entity: Entity, state: State, values: Mapping[str, Cell], *, now: datetime, currency: str = "") -> Effect | Refusal:
    """What writing ``values`` (by column) over ``state`` comes down to; ``currency`` is the account's, where it is known."""
    after: dict[str, Cell] = {}
    for name, value in values.items():
        refusal = _write(entity, state, after, name, value)
        if refusal is not None:
            return refusal
    after = {field: _complete(value, state.get(field)) for field, value in after.items() if not same(state.get(field), value)}
    before = {field: state[field] for field in after if field in state}
    try:
        check_amounts(before, after, currency)
    except AmountRefused as refused:
        return Refusal(reason=str(refused), column=_column_of(refused.field, values))
    steps = _steps(entity, after)
    for body in steps:
        refusal = _illegal(entity, body, values, now)
        if refusal is not None:
            return refusal
    return Effect(before=before, after=after, steps=steps)


def _write(entity: Entity, state: State, after: dict[str, Cell], name: str, value: Cell) -> Refusal | None:
    """Put one column's value into the field that it belongs to."""
    field, *path = entity.columns[name].path
    if not path:
        after[field] = value
        return None
    if field not in after:
        after[field] = copy.deepcopy(state.get(field, {}))
    holder: Any = after[field]
    for part in path[:-1]:
        holder = holder.setdefault(part, {})
    holder[path[-1]] = value
    return None


def _complete(wanted: Cell, present: Cell) -> Cell:
    """``wanted`` with ``[]`` for the lists that it leaves out: where the API merges objects, leaving one out would keep it."""
    if not isinstance(wanted, dict) or not isinstance(present, dict):
        return wanted
    completed: dict[str, Any] = {name: _complete(value, present.get(name)) for name, value in wanted.items()}
    for name, value in present.items():
        if name not in completed and isinstance(value, list):
            completed[name] = []
    return completed


def _steps(entity: Entity, after: dict[str, Cell]) -> tuple[dict[str, Cell], ...]:
    """Split what must be alone into its own request. Off comes first and on comes last: nothing is delivered half changed."""
    together = {field: value for field, value in after.items() if field not in entity.alone}
    steps = [together] if together else []
    for field in sorted(entity.alone & after.keys()):
        step = {field: after[field]}
        if after[field] == _OFF:
            steps.insert(0, step)
        else:
            steps.append(step)
    return tuple(steps)


def _illegal(entity: Entity, body: dict[str, Cell], values: Mapping[str, Cell], now: datetime) -> Refusal | None:
    """Check one request against the rules of the API document."""
    try:
        validation.check_body(entity.update, msgspec.convert(body, type=entity.update.body), now=now)
    except msgspec.ValidationError as problem:
        return Refusal(reason=in_words(problem), column=_column_of(str(problem).rpartition("$.")[2].rstrip("`"), values))
    except InvalidRequest as problem:
        return Refusal(reason=problem.message, column=_column_of(problem.path.removeprefix("body."), values))
    return None


def _column_of(path: str, values: Mapping[str, Cell]) -> str:
    """The row's column nearest to a path in a request."""
    if (units := in_units(path)) in values:
        return units
    parts = path.partition("[")[0].split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in values:
            return name
    return next((name for name in values if name.partition(".")[0] == parts[0]), next(iter(values), ""))


def settle(state: State, body: State, before: State) -> Settled:
    """Whether a write of ``body`` over ``before`` took effect, by the state read afterwards."""
    if all(reached(value, state.get(field), before.get(field)) for field, value in body.items()):
        return Settled.DONE
    if all(same(state.get(field), before.get(field)) for field in body):
        return Settled.NOT_DONE
    return Settled.CHANGED_BY_OTHERS


def reached(wanted: object, present: object, before: object = None) -> bool:
    """Whether a present value is what was wanted.

    An emptied list may read back as the server's defaults, so anything but the old value counts there.
    """
    if same(wanted, None):
        return same(present, None) or not same(present, before)
    match wanted, present:
        case dict(), dict():
            ours, theirs = cast("dict[str, object]", wanted), cast("dict[str, object]", present)
            earlier = cast("dict[str, object]", before) if isinstance(before, dict) else {}
            names = ours.keys() | theirs.keys()
            return all(reached(ours.get(name), theirs.get(name), earlier.get(name)) for name in names)
        case _:
            return same(wanted, present)


def inverse(entity: Entity, before: State, fields: Iterable[str]) -> Inverse:
    """The change that restores ``fields`` to what they were."""
    values: dict[str, Cell] = {}
    impossible: dict[str, str] = {}
    for field in fields:
        column = entity.columns[field]
        if field in before:
            values[field] = before[field]
        elif column.nullable:
            values[field] = None
        else:
            impossible[field] = "was not set before, and the API has no way to unset it"
    return Inverse(values=values, impossible=impossible)


def merge(entity: Entity, base: Mapping[str, Cell], state: State, values: Mapping[str, Cell]) -> Merge:
    """Compare a change with what was exported earlier (``base``) and with the present state.

    A value that equals the export was not edited: it never undoes what somebody else did since. A value that was
    edited, in a field that somebody else changed to something third, is a conflict.
    """
    kept: dict[str, Cell] = {}
    conflicts: dict[str, str] = {}
    for name, value in values.items():
        present = leaf(state, entity.columns[name].path)
        if name not in base or same(base[name], present) or same(value, present):
            kept[name] = value
        elif not same(value, base[name]):
            conflicts[name] = f"was {_shown(base[name])} when exported, is {_shown(present)} now, and shall become {_shown(value)}"
    return Merge(values=kept, conflicts=conflicts)


def _shown(value: Cell) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
