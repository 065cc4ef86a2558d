"""Assets, audiences, pixels, accounts and lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.refused import Refused
from spotify_ads_async.validation.rules.base import Body, at, country_code, given

LARGEST_UPLOAD_BYTES = 20 * 1024 * 1024
LOOKBACK_DAYS = (30, 60, 90, 180)


def audio_subtype(body: Body, _now: datetime) -> None:
    """Schema AssetSubtype: required for audio."""
    if body.asset_type == "AUDIO" and not given(body.asset_subtype):
        raise Refused(UNSET, "is required with asset_type AUDIO", ".asset_subtype")


def upload_size(body: Body, _now: datetime) -> None:
    """Operations uploadAsset and transferChunkedAsset: at most 20 MB."""
    size = len(body.media)
    if size > LARGEST_UPLOAD_BYTES:
        raise Refused(body.media, f"must be at most 20 MB: send {size:,} bytes in chunks", ".media")


def lookback(body: Body, _now: datetime) -> None:
    """CreateCustomAudienceRequest.lookback_days: four values."""
    days = at(body, "lookback_days")
    if given(days) and days not in LOOKBACK_DAYS:
        raise Refused(days, "must be 30, 60, 90 or 180", ".lookback_days")


def pixel_domain(body: Body, _now: datetime) -> None:
    """Schema Domain: http and https only."""
    domain = at(body, "domain")
    if isinstance(domain, str) and urlsplit(domain).scheme.lower() not in {"http", "https"}:
        raise Refused(domain, "must begin with https:// or http://", ".domain")


def account_country(body: Body, _now: datetime) -> None:
    """Schema AdAccountCountryCode: ISO alpha-2."""
    country_code(at(body, "country_code"), ".country_code")


def any_filter(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Operation getGeoTargets: at least one parameter."""
    if not any(given(value) and value != [] for value in query.values()):
        raise Refused(UNSET, "is empty: at least one parameter is required")


def geo_country(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameter country_code: ISO alpha-2."""
    country_code(query.get("country_code"), ".country_code")


def market_country(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameter market: ISO alpha-2."""
    country_code(query.get("market"), ".market")


def change_history(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameters of getChangeHistory: a name needs its type, and a range its order."""
    if given(query.get("entity_name", UNSET)) and not given(query.get("entity_type", UNSET)):
        raise Refused(UNSET, "is required beside entity_name", ".entity_type")
    start, end = query.get("created_gte"), query.get("created_lte")
    if isinstance(start, datetime) and isinstance(end, datetime) and end < start:
        raise Refused(end, "must not be before created_gte", ".created_lte")
