"""Money in changes: what an amount must be, which change of one is unusual, and what a flight may spend at most.

Pure.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from spotify_ads_async.errors import Portable
from spotify_ads_async.json_values import is_array, is_object
from spotify_ads_async.money import fits_currency, format_micros, from_micros, minor_units
from spotify_ads_async.types import MicroAmount, moment_of

__all__ = [
    "MICROS",
    "UNITS",
    "Amount",
    "AmountRefused",
    "amounts_in_units",
    "changed_amounts",
    "check_amounts",
    "days_left",
    "in_units",
    "most_of",
    "most_spent",
    "no_money",
    "type_and_amount",
    "unusual_changes",
]

MICROS = "micro_amount"
"""The end of the names of fields and columns that hold millionths."""
UNITS = "amount"
"""The end of the names of the columns beside them, in currency units."""

_PER_UNIT = 1_000_000
_HUNDREDTH = 10_000
_USUAL_FACTOR = 5
_BUDGET = f"budget.{MICROS}"
_DAILY = "DAILY"
_SECONDS_A_DAY = 86_400


class AmountRefused(Portable, ValueError):
    """An amount that nobody means.

    Attributes:
        field: where it stands, such as ``budget.micro_amount``.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Amount(msgspec.Struct, frozen=True):
    """A changed amount: where it stands, what it was (None where there was none) and what it shall be."""

    field: str
    before: MicroAmount | None
    after: MicroAmount


def in_units(name: str) -> str:
    """The name of the column in currency units beside one in micros: ``bid_amount`` for ``bid_micro_amount``."""
    return f"{name.removesuffix(MICROS)}{UNITS}" if name.endswith(MICROS) else name


def amounts_in_units(content: Any, name: str = "") -> Any:  # noqa: ANN401 - any JSON
    """The same with every amount in currency units: ``micro_amount`` of 12500000 becomes ``amount`` of ``"12.5"``.

    ``name`` is what a single value is called.
    """
    if is_array(content):
        return [amounts_in_units(item) for item in content]
    if is_object(content):
        return {in_units(one): amounts_in_units(value, one) for one, value in content.items()}
    return str(from_micros(content)) if name.endswith(MICROS) and type(content) is int else content


def check_amounts(amounts: Iterable[Amount], currency: str) -> None:
    """Refuse amounts that nobody means.

    Args:
        amounts: those that change; one that stays as it is is not judged.
        currency: the account's currency; where it is unknown, the currency's decimals are not held against amounts.

    Raises:
        AmountRefused: an amount is below zero, below a hundredth of a unit, or has more decimals than the currency.
    """
    for amount in amounts:
        micros = amount.after
        if micros < 0:
            raise AmountRefused(amount.field, f"{micros} micros are less than nothing")
        if problem := no_money(micros, amount.field):
            raise AmountRefused(amount.field, problem)
        if not fits_currency(micros, currency):
            decimals = minor_units(currency) or "no"
            written = f"{micros} micros are {_plain(micros)} {currency}, which has {decimals} decimals"
            meant = f"{micros} units are {micros * _PER_UNIT} micros, or {micros} in {in_units(amount.field)}"
            raise AmountRefused(amount.field, f"{written}; {meant}")


def no_money(micros: MicroAmount | Decimal, field: str) -> str:
    """Why an amount, or a step, is too small to be meant; nothing where it is not."""
    if not 0 < micros < _HUNDREDTH:
        return ""
    shown = f"{int(micros)} micros are no amount of money: they are {_plain(int(micros))} units"
    return f"{shown}; {int(micros)} units are {int(micros) * _PER_UNIT} micros, or {int(micros)} in {in_units(field)}"


def _plain(micros: MicroAmount) -> str:
    """An amount that is no whole number of units."""
    return format_micros(micros).rstrip("0")


def unusual_changes(
    amounts: Iterable[Amount], before: Mapping[str, Any], after: Mapping[str, Any], currency: str, *, now: datetime
) -> list[str]:
    """What of a change of money is unusual, in words: nothing for an ordinary one.

    Unusual is more than five times or less than a fifth of what it was, and an amount below one unit; for a budget that
    becomes one of another type, the factor is that of what may be spent until the flight ends.

    Args:
        amounts: the amounts that change.
        before: the whole state as it is; empty for something new.
        after: the whole state as it shall be, or the fields of it that change.
        currency: the account's currency, or nothing where it is unknown.
        now: the present, which budgets by the day are counted from.
    """
    (old_type, _), (new_type, _) = type_and_amount(before.get("budget")), type_and_amount(after.get("budget"))
    retyped = old_type is not None and new_type is not None and old_type != new_type
    said = [_unusual(amount, currency, retyped and amount.field == _BUDGET) for amount in amounts]
    found = [one for one in said if one]
    if retyped:
        old, new = most_spent(before, now), most_spent({**before, **after}, now)
        if old is None or new is None or (old and _factor(old, new)):
            found.append(
                f"budget.type {old_type} → {new_type}: at most {_spent(old, currency)} until the flight ends become"
                f" {_spent(new, currency)}"
            )
    return found


