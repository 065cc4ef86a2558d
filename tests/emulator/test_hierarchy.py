from __future__ import annotations

from typing import Any

import pytest
from support.emulated import Api, Apis, Json

AD_SET = {
    "name": "Evening listeners",
    "start_time": "2030-01-01T00:00:00Z",
    "end_time": "2030-02-01T00:00:00Z",
    "budget": {"micro_amount": 100_000_000, "type": "DAILY"},
    "asset_format": "AUDIO",
    "bid_strategy": "MAX_BID",
    "bid_micro_amount": 12_000_000,
    "targets": {"geo_targets": {"country_code": "US"}, "placements": ["MUSIC"]},
}
NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_campaign_with_an_ad_set_and_an_ad_is_created_read_and_listed(api: Api) -> None:
    campaign = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Autumn", "objective": "REACH"})
    ad_set = await api.expect(201, "POST", f"{api.account}/ad_sets", json={**AD_SET, "campaign_id": campaign["id"]})
    assets = {kind: (await api.first("assets", asset_types=kind))["id"] for kind in ("AUDIO", "IMAGE")}
    body = {
        "name": "Spot one",
        "advertiser_name": "Example",
        "tagline": "Listen in",
        "ad_set_id": ad_set["id"],
        "assets": {
            "asset_id": assets["AUDIO"],
            "companion_asset_id": assets["IMAGE"],
            "logo_asset_id": assets["IMAGE"],
        },
        "call_to_action": {"clickthrough_url": "https://example.com"},
    }
    ad = await api.expect(201, "POST", f"{api.account}/ads", json=body)
    assert await api.get(f"{api.account}/campaigns/{campaign['id']}") == campaign
    assert await api.get(f"{api.account}/ad_sets/{ad_set['id']}") == ad_set
    assert await api.get(f"{api.account}/ads/{ad['id']}") == ad
    assert (await api.get(f"{api.account}/ad_sets", campaign_ids=campaign["id"]))["ad_sets"] == [ad_set]
    assert (await api.get(f"{api.account}/ads", ad_set_ids=ad_set["id"]))["ads"] == [ad]
    assert ad["call_to_action"]["key"] == "LEARN_MORE"
    assert ad_set["budget"] == {"micro_amount": 100_000_000, "type": "DAILY", "currency": "USD"}
    assert ad_set["status"] == "READY"


async def test_a_list_shows_what_was_changed_since_it_was_read(api: Api) -> None:
    before = (await api.get(f"{api.account}/ad_sets"))["ad_sets"]
    path = f"{api.account}/ad_sets/{before[0]['id']}"
    changed = await api.expect(200, "PATCH", path, json={"name": "Renamed since"})
    after = (await api.get(f"{api.account}/ad_sets"))["ad_sets"]
    assert sorted(row["name"] for row in after) == sorted(["Renamed since", *(row["name"] for row in before[1:])])
    assert changed in after


async def test_absent_settings_get_the_published_defaults(api: Api) -> None:
    campaign = await api.first("campaigns")
    ad_set = await api.expect(201, "POST", f"{api.account}/ad_sets", json={**AD_SET, "campaign_id": campaign["id"]})
    assert [(cap["frequency_unit"], cap["max_impressions"]) for cap in ad_set["frequency_caps"]] == [
        ("DAY", 5),
        ("WEEK", 35),
        ("MONTH", 50),
    ]
    assert ad_set["targets"]["platforms"] == ["ANDROID", "DESKTOP", "IOS"]
    assert (ad_set["pacing"], ad_set["delivery"]) == ("PACING_EVEN", "ON")


async def test_empty_lists_reset_and_other_targets_stay(api: Api) -> None:
    ad_set = await api.first("ad_sets")
    path = f"{api.account}/ad_sets/{ad_set['id']}"
    caps = [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 1}]
    changed = await api.expect(200, "PATCH", path, json={"frequency_caps": caps, "targets": {"platforms": ["IOS"]}})
    assert (changed["frequency_caps"], changed["targets"]["platforms"]) == (caps, ["IOS"])
    reset = await api.expect(200, "PATCH", path, json={"frequency_caps": [], "targets": {"platforms": []}})
    assert reset["frequency_caps"][2]["max_impressions"] == 50
    assert reset["targets"] == ad_set["targets"]


