"""Campaigns: create, read, change, list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["archive", "made_campaign", "new_campaign", "trimmed"]

DEFAULT_OBJECTIVE = "EVEN_IMPRESSION_DELIVERY"
WRITABLE_STATUSES = frozenset({"ACTIVE", "PAUSED", "ARCHIVED"})
_ORDERS = {"ID": "id", "NAME": "name", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "STATUS": "status"}


def trimmed(row: Row, fields: Iterable[str] | None) -> Row:
    """The row with only the attributes that ``fields`` names, in capitals; the whole row for None."""
    return row if fields is None else {name.lower(): row[name.lower()] for name in fields if name.lower() in row}


def made_campaign(account: Account, body: Row, identifier: str | None = None) -> Row:
    """The campaign that a request makes; nothing is put."""
    store = account.store
    now = store.clock.text()
    objective = body.get("objective", DEFAULT_OBJECTIVE)
    if objective == "UNSET" and body.get("ad_product", "UNSET") in {"UNSET", "UNKNOWN"}:
        raise refused("objective: UNSET is for ad products without an objective; name the ad_product, or the objective")
    ad_products.hold("campaign", "create", body, body)
    return {
        "id": identifier or store.new_id(),
        "name": body["name"],
        "created_at": now,
        "updated_at": now,
        **({"purchase_order": body["purchase_order"]} if "purchase_order" in body else {}),
        "status": "ACTIVE",
        "objective": objective,
        "delivery_goal_group": body.get("delivery_goal_group", "AWARENESS"),
        **ad_products.reserved(body),
    }


def new_campaign(account: Account, body: Row) -> Row:
    """Put a new campaign made from a request that was checked."""
    row = account.campaigns.put(made_campaign(account, body))
    record(account, "CAMPAIGN", None, row)
    return row


def archive(account: Account, campaign_id: str) -> None:
    """Archive what hangs on an archived campaign: its ad sets and their ads, for good."""
    now = account.store.clock.text()
    gone: set[str] = set()
    for ad_set in [row for row in account.ad_sets if row["campaign_id"] == campaign_id]:
        gone.add(ad_set["id"])
        if ad_set["status"] != "ARCHIVED":
            changed = account.ad_sets.put({**ad_set, "status": "ARCHIVED", "updated_at": now})
            record(account, "AD_SET", ad_set, changed)
    for ad in [row for row in account.ads if row["ad_set_id"] in gone and row["status"] != "ARCHIVED"]:
        changed = account.ads.put({**ad, "status": "ARCHIVED", "updated_at": now})
        record(account, "CREATIVE", ad, changed)


def create_campaign(call: Call) -> Response:
    """``createCampaign``."""
    return Response(new_campaign(call.account, call.body))


def get_campaign(call: Call) -> Response:
    """``getCampaign``."""
    return Response(trimmed(call.account.campaigns.get(call.path["campaign_id"]), call.query.get("fields")))


def update_campaign(call: Call) -> Response:
    """``updateCampaign``: archiving is for good, and takes the ad sets and ads along."""
    account, body = call.account, call.body
    row = account.campaigns.get(call.path["campaign_id"])
    if row["status"] == "ARCHIVED":
        raise refused("status: an archived campaign cannot be changed")
    if body.get("status", "ACTIVE") not in WRITABLE_STATUSES:
        raise refused(f"status: {body['status']} cannot be set; use ACTIVE, PAUSED or ARCHIVED")
    ad_products.hold("campaign", "update", body, row, row)
    changed = account.campaigns.put({**row, **body, "updated_at": call.store.clock.text()})
    record(account, "CAMPAIGN", row, changed)
    if body.get("status") == "ARCHIVED":
        archive(account, row["id"])
    return Response(changed)


def get_campaigns(call: Call) -> Response:
    """``getCampaigns``."""
    account, query = call.account, call.query
    ids, statuses = query.get("campaign_ids"), query.get("statuses")
    name, ad_set_statuses = query.get("name", "").lower(), query.get("ad_set_statuses")
    sales_order = query.get("salesforce_sales_order")
    after, since = query.get("updated_at_gt"), query.get("updated_at_gte")
    if after is not None:
        since = None  # the document: the one takes precedence over the other
    wanted = None if ids is None else {identifier.lower() for identifier in ids}
    if ad_set_statuses is not None:
        having = {row["campaign_id"] for row in account.ad_sets if row["status"] in ad_set_statuses}
        wanted = having if wanted is None else wanted & having

    def keep(row: Row) -> bool:
        return (
            (wanted is None or row["id"] in wanted)
            and (statuses is None or row["status"] in statuses)
            and (not name or name in row["name"].lower())
            and (after is None or row["updated_at"] > after)
            and (since is None or row["updated_at"] >= since)
            and (sales_order is None or account.sales_orders.rows.get(row["id"], {}).get("sales_order") == sales_order)
        )

    order = _ORDERS[query["sort_field"]]

    def key(row: Row) -> Any:  # noqa: ANN401 - whatever is compared
        return row[order]

    narrowed = None if wanted is None else frozenset(wanted)
    question = (narrowed, tuple(statuses or ()), name, sales_order, after, since, order, query["sort_direction"])
    rows = account.campaigns.select(question, keep, key, descending=query["sort_direction"] == "DESC")
    fields = query.get("fields")
    answer = page(call, rows, "campaigns")
    if fields is not None:
        answer.content["campaigns"] = [trimmed(row, fields) for row in answer.content["campaigns"]]
    return answer
