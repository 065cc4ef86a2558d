"""Data to begin with.

One business, one ad account, campaigns, ad sets, ads and assets, the same again from the same seed.
Identifiers depend on the seed alone; times hang on the day on which the emulator starts, so that flights run now.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.clock import stamp
from spotify_ads_async.emulator.domain.handlers.ad_accounts import new_ad_account
from spotify_ads_async.emulator.domain.handlers.ad_sets import DEFAULT_FREQUENCY_CAPS, DEFAULT_PLATFORMS
from spotify_ads_async.emulator.domain.handlers.businesses import new_business
from spotify_ads_async.emulator.domain.handlers.pixels import new_pixel
from spotify_ads_async.emulator.domain.signals import signal_names
from spotify_ads_async.emulator.domain.store import Account, Business, Store, uuid_text
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["Plan", "seed"]

_SEASONS = ("Spring", "Summer", "Autumn", "Winter", "New year", "Back to school", "Festival", "Holiday")
_THEMES = ("launch", "awareness", "sale", "membership", "podcast", "app", "tour", "brand")
_AUDIENCES = ("students", "commuters", "runners", "parents", "gamers", "night owls", "coffee lovers", "travellers")
_COUNTRIES = ("US", "GB", "CA", "DE", "FR", "SE")
_AD_SETS_PER_CAMPAIGN = 20
_ADS_EVERY = 10


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much to begin with. ``campaigns`` and ``ads`` follow from ``ad_sets`` where they are None."""

    ad_sets: int = 2000
    campaigns: int | None = None
    ads: int | None = None


def _ids(seed: int, kind: str) -> Any:  # noqa: ANN401 - an endless iterator of UUIDs
    bits = random.Random(f"{seed}/{kind}").getrandbits  # noqa: S311 - made-up data, made up again alike
    return (uuid_text(bits(128)) for _ in iter(int, 1))