async def test_delivery_goes_alone_and_says_why_the_ad_set_is_paused(api: Api) -> None:
    ad_set = await api.first("ad_sets")
    path = f"{api.account}/ad_sets/{ad_set['id']}"
    await api.expect(400, "PATCH", path, json={"delivery": "OFF", "name": "Another name"})
    off = await api.expect(200, "PATCH", path, json={"delivery": "OFF"})
    assert (off["delivery"], off["is_paused"], off["pause_reason"]) == ("OFF", True, "USER_PAUSED")
    on = await api.expect(200, "PATCH", path, json={"delivery": "ON"})
    assert (on["is_paused"], "pause_reason" in on) == (False, False)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x"},
        {"name": "x" * 201},
        {"name": None},
        {"bid_micro_amount": 0},
        {"bid_micro_amount": "12"},
        {"bid_micro_amount": 1.5},
        {"budget": {"micro_amount": 1}},
        {"budget": {"micro_amount": 0, "type": "DAILY"}},
        {"pacing": "PACING_SOMEHOW"},
        {"start_time": "2030-01-01T00:00:00+01:00"},
        {"start_time": "2030-01-01T00:00:00.5Z"},
        {"start_time": "2030-02-30T00:00:00Z"},
        {"end_time": "2001-01-01T00:00:00Z"},
        {"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 0, "max_impressions": 1}]},
        {"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 1}] * 2},
        {"targets": {"age_ranges": [{"min": 40, "max": 20}]}},
        {"targets": {"age_ranges": [{"min": 12}]}},
        {"targets": {"placements": []}},
        {
            "targets": {
                "sensitive_topic_exclusions": {
                    "filter_option": "STANDARD",
                    "topics": [{"id": "drugs", "filter_option": "LIMITED"}],
                }
            }
        },
        ["name"],
        "name",
    ],
)
async def test_a_patch_against_the_rules_is_refused_and_changes_nothing(api: Api, change: Json) -> None:
    ad_set = await api.first("ad_sets")
    path = f"{api.account}/ad_sets/{ad_set['id']}"
    await api.expect(400, "PATCH", path, json=change)
    assert await api.get(path) == ad_set


@pytest.mark.parametrize(
    ("without", "change"),
    [
        ("name", {}),
        ("campaign_id", {}),
        ("targets", {}),
        ("bid_micro_amount", {}),
        ("end_time", {"budget": {"micro_amount": 1, "type": "LIFETIME"}}),
        ("", {"campaign_id": NOBODY}),
        ("", {"bid_strategy": "UNSET"}),
        ("", {"targets": {}}),
        ("", {"end_time": "2029-01-01T00:00:00Z"}),
    ],
)
async def test_an_ad_set_that_lacks_something_is_not_created(api: Api, without: str, change: dict[str, Any]) -> None:
    campaign = await api.first("campaigns")
    body = {**AD_SET, "campaign_id": campaign["id"], **change}
    body.pop(without, None)
    await api.expect(400, "POST", f"{api.account}/ad_sets", json=body)
    assert (await api.get(f"{api.account}/ad_sets", limit=1))["paging"]["total_results"] == 60


async def test_updates_of_campaigns_and_ads_need_something_to_change(api: Api) -> None:
    campaign, ad = await api.first("campaigns"), await api.first("ads")
    await api.expect(400, "PATCH", f"{api.account}/campaigns/{campaign['id']}", json={})
    await api.expect(400, "PATCH", f"{api.account}/ads/{ad['id']}", json={})


async def test_archiving_a_campaign_takes_everything_in_it_along_for_good(api: Api) -> None:
    ad = await api.first("ads")
    ad_set = await api.get(f"{api.account}/ad_sets/{ad['ad_set_id']}")
    campaign = f"{api.account}/campaigns/{ad_set['campaign_id']}"
    await api.expect(200, "PATCH", campaign, json={"status": "ARCHIVED"})
    assert (await api.get(f"{api.account}/ad_sets/{ad_set['id']}"))["status"] == "ARCHIVED"
    assert (await api.get(f"{api.account}/ads/{ad['id']}"))["status"] == "ARCHIVED"
    await api.expect(400, "PATCH", campaign, json={"status": "ACTIVE"})
    await api.expect(400, "PATCH", f"{api.account}/ad_sets/{ad_set['id']}", json={"name": "Again"})
    await api.expect(400, "PATCH", f"{api.account}/ads/{ad['id']}", json={"name": "Again"})


