"""The kinds of things that commands list and read: their operations, their fields, and what a table shows of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from spotify_ads_async.bulk.plan.columns import Column, columns_of
from spotify_ads_async.models import AdAccount, Asset, Audience, Business, CampaignDraft
from spotify_ads_async.operation import ListOperation, Operation
from spotify_ads_async.operations import OPERATIONS

__all__ = ["KINDS", "ListedKind"]

_PATH_PART = re.compile(r"\{(\w+)\}")


class ListedKind:
    """One kind of thing.

    Args:
        plural: what people call several of them, ``ad sets``.
        listing: the ID of the operation that lists them.
        get: the ID of the operation that reads one.
        table: the columns of a table.
        structs: what an answer may be, where the document of ``get`` does not say it.
    """

    def __init__(self, plural: str, listing: str, get: str, table: str, *structs: type[Any]) -> None:
        self.plural = plural
        self.name = plural.removesuffix("es") if plural.endswith("sses") else plural.removesuffix("s")
        self.list: ListOperation[Any, Any] = OPERATIONS[listing]  # pyright: ignore[reportAttributeAccessIssue] - lists all of them
        self.get: Operation[Any] = OPERATIONS[get]
        self.table = tuple(table.split())
        self.structs = structs or (self.get.answer,)

    @property
    def answer_columns(self) -> Mapping[str, Column]:
        """The fields that an answer may have."""
        return {name: column for struct in self.structs for name, column in columns_of(struct).items()}

    def path(self, ad_account_id: str, thing_id: str) -> dict[str, str]:
        """What the path of ``get`` holds for one of them."""
        return {"ad_account_id": ad_account_id, _PATH_PART.findall(self.get.path)[-1]: thing_id}


KINDS: Mapping[str, ListedKind] = {
    kind.plural: kind
    for kind in (
        ListedKind(
            "campaigns",
            "getCampaigns",
            "getCampaign",
            "name status objective id purchase_order created_at",
        ),
        ListedKind(
            "ad sets",
            "getAdSetsByAdAccountId",
            "getAdSetById",
            "name status delivery budget.micro_amount budget.type id bid_micro_amount start_time end_time",
        ),
        ListedKind(
            "ads",
            "getAds",
            "getAd",
            "name status delivery id ad_set_id tagline start_time end_time",
        ),
        ListedKind(
            "assets",
            "getAssetsByAdAccount",
            "getAsset",
            "name asset_type status id duration_ms width height created_at",
            *Asset.variants().values(),
        ),
        ListedKind(
            "audiences",
            "batchGetAudiences",
            "getAudience",
            "name type subtype status id size.min size.max created_at",
            Audience,
        ),
        ListedKind(
            "drafts",
            "getCampaignDraftsV3",
            "getCampaignDraft",
            "name objective id draft_hierarchy_version created_at updated_at",
            CampaignDraft,
        ),
        ListedKind(
            "accounts",
            "getAdAccountsInBusiness",
            "getAdAccount",
            "name currency_code status id country_code business_id",
            AdAccount,
        ),
        ListedKind("businesses", "getBusinesses", "getBusiness", "name status type id created_at", Business),
    )
}
