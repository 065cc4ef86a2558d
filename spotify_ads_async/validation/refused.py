"""Refusals: a value, the rule that it breaks, and the way to it; values as messages show them."""

from __future__ import annotations

import reprlib
from datetime import datetime
from typing import Self

from spotify_ads_async.errors import Portable
from spotify_ads_async.types import OpenEnum

__all__ = ["Refused", "show"]


class Refused(Portable):
    """A value breaks a rule. ``steps`` lead to it, the innermost first."""

    def __init__(self, value: object, rule: str, *steps: str) -> None:
        super().__init__(rule)
        self.value = value
        self.rule = rule
        self.steps = list(steps)

    def inside(self, step: str) -> Self:
        """The same refusal, seen from one level further out: ``.name`` or ``[3]``."""
        self.steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The way to the value, from the outermost step."""
        return "".join(reversed(self.steps))


class _ShortRepr(reprlib.Repr):
    """Values in messages: short, bytes as their size, huge integers as their length."""

    def repr_int(self, x: int, level: int) -> str:
        del level
        return repr(x) if x.bit_length() <= _LARGEST_SHOWN_BITS else f"an integer of {x.bit_length()} bits"

    def repr_instance(self, x: object, level: int) -> str:
        return self.repr1(x.value, level) if isinstance(x, OpenEnum) else super().repr_instance(x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        del level
        return f"{len(x)} bytes"


_LARGEST_SHOWN_BITS = 200
_short = _ShortRepr()
_short.maxstring = _short.maxother = 80


def show(value: object) -> str:
    """``value`` for a message: short, and never a secret."""
    if isinstance(value, datetime):
        return value.isoformat()
    return _short.repr(value)
