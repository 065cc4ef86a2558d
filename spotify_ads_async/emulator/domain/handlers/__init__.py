"""What each operation does: one file per group, each function named as the operation that it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.call import Handler
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
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["HANDLERS"]

_MODULES = (
    ad_accounts, ad_products, ad_sets, ads, aggregate_reports, assets, async_reports, audiences, businesses, campaigns,
    capi, change_history, datasets, drafts, estimates, insight_reports, members, mobile_apps, pixels, publishing,
    targets,
)  # fmt: skip
_FUNCTIONS: Mapping[str, Handler] = {name: value for module in _MODULES for name, value in vars(module).items()}
HANDLERS: Mapping[str, Handler] = {
    operation: _FUNCTIONS[name]
    for operation in EVERY_OPERATION
    if (name := re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()) in _FUNCTIONS
}
"""Every operation that the emulator answers: ``getAdSetById`` by the function ``get_ad_set_by_id``."""
