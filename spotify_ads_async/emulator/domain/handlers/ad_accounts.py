"""Ad accounts and their members."""

from __future__ import annotations

import re

from spotify_ads_async.emulator.domain.answers import Response, missing, refused
from spotify_ads_async.emulator.domain.call import Call, paging
from spotify_ads_async.emulator.domain.catalogue import CURRENCIES
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.store import Account, Business, Store
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["join", "new_ad_account"]

MOST_CHARACTERS = 120
"""Of the name of a member."""


def _name(person: Row) -> str:
    """A name that the document allows for a member of an ad account, whatever the business knows of the person."""
    known: tuple[str, ...] = (person.get("name", ""), person["email_address"].partition("@")[0])
    lines = (line.strip()[:MOST_CHARACTERS].strip() for text in known for line in text.splitlines())
    return next((line for line in lines if line), "Unnamed")


def join(account: Account, business: Business, member_id: str, role: str) -> Row:
    """Give a member of the business a role in the ad account."""
    person = business.members.get(member_id)
    now = account.store.clock.text()
    before = account.members.rows.get(member_id, {})
    return account.members.put(
        {
            "member_id": member_id,
            "role": role,
            "name": _name(person),
            "email_address": person["email_address"],
            "created_at": before.get("created_at", now),
            "updated_at": now,
            "ad_account_id": account.id,
        }
    )


def _check_name(name: str) -> None:
    """The answer's shape wants two characters at least, and one line."""
    if not re.search(r"^\S.*\S$", name):
        raise refused("name: at least two characters on one line are needed")


def new_ad_account(store: Store, business: Business, body: Row, identifier: str | None = None) -> Account:
    """Put a new ad account, with the caller as its admin."""
    _check_name(body["name"])
    now = store.clock.text()
    country = body["country_code"].upper()
    if country not in CURRENCIES:
        raise refused(f"country_code: {body['country_code']!r} is no market; use one of {', '.join(CURRENCIES)}")
    row: Row = {
        "id": identifier or store.new_id(),
        "business_id": business.id,
        "created_at": now,
        "updated_at": now,
        "country_code": country,
        "industry": body["industry"],
        "website": body.get("website", ""),
        "legal_entity_name": body["legal_entity_name"],
        "billing_address": body["bill_to_address"],
        **({"test_account_type": body["test_account_type"]} if "test_account_type" in body else {}),
        "status": "ACTIVE",
        "status_reason": "",
        "name": body["name"],
        "ad_account_role": "AD_ACCOUNT_ADMIN",
        "tax_id": "",
        "currency_code": CURRENCIES[country],
    }
    account = store.put_account(row)
    store.account_types.put({"id": account.id, "type": body["type"]})
    join(account, business, store.user.member_id, "AD_ACCOUNT_ADMIN")
    return account


def create_ad_account_for_business(call: Call) -> Response:
    """``createAdAccountForBusiness``."""
    account = new_ad_account(call.store, call.business, call.body)
    record(account, "AD_ACCOUNT", None, account.row)
    return Response(account.row)


def get_ad_account(call: Call) -> Response:
    """``getAdAccount``."""
    return Response(call.account.row)


def update_ad_account(call: Call) -> Response:
    """``updateAdAccount``: ``tax_ids`` is written and never answered, its first id becomes ``tax_id``."""
    account, body = call.account, dict(call.body)
    tax_ids = body.pop("tax_ids", [])
    if tax_ids and "tax_id" not in body and "id" in tax_ids[0]:
        body["tax_id"] = tax_ids[0]["id"]
    if "name" in body:
        _check_name(body["name"])
    before = account.row
    call.store.put_account({**before, **body, "updated_at": call.store.clock.text()})
    record(account, "AD_ACCOUNT", before, account.row)
    return Response(account.row)


def get_ad_accounts_in_business(call: Call) -> Response:
    """``getAdAccountsInBusiness``."""
    kind, types = call.query.get("type"), call.store.account_types.rows
    rows = [
        account.row
        for account in call.business.accounts()
        if kind is None or types.get(account.id, {}).get("type") == kind
    ]
    return Response({"ad_accounts": rows})


def get_ad_accounts_for_business_member(call: Call) -> Response:
    """``getAdAccountsForBusinessMember``."""
    business, member_id = call.business, call.path["member_id"]
    business.members.get(member_id)
    rows = [account.row for account in business.accounts() if member_id in account.members]
    return Response({"paging": paging(len(rows), 0, max(1, len(rows))), "ad_accounts": rows})


def get_ad_account_members(call: Call) -> Response:
    """``getAdAccountMembers``."""
    rows = list(call.account.members)
    return Response({"paging": paging(len(rows), 0, max(1, len(rows))), "ad_account_members": rows})


def add_member_to_ad_account(call: Call) -> Response:
    """``addMemberToAdAccount``."""
    account, body = call.account, call.body
    business = call.store.business(account.row["business_id"])
    if body["member_id"] in account.members:
        raise refused(f"member_id: {body['member_id']} is a member of the ad account already")
    return Response(join(account, business, body["member_id"], body["role"]))


def _keep_an_admin(account: Account, member_id: str) -> None:
    admins = [row["member_id"] for row in account.members if row["role"] == "AD_ACCOUNT_ADMIN"]
    if admins == [member_id]:
        raise refused("role: the ad account's last admin must stay one")


def update_ad_account_member_role(call: Call) -> Response:
    """``updateAdAccountMemberRole``."""
    account, member_id = call.account, call.path["member_id"]
    row = account.members.get(member_id)
    role = call.body.get("role", row["role"])
    if role != "AD_ACCOUNT_ADMIN":
        _keep_an_admin(account, member_id)
    return Response(account.members.put({**row, "role": role, "updated_at": call.store.clock.text()}))


def remove_ad_account_member(call: Call) -> Response:
    """``removeAdAccountMember``."""
    account, member_id = call.account, call.path["member_id"]
    if member_id not in account.members:
        raise missing("Member", member_id)
    _keep_an_admin(account, member_id)
    account.members.remove(member_id)
    return Response(status=204)
