"""Keys and values of the server's JSON that this version's models do not know. Pure."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from msgspec import inspect

from spotify_ads_async.types import OpenEnum

__all__ = ["Path", "Unknown", "path_text", "put_at", "unknown_in"]

Path: TypeAlias = tuple[str | int, ...]
"""Where something stands in a JSON object: keys, and places in lists."""


class Unknown(NamedTuple):
    """A key, or the value of a list of known values, that no model knows.

    ``suggestion`` is the known one that is most like it, empty where none is.
    """

    path: Path
    value: Any
    is_key: bool
    suggestion: str


def unknown_in(kind: type[Any], value: Mapping[str, Any]) -> list[Unknown]:
    """Whatever a JSON object holds that the struct ``kind`` does not know, at any depth."""
    return list(_walk(_info(kind), value, ()))


def path_text(path: Path) -> str:
    """A place for people: ``targets.geo_targets.dma_ids[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def put_at(target: dict[str, Any], path: Path, value: object) -> bool:
    """Put a value where ``path`` leads, in place; whether the object or list that it belongs into is there."""
    place: Any = target
    for step in path[:-1]:
        if isinstance(step, str) and isinstance(place, dict) and step in place:
            place = cast("dict[str, Any]", place)[step]
        elif isinstance(step, int) and isinstance(place, list) and step < len(cast("list[Any]", place)):
            place = cast("list[Any]", place)[step]
        else:
            return False
    last = path[-1]
    if isinstance(place, dict) and isinstance(last, str):
        place[last] = value
        return True
    return False


@functools.cache
def _info(kind: type[Any]) -> inspect.Type:
    return inspect.type_info(kind)


def _walk(node: inspect.Type, value: object, path: Path) -> Iterator[Unknown]:
    match node:
        case inspect.Metadata():
            yield from _walk(node.type, value, path)
        case inspect.UnionType():
            kinds = [kind for kind in node.types if not isinstance(kind, inspect.NoneType)]
            if len(kinds) == 1:
                yield from _walk(kinds[0], value, path)
        case inspect.StructType() if isinstance(value, Mapping):
            yield from _in_struct(node, cast("Mapping[str, object]", value), path)
        case inspect.CollectionType() if isinstance(value, list):
            for index, one in enumerate(cast("list[object]", value)):
                yield from _walk(node.item_type, one, (*path, index))
        case inspect.EnumType() if (
            isinstance(value, str) and issubclass(node.cls, OpenEnum) and not node.cls(value).known
        ):
            yield Unknown(
                path, value, is_key=False, suggestion=_nearest(value, [str(member.value) for member in node.cls])
            )
        case _:
            pass


def _in_struct(node: inspect.StructType, value: Mapping[str, object], path: Path) -> Iterator[Unknown]:
    fields = {field.encode_name: field.type for field in node.fields}
    for name, one in value.items():
        if name in fields:
            yield from _walk(fields[name], one, (*path, name))
        else:
            yield Unknown((*path, name), one, is_key=True, suggestion=_nearest(name, list(fields)))


def _nearest(name: str, known: list[str]) -> str:
    alike = [
        found
        for text in (name.lower(), name.upper())
        for found in difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    ]
    return alike[0] if alike else ""
