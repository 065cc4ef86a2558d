"""The present state of an entity: the server's JSON as it came, and what of it is sent back. Pure.

A state is never a model: what this package does not know is in it too, at any depth, and stays in what is sent.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.columns import Cell, inner_struct, listed_struct
from spotify_ads_async.json_values import is_array, is_object
from spotify_ads_async.types import Answer, moment_of, source_of
from spotify_ads_async.validation.formats import UUID_PATTERN

__all__ = [
    "NO_SHAPE",
    "Edit",
    "Shape",
    "State",
    "copied",
    "edits_between",
    "edits_to",
    "entity_shape",
    "grown",
    "leaf",
    "left_out",
    "same",
    "sendable",
    "shape_of",
    "state_of",
    "with_edit",
    "without_own",
    "writable",
    "writable_state",
]

State = Mapping[str, Any]
"""An entity in the form JSON gives it, with everything that was answered."""

_CURRENCY = "currency"
_SENT_BACK = frozenset({"dma_ids"})
"""Known from published answers, and to no document.

Without it the targeting would be wider, and nothing took its place.
"""
_ABSENT: Any = msgspec.UNSET
_PLAIN = frozenset({int, float, bool})
_ID = re.compile(UUID_PATTERN)


def state_of(answer: msgspec.Struct) -> str:
    """The JSON text of an answer: the server's own, or the model's where the server's is not known."""
    source = source_of(answer) if isinstance(answer, Answer) else None
    return (msgspec.json.encode(answer) if source is None else source).decode()


class Shape(NamedTuple):
    """What the document knows of an object.

    The names of a request, those that are answers only, and the objects inside.
    """

    known: frozenset[str]
    answer_only: frozenset[str]
    inner: Mapping[str, Shape]
    listed: Mapping[str, Shape]
    partly_sent: frozenset[str]
    """The names of objects, and lists of them, of which something at some depth is left out of what is sent."""
    unanswered: frozenset[str]
    """The names that are sent and never answered."""
    told_of: frozenset[str]
    """The names of objects of which :func:`left_out` may tell that something is left out."""

    @property
    def sends_all(self) -> bool:
        """Whether nothing at any depth is left out of what is sent."""
        return not self.answer_only and not self.partly_sent

    def of(self, name: str) -> Shape:
        """The shape of an object, or of those in a list, within this one."""
        return self.inner.get(name) or self.listed.get(name) or NO_SHAPE

    def holder(self, path: Sequence[str]) -> Shape:
        """The shape of the object that holds the last name of a path."""
        return functools.reduce(lambda shape, name: shape.inner.get(name, NO_SHAPE), path[:-1], self)


NO_SHAPE = Shape(frozenset(), frozenset(), {}, {}, frozenset(), frozenset(), frozenset())
"""What the document knows of an object that it does not know."""


@functools.cache
def shape_of(request: type[msgspec.Struct], answer: type[msgspec.Struct] | None) -> Shape:
    """The shape of an object that is sent as ``request`` and answered as ``answer``."""
    sent = {field.encode_name: field.type for field in msgspec.structs.fields(request)}
    answered = {} if answer is None else {field.encode_name: field.type for field in msgspec.structs.fields(answer)}
    inner: dict[str, Shape] = {}
    listed: dict[str, Shape] = {}
    for name, kind in sent.items():
        theirs = answered.get(name)
        if (struct := inner_struct(kind)) is not None:
            inner[name] = shape_of(struct, None if theirs is None else inner_struct(theirs))
        elif (struct := listed_struct(kind)) is not None:
            listed[name] = shape_of(struct, None if theirs is None else listed_struct(theirs))
    answer_only = frozenset(answered.keys() - sent.keys() - _SENT_BACK)
    partly_sent = frozenset(name for name, one in (*inner.items(), *listed.items()) if not one.sends_all)
    unanswered = frozenset(sent.keys() - answered.keys()) if answered else frozenset[str]()
    told_of = frozenset(name for name, one in inner.items() if one.told_of or one.answer_only - {_CURRENCY})
    return Shape(frozenset(sent), answer_only, inner, listed, partly_sent, unanswered, told_of)


