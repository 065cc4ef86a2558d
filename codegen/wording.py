"""What a field or a parameter holds, in words: its kind, its unit and its bounds, from its type and nothing else."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from codegen import names
from codegen.shapes import EnumShape, Shape
from codegen.source import identifiers

__all__ = ["described", "entry", "parted", "thing"]

_PLAIN = {
    "MicroAmount": "money in millionths of the account's currency unit: 12.50 is 12_500_000",
    "UtcTime": "a time in UTC; fractions of a second are cut off",
    "Uuid": "an ID",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "bytes": "the bytes themselves",
    "date": "a day",
    "Any": "any JSON value",
    "dict[str, Any]": "any JSON object",
}
_WIDTH = 118
_FEW = 10
_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def described(kind: str, classes: Mapping[str, Shape]) -> str:
    """A type in words, such as ``text of at most 200 characters``.

    Args:
        kind: the type as Python source.
        classes: structs and enums by name, which are linked.
    """
    inner, _, bounds = parted(kind)
    if inner.startswith(("list[", "Sequence[")):
        item = described(inner[inner.index("[") + 1 : -1], classes).replace("an ID", "IDs")
        return f"a list{_length(bounds, 'items')}{', each once' if 'UNIQUE' in bounds else ''}, of {item}"
    shape = classes.get(inner)
    if isinstance(shape, EnumShape):
        values = [value for value in shape.values if value not in shape.answer_only]
        shown = ", ".join(values[:_FEW]) + (", …" if len(values) > _FEW else "")
        return f":class:`{inner}`, such as {shown}" if len(values) > _FEW else f":class:`{inner}`: {shown}"
    if shape is not None:
        return f":class:`{inner}`"
    said = _PLAIN.get(inner, f"``{inner}``" if not identifiers(inner) & classes.keys() else inner)
    said = "an absolute URI" if "URI" in bounds else said
    pattern = re.search(r'pattern=("(?:[^"\\]|\\.)*")', bounds)
    matching = f", matching ``{pattern[1][1:-1]}``" if pattern else ""
    return f"{said}{_length(bounds, 'characters')}{_range(bounds)}{matching}"


def entry(name: str, said: str, *, indent: int) -> str:
    """An entry of a docstring's ``Attributes`` or ``Args``, wrapped, with its indentation."""
    margin = " " * indent
    return textwrap.fill(f"{name}: {said}", _WIDTH, initial_indent=margin, subsequent_indent=f"{margin}    ", **_WORDS)


def parted(kind: str) -> tuple[str, str, str]:
    """``Annotated[list[str], UNIQUE]`` → ``list[str]`` and its constraints."""
    if not kind.startswith("Annotated["):
        return kind, "", ""
    depth = 0
    for at, character in enumerate(kind):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 1:
            return kind[len("Annotated[") : at], ",", kind[at + 1 : -1]
    return kind, "", ""


def _bound(bounds: str, name: str) -> str | None:
    found = re.search(rf"\b{name}=([-0-9.]+)", bounds)
    return found[1] if found else None


def _length(bounds: str, unit: str) -> str:
    low, high = _bound(bounds, "min_length"), _bound(bounds, "max_length")
    return _between(low, high, f" {unit}")


def _range(bounds: str) -> str:
    return _between(_bound(bounds, "ge"), _bound(bounds, "le"), "")


def _between(low: str | None, high: str | None, unit: str) -> str:
    if low is None:
        return f" of at most {high}{unit}" if high else ""
    if high is None:
        return f" of at least {low}{unit}"
    return f" of {low}{unit}" if low == high else f" of {low} to {high}{unit}"


def thing(name: str) -> str:
    """A parameter's name in words: ``ad_set_id`` → ``ad set``."""
    return names.words(name.removesuffix("_id"))
