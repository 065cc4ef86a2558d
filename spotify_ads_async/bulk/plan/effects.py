"""What a change does to a present state, and what a present state says about a change. Pure.

States are the server's JSON. A request sends every field it touches whole, with everything in it that was read, since
nothing published says whether nested objects merge.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.legality import Refusal, column_of, refusal_of
from spotify_ads_async.bulk.plan.money import MICROS, Amount, AmountRefused, changed_amounts, check_amounts, in_units
from spotify_ads_async.bulk.plan.state import (
    NO_SHAPE,
    Edit,
    Shape,
    State,
    copied,
    edits_between,
    entity_shape,
    leaf,
    same,
    sendable,
    with_edit,
)
from spotify_ads_async.json_values import is_array, is_object
from spotify_ads_async.money import format_micros

__all__ = [
    "NOTHING",
    "Conflict",
    "Effect",
    "Rebased",
    "Refusal",
    "Settled",
    "bodies_of",
    "conflicting",
    "effect",
    "merge",
    "reached",
    "rebase",
    "refusal_of",
    "settle",
    "shown",
]

_OFF = "OFF"
_NESTED = frozenset({dict, list})
_UNSET: Any = msgspec.UNSET


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one row comes down to. Without steps it changes nothing.

    Attributes:
        before: the fields that change, as they are; a field that is not set is left out.
        after: the same fields, as they shall be.
        steps: the bodies of the requests, in the order in which they must be made.
        names: the dotted names of what changes in them.
        amounts: the amounts of money that change.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    names: tuple[str, ...] = ()
    amounts: Sequence[Amount] = ()


NOTHING = Effect(before={}, after={}, steps=())


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the row changes and that somebody else changed, too."""

    field: str
    planned: Any
    found: Any
    wanted: Any

    def __str__(self) -> str:
        planned, found, wanted = (_in_units(self.field, one) for one in (self.planned, self.found, self.wanted))
        return f"{in_units(self.field)} was {planned}, is {found} now, and shall become {wanted}"


class Rebased(msgspec.Struct, frozen=True, kw_only=True):
    """A change on top of another state than it was planned for: the fields before and after, and what is in the way."""

    before: dict[str, Any]
    after: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()


class Settled(enum.Enum):
    """What reading back says about a write whose answer was lost."""

    DONE = "done"
    NOT_DONE = "not done"
    CHANGED_BY_OTHERS = "changed by others"


def effect(
    entity: Entity, state: State, values: Mapping[str, Cell], *, now: datetime, currency: str = ""
) -> Effect | Refusal:
    """What writing ``values`` (by column) over ``state`` comes down to.

    Args:
        entity: what is changed.
        state: the present, as the server answered it.
        values: the new values by column.
        now: the present in UTC.
        currency: the account's, where it is known.
    """
    before, after, names, amounts = _changed(entity, state, values)
    if not after:
        return NOTHING
    try:
        check_amounts(amounts, currency)
    except AmountRefused as refused:
        return Refusal(reason=str(refused), column=column_of(refused.field, values))
    if isinstance(start := after.get("start_time"), str) and start < f"{now:%Y-%m-%dT%H:%M:%SZ}":
        return Refusal(reason=f"{start} has passed, and what begins must lie in the future", column="start_time")
    steps = bodies_of(entity, after)
    refusal = refusal_of(entity, steps, before, values, now)
    if refusal is not None:
        return refusal
    return Effect(before=before, after=after, steps=steps, names=tuple(names), amounts=amounts)


class _Changed(NamedTuple):
    """The fields that change, as they are (as far as they are set) and as they shall be; what changes in them."""

    before: dict[str, Any]
    after: dict[str, Any]
    names: list[str]
    amounts: list[Amount]


