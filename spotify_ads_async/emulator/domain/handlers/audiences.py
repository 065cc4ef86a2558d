"""Audiences: from customer lists over a signed URL, from events, from engagement, and lookalikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.handlers.datasets import shared_with
from spotify_ads_async.emulator.domain.store import Account, Store
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["list_received"]

LOOKBACK_DAYS = frozenset({30, 60, 90, 180})
_SOURCES: Mapping[str, str] = {
    "CUSTOMER_LIST": "CUSTOMER_LIST",
    "WEB_EVENT": "PIXEL",
    "AD_ENGAGEMENT": "AD_ENGAGEMENT",
    "LIVERAMP": "LIVERAMP",
}
_ROUND = 100
_LOOKALIKE_FACTOR = 10


def _size(people: int) -> Row:
    """An approximate range: whole hundreds around the number."""
    return {"min": people // _ROUND * _ROUND, "max": -(-people // _ROUND) * _ROUND}


def _current(account: Account, row: Row) -> Row:
    return account.processed(account.audiences, row)


def _outcome(people: int) -> Row:
    return {"status": "LIVE" if people else "EMPTY", "size": _size(people)}


def create_upload_url(call: Call) -> Response:
    """``createUploadUrl``: the id is the one to create the audience with."""
    identifier = call.store.new_id()
    return Response(
        {"id": identifier, "upload_url": call.store.storage.upload_url(call.origin, call.account.id, identifier)}
    )


def replace_upload_url(call: Call) -> Response:
    """``replaceUploadUrl``: a file put there replaces the audience's list."""
    account = call.account
    row = account.audiences.get(call.path["audience_id"])
    if row.get("subtype") != "CUSTOMER_LIST":
        raise refused("audience_id: only a customer list has a file")
    return Response({"id": row["id"], "upload_url": call.store.storage.upload_url(call.origin, account.id, row["id"])})


def create_audience(call: Call) -> Response:
    """``createAudience``."""
    body = call.body
    return Response((_lookalike if body["audience_type"] == "LOOKALIKE" else _custom)(call.account, body), status=201)


def _put(account: Account, body: Row, identifier: str, details: Row, people: int) -> Row:
    now = account.store.clock.text()
    row: Row = {
        "created_at": now,
        "updated_at": now,
        "id": identifier,
        "name": body["name"],
        "description": body.get("description", ""),
        "type": body["audience_type"],
        "size": {"min": 0, "max": 0},
        "status": "PROCESSING",
        "lookalike_audience_ids": [],
        "audience_category": "CUSTOM",
        **details,
    }
    account.start_processing(identifier, _outcome(people))
    return account.audiences.put(row)


def _custom(account: Account, body: Row) -> Row:
    subtype = body.get("subtype", "CUSTOMER_LIST")
    details: Row = {"subtype": subtype, "sources": [_SOURCES[subtype]]}
    match subtype:
        case "CUSTOMER_LIST":
            return _customer_list(account, body, details)
        case "WEB_EVENT":
            details |= _web_event(account, body)
            people = 150 * body["lookback_days"]
        case "AD_ENGAGEMENT":
            details |= _engagement(account, body)
            people = 40 * (len(details.get("campaign_ids", ())) * 20 + len(details.get("ad_set_ids", ())))
        case _:
            people = 25_000
    return _put(account, body, account.store.new_id(), details, people)


def _customer_list(account: Account, body: Row, details: Row) -> Row:
    identifier = body.get("audience_id", "").lower()
    if not identifier:
        raise refused("audience_id: a customer list needs the id that createUploadUrl answered")
    if identifier in account.audiences:
        raise refused(f"audience_id: audience {identifier} is there already")
    if not account.store.storage.knows(account.id, identifier):
        raise refused(f"audience_id: {identifier} is no id that createUploadUrl answered")
    return _put(account, body, identifier, details, account.store.storage.rows(identifier))


def _web_event(account: Account, body: Row) -> Row:
    if body.get("lookback_days") not in LOOKBACK_DAYS:
        raise refused("lookback_days: 30, 60, 90 or 180 is needed")
    if not body.get("dataset_ids") or not body.get("included_events"):
        raise refused("dataset_ids, included_events: a web event audience needs both")
    business = account.store.business(account.row["business_id"])
    datasets: list[Row] = []
    for identifier in body["dataset_ids"]:
        row = business.datasets.rows.get(identifier.lower())
        if row is None or not shared_with(row, account):
            raise refused(f"dataset_ids: dataset {identifier} is not shared with the ad account")
        datasets.append({"id": row["id"], "name": row["name"]})
    chosen = {name: body[name] for name in ("included_events", "excluded_events", "lookback_days") if name in body}
    return {"datasets": datasets, **chosen}


