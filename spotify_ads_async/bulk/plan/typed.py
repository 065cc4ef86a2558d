"""Cells as people and spreadsheets fill them, brought into the one text that a column reads. Pure."""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec

from spotify_ads_async.bulk.plan.cells import CellError, refuse_error
from spotify_ads_async.bulk.plan.columns import Column, Kind, is_list, listed_struct, unannotated
from spotify_ads_async.spreadsheets import CellValue, FormattedNumber, UnreadableCell, trimmed
from spotify_ads_async.types import OpenEnum, time_text

__all__ = ["at_zone", "cell_text", "id_text"]

_LIST_SEPARATORS = re.compile(r"\s*[,;\n]\s*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}(?::\d{2})?")
_FIRST_YEAR = 1905
"""Spreadsheets count days from 1900 or 1904, and show hours as if they were the first of them."""
_RANGE = re.compile(r"\s*(?P<min>\d{1,3})\s*[-\u2013]\s*(?P<max>\d{1,3})\s*")
_GROUP = 3  # digits that a mark before them may group, or divide from the units
_LOOKS_MANGLED = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)


def cell_text(column: Column, value: CellValue, *, zone: ZoneInfo | None = None) -> str:
    """The text of a cell that is not blank, as :func:`~spotify_ads_async.bulk.plan.cells.parse_cell` reads it.

    Args:
        column: where the cell stands.
        value: what it holds.
        zone: the zone of times that name none.

    Raises:
        CellError: the cell cannot be read, or holds what the column cannot mean.
    """
    if isinstance(value, str):
        return _from_text(column, trimmed(value), zone)
    match value:
        case UnreadableCell():
            raise CellError(value.reason)
        case FormattedNumber():
            return _from_formatted(column, value)
        case bool():
            return str(value).upper() if column.is_text else str(value)
        case int() | Decimal():
            return _from_number(column, value)
        case datetime():
            return _from_moment(column, value, zone)
        case date():
            return _from_date(column, value.isoformat(), zone)
        case time() | timedelta():
            raise CellError(f"holds {value}, a time without a day: write 2030-01-31 18:30")


def id_text(value: CellValue) -> str:
    """The text of a cell that holds an id.

    Raises:
        CellError: a spreadsheet has changed it.
    """
    if isinstance(value, UnreadableCell):
        raise CellError(value.reason)
    text = (
        trimmed(value) if isinstance(value, str) else str(value.value if isinstance(value, FormattedNumber) else value)
    )
    if not isinstance(value, str) or _LOOKS_MANGLED.fullmatch(text):
        raise CellError(
            f"{text} is a number, and ids are none: a spreadsheet has changed it; format the column as text, and take"
            " ids from a new export"
        )
    return text.removeprefix("'")


def _from_text(column: Column, text: str, zone: ZoneInfo | None) -> str:
    if text.startswith("<"):
        return text  # the token that clears
    refuse_error(text)
    match column.kind:
        case Kind.CHOICE:
            return _as_member(column.type, text)
        case Kind.BOOLEAN:
            return {"yes": "true", "no": "false", "1": "true", "0": "false"}.get(text.lower(), text)
        case Kind.TIME:
            return _from_local_text(column, text, zone)
        case Kind.JSON if is_list(column.type) and not text.startswith("["):
            struct = listed_struct(column.type)
            return _as_list(column, text) if struct is None else _as_ranges(struct, text)
        case _:
            return text


@functools.lru_cache(maxsize=4096)
def _as_member(kind: object, text: str) -> str:
    """The member of an enum that a text means: case does not count, and blanks and hyphens are underscores."""
    members = unannotated(kind)
    if not (isinstance(members, type) and issubclass(members, OpenEnum)):
        return text
    plain = re.sub(r"[\s\-]+", "_", text).upper()
    return next((one.value for one in members if one.value.upper() == plain), text)


def _as_list(column: Column, text: str) -> str:
    inner, *_ = get_args(unannotated(column.type)) or (str,)
    items = [one for one in (trimmed(part) for part in _LIST_SEPARATORS.split(text)) if one]
    if unannotated(inner) is int:
        numbers = [int(one) if one.isdecimal() else one for one in items]
        return msgspec.json.encode(numbers).decode()
    return msgspec.json.encode([_as_member(inner, one.strip('"')) for one in items]).decode()