def _changed(entity: Entity, state: State, values: Mapping[str, Cell]) -> _Changed:
    """What writing ``values`` changes. What a value does not touch of its field stays as it came."""
    before, after, names, amounts = found = _Changed({}, {}, [], [])
    shape, columns = entity_shape(entity), entity.columns
    for name, value in values.items():
        column = columns[name]
        field, inner, path = column.field, column.inner, column.path
        whole = state.get(field)
        wanted: Any = value
        present = leaf(whole, inner)
        if type(value) is dict or type(value) is list:
            holder = shape.holder(path)
            wanted = sendable(_on_top_of(value, present, holder, path[-1]), holder, path[-1])
            present = sendable(present, holder, path[-1])
        if same(present, wanted):
            continue
        if whole is not None and field not in after:
            before[field] = after[field] = sendable(whole, shape, field)
        after[field] = _with(after.get(field), inner, wanted)
        if column.is_money:
            if type(wanted) is int:
                amounts.append(Amount(column.writes, present if type(present) is int else None, wanted))
        elif wanted.__class__ in _NESTED:
            amounts += changed_amounts(present, wanted, column.writes)
        if is_object(wanted):
            old = present if is_object(present) else {}
            names += [edit.name for edit in edits_between(old, wanted, path)]
        else:
            names.append(column.writes)
    return found


