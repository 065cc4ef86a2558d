"""Money as the API writes it: whole millionths of a currency unit, exact, and no floats anywhere.

Budgets, bids and estimates are micro amounts in every currency: 12.50 USD is 12_500_000 and 160 JPY is 160_000_000
(``bid_micro_amount`` and ``budget.micro_amount`` of the API document). Reports give SPEND in currency units instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from functools import cache

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.types import MicroAmount

__all__ = [
    "InvalidAmount",
    "InvalidAmountType",
    "currencies_meant",
    "fits_currency",
    "format_micros",
    "from_micros",
    "micros",
    "minor_units",
    "read_amount",
    "round_to_currency",
]

_DECIMALS = 6
_PER_UNIT = 10**_DECIMALS
_LARGEST = 2**63 - 1
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
# Wide enough for every int64 with six decimals; anything that would be rounded raises instead.
_EXACT = Context(prec=40, traps=[Inexact])
_USUAL_DECIMALS = 2
_LONGEST_SHOWN = 80
_LONGEST_READ = 40
_CODE = re.compile(r"[A-Z]{3}")
# What people write for a currency. A sign that several share stands for the account's own, where that is one of them.
_SIGNS: Mapping[str, frozenset[str]] = {
    "$": frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU", "DOP"}),
    "US$": frozenset({"USD"}),
    "CA$": frozenset({"CAD"}),
    "A$": frozenset({"AUD"}),
    "NZ$": frozenset({"NZD"}),
    "HK$": frozenset({"HKD"}),
    "NT$": frozenset({"TWD"}),
    "S$": frozenset({"SGD"}),
    "MX$": frozenset({"MXN"}),
    "R$": frozenset({"BRL"}),
    "€": frozenset({"EUR"}),
    "£": frozenset({"GBP", "EGP"}),
    "¥": frozenset({"JPY", "CNY"}),
    "￥": frozenset({"JPY", "CNY"}),
    "円": frozenset({"JPY"}),
    "₹": frozenset({"INR"}),
    "₩": frozenset({"KRW"}),
    "₺": frozenset({"TRY"}),
    "₱": frozenset({"PHP"}),
    "₫": frozenset({"VND"}),
    "฿": frozenset({"THB"}),
    "₪": frozenset({"ILS"}),
    "₴": frozenset({"UAH"}),
    "₦": frozenset({"NGN"}),
    "zł": frozenset({"PLN"}),
    "Kč": frozenset({"CZK"}),
    "Ft": frozenset({"HUF"}),
    "kr": frozenset({"SEK", "NOK", "DKK", "ISK"}),
    "kr.": frozenset({"SEK", "NOK", "DKK", "ISK"}),
    "Fr.": frozenset({"CHF"}),
}
_PLAIN = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,2})?")
"""What is written in one way by everybody: most amounts, and there may be many."""
_MARKED = re.compile(r"(?P<before>[^0-9.,+()\-]*)(?P<number>.*?)(?P<after>[^0-9.,' )%]*)", re.DOTALL)
_GROUPING = "' "  # beside comma and point; blanks and apostrophes of all kinds are made plain before
_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
_SCIENTIFIC = re.compile(r"(?P<digits>[0-9](?:[.,][0-9]{1,15})?)[eE]\+?(?P<exponent>[0-9]{1,2})")


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
                raise _wrong_value(
                    amount,
                    'a plain number such as "19.99": digits and one point, no separators, signs of money or spaces',
                )
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
    sign, units, decimals = _split(amount)
    return Decimal(f"{sign}{units}.{decimals}" if decimals else f"{sign}{units}")


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
    sign, units, decimals = _split(amount)
    usual = minor_units(currency) if currency else None
    shown = decimals.ljust(_USUAL_DECIMALS if usual is None else usual, "0")
    number = f"{sign}{units:,}.{shown}" if shown else f"{sign}{units:,}"
    return f"{number} {currency}" if currency else number


@cache
def minor_units(currency: str) -> int | None:
    """How many decimals a currency has by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD.

    None for what is no currency of money.
    """
    from iso4217 import Currency  # noqa: PLC0415 - it reads its table when it is loaded, and most programs show no money

    try:
        return Currency(currency.upper()).exponent
    except ValueError:
        return None


def fits_currency(amount: MicroAmount, currency: str) -> bool:
    """Whether an amount is a whole number of the currency's smallest units. Of an unknown currency every amount is."""
    return amount % _smallest(currency) == 0


def round_to_currency(amount: MicroAmount | Decimal, currency: str) -> MicroAmount:
    """An amount in millionths, rounded half to even to the currency's smallest unit.

    1_005_000 becomes 1_000_000 in USD.
    """
    smallest = _smallest(currency)
    return (
        int((Decimal(amount) / smallest).quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=Context(prec=60)))
        * smallest
    )


@cache
def _smallest(currency: str) -> int:
    """The currency's smallest unit in millionths."""
    decimals = minor_units(currency)
    return 10 ** (_DECIMALS - min(_DECIMALS, decimals)) if decimals is not None else 1


