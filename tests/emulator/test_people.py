from __future__ import annotations

import pytest
from support.emulated import Api, Json

EMAIL = "new@example.com"


async def invite(api: Api) -> Json:
    body = {
        "email_address": EMAIL,
        "business_role": "BUSINESS_MEMBER",
        "ad_account_invitations": [{"ad_account_id": api.server.ad_account_id, "role": "AD_ACCOUNT_VIEWER"}],
    }
    return await api.expect(200, "POST", f"{api.business}/invitations", json=body)


async def test_an_invitation_makes_a_member_of_business_and_ad_account(api: Api) -> None:
    invitation = await invite(api)
    assert invitation["invitation_status"] == "PENDING"
    pending = (await api.get(f"{api.business}/invitations"))["business_invitations"]
    assert [row["business_invitation_id"] for row in pending] == [invitation["id"]]
    listed = (await api.get(f"{api.business}/members"))["members"]
    assert [(row["permission_status"], row["assigned_ad_accounts"]) for row in listed] == [
        ("ACCEPTED", 1),
        ("PENDING", 1),
    ]
    body = {
        "name": "New Person",
        "email_address": EMAIL,
        "has_marketing_opt_in": False,
        "invitation_id": invitation["id"],
    }
    member = await api.expect(200, "POST", f"{api.business}/members", json=body)
    assert member["role"] == "BUSINESS_MEMBER"
    await api.expect(400, "POST", f"{api.business}/members", json=body)
    accounts = await api.get(f"{api.business}/members/{member['member_id']}/ad_accounts")
    assert [row["id"] for row in accounts["ad_accounts"]] == [api.server.ad_account_id]
    members = (await api.get(f"{api.account}/members"))["ad_account_members"]
    assert {row["member_id"]: row["role"] for row in members}[member["member_id"]] == "AD_ACCOUNT_VIEWER"
    path = f"{api.business}/members/{member['member_id']}"
    assert (await api.expect(200, "PATCH", path, json={"name": "Other Name"}))["name"] == "Other Name"
    assert (await api.expect(200, "PATCH", f"{path}/role", json={"role": "BUSINESS_ADMIN"}))["role"] == "BUSINESS_ADMIN"
    await api.expect(204, "DELETE", path)
    await api.expect(404, "GET", path)
    assert len((await api.get(f"{api.account}/members"))["ad_account_members"]) == 1


async def test_a_cancelled_invitation_is_gone(api: Api) -> None:
    invitation = await invite(api)
    await api.expect(
        400, "POST", f"{api.business}/invitations", json={"email_address": EMAIL, "business_role": "BUSINESS_MEMBER"}
    )
    await api.expect(204, "DELETE", f"{api.business}/invitations/{invitation['id']}")
    assert (await api.get(f"{api.business}/invitations"))["business_invitations"] == []
    body = {
        "name": "New Person",
        "email_address": EMAIL,
        "has_marketing_opt_in": True,
        "invitation_id": invitation["id"],
    }
    await api.expect(400, "POST", f"{api.business}/members", json=body)


async def test_an_invitation_is_for_one_person(api: Api) -> None:
    invitation = await invite(api)
    body = {
        "name": "Mallory",
        "email_address": "other@example.com",
        "has_marketing_opt_in": False,
        "invitation_id": invitation["id"],
    }
    await api.expect(403, "POST", f"{api.business}/members", json=body)


async def test_the_last_admin_stays(api: Api) -> None:
    me = (await api.get(f"{api.business}/members"))["members"][0]["member_id"]
    await api.expect(403, "DELETE", f"{api.business}/members/{me}")
    await api.expect(403, "PATCH", f"{api.business}/members/{me}/role", json={"role": "BUSINESS_MEMBER"})
    await api.expect(400, "DELETE", f"{api.account}/members/{me}")
    await api.expect(400, "PATCH", f"{api.account}/members/{me}", json={"role": "AD_ACCOUNT_VIEWER"})


async def test_ad_account_members_come_from_the_business(api: Api) -> None:
    await api.expect(404, "POST", f"{api.account}/members", json={"member_id": "stranger", "role": "AD_ACCOUNT_ADMIN"})
    invitation = await api.expect(
        200, "POST", f"{api.business}/invitations", json={"email_address": EMAIL, "business_role": "BUSINESS_MEMBER"}
    )
    body = {
        "name": "New Person",
        "email_address": EMAIL,
        "has_marketing_opt_in": False,
        "invitation_id": invitation["id"],
    }
    member = (await api.expect(200, "POST", f"{api.business}/members", json=body))["member_id"]
    added = await api.expect(
        200, "POST", f"{api.account}/members", json={"member_id": member, "role": "AD_ACCOUNT_CONTRIBUTOR"}
    )
    assert added["email_address"] == EMAIL
    changed = await api.expect(200, "PATCH", f"{api.account}/members/{member}", json={"role": "AD_ACCOUNT_ADMIN"})
    assert changed["role"] == "AD_ACCOUNT_ADMIN"
    await api.expect(204, "DELETE", f"{api.account}/members/{member}")
    await api.expect(400, "DELETE", f"{api.account}/members/{member}")


