"""Rows staged as drafts.

Validated by campaign, brought back to the rows, and published at the version that was validated.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path

import msgspec
import pytest
from support.effort import diagonal

from spotify_ads_async import bulk, operations
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS
from spotify_ads_async.emulator.domain.handlers.drafts import draft_of_ad_set, touch

from .conftest import QUICK, Json, MakeWorld, World, on, outcomes_of, rows_of
from .test_kills import start

DRAFT = msgspec.structs.replace(QUICK, draft=True)
PUBLISH = msgspec.structs.replace(QUICK, publish=True)
COUNT = 30
HELD = "staged and valid, but not published: another row of its campaign failed"


def live_names(world: World, plan: Path) -> list[bool]:
    """Of each row, whether its name is live."""
    return [world.account.ad_sets.get(row.entity_id)["name"] == row.after["name"] for row in rows_of(plan)]


def sent(world: World, operation: str) -> int:
    return world.server.statistics().operations.get(operation, 0)


async def test_staged_rows_are_valid_and_not_live(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    told, progress = await world.apply(plan, DRAFT)
    assert outcomes_of(plan) == {"staged": COUNT}
    assert sorted(row.number for row in told) == list(range(1, COUNT + 1))
    assert (progress.done, progress.failed, progress.unknown) == (COUNT, 0, 0)
    assert not any(live_names(world, plan))
    assert all(world.account.ad_set_drafts.get(row.entity_id)["name"] == row.after["name"] for row in rows_of(plan))
    assert sent(world, "updateAdSet") == 0


async def test_published_rows_are_live_once(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    told, progress = await world.apply(plan, PUBLISH)
    assert {row.outcome for row in told} == {bulk.RowOutcome.DONE}
    assert (len(told), progress.total, progress.done) == (COUNT, COUNT, COUNT)
    assert all(live_names(world, plan))
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}
    assert list(world.account.campaign_drafts) == []


async def test_what_was_staged_is_published_by_resuming(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    await world.apply(plan, DRAFT)
    assert (await world.resume(plan))[0] == []
    world.server.reset_statistics()
    _, progress = await world.resume(plan, PUBLISH)
    assert (progress.total, outcomes_of(plan)) == (COUNT, {"done": COUNT})
    assert all(live_names(world, plan))
    assert sent(world, "updateAdSetDraft") == sent(world, "createDraftFromAdSet") == 0


async def test_campaigns_and_ads_too(world: World) -> None:
    campaigns = world.write(
        "c.csv", ["campaign_id", "name"], [[row["id"], "Renamed"] for row in world.account.campaigns]
    )
    ads = world.write("a.csv", ["ad_id", "tagline"], [[row["id"], "Listen"] for row in list(world.account.ads)[:8]])
    for changes in (campaigns, ads):
        plan = await world.plan(changes, f"{changes.stem}.plan")
        told, _ = await world.apply(plan, PUBLISH)
        assert {(row.outcome, row.reason) for row in told} == {(bulk.RowOutcome.DONE, "")}
    assert {row["name"] for row in world.account.campaigns} == {"Renamed"}
    assert [row["tagline"] for row in list(world.account.ads)[:8]] == ["Listen"] * 8


async def test_a_validation_error_comes_back_to_its_row(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    bad, *_ = rows_of(plan)
    spoilt = {"end_time": "1999-01-01T00:00:00Z"}
    drafts = world.account.ad_set_drafts
    on(world, "publishCampaignDraft", lambda: drafts.put({**drafts.get(bad.entity_id), **spoilt}))
    told, _ = await world.apply(plan, PUBLISH)
    (failed,) = [row for row in told if row.outcome is bulk.RowOutcome.FAILED]
    assert (failed.number, failed.status) == (bad.number, 400)
    assert failed.reason.startswith("the draft is not valid: ")
    campaign = world.account.ad_sets.get(bad.entity_id)["campaign_id"]
    for row in rows_of(plan):
        together = world.account.ad_sets.get(row.entity_id)["campaign_id"] == campaign
        assert (row.outcome is bulk.RowOutcome.DONE) is not together
        if together and row.number != bad.number:
            assert (row.outcome, row.reason) == (
                bulk.RowOutcome.STAGED,
                "staged, but another row of its campaign is not valid",
            )
    drafts.put({name: value for name, value in drafts.get(bad.entity_id).items() if name not in spoilt})
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=True))
    assert outcomes_of(plan) == {"done": COUNT}
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}


async def not_valid(world: World) -> Path:
    """A plan of two rows in one campaign, of which somebody made the first one's draft one that is not valid."""
    campaign = world.ad_sets[0]["campaign_id"]
    rows = [[row["id"], f"New {row['name']}"] for row in world.ad_sets if row["campaign_id"] == campaign][:2]
    plan = await world.plan(world.write("two.csv", ["ad_set_id", "name"], rows))
    bad, drafts = rows[0][0], world.account.ad_set_drafts
    on(world, "publishCampaignDraft", lambda: drafts.put({**drafts.get(bad), "end_time": "1999-01-01T00:00:00Z"}))
    await world.apply(plan, DRAFT)
    assert outcomes_of(plan) == {"failed": 1, "staged": 1}
    return plan


def mend(world: World, plan: Path, **more: Json) -> str:
    """Make the draft of a plan's first row valid as a person does, who may change something more; its campaign."""
    (first, _), drafts = rows_of(plan), world.account.ad_set_drafts
    drafts.put({**drafts.get(first.entity_id), "end_time": "2999-01-01T00:00:00Z", **more})
    campaign = world.account.ad_sets.get(first.entity_id)["campaign_id"]
    touch(world.account, campaign)
    return campaign


@pytest.mark.parametrize("resumed", [None, PUBLISH, msgspec.structs.replace(PUBLISH, retry_failed=True)])
@pytest.mark.parametrize("theirs", [{}, {"bid_micro_amount": 7_770_000}])
async def test_a_row_whose_draft_somebody_mended_and_published_is_done_and_comes_back(
    world: World, resumed: bulk.Options | None, theirs: dict[str, Json]
) -> None:
    plan = await not_valid(world)
    before = {row.entity_id: world.account.ad_sets.get(row.entity_id)["name"] for row in rows_of(plan)}
    campaign = mend(world, plan, **theirs)
    assert await world.ads.ad_account(world.server.ad_account_id).trees.publish(campaign) == []
    if resumed:
        await world.resume(plan, resumed)
        assert outcomes_of(plan) == {"done": 2}
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 2}
    assert {one: world.account.ad_sets.get(one)["name"] for one in before} == before
    now = world.account.ad_sets.get(rows_of(plan)[0].entity_id)
    assert {name: now[name] for name in theirs} == theirs


