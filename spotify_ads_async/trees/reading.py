"""Reading campaigns with everything in them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.models import Ad, AdSet
from spotify_ads_async.pagination.some import batched
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.tree import AdSetTree, CampaignTree

__all__ = ["Reader"]

_ARCHIVED = "ARCHIVED"
_PARENTS = 50


class Reader:
    """Reads trees of one ad account, each part with the JSON that it came from."""

    def __init__(self, session: Session, ad_account_id: str) -> None:
        self.account = AdAccountResources(
            session.with_options(msgspec.structs.replace(session.options, keep_json=True)), ad_account_id
        )

    async def read(self, campaign_id: str, *, archived: bool = False) -> CampaignTree:
        """A campaign with its ad sets and ads; those that are archived only if asked for."""
        campaign = await self.account.campaigns.get(campaign_id)
        _require("campaign", campaign.id, [campaign_id])
        ad_sets: list[AdSet] = []
        async for one in self.account.ad_sets.list(campaign_ids=[campaign_id]):
            _require("campaign of an ad set", one.campaign_id, [campaign_id])
            if archived or one.status != _ARCHIVED:
                ad_sets.append(one)
        return CampaignTree(campaign=campaign, ad_sets=await self.ad_sets(ad_sets, archived=archived))

    async def ad_set(self, ad_set_id: str) -> AdSet:
        """One ad set."""
        found = await self.account.ad_sets.get(ad_set_id)
        _require("ad set", found.id, [ad_set_id])
        return found

    async def ad_sets(self, ad_sets: Sequence[AdSet], *, archived: bool) -> list[AdSetTree]:
        """Ad sets with their ads."""
        ads: dict[str, list[Ad]] = {(one.id or "").lower(): [] for one in ad_sets}
        if "" in ads:
            raise InvalidAnswer("a list leaves out the id of an ad set, so that its ads cannot be found")
        ids = list(ads)
        for part in batched(ids, _PARENTS):
            async for ad in self.account.ads.list(ad_set_ids=part):
                _require("ad set of an ad", ad.ad_set_id, ids)
                if archived or ad.status != _ARCHIVED:
                    ads[(ad.ad_set_id or "").lower()].append(ad)
        return [AdSetTree(ad_set=one, ads=ads[(one.id or "").lower()]) for one in ad_sets]


def _require(what: str, found: str | None, asked: Sequence[str]) -> None:
    """Refuse a part of another tree, or of none that it names: a copy would have it, or lack it."""
    if (found or "").lower() not in {one.lower() for one in asked}:
        raise InvalidAnswer(f"the answer names {found or 'none'} as the {what}, which is not what was asked for")
