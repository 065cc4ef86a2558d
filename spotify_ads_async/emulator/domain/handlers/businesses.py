"""Businesses: create, read, change, list."""

from __future__ import annotations

from spotify_ads_async.emulator.domain.answers import Response
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["new_business"]


def new_business(store: Store, body: Row, identifier: str | None = None) -> Row:
    """Put a new business whose admin is the caller."""
    now = store.clock.text()
    row = {
        "id": identifier or store.new_id(),
        "name": body["name"],
        "created_at": now,
        "updated_at": now,
        "status": "ACTIVE",
        "type": body["type"],
    }
    business = store.put_business(row)
    business.members.put(
        {
            "id": store.new_id(),
            "role": "BUSINESS_ADMIN",
            "name": body.get("business_admin_name", store.user.name),
            "email_address": body.get("business_admin_email", store.user.email_address),
            "member_id": store.user.member_id,
            "permission_status": "ACCEPTED",
            "created_at": now,
            "updated_at": now,
            "business_id": row["id"],
            "has_marketing_opt_in": body.get("business_admin_has_marketing_opt_in", False),
            "ad_account_invitations": [],
        }
    )
    return row


def create_business(call: Call) -> Response:
    """``createBusiness``."""
    return Response(new_business(call.store, call.body))


def get_businesses(call: Call) -> Response:
    """``getBusinesses``: those that the caller is a member of."""
    store = call.store
    return Response(
        {
            "businesses": [
                business.row for business in store.businesses.values() if store.user.member_id in business.members
            ]
        }
    )


def get_business(call: Call) -> Response:
    """``getBusiness``."""
    return Response(call.business.row)


def update_business(call: Call) -> Response:
    """``updateBusiness``."""
    row = {**call.business.row, **call.body, "updated_at": call.store.clock.text()}
    return Response(call.store.put_business(row).row)
