"""How each kind of entity becomes a draft, and which of its fields a draft holds."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import msgspec

from spotify_ads_async import operations
from spotify_ads_async.operation import ListOperation, Operation

__all__ = ["DRAFT_KINDS", "DraftKind"]


class DraftKind(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of one kind of draft.

    Attributes:
        make: makes the draft of a live entity.
        change: changes a draft.
        list: reads many drafts.
        draft_path: the path parameter of a draft's id.
        within: the list's query parameter that names what the drafts are in.
        entity_type: what validation errors call the kind.
    """

    make: Operation[Any]
    change: Operation[Any]
    list: ListOperation[Any, Any]
    draft_path: str
    within: str
    entity_type: str

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a draft that may be written."""
        return frozenset(field.encode_name for field in msgspec.structs.fields(self.change.body))


DRAFT_KINDS: Mapping[str, DraftKind] = types.MappingProxyType(
    {
        "campaigns": DraftKind(
            make=operations.CREATE_DRAFT_FROM_CAMPAIGN,
            change=operations.UPDATE_CAMPAIGN_DRAFT,
            list=operations.GET_CAMPAIGN_DRAFTS_V3,
            draft_path="draft_campaign_id",
            within="campaign_ids",
            entity_type="CAMPAIGN",
        ),
        "ad sets": DraftKind(
            make=operations.CREATE_DRAFT_FROM_AD_SET,
            change=operations.UPDATE_AD_SET_DRAFT,
            list=operations.GET_AD_SET_DRAFTS,
            draft_path="draft_ad_set_id",
            within="campaign_ids",
            entity_type="AD_SET",
        ),
        "ads": DraftKind(
            make=operations.CREATE_DRAFT_FROM_AD,
            change=operations.UPDATE_AD_DRAFT,
            list=operations.GET_AD_DRAFTS,
            draft_path="draft_ad_id",
            within="ad_set_ids",
            entity_type="AD",
        ),
    }
)
"""By the plural name of the entity."""
