"""Ads: create, read, change, list."""

from __future__ import annotations

from collections.abc import Mapping

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.clock import parse
from spotify_ads_async.emulator.domain.handlers.campaigns import trimmed
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["check_assets", "made_ad", "new_ad"]

_ORDERS = {"ID": "id", "NAME": "name", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "STATUS": "status"}
_ASSET_TYPES: Mapping[str, frozenset[str]] = {
    "AUDIO": frozenset({"AUDIO"}),
    "VIDEO": frozenset({"VIDEO"}),
    "IMAGE": frozenset({"IMAGE"}),
    "CATALOG": frozenset({"AUDIO", "VIDEO", "IMAGE"}),
}
_HIDDEN = frozenset({"dv_client_code"})


def check_assets(account: Account, assets: Mapping[str, str], asset_format: str) -> None:
    """Refuse assets that are not there or of the wrong type for an ad set of this format."""
    allowed = {
        "asset_id": _ASSET_TYPES[asset_format],
        "companion_asset_id": frozenset({"IMAGE"}),
        "logo_asset_id": frozenset({"IMAGE"}),
        "canvas_asset_id": frozenset({"IMAGE", "VIDEO"}),
    }
    for role, types in allowed.items():  # an ad may have others, that are newer than the document
        identifier = assets.get(role)
        if identifier is None:
            continue
        asset = account.assets.rows.get(identifier.lower())
        if asset is None:
            raise refused(f"assets.{role}: asset {identifier} was not found")
        if asset["asset_type"] not in types:
            raise refused(f"assets.{role}: {asset['asset_type']} does not suit an ad set of format {asset_format}")
    if asset_format == "AUDIO" and "companion_asset_id" not in assets:
        raise refused("assets.companion_asset_id: required when the ad set's asset_format is AUDIO")


def _call_to_action(given: Row, before: Row | None = None) -> Row:
    merged = {"key": "LEARN_MORE", "language": "ENGLISH", **(before or {}), **given}
    if not merged.get("clickthrough_url"):
        raise refused("call_to_action.clickthrough_url: required")
    merged["text"] = merged["key"].replace("_", " ").capitalize()
    return merged


def _check_times(row: Row) -> None:
    start, end = row.get("start_time"), row.get("end_time")
    if start and end and parse(end) <= parse(start):
        raise refused("end_time: must be later than start_time")


def made_ad(account: Account, body: Row, asset_format: str, identifier: str | None = None) -> Row:
    """The ad that a request makes for an ad set of this format; nothing is put."""
    check_assets(account, body["assets"], asset_format)
    store = account.store
    now = store.clock.text()
    row: Row = {
        "delivery": "ON",
        "third_party_tracking": [],
        **{name: value for name, value in body.items() if value is not None and name not in _HIDDEN},
        "id": identifier or store.new_id(),
        "ad_set_id": body["ad_set_id"].lower(),
        "created_at": now,
        "updated_at": now,
        "status": "ACTIVE",
        "call_to_action": _call_to_action(body["call_to_action"]),
    }
    row["ad_preview_url"] = f"https://ads.example.com/preview/{row['id']}"
    _check_times(row)
    return row


def new_ad(account: Account, body: Row) -> Row:
    """Put a new ad made from a request that was checked."""
    ad_set_id = body["ad_set_id"].lower()
    ad_set = account.ad_sets.rows.get(ad_set_id)
    if ad_set is None:
        raise refused(f"ad_set_id: ad set {ad_set_id} was not found")
    if ad_set["status"] == "ARCHIVED":
        raise refused(f"ad_set_id: ad set {ad_set_id} is archived")
    ad_products.hold("ad", "create", body, account.campaigns.get(ad_set["campaign_id"]))
    row = account.ads.put(made_ad(account, body, ad_set["asset_format"]))
    record(account, "CREATIVE", None, row)
    return row


def changed_ad(account: Account, row: Row, body: Row) -> Row:
    """The row with a request's changes; null takes ``start_time`` and ``end_time`` away."""
    changed = {
        **row,
        **{name: value for name, value in body.items() if name not in _HIDDEN},
        "updated_at": account.store.clock.text(),
    }
    for name in ("start_time", "end_time"):
        if changed.get(name, "") is None:
            del changed[name]
    if "call_to_action" in body:
        changed["call_to_action"] = _call_to_action(
            body["call_to_action"], row["call_to_action"] if account.store.patch is PatchMode.MERGE else None
        )
    if "assets" in body:
        check_assets(account, body["assets"], account.ad_sets.get(row["ad_set_id"])["asset_format"])
    _check_times(changed)
    return changed


def create_ad(call: Call) -> Response:
    """``createAd``."""
    return Response(new_ad(call.account, call.body), status=201)


def get_ad(call: Call) -> Response:
    """``getAd``."""
    return Response(trimmed(call.account.ads.get(call.path["ad_id"]), call.query.get("fields")))


def update_ad(call: Call) -> Response:
    """``updateAd``."""
    account = call.account
    row = account.ads.get(call.path["ad_id"])
    if row["status"] == "ARCHIVED":
        raise refused("status: an archived ad cannot be changed")
    campaign = account.campaigns.get(account.ad_sets.get(row["ad_set_id"])["campaign_id"])
    ad_products.hold("ad", "update", call.body, campaign, row)
    changed = account.ads.put(changed_ad(account, row, call.body))
    record(account, "CREATIVE", row, changed)
    return Response(changed)


def get_ads(call: Call) -> Response:
    """``getAds``."""
    account, query = call.account, call.query
    ad_sets, assets, statuses = query.get("ad_set_ids"), query.get("asset_ids"), query.get("statuses")
    name = query.get("name", "").lower()
    of_ad_sets = None if ad_sets is None else frozenset(identifier.lower() for identifier in ad_sets)
    with_assets = None if assets is None else frozenset(identifier.lower() for identifier in assets)

    def keep(row: Row) -> bool:
        return (
            (of_ad_sets is None or row["ad_set_id"] in of_ad_sets)
            and (with_assets is None or not with_assets.isdisjoint(row.get("assets", {}).values()))
            and (statuses is None or row["status"] in statuses)
            and (not name or name in row.get("name", "").lower())
        )

    order, direction = _ORDERS[query["sort_field"]], query["sort_direction"]
    question = (of_ad_sets, with_assets, tuple(statuses or ()), name, order, direction)
    rows = account.ads.select(question, keep, lambda row: row.get(order, ""), descending=direction == "DESC")
    answer = page(call, rows, "ads")
    if query.get("fields") is not None:
        answer.content["ads"] = [trimmed(row, query["fields"]) for row in answer.content["ads"]]
    return answer
