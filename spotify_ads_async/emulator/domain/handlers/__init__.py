"""What each operation does: one file per group, each with its table of operationId → function."""

from __future__ import annotations

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.call import Handlers
from spotify_ads_async.emulator.domain.handlers import (
    ad_accounts,
    ad_sets,
    ads,
    aggregate_reports,
    assets,
    async_reports,
    audiences,
    businesses,
    campaigns,
    capi,
    change_history,
    datasets,
    drafts,
    estimates,
    insight_reports,
    members,
    mobile_apps,
    pixels,
    publishing,
    targets,
)

__all__ = ["HANDLERS"]

HANDLERS: Handlers = {
    **ad_accounts.HANDLERS,
    "getAdProductCatalog": ad_products.answer,
    **ad_sets.HANDLERS,
    **ads.HANDLERS,
    **aggregate_reports.HANDLERS,
    **assets.HANDLERS,
    **async_reports.HANDLERS,
    **audiences.HANDLERS,
    **businesses.HANDLERS,
    **campaigns.HANDLERS,
    **capi.HANDLERS,
    **change_history.HANDLERS,
    **datasets.HANDLERS,
    **drafts.HANDLERS,
    **estimates.HANDLERS,
    **insight_reports.HANDLERS,
    **members.HANDLERS,
    **mobile_apps.HANDLERS,
    **pixels.HANDLERS,
    **publishing.HANDLERS,
    **targets.HANDLERS,
}
"""Every operation that the emulator answers."""