def _with(holder: Any, path: Sequence[str], value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A copy of ``holder`` with a value at a path in it; what is no object on the way becomes one."""
    if not path:
        return value
    copy: dict[str, Any] = {**holder} if holder.__class__ is dict else {}
    copy[path[0]] = _with(copy.get(path[0]), path[1:], value)
    return copy


def _on_top_of(value: Any, present: Any, holder: Shape, name: str) -> Any:  # noqa: ANN401 - any JSON
    """A whole value that somebody wrote, with what only the server knows of the value that it replaces."""
    if same(value, present):
        return value if present is None else present
    if is_object(value) and is_object(present):
        return _whole(value, present, holder.inner.get(name, NO_SHAPE))
    if is_array(value) and is_array(present) and (listed := holder.listed.get(name)) is not None:
        return _elements(value, present, listed)
    return value


def _whole(value: dict[str, Any], present: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """What is known is as it was written; what is not known stays, unless it was written.

    A known list that was left out is emptied: where the API merges objects, leaving it out would keep it.
    """
    whole: dict[str, Any] = {}
    for name, old in present.items():
        if name in value:
            whole[name] = _on_top_of(value[name], old, shape, name)
        elif name not in shape.known:
            whole[name] = old
        elif is_array(old):
            whole[name] = []
        elif is_object(old) and (rest := _whole({}, old, shape.inner.get(name, NO_SHAPE))):
            whole[name] = rest
    whole.update((name, one) for name, one in value.items() if name not in whole)
    return whole


def _elements(value: list[Any], present: list[Any], shape: Shape) -> list[Any]:
    """A list of objects: as it came where nothing known of it changes.

    Else what stays keeps what only the server knows of it.
    """
    known = [_known(one, shape) for one in present]
    if same([_known(one, shape) for one in value], known) and not any(_unknown(one, shape) for one in value):
        return present
    left = list(zip(known, present, strict=True))
    found: list[Any] = []
    for one in value:
        match_ = next((pair for pair in left if not _unknown(one, shape) and same(pair[0], one)), None)
        if match_ is not None:
            left.remove(match_)
        found.append(one if match_ is None else match_[1])
    return found


def _known(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - any JSON
    return {name: one for name, one in value.items() if name in shape.known} if is_object(value) else value


def _unknown(value: Any, shape: Shape) -> bool:  # noqa: ANN401 - any JSON
    return is_object(value) and not value.keys() <= shape.known


def bodies_of(entity: Entity, after: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The requests of a change.

    What must be alone has its own; off comes first and on last: nothing is delivered half changed.
    """
    if entity.alone.isdisjoint(after):
        return (after,) if after else ()
    together = {field: value for field, value in after.items() if field not in entity.alone}
    steps = [together] if together else []
    for field in sorted(entity.alone & after.keys()):
        step = {field: after[field]}
        if after[field] == _OFF:
            steps.insert(0, step)
        else:
            steps.append(step)
    return tuple(steps)


def rebase(entity: Entity, before: State, after: State, present: State, *, force: bool = False) -> Rebased:
    """Make the change from ``before`` to ``after`` on top of what is there now, value by value.

    A value that is as it was before is changed; one that is as it shall be already is left; anything else is a
    conflict, unless ``force`` overwrites it. What the change does not touch stays as it is now.

    Args:
        entity: what is changed.
        before: the fields of the change, as they were.
        after: the same fields, as they shall be.
        present: the state now.
        force: whether a conflict is overwritten.
    """
    shape = entity_shape(entity)
    changed: dict[str, Any] = {}
    conflicts: list[Conflict] = []
    for edit in edits_between(before, after):
        now = leaf(present, edit.path)
        if same(now, edit.after):
            continue
        field = edit.path[0]
        if not same(now, edit.before) and not force:
            conflicts.append(_conflict(edit, now))
            continue
        if field not in changed:
            changed[field] = None if len(edit.path) == 1 else copied(sendable(present.get(field) or {}, shape, field))
        if not with_edit(changed, edit.path, edit.after):
            conflicts.append(_conflict(edit, now))
    earlier = {field: sendable(present[field], shape, field) for field in changed if present.get(field) is not None}
    return Rebased(before=earlier, after=changed, conflicts=tuple(conflicts))


def _conflict(edit: Edit, now: object) -> Conflict:
    values = (None if value is _UNSET else value for value in (edit.before, now, edit.after))
    planned, found, wanted = values
    return Conflict(field=edit.name, planned=planned, found=found, wanted=wanted)


def settle(present: State, before: State, after: State) -> Settled:
    """Whether a write took effect, by the state read afterwards; only the values that it changes are looked at."""
    edits = list(edits_between(before, after))
    if all(reached(edit.after, leaf(present, edit.path), edit.before) for edit in edits):
        return Settled.DONE
    if all(same(leaf(present, edit.path), edit.before) for edit in edits):
        return Settled.NOT_DONE
    return Settled.CHANGED_BY_OTHERS


def reached(wanted: object, present: object, before: object = None) -> bool:
    """Whether a present value is what was wanted.

    An emptied list may read back as the server's defaults, so anything but the old value counts there. Objects may hold
    more than was wanted, those in lists too; a list that is as it was is no other one.
    """
    if same(wanted, None):
        return same(present, None) or not same(present, before)
    if is_object(wanted) and is_object(present):
        earlier = before if is_object(before) else {}
        return all(reached(value, present.get(name), earlier.get(name)) for name, value in wanted.items())
    if same(wanted, present):
        return True
    ours, theirs = _objects(wanted), _objects(present)
    return len(ours) == len(theirs) > 0 and not same(present, before) and _each_reached(ours, theirs)


def _objects(value: object) -> list[dict[str, Any]]:
    """The elements of a list of objects; none of any other value."""
    return [one for one in value if is_object(one)] if is_array(value) and all(map(is_object, value)) else []


def _each_reached(wanted: Sequence[Mapping[str, Any]], present: list[dict[str, Any]]) -> bool:
    """Whether each element of a list is there, in any order, and no other."""
    for one in sorted(wanted, key=len, reverse=True):  # what says the most has the fewest that it may be
        found = [other for other in present if reached(one, other)]
        if not found:
            return False
        present.remove(min(found, key=len))
    return True


def merge(
    entity: Entity, base: Mapping[str, Cell], state: State, values: Mapping[str, Cell]
) -> tuple[dict[str, Cell], tuple[Conflict, ...]]:
    """The values that somebody meant to change, compared with an earlier export (``base``) and the present state.

    And those of them that are in conflict.
    A value that equals the export was not edited: it never undoes what somebody else did since. A value that was
    edited, in a field that somebody else changed to something third, is a conflict.
    """
    kept: dict[str, Cell] = {}
    conflicts: list[Conflict] = []
    exported = {entity.columns[name].writes: value for name, value in base.items()}
    for name, value in values.items():
        column = entity.columns[name]
        present = leaf(state, column.path)
        then = exported.get(column.writes)
        if column.writes not in exported or same(then, present) or same(value, present):
            kept[name] = value
        elif not same(value, then):
            kept[name] = value
            conflicts.append(Conflict(field=column.writes, planned=then, found=present, wanted=value))
    return kept, tuple(conflicts)


def conflicting(found: Effect, conflicts: Iterable[Conflict]) -> Effect:
    """A change that is in conflict from the beginning: on top of what somebody knew, and not of what is there now."""
    before = copied(found.before)
    for conflict in conflicts:
        with_edit(before, tuple(conflict.field.split(".")), conflict.planned)
    return msgspec.structs.replace(found, before=before)


def _in_units(field: str, value: object) -> str:
    return format_micros(value) if field.endswith(MICROS) and isinstance(value, int) else shown(value)


def shown(value: object) -> str:
    """A value for people, in one line."""
    return "not set" if value is None or value is _UNSET else msgspec.json.encode(value).decode()
