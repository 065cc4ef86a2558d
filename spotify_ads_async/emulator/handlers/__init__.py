"""What each operation does: one file per group, each with its table of operationId → function."""

from __future__ import annotations

from spotify_ads_async.emulator.call import Handlers
from spotify_ads_async.emulator.handlers import ad_accounts, ad_sets, ads, assets, businesses, campaigns

__all__ = ["HANDLERS"]

HANDLERS: Handlers = {
    **ad_accounts.HANDLERS,
    **ad_sets.HANDLERS,
    **ads.HANDLERS,
    **assets.HANDLERS,
    **businesses.HANDLERS,
    **campaigns.HANDLERS,
}
"""Every operation that the emulator answers."""