def _engagement(account: Account, body: Row) -> Row:
    if not body.get("campaign_ids") and not body.get("ad_set_ids"):
        raise refused("campaign_ids, ad_set_ids: an ad engagement audience needs one of them")
    details: Row = {"exposure_type": body.get("exposure_type", "IMPRESSIONS")}
    for name, table in (("campaign_ids", account.campaigns), ("ad_set_ids", account.ad_sets)):
        if name in body:
            details[name] = [identifier.lower() for identifier in body[name]]
            for identifier in details[name]:
                if identifier not in table:
                    raise refused(f"{name}: {table.noun} {identifier} was not found")
    return details


def _lookalike(account: Account, body: Row) -> Row:
    seed = account.audiences.rows.get(body["seed_audience_id"].lower())
    if seed is None:
        raise refused(f"seed_audience_id: audience {body['seed_audience_id']} was not found")
    seed = _current(account, seed)
    identifier = account.store.new_id()
    account.audiences.put({**seed, "lookalike_audience_ids": [*seed["lookalike_audience_ids"], identifier]})
    details = {"sources": ["AUDIENCE"], "seed_audience_id": seed["id"], "seed_audience_name": seed["name"]}
    return _put(account, body, identifier, details, seed["size"]["max"] * _LOOKALIKE_FACTOR)


def list_received(store: Store, account_id: str, identifier: str, people: int) -> None:
    """A customer list came: an audience that is there already is processed again."""
    account = store.account(account_id)
    row = account.audiences.rows.get(identifier)
    if row is not None:
        account.start_processing(identifier, _outcome(people))
        account.audiences.put({**row, "status": "PROCESSING", "updated_at": store.clock.text()})


def get_audience(call: Call) -> Response:
    """``getAudience``."""
    account = call.account
    return Response(_current(account, account.audiences.get(call.path["audience_id"])))


def edit_audience(call: Call) -> Response:
    """``editAudience``: name and description."""
    account, body = call.account, call.body
    row = _current(account, account.audiences.get(call.path["audience_id"]))
    if row["type"] != body["audience_type"]:
        raise refused(f"audience_type: the audience is {row['type']}")
    change = {name: body[name] for name in ("name", "description") if name in body}
    return Response(account.audiences.put({**row, **change, "updated_at": call.store.clock.text()}))


def delete_audience(call: Call) -> Response:
    """``deleteAudience``: refused while an ad set or a lookalike uses it."""
    account = call.account
    row = account.audiences.get(call.path["audience_id"])
    users = sum(
        row["id"] in ad_set["targets"].get(name, ())
        for ad_set in account.ad_sets
        if ad_set["status"] != "ARCHIVED"
        for name in ("audience_ids", "audience_ids_exclusions")
    )
    if users or row["lookalike_audience_ids"]:
        raise Refusal(
            409,
            "CONFLICT",
            f"the audience is in use by {users} ad sets and {len(row['lookalike_audience_ids'])} lookalikes",
        )
    account.audiences.remove(row["id"])
    if row["id"] in account.processing:
        account.processing.remove(row["id"])
    seed = account.audiences.rows.get(row.get("seed_audience_id", ""))
    if seed is not None:
        account.audiences.put(
            {**seed, "lookalike_audience_ids": [one for one in seed["lookalike_audience_ids"] if one != row["id"]]}
        )
    return Response({"deletion_count": 1})


def batch_get_audiences(call: Call) -> Response:
    """``batchGetAudiences``."""
    account, query = call.account, call.query
    for row in [row for row in account.audiences if row["id"] in account.processing]:
        _current(account, row)
    ids, types, text = query.get("audience_ids"), query.get("audience_types"), query.get("q", "").lower()
    wanted = None if ids is None else frozenset(identifier.lower() for identifier in ids)

    def keep(row: Row) -> bool:
        return (
            (wanted is None or row["id"] in wanted)
            and (types is None or row["type"] in types)
            and text in row["name"].lower()
        )

    order, direction = query["sort_field"].lower(), query["sort_direction"]
    question: Any = (wanted, tuple(types or ()), text, order, direction)
    rows = account.audiences.select(question, keep, lambda row: row[order], descending=direction == "DESC")
    return page(call, rows, "audiences")
