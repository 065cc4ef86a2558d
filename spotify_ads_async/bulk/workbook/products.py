"""What is new is held to the rules of its campaign's ad product, before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spotify_ads_async.ad_products import AdProducts, product_of
from spotify_ads_async.bulk.plan.problems import Problem
from spotify_ads_async.bulk.plan.products import KINDS, remarks_of
from spotify_ads_async.bulk.workbook.resolving import Resolver
from spotify_ads_async.client import AdsClient
from spotify_ads_async.validation.ad_products import EntityKind

__all__ = ["NewProducts"]


class NewProducts:
    """What the catalogue asks of new things; nothing where it could not be read.

    Args:
        products: the catalogue, read once for the whole plan.
        resolver: what the rows come to.
    """

    def __init__(self, products: AdProducts, resolver: Resolver) -> None:
        self._products = products
        self._resolver = resolver
        self._campaigns: dict[str, str] = {}

    async def learn(self, ads: AdsClient, ad_account_id: str) -> None:
        """Find the ad products of the campaigns: a new one's row names it, and a live one is read.

        Raises:
            SpotifyAdsError: the campaigns cannot be read.
        """
        items = self._resolver.items
        live = dict.fromkeys(one.campaign for one in items if one.campaign and not one.campaign.isdecimal())
        if live and any(self._products.matters(kind, "create") for kind in KINDS.values()):
            await self._products.learn(ads, ad_account_id, "ad_set", [{"campaign_id": one} for one in live])
        self._campaigns = {one: self._products.product("ad_set", {"campaign_id": one}) for one in live}
        self._campaigns |= {str(one.number): product_of(one.body) for one in items if one.plural == "campaigns"}

    def problems(self) -> Iterator[Problem]:
        """Every rule that a row breaks, at its cell; of a cell that cannot be read, that is said already."""
        said = {one.place for one in self._resolver.problems}
        for row, item, given in self._resolver.resolved():
            product = self._campaigns.get(item.campaign)
            if product is not None:
                for one in self._products.violations(product, KINDS[item.plural], "create", given):
                    problem = row.problem(one.rule, row.column_of(one.field) or one.field)
                    if problem.place not in said or problem.place == row.place(""):
                        yield problem

    def remarks(self) -> list[str]:
        """What the plan says of it: that the rules could not be read, or those that only people can."""
        if self._products.problem:
            return [self._products.problem]
        kinds: Iterable[EntityKind] = dict.fromkeys(KINDS[one.plural] for one in self._resolver.items)
        rules = (
            self._products.catalog.rules(product, kind, "create")
            for product in dict.fromkeys(self._campaigns.values())
            for kind in kinds
        )
        return remarks_of([f"{one.product}: {sentence}" for one in rules for sentence in one.sentences])
