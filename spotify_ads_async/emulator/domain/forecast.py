"""What targeting reaches and what it costs.

A plain model that answers to every part of the targeting and the budget.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.catalogue import LISTENERS

__all__ = ["Forecast", "bid_range", "forecast", "people"]

_OTHER_COUNTRY = 1_000_000
_GENDER = {"MALE": 0.49, "FEMALE": 0.48, "NON_BINARY": 0.03}
_PLATFORM = {"ANDROID": 0.45, "IOS": 0.35, "DESKTOP": 0.20}
_PLACEMENT = {"MUSIC": 0.9, "PODCAST": 0.35}
_BASE_CPM_MICRO = {"AUDIO": 9_000_000, "VIDEO": 14_000_000, "IMAGE": 5_000_000, "CATALOG": 7_000_000}
_OBJECTIVE = {
    "REACH": 1.1,
    "CLICKS": 1.3,
    "VIDEO_VIEWS": 1.2,
    "PODCAST_STREAMS": 1.4,
    "APP_INSTALLS": 1.5,
    "WEBSITE_VISITS": 1.4,
}


def people(targets: dict[str, Any]) -> int:
    """How many listeners the targeting stands for."""
    geo = targets.get("geo_targets", {})
    country = geo.get("country_code", "").upper()
    number = float(LISTENERS.get(country, _OTHER_COUNTRY) if country else sum(LISTENERS.values()))
    places = sum(
        len(geo.get(name, ())) * weight
        for name, weight in (("region_ids", 0.12), ("city_ids", 0.04), ("postal_code_ids", 0.002))
    )
    number *= min(1.0, places) if places else 1.0
    if targets.get("age_ranges"):
        ages = {age for span in targets["age_ranges"] for age in range(span.get("min", 13), span.get("max", 99) + 1)}
        number *= sum(math.exp(-abs(age - 27) / 16) for age in ages) / sum(
            math.exp(-abs(age - 27) / 16) for age in range(13, 100)
        )
    for name, shares in (("genders", _GENDER), ("platforms", _PLATFORM)):
        if targets.get(name):
            number *= sum(shares[value] for value in set(targets[name]))
    if targets.get("placements"):
        number *= min(1.0, sum(_PLACEMENT[value] for value in set(targets["placements"])))
    for name, share in (
        ("interest_ids", 0.12),
        ("genre_ids", 0.2),
        ("playlist_ids", 0.1),
        ("artist_ids", 0.02),
        ("audience_ids", 0.01),
    ):
        if targets.get(name):
            number *= 1.0 - (1.0 - share) ** len(targets[name])
    if targets.get("podcast_episode_topic_ids"):
        number *= 0.15
    if targets.get("user_day_parts"):
        number *= 0.6
    if targets.get("language"):
        number *= 0.8
    return int(number)


def bid_range(targets: dict[str, Any], asset_format: str, objective: str) -> tuple[int, int]:
    """The bids per 1000 impressions that suit the targeting, in micros: narrow targeting costs more."""
    country = targets.get("geo_targets", {}).get("country_code", "").upper()
    everybody = LISTENERS.get(country, _OTHER_COUNTRY) if country else sum(LISTENERS.values())
    share = max(1, people(targets)) / everybody
    middle = _BASE_CPM_MICRO[asset_format] * _OBJECTIVE.get(objective, 1.0) * (1.0 - 0.15 * math.log10(share))
    return _cents(middle * 0.7), _cents(middle * 1.4)


def _cents(micros: float) -> int:
    return max(10_000, int(micros) // 10_000 * 10_000)


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a budget buys in a number of days."""

    days: int
    impressions: int
    reach: int
    cpm_micro: int


def forecast(*, audience: int, cap_per_day: float, budget_micro: int, cpm_micro: int, days: int) -> Forecast:
    """Impressions and people.

    Bounded by what the budget pays for, by the audience, and by how often each may be reached.
    """
    paid = budget_micro * 1000 // max(1, cpm_micro)
    possible = int(audience * 0.4 * cap_per_day * days)
    impressions = min(paid, possible)
    reach = int(audience * 0.8 * (1.0 - math.exp(-impressions / max(1.0, audience * 0.8)))) if audience else 0
    return Forecast(days=days, impressions=impressions, reach=min(reach, impressions), cpm_micro=cpm_micro)