async def test_businesses_are_made_and_renamed(api: Api) -> None:
    made = await api.expect(200, "POST", "/businesses", json={"name": "Second", "type": "AGENCY"})
    assert [row["id"] for row in (await api.get("/businesses"))["businesses"]] == [api.server.business_id, made["id"]]
    assert (await api.expect(200, "PATCH", f"/businesses/{made['id']}", json={"name": "Renamed"}))["name"] == "Renamed"
    assert (await api.get(f"/businesses/{made['id']}"))["type"] == "AGENCY"
    assert (await api.get(f"/businesses/{made['id']}/ad_accounts"))["ad_accounts"] == []


async def test_saves_are_recorded_field_by_field(api: Api) -> None:
    ad_set = await api.first("ad_sets")
    path = f"{api.account}/ad_sets/{ad_set['id']}"
    await api.expect(200, "PATCH", path, json={"name": "Renamed", "bid_micro_amount": 7_000_000})
    await api.expect(200, "PATCH", path, json={"name": "Renamed"})
    await api.expect(200, "PATCH", path, json={"delivery": "OFF"})
    history = await api.get(f"{api.account}/change_history", entity_ids=ad_set["id"])
    latest, first = history["change_history"]
    assert {change["field_type"]: (change["before"], change["after"]) for change in first["changes"]} == {
        "bid_micro_amount": ({"value": ad_set["bid_micro_amount"]}, {"value": 7_000_000}),
        "name": ({"value": ad_set["name"]}, {"value": "Renamed"}),
    }
    assert (first["operation"], first["entity_type"], first["entity_name"]) == ("CHANGED", "AD_SET", "Renamed")
    assert {change["change_category"] for change in latest["changes"]} == {"STATUS"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"entity_type": "CAMPAIGN"}, 3),
        ({"entity_type": "AD_SET"}, 0),
        ({"entity_type": "CAMPAIGN", "entity_name": "AUT"}, 2),
        ({"change_category": "STATUS"}, 2),
        ({"principal_type": "SERVICE"}, 0),
        ({"created_lte": "2001-01-01T00:00:00Z"}, 0),
        ({"created_gte": "2001-01-01T00:00:00Z"}, 3),
        ({"limit": 1}, 1),
        ({"offset": 2}, 1),
    ],
)
async def test_the_history_is_filtered(api: Api, query: Json, found: int) -> None:
    made = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Autumn", "objective": "REACH"})
    await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Spring", "objective": "REACH"})
    await api.expect(200, "PATCH", f"{api.account}/campaigns/{made['id']}", json={"purchase_order": "PO-1"})
    assert len((await api.get(f"{api.account}/change_history", **query))["change_history"]) == found


async def test_the_history_is_kept_for_180_days(api: Api) -> None:
    await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Autumn", "objective": "REACH"})
    api.server.clock.skew += 181 * 86_400
    assert (await api.get(f"{api.account}/change_history", created_gte="2001-01-01T00:00:00Z"))["change_history"] == []
    await api.expect(400, "GET", f"{api.account}/change_history?entity_name=Autumn")


@pytest.mark.parametrize(
    ("name", "email", "shown"),
    [
        ("", "ada@example.com", "ada"),
        ("  Ada  ", "ada@example.com", "Ada"),
        ("Ada\nLovelace", "ada@example.com", "Ada"),
        (" ", " @example.com", "Unnamed"),
        ("", "@", "Unnamed"),
        ("x" * 119 + " y", "", "x" * 119),
    ],
)
async def test_a_member_of_an_ad_account_has_a_name_that_the_document_allows(
    api: Api, name: str, email: str, shown: str
) -> None:
    body = {"email_address": email, "business_role": "BUSINESS_MEMBER"}
    invitation = await api.expect(200, "POST", f"{api.business}/invitations", json=body)
    accepted = {"name": name, "email_address": email, "has_marketing_opt_in": False, "invitation_id": invitation["id"]}
    member = await api.expect(200, "POST", f"{api.business}/members", json=accepted)
    added = {"member_id": member["member_id"], "role": "AD_ACCOUNT_VIEWER"}
    joined = await api.expect(200, "POST", f"{api.account}/members", json=added)
    assert joined["name"] == shown
    assert joined["email_address"] == email