@pytest.mark.parametrize("retry_failed", [False, True])
async def test_a_draft_that_somebody_mended_is_validated_again_and_published(
    world: World, *, retry_failed: bool
) -> None:
    plan = await not_valid(world)
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"failed": 1, "staged": 1}
    mend(world, plan, bid_micro_amount=7_770_000)
    written = sent(world, "updateAdSetDraft")
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry_failed))
    first, second = rows_of(plan)
    assert (first.outcome, second.outcome) == (bulk.RowOutcome.DONE, bulk.RowOutcome.DONE)
    assert "published with what somebody put into its draft" in first.reason
    assert "bid_micro_amount" in first.reason or "bid_amount" in first.reason
    now = world.account.ad_sets.get(first.entity_id)
    assert (now["name"], now["bid_micro_amount"]) == (first.after["name"], 7_770_000)
    assert sent(world, "updateAdSetDraft") == written
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    now = world.account.ad_sets.get(first.entity_id)
    assert (now["name"], now["bid_micro_amount"]) == (first.before["name"], 7_770_000)


async def test_a_mended_draft_that_is_not_valid_yet_fails_again_and_is_then_staged_anew(world: World) -> None:
    plan = await not_valid(world)
    mend(world, plan, end_time="1999-02-02T00:00:00Z")
    again = msgspec.structs.replace(PUBLISH, retry_failed=True)
    await world.resume(plan, again)
    assert outcomes_of(plan) == {"failed": 1, "staged": 1}
    await world.resume(plan, again)
    assert outcomes_of(plan) == {"done": 2}


async def test_a_mended_draft_puts_back_nothing_that_is_live_by_now(world: World) -> None:
    plan = await not_valid(world)
    mend(world, plan)
    sets, first = world.account.ad_sets, rows_of(plan)[0].entity_id
    sets.put({**sets.get(first), "category": "ADV_9_9"})
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"staged": 2}
    assert "category was " in rows_of(plan)[0].reason
    assert sets.get(first)["category"] == "ADV_9_9"


@pytest.mark.parametrize("resumed", [True, False])
async def test_a_row_that_was_not_valid_and_whose_draft_somebody_deleted_leaves_nothing_to_undo(
    world: World, *, resumed: bool
) -> None:
    plan = await not_valid(world)
    campaign = world.account.ad_sets.get(rows_of(plan)[0].entity_id)["campaign_id"]
    path = {"ad_account_id": world.server.ad_account_id, "draft_campaign_id": campaign}
    await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path=path)
    if resumed:
        await world.resume(plan, PUBLISH)
        assert outcomes_of(plan) == {"failed": 2}
        assert all("somebody deleted it" in row.reason for row in rows_of(plan))
    await bulk.plan_undo(world.ads, plan, world.folder / "undo")
    assert outcomes_of(world.folder / "undo") == ({} if resumed else {"unchanged": 1, "refused": 1})
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=True))
    assert outcomes_of(plan) == {"done": 2}


@pytest.mark.parametrize("retry_failed", [False, True])
async def test_what_others_did_in_a_draft_that_took_nothing_of_a_row_is_theirs(
    world: World, *, retry_failed: bool
) -> None:
    plan = await world.plan(world.names(1))
    world.server.add_fault("error", operation="updateAdSetDraft", status=403, times=1)
    await world.apply(plan, DRAFT)
    (row,), drafts = rows_of(plan), world.account.ad_set_drafts
    drafts.put({**drafts.get(row.entity_id), "name": row.after["name"]})
    campaign = world.account.ad_sets.get(row.entity_id)["campaign_id"]
    assert await world.ads.ad_account(world.server.ad_account_id).trees.publish(campaign) == []
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry_failed))
    assert outcomes_of(plan) == {"unchanged" if retry_failed else "failed": 1}
    await bulk.plan_undo(world.ads, plan, world.folder / "undo")
    assert outcomes_of(world.folder / "undo") == {}


async def test_a_row_that_is_live_by_now_keeps_nothing_back_where_its_draft_holds_that_too(world: World) -> None:
    plan = await not_valid(world)
    first, second = rows_of(plan)
    sets, drafts = world.account.ad_sets, world.account.ad_set_drafts
    drafts.put({**drafts.get(first.entity_id), "end_time": sets.get(first.entity_id)["end_time"]})
    sets.put({**sets.get(first.entity_id), "name": first.after["name"]})
    await world.resume(plan, msgspec.structs.replace(DRAFT, retry_failed=True))
    assert outcomes_of(plan) == {"unchanged": 1, "staged": 1}
    live = sets.get(first.entity_id)
    sets.put({**live, "category": "ADV_9_9"})
    (told,), _ = await world.resume(plan, PUBLISH)
    assert (told.number, told.outcome) == (second.number, bulk.RowOutcome.WAITING)
    assert "category was " in told.reason
    assert sets.get(first.entity_id)["category"] == "ADV_9_9"
    sets.put(live)
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"unchanged": 1, "done": 1}


async def test_an_error_outside_of_the_rows_fails_the_campaign(world: World) -> None:
    plan = await world.plan(world.names(1))
    campaign = world.account.ad_sets.get(rows_of(plan)[0].entity_id)["campaign_id"]
    drafts = world.account.campaign_drafts
    on(world, "publishCampaignDraft", lambda: drafts.put({**drafts.get(campaign), "name": ""}))
    (row,), _ = await world.apply(plan, PUBLISH)
    assert row.outcome is bulk.RowOutcome.FAILED
    assert f"CAMPAIGN {campaign}: " in row.reason


@pytest.mark.parametrize(
    ("theirs", "outcome", "undone"),
    [
        ({"bid_micro_amount": 7_770_000}, bulk.RowOutcome.DONE, bulk.RowOutcome.DONE),
        ({"name": "Theirs"}, bulk.RowOutcome.FAILED, bulk.RowOutcome.CONFLICT),
        ({"name": "Theirs", "category": "ADV_1_2"}, bulk.RowOutcome.FAILED, None),
    ],
)
async def test_what_somebody_puts_into_a_draft_is_published_and_stays_theirs(
    world: World, theirs: dict[str, Json], outcome: bulk.RowOutcome, undone: bulk.RowOutcome | None
) -> None:
    by_campaign = {row["campaign_id"]: row["id"] for row in world.ad_sets}
    one, other, *_ = by_campaign.values()
    changes = [[one, "Renamed", "ADV_2_2"], [other, "Renamed too", "ADV_2_2"]]
    plan = await world.plan(world.write("c.csv", ["ad_set_id", "name", "category"], changes))
    await world.apply(plan, DRAFT)
    drafts = world.account.ad_set_drafts
    drafts.put({**drafts.get(one), **theirs})
    touch(world.account, world.account.ad_sets.get(one)["campaign_id"])
    await world.resume(plan, PUBLISH)
    _, progress = await world.resume(plan, PUBLISH)
    first, second = rows_of(plan)
    assert (progress.stopped, second.outcome) == ("", bulk.RowOutcome.DONE)
    assert first.outcome is outcome
    assert all(f"{name} is " in first.reason for name in theirs)
    assert first.reason.startswith("published with what somebody put into its draft: ")
    assert {name: world.account.ad_sets.get(one)[name] for name in theirs} == theirs
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    rows = {row.entity_id: row.outcome for row in rows_of(undo)}
    assert (rows.get(one), rows[other]) == (undone, bulk.RowOutcome.DONE)
    assert {name: world.account.ad_sets.get(one)[name] for name in theirs} == theirs


