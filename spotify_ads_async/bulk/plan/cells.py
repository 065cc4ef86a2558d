"""How a cell becomes a value of its column, and a value a cell that reads back equal."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import cast

import msgspec

from spotify_ads_async.bulk.plan.columns import Cell, Column, Kind, is_list, suggestion, unannotated
from spotify_ads_async.bulk.plan.money import in_units
from spotify_ads_async.errors import InvalidRequest, Portable
from spotify_ads_async.money import from_micros, micros, minor_units, read_amount
from spotify_ads_async.types import OpenEnum, time_text
from spotify_ads_async.validation.refused import Refused

__all__ = [
    "CLEAR",
    "CellError",
    "amount_cell",
    "in_words",
    "json_value",
    "parse_cell",
    "parse_value",
    "refuse_error",
    "says",
    "to_cell",
    "unguarded",
]

CLEAR = "<clear>"
"""The token that empties a field, unless another one is chosen. A blank cell keeps the field."""

_LONGEST_SHOWN = 60
_PLAIN = frozenset({str, int, float, bool})
_GROUP = 3  # digits that a mark before them may group, or divide from the units
_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}")
_PLAIN_AMOUNT = re.compile(r"[0-9]{1,13}\.[0-9]{1,6}")
_ENUM_VALUE = re.compile(r"[A-Z][A-Z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What spreadsheets leave in a text of a formula that came to nothing: Excel and Google Sheets, in languages that name
# it otherwise, too, and LibreOffice.
_ERRORS = (
    r"(?:#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!|ERROR!|BEZUG!|NV|WERT!|ZAHL!|ÜBERLAUF!|NOM\?"
    r"|VALEUR!|NOMBRE!|¡REF!|¡VALOR!|¡DIV/0!|¿NOMBRE\?|RIF!|VALORE!|NOME\?|VALOR!|VERW!|WAARDE!|NAAM\?)|Err:[0-9]{3})"
)
_ERROR = re.compile(_ERRORS)
# What a spreadsheet would run, at the beginning of a cell and behind a line break; and what reads like the clear token,
# or like an error.
_BEGINS = re.compile(rf"'*(?:[=+\-@\t\r\n]|(?:{re.escape(CLEAR)}|{_ERRORS})$)")
_FOLLOWS = re.compile(r"(?<=[\r\n])(?='*[=+\-@\t])")
_GUARDED = re.compile(r"(?<=[\r\n])'(?='*[=+\-@\t])")

_EXPECTED = re.compile(
    r"Expected `(?P<kinds>[^`]*)`(?P<length> of length)?(?: (?P<sign>[<>]=?) (?P<bound>\S+))?"
    r"(?P<rest>.*?)(?:, got `(?P<got>.*)`)?"
)
_BOUNDS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": 'an object such as {"name": "value"}',
    "null": "empty",
}


class CellError(Portable, ValueError):
    """A cell cannot become a value of its column.

    Attributes:
        may_be_live: whether an entity may have the value all the same, such as one that is newer than this package: a
            cell that equals what is live changes nothing, and is no reason to refuse a row.
    """

    def __init__(self, reason: str, *, may_be_live: bool = False) -> None:
        super().__init__(reason)
        self.may_be_live = may_be_live


def parse_cell(column: Column, text: str, *, clear: str = CLEAR, currency: str = "") -> Cell:
    """Turn a cell that is not blank into a value.

    Args:
        column: where the cell stands. Money is whole micros, or in a column of amounts currency units as people write
            them.
        text: the cell.
        clear: the token that empties a field.
        currency: the account's currency, where it is known.

    Raises:
        CellError: the text is no value of the column.
    """
    if column.is_text:
        refuse_error(text)
        return _cleared(column) if text == clear else _typed(column, unguarded(text))
    text = text.strip()
    if text == clear:
        return _cleared(column)
    if column.takes_object and text != "null" and not text.startswith("{"):
        raise CellError(
            f"{_short(text)} is no object in JSON, and {column.name} is one: its parts have columns of their own,"
            f" such as {column.name}.{'amount' if column.name == 'budget' else 'NAME'}"
        )
    if column.is_json:
        return _typed(column, _json(text))
    return _plain_value(column, text, currency)


@functools.lru_cache(maxsize=4096)
def _plain_value(column: Column, text: str, currency: str) -> Cell:
    """A value that is no text and no JSON; files say the same ones again and again."""
    match column.kind:
        case Kind.CHOICE:
            return _choice(column, text)
        case Kind.MONEY:
            return _typed(column, _micros(column, text))
        case Kind.AMOUNT:
            return _typed(column, _amount(text, currency))
        case kind:
            return _typed(column, _READERS[kind](text))


def parse_value(column: Column, value: object, *, currency: str = "") -> Cell:
    """Turn a value of a JSON line into a value of the column; null clears.

    A number in a column of amounts is currency units.

    Raises:
        CellError: it is no value of the column.
    """
    if value is None:
        return _cleared(column)
    match column.kind:
        case Kind.MONEY if isinstance(value, Decimal | str):
            return _typed(column, _micros(column, str(value)))
        case Kind.AMOUNT if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return _typed(column, _exact(value))
        case Kind.AMOUNT if isinstance(value, str):
            return _typed(column, _amount(value, currency))
        case Kind.TIME if isinstance(value, str):
            return _typed(column, _time(value))
        case Kind.CHOICE if isinstance(value, str):
            return _choice(column, value)
        case _:
            return _typed(column, _without_decimals(value))


def says(column: Column, cell: object, present: Cell) -> bool:
    """Whether a cell that could not be read says what is live; ``cell`` is text, or a value of a JSON line."""
    if not isinstance(cell, str):
        return cell == present
    match column.kind:
        case Kind.AMOUNT if isinstance(present, int) and _PLAIN_AMOUNT.fullmatch(cell.strip()):
            return Decimal(cell.strip()) == from_micros(present)
        case Kind.JSON:
            try:
                return msgspec.json.decode(cell) == present
            except (msgspec.DecodeError, RecursionError):
                return False
        case Kind.TEXT:
            return cell in (present, to_cell(present))
        case _:
            return cell.strip() == to_cell(present)


def json_value(column: Column, cell: object) -> object:
    """What a cell of a JSON column says, whether the document knows it or not.

    Raises:
        CellError: the column holds no JSON, or the cell does not.
    """
    if not column.is_json:
        raise CellError("is no JSON")
    return _json(cell) if isinstance(cell, str) else cell


def _cleared(column: Column) -> Cell:
    if column.nullable:
        return None
    if is_list(column.type):
        return []
    raise CellError("cannot be cleared: the API takes no empty value here")


def _typed(column: Column, value: object) -> Cell:
    """Check ``value`` against the column's type and bring it into one form."""
    may_be_live = column.is_json or isinstance(value, str)
    try:
        converted = msgspec.convert(value, type=column.type, strict=True)
    except msgspec.ValidationError as problem:
        raise CellError(in_words(problem), may_be_live=may_be_live) from None
    except RecursionError:
        raise CellError("is nested too deeply") from None
    try:
        column.check(converted)
    except Refused as refused:
        raise CellError(f"{refused.path.lstrip('.')} {refused.rule}".strip(), may_be_live=may_be_live) from None
    if column.is_text and isinstance(value, str) and not value.isprintable() and (found := _CONTROL.search(value)):
        raise CellError(f"holds {found[0]!r}: control characters and line breaks are not taken", may_be_live=True)
    plain: Cell = converted if type(converted) in _PLAIN else msgspec.to_builtins(converted)
    return plain


