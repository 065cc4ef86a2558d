"""Selections (``status=ACTIVE``) and settings (``budget.micro_amount=+10%``), as people type them. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.cells import CLEAR, CellError, parse_cell
from spotify_ads_async.bulk.plan.columns import Cell, Column, Kind, suggestion
from spotify_ads_async.bulk.plan.effects import Refusal, State, leaf, same, shown
from spotify_ads_async.bulk.plan.money import in_units, no_money
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.errors import Portable
from spotify_ads_async.money import fits_currency, format_micros, minor_units, round_to_currency
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.types import moment_of, time_text
from spotify_ads_async.validation.checks import checker
from spotify_ads_async.validation.refused import Refused

__all__ = ["BadExpression", "Condition", "Setting", "list_query", "new_values", "parse_condition", "parse_setting"]

_EXPRESSION = re.compile(r"(?P<name>[A-Za-z0-9_.]+)\s*(?P<operator>!=|>=|<=|=|>|<|~)(?P<value>.*)", re.DOTALL)
_RELATIVE_AMOUNT = re.compile(r"(?P<sign>[+-])(?P<amount>[0-9]{1,15}(?:\.[0-9]{1,9})?)(?P<percent>%?)")
_RELATIVE_TIME = re.compile(r"(?P<sign>[+-])(?P<amount>[0-9]{1,30})(?P<unit>[dhm])")
_UNITS: Mapping[str, str] = {"d": "days", "h": "hours", "m": "minutes"}
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_COUNTABLE = frozenset({Kind.INTEGER, Kind.MONEY, Kind.AMOUNT, Kind.NUMBER})
_PER_UNIT = 1_000_000
_MOST_VALUES = 50
"""More ids than that are too long for an address."""
_ORDERABLE = _COUNTABLE | {Kind.TIME, Kind.TEXT}


class Listed(Protocol):
    """A kind of thing that lists hold: what conditions can be about."""

    @property
    def plural(self) -> str:
        """What people call several of them."""
        ...

    @property
    def answer_columns(self) -> Mapping[str, Column]:
        """The fields that an answer has."""
        ...

    @property
    def list(self) -> ListOperation[Any, Any]:
        """The operation that lists them."""
        ...


class BadExpression(Portable, ValueError):
    """A selection or a setting cannot be understood."""


_PARAMETER_ENDINGS: Mapping[str, tuple[str, ...]] = {"=": ("s", "es"), ">": ("_gt",), ">=": ("_gte",)}
"""By operator, what the API's parameters put behind a field's name."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition on an entity: ``name operator values``; equality holds for any of several values."""

    column: Column
    operator: str
    values: tuple[Any, ...]

    def holds(self, answer: Mapping[str, Any]) -> bool:
        """Whether an entity, in the form JSON gives it, satisfies the condition.

        What is not set satisfies only ``!=``.
        """
        found = leaf(answer, self.column.path)
        match self.operator:
            case "=":
                return any(same(found, value) for value in self.values)
            case "!=":
                return not any(same(found, value) for value in self.values)
            case "~":
                return isinstance(found, str) and str(self.values[0]).casefold() in found.casefold()
            case _:
                read = moment_of if self.column.kind is Kind.TIME else _as_it_is
                try:
                    return found is not None and _ORDERED[self.operator](read(found), read(self.values[0]))
                except TypeError:  # what the server answers is of another type, and has no order beside it
                    return False


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return value


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One new value: a plain one, or one relative to the present."""

    column: Column
    value: Any = None
    relative: bool = False
    factor: Decimal = Decimal(1)
    shift: Decimal = Decimal(0)
    text: str = ""


def parse_condition(entity: Listed, text: str) -> Condition:
    """Read ``status=ACTIVE,APPROVED``, ``name~autumn``, ``budget.amount>=100.00``, ``end_time<2027-01-01T00:00:00Z``.

    Raises:
        BadExpression: it is no condition on this kind of entity.
    """
    name, sign, value = _parts(text, "a condition such as status=ACTIVE")
    column = _named(name, entity.answer_columns, entity)
    if sign in _ORDERED and column.kind not in _ORDERABLE:
        raise BadExpression(f"{text}: {name} has no order, so {sign} says nothing")
    if sign == "~" and column.kind is not Kind.TEXT:
        raise BadExpression(f"{text}: {name} is no text, so ~ says nothing")
    # What people write may hold a comma, as "Autumn, second flight" does; codes and ids hold none.
    comma = r",(?!\s)" if name.endswith(("name", "text", "tagline", "description")) else ","
    alternatives = re.split(comma, value) if sign in {"=", "!="} and column.kind is not Kind.JSON else [value]
    try:
        return Condition(
            column=column, operator=sign, values=tuple(_comparable(column, one.strip()) for one in alternatives)
        )
    except CellError as problem:
        raise BadExpression(f"{text}: {problem}") from None


def _comparable(column: Column, text: str) -> Cell:
    """A value to compare with: text as it stands (an id, a piece of a name), anything else as in a cell.

    JSON with every key in it, whether this package knows it or not.
    """
    if column.kind is Kind.TEXT:
        return text
    value = parse_cell(column, text)
    return msgspec.json.decode(text) if column.kind is Kind.JSON and value is not None else value


def parse_setting(entity: Entity, text: str, *, clear: str = CLEAR, zone: ZoneInfo | None = None) -> Setting:
    """Read ``name=Autumn``, ``bid_amount=12.50``, ``budget.amount=+10%``, ``end_time=+7d``.

    Args:
        entity: what is set.
        text: the setting.
        clear: the value that empties a field.
        zone: the zone of times that name none.

    Raises:
        BadExpression: it is no setting for this kind of entity.
    """
    name, sign, value = _parts(text, "a setting such as bid_amount=12.50")
    if sign != "=":
        raise BadExpression(f"{text}: a setting has one =")
    if name in entity.read_only:
        raise BadExpression(f"{text}: {name} is read-only")
    column = _named(name, entity.columns, entity)
    if column.kind in _COUNTABLE and (found := _RELATIVE_AMOUNT.fullmatch(value)):
        return _relative_amount(column, found, text)
    if column.kind is Kind.TIME and (found := _RELATIVE_TIME.fullmatch(value)):
        try:
            shift = timedelta(**{_UNITS[found["unit"]]: int(found["sign"] + found["amount"])})
        except OverflowError:
            raise BadExpression(f"{text}: {value} leads beyond all dates, which end with the year 9999") from None
        return Setting(column=column, relative=True, shift=Decimal(int(shift.total_seconds())), text=value)
    try:
        return Setting(column=column, value=parse_cell(column, cell_text(column, value, zone=zone), clear=clear))
    except CellError as problem:
        raise BadExpression(f"{text}: {problem}") from None


def _relative_amount(column: Column, found: re.Match[str], text: str) -> Setting:
    amount = Decimal(found["sign"] + found["amount"])
    if found["percent"]:
        return Setting(column=column, relative=True, factor=1 + amount / 100, text=found.string)
    if column.kind is Kind.AMOUNT:
        amount *= _PER_UNIT
    elif column.kind in {Kind.MONEY, Kind.INTEGER} and "." in found["amount"]:
        where = f"; use {in_units(column.name)} for steps in currency units" if column.kind is Kind.MONEY else ""
        raise BadExpression(f"{text}: {column.name} takes whole numbers{where}")
    if column.kind in {Kind.MONEY, Kind.AMOUNT} and (problem := no_money(abs(amount), column.name)):
        raise BadExpression(f"{text}: {problem}")
    return Setting(column=column, relative=True, shift=amount, text=found.string)


def new_values(settings: Sequence[Setting], state: State, currency: str = "") -> dict[str, Cell] | Refusal:
    """The values that settings come to over a present state.

    Money is rounded to the currency's smallest unit, half to even.
    """
    values: dict[str, Cell] = {}
    for setting in settings:
        column = setting.column
        if not setting.relative:
            values[column.name] = setting.value
            continue
        present = leaf(state, column.path)
        if present is None:
            return Refusal(column=column.name, reason=f"is not set, so it cannot become {setting.text}")
        if moment_of(present) is None if column.kind is Kind.TIME else not isinstance(present, int | float):
            return Refusal(column=column.name, reason=f"is {shown(present)}, which cannot become {setting.text}")
        if column.kind in {Kind.MONEY, Kind.AMOUNT} and not fits_currency(int(setting.shift), currency):
            return Refusal(
                column=column.name,
                reason=f"cannot take a step of {setting.text}: {currency} has {minor_units(currency) or 'no'} decimals",
            )
        value = _moved(column, present, setting, currency)
        if value is None:
            reason = "beyond all dates" if column.kind is Kind.TIME else "negative"
            is_money = column.kind in {Kind.MONEY, Kind.AMOUNT}
            now = format_micros(cast("int", present), currency or None) if is_money else present
            return Refusal(column=column.name, reason=f"is {now}, which {setting.text} would make {reason}")
        values[column.name] = value
    return values


def _moved(column: Column, present: Cell, setting: Setting, currency: str) -> Cell:
    if column.kind is Kind.TIME:
        try:
            moment = cast("datetime", moment_of(present)) + timedelta(seconds=int(setting.shift))
        except OverflowError:
            return None
        return time_text(moment)
    exact = Decimal(str(present)) * setting.factor + setting.shift
    if exact < 0:
        return None
    if column.kind in {Kind.MONEY, Kind.AMOUNT}:
        return round_to_currency(exact, currency)
    return float(exact) if column.kind is Kind.NUMBER else int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def list_query(entity: Listed, conditions: Sequence[Condition]) -> dict[str, object]:
    """The part of a selection that the server can filter by.

    ``status=…`` as ``statuses``, ``campaign_id=…`` as ``campaign_ids``, ``updated_at>=…`` as ``updated_at_gte``.
    Conditions are checked on the answers as well, so this only saves requests.

    Raises:
        BadExpression: nothing can have such a value, such as an id that is none.
    """
    query: dict[str, object] = {}
    for condition in conditions:
        column = condition.column.name
        for ending in _PARAMETER_ENDINGS.get(condition.operator, ()):
            name = f"{column}{ending}"
            if name not in entity.list.query or name in query or len(condition.values) > _MOST_VALUES:
                continue
            value = list(dict.fromkeys(condition.values)) if condition.operator == "=" else condition.values[0]
            kind = entity.list.query[name]
            query[name] = msgspec.convert(value, type=kind)
            try:
                checker(kind)(query[name])
            except Refused as refused:
                raise BadExpression(f"{column}{condition.operator}{refused.value}: {refused.rule}") from None
    return query


def _parts(text: str, wanted: str) -> tuple[str, str, str]:
    found = _EXPRESSION.fullmatch(text.strip())
    if found is None:
        raise BadExpression(f"{text!r} is not {wanted}")
    return found["name"], found["operator"], found["value"].strip()


def _named(name: str, columns: Mapping[str, Column], entity: Listed) -> Column:
    column = columns.get(name)
    if column is None:
        raise BadExpression(f"{name} is no field of {entity.plural}{suggestion(name, columns)}")
    return column