async def test_what_somebody_puts_into_a_draft_while_the_run_stages_others_stays_theirs(world: World) -> None:
    one, other, *_ = {row["campaign_id"]: row["id"] for row in world.ad_sets}.values()
    plan = await world.plan(world.write("c.csv", ["ad_set_id", "name"], [[one, "O 1"], [other, "O 2"]]))

    def colleague() -> None:
        drafts = world.account.ad_set_drafts
        drafts.put({**drafts.get(one), "category": "ADV_7_7"})
        touch(world.account, drafts.get(one)["campaign_id"])

    on(world, "getCampaignDraft", colleague)  # all is staged, and about to be validated
    _, progress = await world.apply(plan, PUBLISH)
    assert (progress.stopped, outcomes_of(plan)) == ("", {"done": 2})
    put = 'published with what somebody put into its draft: category is "ADV_7_7", not '
    assert rows_of(plan)[0].reason.startswith(put)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 2}
    live = world.account.ad_sets.get(one)
    assert (live["category"], live["name"] == "O 1") == ("ADV_7_7", False)


@pytest.mark.parametrize("part", ["targets", "frequency_caps"])
async def test_what_drafts_do_not_hold_of_live_entities_is_nobodys_edit_and_ends_the_run(
    worlds: MakeWorld, part: str
) -> None:
    async with worlds(ad_sets=20, campaigns=5, patch="replace") as world:
        caps = world.ad_sets[0]["frequency_caps"]
        for row in world.ad_sets:
            newer = {
                "targets": {**row["targets"], "weather": ["RAIN"]},
                "frequency_caps": [{**caps[0], "scope": "HOME"}],
            }
            world.account.ad_sets.put({**row, part: newer[part]})
        before = {row["id"]: row[part] for row in world.ad_sets}
        plan = await world.plan(world.names(20))
        await world.apply(plan, DRAFT)
        drafts = world.account.ad_set_drafts
        for draft in list(drafts):
            known = {name: value for name, value in draft["targets"].items() if name != "weather"}
            drafts.put({**draft, part: {"targets": known, "frequency_caps": caps[:1]}[part]})
        _, progress = await world.resume(plan, PUBLISH)
        lost = [row for row in world.ad_sets if row[part] != before[row["id"]]]
        assert len({row["campaign_id"] for row in lost}) == 1
        assert "the server changed more of " in progress.stopped


async def test_what_the_server_makes_of_what_somebody_puts_into_a_draft_ends_no_run(worlds: MakeWorld) -> None:
    async with worlds(patch="replace") as world:
        live, drafts = world.account.ads, world.account.ad_drafts
        one, other, *_ = {ad["ad_set_id"]: ad["id"] for ad in live}.values()
        plan = await world.plan(world.write("c.csv", ["ad_id", "name"], [[one, "Renamed"], [other, "Renamed"]]))
        await world.apply(plan, DRAFT)
        button = drafts.get(one)["call_to_action"]
        drafts.put({**drafts.get(one), "call_to_action": {**button, "key": "BUY_NOW"}})
        touch(world.account, world.account.ad_sets.get(live.get(one)["ad_set_id"])["campaign_id"])
        await world.resume(plan, PUBLISH)
        _, progress = await world.resume(plan, PUBLISH)
        assert live.get(one)["call_to_action"]["text"] == "Buy now"
        assert (progress.stopped, outcomes_of(plan)) == ("", {"done": 2})
        put = 'published with what somebody put into its draft: call_to_action.key is "BUY_NOW", not "LEARN_MORE"'
        assert rows_of(plan)[0].reason == put
        undo = world.folder / "undo.plan"
        await bulk.plan_undo(world.ads, plan, undo)
        await world.apply(undo)
        assert outcomes_of(undo) == {"done": 2}
        assert live.get(one)["call_to_action"]["key"] == "BUY_NOW"


@pytest.mark.parametrize(("plural", "around"), [("ad sets", "campaign"), ("ads", "campaign"), ("ads", "ad_set")])
async def test_what_somebody_puts_into_a_draft_that_no_row_is_about_is_named_and_ends_no_run(
    world: World, plural: str, around: str
) -> None:
    ads = {ad["ad_set_id"]: ad["id"] for ad in world.account.ads}
    chosen = list({row["campaign_id"]: row for row in world.ad_sets if row["id"] in ads}.values())[:3]
    changes = [[ads[one["id"]] if plural == "ads" else one["id"], "Renamed"] for one in chosen]
    plan = await world.plan(world.write("c.csv", [bulk.ENTITIES[plural].id_column, "name"], changes))
    await world.apply(plan, DRAFT)
    table = world.account.campaigns if around == "campaign" else world.account.ad_sets
    drafts = world.account.campaign_drafts if around == "campaign" else world.account.ad_set_drafts
    ids = [one["campaign_id" if around == "campaign" else "id"] for one in (chosen[0], chosen[-1])]
    for one, ad_set in zip(ids, (chosen[0], chosen[-1]), strict=True):
        drafts.put({**drafts.get(one), "name": "Theirs"})
        touch(world.account, ad_set["campaign_id"])
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": 1, "waiting": 2}
    _, progress = await world.resume(plan, PUBLISH)
    assert (progress.stopped, outcomes_of(plan)) == ("", {"done": 3})
    first, middle, last = rows_of(plan)
    for row in (first, last):
        assert row.reason.startswith("published with what somebody put into the draft of ")
        assert 'name is "Theirs", not ' in row.reason
    assert middle.reason == ""
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 3}
    assert [table.get(one)["name"] for one in ids] == ["Theirs", "Theirs"]


