"""Drafts: campaigns, ad sets and ads that are not live yet, or live ones being changed.

Only the campaign draft carries ``draft_hierarchy_version``; it rises with every change of the hierarchy.
"""

from __future__ import annotations

from collections.abc import Iterable

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.handlers.ad_sets import ORDERS
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.domain.shapes import named_shape
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row, Table

__all__ = ["touch"]

_SORT = {"ID": "id", "NAME": "name", "CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "STATUS": "status"}


def touch(account: Account, campaign_id: str) -> None:
    """Count one change of a campaign draft's hierarchy."""
    draft = account.campaign_drafts.get(campaign_id)
    version = draft["draft_hierarchy_version"] + 1
    account.campaign_drafts.put({**draft, "draft_hierarchy_version": version, "updated_at": account.store.clock.text()})


def _drafted(shape: str, live: Row) -> Row:
    """The part of a live row that a draft of this shape holds."""
    known = named_shape(shape)["properties"]
    draft = {name: value for name, value in live.items() if name in known}
    if "budget" in draft:
        draft["budget"] = {name: value for name, value in draft["budget"].items() if name != "currency"}
    if "call_to_action" in draft:
        draft["call_to_action"] = {name: value for name, value in draft["call_to_action"].items() if name != "text"}
    return draft


def _dated(account: Account, before: Row | None = None) -> Row:
    now = account.store.clock.text()
    return {"created_at": now if before is None else before["created_at"], "updated_at": now}


def put_campaign_draft(account: Account, body: Row, identifier: str | None = None) -> Row:
    """Put a new campaign draft."""
    return account.campaign_drafts.put(
        {
            "id": identifier or account.store.new_id(),
            **_dated(account),
            "status": "ACTIVE",
            **body,
            "needs_advertiser_review": False,
            "ad_account_id": account.id,
            "modified_by_role": "ADVERTISER",
            "draft_hierarchy_version": 1,
        }
    )


def draft_of_campaign(account: Account, campaign_id: str) -> Row:
    """The draft of a live campaign, made when there is none."""
    draft = account.campaign_drafts.rows.get(campaign_id)
    if draft is not None:
        return draft
    body = _drafted("CampaignDraftRequestProperties", account.campaigns.get(campaign_id))
    known = named_shape("CampaignDraftRequestProperties")["properties"]
    body = {name: value for name, value in body.items() if value in known[name].get("enum", (value,))}
    return put_campaign_draft(account, body, campaign_id)


def draft_of_ad_set(account: Account, ad_set_id: str) -> Row:
    """The draft of a live ad set, made when there is none, together with its campaign's."""
    draft = account.ad_set_drafts.rows.get(ad_set_id)
    if draft is not None:
        return draft
    live = account.ad_sets.get(ad_set_id)
    draft_of_campaign(account, live["campaign_id"])
    row = {**_drafted("AdSetDraftCreateRequest", live), "id": ad_set_id, **_dated(account)}
    touch(account, live["campaign_id"])
    return account.ad_set_drafts.put(row)


def draft_of_ad(account: Account, ad_id: str) -> Row:
    """The draft of a live ad, made when there is none, together with its ad set's."""
    draft = account.ad_drafts.rows.get(ad_id)
    if draft is not None:
        return draft
    live = account.ads.get(ad_id)
    parent = draft_of_ad_set(account, live["ad_set_id"])
    touch(account, parent["campaign_id"])
    return account.ad_drafts.put({**_drafted("AdDraftCreateRequest", live), "id": ad_id, **_dated(account)})


def _parent(drafts: Table, live: Table, field: str, identifier: str) -> None:
    if identifier not in drafts and identifier not in live:
        raise refused(f"{field}: {drafts.noun} {identifier} was not found")


def create_campaign_draft(call: Call) -> Response:
    """``createCampaignDraft``."""
    return Response(put_campaign_draft(call.account, call.body))


def create_ad_set_draft(call: Call) -> Response:
    """``createAdSetDraft``: in a campaign draft, or in a live campaign, which gets a draft by it."""
    account = call.account
    campaign_id = call.body["campaign_id"].lower()
    _parent(account.campaign_drafts, account.campaigns, "campaign_id", campaign_id)
    draft_of_campaign(account, campaign_id)
    row = {"id": call.store.new_id(), **_dated(account), **call.body, "campaign_id": campaign_id}
    touch(account, campaign_id)
    return Response(account.ad_set_drafts.put(row))


def create_ad_draft(call: Call) -> Response:
    """``createAdDraft``: in an ad set draft, or in a live ad set, which gets a draft by it."""
    account = call.account
    ad_set_id = call.body["ad_set_id"].lower()
    _parent(account.ad_set_drafts, account.ad_sets, "ad_set_id", ad_set_id)
    parent = draft_of_ad_set(account, ad_set_id)
    row = {"id": call.store.new_id(), **_dated(account), **call.body, "ad_set_id": ad_set_id}
    touch(account, parent["campaign_id"])
    return Response(account.ad_drafts.put(row))


def create_draft_from_campaign(call: Call) -> Response:
    """``createDraftFromCampaign``."""
    return Response(draft_of_campaign(call.account, call.path["campaign_id"]))


def create_draft_from_ad_set(call: Call) -> Response:
    """``createDraftFromAdSet``."""
    return Response(draft_of_ad_set(call.account, call.path["ad_set_id"]))


def create_draft_from_ad(call: Call) -> Response:
    """``createDraftFromAd``."""
    return Response(draft_of_ad(call.account, call.path["ad_id"]))


def get_campaign_draft(call: Call) -> Response:
    """``getCampaignDraft``."""
    return Response(call.account.campaign_drafts.get(call.path["draft_campaign_id"]))


def get_ad_set_draft(call: Call) -> Response:
    """``getAdSetDraft``."""
    return Response(call.account.ad_set_drafts.get(call.path["draft_ad_set_id"]))


def get_ad_draft(call: Call) -> Response:
    """``getAdDraft``."""
    return Response(call.account.ad_drafts.get(call.path["draft_ad_id"]))


def update_campaign_draft(call: Call) -> Response:
    """``updateCampaignDraft``."""
    account, identifier = call.account, call.path["draft_campaign_id"]
    row = account.campaign_drafts.get(identifier)
    account.campaign_drafts.put({**row, **call.body})
    touch(account, identifier)
    return get_campaign_draft(call)


def update_ad_set_draft(call: Call) -> Response:
    """``updateAdSetDraft``: ``targets`` merge by attribute, as in a live ad set."""
    account = call.account
    row = account.ad_set_drafts.get(call.path["draft_ad_set_id"])
    changed = {**row, **call.body, **_dated(account, row)}
    if "targets" in call.body and account.store.patch is PatchMode.MERGE:
        changed["targets"] = {**row.get("targets", {}), **call.body["targets"]}
    touch(account, row["campaign_id"])
    return Response(account.ad_set_drafts.put(changed))


def update_ad_draft(call: Call) -> Response:
    """``updateAdDraft``."""
    account = call.account
    row = account.ad_drafts.get(call.path["draft_ad_id"])
    touch(account, account.ad_set_drafts.get(row["ad_set_id"])["campaign_id"])
    return Response(account.ad_drafts.put({**row, **call.body, **_dated(account, row)}))


def delete_campaign_draft(call: Call) -> Response:
    """``deleteCampaignDraft``: with everything in it."""
    account, identifier = call.account, call.path["draft_campaign_id"]
    account.campaign_drafts.get(identifier)
    forget(account, identifier)
    return Response(status=204)


def forget(account: Account, campaign_id: str) -> None:
    """Remove a campaign draft with everything in it."""
    ad_sets = [row["id"] for row in account.ad_set_drafts if row["campaign_id"] == campaign_id]
    for ad_set_id in ad_sets:
        _forget_ad_set(account, ad_set_id)
    account.campaign_drafts.remove(campaign_id)


def _forget_ad_set(account: Account, ad_set_id: str) -> None:
    for ad_id in [row["id"] for row in account.ad_drafts if row["ad_set_id"] == ad_set_id]:
        account.ad_drafts.remove(ad_id)
    account.ad_set_drafts.remove(ad_set_id)


def delete_ad_set_draft(call: Call) -> Response:
    """``deleteAdSetDraft``: with its ads."""
    account = call.account
    row = account.ad_set_drafts.get(call.path["draft_ad_set_id"])
    _forget_ad_set(account, row["id"])
    touch(account, row["campaign_id"])
    return Response(status=204)


def delete_ad_draft(call: Call) -> Response:
    """``deleteAdDraft``."""
    account = call.account
    row = account.ad_drafts.get(call.path["draft_ad_id"])
    account.ad_drafts.remove(row["id"])
    touch(account, account.ad_set_drafts.get(row["ad_set_id"])["campaign_id"])
    return Response(status=204)


def _members(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(value.lower() for value in values)


def get_campaign_drafts_v3(call: Call) -> Response:
    """``getCampaignDraftsV3``."""
    account, query = call.account, call.query
    ids, channels, statuses = _members(query.get("campaign_ids")), query.get("channel"), query.get("statuses")

    def keep(row: Row) -> bool:
        return (
            (ids is None or row["id"] in ids)
            and (channels is None or row.get("channel", "UNSET") in channels)
            and (statuses is None or row["status"] in statuses)
        )

    order, direction = _SORT[query["sort_field"]], query["sort_direction"]
    question = (ids, tuple(channels or ()), tuple(statuses or ()), order, direction)
    rows = account.campaign_drafts.select(
        question, keep, lambda row: row.get(order, ""), descending=direction == "DESC"
    )
    return page(call, rows, "campaign_drafts")


def _find(call: Call, drafts: Table, parent: str, parents: Iterable[str] | None, key: str) -> Response:
    """Drafts in the order that is asked for, where one can be asked for; the newest first where not.

    A draft may lack the field.
    """
    order, direction = call.query.get("sort_field", "CREATED_AT"), call.query.get("sort_direction", "DESC")
    wanted, statuses = _members(parents), call.query.get("statuses")

    def keep(row: Row) -> bool:
        return (wanted is None or row[parent] in wanted) and (statuses is None or row.get("status") in statuses)

    question = (wanted, tuple(statuses or ()), order, direction)
    rows = drafts.select(question, keep, ORDERS[order], descending=direction == "DESC")
    return page(call, rows, key)


def get_ad_set_drafts(call: Call) -> Response:
    """``getAdSetDrafts``."""
    return _find(call, call.account.ad_set_drafts, "campaign_id", call.query.get("campaign_ids"), "ad_set_drafts")


def get_ad_drafts(call: Call) -> Response:
    """``getAdDrafts``."""
    return _find(call, call.account.ad_drafts, "ad_set_id", call.query.get("ad_set_ids"), "ad_drafts")
