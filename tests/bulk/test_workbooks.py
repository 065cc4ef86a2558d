"""New campaigns, ad sets and ads from a workbook: planned, made as drafts, validated, published, and taken back."""

from __future__ import annotations

import io
import os
import sqlite3
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from support.lasting_drafts import keep_drafts

from spotify_ads_async import bulk
from spotify_ads_async.bulk.workbook.publishing import field_of
from spotify_ads_async.events import Event, RequestSent
from spotify_ads_async.locks import close_locked, open_locked
from spotify_ads_async.operations import (
    CREATE_AD_SET,
    CREATE_AD_SET_DRAFT,
    CREATE_CAMPAIGN_DRAFT,
    CREATE_DRAFT_FROM_CAMPAIGN,
    DELETE_AD_SET_DRAFT,
    DELETE_CAMPAIGN_DRAFT,
    UPDATE_AD_SET_DRAFT,
    UPDATE_CAMPAIGN,
    UPDATE_CAMPAIGN_DRAFT,
)

from .conftest import MakeWorld, World

START, END = "2030-01-01T06:00:00Z", "2030-02-01T06:00:00Z"
AD_SET = {
    "name": "Students",
    "start_time": START,
    "end_time": END,
    "budget.amount": 50,
    "budget.type": "daily",
    "bid_strategy": "max bid",
    "bid_amount": 15,
    "asset_format": "audio",
    "category": "ADV_1_1",
    "targets.geo_targets.country_code": "US",
    "targets.age_ranges": "18-34",
    "targets.genders": "male, female",
    "targets.platforms": "ios",
    "targets.placements": "music",
}
AD = {
    "name": "Spot A",
    "advertiser_name": "Our company",
    "tagline": "Autumn is here",
    "media": "spot.mp3",
    "logo": "logo.png",
    "companion": "logo.png",
    "call_to_action.key": "learn more",
    "call_to_action.language": "english",
    "call_to_action.clickthrough_url": "https://example.com/autumn",
}
Rows = list[dict[str, Any]]
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(2000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)