async def test_a_draft_that_somebody_changed_since_is_not_published(world: World) -> None:
    plan = await world.plan(world.names(1))
    await world.apply(plan, DRAFT)
    touch(world.account, world.account.ad_sets.get(rows_of(plan)[0].entity_id)["campaign_id"])
    (row,), _ = await world.resume(plan, PUBLISH)
    assert row.outcome is bulk.RowOutcome.WAITING
    assert "somebody changed the campaign's draft since it was validated (version 3, now 4)" in row.reason
    assert live_names(world, plan) == [False]
    await world.resume(plan, PUBLISH)
    assert live_names(world, plan) == [True]


@pytest.mark.parametrize("published", [True, False])
async def test_a_draft_that_somebody_published_or_deleted_is_settled(world: World, *, published: bool) -> None:
    plan = await world.plan(world.names(1))
    await world.apply(plan, DRAFT)
    campaign = world.account.ad_sets.get(rows_of(plan)[0].entity_id)["campaign_id"]
    account = world.ads.ad_account(world.server.ad_account_id)
    if published:
        await account.trees.publish(campaign, version=await account.trees.version(campaign))
    else:
        path = {"ad_account_id": account.id, "draft_campaign_id": campaign}
        await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path=path)
    await bulk.plan_undo(world.ads, plan, world.folder / "undo")
    assert rows_of(world.folder / "undo")[0].decision is (bulk.Decision.PLANNED if published else bulk.Decision.REFUSED)
    (row,), _ = await world.resume(plan, PUBLISH)
    assert row.outcome is (bulk.RowOutcome.DONE if published else bulk.RowOutcome.FAILED)
    assert ("somebody deleted it" in row.reason) != published
    assert live_names(world, plan) == [published]


@pytest.mark.parametrize("plural", ["campaigns", "ad sets", "ads"])
async def test_rows_whose_draft_somebody_deleted_are_named_and_staged_anew(world: World, plural: str) -> None:
    kind, account = DRAFT_KINDS[plural], {"ad_account_id": world.server.ad_account_id}
    table = {"campaigns": world.account.campaigns, "ad sets": world.account.ad_sets, "ads": world.account.ads}[plural]

    def campaign_of(row: Json) -> str:
        ad_set = world.account.ad_sets.get(row["ad_set_id"]) if plural == "ads" else row
        return ad_set["id"] if plural == "campaigns" else ad_set["campaign_id"]

    chosen: dict[str, list[str]] = {}
    for row in table:
        chosen.setdefault(campaign_of(row), []).append(row["id"])
    deleted, replaced, pruned = list(chosen)[:3]
    rows = [[one, f"{one} anew"] for campaign in (deleted, replaced, pruned) for one in chosen[campaign][:3]]
    plan = await world.plan(world.write("few.csv", [bulk.ENTITIES[plural].id_column, "name"], rows))
    await world.apply(plan, DRAFT)

    for campaign in (deleted, replaced):
        await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path={**account, "draft_campaign_id": campaign})
    await world.ads.call(operations.CREATE_DRAFT_FROM_CAMPAIGN, path={**account, "campaign_id": replaced})
    drafts = world.account.campaign_drafts
    drafts.put({**drafts.get(replaced), "created_at": "2030-01-01T00:00:00Z", "name": "Theirs"})
    await world.ads.call(kind.delete, path={**account, kind.draft_path: chosen[pruned][0]})

    def outcomes() -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for row in rows_of(plan):
            found.setdefault(campaign_of(table.get(row.entity_id)), []).append((row.outcome.value, row.reason))
        return found

    await world.resume(plan, PUBLISH)
    found = outcomes()
    for outcome, reason in (*found[deleted], *found[replaced], found[pruned][0]):
        assert outcome == "failed"
        assert "somebody deleted it" in reason
        assert "--retry-failed" in reason
    assert all(one == ("staged", HELD) for one in found[pruned][1:])
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=True))
    found = outcomes()
    assert {one for campaign in (deleted, pruned) for one, _ in found[campaign]} == {"done"}
    assert all(outcome == "failed" and "has a draft already" in reason for outcome, reason in found[replaced])
    assert [one["name"] for one in drafts] == ["Theirs"]
    await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path={**account, "draft_campaign_id": replaced})
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": len(rows)}
    assert {table.get(row.entity_id)["name"] == row.after["name"] for row in rows_of(plan)} == {True}
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}
    assert list(drafts) == []


async def test_a_row_that_does_not_go_keeps_nothing_else_of_its_campaign_back(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    first, second, third, *others = rows_of(plan)
    sets = world.account.ad_sets
    sets.put({**sets.get(first.entity_id), "name": "Theirs"})
    sets.put({**sets.get(second.entity_id), "status": "ARCHIVED"})
    sets.put({**sets.get(third.entity_id), "name": third.after["name"]})
    await world.apply(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": len(others), "conflict": 1, "refused": 1, "unchanged": 1}
    assert list(world.account.campaign_drafts) == []


async def test_a_row_that_is_live_already_keeps_nothing_else_of_its_campaign_back(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    await world.apply(plan, DRAFT)
    first, kind, sets = rows_of(plan)[0], DRAFT_KINDS["ad sets"], world.account.ad_sets
    path = {"ad_account_id": world.server.ad_account_id, kind.draft_path: first.entity_id}
    await world.ads.call(kind.delete, path=path)
    sets.put({**sets.get(first.entity_id), "name": first.after["name"]})
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": COUNT}
    assert list(world.account.campaign_drafts) == []


async def test_a_draft_of_a_row_that_is_live_by_now_is_not_published(world: World) -> None:
    one = world.ad_sets[0]
    rows = [[row["id"], f"New {row['name']}"] for row in world.ad_sets if row["campaign_id"] == one["campaign_id"]][:2]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "name"], rows))
    world.server.add_fault("error", operation="updateAdSetDraft", status=403, times=1)
    await world.apply(plan, DRAFT)
    assert outcomes_of(plan) == {"failed": 1, "staged": 1}
    row = next(one for one in rows_of(plan) if one.outcome is bulk.RowOutcome.FAILED)
    world.account.ad_sets.put({**world.account.ad_sets.get(row.entity_id), "name": row.after["name"]})
    again = msgspec.structs.replace(PUBLISH, retry_failed=True)
    told, _ = await world.resume(plan, again)
    assert outcomes_of(plan) == {"unchanged": 1, "waiting": 1}
    assert "as wanted by now, and has a draft, which would put back what is live" in told[-1].reason
    assert world.account.ad_sets.get(row.entity_id)["name"] == row.after["name"]
    path = {"ad_account_id": world.server.ad_account_id, "draft_campaign_id": one["campaign_id"]}
    await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path=path)
    await world.resume(plan, again)
    assert outcomes_of(plan) == {"unchanged": 1, "done": 1}
    assert [world.account.ad_sets.get(one)["name"] for one, _ in rows] == [name for _, name in rows]