@functools.cache
def entity_shape(entity: Entity) -> Shape:
    """The shape of an entity's updates."""
    return shape_of(entity.update.body, entity.get.answer)


def writable_state(entity: Entity, answer: msgspec.Struct) -> dict[str, Cell]:
    """The part of an answer that may be written, with what this package does not know inside.

    Null counts as not set.
    """
    state: dict[str, Any] = msgspec.json.decode(state_of(answer))
    return writable(entity, state)


def writable(entity: Entity, state: State) -> dict[str, Any]:
    """The writable fields of a state as they are sent."""
    shape = entity_shape(entity)
    return {
        name: sendable(value, shape, name) for name, value in state.items() if name in shape.known and value is not None
    }


def sendable(value: Any, shape: Shape, name: str) -> Any:  # noqa: ANN401 - any JSON
    """A field's value without what the document declares for answers only; everything else as it came."""
    if name not in shape.partly_sent:
        return value
    if value.__class__ is dict and (inner := shape.inner.get(name)) is not None:
        return _sendable(value, inner)
    if value.__class__ is list and (listed := shape.listed.get(name)) is not None:
        return [_sendable(one, listed) if one.__class__ is dict else one for one in value]
    return value


def _sendable(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    answer_only, partly_sent = shape.answer_only, shape.partly_sent
    return {
        name: sendable(one, shape, name) if name in partly_sent else one
        for name, one in value.items()
        if name not in answer_only
    }


def left_out(value: Any, shape: Shape, name: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """What :func:`sendable` leaves out of a field though it holds something, by dotted names.

    The currency is no loss: it says what the amount beside it is in, and is the account's.
    """
    if name in shape.told_of and is_object(value):
        inner = shape.inner[name]
        for part, one in value.items():
            if part in inner.answer_only and part != _CURRENCY and not same(one, None):
                yield f"{name}.{part}"
            if part in inner.told_of:
                yield from (f"{name}.{deeper}" for deeper in left_out(one, inner, part))


def copied(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A JSON value that can be changed without changing this one."""
    if is_object(value):
        return {name: copied(one) for name, one in value.items()}
    return [copied(one) for one in value] if is_array(value) else value


def leaf(state: State | None, path: Iterable[str]) -> Cell:
    """The value at a dotted path, None where there is none."""
    found: Any = state
    for name in path:
        if found.__class__ is not dict:
            return None
        found = found.get(name)
    return found


def same(one: object, other: object) -> bool:
    """Whether two values mean the same to the API.

    The order of a list does not count, nor do nulls and empty lists beside absence, nor how moments or ids are written.
    """
    if one is other:
        return True
    if type(one) is str and type(other) is str:
        return one == other or _same_text(one, other)
    if type(one) is type(other) and type(one) in _PLAIN:
        return one == other
    match one, other:
        case (None | [] | msgspec.UNSET, None | [] | msgspec.UNSET):
            return True
        case dict(), dict():
            ours, theirs = cast("dict[str, object]", one), cast("dict[str, object]", other)
            return all(same(ours.get(name), theirs.get(name)) for name in ours.keys() | theirs.keys())
        case list(), list():
            return one == other or _same_lists(cast("list[object]", one), cast("list[object]", other))
        case _:
            return one == other and (type(one) is type(other) or (_is_number(one) and _is_number(other)))


def grown(old: object, new: object, shape: Shape) -> bool:
    """Whether a value is as it was, but for names that nobody knew of: the server tells more than it did."""
    if is_object(old) and is_object(new):
        names = [name for name in old.keys() | new.keys() if name in old or name in shape.known | shape.answer_only]
        return all(grown(old.get(name), new.get(name), shape.of(name)) for name in names)
    if is_array(old) and is_array(new) and len(old) == len(new) and any(map(is_object, old)):
        pairs = {(at, to) for at, one in enumerate(old) for to, other in enumerate(new) if grown(one, other, shape)}
        return all(len({pair[side] for pair in pairs}) == len(old) for side in (0, 1))
    return same(old, new)


def _same_text(one: str, other: str) -> bool:
    if len(one) == len(other) and one.lower() == other.lower():
        return _ID.fullmatch(one) is not None
    return one[10:11] == other[10:11] == "T" and (found := moment_of(one)) is not None and found == moment_of(other)


def _same_lists(one: list[object], other: list[object]) -> bool:
    return len(one) == len(other) and all(map(same, sorted(one, key=_place), sorted(other, key=_place)))


def _place(value: object) -> tuple[bytes, bytes]:
    text = msgspec.json.encode(value, order="sorted")
    return text.lower(), text


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Edit(NamedTuple):
    """One value that changes: a plain one, or a whole list. UNSET stands for a name that is not there."""

    path: tuple[str, ...]
    before: Any
    after: Any

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)


def edits_between(before: State, after: State, path: tuple[str, ...] = ()) -> Iterator[Edit]:
    """What differs between two objects, value by value; lists count as one value each."""
    for name in dict.fromkeys((*before, *after)):
        old: object = before.get(name, _ABSENT)
        new: object = after.get(name, _ABSENT)
        if is_object(old) and is_object(new):
            yield from edits_between(old, new, (*path, name))
        elif not same(old, new):
            yield Edit((*path, name), old, new)


def edits_to(before: State, values: State) -> Iterator[Edit]:
    """What differs between some fields as they were, and the values that they are to have."""
    return edits_between({name: before.get(name) for name in values}, values)


def with_edit(holder: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Put a value into an object in place; UNSET takes it away, and empties lists.

    False where the path leads through no object.
    """
    *outer, last = path
    for name in outer:
        if holder.get(name) is None:
            if value is _ABSENT:
                return True
            holder[name] = {}
        if not is_object(inner := holder[name]):
            return False
        holder = inner
    if value is _ABSENT:
        value = _emptied(holder.pop(last, None))
    if value is not _ABSENT:
        holder[last] = value
    return True


def _emptied(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """What is sent to take a value away; UNSET where nothing does it.

    Where the API merges objects, leaving a list out would keep it.
    """
    if is_array(value):
        return []
    parts = value.items() if is_object(value) else ()
    return {name: empty for name, one in parts if (empty := _emptied(one)) is not _ABSENT} or _ABSENT


def without_own(value: Any, present: Any, holder: Shape, name: str) -> Any:  # noqa: ANN401 - any JSON
    """A value without the names that the document does not know, where what they hold is what is there already.

    What is left is what somebody wrote: that is held to the document.
    """
    if is_object(value) and (inner := holder.inner.get(name)) is not None:
        return _without_own(value, present if is_object(present) else {}, inner)
    if is_array(value) and is_array(present):
        if (listed := holder.listed.get(name)) is not None:
            return [_without_theirs(one, present, listed) for one in value]
        return [one for one in value if one not in present]
    return value


def _without_theirs(one: Any, present: list[Any], shape: Shape) -> Any:  # noqa: ANN401 - any JSON
    """An element of a list without the unknown names that some element has alike."""
    if not is_object(one):
        return one
    items = [item for item in present if is_object(item)]
    return {
        name: value
        for name, value in one.items()
        if name in shape.known or not any(name in item and same(item[name], value) for item in items)
    }


def _without_own(value: dict[str, Any], present: dict[str, Any], shape: Shape) -> dict[str, Any]:
    return {
        name: without_own(one, present.get(name), shape, name)
        for name, one in value.items()
        if name in shape.known or name not in present or not same(one, present[name])
    }
