"""Estimates, reserved prices and experiments."""

from __future__ import annotations

import math
from typing import Any

from spotify_ads_async.emulator.domain.answers import Response, missing, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.clock import parse
from spotify_ads_async.emulator.domain.forecast import Forecast, bid_range, forecast, people
from spotify_ads_async.emulator.domain.handlers.ad_sets import DEFAULT_FREQUENCY_CAPS
from spotify_ads_async.emulator.domain.tables import Row

_DAYS = {"DAY": 1, "WEEK": 7, "MONTH": 30}
_SPREAD = 0.15
"""Estimates are ranges: so much below and above."""
_RESERVED_CPM_MICRO = {"CONTENT": 25_000_000, "FPMNG": 18_000_000}
_RESERVED_OBJECTIVE = {"CONTENT": "UNSET", "FPMNG": "EVEN_IMPRESSION_DELIVERY"}
_MOST_DAYS = 366


def _cap_per_day(caps: list[Row]) -> float:
    """Impressions per person and day that the caps allow."""
    return min(
        cap["max_impressions"] / (cap["frequency_period"] * _DAYS[cap["frequency_unit"]])
        for cap in caps or DEFAULT_FREQUENCY_CAPS
    )


def _flight(body: Row) -> int:
    """The flight's days; a month where it has no end."""
    if "end_date" not in body:
        return 30
    days = math.ceil((parse(body["end_date"]) - parse(body["start_date"])).total_seconds() / 86_400)
    if days <= 0:
        raise refused("end_date: must be later than start_date")
    if days > _MOST_DAYS:
        raise refused("end_date: a flight lasts at most a year")
    return days


def _range(name: str, value: float, kind: type[int | float] = int) -> dict[str, Any]:
    return {f"estimated_{name}_min": kind(value * (1 - _SPREAD)), f"estimated_{name}_max": kind(value * (1 + _SPREAD))}


def _shown(found: Forecast, kind: str, audience: int) -> Row:
    frequency = found.impressions / found.reach if found.reach else 0.0
    return {
        **_range("frequency", round(frequency, 2), float),
        **_range("impressions", found.impressions),
        **_range("reach", found.reach),
        **_range("cpm", found.cpm_micro),
        "forecast_type": kind,
        "projected_unique_users": int(audience * 0.8),
        "raw_unique_users": int(audience * 0.55),
    }


def estimate_audience(call: Call) -> Response:
    """``estimateAudience``: a refusal for a low bid names one that would do."""
    body = call.body
    account = call.store.accounts.get(body["ad_account_id"].lower())
    if account is None:
        raise missing("Ad account", body["ad_account_id"])
    targets, budget = body["targets"], body["budget"]
    low, high = bid_range(targets, body["asset_format"], body["objective"])
    suggestion: Row = {
        "bid_estimate_min": low,
        "bid_estimate_max": high,
        "cost_model": "CPM",
        "currency": budget["currency"],
    }
    reserved = _RESERVED_OBJECTIVE.get(body.get("ad_product", ""))
    if reserved and (body["objective"], body["bid_strategy"]) != (reserved, "UNSET"):
        raise refused(f"objective, bid_strategy: must be {reserved} and UNSET with ad_product {body['ad_product']}")
    if budget["currency"] != account.currency:
        raise refused(f"budget.currency: the ad account is billed in {account.currency}", bid_suggestion=suggestion)
    if budget["micro_amount"] <= 0:
        raise refused("budget.micro_amount: must be greater than 0", bid_suggestion=suggestion)
    if budget["type"] == "LIFETIME" and "end_date" not in body:
        raise refused("end_date: required when budget.type is LIFETIME", bid_suggestion=suggestion)
    automatic = body["bid_strategy"] in {"AUTOBID", "UNSET"}
    if not automatic and body["bid_micro_amount"] < low // 2:
        raise refused("bid_micro_amount: too low to win any impression", bid_suggestion=suggestion)
    days, size = _flight(body), people(targets)
    bid = (low + high) // 2 if automatic else min(body["bid_micro_amount"], high)
    periods = {"LIFETIME": days} if budget["type"] == "LIFETIME" else {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 30}
    found = {
        kind: forecast(
            audience=size,
            cap_per_day=_cap_per_day(body.get("frequency_caps", [])),
            budget_micro=budget["micro_amount"] * (1 if kind == "LIFETIME" else length),
            cpm_micro=bid,
            days=length,
        )
        for kind, length in periods.items()
    }
    longest = max(found.values(), key=lambda one: one.days)
    spent = longest.impressions * bid // 1000
    available = budget["micro_amount"] * (1 if budget["type"] == "LIFETIME" else longest.days)
    return Response(
        {
            "audience_forecast": [_shown(one, kind, size) for kind, one in found.items()],
            "bid_suggestion": suggestion,
            "likely_to_deliver_budget": spent >= available * 8 // 10,
        }
    )


def estimate_bid(call: Call) -> Response:
    """``estimateBid``."""
    body = call.body
    low, high = bid_range(body["targets"], body["asset_format"], body["objective"])
    return Response(
        {"bid_estimate_min": low, "bid_estimate_max": high, "cost_model": "CPM", "currency": body["currency"]}
    )


def get_reserved_pricing(call: Call) -> Response:
    """``getReservedPricing``: a fixed price per thousand for a tenth of the people, every day of the flight."""
    body = call.body
    audience_size = people(body["targets"])
    days = _flight(body)
    cost = _RESERVED_CPM_MICRO[body["ad_product"]] * audience_size // 10 // 1000 * days
    return Response({"cost_micro": cost, "currency": call.account.currency})


def get_experiment_availability(call: Call) -> Response:
    """``getExperimentAvailability``: a lift study needs a dataset, an A/B test two live ad sets.

    None runs in the emulator.
    """
    account = call.account
    business = call.store.business(account.row["business_id"])
    shared = any(one["id"] == account.id for row in business.datasets for one in row["shared_ad_accounts"])
    live = sum(row["status"] in {"ACTIVE", "READY"} for row in account.ad_sets)
    return Response(
        {
            "ad_account_id": account.id,
            "can_create_cls": shared,
            "can_create_sbl": live > 0,
            "can_create_ab_test": live > 1,
            "active_experiments": [],
        }
    )