@pytest.mark.parametrize("retry_failed", [False, True])
async def test_a_draft_of_a_row_in_conflict_is_not_published_and_the_reason_says_what_to_do(
    world: World, *, retry_failed: bool
) -> None:
    one = world.ad_sets[0]
    rows = [[row["id"], f"New {row['name']}"] for row in world.ad_sets if row["campaign_id"] == one["campaign_id"]][:3]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "name"], rows))
    world.server.add_fault("error", operation="updateAdSetDraft", status=403, times=1)
    await world.apply(plan, DRAFT)
    row = next(one for one in rows_of(plan) if one.outcome is bulk.RowOutcome.FAILED)
    before = world.account.ad_sets.get(row.entity_id)
    world.account.ad_sets.put({**before, "name": "Theirs"})
    again = msgspec.structs.replace(PUBLISH, retry_failed=True)
    await world.resume(plan, again)
    told, _ = await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry_failed))
    assert outcomes_of(plan) == {"conflict": 1, "waiting": 2}
    for held in (one for one in told if one.outcome is bulk.RowOutcome.WAITING):
        assert "name was " in held.reason
        assert 'is "Theirs"' in held.reason
        assert "delete the campaign's draft, and --retry-failed stages" in held.reason
    assert world.account.ad_sets.get(row.entity_id)["name"] == "Theirs"
    if retry_failed:
        path = {"ad_account_id": world.server.ad_account_id, "draft_campaign_id": one["campaign_id"]}
        await world.ads.call(operations.DELETE_CAMPAIGN_DRAFT, path=path)
    else:  # nothing is left that publishing would put back
        world.account.ad_sets.put(before)
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry_failed))
    assert outcomes_of(plan) == {"conflict": 1, "done": 2}
    assert world.account.ad_sets.get(row.entity_id)["name"] == ("Theirs" if retry_failed else before["name"])


async def test_a_version_conflict_at_the_server_is_no_failure_for_good(world: World) -> None:
    plan = await world.plan(world.names(1))
    await world.apply(plan, DRAFT)
    campaign = world.account.ad_sets.get(rows_of(plan)[0].entity_id)["campaign_id"]
    on(world, "publishCampaignDraft", lambda: touch(world.account, campaign))
    (row,), _ = await world.resume(plan, PUBLISH)
    assert (row.outcome, live_names(world, plan)) == (bulk.RowOutcome.WAITING, [False])
    assert "the draft is at 4, not at 3" in row.reason
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": 1}


async def test_a_campaign_with_a_draft_of_somebody_else_is_left_alone(world: World) -> None:
    plan = await world.plan(world.names(1))
    (row,) = rows_of(plan)
    campaign = world.account.ad_sets.get(row.entity_id)["campaign_id"]
    drafts = world.ads.ad_account(world.server.ad_account_id).drafts
    await world.ads.call(
        bulk.ENTITIES["campaigns"].get, path={"ad_account_id": world.server.ad_account_id, "campaign_id": campaign}
    )
    world.account.campaign_drafts.put(
        {"id": campaign, "status": "ACTIVE", "name": "Theirs", "draft_hierarchy_version": 1}
    )
    (row,), _ = await world.apply(plan, PUBLISH)
    assert row.outcome is bulk.RowOutcome.FAILED
    assert "has a draft already" in row.reason
    await drafts.campaigns.delete(campaign)
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": 1}


async def test_a_draft_that_somebody_makes_while_a_run_stages_others_is_left_alone(world: World) -> None:
    """Which drafts there are is read when the run begins, and again before the first of a campaign is made."""
    one, other, *_ = {row["campaign_id"]: row for row in world.ad_sets}.values()
    plan = await world.plan(world.write("c.csv", ["ad_set_id", "name"], [[one["id"], "O 1"], [other["id"], "O 2"]]))

    def colleague() -> None:
        draft = draft_of_ad_set(world.account, other["id"])
        world.account.ad_set_drafts.put({**draft, "name": "Theirs", "bid_micro_amount": 9_000_000})
        touch(world.account, other["campaign_id"])

    on(world, "createDraftFromAdSet", colleague)
    await world.apply(plan, msgspec.structs.replace(PUBLISH, concurrency=1))
    assert outcomes_of(plan) == {"done": 1, "failed": 1}
    assert "has a draft already, which would be published too" in rows_of(plan)[1].reason
    drafted, live = world.account.ad_set_drafts.get(other["id"]), world.account.ad_sets.get(other["id"])
    assert (drafted["name"], live["name"], live["bid_micro_amount"]) == (
        "Theirs",
        other["name"],
        other["bid_micro_amount"],
    )


@pytest.mark.parametrize(("theirs", "written"), [({"name": "Theirs"}, "Theirs"), ({"category": "ADV_7_7"}, "O 2")])
async def test_what_somebody_put_into_the_draft_of_a_row_before_the_run_made_it_is_not_overwritten(
    world: World, theirs: dict[str, Json], written: str
) -> None:
    one = world.ad_sets[0]
    other = next(row for row in world.ad_sets[1:] if row["campaign_id"] == one["campaign_id"])
    plan = await world.plan(world.write("c.csv", ["ad_set_id", "name"], [[one["id"], "O 1"], [other["id"], "O 2"]]))

    def colleague() -> None:
        world.account.ad_set_drafts.put({**draft_of_ad_set(world.account, other["id"]), **theirs})
        touch(world.account, other["campaign_id"])

    on(world, "updateAdSetDraft", colleague)
    await world.apply(plan, msgspec.structs.replace(DRAFT, concurrency=1))
    assert world.account.ad_set_drafts.get(other["id"])["name"] == written
    _, row = rows_of(plan)
    assert (row.outcome is bulk.RowOutcome.FAILED) == (written == "Theirs")
    assert ("somebody changed it" in row.reason) == (written == "Theirs")


async def test_what_drafts_do_not_hold_fails(world: World) -> None:
    header = ["ad_set_id", "name", "delivery"]
    plan = await world.plan(world.write("changes.csv", header, [[world.ad_sets[0]["id"], "Paused", "OFF"]]))
    (row,), _ = await world.apply(plan, DRAFT)
    assert (row.outcome, row.reason) == (
        bulk.RowOutcome.FAILED,
        "a draft does not hold delivery: change it without drafts",
    )
    assert list(world.account.campaign_drafts) == []


