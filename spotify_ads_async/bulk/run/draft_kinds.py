"""The drafts of each kind of entity: how they are made, changed and listed, and which fields they hold."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async import operations
from spotify_ads_async.bulk.present import PAGE_SIZE
from spotify_ads_async.models import CampaignDraft
from spotify_ads_async.operation import ListOperation, Operation
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.pagination.some import batched

__all__ = ["DRAFT_KINDS", "DraftKind", "campaign_drafts", "drafts_within", "made_at"]


class DraftKind(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of one kind of draft.

    Attributes:
        create: makes the draft of something new.
        make: makes the draft of a live entity.
        get: reads a draft.
        change: changes a draft.
        delete: deletes a draft.
        list: reads many drafts.
        draft_path: the path parameter of a draft's id.
        within: the list's query parameter that names what the drafts are in.
        entity_type: what validation errors call the kind.
    """

    create: Operation[Any]
    make: Operation[Any]
    get: Operation[Any]
    change: Operation[Any]
    delete: Operation[Any]
    list: ListOperation[Any, Any]
    draft_path: str
    within: str
    entity_type: str

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a draft that may be written."""
        return frozenset(field.encode_name for field in msgspec.structs.fields(self.change.body))

    @property
    def held(self) -> frozenset[str]:
        """The fields that a draft has, written or not: what publishing puts in the place of what is live."""
        return self.fields | {field.encode_name for field in msgspec.structs.fields(self.get.answer)}


DRAFT_KINDS: Mapping[str, DraftKind] = types.MappingProxyType(
    {
        "campaigns": DraftKind(
            create=operations.CREATE_CAMPAIGN_DRAFT,
            make=operations.CREATE_DRAFT_FROM_CAMPAIGN,
            get=operations.GET_CAMPAIGN_DRAFT,
            change=operations.UPDATE_CAMPAIGN_DRAFT,
            delete=operations.DELETE_CAMPAIGN_DRAFT,
            list=operations.GET_CAMPAIGN_DRAFTS_V3,
            draft_path="draft_campaign_id",
            within="campaign_ids",
            entity_type="CAMPAIGN",
        ),
        "ad sets": DraftKind(
            create=operations.CREATE_AD_SET_DRAFT,
            make=operations.CREATE_DRAFT_FROM_AD_SET,
            get=operations.GET_AD_SET_DRAFT,
            change=operations.UPDATE_AD_SET_DRAFT,
            delete=operations.DELETE_AD_SET_DRAFT,
            list=operations.GET_AD_SET_DRAFTS,
            draft_path="draft_ad_set_id",
            within="campaign_ids",
            entity_type="AD_SET",
        ),
        "ads": DraftKind(
            create=operations.CREATE_AD_DRAFT,
            make=operations.CREATE_DRAFT_FROM_AD,
            get=operations.GET_AD_DRAFT,
            change=operations.UPDATE_AD_DRAFT,
            delete=operations.DELETE_AD_DRAFT,
            list=operations.GET_AD_DRAFTS,
            draft_path="draft_ad_id",
            within="ad_set_ids",
            entity_type="AD",
        ),
    }
)
"""By the plural name of the entity."""


async def drafts_within(caller: Caller, ad_account_id: str, kind: DraftKind, ids: Sequence[str] | None) -> list[Any]:
    """The drafts of a kind in some campaigns or ad sets, fifty of these to a request; all that there are for None.

    Raises:
        SpotifyAdsError: the list cannot be read.
    """
    parts = [None] if ids is None else list(batched(ids, PAGE_SIZE))
    found: list[Any] = []
    for part in parts:
        query = {"limit": PAGE_SIZE} | ({} if part is None else {kind.within: part})
        call: ListCall[Any] = ListCall(caller, kind.list, path={"ad_account_id": ad_account_id}, query=query)
        found += [draft async for draft in call]
    return found


def made_at(draft: CampaignDraft) -> str:
    """When the server made a draft, to the second, as text; nothing where it does not say."""
    return str(draft.created_at or "")[:19]


async def campaign_drafts(caller: Caller, ad_account_id: str, campaign_ids: Sequence[str]) -> dict[str, CampaignDraft]:
    """The drafts of some campaigns, by their ids, which drafts share.

    Raises:
        SpotifyAdsError: the list cannot be read.
    """
    drafts = await drafts_within(caller, ad_account_id, DRAFT_KINDS["campaigns"], campaign_ids)
    return {str(draft.id): draft for draft in drafts}
