"""The rules of ad products during one run: the catalogue read once, and the ad product of each campaign.

The catalogue is read for every run anew, as Spotify's own tooling does; the answer forbids keeping it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import anyio
import msgspec

from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.operations import GET_AD, GET_AD_SET_BY_ID, GET_AD_SETS_BY_AD_ACCOUNT_ID, GET_CAMPAIGN, GET_CAMPAIGNS
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.types import Answer
from spotify_ads_async.undocumented import GET_AD_PRODUCT_CATALOG
from spotify_ads_async.validation.ad_products import (
    DEFAULT_PRODUCT,
    Action,
    AdProductCatalog,
    AdProductRules,
    EntityKind,
    Violation,
    product_of,
)

__all__ = ["DEFAULT_PRODUCT", "AdProductCatalog", "AdProductRules", "AdProducts", "Violation", "read_catalog"]

_PATIENCE_SECONDS = 20.0
_AT_ONCE = 50


class _CampaignProduct(Answer, frozen=True, kw_only=True):
    """A campaign's ad product, which the document does not declare on answers, and the API gives for some."""

    id: str | None = None
    ad_product: str | None = None


class _CampaignProducts(Answer, frozen=True, kw_only=True):
    paging: Any = None
    campaigns: list[_CampaignProduct] | None = None


_GET_CAMPAIGN = msgspec.structs.replace(GET_CAMPAIGN, answer=_CampaignProduct)
_GET_CAMPAIGNS = msgspec.structs.replace(GET_CAMPAIGNS, answer=_CampaignProducts, item=_CampaignProduct)


async def read_catalog(caller: Caller) -> AdProductCatalog:
    """The catalogue of ad products as it is now.

    Raises:
        SpotifyAdsError: what the call raised.
    """
    return AdProductCatalog(await caller.call(GET_AD_PRODUCT_CATALOG))


class AdProducts:
    """What the catalogue asks of the entities of one ad account, during one run.

    Where the catalogue cannot be read, nothing is asked, and ``problem`` says why.

    Attributes:
        catalog: the catalogue.
        problem: why there is none; empty where it was read.
    """

    def __init__(self, catalog: AdProductCatalog, problem: str = "") -> None:
        self.catalog = catalog
        self.problem = problem
        self._campaigns: dict[str, str] = {}
        self._ad_sets: dict[str, str] = {}

    @classmethod
    async def read(cls, caller: Caller) -> Self:
        """Read the catalogue, which may fail without the run's failing."""
        try:
            with anyio.fail_after(_PATIENCE_SECONDS):
                return cls(await read_catalog(caller))
        except SpotifyAdsError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no answer within {_PATIENCE_SECONDS:.0f} s"
        return cls(AdProductCatalog({}), f"the catalogue of ad products cannot be read, so its rules were not checked: {problem}")

    async def learn_all(self, caller: Caller, ad_account_id: str, *, ad_sets: bool = False) -> None:
        """Find every campaign of the account that is not of the default product, and with ``ad_sets`` what ad sets are in them.

        Raises:
            SpotifyAdsError: the lists cannot be walked.
        """
        path = {"ad_account_id": ad_account_id}
        campaigns: ListCall[Any] = ListCall(caller, _GET_CAMPAIGNS, path=path, query={"limit": _AT_ONCE})
        async for campaign in campaigns:
            product = product_of({"ad_product": campaign.ad_product})
            if product != DEFAULT_PRODUCT:
                self._campaigns[campaign.id or ""] = product
        reserved = list(self._campaigns)
        for start in range(0, len(reserved) if ad_sets else 0, _AT_ONCE):
            query = {"limit": _AT_ONCE, "campaign_ids": reserved[start : start + _AT_ONCE]}
            async for ad_set in ListCall(caller, GET_AD_SETS_BY_AD_ACCOUNT_ID, path=path, query=query):
                self._ad_sets[ad_set.id or ""] = self._campaigns.get(ad_set.campaign_id or "", DEFAULT_PRODUCT)

    @staticmethod
    async def learn_one(
        caller: Caller, ad_account_id: str, *, campaign_id: str | None = None, ad_set_id: str | None = None, ad_id: str | None = None
    ) -> str:
        """The ad product of one campaign, or of the campaign that an ad set or an ad is in.

        Raises:
            SpotifyAdsError: something on the way cannot be read.
        """
        path = {"ad_account_id": ad_account_id}
        if ad_id is not None:
            ad_set_id = (await caller.call(GET_AD, path={**path, "ad_id": ad_id})).ad_set_id
        if ad_set_id is not None:
            campaign_id = (await caller.call(GET_AD_SET_BY_ID, path={**path, "ad_set_id": ad_set_id})).campaign_id
        if campaign_id is None:
            return DEFAULT_PRODUCT
        campaign: Any = await caller.call(_GET_CAMPAIGN, path={**path, "campaign_id": campaign_id})
        return product_of({"ad_product": campaign.ad_product})

    def product(self, entity: EntityKind, body: Mapping[str, Any], entity_id: str = "") -> str:
        """The ad product that an entity belongs to, as far as it was learnt; the default one else.

        Args:
            entity: what it is.
            body: what is known of it: its parent's ID, or its product.
            entity_id: its own ID, empty for what is yet to be made.
        """
        match entity:
            case "campaign":
                return self._campaigns.get(entity_id) or product_of(body)
            case "ad_set":
                return self._ad_sets.get(entity_id) or self._campaigns.get(str(body.get("campaign_id")), DEFAULT_PRODUCT)
            case _:
                return self._ad_sets.get(str(body.get("ad_set_id")), DEFAULT_PRODUCT)

    def violations(
        self, product: str, entity: EntityKind, action: Action, body: Mapping[str, Any], present: Mapping[str, Any] | None = None
    ) -> list[Violation]:
        """Every way in which a request breaks the product's rules, see :meth:`AdProductRules.violations`."""
        return self.catalog.rules(product, entity, action).violations(body, present)