@pytest.mark.parametrize(
    ("fault", "operation"),
    diagonal(
        (
            [(fault, operation) for fault in ("lost_answer", "reset", "truncated", "error")]
            for operation in (
                "createDraftFromAdSet",
                "updateAdSetDraft",
                "createDraftFromCampaign",
                "publishCampaignDraft",
            )
        ),
        one_in=4,
    ),
)
async def test_faults_leave_every_row_live_once(world: World, fault: Json, operation: str) -> None:
    plan = await world.plan(world.names(COUNT))
    world.server.add_fault(fault, operation=operation, share=0.5)
    await world.apply(plan, PUBLISH)
    world.server.clear_faults()
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": COUNT}
    assert all(live_names(world, plan))
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}


def drafts_written(world: World, count: int) -> asyncio.Event:
    """Set when drafts of ad sets have been made or changed so many times."""
    reached, seen = asyncio.Event(), [0]

    def count_one(table: str, identifier: str, row: object) -> None:
        del identifier, row
        seen[0] += table.endswith("/ad_set_drafts")
        if seen[0] >= count:
            reached.set()

    world.server.store.listeners.append(count_one)
    return reached


async def killed_when(world: World, plan: Path, moment: Awaitable[object]) -> None:
    process = await start(world, "apply", str(plan), "--publish", "--yes")
    async with asyncio.timeout(120):
        await moment
    assert process.returncode is None
    os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


async def test_killed_between_staging_and_publishing(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    await killed_when(world, plan, drafts_written(world, 2 * COUNT).wait())
    assert not any(live_names(world, plan))
    assert sent(world, "createDraftFromAdSet") == COUNT
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": COUNT}
    assert sent(world, "createDraftFromAdSet") == sent(world, "updateAdSetDraft") == COUNT
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}


async def test_killed_while_publishing_is_settled_by_reading_back(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    await killed_when(world, plan, world.effects_reach(1))
    live = live_names(world, plan)
    assert any(live)
    requests = sent(world, "publishCampaignDraft")
    await world.resume(plan)
    assert [row.outcome is bulk.RowOutcome.DONE for row in rows_of(plan)] == live
    assert sent(world, "publishCampaignDraft") == requests
    await world.resume(plan, PUBLISH)
    assert outcomes_of(plan) == {"done": COUNT}
    assert {world.effects[row.entity_id] for row in rows_of(plan)} == {1}


async def test_a_list_that_is_refused_says_nothing_of_a_draft(world: World) -> None:
    plan = await world.plan(world.names(1))
    world.server.add_fault("lost_answer", operation="updateAdSetDraft", times=1)
    refused = world.server.add_fault("error", operation="getAdSetDrafts", status=400)
    await world.apply(plan, DRAFT)
    assert outcomes_of(plan) == {"unknown": 1}
    refused.remove()
    await world.resume(plan)
    assert outcomes_of(plan) == {"staged": 1}


async def test_a_draft_that_others_changed_beside_a_lost_request_keeps_nothing_from_being_undone(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    drafts, changed = world.account.ad_set_drafts, list[str]()

    def change() -> None:
        (draft,) = drafts
        changed.append(draft["id"])
        drafts.put({**draft, "name": "Theirs"})

    on(world, "updateAdSetDraft", change)
    world.server.add_fault("error", operation="updateAdSetDraft", status=500, times=1)
    await world.apply(plan, PUBLISH)
    (failed,) = [row for row in rows_of(plan) if row.outcome is bulk.RowOutcome.FAILED]
    assert ([failed.entity_id], "somebody changed it" in failed.reason) == (changed, True)
    assert outcomes_of(plan)["done"] > 0
    await bulk.plan_undo(world.ads, plan, world.folder / "undo.plan")
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=True))
    assert outcomes_of(plan) == {"done": COUNT}
    assert all(live_names(world, plan))


@pytest.mark.parametrize("retry", [False, True])
async def test_a_row_whose_draft_was_published_by_others_though_its_answer_was_lost_is_done_and_comes_back(
    world: World, *, retry: bool
) -> None:
    plan = await world.plan(world.names(2))
    world.server.add_fault("lost_answer", operation="updateAdSetDraft", times=1)
    unread = world.server.add_fault("error", operation="getAdSetDrafts", status=403)
    await world.apply(plan, DRAFT)
    unread.remove()
    assert outcomes_of(plan)["unknown"] == 1
    for draft in list(world.account.campaign_drafts):
        assert await world.ads.ad_account(world.server.ad_account_id).trees.publish(draft["id"]) == []
    assert all(live_names(world, plan))
    await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry))
    assert outcomes_of(plan) == {"done": 2}
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 2}
    assert not any(live_names(world, plan))


@pytest.mark.parametrize("retry_failed", [False, True])
async def test_a_lost_publication_with_a_value_of_others_in_the_draft_failed_in_part_and_comes_back(
    world: World, *, retry_failed: bool
) -> None:
    one = world.ad_sets[0]
    changes = world.write("c.csv", ["ad_set_id", "name", "category"], [[one["id"], "Renamed", "ADV_2_2"]])
    plan = await world.plan(changes)
    await world.apply(plan, DRAFT)
    drafts = world.account.ad_set_drafts
    drafts.put({**drafts.get(one["id"]), "name": "Theirs"})
    trees = world.ads.ad_account(world.server.ad_account_id).trees
    assert await trees.publish(one["campaign_id"]) == []
    for _ in range(2):
        await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=retry_failed))
        (row,) = rows_of(plan)
        assert row.outcome is bulk.RowOutcome.FAILED
        assert 'a part of its values is live (name is "Theirs", not "Renamed")' in row.reason
    await bulk.plan_undo(world.ads, plan, world.folder / "undo", force=True)
    await world.apply(world.folder / "undo")
    assert world.account.ad_sets.get(one["id"])["category"] == one["category"]


async def test_what_cannot_be_read_back_is_unknown_until_the_next_run(world: World) -> None:
    plan = await world.plan(world.names(1))
    await world.apply(plan, DRAFT)
    world.server.add_fault("lost_answer", operation="publishCampaignDraft", times=1)
    gone = world.server.add_fault("error", operation="getCampaignDraftsV3", status=403, skip=2)
    (row,), _ = await world.resume(plan, PUBLISH)
    assert row.outcome is bulk.RowOutcome.UNKNOWN
    assert "could not be read back" in row.reason
    gone.remove()
    requests = sent(world, "publishCampaignDraft")
    (row,), _ = await world.resume(plan)
    assert (row.outcome, sent(world, "publishCampaignDraft")) == (bulk.RowOutcome.DONE, requests)
    assert world.effects[row.entity_id] == 1


