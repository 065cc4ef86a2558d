"""JSON values: what holds others, told to type checkers too, and which texts say the same. Pure."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

__all__ = ["is_array", "is_object", "reworded"]


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def reworded(wanted: object, found: object) -> bool:
    """Whether a text is the same but for blanks and upper and lower case, as servers write it in their own way."""
    return isinstance(wanted, str) and isinstance(found, str) and _plain(wanted) == _plain(found)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
