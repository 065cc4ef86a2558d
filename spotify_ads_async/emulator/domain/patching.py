"""What a PATCH makes of an object that stands inside an entity: whether it merges or replaces is published nowhere."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from typing import Any, Protocol, cast

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal
from spotify_ads_async.emulator.domain.checking import Checker
from spotify_ads_async.emulator.domain.shapes import named_shape

__all__ = ["PatchMode", "combined", "known_only", "newer_in", "patched", "put_back", "without_newer"]

_EMPTY: dict[str, Any] = {}


class PatchMode(enum.StrEnum):
    """How objects are changed."""

    MERGE = "merge"
    """Objects merge at any depth, lists are replaced."""
    REPLACE = "replace"
    """An object becomes what was sent, whether the document knows it or not."""
    REPLACE_KNOWN = "replace-known"
    """An object becomes what was sent, without the names that the document does not know."""


class Patching(Protocol):
    """What a server knows of changes."""

    patch: PatchMode
    newer: set[str]
    """Enum values that its entities have or had, and the document lacks."""


def combined(mode: PatchMode, present: Any, sent: Any) -> Any:  # noqa: ANN401 - any JSON
    """The value that a sent one makes of a present one."""
    if mode is PatchMode.MERGE and isinstance(present, dict) and isinstance(sent, dict):
        ours, theirs = cast("dict[str, Any]", present), cast("dict[str, Any]", sent)
        return {**ours, **{name: combined(mode, ours.get(name), value) for name, value in theirs.items()}}
    return sent


def _named(shape: dict[str, Any]) -> dict[str, Any]:
    return named_shape(shape["ref"]) if "ref" in shape else shape


def known_only(value: Any, shape: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """A value without the names that the document does not know, at any depth."""
    shape = _named(shape)
    if isinstance(value, dict):
        known: dict[str, Any] = shape.get("properties", _EMPTY)
        return {
            name: known_only(one, known[name]) for name, one in cast("dict[str, Any]", value).items() if name in known
        }
    if isinstance(value, list) and "items" in shape:
        return [known_only(one, shape["items"]) for one in cast("list[Any]", value)]
    return cast("Any", value)


def newer_in(value: Any, shape: dict[str, Any]) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The values in lists that are newer than the document."""
    shape = _named(shape)
    if isinstance(value, dict):
        parts: dict[str, Any] = shape.get("properties", _EMPTY)
        for name, one in cast("dict[str, Any]", value).items():
            yield from newer_in(one, parts.get(name, _EMPTY))
    elif isinstance(value, list) and (legal := _named(shape.get("items", _EMPTY)).get("enum")):
        yield from (one for one in cast("list[Any]", value) if isinstance(one, str) and one not in legal)


def without_newer(sent: Any, present: Any, shape: dict[str, Any], newer: Collection[str]) -> Any:  # noqa: ANN401 - any JSON
    """What was sent without nulls, and without values that the server answered once and the document lacks.

    No server refuses its own.
    """
    shape = _named(shape)
    if isinstance(sent, dict):
        theirs = cast("dict[str, Any]", present) if isinstance(present, dict) else {}
        parts: dict[str, Any] = shape.get("properties", _EMPTY)
        return {
            name: without_newer(one, theirs.get(name), parts.get(name, _EMPTY), newer)
            for name, one in cast("dict[str, Any]", sent).items()
            if one is not None or name not in theirs or theirs[name] is not None
        }
    if isinstance(sent, list):
        return [one for one in cast("list[Any]", sent) if isinstance(one, dict | list) or one not in newer]
    return sent


def patched(
    server: Patching, checker: Checker, present: dict[str, Any], sent: dict[str, Any], content: bytes
) -> dict[str, Any]:
    """The fields of a change as they are put: checked, but for what the server answered itself.

    Raises:
        Refusal: what was sent breaks the document.
    """
    mode = server.patch
    server.newer.update(newer_in({name: present[name] for name in sent if name in present}, checker.shape or _EMPTY))
    try:
        checked = checker.body(content)
    except Refusal:
        new = without_newer(sent, present, checker.shape or _EMPTY, server.newer)
        checked = checker.body(msgspec.json.encode(new))
    fields = {
        name: value
        for name, value in sent.items()
        if name in checked or (name in present and mode is not PatchMode.REPLACE_KNOWN)
    }
    if mode is PatchMode.REPLACE_KNOWN and checker.shape is not None:
        fields = known_only(fields, checker.shape)
    return {name: combined(mode, present.get(name), value) for name, value in fields.items()}


def put_back(mode: PatchMode, before: dict[str, Any], drafted: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A published row with the objects of its draft as they stood there, and not as far as the document knows them."""
    if mode is PatchMode.REPLACE_KNOWN:
        return row
    found = dict(row)
    for name, value in drafted.items():
        if isinstance(value, dict) and isinstance(row.get(name), dict):
            found[name] = {**row[name], **combined(mode, before.get(name), value)}
        elif isinstance(value, list) and name in row:
            found[name] = value
    return found
