from __future__ import annotations

import pytest
from support.emulated import Api, Json

AD_SET = {
    "name": "Drafted",
    "start_time": "2030-01-01T00:00:00Z",
    "budget": {"micro_amount": 100_000_000, "type": "DAILY"},
    "asset_format": "AUDIO",
    "bid_strategy": "MAX_BID",
    "bid_micro_amount": 12_000_000,
    "targets": {"placements": ["MUSIC"]},
}


async def hierarchy(api: Api) -> tuple[Json, Json, Json]:
    assets = {kind: (await api.first("assets", asset_types=kind))["id"] for kind in ("AUDIO", "IMAGE")}
    campaign = await api.expect(
        200, "POST", f"{api.account}/drafts/campaigns", json={"name": "Draft", "objective": "REACH"}
    )
    ad_set = await api.expect(
        200, "POST", f"{api.account}/drafts/ad_sets", json={**AD_SET, "campaign_id": campaign["id"]}
    )
    ad_body = {
        "ad_set_id": ad_set["id"],
        "name": "Spot",
        "advertiser_name": "Example",
        "tagline": "Listen in",
        "assets": {
            "asset_id": assets["AUDIO"],
            "companion_asset_id": assets["IMAGE"],
            "logo_asset_id": assets["IMAGE"],
        },
        "call_to_action": {"clickthrough_url": "https://example.com"},
    }
    ad = await api.expect(200, "POST", f"{api.account}/drafts/ads", json=ad_body)
    return campaign, ad_set, ad


async def version(api: Api, campaign: Json) -> int:
    return (await api.get(f"{api.account}/drafts/campaigns/{campaign['id']}"))["draft_hierarchy_version"]


async def test_a_hierarchy_of_drafts_goes_live_with_the_same_ids(api: Api) -> None:
    campaign, ad_set, ad = await hierarchy(api)
    path = f"{api.account}/drafts/campaigns/{campaign['id']}"
    at = await version(api, campaign)
    valid = await api.expect(200, "POST", path, json={"action": "VALIDATE", "draft_hierarchy_version": at})
    assert valid["validation_errors"] == []
    await api.expect(404, "GET", f"{api.account}/ad_sets/{ad_set['id']}")
    result = await api.expect(200, "POST", path, json={"action": "PUBLISH", "draft_hierarchy_version": at})
    assert result["campaign"] == await api.get(f"{api.account}/campaigns/{campaign['id']}")
    live = await api.get(f"{api.account}/ad_sets/{ad_set['id']}")
    assert (live["campaign_id"], live["status"], live["budget"]["currency"]) == (campaign["id"], "READY", "USD")
    assert (await api.get(f"{api.account}/ads/{ad['id']}"))["ad_set_id"] == ad_set["id"]
    await api.expect(400, "GET", path)
    assert (await api.get(f"{api.account}/drafts/ads"))["ad_drafts"] == []


async def test_the_version_rises_with_every_change_of_the_hierarchy(api: Api) -> None:
    campaign, ad_set, ad = await hierarchy(api)
    assert await version(api, campaign) == 3
    await api.expect(200, "PATCH", f"{api.account}/drafts/ads/{ad['id']}", json={"name": "Other"})
    await api.expect(200, "PATCH", f"{api.account}/drafts/ad_sets/{ad_set['id']}", json={"name": "Other"})
    changed = await api.expect(200, "PATCH", f"{api.account}/drafts/campaigns/{campaign['id']}", json={"name": "Other"})
    assert changed["draft_hierarchy_version"] == 6
    await api.expect(204, "DELETE", f"{api.account}/drafts/ads/{ad['id']}")
    assert await version(api, campaign) == 7
    path = f"{api.account}/drafts/campaigns/{campaign['id']}"
    await api.expect(400, "POST", path, json={"action": "PUBLISH", "draft_hierarchy_version": 3})
    await api.expect(400, "POST", path, json={"action": "PUBLISH"})
    await api.expect(400, "POST", path, json={"draft_hierarchy_version": 3})


async def test_what_is_wrong_with_a_draft_is_named_by_entity(api: Api) -> None:
    campaign, ad_set, ad = await hierarchy(api)
    await api.expect(200, "PATCH", f"{api.account}/drafts/ad_sets/{ad_set['id']}", json={"end_time": "yesterday"})
    await api.expect(200, "PATCH", f"{api.account}/drafts/ads/{ad['id']}", json={"name": "x"})
    path = f"{api.account}/drafts/campaigns/{campaign['id']}"
    for action in ("VALIDATE", "PUBLISH"):
        body = {"action": action, "draft_hierarchy_version": await version(api, campaign)}
        errors = (await api.expect(400, "POST", path, json=body))["validation_errors"]
        assert {(error["validation_entity_type"], error["validation_entity_id"]) for error in errors} == {
            ("AD_SET", ad_set["id"]),
            ("AD", ad["id"]),
        }
        assert all(error["message"] for error in errors)
    await api.expect(400, "GET", f"{api.account}/campaigns/{campaign['id']}")