def book(path: Path, **sheets: Rows) -> Path:
    """A workbook with a sheet for each kind; ids are blank where a row names none."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title.replace("_", " "))
        names = [f"{title[:-1]}_id", *dict.fromkeys(name for row in rows for name in row if name != f"{title[:-1]}_id")]
        sheet.append(names)
        for row in rows:
            sheet.append([row.get(name) for name in names])
    out = io.BytesIO()
    made.save(out)
    path.write_bytes(out.getvalue())
    return path


def media(folder: Path) -> None:
    (folder / "spot.mp3").write_bytes(MP3)
    (folder / "logo.png").write_bytes(PNG)


def one_of_each(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - cells
    media(folder)
    return book(
        folder / "book.xlsx",
        campaigns=[{"name": "Autumn", "objective": "reach"}],
        ad_sets=[{"campaign": "Autumn", **AD_SET, **changes}],
        ads=[{"ad_set": "Students", **AD}],
    )


async def run(world: World, plan: Path, *, resumes: bool = False, **options: Any) -> list[Any]:  # noqa: ANN401 - options
    async with bulk.apply_workbook(
        world.ads, plan, bulk.Options(settle_after=0.02, grace=0.1, **options), resumes=resumes
    ) as working:
        return [row async for row in working]


def items(plan: Path) -> list[bulk.NewItem]:
    with bulk.WorkbookPlan.open(plan) as opened:
        return opened.items()


async def refused(world: World, path: Path, **options: Any) -> str:  # noqa: ANN401 - options
    with pytest.raises(bulk.BadChanges) as caught:
        await world.plan(path, **options)
    return str(caught.value)


async def test_one_of_each_becomes_valid_drafts_and_is_published(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    before = len(list(world.account.campaigns))
    made = await run(world, plan)
    assert [row.outcome for row in made] == [bulk.RowOutcome.STAGED] * 3
    assert len(list(world.account.campaigns)) == before
    published = await run(world, plan, resumes=True, publish=True)
    assert [row.outcome for row in published] == [bulk.RowOutcome.DONE] * 3
    campaign, ad_set, ad = items(plan)
    live = world.account.ad_sets.get(ad_set.draft_id)
    assert live["budget"]["micro_amount"] == 50_000_000
    assert live["campaign_id"] == campaign.draft_id
    assert live["targets"]["genders"] == ["MALE", "FEMALE"]
    assert world.account.ads.get(ad.draft_id)["ad_set_id"] == ad_set.draft_id


async def test_a_file_is_uploaded_once_however_often_it_is_named(world: World) -> None:
    before = len(list(world.account.assets))
    await run(world, await world.plan(one_of_each(world.folder)))
    assert len(list(world.account.assets)) == before + 2


async def test_everything_that_a_row_lacks_is_said_at_once(world: World) -> None:
    path = book(
        world.folder / "book.xlsx",
        campaigns=[{"objective": "REACH"}],
        ad_sets=[{"name": "Students", "budget.amount": "nothing"}],
    )
    said = await refused(world, path)
    assert "campaigns, row 2: a row without an id is a new campaign, and this one lacks name" in said
    assert "ad sets!C2: budget.amount: 'nothing'" in said
    assert "lacks campaign, start_time, budget.type, " in said
    assert "asset_format" in said


async def test_an_address_on_the_web_is_no_file(world: World) -> None:
    assert "download the sheet as .xlsx or CSV" in await refused(
        world, Path("https://docs.google.com/spreadsheets/d/1")
    )


async def test_an_unknown_parent_makes_nothing(world: World) -> None:
    path = book(world.folder / "book.xlsx", ad_sets=[{"campaign": "Nowhere", **AD_SET}])
    assert "there is no campaign 'Nowhere', in this workbook or live" in await refused(world, path)


async def test_a_parent_of_an_ambiguous_name_is_refused(world: World) -> None:
    live = next(iter(world.account.campaigns))
    twin = {"name": live["name"], "objective": "REACH"}
    path = book(world.folder / "book.xlsx", campaigns=[twin], ad_sets=[{"campaign": live["name"], **AD_SET}])
    said = await refused(world, path)
    assert "more than one campaign is called" in said
    assert f"there is a campaign of this name already, {live['id']}" in said


async def test_an_ad_set_in_a_live_campaign_by_name_or_id(worlds: MakeWorld) -> None:
    for named in ("name", "id"):
        async with worlds(campaigns=8) as world:
            live = next(iter(world.account.campaigns))
            folder = world.folder / named
            folder.mkdir()
            path = book(folder / "book.xlsx", ad_sets=[{"campaign": live[named], **AD_SET}])
            plan = await world.plan(path, f"{named}/new.plan")
            (made,) = await run(world, plan, publish=True)
            assert made.outcome is bulk.RowOutcome.DONE, made.reason
            assert world.account.ad_sets.get(made.draft_id)["campaign_id"] == live["id"]


async def test_a_live_campaign_with_somebody_elses_draft_is_left_alone(world: World) -> None:
    live = next(iter(world.account.campaigns))
    path = {"ad_account_id": world.server.ad_account_id, "campaign_id": live["id"]}
    await world.ads.call(CREATE_DRAFT_FROM_CAMPAIGN, path=path)
    plan = await world.plan(book(world.folder / "book.xlsx", ad_sets=[{"campaign": live["id"], **AD_SET}]))
    (made,) = await run(world, plan)
    assert made.outcome is bulk.RowOutcome.FAILED
    assert "has a draft already" in made.reason


async def test_the_same_names_twice_make_nothing_twice(world: World) -> None:
    path = one_of_each(world.folder)
    await run(world, await world.plan(path))
    assert "there is a campaign of this name already" in await refused(world, path, name="again.plan")
    twins = book(
        world.folder / "twins.xlsx",
        campaigns=[{"name": "Same", "objective": "REACH"}, {"name": "same", "objective": "REACH"}],
    )
    assert "is the name of campaigns, row 2, too" in await refused(world, twins, name="twins.plan")


async def test_names_are_the_same_however_their_letters_are_composed(world: World) -> None:
    composed, typed = "Caf\u00e9 one", "cafe\u0301 \u00a0ONE "
    media(world.folder)
    (world.folder / "spot.mp3").rename(world.folder / "Spot\u00e9.mp3")
    path = book(
        world.folder / "book.xlsx",
        campaigns=[{"name": composed, "objective": "reach"}],
        ad_sets=[{"campaign": typed, **AD_SET}],
        ads=[{"ad_set": "STUDENTS", **AD, "media": "spote\u0301.MP3"}],
    )
    await run(world, await world.plan(path))
    twin = book(world.folder / "twin.xlsx", campaigns=[{"name": typed, "objective": "reach"}])
    assert "there is a campaign of this name already" in await refused(world, twin, name="twin.plan")


async def test_new_and_changed_rows_are_one_plan(world: World) -> None:
    live = next(iter(world.account.campaigns))
    rows = [{"campaign_id": live["id"], "name": "Renamed"}, {"name": "Autumn", "objective": "REACH"}]
    path = book(world.folder / "book.xlsx", campaigns=rows, ad_sets=[{"campaign": "Renamed", **AD_SET}])
    plan = await world.plan(path)
    outcomes = [row.outcome for row in await run(world, plan)]
    assert outcomes.count(bulk.RowOutcome.STAGED) == 2
    assert outcomes.count(bulk.RowOutcome.DONE) == 1
    assert world.account.campaigns.get(live["id"])["name"] == "Renamed"


async def test_what_is_there_cannot_be_moved(world: World) -> None:
    path = book(world.folder / "book.xlsx", ad_sets=[{"ad_set_id": world.ad_sets[0]["id"], "campaign": "Autumn"}])
    assert "can be given to what is new alone" in await refused(world, path)


async def test_validation_errors_come_back_to_their_cells(world: World) -> None:
    path = one_of_each(world.folder)
    sheet = openpyxl.load_workbook(path)
    sheet["ads"]["F2"] = str(uuid.UUID(int=7))
    sheet.save(path)
    made = await run(world, await world.plan(path))
    bad = [row for row in made if row.state is bulk.NewState.INVALID]
    assert [row.plural for row in bad] == ["ads"]
    assert bad[0].cell == "ads!F2", bad[0].reason


async def test_children_of_what_cannot_be_made_are_not_tried(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    (world.folder / "spot.mp3").write_bytes(MP3 + b"changed")
    made = await run(world, plan)
    assert [row.state for row in made if row.plural == "ads"] == [bulk.NewState.FAILED]
    assert "changed since" in next(row.reason for row in made if row.plural == "ads")


@pytest.mark.parametrize("operation", ["createCampaignDraft", "createAdSetDraft", "createAdDraft"])
@pytest.mark.parametrize("lost", [False, True])
async def test_a_create_of_which_the_server_knows_nothing_is_made_once(
    world: World, operation: str, *, lost: bool
) -> None:
    account = world.account
    drafts = {
        "createCampaignDraft": account.campaign_drafts,
        "createAdSetDraft": account.ad_set_drafts,
        "createAdDraft": account.ad_drafts,
    }

    lost_rows: list[str] = []

    def lose(event: Event) -> None:
        if (
            lost
            and not lost_rows
            and isinstance(event, RequestSent)
            and event.operation.startswith("get")
            and list(drafts[operation])
        ):
            for row in list(drafts[operation]):
                drafts[operation].remove(row["id"])
            lost_rows.append(event.operation)

    plan = await world.plan(one_of_each(world.folder))
    world.server.add_fault("indeterminate", operation=operation, times=1)
    world.ads.listeners.add(lose)
    made = await run(world, plan)
    assert [row.outcome for row in made] == [bulk.RowOutcome.STAGED] * 3
    assert [len(list(table)) for table in drafts.values()] == [1, 1, 1]


async def test_what_was_not_published_after_all_says_so(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    world.server.add_fault("reset", operation="publishCampaignDraft", skip=1)
    for row in await run(world, plan, publish=True):
        assert row.is_unfinished
        assert "not published: the request took no effect; resume the plan" in row.reason
    world.server.clear_faults()
    assert not any(row.is_unfinished for row in await run(world, plan, resumes=True, publish=True))


async def test_refused_credentials_end_the_run_at_once(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    world.server.add_fault("unauthorized", operation="createAsset")
    async with bulk.apply_workbook(world.ads, plan, bulk.Options(grace=0.1)) as working:
        assert [row.state async for row in working] == [bulk.NewState.FAILED]
    assert working.progress.stopped.startswith("the credentials were refused")


async def test_a_file_that_somebody_deletes_while_it_is_processed_is_not_waited_for(
    worlds: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spotify_ads_async.bulk.workbook.media._NOTICED_SECONDS", 0.0)

    def delete(event: Event) -> None:
        if isinstance(event, RequestSent) and event.operation == "createAdDraft":
            for row in [one for one in world.account.assets if one["name"].startswith("spot ")]:
                world.account.assets.remove(row["id"])

    async with worlds(processing=1.0) as world:
        world.ads.listeners.add(delete)
        made = {row.name: row for row in await run(world, await world.plan(one_of_each(world.folder)))}
    assert made["Spot A"].state is bulk.NewState.INVALID
    assert "is gone: somebody deleted it" in made["Spot A"].reason


async def test_media_that_are_not_there_or_not_of_their_kind(world: World) -> None:
    path = one_of_each(world.folder)
    (world.folder / "logo.png").write_bytes(MP3)
    (world.folder / "spot.mp3").unlink()
    said = await refused(world, path)
    assert "ads!F2: media: 'spot.mp3' is no file beside the workbook" in said
    assert "logo: " in said
    path = book(path, ads=[{"ad_set": "Students", **AD, "media": "x" * 5000}])
    said = await refused(world, path)
    assert f"ads!F2: media: '{'x' * 60}' is no file" in said


async def test_drafts_are_deleted_again_and_what_is_live_stays_unless_asked(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    await run(world, plan)
    assert await bulk.remove_new(world.ads, plan) == 0
    assert list(world.account.campaign_drafts) == []
    assert {item.state for item in items(plan)} == {bulk.NewState.DELETED}


async def test_what_is_published_is_archived_on_request(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    await run(world, plan, publish=True)
    assert await bulk.remove_new(world.ads, plan) == 3
    assert await bulk.remove_new(world.ads, plan, archive=True) == 0
    campaign = items(plan)[0]
    assert world.account.campaigns.get(campaign.draft_id)["status"] == "ARCHIVED"


async def test_what_others_did_with_drafts_is_seen(world: World) -> None:
    """Undo and publishing leave alone what somebody published, deleted or put into the drafts meanwhile."""
    names = ["Live", "Deleted", "Added"]
    media(world.folder)
    path = book(
        world.folder / "book.xlsx",
        campaigns=[{"name": name, "objective": "reach"} for name in names],
        ad_sets=[{"campaign": name, **AD_SET, "name": f"{name} set"} for name in names],
        ads=[{"ad_set": f"{name} set", **AD, "name": f"{name} ad"} for name in names],
    )
    plan, twin = await world.plan(path), await world.plan(path, name="twin.plan")
    await run(world, plan)
    with pytest.raises(bulk.WrongPlan, match="campaigns, row 2: since this was planned, somebody made campaign Live"):
        await run(world, twin)
    by_name = {one.name: one for one in items(plan)}
    account = world.ads.ad_account(world.server.ad_account_id)
    live, added = by_name["Live"].draft_id, by_name["Added"].draft_id
    await account.trees.publish(live, version=await account.trees.version(live))
    paths = {"ad_account_id": account.id}
    await world.ads.call(DELETE_CAMPAIGN_DRAFT, path={**paths, "draft_campaign_id": by_name["Deleted"].draft_id})
    body = {**by_name["Added set"].body, "campaign_id": added, "name": "A colleague's"}
    await world.ads.call(CREATE_AD_SET_DRAFT, path=paths, body=body)
    ended = {row.name: row for row in await run(world, plan, resumes=True, publish=True)}
    states = bulk.NewState
    assert [(row.name, row.state) for row in items(plan) if row.plural == "ads"] == [
        ("Live ad", states.PUBLISHED),
        ("Deleted ad", states.GONE),
        ("Added ad", states.MADE),
    ]
    assert "somebody put A colleague's into the draft" in ended["Added ad"].reason
    assert ended["Deleted ad"].is_unfinished
    assert await bulk.remove_new(world.ads, plan) == 3
    assert [draft["name"] for draft in world.account.campaign_drafts] == ["Added"]
    await world.ads.call(UPDATE_CAMPAIGN, path={**paths, "campaign_id": live}, body={"status": "ARCHIVED"})
    assert await bulk.remove_new(world.ads, plan, archive=True, force=True) == 0
    assert list(world.account.campaign_drafts) == []
    assert {row.state for row in items(plan)} == {states.ARCHIVED, states.GONE, states.DELETED}


async def test_an_undo_leaves_drafts_that_somebody_changed(world: World) -> None:
    path = one_of_each(world.folder)
    plan = await world.plan(path)
    await run(world, plan)
    campaign, ad_set, _ = items(plan)
    paths = {"ad_account_id": world.server.ad_account_id}
    theirs = {"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3}]}
    await world.ads.call(
        UPDATE_AD_SET_DRAFT, path={**paths, "draft_ad_set_id": ad_set.draft_id}, body={"bid_micro_amount": 9, **theirs}
    )
    await world.ads.call(
        UPDATE_CAMPAIGN_DRAFT, path={**paths, "draft_campaign_id": campaign.draft_id}, body={"name": "Theirs"}
    )
    said = "changed name of Autumn and changed bid_micro_amount, frequency_caps of Students"
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    with bulk.WorkbookPlan.open(undo) as opened:
        assert "ad set Students: somebody changed bid_micro_amount, frequency_caps" in opened.header.remarks
        assert "it stays; --force" in opened.header.remarks
    await bulk.plan_undo(world.ads, plan, world.folder / "forced.plan", force=True)
    with bulk.WorkbookPlan.open(world.folder / "forced.plan") as opened:
        assert "it stays" not in opened.header.remarks
    for told in await run(world, undo):
        assert (told.outcome, said in told.reason) == (bulk.RowOutcome.FAILED, True)
    assert [one["name"] for one in world.account.campaign_drafts] == ["Theirs"]
    assert {one.outcome for one in await run(world, undo, resumes=True, force=True)} == {bulk.RowOutcome.DONE}
    assert list(world.account.campaign_drafts) == []


async def test_an_undo_leaves_a_live_campaign_with_an_ad_set_of_somebody_elses(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    await run(world, plan, publish=True)
    campaign, ad_set, _ = items(plan)
    body = {**ad_set.body, "campaign_id": campaign.draft_id, "name": "A colleague's"}
    await world.ads.call(CREATE_AD_SET, path={"ad_account_id": world.server.ad_account_id}, body=body)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo, archive=True)
    with bulk.WorkbookPlan.open(undo) as opened:
        assert "campaign Autumn: somebody put 1 of their own into it (A colleague's)" in opened.header.remarks
    assert {one.outcome for one in await run(world, undo)} == {bulk.RowOutcome.FAILED}
    assert world.account.campaigns.get(campaign.draft_id)["status"] == "ACTIVE"
    assert await bulk.remove_new(world.ads, plan, archive=True, force=True) == 0
    assert world.account.campaigns.get(campaign.draft_id)["status"] == "ARCHIVED"


async def test_an_undo_that_is_refused_goes_on_with_the_rest(world: World) -> None:
    path = book(world.folder / "book.xlsx", campaigns=[{"name": name, "objective": "reach"} for name in ("One", "Two")])
    plan = await world.plan(path)
    await run(world, plan)
    world.server.add_fault("error", status=403, operation="deleteCampaignDraft", times=1)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    assert sorted(one.outcome for one in await run(world, undo)) == [bulk.RowOutcome.DONE, bulk.RowOutcome.FAILED]


async def test_an_undo_says_where_a_deletion_had_no_effect(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    await run(world, plan)
    keep_drafts(world.server)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    for told in await run(world, undo):
        assert (told.outcome, "is deleted, and it is still there" in told.reason) == (bulk.RowOutcome.FAILED, True)
    assert all(one.is_there for one in items(plan))


async def test_an_undo_tells_of_drafts_that_a_killed_run_may_have_made(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    account = {"ad_account_id": world.server.ad_account_id}
    await world.ads.call(CREATE_CAMPAIGN_DRAFT, path=account, body=items(plan)[0].body)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    (told,) = await run(world, undo)
    (draft,) = world.account.campaign_drafts
    assert told.is_unfinished
    assert f"a draft of this name is there ({draft['id']})" in told.reason


async def test_a_resume_that_cannot_look_at_the_drafts_still_makes_the_rest_later(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    world.server.add_fault("error", status=403, operation="createAdSetDraft", times=1)
    await run(world, plan)
    world.server.add_fault("error", status=403, operation="getCampaignDraftsV3", times=1)
    await run(world, plan, resumes=True)
    assert [one.state for one in items(plan)] == [bulk.NewState.MADE, bulk.NewState.WAITING, bulk.NewState.WAITING]
    await run(world, plan, resumes=True, publish=True)
    assert {one.state for one in items(plan)} == {bulk.NewState.PUBLISHED}
    assert len(list(world.account.ad_set_drafts)) == 0


async def test_a_colleagues_draft_in_a_live_campaign_is_not_published(world: World) -> None:
    live = next(iter(world.account.campaigns))
    plan = await world.plan(book(world.folder / "book.xlsx", ad_sets=[{"campaign": live["id"], **AD_SET}]))
    (made,) = await run(world, plan)
    paths = {"ad_account_id": world.server.ad_account_id}
    body = {**made.body, "campaign_id": live["id"], "name": "A colleague's"}
    await world.ads.call(CREATE_AD_SET_DRAFT, path=paths, body=body)
    (held,) = await run(world, plan, resumes=True, publish=True)
    assert "somebody put A colleague's into the draft" in held.reason
    await world.ads.call(DELETE_AD_SET_DRAFT, path={**paths, "draft_ad_set_id": made.draft_id})
    await run(world, plan, resumes=True, publish=True)
    assert [one.state for one in items(plan)] == [bulk.NewState.GONE]
    assert [draft["name"] for draft in world.account.ad_set_drafts] == ["A colleague's"]


async def test_an_ad_in_a_live_ad_set_is_published_by_a_later_run(world: World) -> None:
    media(world.folder)
    live = next(one for one in world.account.ad_sets if one["asset_format"] == "AUDIO")
    plan = await world.plan(book(world.folder / "book.xlsx", ads=[{"ad_set": live["id"], **AD}]))
    await run(world, plan)
    changed = {**world.account.ad_sets.get(live["id"]), "name": "A colleague's"}
    world.account.ad_sets.put(changed)
    (held,) = await run(world, plan, resumes=True, publish=True)
    assert f"ad set “{live['name']}”" in held.reason
    assert "--force publishes it" in held.reason
    assert world.account.ad_sets.get(live["id"]) == changed
    world.account.ad_sets.put({**changed, "name": live["name"]})
    (made,) = await run(world, plan, resumes=True, publish=True)
    assert (made.state, made.reason) == (bulk.NewState.PUBLISHED, "")


async def test_changes_go_before_what_is_new_and_publishing_later_keeps_them(world: World) -> None:
    live = next(iter(world.account.campaigns))
    sheets = {
        "campaigns": [{"campaign_id": live["id"], "name": "Renamed"}],
        "ad_sets": [{"campaign": live["id"], **AD_SET}],
    }
    plan = await world.plan(book(world.folder / "book.xlsx", **sheets))
    changed, made = await run(world, plan)
    assert (changed.outcome, made.outcome) == (bulk.RowOutcome.DONE, bulk.RowOutcome.STAGED)
    (published,) = await run(world, plan, resumes=True, publish=True)
    assert (published.state, published.reason) == (bulk.NewState.PUBLISHED, "")
    assert world.account.campaigns.get(live["id"])["name"] == "Renamed"


async def test_the_example_of_a_template_is_not_made(world: World) -> None:
    path = world.folder / "plan.xlsx"
    await bulk.write_template(world.ads, world.server.ad_account_id, path)
    with pytest.raises(bulk.BadChanges) as refused:
        await world.plan(path)
    assert [one.place for one in refused.value.problems] == ["campaigns!B2", "ad sets!C2", "ads!C2"]


async def test_a_template_of_a_live_campaign_changes_nothing(world: World) -> None:
    campaign = next(iter(world.account.campaigns))
    path = world.folder / "plan.xlsx"
    await bulk.write_template(world.ads, world.server.ad_account_id, path, campaign_id=campaign["id"])
    plan = await world.plan(path)
    assert items(plan) == []
    with bulk.WorkbookPlan.open(plan) as opened:
        parts = [part for _, part in opened.parts()]
    for part in parts:
        with bulk.PlanFile.open(part) as changes:
            assert {row.outcome for row in changes.rows()} == {bulk.RowOutcome.UNCHANGED}


async def test_a_cancelled_run_is_resumed_and_makes_everything_once(world: World) -> None:
    media(world.folder)
    campaigns = [{"name": f"Campaign {number}", "objective": "REACH"} for number in range(4)]
    ad_sets = [{"campaign": f"Campaign {number % 4}", **AD_SET, "name": f"Set {number}"} for number in range(20)]
    ads = [{"ad_set": f"Set {number % 20}", **AD, "name": f"Ad {number}"} for number in range(60)]
    plan = await world.plan(book(world.folder / "book.xlsx", campaigns=campaigns, ad_sets=ad_sets, ads=ads))
    first = True
    for stop_after in (1, 5, 20, 40, 1000):
        options = bulk.Options(settle_after=0.02, grace=0.0)
        async with bulk.apply_workbook(world.ads, plan, options, resumes=not first) as working:
            first = False
            count = len(list(world.account.ad_drafts)) + len(list(world.account.ad_set_drafts))
            world.server.store.listeners.append(partial(_stop, working, world, count + stop_after))
            async for _ in working:
                pass
    account = world.account
    assert (len(list(account.campaign_drafts)), len(list(account.ad_set_drafts)), len(list(account.ad_drafts))) == (
        4,
        20,
        60,
    )
    assert {item.state for item in items(plan)} == {bulk.NewState.MADE}


def _stop(working: bulk.WorkbookRun, world: World, count: int, *_: object) -> None:
    if len(list(world.account.ad_drafts)) + len(list(world.account.ad_set_drafts)) >= count:
        working.stop("enough")


async def test_no_request_is_made_that_nothing_needs(world: World) -> None:
    plan = await world.plan(one_of_each(world.folder))
    world.server.reset_statistics()
    await run(world, plan, looked_at=time.monotonic())
    made = {**world.server.statistics().operations}
    del made["getAssetsByAdAccount"]  # as often as processing takes
    assert made == {
        "createCampaignDraft": 1,
        "createAdSetDraft": 1,
        "createAdDraft": 1,
        "createAsset": 2,
        "uploadAsset": 2,
        "getCampaignDraftsV3": 1,
        "publishCampaignDraft": 1,
    }


async def test_an_ad_is_drafted_while_its_files_are_processed_and_validated_when_they_are_ready(
    worlds: MakeWorld,
) -> None:
    async with worlds(processing=3600.0) as world:
        asked: list[tuple[str, frozenset[str]]] = []
        processing: set[int] = set()
        plan = await world.plan(one_of_each(world.folder))
        working = bulk.apply_workbook(world.ads, plan)

        def hear(event: Event) -> None:
            if isinstance(event, RequestSent):
                own = [row for row in world.account.assets if row["name"].startswith(("spot ", "logo "))]
                asked.append((event.operation, frozenset(row["status"] for row in own)))
                processing.add(working.progress.processing)
                for row in own if working.progress.processing == len(own) else []:  # everything else is made
                    world.account.assets.put({**row, "status": "READY"})

        world.ads.listeners.add(hear)
        async with working:
            assert [row.outcome async for row in working] == [bulk.RowOutcome.STAGED] * 3
    assert {0, 2} <= processing
    assert working.progress.processing == 0
    assert ("createAdDraft", frozenset({"PROCESSING"})) in asked
    assert asked[-1] == ("publishCampaignDraft", frozenset({"READY"}))


async def test_a_draft_that_is_refused_while_its_files_are_processed_is_made_when_they_are_ready(
    worlds: MakeWorld,
) -> None:
    async with worlds(processing=0.3) as world:
        world.server.add_fault("error", operation="createAdDraft", status=400, times=1)
        made = await run(world, await world.plan(one_of_each(world.folder)))
        assert [row.outcome for row in made] == [bulk.RowOutcome.STAGED] * 3
        assert world.server.statistics().operations["createAdDraft"] == 2


async def test_a_file_that_turns_out_useless_makes_its_ad_invalid_and_nothing_is_published(worlds: MakeWorld) -> None:
    async with worlds(processing=0.3) as world:

        def spoil(event: Event) -> None:
            if isinstance(event, RequestSent) and event.operation == "createAdDraft":
                spots = {row["id"] for row in world.account.assets if row["name"].startswith("spot ")}
                for row in [one for one in world.account.processing if one["id"] in spots]:
                    world.account.processing.put({**row, "outcome": {"status": "ERROR"}})

        world.ads.listeners.add(spoil)
        plan = await world.plan(one_of_each(world.folder))
        for resumes in (False, True):
            made = {row.name: row for row in await run(world, plan, resumes=resumes, publish=True)}
            assert made["Spot A"].state is bulk.NewState.INVALID
            assert made["Spot A"].cell == "ads!F2"
            assert "will not be ready" in made["Spot A"].reason
            assert "undo this plan" in made["Spot A"].reason
        assert "publishCampaignDraft" not in world.server.statistics().operations
        assert world.server.statistics().operations["uploadAsset"] == 2


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("end_time: must be after start_time", "end_time"),
        ("End time must be after start time", "end_time"),
        ("endTime is before now", "end_time"),
        ("budget.micro_amount is too low", "budget.micro_amount"),
        ("microAmount must be positive", "budget.micro_amount"),
        ("the budget is too low", "budget.micro_amount"),
        ("call_to_action: clickthrough URL is not reachable", "call_to_action.clickthrough_url"),
        ("assets.asset_id: there is no such asset", "assets.asset_id"),
        ("Advertiser name is taken", "advertiser_name"),
        ("Something is wrong", ""),
    ],
)
def test_a_message_names_a_field_as_it_likes(message: str, field: str) -> None:
    fields = ("name", "advertiser_name", "start_time", "end_time", "budget.micro_amount", "budget.type")
    fields += ("call_to_action.key", "call_to_action.clickthrough_url", "assets.asset_id", "assets.logo_asset_id")
    assert field_of(message, dict.fromkeys(fields, "a cell")) == field


async def test_an_ad_says_which_of_two_ad_sets_of_one_name_it_is_in(world: World) -> None:
    media(world.folder)

    def planned(*ads: dict[str, Any]) -> Path:
        return book(
            world.folder / "book.xlsx",
            campaigns=[{"name": name, "objective": "reach"} for name in ("Autumn", "Winter")],
            ad_sets=[{"campaign": name, **AD_SET} for name in ("Autumn", "Winter")],
            ads=[{"ad_set": "Students", **AD, **ad} for ad in ads],
        )

    said = await refused(world, planned({}))
    assert "more than one ad set is called 'Students' (ad sets, row 2, ad sets, row 3)" in said
    said = await refused(world, planned({"campaign": "Spring"}))
    assert "there is no ad set 'Students'" in said
    plan = await world.plan(planned({"campaign": "winter"}, {"campaign": "Autumn", "name": "Spot B"}))
    found = {item.name: item for item in items(plan)}
    assert found["Spot A"].campaign == str(found["Winter"].number)
    assert found["Spot B"].campaign == str(found["Autumn"].number)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"name": "<clear>"}, "has nothing to clear: the row is new"),
        ({"start_time": "2019-01-01T06:00:00Z"}, "must lie in the future"),
        ({"end_time": "2029-01-01T06:00:00Z"}, "end_time"),
        ({"budget.amount": "15%"}, "ad sets!F2: budget.amount: '15%' is no amount of money"),
        ({"budget.amount": "1,250"}, "may mean two amounts"),
        ({"budget.amount": 0.5}, "is unusual"),
        ({"bid_amount": "12 EUR"}, "is another"),
        ({"targets.genders": "male, women"}, "targets.genders"),
        ({"asset_format": "song"}, "is none of"),
        ({"targets.age_ranges": "old"}, "targets.age_ranges"),
        ({"campaign": "autumn "}, ""),
        ({"delivery": "on"}, "delivery: is not held by drafts"),
        ({"status": "active"}, "status"),
    ],
)
async def test_what_is_wrong_with_a_new_ad_set_is_said_at_its_cell(world: World, cells: Any, said: str) -> None:  # noqa: ANN401 - cells
    path = one_of_each(world.folder, **cells)
    if said:
        assert said in await refused(world, path)
    else:
        await world.plan(path)


async def test_two_files_with_the_same_rows_numbers_are_two_plans(world: World) -> None:
    made: list[set[str]] = []
    marks: set[str] = set()
    for name in ("Autumn", "Winter"):
        plan = await world.plan(
            book(world.folder / f"{name}.xlsx", campaigns=[{"name": name, "objective": "reach"}]), f"{name}.plan"
        )
        assert [row.outcome for row in await run(world, plan)] == [bulk.RowOutcome.STAGED]
        made.append({item.key for item in items(plan)})
        with bulk.WorkbookPlan.open(plan) as opened:
            marks.add(opened.header.mark)
    assert len(marks) == 2
    assert made[0].isdisjoint(made[1])
    assert len(list(world.account.campaign_drafts)) == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE item SET body = replace(body, 'Autumn', 'Autumm')", "bytes of campaigns, row 2 changed since"),
        ("UPDATE item SET key = 'another'", "bytes of campaigns, row 2 changed since"),
        ("UPDATE item SET body = '{'", "is damaged"),
        ("UPDATE campaign SET state = 'opem'", "'opem' is none of open"),
        ("UPDATE item SET name = CAST(x'c328' AS TEXT)", "is damaged"),
    ],
)
async def test_a_damaged_plan_makes_nothing(world: World, damage: str, said: str) -> None:
    plan = await world.plan(
        book(world.folder / "book.xlsx", campaigns=[{"name": "Autumn", "objective": "reach"}]), "new.plan"
    )
    connection = sqlite3.connect(plan)
    with connection:
        connection.execute(damage)
    connection.close()
    for act in (run(world, plan), bulk.plan_undo(world.ads, plan, world.folder / "undo")):
        with pytest.raises(bulk.PlanDamaged, match=said):
            await act
    assert list(world.account.campaign_drafts) == []


async def test_two_plans_of_one_file_at_once_make_nothing_twice(world: World) -> None:
    path = book(world.folder / "book.xlsx", campaigns=[{"name": "Autumn", "objective": "reach"}])
    first, second, third = [await world.plan(path, f"{number}.plan") for number in range(3)]
    options = bulk.Options(looked_at=time.monotonic())
    async with bulk.apply_workbook(world.ads, first, options) as working:
        with pytest.raises(bulk.WrongPlan, match=f"at this moment by process .* with {first}: wait for it"):
            await run(world, second, looked_at=time.monotonic())
        assert [row.outcome async for row in working] == [bulk.RowOutcome.STAGED]
    with pytest.raises(bulk.WrongPlan, match="somebody made campaign Autumn"):
        await run(world, third, looked_at=time.monotonic())
    assert len(list(world.account.campaign_drafts)) == 1


async def test_names_are_looked_at_again_after_a_run_that_was_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(world.folder))
    path = book(world.folder / "book.xlsx", campaigns=[{"name": "Autumn", "objective": "reach"}])
    first, second = [await world.plan(path, f"{number}.plan") for number in range(2)]
    async with bulk.apply_workbook(world.ads, first, bulk.Options()) as working:
        (lock,) = world.folder.glob("*/new-*.lock")
        of_killed = lock.read_bytes()
        lock.unlink()  # as whoever tidies up may
        assert [row.outcome async for row in working] == [bulk.RowOutcome.STAGED]
    lock.write_bytes(of_killed)
    os.utime(lock, (0, 0))
    with pytest.raises(bulk.WrongPlan, match="somebody made campaign Autumn"):
        await run(world, second, looked_at=time.monotonic())


async def test_what_runs_of_former_days_left_is_taken_away(world: World) -> None:
    plan = await world.plan(book(world.folder / "book.xlsx", campaigns=[{"name": "Autumn", "objective": "reach"}]))
    await run(world, plan)
    (lock,) = world.folder.glob("*/new-*.lock")
    left = {name: lock.with_name(f"new-{name}.lock") for name in ("ended", "killed", "held", "young")}
    for name, path in left.items():
        path.write_text(name)
        os.utime(path, None if name == "young" else (0, 0))
    held = open_locked(left["held"])
    await run(world, plan, resumes=True)
    assert held is not None
    close_locked(held)
    assert {*world.folder.glob("*/new-*.lock")} == {lock, left["held"], left["young"]}


async def test_a_run_that_is_left_early_goes_on_later(world: World) -> None:
    campaigns = [{"name": f"Campaign {number}", "objective": "REACH"} for number in range(30)]
    plan = await world.plan(book(world.folder / "book.xlsx", campaigns=campaigns))
    options = bulk.Options(settle_after=0.02, grace=0.1, concurrency=2)
    async with bulk.apply_workbook(world.ads, plan, options) as working:
        async for _ in working:
            break
    await run(world, plan, resumes=True)
    assert len(list(world.account.campaign_drafts)) == 30
    assert {item.state for item in items(plan)} == {bulk.NewState.MADE}
