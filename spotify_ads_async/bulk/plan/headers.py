"""Headers as people type them, and the columns that they mean. Pure.

Case, blanks and punctuation do not count: ``Ad Set ID:`` is ``ad_set_id``. What stands in parentheses or brackets names
the currency of amounts (``Budget (USD)``, ``Budget [$]``) or the zone of times (``End time (Europe/Berlin)``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.columns import Column, Kind, suggestion
from spotify_ads_async.bulk.plan.sources import CURRENCY
from spotify_ads_async.money import currencies_meant
from spotify_ads_async.spreadsheets import CellValue, trimmed

__all__ = [
    "Header",
    "HeaderProblem",
    "entity_of",
    "header_text",
    "may_need_currency",
    "plain",
    "read_header",
    "zone_named",
]

_NOTHING: Mapping[str, Column] = {}
_NOT_COUNTED = re.compile(r"[\s._\-:*\u00a0]+")
_REMARK = re.compile(r"(?P<name>.*?)\s*[(\[](?P<remark>[^()\[\]]*)[)\]][\s:*]*")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a file: what it means, and what its header said beside that.

    Attributes:
        text: the header, as it stands in the file.
        column: the column that it means; None for the id, and for what changes nothing.
        is_id: whether it is the id's column.
        is_currency: whether it says the currency of a row.
        ignored: whether it is left out.
        zone: the zone that it names for its times.
    """

    text: str
    column: Column | None = None
    is_id: bool = False
    is_currency: bool = False
    ignored: bool = False
    zone: ZoneInfo | None = None


class HeaderProblem(ValueError):
    """A header cannot be used; ``remedy`` is an option that would leave it out."""


def header_text(value: CellValue) -> str:
    """A header as text; what is there without being seen does not count."""
    return trimmed(value) if isinstance(value, str) else str(value)


def plain(text: str) -> str:
    """A name without what does not count in it."""
    return _NOT_COUNTED.sub("", text).casefold()


def may_need_currency(text: str) -> bool:
    """Whether what a header means, or what stands below it, may depend on the account's currency."""
    return plain(text) == CURRENCY or plain(text).endswith("amount") or _REMARK.fullmatch(text) is not None


@functools.cache
def _by_plain_name(entity: Entity) -> Mapping[str, str]:
    """The columns of an entity by their plain names; where two have the same, neither."""
    found: dict[str, str] = {}
    for name in entity.columns:
        found[plain(name)] = "" if plain(name) in found else name
    return found


def entity_of(texts: Sequence[str]) -> tuple[Entity, ...]:
    """The kinds of things whose id column is among some headers."""
    names = {plain(text) for text in texts}
    return tuple(entity for entity in ENTITIES.values() if plain(entity.id_column) in names)


def read_header(
    entity: Entity, text: str, *, currency: str, ignored: Collection[str] = (), more: Mapping[str, Column] = _NOTHING
) -> Header:
    """What a header means.

    Args:
        entity: what the file is about.
        text: the header.
        currency: the account's currency, or nothing where it is not known.
        ignored: headers to leave out, in any spelling.
        more: further columns, of rows that are new.

    Raises:
        HeaderProblem: it means nothing here.
    """
    if plain(text) in {plain(one) for one in ignored}:
        return Header(text=text, ignored=True)
    if text in entity.columns:
        return Header(text=text, column=entity.columns[text])
    if plain(text) == plain(entity.id_column):
        return Header(text=text, is_id=True)
    if plain(text) == CURRENCY and entity.has_money:
        return Header(text=text, is_currency=True)
    if name := _by_plain_name(entity).get(plain(text)):
        return Header(text=text, column=entity.columns[name])
    if column := next((one for name, one in more.items() if plain(name) == plain(text)), None):
        return Header(text=text, column=column)
    found = _REMARK.fullmatch(text)
    if found is not None:
        return _remarked(entity, text, found["name"], trimmed(found["remark"]), currency)
    if text in entity.read_only or plain(text) in {plain(one) for one in entity.read_only}:
        raise HeaderProblem(f"is read-only: the API takes no change of it; --ignore {_quoted(text)} leaves it out")
    raise HeaderProblem(
        f"is no column of {entity.plural}{suggestion(text, [*entity.columns, *more])}; --ignore {_quoted(text)} leaves"
        " it out"
    )


def _quoted(text: str) -> str:
    return f'"{text}"' if re.search(r"\s", text) else text


def _remarked(entity: Entity, text: str, name: str, remark: str, currency: str) -> Header:
    meant = currencies_meant(remark)
    if meant and (column := _amount_column(entity, name)):
        if not currency:
            raise HeaderProblem(f"names {remark}, and the account's currency is not known: write {column.name}")
        if currency not in meant:
            raise HeaderProblem(f"is in {remark.upper()}, and the account's currency is {currency}")
        return Header(text=text, column=column)
    column_name = _by_plain_name(entity).get(plain(name), "")
    if column_name and entity.columns[column_name].kind is Kind.TIME:
        return Header(text=text, column=entity.columns[column_name], zone=zone_named(remark))
    raise HeaderProblem(
        f"is no column of {entity.plural}{suggestion(name, entity.columns)}; what stands in parentheses may be a"
        f" currency or a time zone; --ignore {_quoted(text)} leaves it out"
    )


def _amount_column(entity: Entity, name: str) -> Column | None:
    """The column in currency units that ``Budget`` or ``Bid amount`` means."""
    wanted = {plain(name), plain(f"{name}amount")}
    return next((one for one in entity.columns.values() if one.kind is Kind.AMOUNT and plain(one.name) in wanted), None)


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name, such as ``Europe/Berlin`` or ``UTC``.

    Raises:
        HeaderProblem: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise HeaderProblem(f"names {name!r}, which is no time zone: write one such as Europe/Berlin or UTC") from None
