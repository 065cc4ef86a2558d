"""Trees are held to the rules of their ad product before the first draft is made: the catalogue is read once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.ad_products import AdProducts, product_of
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operations import CREATE_AD_DRAFT, CREATE_AD_SET_DRAFT, CREATE_CAMPAIGN_DRAFT
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.trees.bodies import AdSetBodies, Bodies
from spotify_ads_async.types import Request
from spotify_ads_async.validation.ad_products import EntityKind

__all__ = ["hold_ad_set", "hold_campaigns"]

logger = logging.getLogger("spotify_ads_async")

_OPERATIONS: Mapping[EntityKind, str] = {"campaign": CREATE_CAMPAIGN_DRAFT.id, "ad_set": CREATE_AD_SET_DRAFT.id, "ad": CREATE_AD_DRAFT.id}


async def hold_campaigns(caller: Caller, trees: Sequence[Bodies]) -> None:
    """Refuse trees of which something breaks a rule of the ad product that their campaign will be of.

    Raises:
        InvalidRequest: nothing was made.
    """
    products = await _read(caller)
    for parts in trees if products is not None else ():
        product = product_of(_plain(parts.body))
        _hold(products, product, "campaign", parts.body)
        _hold_ad_sets(products, product, parts.ad_sets)


async def hold_ad_set(caller: Caller, ad_account_id: str, parts: AdSetBodies, campaign_id: str) -> None:
    """Refuse an ad set with its ads where something breaks a rule of the ad product of the campaign that it goes into.

    Raises:
        InvalidRequest: nothing was made.
    """
    products = await _read(caller)
    if products is not None:
        product = await AdProducts.learn_one(caller, ad_account_id, campaign_id=campaign_id)
        _hold_ad_sets(products, product, [parts])


async def _read(caller: Caller) -> AdProducts | None:
    """The catalogue, None where it cannot be read: that is no reason to make nothing."""
    products = await AdProducts.read(caller)
    if products.problem:
        logger.warning("%s", products.problem)
        return None
    return products


def _hold_ad_sets(products: AdProducts | None, product: str, ad_sets: Iterable[AdSetBodies]) -> None:
    for parts in ad_sets:
        _hold(products, product, "ad_set", parts.body)
        for _, ad in parts.ads:
            _hold(products, product, "ad", ad)


def _hold(products: AdProducts | None, product: str, kind: EntityKind, body: Request) -> None:
    plain = _plain(body)
    broken = [] if products is None else products.violations(product, kind, "create", plain)
    if broken:
        first = broken[0]
        problem = "; ".join(str(one) for one in broken)
        error = InvalidRequest(
            problem, operation=_OPERATIONS[kind], path=f"body.{first.field}", value=first.value, rule=f"as {product} takes it"
        )
        error.add_note(f"{kind.replace('_', ' ')} {plain.get('name')!r} cannot be made as {product}; nothing was sent")
        raise error


def _plain(body: Request) -> dict[str, Any]:
    return msgspec.to_builtins(body)
