"""The kinds of things that commands list and read: their operations, their fields, and what a table shows of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from spotify_ads_async import operations
from spotify_ads_async.bulk.plan.columns import Column, columns_of
from spotify_ads_async.models import AdAccount, Asset, Audience, Business, CampaignDraft
from spotify_ads_async.operation import ListOperation, Operation

__all__ = ["KINDS", "ListedKind"]

_PATH_PART = re.compile(r"\{(\w+)\}")


class ListedKind:
    """One kind of thing.

    Args:
        plural: what people call several of them, ``ad sets``.
        listing: the operation that lists them.
        get: the operation that reads one.
        table: the columns of a table, all of them where none is named.
        structs: what an answer may be, where the document of ``get`` does not say it.
    """

    def __init__(
        self,
        plural: str,
        listing: ListOperation[Any, Any],
        get: Operation[Any],
        table: str = "",
        structs: Iterable[type[Any]] = (),
    ) -> None:
        self.plural = plural
        self.name = plural.removesuffix("es") if plural.endswith("sses") else plural.removesuffix("s")
        self.list = listing
        self.get = get
        self.table = tuple(table.split())
        self.structs = tuple(structs) or (get.answer,)

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
            operations.GET_CAMPAIGNS,
            operations.GET_CAMPAIGN,
            "name status objective id purchase_order created_at",
        ),
        ListedKind(
            "ad sets",
            operations.GET_AD_SETS_BY_AD_ACCOUNT_ID,
            operations.GET_AD_SET_BY_ID,
            "name status delivery budget.micro_amount budget.type id bid_micro_amount start_time end_time",
        ),
        ListedKind(
            "ads",
            operations.GET_ADS,
            operations.GET_AD,
            "name status delivery id ad_set_id tagline start_time end_time",
        ),
        ListedKind(
            "assets",
            operations.GET_ASSETS_BY_AD_ACCOUNT,
            operations.GET_ASSET,
            "name asset_type status id duration_ms width height created_at",
            Asset.variants().values(),
        ),
        ListedKind(
            "audiences",
            operations.BATCH_GET_AUDIENCES,
            operations.GET_AUDIENCE,
            "name type subtype status id size.min size.max created_at",
            [Audience],
        ),
        ListedKind(
            "drafts",
            operations.GET_CAMPAIGN_DRAFTS_V3,
            operations.GET_CAMPAIGN_DRAFT,
            "name objective id draft_hierarchy_version created_at updated_at",
            [CampaignDraft],
        ),
        ListedKind(
            "accounts",
            operations.GET_AD_ACCOUNTS_IN_BUSINESS,
            operations.GET_AD_ACCOUNT,
            "name currency_code status id country_code business_id",
            [AdAccount],
        ),
        ListedKind(
            "businesses",
            operations.GET_BUSINESSES,
            operations.GET_BUSINESS,
            "name status type id created_at",
            [Business],
        ),
    )
}