def seed(store: Store, plan: Plan, number: int) -> Account:
    """Fill the store; the same ``number`` gives the same rows. Returns the ad account."""
    midnight = store.clock.now().replace(hour=0, minute=0, second=0)
    rng = random.Random(f"{number}/values")  # noqa: S311 - see _ids
    ids = _ids(number, "owners")
    business_row = new_business(store, {"name": "Emulated Business", "type": "ADVERTISER"}, next(ids))
    business = store.business(business_row["id"])
    kind = {
        "country_code": "US",
        "industry": "RETAIL",
        "type": "BRAND_ADVERTISER",
        "website": "https://www.example.com",
    }
    names = {
        "name": "Emulated Ad Account",
        "legal_entity_name": "Emulated Ad Account",
        "bill_to_address": {"name": "Emulated Business"},
    }
    account = new_ad_account(store, business, {**kind, **names}, next(ids))
    count = plan.campaigns if plan.campaigns is not None else -(-plan.ad_sets // _AD_SETS_PER_CAMPAIGN)
    if plan.ad_sets and not count:
        raise ValueError("ad sets need at least one campaign")
    _seed_pixel(store, business, midnight)
    _seed_assets(account, number, midnight)
    _seed_campaigns(account, count, number, midnight)
    _seed_ad_sets(account, plan.ad_sets, number, midnight, rng)
    _seed_ads(account, plan.ads if plan.ads is not None else -(-plan.ad_sets // _ADS_EVERY), number, midnight)
    return account


def _seed_assets(account: Account, number: int, midnight: datetime) -> None:
    ids = _ids(number, "assets")
    day = stamp(midnight - timedelta(days=120))
    kinds: tuple[Row, ...] = (
        {"asset_type": "AUDIO", "audio_type": "USER_UPLOADED_AUDIO", "duration_ms": 30_000, "file_type": "MP3"},
        {"asset_type": "IMAGE", "file_type": "JPEG", "aspect_ratio": "SQUARE", "width": 640, "height": 640},
        {
            "asset_type": "VIDEO",
            "duration_ms": 15_000,
            "aspect_ratio": "VERTICAL_9_16",
            "width": 1080,
            "height": 1920,
            "file_type": "MP4",
            "has_audio": True,
            "thumbnail_url": "https://assets.example.com/thumbnail.jpg",
        },
    )
    for index in range(12):
        identifier, kind = next(ids), kinds[index % 3]
        name = f"{kind['asset_type'].capitalize()} {index // 3 + 1}"
        url = f"https://assets.example.com/{identifier}"
        account.assets.put(
            {
                "id": identifier,
                "name": name,
                **kind,
                "status": "READY",
                "url": url,
                "created_at": day,
                "updated_at": day,
            }
        )


def _seed_campaigns(account: Account, count: int, number: int, midnight: datetime) -> None:
    ids = _ids(number, "campaigns")
    rows = account.campaigns.rows
    for index in range(count):
        identifier = next(ids)
        day = stamp(midnight - timedelta(days=100, minutes=index))
        rows[identifier] = {
            "id": identifier,
            "name": f"{_SEASONS[index % 8]} {_THEMES[index // 8 % 8]} {index + 1}",
            "created_at": day,
            "updated_at": day,
            "purchase_order": f"PO-{10_000 + index}",
            "status": "PAUSED" if index % 10 == 9 else "ACTIVE",
            "objective": ("EVEN_IMPRESSION_DELIVERY", "REACH", "CLICKS")[index % 3],
            "delivery_goal_group": ("AWARENESS", "AWARENESS", "WEBSITE_TRAFFIC")[index % 3],
        }


def _seed_ad_sets(account: Account, count: int, number: int, midnight: datetime, rng: random.Random) -> None:
    """Flights from 60 days ago to 60 days ahead: most run, some are to come. Rows share the parts that are equal."""
    ids = _ids(number, "ad sets")
    campaigns = list(account.campaigns.rows)
    rows = account.ad_sets.rows
    days = [stamp(midnight + timedelta(days=offset)) for offset in range(-100, 160)]
    targets = [_seed_targets(country, index) for index, country in enumerate(_COUNTRIES * 4)]
    budgets = [
        {"micro_amount": amount * 1_000_000, "type": kind, "currency": account.currency}
        for kind in ("DAILY", "LIFETIME")
        for amount in (25, 50, 100, 250, 500, 1000)
    ]
    formats: tuple[tuple[str, list[str]], ...] = (
        ("AUDIO", []),
        ("AUDIO", []),
        ("VIDEO", ["IN_STREAM", "OPT_IN"]),
        ("IMAGE", []),
    )
    pick = rng.random
    for index in range(count):
        identifier = next(ids)
        start = 40 + int(pick() * 75)
        asset_format, deliveries = formats[index % 4]
        row: Row = {
            "name": f"{_AUDIENCES[index % 8]} {index + 1}",
            "start_time": days[start],
            "end_time": days[start + 62 + int(pick() * 60)],
            "frequency_caps": DEFAULT_FREQUENCY_CAPS,
            "bid_micro_amount": 5_000_000 + int(pick() * 400) * 50_000,
            "delivery": "ON",
            "video_delivery_formats": deliveries,
            "id": identifier,
            "category": f"ADV_{index % 34 + 1}_1",
            "campaign_id": campaigns[index % len(campaigns)],
            "cost_model": "CPM",
            "created_at": (created := _moment(days, index)),
            "updated_at": created,
            "asset_format": asset_format,
            "budget": budgets[int(pick() * len(budgets))],
            "bid_strategy": "MAX_BID",
            "status": "ACTIVE" if start <= 100 else "READY",
            "targets": targets[index % len(targets)],
            "pacing": "PACING_EVEN",
            "delivery_goal": "IMPRESSIONS",
            "is_paused": False,
        }
        rows[identifier] = row


def _moment(days: list[str], index: int) -> str:
    """A moment of its own for each row, one second after the other."""
    day, second = divmod(index, 86_400)
    minute, second = divmod(second, 60)
    return f"{days[day][:10]}T{minute // 60:02}:{minute % 60:02}:{second:02}Z"


def _seed_targets(country: str, index: int) -> Row:
    return {
        "age_ranges": [{"min": 18 + index % 3 * 7, "max": 34 + index % 4 * 10}],
        "geo_targets": {"country_code": country},
        "genders": ["MALE", "FEMALE", "NON_BINARY"],
        "platforms": DEFAULT_PLATFORMS,
        "placements": ["MUSIC"] if index % 3 else ["MUSIC", "PODCAST"],
    }


def _seed_ads(account: Account, count: int, number: int, midnight: datetime) -> None:
    ids = _ids(number, "ads")
    ad_sets = list(account.ad_sets)
    day = stamp(midnight - timedelta(days=99))
    assets = {
        kind: [row["id"] for row in account.assets if row["asset_type"] == kind] for kind in ("AUDIO", "IMAGE", "VIDEO")
    }
    step = max(1, len(ad_sets) // max(1, count))
    for index in range(count if ad_sets else 0):
        identifier = next(ids)
        ad_set = ad_sets[index * step % len(ad_sets)]
        of_format, images = assets[ad_set["asset_format"]], assets["IMAGE"]
        account.ads.rows[identifier] = {
            "id": identifier,
            "call_to_action": {
                "key": "LEARN_MORE",
                "text": "Learn more",
                "language": "ENGLISH",
                "clickthrough_url": "https://www.example.com/offer",
            },
            "created_at": day,
            "updated_at": day,
            "delivery": "ON",
            "ad_set_id": ad_set["id"],
            "status": "ACTIVE",
            "ad_preview_url": f"https://ads.example.com/preview/{identifier}",
            "advertiser_name": "Example Shop",
            "assets": {
                "asset_id": of_format[index % len(of_format)],
                "companion_asset_id": images[index % len(images)],
                "logo_asset_id": images[0],
            },
            "name": f"Ad {index + 1}",
            "tagline": "Hear it first",
            "third_party_tracking": [],
        }


def _seed_pixel(store: Store, business: Business, midnight: datetime) -> None:
    """One pixel that has received events for a quarter of a year."""
    pixel = new_pixel(store, business, {"name": "Shop", "domain": "https://www.example.com"})
    first = stamp(midnight - timedelta(days=90))
    received = [{"event_type": name, "first_event_time": first} for name in signal_names()]
    business.pixels.put({**pixel, "created_at": first, "events_received": received})
