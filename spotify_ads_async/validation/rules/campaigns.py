"""Campaigns, ad sets, ads, their drafts, and the estimates that are made for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.refused import Refused
from spotify_ads_async.validation.rules.base import Body, about, at, country_code, given, listed, ordered, set_fields

LONGEST_FLIGHT = timedelta(days=365)
ADULT_AGE = 18
ALCOHOL = "ADV_15_139"
MOST_IMPRESSIONS: Mapping[str, int] = {"DAY": 5, "WEEK": 35, "MONTH": 50}
CATALOG_ITEMS = range(2, 7)
SENSITIVE_TOPICS = frozenset(
    ("alcohol", "crime-violence", "drugs", "gambling", "hate-speech", "pornography", "terrorism", "tobacco", "weapons")
)
PODCAST_TOPICS = frozenset(
    (
        *(
            "automotive",
            "books-and-literature",
            "business-and-finance",
            "careers",
            "education",
            "events-and-attractions",
        ),
        *(
            "family-and-relationships",
            "fine-art",
            "food-and-drink",
            "healthy-living",
            "hobbies-and-interests",
            "home-and-garden",
        ),
        *(
            "medical-health",
            "movies",
            "music-and-audio",
            "news-and-politics",
            "personal-finance",
            "pets",
            "pop-culture",
            "real-estate",
        ),
        *(
            "religion-and-spirituality",
            "science",
            "shopping",
            "sports",
            "style-and-fashion",
            "technology-and-computing",
        ),
        *("television", "travel", "video-gaming"),
    )
)
# Schema OptimizationPrefs: the asset formats that an objective takes, where its description names them.
OBJECTIVE_FORMATS: Mapping[str, tuple[str, ...]] = {
    "CLICKS": ("AUDIO", "VIDEO"),
    "REACH": ("AUDIO", "VIDEO"),
    "WEBSITE_VISITS": ("AUDIO", "VIDEO"),
    "PODCAST_STREAMS": ("AUDIO",),
    "VIDEO_VIEWS": ("VIDEO",),
}
OBJECTIVE_DELIVERY: Mapping[str, str] = {"CLICKS": "IN_STREAM", "VIDEO_VIEWS": "OPT_IN"}
RESERVED_OBJECTIVES: Mapping[str, str] = {"CONTENT": "UNSET", "FPMNG": "EVEN_IMPRESSION_DELIVERY"}
# Patterns are compiled when first used (re keeps them): compiling costs more than importing this module.
_CATEGORY = r"ADV_(?:[1-9]|[12][0-9]|3[0-4])_[1-9][0-9]*"


@about("delivery")
def delivery_alone(body: Body, _now: datetime) -> None:
    """Schema Delivery: no other field beside it in the PATCH of an ad set."""
    others = [name for name in set_fields(body) if name != "delivery"]
    if others:
        raise Refused(
            body.delivery,
            f"must be alone in an update of an ad set: send {listed(others)} in a call of its own",
            ".delivery",
        )


def flight_ahead(body: Body, now: datetime) -> None:
    """The validation rules of API v1.4: the start and the end of a new ad set lie in the future."""
    for name in ("start_time", "end_time"):
        moment = at(body, name)
        if isinstance(moment, datetime) and moment < now:
            raise Refused(moment, f"must lie in the future (it is {now:%Y-%m-%dT%H:%M:%SZ} now)", f".{name}")


@about("start_time")
def flight(body: Body, _now: datetime) -> None:
    """The validation rules of API v1.4: an ad set ends after it starts and runs for at most 365 days."""
    ordered(body, "start_time", "end_time", LONGEST_FLIGHT)


@about("start_time")
def ad_flight(body: Body, _now: datetime) -> None:
    """An ad ends after it starts."""
    ordered(body, "start_time", "end_time")


@about("start_date")
def estimated_flight(body: Body, _now: datetime) -> None:
    """What is estimated or priced keeps the limits of an ad set."""
    ordered(body, "start_date", "end_date", LONGEST_FLIGHT)


def lifetime_ends(body: Body, _now: datetime) -> None:
    """Schema AdSetBase: ``end_time`` is required with a LIFETIME budget."""
    if at(body, "budget", "type") == "LIFETIME" and not given(body.end_time):
        raise Refused(UNSET, "is required with a LIFETIME budget", ".end_time")


def bid_given(body: Body, _now: datetime) -> None:
    """Schemas BidMicroAmount and BidAmount: MAX_BID and COST_PER_RESULT need a bid above zero."""
    strategy, bid = at(body, "bid_strategy"), at(body, "bid_micro_amount")
    if strategy not in {"MAX_BID", "COST_PER_RESULT"}:
        return
    if not given(bid):
        raise Refused(UNSET, f"is required with {strategy!s}", ".bid_micro_amount")
    if bid <= 0:
        raise Refused(bid, f"must be above zero with {strategy!s}", ".bid_micro_amount")


@about("bid_strategy")
def cost_per_result(body: Body, _now: datetime) -> None:
    """Schema OptimizationPrefs: COST_PER_RESULT requires a LIFETIME budget and PACING_EVEN, which is the default."""
    if body.bid_strategy != "COST_PER_RESULT":
        return
    kind, pacing = at(body, "budget", "type"), at(body, "pacing")
    if given(kind) and kind != "LIFETIME":
        raise Refused(kind, "must be LIFETIME with COST_PER_RESULT", ".budget.type")
    if given(pacing) and pacing != "PACING_EVEN":
        raise Refused(pacing, "must be PACING_EVEN with COST_PER_RESULT", ".pacing")


def placements_given(body: Body, _now: datetime) -> None:
    """Schema Targets, ``x-spotify-requires``: an ad set is created with MUSIC, PODCAST or both."""
    placements = at(body, "targets", "placements")
    if not placements:
        raise Refused(placements, "is required on create: MUSIC, PODCAST or both", ".targets.placements")


@about("video_delivery_formats")
def video_formats(body: Body, _now: datetime) -> None:
    """Schema VideoDeliveryFormats: for video ad sets only."""
    formats, asset_format = body.video_delivery_formats, at(body, "asset_format")
    if formats and given(asset_format) and asset_format != "VIDEO":
        raise Refused(
            formats, f"must be left out: the asset_format is {asset_format!s}, not VIDEO", ".video_delivery_formats"
        )


@about("promotion")
def promotion_target(body: Body, _now: datetime) -> None:
    """Schema Promotion_Target_Id: both goals need the artist or the show."""
    promotion = body.promotion
    if promotion is not None and not given(promotion.promotion_target_id):
        raise Refused(UNSET, f"is required with {promotion.promotion_goal!s}", ".promotion.promotion_target_id")


@about("category")
def category(body: Body, _now: datetime) -> None:
    """Schema AdSetCategory: codes are ADV_{parent}_{sub}, parents 1 to 34."""
    code = body.category
    if code is not None and not re.fullmatch(_CATEGORY, code):
        raise Refused(code, "must be a category code, as in ADV_1_1 (getAdCategories lists them)", ".category")


@about("category")
def adults_for_alcohol(body: Body, _now: datetime) -> None:
    """Schema AdSetCategory: alcoholic beverages need a minimum age of 18."""
    if at(body, "category") != ALCOHOL:
        return
    for index, ages in enumerate(at(body, "targets", "age_ranges") or ()):
        if given(ages.min) and ages.min < ADULT_AGE:
            raise Refused(
                ages.min, f"must be at least {ADULT_AGE} with category {ALCOHOL}", f".targets.age_ranges[{index}].min"
            )


def ages_for_alcohol(body: Body, now: datetime) -> None:
    """The same on create, where no age range means every age."""
    adults_for_alcohol(body, now)
    if at(body, "category") == ALCOHOL and not at(body, "targets", "age_ranges"):
        raise Refused(
            UNSET, f"is required with category {ALCOHOL}: a minimum age of {ADULT_AGE}", ".targets.age_ranges"
        )


@about("frequency_caps")
def frequency_caps(body: Body, _now: datetime) -> None:
    """Schema AdSetFrequencyCaps: at most 5 impressions a day, 35 a week, 50 a month."""
    for index, cap in enumerate(body.frequency_caps or ()):
        most = MOST_IMPRESSIONS.get(cap.frequency_unit)
        if most is not None and cap.frequency_period == 1 and cap.max_impressions > most:
            raise Refused(
                cap.max_impressions,
                f"must be at most {most} per {cap.frequency_unit!s}",
                f".frequency_caps[{index}].max_impressions",
            )


@about("targets")
def targets(body: Body, _now: datetime) -> None:
    """Schemas Targets, GeoTargets, AgeRange and SensitiveTopicFilter: what their descriptions allow."""
    found = body.targets
    if found is None:
        return
    country_code(at(found, "geo_targets", "country_code"), ".targets.geo_targets.country_code")
    for index, ages in enumerate(found.age_ranges or ()):
        if given(ages.min) and given(ages.max) and ages.min > ages.max:
            raise Refused(ages.min, f"must be at most the range's max, {ages.max}", f".targets.age_ranges[{index}].min")
    for index, topic in enumerate(found.podcast_episode_topic_ids or ()):
        if topic not in PODCAST_TOPICS:
            raise Refused(
                topic, f"must be one of {listed(PODCAST_TOPICS)}", f".targets.podcast_episode_topic_ids[{index}]"
            )
    exclusions = found.sensitive_topic_exclusions
    if given(exclusions):
        _sensitive_topics(exclusions)


def _sensitive_topics(exclusions: Body) -> None:
    """Filters for single topics, or one for all of them."""
    where = ".targets.sensitive_topic_exclusions"
    if given(exclusions.topics) and given(exclusions.filter_option):
        raise Refused(
            exclusions.filter_option,
            "must not stand beside topics: filter single topics or all of them",
            f"{where}.filter_option",
        )
    for index, topic in enumerate(exclusions.topics or ()):
        if topic.id not in SENSITIVE_TOPICS:
            raise Refused(topic.id, f"must be one of {listed(SENSITIVE_TOPICS)}", f"{where}.topics[{index}].id")


def objective_named(body: Body, _now: datetime) -> None:
    """Schema OptimizationPrefs: UNSET is for ad products that have no objective, and required by them."""
    aim = at(body, "objective")
    if aim == "UNSET" and at(body, "ad_product") in {UNSET, "UNSET", "UNKNOWN"}:
        raise Refused(
            aim,
            "is for an ad_product without objectives, such as CONTENT: name the objective, or the ad_product",
            ".objective",
        )


def reserved_estimate(body: Body, _now: datetime) -> None:
    """Schema AudienceEstimateRequest: reserved ad products have a fixed price, and one objective each."""
    product = at(body, "ad_product")
    if (aim := RESERVED_OBJECTIVES.get(product)) is None:
        return
    if body.objective != aim:
        raise Refused(body.objective, f"must be {aim} with ad_product {product!s}", ".objective")
    if body.bid_strategy != "UNSET":
        raise Refused(body.bid_strategy, f"must be UNSET with ad_product {product!s}", ".bid_strategy")


def objective(body: Body, _now: datetime) -> None:
    """Schema OptimizationPrefs: what an objective takes. A campaign's ad sets come later, an estimate has both."""
    aim, asset_format = at(body, "objective"), at(body, "asset_format")
    formats = OBJECTIVE_FORMATS.get(aim)
    if formats and asset_format not in formats:
        raise Refused(asset_format, f"must be {' or '.join(formats)} with objective {aim!s}", ".asset_format")
    delivery, only = at(body, "video_delivery_formats"), OBJECTIVE_DELIVERY.get(aim)
    if only and delivery and any(one != only for one in delivery):
        raise Refused(delivery, f"must be {only} alone with objective {aim!s}", ".video_delivery_formats")
    platforms, placements = at(body, "targets", "platforms"), at(body, "targets", "placements")
    if aim == "VIDEO_VIEWS" and "DESKTOP" in (platforms or ()):
        raise Refused(platforms, "must not hold DESKTOP with objective VIDEO_VIEWS", ".targets.platforms")
    if aim == "VIDEO_VIEWS" and any(one != "MUSIC" for one in placements or ()):
        raise Refused(placements, "must be MUSIC alone with objective VIDEO_VIEWS", ".targets.placements")
    if aim == "APP_INSTALLS" and platforms and (len(platforms) > 1 or "DESKTOP" in platforms):
        raise Refused(
            platforms, "must be IOS or ANDROID, one of them, with objective APP_INSTALLS", ".targets.platforms"
        )
    if at(body, "bid_strategy") == "COST_PER_RESULT" and aim != "CLICKS":
        raise Refused(aim, "must be CLICKS with COST_PER_RESULT", ".objective")


