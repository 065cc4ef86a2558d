"""The rules of ad products for one plan: the catalogue read once, and every row held to what its campaign's product takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spotify_ads_async.ad_products import AdProducts
from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.validation.ad_products import EntityKind

__all__ = ["KINDS", "PlannedProducts"]

KINDS: Mapping[str, EntityKind] = {"campaigns": "campaign", "ad sets": "ad_set", "ads": "ad"}
"""What the catalogue calls the kinds of things, by their plural."""


class PlannedProducts:
    """What the catalogue of ad products asks of the rows of one plan.

    Args:
        caller: makes the calls.
        ad_account_id: where the rows are.
        entity: what they are about.
    """

    def __init__(self, caller: Caller, ad_account_id: str, entity: Entity) -> None:
        self._caller = caller
        self._ad_account_id = ad_account_id
        self._kind: EntityKind = KINDS[entity.plural]
        self._products: AdProducts | None = None

    async def learn(self, states: Iterable[Mapping[str, Any]]) -> None:
        """Find the ad products of what was read, before it is decided on; with the first of it, read the catalogue.

        Raises:
            SpotifyAdsError: the campaigns cannot be read.
        """
        if self._products is None:
            self._products = await AdProducts.read(self._caller)
        if self._products.matters(self._kind, "update"):
            await self._products.learn(self._caller, self._ad_account_id, self._kind, states)

    def broken(self, state: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
        """The field and the reason where a row's requests break a rule; what stands in the present state is never the reason."""
        if self._products is None:
            return None
        product = self._products.product(self._kind, state)
        for body in steps:
            for violation in self._products.violations(product, self._kind, "update", body, state):
                return violation.field, violation.rule
        return None

    def notes(self) -> list[str]:
        """What the plan says of it: that the rules could not be read, or those that only people can."""
        if self._products is None:
            return []
        if self._products.problem:
            return [self._products.problem]
        return [f"a rule of the ad product, for people to look at: {one}" for one in self._products.sentences(self._kind, "update")]
