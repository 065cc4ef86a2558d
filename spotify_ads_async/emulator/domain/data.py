"""Data of one's own: a JSON file to begin with, and the same form on the way out.

The file is an object of lists. Rows are in the shape of the API's answers; what an answer would have and a row lacks is
filled in. Rows that belong to an ad account name it in ``ad_account_id``, those of a business in ``business_id``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal
from spotify_ads_async.emulator.domain.checking import check_named
from spotify_ads_async.emulator.domain.handlers.ad_accounts import new_ad_account
from spotify_ads_async.emulator.domain.handlers.ad_sets import made_ad_set
from spotify_ads_async.emulator.domain.handlers.ads import made_ad
from spotify_ads_async.emulator.domain.handlers.businesses import new_business
from spotify_ads_async.emulator.domain.handlers.campaigns import made_campaign
from spotify_ads_async.emulator.domain.handlers.datasets import attach
from spotify_ads_async.emulator.domain.store import Account, Business, Store
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.private_files import read_small_file

__all__ = ["exported", "load_file"]

_LARGEST_FILE = 1024**3
_OF_ACCOUNT = ("assets", "campaigns", "ad_sets", "ads", "audiences", "campaign_drafts", "ad_set_drafts", "ad_drafts")
_OF_BUSINESS = ("datasets", "pixels", "capi_integrations", "mobile_apps", "invitations")


def load_file(store: Store, path: Path) -> Account:
    """Fill the store from a file; the first ad account is the one that the emulator shows.

    Raises:
        OSError: it cannot be read, is larger than a gigabyte, or is a pipe through which nothing comes.
        ValueError: the file is no JSON of this form; the message names the row.
    """
    text = read_small_file(path, _LARGEST_FILE)
    store.renew_identifiers(text)
    try:
        content = msgspec.json.decode(text, type=dict[str, list[dict[str, Any]]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    unknown = content.keys() - {"businesses", "ad_accounts", *_OF_ACCOUNT, *_OF_BUSINESS}
    if unknown:
        raise ValueError(f"{path}: nothing is called {', '.join(sorted(unknown))}")
    for kind, put in _steps(store):
        for index, row in enumerate(content.get(kind, ())):
            try:
                put(row)
            except Refusal as refusal:
                raise ValueError(f"{path}: {kind}[{index}]: {'; '.join(refusal.messages)}") from None
            except KeyError as error:
                raise ValueError(f"{path}: {kind}[{index}]: {error.args[0]} is missing") from None
    if not store.accounts:
        raise ValueError(f"{path}: at least one business and one ad account are needed")
    return next(iter(store.accounts.values()))


def _steps(store: Store) -> Iterator[tuple[str, Callable[[Row], object]]]:
    yield "businesses", lambda row: _business(store, row)
    yield "ad_accounts", lambda row: _account(store, row)
    for kind in _OF_BUSINESS:
        yield kind, lambda row, kind=kind: _put_in_business(store.business(row["business_id"]), kind, row)
    for kind in _OF_ACCOUNT:
        yield kind, lambda row, kind=kind: _put_in_account(store.account(row["ad_account_id"]), kind, row)


def _filled(store: Store, row: Row, owner: str) -> Row:
    """The row without its owner, with an id and times."""
    now = store.clock.text()
    own = {name: value for name, value in row.items() if name != owner}
    return {"id": store.new_id(), "created_at": now, "updated_at": now, **own}


def _put_in_account(account: Account, kind: str, row: Row) -> None:
    filled = {**_DEFAULTS.get(kind, {}), **_filled(account.store, row, "ad_account_id")}
    make = _MAKERS.get(kind)
    account.tables[kind].put(filled if make is None else {**make(account, filled), **filled})


def _put_in_business(business: Business, kind: str, row: Row) -> None:
    table = business.tables[kind]
    own = {name: value for name, value in row.items() if name != "business_id"}
    filled: Row = {table.key: business.store.new_id(), **_DEFAULTS.get(kind, {}), **own}
    if kind in _INTEGRATIONS:
        filled.setdefault("integration_id", business.store.new_id())
        if "dataset_id" not in filled:
            filled["dataset_id"] = attach(business, kind, None, filled["name"])
    table.put(filled)


def _business(store: Store, row: Row) -> Business:
    filled = _filled(store, {"type": "ADVERTISER", **row}, "")
    new_business(store, check_named("CreateBusinessRequest", filled), filled["id"])
    return store.put_business({**store.business(filled["id"]).row, **filled})


def _account(store: Store, row: Row) -> Account:
    kind = row.get("type", "BRAND_ADVERTISER")
    filled = _filled(
        store, {"country_code": "US", "industry": "OTHER", "legal_entity_name": row.get("name", ""), **row}, "type"
    )
    business = store.business(row["business_id"])
    request = {**filled, "type": kind, "bill_to_address": filled.get("billing_address", {"name": business.row["name"]})}
    account = new_ad_account(store, business, check_named("CreateAdAccountRequest", request), filled["id"])
    return store.put_account({**account.row, **filled})


def _campaign(account: Account, row: Row) -> Row:
    return made_campaign(account, check_named("CreateCampaignRequest", {"objective": "REACH", **row}), row["id"])


def _ad_set(account: Account, row: Row) -> Row:
    account.campaigns.get(row["campaign_id"])
    made = made_ad_set(account, check_named("AdSetCreateRequest", row), row["id"])
    row["budget"] = made["budget"]
    row["targets"] = made["targets"]
    return made


def _ad(account: Account, row: Row) -> Row:
    ad_set = account.ad_sets.get(row["ad_set_id"])
    made = made_ad(account, check_named("CreateAdRequest", row), ad_set["asset_format"], row["id"])
    row["call_to_action"] = made["call_to_action"]
    return made


def _asset(_account: Account, row: Row) -> Row:
    check_named("CreateAssetRequest", row)
    return {"status": "READY", "url": f"https://assets.example.com/{row['id']}"}


_MAKERS: Mapping[str, Callable[[Account, Row], Row]] = {
    "ad_sets": _ad_set,
    "ads": _ad,
    "assets": _asset,
    "campaigns": _campaign,
}
_INTEGRATIONS = frozenset({"pixels", "capi_integrations", "mobile_apps"})
_DEFAULTS: Mapping[str, Row] = {
    "audiences": {"type": "CUSTOM", "status": "LIVE", "size": {"min": 1000, "max": 1000}, "lookalike_audience_ids": []},
    "campaign_drafts": {"status": "ACTIVE", "draft_hierarchy_version": 1},
    "capi_integrations": {"events_received": []},
    "datasets": {"is_archived": False, "shared_ad_accounts": []},
    "invitations": {"role": "BUSINESS_MEMBER", "invitation_status": "PENDING", "ad_account_invitations": []},
    "mobile_apps": {"shared_ad_accounts": []},
    "pixels": {"events_received": []},
}
"""What rows have that the file may leave out."""


def exported(store: Store) -> dict[str, list[Row]]:
    """Everything that a file can hold, in the file's form."""
    types = store.account_types.rows
    content: dict[str, list[Row]] = {
        "businesses": list(store.business_rows),
        "ad_accounts": [{**row, "type": types[row["id"]]["type"]} for row in store.account_rows],
    }
    for kind in _OF_BUSINESS:
        content[kind] = [
            {**row, "business_id": business.id}
            for business in store.businesses.values()
            for row in business.tables[kind]
        ]
    for kind in _OF_ACCOUNT:
        content[kind] = [
            {**row, "ad_account_id": account.id} for account in store.accounts.values() for row in account.tables[kind]
        ]
    return content
