"""What could ever deliver, by the emulator's own history of changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spotify_ads_async.emulator import Emulator

Row = dict[str, Any]


def moments(server: Emulator) -> Iterator[dict[str, Row]]:
    """Everything that was created or changed since the server began, after each change, by id."""
    state: dict[str, Row] = {}
    for change in server.store.account(server.ad_account_id).changes:
        row = {**state.get(change["entity_id"], {}), "entity_type": change["entity_type"]}
        for one in change["changes"]:
            after = one["after"]
            row[one["field_type"]] = after.get("value") if set(after) <= {"value"} else after
        state[change["entity_id"]] = row
        yield state


def delivering(state: Mapping[str, Row]) -> dict[str, Row]:
    """The ads that could deliver: they are on, in an ad set that is on, in a campaign that is active. By id."""
    able: dict[str, Row] = {}
    for identifier, ad in state.items():
        ad_set = state.get(str(ad.get("ad_set_id")), {})
        campaign = state.get(str(ad_set.get("campaign_id")), {})
        if ad.get("delivery") == ad_set.get("delivery") == "ON" and campaign.get("status") == "ACTIVE":
            able[identifier] = ad
    return able
