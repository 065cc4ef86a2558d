"""The catalogue of ad products that the emulator serves and holds requests to.

The form is Spotify's, the rules are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.validation.ad_products import DEFAULT_PRODUCT, Action, AdProductCatalog, EntityKind, product_of

__all__ = ["CATALOG", "answer", "hold", "reserved"]

_NEVER_KEPT: Mapping[str, str] = {"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate"}
_RESERVED_CAMPAIGN: Mapping[str, Any] = {
    "create": {"allowed_values": {"objective": ["UNSET", "EVEN_IMPRESSION_DELIVERY", "REACH"]}},
    "update": {
        "allowed_values": {"status": ["ACTIVE", "PAUSED", "ARCHIVED"]},
        "restrictions": ["ad_product: fixed once created"],
    },
}
CATALOG: Mapping[str, Any] = {
    "description": "Rules of ad products, on top of the API's document.",
    "ad_products": {
        "AUCTION": {
            "display_name": "Auction",
            "description": "Bids for impressions.",
            "campaign": {
                "update": {
                    "allowed_values": {"status": ["ACTIVE", "PAUSED", "ARCHIVED"]},
                    "restrictions": ["objective: fixed once created"],
                },
            },
            "ad_set": {
                "create": {"required_fields": ["targets.placements: MUSIC, PODCAST, both"]},
                "both": {
                    "frequency_caps": {"max_impressions": {"DAY": 5, "WEEK": 35, "MONTH": 50}},
                    "constraints": ["A flight lasts 365 days at most"],
                    "cross_field_rules": ["When budget.type is LIFETIME: end_time is needed"],
                },
            },
            "ad": {
                "create": {"required_fields": ["assets.asset_id: the main asset, not archived"]},
                "update": {"restrictions": ["An archived ad stays as it is"]},
            },
        },
        "CONTENT": {
            "display_name": "Reserved podcasts",
            "description": "Impressions in podcasts at a fixed price.",
            "campaign": _RESERVED_CAMPAIGN,
            "ad_set": {
                "create": {
                    "allowed_values": {"asset_format": ["AUDIO"]},
                    "required_fields": ["end_time", "targets.placements"],
                },
                "both": {
                    "allowed_values": {"targets.placements": ["PODCAST"]},
                    "forbidden_fields": [
                        "targets.artist_ids",
                        "targets.genre_ids",
                        "targets.playlist_ids: podcasts are in none",
                    ],
                    "frequency_caps": {"max_impressions": {"DAY": 3, "WEEK": 10, "MONTH": 30}},
                    "constraints": ["The price is that of the day on which the ad set is created"],
                },
            },
            "ad": {
                "create": {"required_fields": ["assets.asset_id"]},
                "both": {"constraints": ["Audio lasts 31 s at most"]},
            },
        },
        "FPMNG": {
            "display_name": "Reserved music",
            "description": "Impressions among music at a fixed price.",
            "campaign": _RESERVED_CAMPAIGN,
            "ad_set": {
                "create": {"required_fields": ["end_time", "targets.placements"]},
                "both": {
                    "allowed_values": {"targets.placements": ["MUSIC"]},
                    "forbidden_fields": ["targets.podcast_episode_topic_ids"],
                    "frequency_caps": {"max_impressions": {"DAY": 4, "WEEK": 20, "MONTH": 40}},
                },
            },
        },
    },
}
_CATALOG = AdProductCatalog(CATALOG)


def answer(_call: Call) -> Response:
    """``getAdProductCatalog``."""
    return Response(CATALOG, headers=_NEVER_KEPT)


def hold(entity: EntityKind, action: Action, body: Row, campaign: Row, present: Row | None = None) -> None:
    """Refuse what breaks the rules of the campaign's ad product."""
    for violation in _CATALOG.rules(product_of(campaign), entity, action).violations(body, present):
        raise refused(f"{violation.field}: {violation.rule}")


def reserved(campaign: Row) -> Row:
    """What an answer says of a campaign's ad product: nothing for the default one."""
    product = product_of(campaign)
    return {} if product == DEFAULT_PRODUCT else {"ad_product": product}
