"""Quota proxy: programs in any language share one governor by pointing their base URL at it."""

from spotify_ads_async.proxy.server import QuotaProxy

__all__ = ["QuotaProxy"]