def read_amount(text: str, currency: str = "") -> MicroAmount:
    """Read an amount in currency units as people and spreadsheets write it.

    ``$1,250.00``, ``1.250,00``, ``15000``, ``1.5E+3``.
    A number means the same with a decimal point and without: 15000 and 15,000.00 are equal. What may be meant in two
    ways (``1,250`` and ``1.250``) is refused, and so are another currency than ``currency``, more decimals than it has,
    and amounts below zero.

    Args:
        text: the amount, with or without the currency's sign or code.
        currency: the account's currency, an ISO 4217 code; without one, an amount that names a currency is refused.

    Raises:
        InvalidAmount: it is no amount, or not in this currency.
    """
    if _PLAIN.fullmatch(text):
        amount = int(text.replace(".", "")) * 10 ** (_DECIMALS - (len(text) - text.find(".") - 1 if "." in text else 0))
        return _of_currency(text, amount, currency)
    plain = " ".join(text.replace(_APOSTROPHE, "'").split())
    if not plain or len(plain) > _LONGEST_READ:
        raise _wrong_value(text, "a number of currency units, such as 1250.00")
    found = _MARKED.fullmatch(plain)
    if found is None or not found["number"]:
        raise _wrong_value(text, "a number of currency units, such as 1250.00")
    for mark in (found["before"].strip(), found["after"].strip()):
        if mark:
            _check_mark(text, mark, currency)
    return _of_currency(text, _scaled(text, _number(text, found["number"].strip())), currency)


def _of_currency(text: str, amount: MicroAmount, currency: str) -> MicroAmount:
    """An amount that was read, where its currency has so many decimals."""
    if not fits_currency(amount, currency):
        raise _wrong_value(text, f"an amount of {currency}, which has {minor_units(currency) or 'no'} decimals")
    return amount


def currencies_meant(mark: str) -> frozenset[str]:
    """The currencies that a sign or a code may stand for; none where it is neither."""
    code = mark.upper()
    is_code = _CODE.fullmatch(code) is not None and minor_units(code) is not None
    return _SIGNS.get(mark) or frozenset({code} if is_code else ())


def _check_mark(text: str, mark: str, currency: str) -> None:
    """Refuse the sign or code of another currency."""
    meant = currencies_meant(mark)
    if not meant:
        raise _wrong_value(text, f"a number of currency units, and {mark!r} is no currency that is known here")
    if currency not in meant:
        raise _wrong_value(
            text, f"in the account's currency{f', which is {currency}' if currency else ''}: {mark} is another"
        )


def _number(given: str, text: str) -> Decimal:
    """The number in a text without currency.

    Which of point and comma stands before decimals is decided by their places.
    """
    if found := _SCIENTIFIC.fullmatch(text):
        return Decimal(f"{found['digits'].replace(',', '.')}E{found['exponent']}")
    for mark in _GROUPING:
        parts = text.split(mark)
        if len(parts) > 1 and not (
            re.fullmatch(r"[0-9]{1,3}", parts[0]) and all(re.match(r"[0-9]{3}", one) for one in parts[1:])
        ):
            raise _wrong_value(given, "a number of currency units: its digits are not grouped by threes")
        text = "".join(parts)
    if not re.fullmatch(r"[0-9]+(?:[.,][0-9]+)*", text):
        raise _wrong_value(given, "a number of currency units, such as 1250.00")
    last = max(text.rfind("."), text.rfind(","))
    whole, decimals = (text[:last], text[last + 1 :]) if last >= 0 else (text, "")
    mark = text[last] if last >= 0 else ""
    inner = {one for one in whole if not one.isdecimal()}
    if len(inner) > 1 or (mark in inner and not _is_grouped(text)):
        raise _wrong_value(given, "a number of currency units: point and comma contradict each other")
    if mark in inner:  # 1,250,000: the same mark several times groups digits
        return Decimal(text.replace(mark, ""))
    if inner and not _is_grouped(whole):
        raise _wrong_value(given, "a number of currency units: its digits are not grouped by threes")
    if not inner and len(decimals) == 3 and 1 <= len(whole) <= 3 and whole != "0":
        fraction = decimals.rstrip("0")
        # Three decimals are as clear with a nought behind them.
        either = f"{whole}{decimals}.00 or {whole}.{f'{decimals}0' if fraction == decimals else fraction}".rstrip(".")
        raise _wrong_value(given, f"clear, and it may mean two amounts: write {either}")
    try:
        return Decimal(f"{whole.replace(',', '').replace('.', '')}.{decimals}" if decimals else whole)
    except InvalidOperation:
        raise _wrong_value(given, "a number of currency units, such as 1250.00") from None


def _is_grouped(text: str) -> bool:
    """Whether digits are grouped by threes, or as in India by twos before the last three."""
    return bool(re.fullmatch(r"[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}", text))


def _split(amount: MicroAmount) -> tuple[str, int, str]:
    """The sign, the whole units and the decimals without trailing zeros."""
    if type(amount) is not int:
        raise InvalidAmountType(
            f"a micro amount is an int, not {type(amount).__name__} {amount!r}", value=amount, rule="int"
        )
    units, rest = divmod(abs(amount), _PER_UNIT)
    return "-" if amount < 0 else "", units, f"{rest:0{_DECIMALS}}".rstrip("0") if rest else ""


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
    text = (
        given
        if isinstance(given, str)
        else f"an integer of {given.bit_length()} bits"
        if isinstance(given, int)
        else str(given)
    )
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}…"


def _wrong_type(given: object) -> InvalidAmountType:
    rule = 'a str, an int or a Decimal, as in micros("19.99")'
    why = ": a float cannot hold most decimal amounts" if isinstance(given, float) else ""
    return InvalidAmountType(
        f"an amount of money is {rule}, not {type(given).__name__} {given!r}{why}", value=given, rule=rule
    )