def in_words(problem: msgspec.ValidationError) -> str:
    """What msgspec says, for somebody who fills cells: ``[0].max_impressions must be a whole number of at least 1``."""
    said, _, where = str(problem).partition(" - at ")
    place = where.removeprefix("`key` in ").strip("`").removeprefix("$").removeprefix(".")
    expected = _EXPECTED.fullmatch(said)
    if expected is None:
        plain = said.replace("Object missing required field", "lacks").replace("Invalid", "has an invalid")
        return f"{place} {plain.replace('Object contains unknown', 'has an unknown').replace('`', '')}".strip()
    kinds = [_KINDS.get(kind, kind) for kind in expected["kinds"].split(" | ") if kind != "null"]
    bound = f" {_BOUNDS[expected['sign']]} {expected['bound']}" if expected["sign"] else ""
    unit = "" if not expected["length"] else " characters" if kinds == ["text"] else " items"
    got = f", not {_KINDS.get(expected['got'], expected['got'])}" if expected["got"] else ""
    return f"{place} must be {' or '.join(kinds)}{bound}{unit}{expected['rest']}{got}".strip()


def _without_decimals(value: object) -> object:
    """Decimals of a JSON line as floats, where the column is no money."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {key: _without_decimals(one) for key, one in cast("dict[str, object]", value).items()}
        case list():
            return [_without_decimals(one) for one in cast("list[object]", value)]
        case _:
            return value


def _short(text: str) -> str:
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}…"


def _integer(text: str) -> int:
    sign = text[:1] if text[:1] in {"+", "-"} else ""
    if not _WHOLE_NUMBER.fullmatch(text.removeprefix(sign)):
        raise CellError(f"{_short(text)} is no whole number")
    return int(text)


def _micros(column: Column, text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise CellError(
            f"{_short(text)} is no whole number of micros, and this column takes nothing else: "
            f"write amounts in currency units, such as 12.50, in the column {in_units(column.name)}"
        )
    return int(text)


def _amount(text: str, currency: str) -> int:
    text = text.removeprefix("'")  # some guard numbers, too
    try:
        return read_amount(text, currency)
    except InvalidRequest as problem:
        raise CellError(problem.message, may_be_live=bool(_PLAIN_AMOUNT.fullmatch(text))) from None


def _exact(value: Decimal | int) -> int:
    try:
        amount = micros(value)
    except InvalidRequest as problem:
        raise CellError(problem.message) from None
    if amount < 0:
        raise CellError(f"{value} is less than nothing")
    return amount


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise CellError(f"{_short(text)} is no number") from None
    if not math.isfinite(number):
        raise CellError(f"{_short(text)} is no number")
    return number


def _boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise CellError(f"{_short(text)} is neither true nor false")


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CellError(f"{_short(text)} is no time: write 2026-09-23T04:56:07Z") from None
    if moment.tzinfo is None:
        raise CellError(
            f"{text!r} names no time zone: write 2026-09-23T04:56:07Z, or an offset, which is turned into UTC"
        )
    if moment.microsecond:
        raise CellError(f"{text!r} has a fraction of a second: the API takes none")
    try:
        return time_text(moment)
    except OverflowError:
        raise CellError(f"{text!r} is no time that exists in UTC") from None


def _choice(column: Column, text: str) -> Cell:
    """One of an enum's values. A value that is newer than this package can only be what is live already."""
    members = cast("type[OpenEnum]", unannotated(column.type))
    legal = [one.value for one in members if one.value not in members.answer_only]
    if text not in legal:
        reason = f"{_short(text)} is none of {', '.join(legal)}{suggestion(text, legal)}"
        raise CellError(reason, may_be_live=bool(_ENUM_VALUE.fullmatch(text)))
    return text


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise CellError(f"is not JSON: {problem}") from None
    except RecursionError:
        raise CellError("is nested too deeply") from None


