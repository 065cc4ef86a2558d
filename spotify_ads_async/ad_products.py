"""The rules of ad products during one run: the catalogue read once, and the ad product of each campaign.

The catalogue is read for every run anew, as Spotify's own tooling does; the answer forbids keeping it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import anyio
import msgspec

from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.operations import (
    GET_AD,
    GET_AD_SET_BY_ID,
    GET_AD_SETS_BY_AD_ACCOUNT_ID,
    GET_CAMPAIGN,
    GET_CAMPAIGNS,
)
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.pagination.some import batched
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

__all__ = [
    "DEFAULT_PRODUCT",
    "AdProductCatalog",
    "AdProductRules",
    "AdProducts",
    "Violation",
    "product_of",
    "read_catalog",
]

_PATIENCE_SECONDS = 20.0
_AT_ONCE = 50


class _CampaignProduct(Answer, frozen=True, kw_only=True):
    """A campaign's ad product, which the document does not declare on answers, and the API gives for some."""

    id: str | None = None
    ad_product: Any = None


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
        self._known: set[str] = set()
        self._looked = self._everything = self._walked = False

    @classmethod
    async def read(cls, caller: Caller) -> Self:
        """Read the catalogue, which may fail without the run's failing."""
        try:
            with anyio.fail_after(_PATIENCE_SECONDS):
                catalog = await read_catalog(caller)
            if catalog.products:
                return cls(catalog)
            problem = "it names no ad product in a form that this version reads"
        except SpotifyAdsError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no answer within {_PATIENCE_SECONDS:.0f} s"
        return cls(
            AdProductCatalog({}),
            f"the catalogue of ad products cannot be read, so its rules were not checked: {problem}",
        )

    def matters(self, entity: EntityKind, action: Action, fields: Iterable[str] | None = None) -> bool:
        """Whether any product's rules ask what a program can check of such requests, about ``fields`` where given."""
        rules = [self.catalog.rules(product, entity, action) for product in self.catalog.products]
        return any(one.checkable and (fields is None or one.are_about(fields)) for one in rules)

    def reserved_sentences(self, entity: EntityKind, action: Action) -> list[str]:
        """The rules that only people can read, of every product but the default one."""
        others = [product for product in self.catalog.products if product != DEFAULT_PRODUCT]
        return [one for product in others for one in self.catalog.rules(product, entity, action).sentences]

    async def learn(
        self, caller: Caller, ad_account_id: str, entity: EntityKind, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Find the ad products of what was read, with one request for fifty campaigns that are not known yet.

        Args:
            caller: makes the calls.
            ad_account_id: where.
            entity: what was read.
            rows: as the API answers them.

        Raises:
            SpotifyAdsError: a list cannot be read.
        """
        match entity:
            case "campaign":
                for row in rows:
                    self._know(str(row.get("id")), product_of(row))
            case "ad_set":
                wanted = {str(row["campaign_id"]) for row in rows if row.get("campaign_id")}
                if wanted - self._known and not self._looked:
                    await self._learn_page(caller, ad_account_id)
                unknown = [] if self._everything else sorted(wanted - self._known)
                for part in batched(unknown, _AT_ONCE):
                    await self._learn_page(caller, ad_account_id, part)
            case _:
                if not self._walked:
                    await self._learn_everything(caller, ad_account_id)

    def _know(self, campaign_id: str, product: str) -> None:
        self._known.add(campaign_id)
        if product != DEFAULT_PRODUCT:
            self._campaigns[campaign_id] = product

    async def _learn_page(self, caller: Caller, ad_account_id: str, ids: Sequence[str] | None = None) -> None:
        """Read one page of campaigns: those of these ids, or the first fifty, which are all that most accounts have."""
        query = {"limit": _AT_ONCE, **({} if ids is None else {"campaign_ids": ids})}
        campaigns: ListCall[Any] = ListCall(caller, _GET_CAMPAIGNS, path={"ad_account_id": ad_account_id}, query=query)
        page = await campaigns
        for campaign in page.items:
            self._know(campaign.id or "", product_of({"ad_product": campaign.ad_product}))
        if ids is None:
            self._looked = True
            self._everything = page.total is not None and page.total <= len(page.items)

    async def _learn_everything(self, caller: Caller, ad_account_id: str) -> None:
        """Ads name their ad set alone, which cannot be asked for by its id.

        So find the ad sets of every reserved campaign.
        """
        self._walked = True
        campaigns: ListCall[Any] = ListCall(
            caller, _GET_CAMPAIGNS, path={"ad_account_id": ad_account_id}, query={"limit": _AT_ONCE}
        )
        async for campaign in campaigns:
            self._know(campaign.id or "", product_of({"ad_product": campaign.ad_product}))
        for part in batched(list(self._campaigns), _AT_ONCE):
            query = {"limit": _AT_ONCE, "campaign_ids": part}
            async for ad_set in ListCall(
                caller, GET_AD_SETS_BY_AD_ACCOUNT_ID, path={"ad_account_id": ad_account_id}, query=query
            ):
                if product := self._campaigns.get(ad_set.campaign_id or ""):
                    self._ad_sets[ad_set.id or ""] = product

    @staticmethod
    async def learn_one(
        caller: Caller,
        ad_account_id: str,
        *,
        campaign_id: str | None = None,
        ad_set_id: str | None = None,
        ad_id: str | None = None,
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

    def product(self, entity: EntityKind, row: Mapping[str, Any]) -> str:
        """The ad product that an entity belongs to, as far as it was learnt; the default one else."""
        match entity:
            case "campaign":
                return self._campaigns.get(str(row.get("id"))) or product_of(row)
            case "ad_set":
                return self._campaigns.get(str(row.get("campaign_id")), DEFAULT_PRODUCT)
            case _:
                return self._ad_sets.get(str(row.get("ad_set_id")), DEFAULT_PRODUCT)

    def sentences(self, entity: EntityKind, action: Action) -> list[str]:
        """The rules that only people can read, each with its product.

        Of the default product and of those that were learnt of.
        """
        products = dict.fromkeys([DEFAULT_PRODUCT, *self._campaigns.values()])
        return [
            f"{product}: {sentence}"
            for product in products
            for sentence in self.catalog.rules(product, entity, action).sentences
        ]

    def violations(
        self,
        product: str,
        entity: EntityKind,
        action: Action,
        body: Mapping[str, Any],
        present: Mapping[str, Any] | None = None,
    ) -> list[Violation]:
        """Every way in which a request breaks the product's rules, see :meth:`AdProductRules.violations`."""
        return self.catalog.rules(product, entity, action).violations(body, present)