@pytest.mark.parametrize(
    ("plural", "theirs", "send"),
    [
        ("ad sets", {"category": "ADV_9_9", "frequency_caps": None}, "whole"),
        ("ad sets", {"targets": {"geo_targets": {"country_code": "US"}, "placements": ["MUSIC"]}}, "changes"),
        ("campaigns", {"name": "Theirs"}, "whole"),
    ],
)
async def test_a_draft_of_an_earlier_run_puts_nothing_back(
    worlds: MakeWorld, plural: str, theirs: dict[str, Json], send: str
) -> None:
    """It holds what was live when it was made, and the row goes on top of what is live now."""
    async with worlds(patch="merge") as world:
        kind, table = bulk.ENTITIES[plural], getattr(world.account, plural.replace(" ", "_"))
        (one, *_) = table
        field, value = ("name", "Ours") if plural == "ad sets" else ("purchase_order", "Ours")
        plan = await world.plan(world.write("changes.csv", [kind.id_column, field], [[one["id"], value]]))
        world.server.add_fault("error", operation=DRAFT_KINDS[plural].change.id, status=403, times=1)
        await world.apply(plan, DRAFT)
        assert outcomes_of(plan) == {"failed": 1}
        later = {**table.get(one["id"]), **theirs}
        table.put({name: given for name, given in later.items() if given is not None})
        await world.resume(plan, msgspec.structs.replace(PUBLISH, retry_failed=True, send=send))
        assert outcomes_of(plan) == {"done": 1}
        now = table.get(one["id"])
        targets = {name: one for name, one in now.get("targets", {}).items() if one}
        shown = {**now, "targets": targets, "frequency_caps": now.get("frequency_caps") or None}
        assert {name: shown.get(name) for name in (field, *theirs)} == {field: value, **theirs}


async def test_drafts_of_an_earlier_run_are_read_once_each(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    refused = world.server.add_fault("error", operation="updateAdSetDraft", status=403)
    await world.apply(plan, DRAFT)
    refused.remove()
    world.server.reset_statistics()
    await world.resume(plan, msgspec.structs.replace(DRAFT, retry_failed=True))
    assert outcomes_of(plan) == {"staged": COUNT}
    assert (sent(world, "getAdSetDraft"), sent(world, "getAdSetDrafts") < 5) == (COUNT, True)


async def test_what_a_lost_publication_dropped_ends_the_run_and_is_put_back(world: World) -> None:
    before = world.ad_sets[0]
    plan = await world.plan(world.names(1))
    await world.apply(plan, DRAFT)

    def drop(table: str, _: str, row: Json | None) -> None:
        if row is not None and table.endswith("/ad_sets") and row["name"] == "Renamed " + before["name"]:
            row.pop("category", None)

    world.server.store.listeners.append(drop)
    world.server.add_fault("lost_answer", operation="publishCampaignDraft", times=1)
    _, progress = await world.resume(plan, PUBLISH)
    world.server.store.listeners.remove(drop)
    assert outcomes_of(plan) == {"done": 1}
    assert 'category was "ADV_1_1" and is gone' in str(progress.stopped)
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    assert rows_of(undo)[0].after == {"name": before["name"], "category": "ADV_1_1"}


async def test_what_others_add_before_a_publication_is_read_back_stays_at_undo(world: World) -> None:
    before = world.ad_sets[0]
    rows = [[before["id"], '["FEMALE"]']]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "targets.genders"], rows))
    await world.apply(plan, DRAFT)
    world.server.add_fault("lost_answer", operation="publishCampaignDraft", times=1)
    gone = world.server.add_fault("error", operation="getCampaignDraftsV3", status=403, skip=2)
    await world.resume(plan, PUBLISH)
    gone.remove()
    live = world.account.ad_sets.get(before["id"])
    world.account.ad_sets.put({**live, "targets": {**live["targets"], "language": "sv"}})
    await world.resume(plan)
    assert outcomes_of(plan) == {"done": 1}
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 1}
    assert world.account.ad_sets.get(before["id"])["targets"] == {**before["targets"], "language": "sv"}


@pytest.mark.parametrize("published", [True, False])
async def test_what_is_live_of_a_row_that_others_changed_before_it_is_read_back_is_named_at_undo(
    world: World, *, published: bool
) -> None:
    before = world.ad_sets[0]
    rows = [[before["id"], "Ours", "ADV_2_2"]]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "name", "category"], rows))
    await world.apply(plan, DRAFT)
    world.server.add_fault("lost_answer" if published else "reset", operation="publishCampaignDraft", times=1)
    unread = world.server.add_fault("error", operation="getCampaignDraftsV3", status=403, skip=2)
    await world.resume(plan, PUBLISH)
    unread.remove()
    if not published:
        world.account.campaign_drafts.remove(before["campaign_id"])
    world.account.ad_sets.put({**world.account.ad_sets.get(before["id"]), "name": "Theirs"})
    await world.resume(plan)
    assert outcomes_of(plan) == {"failed": 1}
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    assert [row.conflicts[0].found for row in rows_of(undo)] == (["Theirs"] if published else [])


async def test_what_others_change_that_no_draft_holds_stays_at_publishing_and_at_undo(world: World) -> None:
    plan = await world.plan(world.names(1))
    before = world.ad_sets[0]
    world.account.ad_sets.put({**before, "zeal": 1})
    await world.apply(plan, DRAFT)
    world.account.ad_sets.put({**world.ad_sets[0], "zeal": {"theirs": 2}})
    _, progress = await world.resume(plan, PUBLISH)
    assert (outcomes_of(plan), progress.stopped) == ({"done": 1}, "")
    await bulk.plan_undo(world.ads, plan, world.folder / "undo.plan")
    await world.apply(world.folder / "undo.plan")
    assert (world.ad_sets[0]["name"], world.ad_sets[0]["zeal"]) == (before["name"], {"theirs": 2})


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("plural", ["ad sets", "ads"])
async def test_a_pause_by_others_is_not_put_back_by_publishing_nor_by_undo(
    world: World, plural: str, *, force: bool
) -> None:
    table = world.account.ad_sets if plural == "ad sets" else world.account.ads
    before = next(iter(table))
    plan = await world.plan(world.write("one.csv", [bulk.ENTITIES[plural].id_column, "name"], [[before["id"], "New"]]))
    await world.apply(plan, DRAFT)
    table.put({**table.get(before["id"]), "delivery": "OFF"})
    (row,), _ = await world.resume(plan, msgspec.structs.replace(PUBLISH, force=force))
    assert (row.outcome, row.reason) == (bulk.RowOutcome.DONE, "")
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    now = table.get(before["id"])
    assert (outcomes_of(undo), now["name"], now["delivery"]) == ({"done": 1}, before["name"], "OFF")


