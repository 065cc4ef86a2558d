"""dlt source: everything of the Ads API as tables of a warehouse, loaded incrementally under one governor."""

from spotify_ads_async.dlt.source import DEFAULT_METRICS, backfill, spotify_ads

__all__ = ["DEFAULT_METRICS", "backfill", "spotify_ads"]