def refuse_error(text: str) -> None:
    """Refuse what a spreadsheet leaves in a text of a formula that came to nothing.

    Raises:
        CellError: it is that.
    """
    if text.startswith(("#", "Err:")) and _ERROR.fullmatch(text):
        raise CellError(
            f"holds {text}, an error: mend its formula, or type the value; where that is a text, put an apostrophe in"
            " front",
            may_be_live=True,
        )


def to_cell(value: object) -> str:
    """Write a value so that :func:`parse_cell` reads it back equal: the form that exports have.

    Text that a spreadsheet would take for a formula, at its beginning or behind a line break, and text that reads like
    the clear token or a spreadsheet's error, gets an apostrophe in front, which reading takes off again. An absent
    value is a blank.
    """
    if type(value) is str and value[:1].isalnum() and "\n" not in value and "\r" not in value and value[:4] != "Err:":
        return value
    if type(value) is int:
        return str(value)
    match value:
        case None | msgspec.UNSET:
            return ""
        case str():
            inner = _FOLLOWS.sub("'", value) if "\n" in value or "\r" in value else value
            return f"'{inner}" if _BEGINS.match(inner) else inner
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case _:
            return msgspec.json.encode(value).decode()


def unguarded(text: str) -> str:
    """Take off the apostrophes that keep a spreadsheet from running a cell."""
    inner = _GUARDED.sub("", text) if "\n" in text or "\r" in text else text
    return inner[1:] if inner.startswith("'") and _BEGINS.match(inner) else inner


def amount_cell(amount: object, currency: str) -> str:
    """Micros as a cell in units: ``1250.00``, or ``12.5000``, as ``12.500`` may be grouped; a blank for no amount."""
    if not isinstance(amount, int) or isinstance(amount, bool):
        return ""
    whole, _, decimals = format(from_micros(amount), "f").partition(".")
    shown = decimals.ljust(2 if (usual := minor_units(currency) if currency else None) is None else usual, "0")
    return f"{whole}.{shown}{'0' if len(shown) == _GROUP else ''}" if shown else whole


_READERS: Mapping[Kind, Callable[[str], object]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
}
