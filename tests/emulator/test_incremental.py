"""What the API gained in October: campaigns by when they changed, and orders of drafts."""

from __future__ import annotations

from support.emulated import Api

from spotify_ads_async import AdsClient
from spotify_ads_async.models import CampaignUpdate
from spotify_ads_async.types import UtcTime


async def test_campaigns_are_listed_by_when_they_changed(api: Api) -> None:
    before = await api.first("campaigns", sort_field="UPDATED_AT")
    api.server.clock.skew += 3600
    changed = await api.expect(200, "PATCH", f"{api.account}/campaigns/{before['id']}", json={"name": "Changed"})

    async def found(**query: str) -> list[str]:
        return [row["id"] for row in (await api.get(f"{api.account}/campaigns", **query))["campaigns"]]

    everything = await found()
    assert await found(updated_at_gte=changed["updated_at"]) == [before["id"]]
    assert await found(updated_at_gt=changed["updated_at"]) == []
    assert await found(updated_at_gt=before["updated_at"]) == [before["id"]]
    assert set(await found(updated_at_gte="2000-01-01T00:00:00Z")) == set(everything)
    assert await found(updated_at_gt=changed["updated_at"], updated_at_gte="2000-01-01T00:00:00Z") == []
    await api.expect(400, "GET", f"{api.account}/campaigns?updated_at_gte=yesterday")


async def test_a_walk_from_the_moment_at_which_the_last_one_began_misses_no_change(api: Api) -> None:
    async with AdsClient("token", base_url=api.server.base_url) as ads:
        account = ads.ad_account(api.server.ad_account_id)
        known: dict[str, str | None] = {}
        began: UtcTime = api.server.clock.now()
        async for campaign in account.campaigns.list():
            known[str(campaign.id)] = campaign.name
            # Someone renames what has come already, and what is still to come.
            api.server.clock.skew += 60
            other = api.server.store.account(account.id).campaigns
            row = list(other)[len(known) % len(other.rows)]
            await account.campaigns.update(row["id"], CampaignUpdate(name=f"Renamed {len(known)}"))
        async for campaign in account.campaigns.list(updated_at_gte=began):
            known[str(campaign.id)] = campaign.name
        assert known == {row["id"]: row["name"] for row in api.server.store.account(account.id).campaigns}


async def test_drafts_of_ad_sets_come_in_the_order_that_is_asked_for(api: Api) -> None:
    campaign = await api.first("campaigns")
    for name, budget in (("b", 3_000_000), ("c", 1_000_000), ("a", None)):
        body = {"campaign_id": campaign["id"], "name": name} | (
            {"budget": {"micro_amount": budget, "type": "DAILY"}} if budget else {}
        )
        await api.expect(200, "POST", f"{api.account}/drafts/ad_sets", json=body)

    async def names(**query: str) -> list[str]:
        return [row["name"] for row in (await api.get(f"{api.account}/drafts/ad_sets", **query))["ad_set_drafts"]]

    assert await names(sort_field="NAME", sort_direction="ASC") == ["a", "b", "c"]
    assert await names(sort_field="BUDGET", sort_direction="DESC") == ["b", "c", "a"]


async def test_a_campaign_needs_no_objective_and_an_ad_set_changes_its_bid_strategy(api: Api) -> None:
    made = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Plain"})
    assert made["objective"] == "EVEN_IMPRESSION_DELIVERY"
    ad_set = await api.first("ad_sets")
    changed = await api.expect(200, "PATCH", f"{api.account}/ad_sets/{ad_set['id']}", json={"bid_strategy": "AUTOBID"})
    assert changed["bid_strategy"] == "AUTOBID"
    await api.expect(400, "PATCH", f"{api.account}/ad_sets/{ad_set['id']}", json={"bid_strategy": "UNSET"})


async def test_what_is_wrong_with_a_draft_has_codes(api: Api) -> None:
    draft = await api.expect(200, "POST", f"{api.account}/drafts/campaigns", json={"name": "Draft"})
    await api.expect(200, "POST", f"{api.account}/drafts/ad_sets", json={"campaign_id": draft["id"], "name": "Bare"})
    refused = await api.expect(
        400, "POST", f"{api.account}/drafts/campaigns/{draft['id']}", json={"action": "VALIDATE"}
    )
    codes = [code for error in refused["validation_errors"] for code in error["error_codes"]]
    assert codes
    assert all(code.startswith("INVALID.AD_SET.") for code in codes)
