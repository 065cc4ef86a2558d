"""Changing one thing deep inside a frozen struct."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace


def change(body: Any, place: str, value: object) -> Any:  # noqa: ANN401 - any struct of a request
    """``body`` with ``value`` at a dotted place; a number in the place is a list's index."""
    name, _, rest = place.partition(".")
    if isinstance(body, list):
        at = int(name)
        return [*body[:at], change(body[at], rest, value) if rest else value, *body[at + 1 :]]
    return replace(body, **{name: change(getattr(body, name), rest, value) if rest else value})