def _as_ranges(struct: type[msgspec.Struct], text: str) -> str:
    """``18-24, 25-34`` as a list of objects with a least and a greatest, where the column holds such.

    Any other text as it is.
    """
    found = [_RANGE.fullmatch(one) for one in _LIST_SEPARATORS.split(text) if trimmed(one)]
    if set(struct.__struct_fields__) != {"min", "max"} or None in found:
        return text
    return msgspec.json.encode(
        [{"min": int(one["min"]), "max": int(one["max"])} for one in found if one is not None]
    ).decode()


def _from_number(column: Column, value: int | Decimal) -> str:
    plain = _digits(value)
    match column.kind:
        case Kind.TIME:
            raise CellError(
                f"{plain} is a number, and no time: format the cell as a date with a time, or write"
                " 2030-01-31T18:30:00Z"
            )
        case Kind.CHOICE:
            raise CellError(f"{plain} is a number, and this column takes words")
        case Kind.JSON if is_list(column.type):
            return _as_list(column, plain)
        case Kind.AMOUNT:
            return _clear_digits(value)
        case _:
            return plain


def _clear_digits(value: int | Decimal) -> str:
    """An amount that a number holds: three decimals cannot be meant as a group of digits, unlike those of a text."""
    plain = _digits(value)
    return f"{plain}0" if len(plain.partition(".")[2]) == _GROUP else plain


def _digits(value: int | Decimal) -> str:
    return str(value) if isinstance(value, int) else format(value, "f")


def _from_formatted(column: Column, value: FormattedNumber) -> str:
    if value.percent:
        raise CellError(
            f"is a percentage: {_digits(value.value * 100)} % is stored as {_digits(value.value)}; "
            "format the cell as a plain number, and type the amount"
        )
    if column.kind is Kind.AMOUNT:
        return f"{value.currency} {_clear_digits(value.value)}"
    return _from_number(column, value.value)


def _from_moment(column: Column, value: datetime, zone: ZoneInfo | None) -> str:
    if column.kind is not Kind.TIME:
        raise CellError(
            f"holds {value}, which the spreadsheet took for a time: format the cell as text and type it again"
        )
    if value.year < _FIRST_YEAR:
        raise CellError(f"holds {value}, a number of hours without a day: write 2030-01-31 18:30")
    # Serial numbers are fractions of a day: what was typed is whole seconds.
    rounded = (value + timedelta(milliseconds=500)).replace(microsecond=0)
    return at_zone(rounded, zone)


def _from_date(column: Column, text: str, zone: ZoneInfo | None) -> str:
    if column.kind is not Kind.TIME:
        raise CellError(
            f"holds {text}, which the spreadsheet took for a date: format the cell as text and type it again"
        )
    if column.name.startswith("end"):
        raise CellError(
            f"{text} is a day, and an end needs a time of day: write {text} 23:59:59, or the next day 00:00:01"
        )
    return at_zone(datetime.fromisoformat(text), zone)


def _from_local_text(column: Column, text: str, zone: ZoneInfo | None) -> str:
    if zone is not None and _DATE.fullmatch(text):
        return _from_date(column, text, zone)
    if zone is not None and _LOCAL_TIME.fullmatch(text):
        day, clock = re.split("[T ]", text)
        try:
            moment = datetime.fromisoformat(f"{day}T{clock.zfill(5) if clock.count(':') == 1 else clock.zfill(8)}")
        except ValueError:
            raise CellError(f"{text!r} is no time") from None
        return at_zone(moment, zone)
    return text


def at_zone(moment: datetime, zone: ZoneInfo | None) -> str:
    """A time that a clock on the wall shows, as the API writes it.

    Raises:
        CellError: no zone is known, or the clocks of the zone never show that time, or show it twice.
    """
    shown = moment.isoformat(sep=" ")
    if zone is None:
        raise CellError(
            f"{shown} names no time zone: --zone Europe/Berlin says which one is meant, or write 2030-01-31T18:30:00Z"
        )
    local = moment.replace(tzinfo=zone)
    try:
        in_utc = local.astimezone(UTC)
        if in_utc.astimezone(zone).replace(tzinfo=None) != moment:
            raise CellError(f"{shown} does not exist in {zone.key}: the clocks go forward over it")
    except OverflowError:
        raise CellError(f"{shown} is no time that exists in UTC") from None
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        offset = local.strftime("%z")
        raise CellError(
            f"{shown} is there twice in {zone.key}, when the clocks go back: write it with its offset, such as"
            f" {moment.isoformat()}{offset}"
        )
    return time_text(in_utc)
