"""Single creates and updates, held to the rules of their ad product before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from spotify_ads_async.ad_products import AdProducts, Violation
from spotify_ads_async.bulk.plan.products import KINDS
from spotify_ads_async.cli.run import say
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.validation.ad_products import DEFAULT_PRODUCT, Action, EntityKind, product_of

__all__ = ["hold_to_product", "refusal"]

_PARENTS: Mapping[EntityKind, str] = {"campaign": "", "ad_set": "campaign_id", "ad": "ad_set_id"}
_UNCHECKED = "none"


async def hold_to_product(
    client: AdsClient,
    ad_account: str,
    plural: str,
    action: Action,
    body: object,
    *,
    entity_id: str = "",
    present: Mapping[str, Any] | None = None,
    ad_product: str | None = None,
) -> None:
    """Hold one request to the rules of its ad product; where they cannot be read, say so and let it pass.

    Raises:
        InvalidRequest: it breaks a rule.
    """
    if ad_product is not None and ad_product.lower() == _UNCHECKED:
        return
    kind = KINDS[plural]
    content: dict[str, Any] = msgspec.to_builtins(body)
    products = await AdProducts.read(client)
    if products.problem:
        say(f"note: {products.problem}")
        return
    product = ad_product.upper() if ad_product else await _product(client, ad_account, kind, content, entity_id)
    broken = products.violations(product, kind, action, content, present)
    if broken:
        raise refusal(broken, kind)


async def _product(
    client: AdsClient, ad_account: str, kind: EntityKind, content: Mapping[str, Any], entity_id: str
) -> str:
    """The ad product of the campaign, the default one where it cannot be found.

    Then the request itself will say why.
    """
    if kind == "campaign" and not entity_id:
        return product_of(content)
    parent = _PARENTS[kind]
    names: dict[str, Any] = {f"{kind}_id": entity_id} if entity_id else {parent: content.get(parent)}
    try:
        return await AdProducts.learn_one(client, ad_account, **names)
    except SpotifyAdsError:
        return DEFAULT_PRODUCT


def refusal(broken: list[Violation], kind: EntityKind) -> InvalidRequest:
    """The error for a request that breaks rules, all of them at once."""
    first = broken[0]
    told = "; ".join(str(one) for one in broken)
    return InvalidRequest(
        f"{told} (the catalogue of ad products; --ad-product NAME where the campaign is of another one)",
        path=f"body.{first.field}",
        value=first.value,
        rule=f"as the ad product takes it for {kind}",
    )