async def test_a_live_ad_is_changed_by_a_draft_that_brings_its_parents(api: Api) -> None:
    ad = await api.first("ads")
    ad_set = await api.get(f"{api.account}/ad_sets/{ad['ad_set_id']}")
    await api.expect(200, "PATCH", f"{api.account}/ad_sets/{ad_set['id']}", json={"delivery": "OFF"})
    draft = await api.expect(200, "POST", f"{api.account}/ads/{ad['id']}/drafts")
    assert (draft["id"], draft["name"]) == (ad["id"], ad["name"])
    await api.expect(200, "PATCH", f"{api.account}/drafts/ads/{ad['id']}", json={"name": "By draft"})
    campaign = await api.get(f"{api.account}/drafts/campaigns/{ad_set['campaign_id']}")
    body = {"action": "PUBLISH", "draft_hierarchy_version": campaign["draft_hierarchy_version"]}
    await api.expect(200, "POST", f"{api.account}/drafts/campaigns/{campaign['id']}", json=body)
    live = await api.get(f"{api.account}/ads/{ad['id']}")
    assert (live["name"], live["created_at"]) == ("By draft", ad["created_at"])
    after = await api.get(f"{api.account}/ad_sets/{ad_set['id']}")
    assert (after["delivery"], after["name"], after["targets"]) == ("OFF", ad_set["name"], ad_set["targets"])


async def test_drafts_are_listed_by_parent(api: Api) -> None:
    campaign, ad_set, ad = await hierarchy(api)
    other = await api.expect(200, "POST", f"{api.account}/campaigns/{(await api.first('campaigns'))['id']}/drafts")
    listed = await api.get(f"{api.account}/drafts/campaigns", sort_field="NAME", sort_direction="ASC")
    assert [row["name"] for row in listed["campaign_drafts"]] == sorted([campaign["name"], other["name"]])
    assert (await api.get(f"{api.account}/drafts/ad_sets", campaign_ids=campaign["id"]))["ad_set_drafts"][0][
        "id"
    ] == ad_set["id"]
    assert (await api.get(f"{api.account}/drafts/ad_sets", campaign_ids=other["id"]))["ad_set_drafts"] == []
    assert (await api.get(f"{api.account}/drafts/ads", ad_set_ids=ad_set["id"]))["ad_drafts"][0]["id"] == ad["id"]


async def test_deleting_a_campaign_draft_deletes_what_is_in_it_and_nothing_live(api: Api) -> None:
    ad_set = await api.first("ad_sets")
    await api.expect(200, "POST", f"{api.account}/ad_sets/{ad_set['id']}/drafts")
    await api.expect(204, "DELETE", f"{api.account}/drafts/campaigns/{ad_set['campaign_id']}")
    await api.expect(400, "GET", f"{api.account}/drafts/ad_sets/{ad_set['id']}")
    assert await api.get(f"{api.account}/ad_sets/{ad_set['id']}") == ad_set


@pytest.mark.parametrize(
    ("kind", "parent", "path"),
    [("campaigns", "campaign_id", "ad_sets"), ("ad_sets", "ad_set_id", "ads")],
    ids=["campaign", "ad set"],
)
async def test_a_draft_needs_a_parent_that_is_there(api: Api, kind: str, parent: str, path: str) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    await api.expect(400, "POST", f"{api.account}/drafts/{path}", json={parent: nobody, "name": "Orphan"})
    live = await api.first(kind)
    draft = await api.expect(200, "POST", f"{api.account}/drafts/{path}", json={parent: live["id"], "name": "Child"})
    assert draft[parent] == live["id"]
    await api.get(f"{api.account}/drafts/{kind}/{live['id']}")


async def test_a_draft_of_a_reserved_campaign_leaves_out_what_drafts_cannot_say(api: Api) -> None:
    body = {"name": "Reserved", "objective": "REACH", "ad_product": "CONTENT"}
    campaign = await api.expect(200, "POST", f"{api.account}/campaigns", json=body)
    path = f"{api.account}/drafts/campaigns/{campaign['id']}"
    draft = await api.expect(200, "POST", f"{api.account}/campaigns/{campaign['id']}/drafts")
    assert "ad_product" not in draft
    asked = {"action": "PUBLISH", "draft_hierarchy_version": draft["draft_hierarchy_version"]}
    published = await api.expect(200, "POST", path, json=asked)
    assert published["campaign"]["ad_product"] == "CONTENT"
