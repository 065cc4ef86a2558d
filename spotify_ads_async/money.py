"""Money as the API writes it: whole millionths of a currency unit, exact, and no floats anywhere.

Budgets, bids and estimates are micro amounts in every currency: 12.50 USD is 12_500_000 and 160 JPY is 160_000_000
(``bid_micro_amount`` and ``budget.micro_amount`` of the API document). Reports give SPEND in currency units instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.types import MicroAmount

__all__ = ["InvalidAmount", "InvalidAmountType", "format_micros", "from_micros", "micros"]

_DECIMALS = 6
_PER_UNIT = 10**_DECIMALS
_LARGEST = 2**63 - 1
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
# Wide enough for every int64 with six decimals; anything that would be rounded raises instead.
_EXACT = Context(prec=40, traps=[Inexact])
_USUAL_DECIMALS = 2
_LONGEST_SHOWN = 80
# ISO 4217 currencies whose minor unit is not a hundredth.
_OTHER_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


class InvalidAmount(InvalidRequest, ValueError):
    """The amount cannot be written exactly in whole millionths."""


class InvalidAmountType(InvalidRequest, TypeError):
    """The amount is no str, int or Decimal."""


def micros(amount: str | int | Decimal) -> MicroAmount:
    """Turn an amount in currency units into millionths: ``micros("19.99") == 19_990_000``.

    Args:
        amount: currency units. A str holds digits and at most one point; a Decimal is finite.

    Raises:
        InvalidAmountType: the amount is a float (which cannot hold most decimal amounts), a bool, or something else.
        InvalidAmount: it is no plain number, needs more than six decimals, or does not fit into 64 bits.
    """
    match amount:
        case bool():
            raise _wrong_type(amount)
        case int():
            return _in_range(amount, amount * _PER_UNIT)
        case str():
            if not _PLAIN_NUMBER.fullmatch(amount):
                raise _wrong_value(amount, 'a plain number such as "19.99": digits and one point, no separators, signs of money or spaces')
            return _scaled(amount, Decimal(amount))
        case Decimal():
            if not amount.is_finite():
                raise _wrong_value(amount, "finite")
            return _scaled(amount, amount)
        case _:
            raise _wrong_type(amount)


def from_micros(amount: MicroAmount) -> Decimal:
    """Turn millionths into currency units: ``from_micros(19_990_000) == Decimal("19.99")``, without trailing zeros.

    Raises:
        InvalidAmountType: the amount is no int.
    """
    whole, decimals = _split(amount)
    return Decimal(f"{whole}.{decimals}" if decimals else whole)


def format_micros(amount: MicroAmount, currency: str | None = None) -> str:
    """Write millionths for people: ``format_micros(1_234_500_000, "USD") == "1,234.50 USD"``.

    It shows the decimals that the currency usually has (two, where none is given), and more where the amount
    needs more: it never rounds.

    Args:
        amount: millionths of the currency unit.
        currency: an ISO 4217 code, written behind the amount.

    Raises:
        InvalidAmountType: the amount is no int.
    """
    whole, decimals = _split(amount)
    shown = decimals.ljust(_OTHER_DECIMALS.get(currency or "", _USUAL_DECIMALS), "0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    number = f"{sign}{int(digits):,}.{shown}" if shown else f"{sign}{int(digits):,}"
    return f"{number} {currency}" if currency else number


def _split(amount: MicroAmount) -> tuple[str, str]:
    """The signed whole units and the decimals without trailing zeros."""
    if type(amount) is not int:
        raise InvalidAmountType(f"a micro amount is an int, not {type(amount).__name__} {amount!r}", value=amount, rule="int")
    units, rest = divmod(abs(amount), _PER_UNIT)
    return f"{'-' if amount < 0 else ''}{units}", f"{rest:0{_DECIMALS}}".rstrip("0")


def _scaled(given: str | Decimal, amount: Decimal) -> MicroAmount:
    if amount and amount.adjusted() >= len(str(_LARGEST)):
        raise _too_large(given)
    try:
        scaled = _EXACT.scaleb(_EXACT.create_decimal(amount), _DECIMALS)
    except Inexact:
        raise _too_fine(given) from None
    whole = int(scaled)
    if whole != scaled:
        raise _too_fine(given)
    return _in_range(given, whole)


def _in_range(given: object, whole: int) -> MicroAmount:
    if not -_LARGEST <= whole <= _LARGEST:
        raise _too_large(given)
    return whole


def _too_fine(given: object) -> InvalidAmount:
    return _wrong_value(given, f"exact in millionths: at most {_DECIMALS} decimals; round it yourself first")


def _too_large(given: object) -> InvalidAmount:
    return _wrong_value(given, "at most 64 bits in millionths")


def _wrong_value(given: object, rule: str) -> InvalidAmount:
    return InvalidAmount(f"{_shown(given)} is no amount of money: it must be {rule}", value=given, rule=rule)


def _shown(given: object) -> str:
    # Python refuses to write integers of thousands of digits.
    text = given if isinstance(given, str) else f"an integer of {given.bit_length()} bits" if isinstance(given, int) else str(given)
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}…"


def _wrong_type(given: object) -> InvalidAmountType:
    rule = 'a str, an int or a Decimal, as in micros("19.99")'
    why = ": a float cannot hold most decimal amounts" if isinstance(given, float) else ""
    return InvalidAmountType(f"an amount of money is {rule}, not {type(given).__name__} {given!r}{why}", value=given, rule=rule)
