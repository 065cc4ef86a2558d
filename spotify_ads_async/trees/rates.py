"""Money between accounts: amounts go only into an account of the same currency, or at a stated rate. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import Ad, AdSet, Campaign
from spotify_ads_async.money import format_micros, minor_units, round_to_currency

__all__ = ["Rates", "read_rates"]

_AMOUNTS = ("bid_micro_amount", "base_rate_micro_amount")
_LARGEST = 2**63 - 1


def read_rates(given: Mapping[str, Decimal | str | int]) -> dict[str, Decimal]:
    """Rates as they are stated: units of the account's currency for one unit of another.

    Raises:
        InvalidRequest: one is no currency, or no number above zero.
    """
    rates: dict[str, Decimal] = {}
    for code, value in given.items():
        currency = code.upper()
        try:
            rate = Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            rate = Decimal(0)
        if minor_units(currency) is None or isinstance(value, float) or not rate.is_finite() or not 0 < rate < 10**9:
            raise InvalidRequest(
                f"{code}={value} is no rate: write it as JPY=0.0067",
                path="rates",
                value=value,
                rule="a currency and a number",
            )
        rates[currency] = rate
    return rates


class Rates:
    """How the amounts of a file become those of an account.

    Args:
        currency: the account's currency; empty where it does not say.
        rates: units of that for one unit of another currency.
    """

    def __init__(self, currency: str, rates: Mapping[str, Decimal]) -> None:
        self._currency = currency
        self._rates = rates

    def convert(self, body: dict[str, Any], source: Campaign | AdSet | Ad, newer: Sequence[str]) -> None:
        """Convert the amounts of an ad set's draft, in place.

        Args:
            body: the draft.
            source: of what it is made.
            newer: keys that a newer API gave, and that the draft carries as they are.

        Raises:
            InvalidRequest: they are in another currency and no rate is stated, in none that is known, or too small for
                the account's; or a newer key may be an amount, too.
        """
        if not isinstance(source, AdSet) or not ("budget" in body or any(name in body for name in _AMOUNTS)):
            return
        theirs = (source.budget.currency if source.budget is not None else None) or ""
        rate = self._rate(theirs.upper(), f"ad set {source.id} ({source.name})")
        if rate is None:
            return
        amount = next((name for name in newer if name.startswith("budget.") or "amount" in name or "micro" in name), "")
        if amount:
            raise InvalidRequest(
                f"{amount} of ad set {source.id} ({source.name}) is newer than this version and may be an amount in"
                f" {theirs}, which cannot be converted: leave it out by --ignore {amount} (ignore=…); nothing was sent",
                path=amount,
                rule="amounts that are known, where they are converted",
            )
        budget: dict[str, Any] = body.get("budget", {})
        if "micro_amount" in budget:
            budget["micro_amount"] = self._converted(budget["micro_amount"], rate, source, "budget.micro_amount")
        for name in _AMOUNTS:
            if name in body:
                body[name] = self._converted(body[name], rate, source, name)

    def _rate(self, theirs: str, what: str) -> Decimal | None:
        if theirs and theirs == self._currency and theirs not in self._rates:
            return None
        if theirs in self._rates:
            if not self._currency:
                raise InvalidRequest(
                    f"the ad account names no currency, so {what} cannot be converted; nothing was sent", path="rates"
                )
            return self._rates[theirs]
        if not theirs:
            raise InvalidRequest(
                f'{what} does not say in which currency its budget is; add "currency" to its budget; nothing was sent',
                path="budget.currency",
                rule="the account's currency, or one with a rate",
            )
        raise InvalidRequest(
            f"the budget of {what} is in {theirs}, and the ad account is in"
            f" {self._currency or 'no currency that it names'}: state a rate, such as {theirs}=0.9 for 0.90"
            f" {self._currency or 'units of the account'} a {theirs}; nothing was sent",
            path="budget.currency",
            value=theirs,
            rule="the account's currency, or one with a rate",
        )

    def _converted(self, micros: int, rate: Decimal, source: AdSet, name: str) -> int:
        amount = round_to_currency(Decimal(micros) * rate, self._currency)
        if (micros > 0 and amount <= 0) or abs(amount) > _LARGEST:
            raise InvalidRequest(
                f"{name} of ad set {source.id} ({source.name}) would be {format_micros(amount, self._currency)} at this"
                " rate; nothing was sent",
                path=name,
                value=micros,
                rule="at least the smallest unit of the account's currency",
            )
        return amount
