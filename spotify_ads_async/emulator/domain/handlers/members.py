"""Members of a business, and invitations to become one."""

from __future__ import annotations

from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call, paging
from spotify_ads_async.emulator.domain.handlers.ad_accounts import join
from spotify_ads_async.emulator.domain.store import Account, Business
from spotify_ads_async.emulator.domain.tables import Row


def _shown(business: Business, row: Row) -> Row:
    assigned = sum(row["member_id"] in account.members for account in business.accounts())
    return {**row, "assigned_ad_accounts": assigned}


def _as_member(invitation: Row, business: Business) -> Row:
    """A pending invitation as the list of members shows it."""
    invited = invitation["ad_account_invitations"]
    return {
        "id": invitation["id"],
        "role": invitation["role"],
        "email_address": invitation["email_address"],
        "permission_status": "PENDING",
        "created_at": invitation["created_at"],
        "updated_at": invitation["updated_at"],
        "business_id": business.id,
        "ad_account_invitations": invited,
        "assigned_ad_accounts": len(invited),
    }


def _pending(business: Business) -> list[Row]:
    return [row for row in business.invitations if row["invitation_status"] == "PENDING"]


def get_business_members(call: Call) -> Response:
    """``getBusinessMembers``: the caller first, then the other members, then those who are invited."""
    business, me = call.business, call.store.user.member_id
    active = sorted(business.members, key=lambda row: row["member_id"] != me)
    rows = [_shown(business, row) for row in active] + [_as_member(row, business) for row in _pending(business)]
    return Response({"paging": paging(len(rows), 0, max(1, len(rows))), "members": rows})


def get_business_member(call: Call) -> Response:
    """``getBusinessMember``."""
    return Response(_shown(call.business, call.business.members.get(call.path["member_id"])))


def update_business_member(call: Call) -> Response:
    """``updateBusinessMember``."""
    business = call.business
    row = {**business.members.get(call.path["member_id"]), **call.body, "updated_at": call.store.clock.text()}
    return Response(_shown(business, business.members.put(row)))


def _keep_an_admin(business: Business, member_id: str) -> None:
    admins = [row["member_id"] for row in business.members if row["role"] == "BUSINESS_ADMIN"]
    if admins == [member_id]:
        raise Refusal(403, "FORBIDDEN", "the business's last admin must stay one")


def update_business_member_role(call: Call) -> Response:
    """``updateBusinessMemberRole``."""
    business, member_id = call.business, call.path["member_id"]
    if call.body.get("role", "BUSINESS_ADMIN") != "BUSINESS_ADMIN":
        _keep_an_admin(business, member_id)
    return update_business_member(call)


def remove_business_member(call: Call) -> Response:
    """``removeBusinessMember``: from the business's ad accounts too."""
    business, member_id = call.business, call.path["member_id"]
    business.members.get(member_id)
    _keep_an_admin(business, member_id)
    business.members.remove(member_id)
    for account in business.accounts():
        if member_id in account.members:
            account.members.remove(member_id)
    return Response(status=204)


def accept_business_invitation(call: Call) -> Response:
    """``acceptBusinessInvitation``: the invited person becomes a member of the business and the ad accounts named."""
    business, body, store = call.business, call.body, call.store
    invitation = business.invitations.get(body["invitation_id"].lower())
    if invitation["invitation_status"] != "PENDING":
        raise refused(f"invitation_id: the invitation is {invitation['invitation_status']}")
    if invitation["email_address"] != body["email_address"]:
        raise Refusal(403, "FORBIDDEN", "the invitation is for another email address")
    now = store.clock.text()
    business.invitations.put({**invitation, "invitation_status": "ACCEPTED", "updated_at": now})
    row = business.members.put(
        {
            "id": store.new_id(),
            "role": invitation["role"],
            "name": body["name"],
            "email_address": body["email_address"],
            "member_id": store.new_id(),
            "permission_status": "ACCEPTED",
            "created_at": now,
            "updated_at": now,
            "business_id": business.id,
            "has_marketing_opt_in": body["has_marketing_opt_in"],
            "ad_account_invitations": [],
        }
    )
    for invited in invitation["ad_account_invitations"]:
        join(_account(business, invited["ad_account_id"]), business, row["member_id"], invited["role"])
    return Response(_shown(business, row))


def _account(business: Business, ad_account_id: str) -> Account:
    account = business.store.accounts.get(ad_account_id.lower())
    if account is None or account.row["business_id"] != business.id:
        raise refused(f"ad_account_invitations: ad account {ad_account_id} is none of the business")
    return account


def get_pending_invitations(call: Call) -> Response:
    """``getPendingInvitations``."""
    rows = [
        {
            "business_invitation_id": row["id"],
            "email_address": row["email_address"],
            "role": row["role"],
            "ad_account_invitations": row["ad_account_invitations"],
        }
        for row in _pending(call.business)
    ]
    return Response({"business_invitations": rows})


def create_business_invitation(call: Call) -> Response:
    """``createBusinessInvitation``."""
    business, body, store = call.business, call.body, call.store
    invited = body.get("ad_account_invitations", [])
    for one in invited:
        _account(business, one["ad_account_id"])
    if any(row["email_address"] == body["email_address"] for row in [*_pending(business), *business.members]):
        raise refused(f"email_address: {body['email_address']} is a member or invited already")
    now = store.clock.text()
    return Response(
        business.invitations.put(
            {
                "id": store.new_id(),
                "role": body["business_role"],
                "email_address": body["email_address"],
                "invitation_status": "PENDING",
                "created_at": now,
                "updated_at": now,
                "ad_account_invitations": invited,
            }
        )
    )


def cancel_business_invitation(call: Call) -> Response:
    """``cancelBusinessInvitation``."""
    business = call.business
    row = business.invitations.get(call.path["invitation_id"])
    if row["invitation_status"] != "PENDING":
        raise refused(f"invitation_id: the invitation is {row['invitation_status']}")
    business.invitations.put({**row, "invitation_status": "CANCELLED", "updated_at": call.store.clock.text()})
    return Response(status=204)