async def test_null_takes_an_ads_times_away(api: Api) -> None:
    ad = await api.first("ads")
    path = f"{api.account}/ads/{ad['id']}"
    times = {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-02T00:00:00Z"}
    changed = await api.expect(200, "PATCH", path, json=times)
    assert {name: changed[name] for name in times} == times
    changed = await api.expect(200, "PATCH", path, json={"start_time": None, "end_time": None})
    assert times.keys().isdisjoint(changed)


async def test_an_ad_needs_assets_that_are_there_and_fit(api: Api) -> None:
    ad = await api.first("ads")
    video = (await api.first("assets", asset_types="VIDEO"))["id"]
    path = f"{api.account}/ads/{ad['id']}"
    await api.expect(400, "PATCH", path, json={"assets": {**ad["assets"], "asset_id": NOBODY}})
    await api.expect(400, "PATCH", path, json={"assets": {**ad["assets"], "logo_asset_id": video}})


async def test_lists_are_filtered_sorted_and_paged(api: Api) -> None:
    everything = [
        row for offset in (0, 50) for row in (await api.get(f"{api.account}/ad_sets", offset=offset))["ad_sets"]
    ]
    assert len({row["id"] for row in everything}) == 60
    assert [row["created_at"] for row in everything] == sorted((row["created_at"] for row in everything), reverse=True)
    page = await api.get(f"{api.account}/ad_sets", sort_field="BUDGET", sort_direction="ASC", limit=7, offset=14)
    assert page["paging"] == {"page_size": 7, "total_results": 60, "offset": 14, "current_page": 3}
    amounts = sorted(row["budget"]["micro_amount"] for row in everything)
    assert [row["budget"]["micro_amount"] for row in page["ad_sets"]] == amounts[14:21]
    wanted = [everything[0]["status"], "ARCHIVED"]
    found = (await api.get(f"{api.account}/ad_sets", statuses=wanted, name="STUDENTS"))["ad_sets"]
    assert [row["id"] for row in found] == [
        row["id"] for row in everything if row["status"] == wanted[0] and "students" in row["name"]
    ]
    assert (await api.get(f"{api.account}/ad_sets", offset=1000))["ad_sets"] == []


async def test_campaigns_are_found_by_the_status_of_their_ad_sets(api: Api) -> None:
    ad_sets = (await api.get(f"{api.account}/ad_sets", statuses="READY"))["ad_sets"]
    found = (await api.get(f"{api.account}/campaigns", ad_set_statuses="READY"))["campaigns"]
    assert {row["id"] for row in found} == {row["campaign_id"] for row in ad_sets}


@pytest.mark.parametrize("kind", ["campaigns", "ads"])
async def test_fields_trim_the_answer(api: Api, kind: str) -> None:
    rows = (await api.get(f"{api.account}/{kind}", fields=["ID", "STATUS"]))[kind]
    assert rows
    assert all(set(row) == {"id", "status"} for row in rows)
    one = await api.get(f"{api.account}/{kind}/{rows[0]['id']}", fields="NAME")
    assert set(one) == {"name"}


@pytest.mark.parametrize(
    "query",
    [
        "statuses=ACTIVE,READY",
        "limit=0",
        "limit=51",
        "limit=x",
        "offset=-1",
        "limit=1&limit=2",
        "sort_field=AGE",
        "campaign_ids=12",
    ],
)
async def test_a_query_against_the_rules_is_refused(api: Api, query: str) -> None:
    await api.expect(400, "GET", f"{api.account}/ad_sets?{query}")


async def test_what_is_not_there_is_answered_with_a_declared_status(api: Api) -> None:
    await api.expect(404, "GET", f"{api.account}/ad_sets/{NOBODY}")
    await api.expect(400, "GET", f"{api.account}/campaigns/{NOBODY}")
    await api.expect(404, "GET", f"/ad_accounts/{NOBODY}/ad_sets")
    await api.expect(400, "GET", f"{api.account}/ad_sets/12")
    await api.expect(404, "GET", "/nothing")
    status, _, headers = await api.send("PUT", f"{api.account}/ad_sets")
    assert (status, headers["Allow"]) == (405, "GET, POST")


async def test_the_same_seed_gives_the_same_rows(apis: Apis) -> None:
    one, same, other = [await apis.start(seed=seed, ad_sets=count) for seed, count in ((3, 30), (3, 60), (4, 30))]
    ids = [{row["id"] for row in (await api.get(f"{api.account}/ad_sets"))["ad_sets"]} for api in (one, other)]
    every = {
        row["id"] for offset in (0, 50) for row in (await same.get(f"{same.account}/ad_sets", offset=offset))["ad_sets"]
    }
    assert one.account == same.account
    assert ids[0] < every
    assert not ids[0] & ids[1]


async def test_businesses_lead_to_their_ad_accounts(api: Api) -> None:
    business = (await api.get("/businesses"))["businesses"][0]
    accounts = (await api.get(f"/businesses/{business['id']}/ad_accounts"))["ad_accounts"]
    assert [account["id"] for account in accounts] == [api.server.ad_account_id]
    body = {"name": "Second account", "industry": "GAMING", "country_code": "SE", "type": "AD_AGENCY"}
    body |= {
        "legal_entity_name": "Second AB",
        "bill_to_address": {"name": "Second AB"},
        "test_account_type": "NO_DELIVERY_NO_BILLING",
    }
    second = await api.expect(200, "POST", f"/businesses/{business['id']}/ad_accounts", json=body)
    assert second["currency_code"] == "SEK"
    assert (await api.get(f"/ad_accounts/{second['id']}/ad_sets"))["paging"]["total_results"] == 0
    found = (await api.get(f"/businesses/{business['id']}/ad_accounts", type="AD_AGENCY"))["ad_accounts"]
    assert [account["id"] for account in found] == [second["id"]]
    renamed = await api.expect(200, "PATCH", f"/ad_accounts/{second['id']}", json={"name": "New name"})
    assert (renamed["name"], renamed["industry"]) == ("New name", "GAMING")
