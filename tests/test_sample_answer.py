"""The published sample answer of Update Ad Set decodes with nothing lost, the fields that v3 has dropped included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from spotify_ads_async import models
from spotify_ads_async.core import wire
from spotify_ads_async.operations import UPDATE_AD_SET
from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.requests import check_body

SAMPLE: dict[str, Any] = {
    "id": "d936ecbb-3a93-4cfa-b756-c61811c6cdc3",
    "campaign_id": "5bbc4fec-c9a5-4fc6-98f4-e950f40b74c7",
    "name": "test reject - Test Ad set",
    "status": "PENDING_APPROVAL",
    "delivery": "ON",
    "category": "ADV_1_1",
    "asset_format": "AUDIO",
    "cost_model": "CPM",
    "bid_strategy": "MAX_BID",
    "bid_micro_amount": 10_000_000,
    "budget": {"micro_amount": 500_000_000, "type": "DAILY", "currency": "USD"},
    "created_at": "2023-07-28T17:55:12Z",
    "updated_at": "2023-09-28T17:55:12Z",
    "start_time": "2023-09-23T04:56:07Z",
    "end_time": "2023-09-26T04:56:07Z",
    "frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}],
    "promotion": {
        "promotion_goal": "ARTIST_PROMO",
        "promotion_target_id": "1dfeR4HaWDbWqFHLkxsg1d",
        "conversion_events": [{"tracking_event_type": "IMPRESSION", "window_duration_ms": 86_400_000}],
    },
    "targets": {
        "age_ranges": [{"min": 18, "max": 65}],
        "artist_ids": ["1dfeR4HaWDbWqFHLkxsg1d"],
        "genders": ["MALE", "FEMALE"],
        "genre_ids": ["blues", "alternative"],
        "geo_targets": {
            "country_code": "US",
            "city_ids": [],
            "dma_ids": ["503", "500"],
            "postal_code_ids": ["US:73170"],
            "region_ids": ["5101760"],
        },
        "interest_ids": ["365a5223-0024-4579-a881-3b08e8720021", "46b303e4-09a4-4c8e-998b-37186ff8120a"],
        "language": "en",
        "platforms": ["IOS"],
        "playlist_ids": ["cooking", "holidays"],
        "podcast_episode_topic_ids": ["books-and-literature", "automotive"],
        "exclude_placements": [],
        "sensitive_topic_exclusion_ids": ["alcohol", "crime-violence"],
    },
}


def decoded() -> models.AdSet:
    return wire.answer(
        UPDATE_AD_SET, status=200, content_type=lambda: "application/json", body=msgspec.json.encode(SAMPLE)
    )


def test_the_sample_decodes_and_encodes_back_as_it_was() -> None:
    ad_set = decoded()
    assert isinstance(ad_set, models.AdSet)
    assert msgspec.json.decode(msgspec.json.encode(ad_set)) == SAMPLE


def test_its_values_have_types() -> None:
    ad_set = decoded()
    assert ad_set.status is models.AdSetStatus.PENDING_APPROVAL
    assert ad_set.start_time == datetime(2023, 9, 23, 4, 56, 7, tzinfo=UTC)
    assert ad_set.budget == models.StoredBudget(micro_amount=500_000_000, type=models.BudgetType.DAILY, currency="USD")
    assert ad_set.targets is not None
    assert ad_set.targets.platforms == [models.Platform.IOS]
    assert ad_set.targets.exclude_placements == []
    assert ad_set.targets.geo_targets is not None
    assert ad_set.targets.geo_targets.city_ids == []
    assert ad_set.targets.geo_targets.dma_ids == ["503", "500"]


def test_what_v3_dropped_is_not_sent_back() -> None:
    ad_set = decoded()
    assert ad_set.targets is not None
    assert ad_set.budget is not None
    targets = ad_set.targets.as_request()
    sent = msgspec.json.decode(msgspec.json.encode(targets))
    kept = {
        name: value
        for name, value in SAMPLE["targets"].items()
        if name not in {"exclude_placements", "sensitive_topic_exclusion_ids"}
    }
    kept["geo_targets"] = {name: value for name, value in kept["geo_targets"].items() if name != "dma_ids"}
    assert sent == kept
    update = models.AdSetUpdate(targets=targets, budget=ad_set.budget.as_request(), name=ad_set.name or UNSET)
    assert check_body(UPDATE_AD_SET, update, now=datetime(2030, 1, 1, tzinfo=UTC)) is update
