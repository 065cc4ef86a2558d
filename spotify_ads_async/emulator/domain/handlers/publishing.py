"""VALIDATE and PUBLISH: from a hierarchy of drafts to live entities with the same ids."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.checking import check_named
from spotify_ads_async.emulator.domain.handlers.ad_sets import made_ad_set
from spotify_ads_async.emulator.domain.handlers.ads import made_ad
from spotify_ads_async.emulator.domain.handlers.campaigns import DEFAULT_OBJECTIVE, archive, made_campaign
from spotify_ads_async.emulator.domain.handlers.drafts import forget
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.patching import newer_in, put_back, without_newer
from spotify_ads_async.emulator.domain.shapes import named_shape
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row, Table

_KEPT = frozenset({"created_at", "delivery", "is_paused"})
"""Attributes that a draft does not hold."""


class Result(msgspec.Struct):
    """What a hierarchy of drafts comes to: rows to put, in order, and what is wrong."""

    campaign: Row | None
    ad_sets: list[Row]
    ads: list[Row]
    errors: list[Row]


def _made(kind: str, draft: Row, errors: list[Row], make: Callable[[], Row]) -> Row | None:
    """A live row from a draft; what is wrong with it joins the errors."""
    try:
        return make()
    except Refusal as refusal:
        errors.extend(
            {
                "validation_entity_type": kind,
                "validation_entity_id": draft["id"],
                "message": message,
                "error_codes": [f"INVALID.{kind}.{re.sub(r'[^A-Z0-9]+', '_', message.partition(':')[0].upper())}"],
            }
            for message in refusal.messages
        )
        return None


def _campaign(account: Account, draft: Row) -> Row:
    live = account.campaigns.rows.get(draft["id"], {})
    body = {"objective": live.get("objective", DEFAULT_OBJECTIVE), **ad_products.reserved(live), **draft}
    row = made_campaign(account, check_named("CreateCampaignRequest", body), draft["id"])
    if draft["status"] not in {"ACTIVE", "PAUSED", "ARCHIVED"}:
        raise refused(f"status: {draft['status']} cannot be set")
    return {**row, "status": draft["status"]}


def _known(account: Account, table: Table, draft: Row, shape: str) -> Row:
    """A draft without what is live already, or was, and is newer than the document."""
    live, newer = table.rows.get(draft["id"], {}), account.store.newer
    newer.update(newer_in(live, named_shape(shape)))
    return without_newer(draft, live, named_shape(shape), newer)


def _ad_set(account: Account, draft: Row, campaign: Row) -> Row:
    ad_products.hold("ad_set", "create", draft, campaign)
    row = made_ad_set(
        account,
        check_named("AdSetCreateRequest", _known(account, account.ad_sets, draft, "AdSetCreateRequest")),
        draft["id"],
    )
    return {**row, "status": "ARCHIVED"} if draft.get("status") == "ARCHIVED" else row


def _ad(account: Account, draft: Row, asset_format: str, campaign: Row) -> Row:
    ad_products.hold("ad", "create", draft, campaign)
    row = made_ad(
        account,
        check_named("CreateAdRequest", _known(account, account.ads, draft, "CreateAdRequest")),
        asset_format,
        draft["id"],
    )
    return {**row, "status": "ARCHIVED"} if draft.get("status") == "ARCHIVED" else row


def _examine(account: Account, draft: Row) -> Result:
    """What publishing would put, and what keeps it from being published."""
    errors: list[Row] = []
    campaign = _made("CAMPAIGN", draft, errors, lambda: _campaign(account, draft))
    product = {"ad_product": draft.get("ad_product") or account.campaigns.rows.get(draft["id"], {}).get("ad_product")}
    ad_set_drafts = [row for row in account.ad_set_drafts if row["campaign_id"] == draft["id"]]
    formats = {row["id"]: row.get("asset_format", "AUDIO") for row in ad_set_drafts}
    ad_sets = [_made("AD_SET", row, errors, lambda row=row: _ad_set(account, row, product)) for row in ad_set_drafts]
    ad_drafts = [row for row in account.ad_drafts if row["ad_set_id"] in formats]
    ads = [
        _made("AD", row, errors, lambda row=row: _ad(account, row, formats[row["ad_set_id"]], product))
        for row in ad_drafts
    ]
    return Result(
        campaign, [row for row in ad_sets if row is not None], [row for row in ads if row is not None], errors
    )


def _go_live(account: Account, tables: tuple[Table, Table], entity_type: str, row: Row) -> Row:
    """Put a published row; one that was live before keeps its age and whether it is paused."""
    drafts, table = tables
    before, draft = table.rows.get(row["id"]), drafts.rows.get(row["id"], {})
    if before is not None:
        row = {**before, **{name: value for name, value in row.items() if name not in _KEPT}}
        row = put_back(account.store.patch, before, draft, row)
    table.put(row)
    record(account, entity_type, before, row)
    return row


def publish_campaign_draft(call: Call) -> Response:
    """``publishCampaignDraft``: validates, and publishes when asked to and nothing is wrong."""
    account, body = call.account, call.body
    draft = account.campaign_drafts.get(call.path["draft_campaign_id"])
    action = body.get("action", "VALIDATE")
    version, current = body.get("draft_hierarchy_version"), draft["draft_hierarchy_version"]
    if version is None and action == "PUBLISH":
        raise refused("draft_hierarchy_version: required to publish")
    if version is not None and version != current:
        raise refused(f"draft_hierarchy_version: the draft is at {current}, not at {version}; read it again")
    result = _examine(account, draft)
    if result.errors or result.campaign is None:
        raise refused("the draft is not valid", validation_errors=result.errors)
    if action == "VALIDATE":
        return Response({"campaign": result.campaign, "validation_errors": []})
    campaign = _go_live(account, (account.campaign_drafts, account.campaigns), "CAMPAIGN", result.campaign)
    if "salesforce_sales_order" in draft:
        account.sales_orders.put({"id": draft["id"], "sales_order": draft["salesforce_sales_order"]})
    for row in result.ad_sets:
        _go_live(account, (account.ad_set_drafts, account.ad_sets), "AD_SET", row)
    for row in result.ads:
        _go_live(account, (account.ad_drafts, account.ads), "CREATIVE", row)
    if campaign["status"] == "ARCHIVED":
        archive(account, campaign["id"])
    forget(account, campaign["id"])
    return Response({"campaign": campaign, "validation_errors": []})
