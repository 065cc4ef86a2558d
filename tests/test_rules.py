"""Rules across fields: each is broken once, and each request that keeps to all of them passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.structs import change

from spotify_ads_async import models as m
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.requests import check_body, check_query
from spotify_ads_async.validation.rules import BODY_RULES, QUERY_RULES

NOW = datetime(2030, 1, 15, 12, 30, 15, tzinfo=UTC)
START = datetime(2030, 2, 1, tzinfo=UTC)
END = datetime(2030, 3, 1, tzinfo=UTC)
ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WHOLE_HOUR = datetime(2030, 1, 15, 12, tzinfo=UTC)

TARGETS = m.Targets(
    placements=[m.Placement.MUSIC],
    geo_targets=m.GeoTargets(country_code="US"),
    age_ranges=[m.AgeRange(min=18, max=65)],
    podcast_episode_topic_ids=["automotive"],
    sensitive_topic_exclusions=m.SensitiveTopicExclusions(
        topics=[m.SensitiveTopicExclusion(id="alcohol", filter_option=m.SensitiveTopicFilter.RESTRICTED)]
    ),
)
BUDGET = m.Budget(micro_amount=500_000_000, type=m.BudgetType.DAILY)
LIFETIME = m.Budget(micro_amount=500_000_000, type=m.BudgetType.LIFETIME)
ITEMS = [
    m.CatalogItem(
        position=at, sku=f"SKU-{at}", asset_id=ID, clickthrough_url="https://www.example.com", tagline="Fresh"
    )
    for at in range(3)
]

BODIES: dict[str, Any] = {
    "createCampaign": m.CampaignCreate(name="Autumn", objective=m.CampaignObjective.REACH),
    "createAdSet": m.AdSetCreate(
        name="Autumn",
        campaign_id=ID,
        category="ADV_1_1",
        start_time=START,
        end_time=END,
        budget=BUDGET,
        asset_format=m.AssetFormat.AUDIO,
        targets=TARGETS,
        bid_strategy=m.BidStrategy.MAX_BID,
        bid_micro_amount=10_000_000,
        frequency_caps=[m.FrequencyCap(frequency_unit=m.FrequencyUnit.DAY, frequency_period=1, max_impressions=5)],
    ),
    "updateAdSet": m.AdSetUpdate(name="Autumn", start_time=START, end_time=END, targets=TARGETS),
    "createAdSetDraft": m.AdSetDraftCreate(campaign_id=ID, start_time=START, end_time=END, targets=TARGETS),
    "updateAdSetDraft": m.AdSetDraftUpdate(start_time=START, end_time=END, targets=TARGETS),
    "createAd": m.AdCreate(
        name="Autumn",
        advertiser_name="Example",
        tagline="Fresh",
        ad_set_id=ID,
        assets=m.AdAssets(asset_id=ID, logo_asset_id=ID),
        call_to_action=m.CallToAction(key=m.CallToActionKey.SHOP_NOW, clickthrough_url="https://www.example.com"),
        start_time=START,
        end_time=END,
        catalog=m.Catalog(catalog_items=ITEMS),
    ),
    "updateAd": m.AdUpdate(start_time=START, end_time=None, catalog=m.Catalog(catalog_items=ITEMS)),
    "createAdDraft": m.AdDraftCreate(
        ad_set_id=ID, catalog=m.Catalog(catalog_items=[m.CatalogItem(position=1), m.CatalogItem(position=2)])
    ),
    "updateAdDraft": m.AdDraftUpdate(catalog=m.Catalog(catalog_items=ITEMS)),
    "updateCampaign": m.CampaignUpdate(name="Autumn"),
    "publishCampaignDraft": m.CampaignDraftPublish(action=m.PublishAction.PUBLISH, draft_hierarchy_version=3),
    "estimateAudience": m.AudienceEstimateQuery(
        ad_account_id=ID,
        start_date=START,
        end_date=END,
        asset_format=m.AssetFormat.AUDIO,
        objective=m.CampaignObjective.CLICKS,
        bid_strategy=m.BidStrategy.MAX_BID,
        bid_micro_amount=5_000_000,
        budget=m.EstimateBudget(micro_amount=500_000_000, type=m.BudgetType.LIFETIME, currency="USD"),
        targets=TARGETS,
    ),
    "estimateBid": m.BidEstimateQuery(
        asset_format=m.AssetFormat.AUDIO,
        objective=m.CampaignObjective.REACH,
        bid_strategy=m.BidStrategy.MAX_BID,
        currency="JPY",
        targets=TARGETS,
    ),
    "getReservedPricing": m.ReservedPriceQuery(
        ad_product=m.ReservedAdProduct.CONTENT, start_date=START, end_date=END, targets=TARGETS
    ),
    "createAsyncReport": m.AsyncReportCreate(
        name="Autumn 2030_1-a",
        granularity=m.AsyncReportGranularity.DAY,
        dimensions=[m.AsyncReportDimension.CAMPAIGN_NAME, m.AsyncReportDimension.AD_SET_NAME],
        metrics=[m.AsyncReportMetric.SPEND],
        statuses=[m.AsyncReportEntityStatus.COMPLETED],
        report_start=START - 365 * DAY,
        report_end=START,
    ),
    "createAsset": m.AssetCreate(
        asset_type=m.AssetType.AUDIO, asset_subtype=m.AssetSubtype.USER_UPLOADED_AUDIO, name="Spot"
    ),
    "uploadAsset": m.AssetUpload(asset_type=m.AssetType.AUDIO, media=bytes(20 * 1024 * 1024)),
    "transferChunkedAsset": m.AssetChunk(
        asset_type=m.AssetType.AUDIO, media=b"RIFF", upload_session_id=ID, upload_section=1
    ),
    "createAudience": m.CustomAudienceCreate(name="Visitors", lookback_days=60),
    "createPixelInBusiness": m.PixelCreate(name="Shop", domain="HTTPS://shop.example.com"),
    "updatePixelById": m.PixelUpdate(domain="http://shop.example.com"),
    "createAdAccountForBusiness": m.AdAccountCreate(
        name="Example",
        type=m.AdAccountType.BRAND_ADVERTISER,
        industry=m.Industry.RETAIL,
        country_code="SE",
        legal_entity_name="Example AB",
        bill_to_address=m.BillToAddress(name="Example AB"),
    ),
}


def changed(operation: str, **changes: object) -> Any:  # noqa: ANN401 - any struct of a request
    body = BODIES[operation]
    for place, value in changes.items():
        body = change(body, place.replace("__", "."), value)
    return body


def refusal(act: Callable[[], object]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        act()
    return caught.value


GLOBAL_FILTER = m.SensitiveTopicFilter.PARTIAL
VIDEO_FORMATS = [m.VideoDeliveryFormat.OPT_IN]
CPR = m.BidStrategy.COST_PER_RESULT
TOPICS = "targets__sensitive_topic_exclusions__"

BROKEN: list[tuple[str, dict[str, object], str, str]] = [
    ("updateAdSet", {"delivery": m.Delivery.OFF}, "delivery", "alone"),
    ("updateAdSet", {"bid_strategy": CPR, "pacing": m.Pacing.PACING_ASAP}, "pacing", "PACING_EVEN"),
    ("updateAdSet", {"end_time": START}, "end_time", "later than start_time"),
    ("updateAdSet", {"end_time": START + 366 * DAY}, "end_time", "365 days"),
    ("updateAdSet", {"category": "ADV_35_1"}, "category", "category code"),
    (
        "updateAdSet",
        {"category": "ADV_15_139", "targets__age_ranges__0__min": 17},
        "targets.age_ranges[0].min",
        "at least 18",
    ),
    (
        "updateAdSet",
        {f"{TOPICS}filter_option": GLOBAL_FILTER},
        "targets.sensitive_topic_exclusions.filter_option",
        "beside topics",
    ),
    (
        "updateAdSet",
        {f"{TOPICS}topics__0__id": "cheese"},
        "targets.sensitive_topic_exclusions.topics[0].id",
        "one of alcohol",
    ),
    ("createAdSet", {"campaign_id": UNSET}, "campaign_id", "is required"),
    ("createAdSet", {"campaign_id": None}, "campaign_id", "a string"),
    ("createAdSet", {"start_time": NOW - timedelta(seconds=16)}, "start_time", "in the future"),
    ("createAdSet", {"start_time": NOW - 9 * DAY, "end_time": NOW - DAY}, "start_time", "in the future"),
    ("createAdSet", {"end_time": START - DAY}, "end_time", "later than start_time"),
    ("createAdSet", {"end_time": START + 365 * DAY + timedelta(seconds=1)}, "end_time", "365 days"),
    ("createAdSet", {"budget": LIFETIME, "end_time": UNSET}, "end_time", "LIFETIME"),
    ("createAdSet", {"bid_micro_amount": UNSET}, "bid_micro_amount", "MAX_BID"),
    ("createAdSet", {"bid_micro_amount": 0}, "bid_micro_amount", "above zero"),
    (
        "createAdSet",
        {"bid_micro_amount": UNSET, "bid_strategy": CPR, "budget": LIFETIME},
        "bid_micro_amount",
        "COST_PER_RESULT",
    ),
    ("createAdSet", {"bid_strategy": CPR}, "budget.type", "LIFETIME"),
    ("createAdSet", {"bid_strategy": CPR, "budget": LIFETIME, "pacing": m.Pacing.PACING_ASAP}, "pacing", "PACING_EVEN"),
    ("createAdSet", {"bid_strategy": m.BidStrategy.UNSET}, "bid_strategy", "one of COST_PER_RESULT, MAX_BID, AUTOBID"),
    ("createAdSet", {"targets__placements": UNSET}, "targets.placements", "MUSIC, PODCAST or both"),
    ("createAdSet", {"targets__placements": []}, "targets.placements", "MUSIC, PODCAST or both"),
    ("createAdSet", {"video_delivery_formats": VIDEO_FORMATS}, "video_delivery_formats", "not VIDEO"),
    (
        "createAdSet",
        {"promotion": m.Promotion(promotion_goal=m.PromotionGoal.PODCAST_PROMO)},
        "promotion.promotion_target_id",
        "PODCAST_PROMO",
    ),
    ("createAdSet", {"category": "ADV_15_139", "targets__age_ranges": UNSET}, "targets.age_ranges", "minimum age"),
    (
        "createAdSet",
        {"category": "ADV_15_139", "targets__age_ranges__0__min": 17},
        "targets.age_ranges[0].min",
        "at least 18",
    ),
    ("createAdSet", {"frequency_caps__0__max_impressions": 6}, "frequency_caps[0].max_impressions", "5 per DAY"),
    ("createAdSet", {"targets__geo_targets__country_code": "USA"}, "targets.geo_targets.country_code", "two-letter"),
    ("createAdSet", {"targets__age_ranges__0__max": 17}, "targets.age_ranges[0].min", "at most the range's max"),
    (
        "createAdSet",
        {"targets__podcast_episode_topic_ids": ["automotive", "cheese"]},
        "targets.podcast_episode_topic_ids[1]",
        "one of",
    ),
    (
        "createAdSet",
        {f"{TOPICS}filter_option": GLOBAL_FILTER},
        "targets.sensitive_topic_exclusions.filter_option",
        "beside topics",
    ),
    ("createAdSetDraft", {"end_time": START}, "end_time", "later than start_time"),
    (
        "createAdSetDraft",
        {f"{TOPICS}filter_option": GLOBAL_FILTER},
        "targets.sensitive_topic_exclusions.filter_option",
        "beside topics",
    ),
    ("updateAdSetDraft", {"end_time": START + 366 * DAY}, "end_time", "365 days"),
    ("createAd", {"end_time": START}, "end_time", "later than start_time"),
    ("createAd", {"catalog__catalog_items": ITEMS[:1]}, "catalog.catalog_items", "2 to 6"),
    ("createAd", {"catalog__catalog_items": [*ITEMS, *ITEMS, *ITEMS]}, "catalog.catalog_items", "2 to 6"),
    ("createAd", {"catalog__catalog_items__1__sku": "SKU-0"}, "catalog.catalog_items[1].sku", "differ"),
    (
        "createAd",
        {"catalog__catalog_items__1__asset_id": UNSET},
        "catalog.catalog_items[1].asset_id",
        "outside of drafts",
    ),
    ("updateAd", {"end_time": START - DAY}, "end_time", "later than start_time"),
    (
        "updateAd",
        {"catalog__catalog_items__0__tagline": UNSET},
        "catalog.catalog_items[0].tagline",
        "outside of drafts",
    ),
    ("updateAd", {"start_time": UNSET, "end_time": UNSET, "catalog": UNSET}, "", "at least 1 of"),
    ("createAdDraft", {"catalog__catalog_items": []}, "catalog.catalog_items", "2 to 6"),
    ("updateAdDraft", {"catalog__catalog_items__1__sku": "SKU-0"}, "catalog.catalog_items[1].sku", "differ"),
    ("updateCampaign", {"name": UNSET}, "", "at least 1 of"),
    ("publishCampaignDraft", {"draft_hierarchy_version": UNSET}, "draft_hierarchy_version", "PUBLISH"),
    ("estimateAudience", {"end_date": START - DAY}, "end_date", "later than start_date"),
    ("estimateAudience", {"bid_micro_amount": 0}, "bid_micro_amount", "above zero"),
    ("estimateAudience", {"bid_strategy": CPR, "budget__type": m.BudgetType.DAILY}, "budget.type", "LIFETIME"),
    ("estimateAudience", {"objective": m.CampaignObjective.REACH, "bid_strategy": CPR}, "objective", "CLICKS"),
    ("estimateAudience", {"budget__currency": "usd"}, "budget.currency", "ISO 4217"),
    ("estimateAudience", {"objective": m.CampaignObjective.VIDEO_VIEWS}, "asset_format", "VIDEO"),
    ("createCampaign", {"objective": m.CampaignObjective.UNSET}, "objective", "name the objective, or the ad_product"),
    (
        "estimateAudience",
        {"objective": m.CampaignObjective.UNSET},
        "objective",
        "name the objective, or the ad_product",
    ),
    ("estimateAudience", {"ad_product": m.CampaignAdProduct.FPMNG}, "objective", "must be EVEN_IMPRESSION_DELIVERY"),
    (
        "estimateAudience",
        {"ad_product": m.CampaignAdProduct.CONTENT, "objective": m.CampaignObjective.UNSET},
        "bid_strategy",
        "must be UNSET with ad_product CONTENT",
    ),
    ("estimateAudience", {"category": "ADV_15_139", "targets__age_ranges": UNSET}, "targets.age_ranges", "minimum age"),
    (
        "estimateAudience",
        {"asset_format": m.AssetFormat.VIDEO, "video_delivery_formats": VIDEO_FORMATS},
        "video_delivery_formats",
        "IN_STREAM alone",
    ),
    (
        "estimateBid",
        {
            "objective": m.CampaignObjective.VIDEO_VIEWS,
            "asset_format": m.AssetFormat.VIDEO,
            "targets__placements": list(m.Placement),
        },
        "targets.placements",
        "MUSIC alone",
    ),
    (
        "estimateBid",
        {
            "objective": m.CampaignObjective.VIDEO_VIEWS,
            "asset_format": m.AssetFormat.VIDEO,
            "targets__platforms": list(m.Platform),
        },
        "targets.platforms",
        "DESKTOP",
    ),
    (
        "estimateBid",
        {"objective": m.CampaignObjective.APP_INSTALLS, "targets__platforms": [m.Platform.IOS, m.Platform.ANDROID]},
        "targets.platforms",
        "one of them",
    ),
    ("estimateBid", {"currency": "US$"}, "currency", "ISO 4217"),
    ("getReservedPricing", {"end_date": START}, "end_date", "later than start_date"),
    (
        "getReservedPricing",
        {f"{TOPICS}filter_option": GLOBAL_FILTER},
        "targets.sensitive_topic_exclusions.filter_option",
        "beside topics",
    ),
    ("createAsyncReport", {"name": "x"}, "name", "2 to 120"),
    ("createAsyncReport", {"name": "Q1/Q2"}, "name", "2 to 120"),
    ("createAsyncReport", {"report_end": UNSET}, "report_end", "granularity DAY"),
    ("createAsyncReport", {"report_end": START + HOUR}, "report_end", "midnight"),
    ("createAsyncReport", {"report_end": START + DAY}, "report_end", "365 days"),
    ("createAsyncReport", {"report_end": START - 366 * DAY}, "report_end", "before report_start"),
    ("createAsyncReport", {"insight_dimension": m.InsightDimension.AGE}, "insight_dimension", "LIFETIME"),
    (
        "createAsyncReport",
        {"dimensions": [m.AsyncReportDimension.AD_ACCOUNT_NAME], "statuses": UNSET, "campaign_ids": [ID]},
        "campaign_ids",
        "ignores it",
    ),
    ("createAsyncReport", {"statuses": [m.AsyncReportEntityStatus.PAUSED]}, "statuses[0]", "a status of AD_SET"),
    (
        "createAsyncReport",
        {
            "dimensions": [m.AsyncReportDimension.AD_NAME, m.AsyncReportDimension.CAROUSEL_CARD],
            "statuses": [m.AsyncReportEntityStatus.COMPLETED],
        },
        "statuses[0]",
        "a status of AD:",
    ),
    (
        "createAsyncReport",
        {"metrics": [m.AsyncReportMetric.SPEND, m.AsyncReportMetric.CARD_CLICKS], "statuses": UNSET},
        "dimensions",
        "must hold AD_NAME, CAROUSEL_CARD in a report with CARD_CLICKS",
    ),
    (
        "createAsyncReport",
        {"dimensions": [m.AsyncReportDimension.AD_NAME, m.AsyncReportDimension.CARD_TAGLINE], "statuses": UNSET},
        "dimensions",
        "in a report with CARD_TAGLINE",
    ),
    ("createAsset", {"asset_subtype": UNSET}, "asset_subtype", "AUDIO"),
    ("uploadAsset", {"media": bytes(20 * 1024 * 1024 + 1)}, "media", "20 MB"),
    ("transferChunkedAsset", {"media": bytes(20 * 1024 * 1024 + 1)}, "media", "20 MB"),
    ("createAudience", {"lookback_days": 45}, "lookback_days", "30, 60, 90 or 180"),
    ("createPixelInBusiness", {"domain": "ftp://shop.example.com"}, "domain", "https://"),
    ("updatePixelById", {"domain": "mailto:shop@example.com"}, "domain", "https://"),
    ("createAdAccountForBusiness", {"country_code": "Sweden"}, "country_code", "two-letter"),
]


DAILY_SIX = [m.FrequencyCap(frequency_unit=m.FrequencyUnit.DAY, frequency_period=1, max_impressions=6)]
ALCOHOL = {"category": "ADV_15_139", "targets__age_ranges__0__min": 17}
SHAPED_LIKE_AD_SETS = (
    "createAdSet",
    "updateAdSet",
    "createAdSetDraft",
    "updateAdSetDraft",
    "estimateAudience",
    "estimateBid",
)
for _operation in SHAPED_LIKE_AD_SETS:
    BROKEN += [
        (_operation, {"frequency_caps": DAILY_SIX}, "frequency_caps[0].max_impressions", "5 per DAY"),
        (_operation, {"category": "ADV_0_1"}, "category", "category code"),
        (_operation, {"targets__age_ranges__0__max": 17}, "targets.age_ranges[0].min", "at most the range's max"),
        (_operation, ALCOHOL, "targets.age_ranges[0].min", "at least 18"),
    ]
    if _operation != "updateAdSet":
        formats = {"asset_format": m.AssetFormat.AUDIO, "video_delivery_formats": [m.VideoDeliveryFormat.IN_STREAM]}
        BROKEN.append((_operation, formats, "video_delivery_formats", "not VIDEO"))


@pytest.mark.parametrize("operation", BODIES)
def test_a_body_that_keeps_to_all_rules_passes(operation: str) -> None:
    check_body(OPERATIONS[operation], BODIES[operation], now=NOW)


@pytest.mark.parametrize(
    ("operation", "changes", "path", "rule"), BROKEN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_body_that_breaks_a_rule_is_refused(operation: str, changes: dict[str, object], path: str, rule: str) -> None:
    problem = refusal(lambda: check_body(OPERATIONS[operation], changed(operation, **changes), now=NOW))
    assert problem.path == f"body.{path}".rstrip(".")
    assert rule in problem.rule
    assert problem.operation == operation


ALSO_FINE: list[tuple[str, dict[str, object]]] = [
    ("createAdSet", {"start_time": NOW + timedelta(seconds=1)}),
    ("createAdSet", {"end_time": START + 365 * DAY}),
    ("createAdSet", {"end_time": UNSET}),
    ("createAdSet", {"budget": LIFETIME}),
    ("createAdSet", {"bid_strategy": m.BidStrategy.AUTOBID, "bid_micro_amount": UNSET}),
    ("createAdSet", {"bid_strategy": CPR, "budget": LIFETIME, "pacing": m.Pacing.PACING_EVEN}),
    ("createAdSet", {"category": "ADV_15_139"}),
    ("createAdSet", {"frequency_caps": []}),
    ("createAdSet", {"frequency_caps__0__frequency_period": 2, "frequency_caps__0__max_impressions": 10}),
    ("createAdSet", {"asset_format": m.AssetFormat.VIDEO, "video_delivery_formats": VIDEO_FORMATS}),
    ("createAdSet", {f"{TOPICS}topics": UNSET, f"{TOPICS}filter_option": GLOBAL_FILTER}),
    ("updateAdSet", {"targets__platforms": [], "frequency_caps": []}),
    ("updateAdSet", {"start_time": NOW - 30 * DAY}),
    ("updateAdSet", {"start_time": UNSET, "end_time": NOW - DAY}),
    ("createAd", {"start_time": None, "end_time": None}),
    ("createAd", {"catalog__catalog_items__0__sku": UNSET, "catalog__catalog_items__1__sku": UNSET}),
    ("publishCampaignDraft", {"action": m.PublishAction.VALIDATE, "draft_hierarchy_version": UNSET}),
    ("createCampaign", {"objective": m.CampaignObjective.UNSET, "ad_product": m.CampaignAdProduct.CONTENT}),
    ("createCampaign", {"objective": UNSET}),
    ("estimateAudience", {"bid_strategy": m.BidStrategy.AUTOBID, "bid_micro_amount": 0}),
    (
        "createAsyncReport",
        {
            "granularity": m.AsyncReportGranularity.LIFETIME,
            "insight_dimension": m.InsightDimension.AGE,
            "report_end": UNSET,
        },
    ),
    (
        "createAsyncReport",
        {"dimensions": [m.AsyncReportDimension.AD_ACCOUNT_NAME], "statuses": [m.AsyncReportEntityStatus.PAUSED]},
    ),
    ("createAsset", {"asset_type": m.AssetType.IMAGE, "asset_subtype": UNSET}),
]


@pytest.mark.parametrize(("operation", "changes"), ALSO_FINE, ids=lambda value: value if isinstance(value, str) else "")
def test_rules_refuse_no_more_than_is_published(operation: str, changes: dict[str, object]) -> None:
    check_body(OPERATIONS[operation], changed(operation, **changes), now=NOW)


@pytest.mark.parametrize("delivery", [m.Delivery.ON, m.Delivery.OFF])
def test_delivery_goes_alone(delivery: m.Delivery) -> None:
    check_body(OPERATIONS["updateAdSet"], m.AdSetUpdate(delivery=delivery), now=NOW)


def test_rules_hold_for_mappings_too() -> None:
    problem = refusal(lambda: check_body(OPERATIONS["updateAdSet"], {"delivery": "OFF", "name": "Autumn"}, now=NOW))
    assert problem.path == "body.delivery"
    assert "name" in problem.rule


REPORT: dict[str, object] = {
    "entity_type": m.ReportEntityType.AD_SET,
    "fields": [m.ReportFieldType.IMPRESSIONS],
    "granularity": m.ReportGranularity.DAY,
    "report_start": START,
    "report_end": START + 90 * DAY,
    "entity_ids": [ID] * 50,
    "entity_ids_type": m.ReportEntityType.AD_SET,
    "statuses": [m.ReportEntityStatus.READY],
    "entity_status_type": m.ReportEntityType.AD_SET,
    "include_parent_entity": True,
}
TOTALS = {
    name: REPORT[name] for name in ("entity_type", "fields", "granularity", "report_start", "report_end", "entity_ids")
}
HOURLY = {"granularity": m.ReportGranularity.HOUR, "report_start": WHOLE_HOUR - 13 * DAY, "report_end": WHOLE_HOUR}
LIFELONG = {"granularity": m.ReportGranularity.LIFETIME}
ACCOUNT = {"entity_type": m.ReportEntityType.AD_ACCOUNT}
BARE: dict[str, object] = dict.fromkeys(
    ("entity_ids", "entity_ids_type", "statuses", "entity_status_type", "include_parent_entity"), UNSET
)

QUERIES: dict[str, dict[str, object]] = {
    "getAggregateReport": REPORT,
    "getAggregatedTotals": TOTALS,
    "getAudienceInsightReport": {
        "insight_dimension": m.InsightDimension.GENRE,
        "fields": [m.ReportFieldType.IMPRESSIONS],
        "entity_ids": [ID],
        "entity_ids_type": m.ReportEntityType.CAMPAIGN,
        "statuses": [m.ReportEntityStatus.ACTIVE],
        "entity_status_type": m.ReportEntityType.AD_SET,
    },
    "getMobileAppsByBusinessId": {"offset": 0},
    "getGeoTargets": {"q": "Oslo", "country_code": "NO", "language": "en", "limit": 1000},
    "getChangeHistory": {
        "entity_type": m.ChangeHistoryEntityType.CAMPAIGN,
        "entity_name": "Autumn",
        "created_gte": START,
        "created_lte": START,
    },
    "getPodcastShows": {"market": "US"},
}

BROKEN_QUERIES: list[tuple[str, dict[str, object], str, str]] = [
    ("getAggregateReport", {"continuation_token": "AMC"}, "continuation_token", "alone"),
    ("getAggregateReport", {"entity_type": UNSET}, "entity_type", "is required"),
    ("getAggregateReport", {"fields": []}, "fields", "is required"),
    ("getAggregateReport", {"report_end": START + 91 * DAY}, "report_end", "90 days"),
    ("getAggregateReport", {**LIFELONG, "report_end": START + 91 * DAY}, "report_end", "90 days"),
    ("getAggregateReport", {"report_end": START - DAY}, "report_end", "before report_start"),
    ("getAggregateReport", {"report_start": START + HOUR}, "report_start", "midnight"),
    ("getAggregateReport", {**HOURLY, "report_start": WHOLE_HOUR - 15 * DAY}, "report_start", "two weeks"),
    ("getAggregateReport", {**HOURLY, "report_end": WHOLE_HOUR + HOUR}, "report_end", "two weeks"),
    ("getAggregateReport", {**HOURLY, "report_end": WHOLE_HOUR - timedelta(minutes=1)}, "report_end", "whole hour"),
    ("getAggregateReport", {"entity_ids": [ID] * 51}, "entity_ids", "at most 50"),
    (
        "getAggregateReport",
        {"entity_ids": UNSET, "entity_ids_type": UNSET},
        "entity_ids",
        "is required with granularity DAY",
    ),
    (
        "getAggregateReport",
        {**HOURLY, "entity_ids": [], "entity_ids_type": UNSET},
        "entity_ids",
        "is required with granularity HOUR",
    ),
    ("getAggregateReport", {"entity_ids_type": UNSET}, "entity_ids_type", "is required"),
    (
        "getAggregateReport",
        {"entity_ids_type": m.ReportEntityType.CAMPAIGN},
        "entity_ids_type",
        "unless the granularity is LIFETIME",
    ),
    ("getAggregateReport", {"entity_status_type": UNSET}, "entity_status_type", "is required"),
    (
        "getAggregateReport",
        {"entity_status_type": m.ReportEntityType.CAMPAIGN},
        "entity_status_type",
        "entity_type, AD_SET",
    ),
    (
        "getAggregateReport",
        {"statuses": [m.ReportEntityStatus.READY, m.ReportEntityStatus.PAUSED]},
        "statuses[1]",
        "a status of AD_SET",
    ),
    ("getAggregateReport", ACCOUNT, "entity_ids", "AD_ACCOUNT"),
    (
        "getAggregateReport",
        {**ACCOUNT, **BARE, "entity_status_type": m.ReportEntityType.AD_ACCOUNT},
        "entity_status_type",
        "AD_ACCOUNT",
    ),
    ("getAggregateReport", {**ACCOUNT, **BARE, "include_parent_entity": True}, "include_parent_entity", "AD or AD_SET"),
    ("getAggregatedTotals", ACCOUNT, "entity_type", "CAMPAIGN, AD_SET or AD"),
    ("getAggregatedTotals", {"granularity": m.ReportGranularity.HOUR}, "granularity", "DAY or LIFETIME"),
    ("getAggregatedTotals", {"report_start": UNSET}, "report_start", "is required"),
    ("getAggregatedTotals", {"entity_ids": []}, "entity_ids", "1 to 50"),
    ("getAggregatedTotals", {"entity_ids": [ID] * 51}, "entity_ids", "1 to 50"),
    ("getAggregatedTotals", {"report_end": START + 91 * DAY}, "report_end", "90 days"),
    ("getAudienceInsightReport", {"insight_dimension": UNSET}, "insight_dimension", "is required"),
    ("getAudienceInsightReport", {"fields": [m.ReportFieldType.SPEND]}, "fields[0]", "none of"),
    ("getAudienceInsightReport", {"entity_ids": [ID, ID]}, "entity_ids", "of 1 items"),
    ("getAudienceInsightReport", {"entity_ids_type": UNSET}, "entity_ids_type", "is required"),
    ("getAudienceInsightReport", {"entity_ids_type": m.ReportEntityType.AD}, "entity_ids_type", "AD_SET or CAMPAIGN"),
    ("getAudienceInsightReport", {"entity_status_type": m.ReportEntityType.CAMPAIGN}, "entity_status_type", "AD_SET"),
    ("getGeoTargets", dict.fromkeys(("q", "country_code", "language", "limit"), UNSET), "", "at least one"),
    ("getGeoTargets", {"country_code": "NOR"}, "country_code", "two-letter"),
    ("getGeoTargets", {"language": "EN"}, "language", "must match"),
    ("getGeoTargets", {"limit": 1001}, "limit", "1 to 1000"),
    ("getChangeHistory", {"entity_type": UNSET}, "entity_type", "beside entity_name"),
    ("getChangeHistory", {"created_lte": START - HOUR}, "created_lte", "before created_gte"),
    ("getPodcastShows", {"market": "USA"}, "market", "two-letter"),
    ("getMobileAppsByBusinessId", {"offset": -1}, "offset", "at least 0"),
]


@pytest.mark.parametrize("operation", QUERIES)
def test_a_query_that_keeps_to_all_rules_passes(operation: str) -> None:
    check_query(OPERATIONS[operation], QUERIES[operation], now=NOW)


@pytest.mark.parametrize(
    ("operation", "changes", "path", "rule"), BROKEN_QUERIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_query_that_breaks_a_rule_is_refused(
    operation: str, changes: dict[str, object], path: str, rule: str
) -> None:
    problem = refusal(lambda: check_query(OPERATIONS[operation], QUERIES[operation] | changes, now=NOW))
    assert problem.path == f"query.{path}".rstrip(".")
    assert rule in problem.rule


@pytest.mark.parametrize(
    ("operation", "query"),
    [
        ("getAggregateReport", {"continuation_token": "AMC-fuxpGRI="}),
        ("getAggregateReport", REPORT | HOURLY),
        ("getAggregateReport", REPORT | LIFELONG | {"entity_ids_type": m.ReportEntityType.CAMPAIGN}),
        ("getAggregateReport", REPORT | LIFELONG | {"report_start": START + timedelta(seconds=7), "report_end": UNSET}),
        ("getAggregateReport", REPORT | ACCOUNT | BARE),
        ("getAggregatedTotals", TOTALS | LIFELONG | {"report_start": UNSET, "report_end": UNSET}),
        ("getAggregatedTotals", TOTALS | {"fields": list(m.ReportFieldType)}),
        ("getGeoTargets", {"ids": ["5259444"]}),
        ("getMobileAppsByBusinessId", {}),
    ],
)
def test_queries_that_the_document_allows_pass(operation: str, query: dict[str, object]) -> None:
    check_query(OPERATIONS[operation], query, now=NOW)


def test_without_the_present_the_server_judges_the_past() -> None:
    check_query(
        OPERATIONS["getAggregateReport"],
        REPORT | HOURLY | {"report_start": START - 999 * DAY, "report_end": START - 998 * DAY},
    )


def test_every_rule_belongs_to_an_operation_and_is_broken_above() -> None:
    assert BODY_RULES.keys() <= OPERATIONS.keys()
    assert QUERY_RULES.keys() <= OPERATIONS.keys()
    assert BODY_RULES.keys() <= {operation for operation, *_ in BROKEN} & BODIES.keys()
    assert QUERY_RULES.keys() <= {operation for operation, *_ in BROKEN_QUERIES} & QUERIES.keys()
    for operation in OPERATIONS.values():
        assert operation.body is not None or operation.id not in BODY_RULES


def test_the_reference_names_every_operation_with_rules() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "validation.md").read_text()
    for operation in [*BODY_RULES, *QUERY_RULES]:
        assert f"`{operation}`" in page


MOMENTS = st.datetimes(datetime(2030, 1, 16), datetime(2033, 1, 1)).map(  # noqa: DTZ001 - hypothesis takes naive bounds
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(MOMENTS, MOMENTS)
def test_flights_pass_exactly_when_they_are_ordered_and_short_enough(start: datetime, end: datetime) -> None:
    body = msgspec.structs.replace(BODIES["createAdSet"], start_time=start, end_time=end)
    if start < end <= start + 365 * DAY:
        check_body(OPERATIONS["createAdSet"], body, now=NOW)
    else:
        assert refusal(lambda: check_body(OPERATIONS["createAdSet"], body, now=NOW)).path == "body.end_time"


@given(MOMENTS, st.sampled_from([1, -5, 14]))
def test_times_with_an_offset_are_refused_even_where_they_name_the_same_instant(moment: datetime, hours: int) -> None:
    body = msgspec.structs.replace(
        BODIES["createAdSet"], start_time=moment.astimezone(timezone(hours * HOUR)), end_time=UNSET
    )
    assert refusal(lambda: check_body(OPERATIONS["createAdSet"], body, now=NOW)).path == "body.start_time"
