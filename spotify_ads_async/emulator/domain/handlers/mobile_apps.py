"""Mobile apps: the integrations that live in apps."""

from __future__ import annotations

from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.handlers.datasets import attach, own_account, shared_with, sharing
from spotify_ads_async.emulator.domain.store import Business
from spotify_ads_async.emulator.domain.tables import Row

MOST_APPS = 50
"""So many mobile apps a business may have, as the document tells."""
_SERVER_SIDE = frozenset({"id", "dataset_id", "integration_id", "ad_set_count", "shared_ad_accounts"})
"""Attributes of the shape that a request may hold and that do not come from it."""


def _shown(business: Business, row: Row) -> Row:
    count = sum(
        ad_set.get("mobile_app_id") == row["id"] and ad_set["status"] in {"ACTIVE", "READY"}
        for account in business.accounts()
        for ad_set in account.ad_sets
    )
    return {**row, "ad_set_count": count}


def _listed(call: Call, rows: list[Row]) -> Response:
    return page(call, [_shown(call.business, row) for row in rows], "mobile_apps")


def create_mobile_app_in_business(call: Call) -> Response:
    """``createMobileAppInBusiness``."""
    business, store = call.business, call.store
    body = call.body.get("mobile_app")
    if body is None:
        raise refused("mobile_app: required")
    if len(business.mobile_apps.rows) >= MOST_APPS:
        raise Refusal(422, "LIMIT_EXCEEDED", f"the business has {MOST_APPS} mobile apps, and none beyond that")
    row: Row = {
        **{name: value for name, value in body.items() if name not in _SERVER_SIDE},
        "id": store.new_id(),
        "dataset_id": attach(business, "mobile_apps", body.get("dataset_id"), body["name"]),
        "integration_id": store.new_id(),
        "shared_ad_accounts": [],
    }
    return Response(_shown(business, business.mobile_apps.put(row)), status=201)


def get_mobile_apps_by_business_id(call: Call) -> Response:
    """``getMobileAppsByBusinessId``."""
    return _listed(call, list(call.business.mobile_apps))


def get_mobile_apps_by_business_id_and_ad_account_id(call: Call) -> Response:
    """``getMobileAppsByBusinessIdAndAdAccountId``."""
    business = call.business
    account = own_account(business, call.path["ad_account_id"])
    return _listed(call, [row for row in business.mobile_apps if shared_with(row, account)])


def get_mobile_app_by_business_and_id(call: Call) -> Response:
    """``getMobileAppByBusinessAndId``."""
    return Response(_shown(call.business, call.business.mobile_apps.get(call.path["mobile_app_id"])))


def update_mobile_app_by_business_and_id(call: Call) -> Response:
    """``updateMobileAppByBusinessAndId``."""
    business = call.business
    row = business.mobile_apps.get(call.path["mobile_app_id"])
    change = {name: value for name, value in call.body.items() if name not in _SERVER_SIDE}
    return Response(_shown(business, business.mobile_apps.put({**row, **change})))


share_business_mobile_app_with_ad_account = sharing("mobile_apps", "mobile_app_id", shared=True)
unshare_business_mobile_app_with_ad_account = sharing("mobile_apps", "mobile_app_id", shared=False)
