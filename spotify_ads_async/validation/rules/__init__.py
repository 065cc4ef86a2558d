"""Rules that no single field can hold.

What the API document states across fields, or in words and ``x-spotify-*`` notes alone.
Each rule is a pure function of a request whose fields passed their own checks; it raises
:class:`~spotify_ads_async.validation.refused.Refused` or returns nothing. The tables name, by operationId, where a rule
holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from spotify_ads_async.validation.rules import campaigns, others, reports
from spotify_ads_async.validation.rules.base import NEEDED_FIELD, BodyRule, QueryRule

__all__ = ["BODY_RULES", "NEEDED_FIELD", "QUERY_RULES", "BodyRule", "QueryRule"]

_SHARED: tuple[BodyRule, ...] = (campaigns.frequency_caps, campaigns.category, campaigns.targets)
_AD_SET_DRAFT: tuple[BodyRule, ...] = (
    campaigns.flight,
    *_SHARED,
    campaigns.video_formats,
    campaigns.adults_for_alcohol,
)
_ESTIMATE: tuple[BodyRule, ...] = (
    *_SHARED,
    campaigns.video_formats,
    campaigns.ages_for_alcohol,
    campaigns.objective_named,
    campaigns.objective,
    campaigns.currency,
)

BODY_RULES: Mapping[str, tuple[BodyRule, ...]] = {
    "createCampaign": (campaigns.objective_named,),
    "createAdSet": (
        campaigns.flight_ahead,
        campaigns.lifetime_ends,
        campaigns.bid_given,
        campaigns.cost_per_result,
        campaigns.placements_given,
        campaigns.promotion_target,
        campaigns.ages_for_alcohol,
        campaigns.flight,
        campaigns.video_formats,
        *_SHARED,
    ),
    "updateAdSet": (
        campaigns.delivery_alone,
        campaigns.cost_per_result,
        campaigns.flight,
        campaigns.adults_for_alcohol,
        *_SHARED,
    ),
    "createAdSetDraft": _AD_SET_DRAFT,
    "updateAdSetDraft": _AD_SET_DRAFT,
    "createAd": (campaigns.ad_flight, campaigns.complete_catalog),
    "updateAd": (campaigns.ad_flight, campaigns.complete_catalog),
    "createAdDraft": (campaigns.catalog,),
    "updateAdDraft": (campaigns.catalog,),
    "publishCampaignDraft": (campaigns.hierarchy_version,),
    "estimateAudience": (
        campaigns.estimated_flight,
        campaigns.bid_given,
        campaigns.cost_per_result,
        campaigns.reserved_estimate,
        *_ESTIMATE,
    ),
    "estimateBid": _ESTIMATE,
    "getReservedPricing": (campaigns.estimated_flight, campaigns.targets),
    "createAsyncReport": (reports.async_report,),
    "createAsset": (others.audio_subtype,),
    "uploadAsset": (others.upload_size,),
    "transferChunkedAsset": (others.upload_size,),
    "createAudience": (others.lookback,),
    "createPixelInBusiness": (others.pixel_domain,),
    "updatePixelById": (others.pixel_domain,),
    "createAdAccountForBusiness": (others.account_country,),
}
"""By operationId, what a body must keep to beyond the checks of its fields."""

QUERY_RULES: Mapping[str, tuple[QueryRule, ...]] = {
    "getGeoTargets": (others.any_filter, others.geo_country),
    "getChangeHistory": (others.change_history,),
    "getPodcastShows": (others.market_country,),
    "getAggregateReport": (reports.continuation_alone, reports.entities, reports.parent_entity, reports.report_range),
    "getAggregatedTotals": (reports.totals, reports.report_range),
    "getAudienceInsightReport": (reports.insight_needs, reports.insight_entities, reports.insight_metrics),
}
"""By operationId, what a query must keep to beyond the checks of its parameters."""
