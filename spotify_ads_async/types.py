"""Types whose names carry a unit or a rule, used by every generated struct.

Sources: the Ads API's OpenAPI document (formats) and its "Time Format" page.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import NoReturn, Self, TypeAlias

from msgspec import UNSET, UnsetType

__all__ = ["UNSET", "MicroAmount", "OpenEnum", "Secret", "UnsetType", "UtcTime"]

MicroAmount: TypeAlias = int
"""Money in millionths of the account's currency unit: 12.50 is 12_500_000, for JPY too."""

UtcTime: TypeAlias = datetime
"""An instant, with ``datetime.timezone.utc`` and whole seconds: the API takes no offset and no fraction."""


class OpenEnum(enum.StrEnum):
    """A string enum that also holds values which the API added later.

    ``Status("NEW_VALUE")`` gives a member that decodes, compares, prints and encodes as ``"NEW_VALUE"``;
    :attr:`known` is false on it. The API publishes new enum values as non-breaking.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether this SDK's version of the API document lists the value."""
        return self.value in type(self).__members__.values()


class Secret:
    """A string that shows itself only when asked: never in repr, str, format, logging or a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where the value is used, not before."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: read it again where it is needed")
