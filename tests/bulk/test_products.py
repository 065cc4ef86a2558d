"""Rows of a plan are held to the rules of their campaign's ad product; the rules for people stand in the plan."""

from __future__ import annotations

import json
from typing import Any

import openpyxl
import pytest

from spotify_ads_async import bulk
from spotify_ads_async.emulator.domain.ad_products import CATALOG

from .conftest import MakeWorld, World, rows_of
from .test_workbooks import one_of_each


def reserve(world: World, campaign_id: str, product: str) -> None:
    """Let a campaign be of another ad product."""
    account = world.server.store.account(world.server.ad_account_id)
    account.campaigns.put({**account.campaigns.get(campaign_id), "ad_product": product})


async def test_rows_are_held_to_the_product_of_their_campaign(world: World) -> None:
    reserved = world.ad_sets[0]
    auctioned = next(row for row in world.ad_sets if row["campaign_id"] != reserved["campaign_id"])
    reserve(world, reserved["campaign_id"], "CONTENT")
    caps = json.dumps([{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 4}])
    changes = world.write(
        "changes.csv", ["ad_set_id", "frequency_caps"], [[reserved["id"], caps], [auctioned["id"], caps]]
    )
    with pytest.raises(bulk.BadChanges) as refused:
        await world.plan(changes)
    (problem,) = refused.value.problems
    assert (problem.line, problem.column) == (2, "frequency_caps.max_impressions")
    assert problem.reason == "CONTENT allows at most 3 impressions per day, not 4"
    first, second = rows_of(await world.plan(changes, skip_bad_rows=True))
    assert (first.decision, second.decision) == ("refused", "planned")
    assert world.server.statistics().operations["getAdProductCatalog"] == 2


@pytest.mark.parametrize(
    ("column", "value", "asked"),
    [
        ("name", "New name", 0),
        ("budget.amount", "77.50", 0),
        ("targets.genders", "FEMALE", 1),  # a rule for programs
        ("bid_amount", "7.75", 1),  # a rule for people, of a product that no campaign need have
        ("frequency_caps", "[]", 1),
    ],
)
async def test_campaigns_are_asked_about_where_their_product_matters(
    world: World, monkeypatch: pytest.MonkeyPatch, column: str, value: str, asked: int
) -> None:
    monkeypatch.setitem(CATALOG["ad_products"]["CONTENT"]["ad_set"]["both"], "constraints", ["bid: that of the day"])
    await world.plan(world.write("changes.csv", ["ad_set_id", column], [[world.ad_sets[0]["id"], value]]))
    assert world.server.statistics().operations.get("getCampaigns", 0) == asked


async def test_what_the_server_has_is_never_held_against_a_row(world: World) -> None:
    ad_set = world.ad_sets[0]
    reserve(world, ad_set["campaign_id"], "CONTENT")
    account: Any = world.server.store.account(world.server.ad_account_id)
    account.ad_sets.put({**ad_set, "targets": {**ad_set["targets"], "placements": ["MUSIC"], "genre_ids": ["jazz"]}})
    changes = world.write("changes.csv", ["ad_set_id", "targets.genders"], [[ad_set["id"], "FEMALE"]])
    (row,) = rows_of(await world.plan(changes))
    assert row.decision == "planned"


@pytest.mark.parametrize(
    ("column", "value", "flight", "end"),
    [
        ("end_time", "2099-01-01T00:00:00Z", True, True),
        ("budget.type", "DAILY", False, True),
        ("budget.micro_amount", "77000000", False, False),
        ("delivery", "OFF", False, False),
        ("name", "New name", False, False),
    ],
)
async def test_a_plan_tells_the_rules_for_people_that_name_what_changes(
    world: World, column: str, value: str, *, flight: bool, end: bool
) -> None:
    ad_set = next(row for row in world.ad_sets if row["budget"]["type"] == "LIFETIME")
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", column], [[ad_set["id"], value]]))
    with bulk.PlanFile.open(plan) as opened:
        assert ("AUCTION: A flight lasts 365 days at most" in opened.header.remarks) is flight
        assert ("AUCTION: When budget.type is LIFETIME" in opened.header.remarks) is end


async def test_a_plan_tells_that_the_rules_could_not_be_read(world: World) -> None:
    world.server.add_fault("error", operation="getAdProductCatalog", status=404)
    plan = await world.plan(world.names(1))
    with bulk.PlanFile.open(plan) as opened:
        assert "its rules were not checked" in opened.header.remarks


async def test_ads_find_their_product_by_their_ad_sets(worlds: MakeWorld) -> None:
    async with worlds(ad_sets=4, campaigns=2) as world:
        reserve(world, world.ad_sets[0]["campaign_id"], "CONTENT")
        ads = list(world.account.ads)
        changes = world.write("changes.csv", ["ad_id", "name"], [[ads[0]["id"], "New name"]])
        (row,) = rows_of(await world.plan(changes))
        assert row.decision == "planned"


async def test_what_is_new_is_held_to_the_product_of_its_campaign(world: World) -> None:
    path = one_of_each(world.folder)
    live = next(row for row in world.account.campaigns if row["status"] == "ACTIVE")
    reserve(world, live["id"], "CONTENT")
    sheets = openpyxl.load_workbook(path)
    sheets["campaigns"]["D1"], sheets["campaigns"]["D2"] = "ad_product", "content"
    sheets["ad sets"].append([None, live["name"], "Others", *[cell.value for cell in sheets["ad sets"][2]][3:]])
    sheets.save(path)
    world.server.reset_statistics()
    with pytest.raises(bulk.BadChanges) as refused:
        await world.plan(path)
    found = {one.place: (one.column, one.reason) for one in refused.value.problems}
    music = ("targets.placements", "MUSIC is not among the values of CONTENT: PODCAST")
    assert found == {"ad sets!P2": music, "ad sets!P3": music}
    assert world.server.statistics().operations["getAdProductCatalog"] == 1


async def test_rules_for_people_stand_in_the_plan_of_a_workbook(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    with bulk.WorkbookPlan.open(plan) as opened:
        assert "AUCTION: A flight lasts 365 days at most" in opened.header.remarks
    world.server.add_fault("error", operation="getAdProductCatalog", status=404)
    plan = await world.plan(one_of_each(world.folder), "unread.plan")
    with bulk.WorkbookPlan.open(plan) as opened:
        assert "its rules were not checked" in opened.header.remarks
        assert len(opened.items()) == 3