async def test_what_others_change_of_an_ad_set_that_no_draft_holds_is_not_taken_for_publishing(world: World) -> None:
    ad = next(iter(world.account.ads))
    world.account.ad_sets.put({**world.account.ad_sets.get(ad["ad_set_id"]), "zeal": 1})
    plan = await world.plan(world.write("one.csv", ["ad_id", "name"], [[ad["id"], "New"]]))
    await world.apply(plan, DRAFT)
    theirs = {**world.account.ad_sets.get(ad["ad_set_id"]), "delivery": "OFF", "zeal": {"theirs": 2}}
    world.account.ad_sets.put(theirs)
    _, progress = await world.resume(plan, PUBLISH)
    assert (outcomes_of(plan), progress.stopped) == ({"done": 1}, "")
    live = world.account.ad_sets.get(ad["ad_set_id"])
    assert (live["delivery"], live["zeal"]) == (theirs["delivery"], theirs["zeal"])


async def test_a_plan_that_has_begun_without_drafts_stays_without(world: World) -> None:
    plan = await world.plan(world.names(1))
    await world.apply(plan)
    with pytest.raises(bulk.WrongPlan, match="begun without drafts"):
        await world.resume(plan, PUBLISH)


async def test_undo_says_that_what_is_staged_is_not_live(world: World) -> None:
    plan = await world.plan(world.names(2))
    await world.apply(plan, DRAFT)
    await bulk.plan_undo(world.ads, plan, world.folder / "undo", force=True)
    for row in rows_of(world.folder / "undo"):
        assert row.outcome is bulk.RowOutcome.REFUSED
        assert "is staged in a draft" in row.reason


@pytest.mark.parametrize("validated", [True, False])
async def test_undo_takes_back_what_others_published_before_it_was_resumed(world: World, *, validated: bool) -> None:
    plan = await world.plan(world.names(2))
    before = [row["name"] for row in world.ad_sets[:2]]
    if not validated:
        world.server.add_fault("error", operation="publishCampaignDraft", status=403, times=2)
    await world.apply(plan, DRAFT)
    assert outcomes_of(plan) == {"staged" if validated else "waiting": 2}
    trees = world.ads.ad_account(world.server.ad_account_id).trees
    for campaign in {row["campaign_id"] for row in world.ad_sets[:2]}:
        assert await trees.publish(campaign) == []
    assert all(live_names(world, plan))
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 2}
    assert [row["name"] for row in world.ad_sets[:2]] == before


async def test_undo_leaves_live_what_others_made_as_wanted_beside_a_draft(world: World) -> None:
    plan = await world.plan(world.names(2))
    await world.apply(plan, DRAFT)
    theirs, wanted = world.ad_sets[0], rows_of(plan)[0].after["name"]
    world.account.ad_sets.put({**theirs, "name": wanted})
    await bulk.plan_undo(world.ads, plan, world.folder / "undo", force=True)
    assert [row.outcome for row in rows_of(world.folder / "undo")] == [bulk.RowOutcome.REFUSED] * 2
    await world.apply(world.folder / "undo")
    assert world.account.ad_sets.get(theirs["id"])["name"] == wanted


@pytest.mark.parametrize("plural", ["ad sets", "ads"])
async def test_edits_since_staging_are_held_and_come_back_with_undo(world: World, plural: str) -> None:
    table = world.account.ad_sets if plural == "ad sets" else world.account.ads
    ad_set = next(iter(world.account.ad_sets))
    together = {one["id"] for one in world.account.ad_sets if one["campaign_id"] == ad_set["campaign_id"]}
    first, second = [one for one in table if one["id"] in together or one.get("ad_set_id") in together][:2]
    plan = await world.plan(
        world.write(
            "two.csv", [bulk.ENTITIES[plural].id_column, "name"], [[one["id"], "New"] for one in (first, second)]
        )
    )
    await world.apply(plan, DRAFT)
    around = [(world.account.campaigns, ad_set["campaign_id"])]
    around += [(world.account.ad_sets, first["ad_set_id"])] if plural == "ads" else []
    field, value = ("bid_micro_amount", 7_030_000) if plural == "ad sets" else ("tagline", "Their line")
    for where, identifier, edit in (
        (table, first["id"], {field: value}),
        (table, first["id"], {"status": "ARCHIVED"}),
        (table, second["id"], {"name": "Theirs"}),
        *((where, identifier, {"name": "Theirs"}) for where, identifier in around),
    ):
        before = where.get(identifier)
        where.put({**before, **edit})
        told, _ = await world.resume(plan, PUBLISH)
        assert {row.outcome for row in told} == {bulk.RowOutcome.STAGED}
        assert all("--force publishes" in row.reason for row in told)
        named = (
            "bid_amount was 6.80, is 7.03 now, and shall become 6.80" if field in edit and plural == "ad sets" else ""
        )
        assert any((named or name) in row.reason for row in told for name in edit)
        if where is not table or "status" in edit:
            where.put(before)
    await world.resume(plan, msgspec.structs.replace(PUBLISH, force=True))
    assert outcomes_of(plan) == {"done": 2}
    assert [table.get(one["id"])["name"] for one in (first, second)] == ["New", "New"]
    assert table.get(first["id"]).get(field) == first.get(field)
    undo = world.folder / "undo"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert outcomes_of(undo) == {"done": 2}
    assert [table.get(one["id"])["name"] for one in (first, second)] == [first["name"], "Theirs"]
    assert table.get(first["id"])[field] == value


async def test_a_budget_that_is_published_over_another_is_done_and_comes_back(world: World) -> None:
    ad_set = next(iter(world.account.ad_sets))
    rows = [[ad_set["id"], str(ad_set["budget"]["micro_amount"] + 5_000_000)]]
    plan = await world.plan(world.write("one.csv", ["ad_set_id", "budget.micro_amount"], rows))
    await world.apply(plan, DRAFT)
    theirs = {**ad_set["budget"], "micro_amount": ad_set["budget"]["micro_amount"] + 1_000_000}
    world.account.ad_sets.put({**ad_set, "budget": theirs})
    await world.resume(plan, msgspec.structs.replace(PUBLISH, force=True))
    assert [(row.outcome, row.reason) for row in rows_of(plan)] == [(bulk.RowOutcome.DONE, "")]
    await bulk.plan_undo(world.ads, plan, world.folder / "undo")
    await world.apply(world.folder / "undo")
    assert world.account.ad_sets.get(ad_set["id"])["budget"] == theirs
