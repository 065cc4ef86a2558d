"""Trees are held to the rules of their ad product before the first draft is made.

The catalogue is read once for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from spotify_ads_async.ad_products import AdProducts, product_of
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operations import CREATE_AD_DRAFT, CREATE_AD_SET_DRAFT, CREATE_CAMPAIGN_DRAFT
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.trees.plans import PartPlan
from spotify_ads_async.validation.ad_products import EntityKind

__all__ = ["hold_ad_set", "hold_campaigns"]

logger = logging.getLogger("spotify_ads_async")

_PARENTS = ("campaign_id", "ad_set_id")
_TO_COME = "00000000-0000-4000-8000-000000000000"
_OPERATIONS: Mapping[EntityKind, str] = {
    "campaign": CREATE_CAMPAIGN_DRAFT.id,
    "ad_set": CREATE_AD_SET_DRAFT.id,
    "ad": CREATE_AD_DRAFT.id,
}


async def hold_campaigns(caller: Caller, trees: Sequence[Sequence[PartPlan]]) -> None:
    """Refuse trees of which something breaks a rule of the ad product that their campaign will be of.

    Raises:
        InvalidRequest: nothing was made.
    """
    products = await _read(caller)
    for campaign, *others in trees if products is not None else ():
        product = product_of({**campaign.newer, **campaign.body})
        for part in (campaign, *others):
            _hold(products, product, part)


async def hold_ad_set(caller: Caller, ad_account_id: str, parts: Sequence[PartPlan], campaign_id: str) -> None:
    """Refuse an ad set with its ads where something breaks a rule of the ad product of the campaign that it goes into.

    Raises:
        InvalidRequest: nothing was made.
    """
    products = await _read(caller)
    if products is not None:
        product = await AdProducts.learn_one(caller, ad_account_id, campaign_id=campaign_id)
        for part in parts:
            _hold(products, product, part)


async def _read(caller: Caller) -> AdProducts | None:
    """The catalogue, None where it cannot be read: that is no reason to make nothing."""
    products = await AdProducts.read(caller)
    if products.problem:
        logger.warning("%s", products.problem)
        return None
    return products


def _hold(products: AdProducts | None, product: str, part: PartPlan) -> None:
    kind = cast("EntityKind", part.kind)
    # What a draft cannot hold is set after publishing, and the parent's id is filled in when it is known.
    body = {**dict.fromkeys(_PARENTS, _TO_COME), **part.body, **part.unheld}
    broken = [] if products is None else products.violations(product, kind, "create", body)
    if broken:
        first = broken[0]
        problem = "; ".join(str(one) for one in broken)
        error = InvalidRequest(
            problem,
            operation=_OPERATIONS[kind],
            path=f"body.{first.field}",
            value=first.value,
            rule=f"as {product} takes it",
        )
        error.add_note(f"{kind.replace('_', ' ')} {part.name!r} cannot be made as {product}; nothing was sent")
        raise error
