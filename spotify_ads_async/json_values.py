"""JSON values: what holds others, told to type checkers too, and which texts say the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeGuard

__all__ = ["is_array", "is_object", "names_within", "reworded"]


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def names_within(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every name in a JSON value, at any depth, with the names around it; elements of an array have none."""
    if is_object(value):
        for name, one in value.items():
            yield (*path, name)
            yield from names_within(one, (*path, name))
    elif is_array(value):
        for one in value:
            yield from names_within(one, path)


def reworded(wanted: object, found: object) -> bool:
    """Whether a text is the same but for blanks and upper and lower case, as servers write it in their own way."""
    return isinstance(wanted, str) and isinstance(found, str) and _plain(wanted) == _plain(found)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
