"""What every rule reads and says with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.refused import Refused

__all__ = [
    "NEEDED_FIELD",
    "Body",
    "BodyRule",
    "QueryRule",
    "Value",
    "about",
    "at",
    "country_code",
    "given",
    "listed",
    "ordered",
    "set_fields",
]

Body: TypeAlias = Any
"""The struct of a request: a rule holds for several, and reads them by the names that they share."""
Value: TypeAlias = Any
"""What stands somewhere in a request."""
BodyRule: TypeAlias = Callable[[Body, datetime], None]
"""Takes the body's struct and the present in UTC."""
QueryRule: TypeAlias = Callable[[Mapping[str, Any], datetime | None], None]
"""Takes the query by the document's names, and the present in UTC where it is known."""


BodyRuleT = TypeVar("BodyRuleT", bound=BodyRule)
NEEDED_FIELD: dict[BodyRule, str] = {}
"""The field without which a rule has nothing to say: it is not asked then. Most updates set few fields."""


def about(field: str) -> Callable[[BodyRuleT], BodyRuleT]:
    """The rule concerns requests that set ``field``, and no others."""

    def note(rule: BodyRuleT) -> BodyRuleT:
        NEEDED_FIELD[rule] = field
        return rule

    return note


def at(struct: object, *names: str) -> Value:
    """The value at the end of a path of attributes, UNSET where the path ends early."""
    for name in names:
        struct = getattr(struct, name, UNSET)
    return struct


def given(value: object) -> bool:
    """Whether there is a value: neither left out nor null."""
    return value is not UNSET and value is not None


def set_fields(body: Body) -> list[str]:
    """The document's names of the fields that are not left out."""
    return [
        shown
        for name, shown in zip(body.__struct_fields__, body.__struct_encode_fields__, strict=True)
        if getattr(body, name) is not UNSET
    ]


def listed(names: Iterable[object]) -> str:
    """Names for a message."""
    return ", ".join(sorted(str(name) for name in names))


def ordered(body: object, first: str, last: str, longest: timedelta | None = None) -> None:
    """Refuse an end that is not after its start, or later than ``longest`` after it."""
    start, end = at(body, first), at(body, last)
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return
    if end <= start:
        raise Refused(end, f"must be later than {first}", f".{last}")
    if longest is not None and end - start > longest:
        raise Refused(end, f"must be at most {longest.days} days after {first}", f".{last}")


def country_code(code: object, path: str) -> None:
    """Refuse a country that is not written as two letters (ISO 3166-1 alpha-2)."""
    if isinstance(code, str) and not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise Refused(code, "must be a two-letter country code, as in US", path)