def currency(body: Body, _now: datetime) -> None:
    """Schema Currency: an ISO 4217 code."""
    for path in (("currency",), ("budget", "currency")):
        code = at(body, *path)
        if isinstance(code, str) and not (code.isascii() and code.isalpha() and code.isupper()):
            raise Refused(code, "must be an ISO 4217 code, as in USD", f".{'.'.join(path)}")


def hierarchy_version(body: Body, _now: datetime) -> None:
    """Schema CampaignDraft: ``draft_hierarchy_version`` is required for PUBLISH."""
    if body.action == "PUBLISH" and not given(body.draft_hierarchy_version):
        raise Refused(
            UNSET, "is required with PUBLISH: read the campaign draft just before", ".draft_hierarchy_version"
        )


@about("catalog")
def catalog(body: Body, _now: datetime) -> None:
    """Schema CatalogItem: 2 to 6 items, with SKUs that differ."""
    items = at(body, "catalog", "catalog_items")
    if not given(items):
        return
    if len(items) not in CATALOG_ITEMS:
        raise Refused(
            items, f"must hold {CATALOG_ITEMS.start} to {CATALOG_ITEMS.stop - 1} items", ".catalog.catalog_items"
        )
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.sku in seen:
            raise Refused(
                item.sku, "must differ from item to item of a catalog", f".catalog.catalog_items[{index}].sku"
            )
        if given(item.sku):
            seen.add(item.sku)


@about("catalog")
def complete_catalog(body: Body, now: datetime) -> None:
    """The same for live ads, whose items need more than those of drafts."""
    catalog(body, now)
    for index, item in enumerate(at(body, "catalog", "catalog_items") or ()):
        for name in ("asset_id", "clickthrough_url", "tagline"):
            if not given(at(item, name)):
                raise Refused(UNSET, "is required outside of drafts", f".catalog.catalog_items[{index}].{name}")