@functools.lru_cache(maxsize=4096)
def _unusual(amount: Amount, currency: str, is_retyped: bool) -> str:  # noqa: FBT001 - cached by place
    """What is unusual about one amount, in words; many rows change the same one alike."""
    if amount.after < _PER_UNIT:
        why = "less than one unit"
    else:
        why = _factor(amount.before, amount.after) if amount.before and not is_retyped else ""
    old, new = _shown(amount.before, currency), _shown(amount.after, currency)
    return f"{in_units(amount.field)} {old} → {new}, {why}" if why else ""


def _factor(before: MicroAmount, after: MicroAmount) -> str:
    """The factor between two amounts in words, where it is unusual."""
    if after > _USUAL_FACTOR * before:
        return f"{_times(after / before)} times as much"
    return f"{_times(before / after)} times less" if before > _USUAL_FACTOR * after and after else ""


def _times(factor: float) -> str:
    return f"{factor:,.1f}".removesuffix(".0")


def _shown(amount: MicroAmount | None, currency: str) -> str:
    return "not set" if amount is None else format_micros(amount, currency or None)


def _spent(amount: MicroAmount | None, currency: str) -> str:
    return "no bound" if amount is None else format_micros(amount, currency or None)


def most_spent(state: Mapping[str, Any], now: datetime) -> MicroAmount | None:
    """What an ad set's budget may spend at most from now until its flight ends; None where nothing bounds it.

    Args:
        state: the ad set in the form JSON gives it.
        now: the present.
    """
    return most_of(*type_and_amount(state.get("budget")), days_left(state, now))


def type_and_amount(budget: Any) -> tuple[object, MicroAmount | None]:  # noqa: ANN401 - any JSON
    """The type of a budget and its amount, None where there is none."""
    if budget.__class__ is not dict:
        return None, None
    return budget.get("type"), amount if isinstance(amount := budget.get(MICROS), int) else None


def most_of(budget_type: object, amount: MicroAmount | None, days: int | None) -> MicroAmount | None:
    """What a budget may spend at most in the days that are left, None for no end; None where nothing bounds it."""
    if amount is None:
        return 0
    if budget_type == _DAILY:
        return None if days is None else amount * days
    return amount if days is None or days else 0


def days_left(state: Mapping[str, Any], now: datetime) -> int | None:
    """The days, begun ones too, from now or from the start until the end of a flight; None where it has no end."""
    start, end = state.get("start_time"), state.get("end_time")
    ending = _seconds(end) if isinstance(end, str) else None
    if ending is None:
        return None
    begin = _seconds(start) if isinstance(start, str) else None
    return max(0, math.ceil((ending - max(now.timestamp(), begin or 0)) / _SECONDS_A_DAY))


@functools.lru_cache(maxsize=4096)
def _seconds(moment: str) -> float | None:
    """A time in seconds since 1970, None where it is none; many flights begin and end alike."""
    found = moment_of(moment)
    return None if found is None else found.timestamp()


def changed_amounts(before: Any, after: Any, field: str = "") -> list[Amount]:  # noqa: ANN401 - any JSON
    """Every amount in ``after`` that is not the same in ``before``: in a part, a whole object, a list of objects.

    ``field`` is the dotted name of where they stand, where they are no whole states.
    """
    if type(after) is int:
        is_money = MICROS in field.rpartition(".")[2] and after != before
        return [Amount(field, before if isinstance(before, int) else None, after)] if is_money else []
    found: list[Amount] = []
    if is_object(after):
        earlier = before if is_object(before) else {}
        for name, value in after.items():
            found += changed_amounts(earlier.get(name), value, f"{field}.{name}" if field else name)
    elif is_array(after) and after is not before:
        known = before if is_array(before) else []
        for index, value in enumerate(after):
            found += changed_amounts(known[index] if index < len(known) else None, value, f"{field}[{index}]")
    return found
