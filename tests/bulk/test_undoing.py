"""Undo: everything as it was, except what somebody else changed since, which is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spotify_ads_async import bulk
from spotify_ads_async.bulk.run.outcomes import require_changed
from spotify_ads_async.errors import OutcomeUnknown
from spotify_ads_async.models import AdSet

from .conftest import QUICK, Json, MakeWorld, World, outcomes_of, rows_of

UNCHANGING = {"updated_at"}


def state(world: World) -> dict[str, dict[str, Any]]:
    """Every ad set as it stands, but for the time of its last change."""
    return {row["id"]: {name: value for name, value in row.items() if name not in UNCHANGING} for row in world.ad_sets}


async def changed(world: World) -> Path:
    header = ["ad_set_id", "name", "bid_amount", "budget.amount", "delivery", "frequency_caps", "targets.genders"]
    caps = '[{"frequency_unit":"DAY","frequency_period":1,"max_impressions":1}]'
    rows = [
        [
            row["id"],
            "Renamed" if number % 2 else "",
            "33.25" if number % 3 else "",
            "77.50" if number % 5 else "",
            "OFF" if number % 4 == 0 else "",
            caps if number % 7 == 0 else "",
            '["MALE"]' if number % 6 == 0 else "",
        ]
        for number, row in enumerate(world.ad_sets)
    ]
    plan = await world.plan(world.write("changes.csv", header, rows))
    await world.apply(plan)
    return plan


async def undone(world: World, plan: Path, **options: Json) -> Path:
    undo = world.folder / "changes.plan.undo"
    undo.unlink(missing_ok=True)
    await bulk.plan_undo(world.ads, plan, undo, **options)
    async with bulk.apply(world.ads, undo, QUICK) as run:
        async for _ in run:
            pass
    return undo


async def test_everything_is_as_it_was(world: World) -> None:
    before = state(world)
    plan = await changed(world)
    assert state(world) != before
    undo = await undone(world, plan)
    assert state(world) == before
    assert outcomes_of(undo).keys() <= {"done", "unchanged"}
    with bulk.PlanFile.open(undo) as file:
        assert file.header.undo_of == str(plan)


async def test_what_somebody_changed_since_is_named_and_left_alone(world: World) -> None:
    before = state(world)
    plan = await changed(world)
    theirs = world.ad_sets[3]
    world.account.ad_sets.put({**theirs, "name": "Theirs"})
    undo = await undone(world, plan)
    (conflict,) = [row for row in rows_of(undo) if row.outcome is bulk.RowOutcome.CONFLICT]
    assert (conflict.entity_id, conflict.column) == (theirs["id"], "name")
    was = f'name was "Renamed", is "Theirs" now, and shall become {json.dumps(before[theirs["id"]]["name"])}'
    assert conflict.reason == f"somebody changed it since: {was}"
    after = state(world)
    assert after.pop(theirs["id"])["name"] == "Theirs"
    assert after == {identifier: row for identifier, row in before.items() if identifier != theirs["id"]}


async def test_what_somebody_changed_elsewhere_stays_and_is_named(world: World) -> None:
    plan = await changed(world)
    theirs = world.ad_sets[3]
    world.account.ad_sets.put({**theirs, "category": "ADV_2_2"})
    undo = await undone(world, plan)
    (named,) = [row for row in rows_of(undo) if row.reason]
    assert (named.entity_id, named.outcome, named.reason) == (
        theirs["id"],
        bulk.RowOutcome.DONE,
        "somebody changed category since, which stays",
    )


async def test_force_takes_back_what_somebody_changed_since(world: World) -> None:
    before = state(world)
    plan = await changed(world)
    world.account.ad_sets.put({**world.ad_sets[3], "name": "Theirs"})
    undo = await undone(world, plan, force=True)
    assert state(world) == before
    (named,) = [row for row in rows_of(undo) if row.reason]
    assert named.reason == "somebody changed name since, which is overwritten"


async def test_only_what_was_done_is_taken_back(world: World) -> None:
    plan = await world.plan(world.names(20))
    async with bulk.apply(world.ads, plan, bulk.Options(concurrency=1, grace=0.1)) as run:
        async for _ in run:
            break
    done = [row.entity_id for row in rows_of(plan) if row.outcome is bulk.RowOutcome.DONE]
    assert 0 < len(done) < 20
    await world.resume(plan, bulk.Options(max_failures=0, settle_after=0.01))
    undo = await undone(world, plan)
    assert len(rows_of(undo)) == 20


async def test_an_unsettled_plan_is_not_undone(world: World) -> None:
    plan = await world.plan(world.names(1))
    world.server.add_fault("lost_answer", operation="updateAdSet")
    world.server.add_fault("error", operation="getAdSetById", status=403, skip=1)
    await world.apply(plan)
    with pytest.raises(bulk.WrongPlan, match="resume the plan first"):
        await bulk.plan_undo(world.ads, plan, world.folder / "undo")


async def test_what_was_not_set_before_cannot_be_taken_back(world: World) -> None:
    row = {name: value for name, value in world.ad_sets[0].items() if name != "category"}
    world.account.ad_sets.put(row)
    header = ["ad_set_id", "name", "category"]
    plan = await world.plan(world.write("changes.csv", header, [[row["id"], "Renamed", "ADV_1_1"]]))
    await world.apply(plan)
    (refused,) = rows_of(await undone(world, plan))
    assert (refused.outcome, refused.column) == (bulk.RowOutcome.REFUSED, "category")
    assert "no way to unset it" in refused.reason
    (forced,) = rows_of(await undone(world, plan, force=True))
    assert (forced.outcome, forced.reason) == (bulk.RowOutcome.DONE, "cannot be restored: category")
    assert world.account.ad_sets.get(row["id"])["name"] == row["name"]


async def test_an_archived_campaign_stays_archived(world: World) -> None:
    campaign = next(iter(world.account.campaigns))
    plan = await world.plan(world.write("changes.csv", ["campaign_id", "status"], [[campaign["id"], "ARCHIVED"]]))
    with bulk.PlanFile.open(plan) as file:
        assert bulk.plan_totals(file).archived == 1
    await world.apply(plan)
    for force in (False, True):
        (refused,) = rows_of(await undone(world, plan, force=force))
        assert refused.reason == "was archived, which cannot be undone"


async def test_an_undo_is_undone(world: World) -> None:
    plan = await changed(world)
    after = state(world)
    undo = await undone(world, plan)
    again = world.folder / "again"
    await bulk.plan_undo(world.ads, undo, again)
    async with bulk.apply(world.ads, again, QUICK) as run:
        async for _ in run:
            pass
    assert state(world) == after


async def test_what_a_merging_server_keeps_is_named_and_not_done(worlds: MakeWorld) -> None:
    """What else of the row can be taken back is."""
    async with worlds(ad_sets=5, patch="merge") as world:
        before = state(world)
        rows = [["de", ""], ["de", "Renamed"], ["", "Renamed"]]
        plan = await world.plan(
            world.write(
                "changes.csv",
                ["ad_set_id", "targets.language", "name"],
                [[one["id"], *row] for one, row in zip(world.ad_sets, rows, strict=False)],
            )
        )
        await world.apply(plan)
        undo = world.folder / "undo.plan"
        await bulk.plan_undo(world.ads, plan, undo)
        _, progress = await world.apply(undo)
        kept = 'targets.language, which is still "de" (the server\'s default, or nothing empties it)'
        reason = f"the server answered, and did not do {kept}"
        assert [(row.outcome.value, row.reason) for row in rows_of(undo)] == [
            ("failed", reason),
            ("failed", reason),
            ("done", ""),
        ]
        assert progress.stopped == ""
        names = {one: row["name"] for one, row in before.items()}
        assert {one: row["name"] for one, row in state(world).items()} == names
        again = world.folder / "again.plan"
        await bulk.plan_undo(world.ads, undo, again)
        await world.apply(again)
        assert [row["name"] == "Renamed" for row in world.ad_sets] == [False, True, True, False, False]


async def test_a_clearing_that_the_server_does_not_carry_out_is_not_done(worlds: MakeWorld) -> None:
    """It changed nothing, so the run goes on, and undo has nothing to take back."""
    async with worlds(ad_sets=3, patch="replace") as world:
        before = state(world)
        rows = [[row["id"], "<clear>", ""] for row in world.ad_sets[:2]] + [[world.ad_sets[2]["id"], "", "Renamed"]]
        plan = await world.plan(world.write("changes.csv", ["ad_set_id", "frequency_caps", "name"], rows))
        _, progress = await world.apply(plan)
        assert (outcomes_of(plan), progress.stopped) == ({"failed": 2, "done": 1}, "")
        assert all("did not do frequency_caps, which is still [" in row.reason for row in rows_of(plan)[:2])
        undo = await undone(world, plan)
        assert (outcomes_of(undo), state(world)) == ({"done": 1}, before)


async def test_a_read_that_is_older_than_the_plan_is_no_row_put_back(world: World) -> None:
    before = world.ad_sets[0]
    plan = await world.plan(world.names(1))
    await world.apply(plan)
    written = world.account.ad_sets.get(before["id"])
    world.account.ad_sets.put(before)
    await bulk.plan_undo(world.ads, plan, world.folder / "early")
    (row,) = rows_of(world.folder / "early")
    assert row.outcome is bulk.RowOutcome.REFUSED
    assert "its reads are behind its writes" in row.reason
    world.account.ad_sets.put(written)
    await bulk.plan_undo(world.ads, plan, world.folder / "later")
    await world.apply(world.folder / "later")
    assert world.account.ad_sets.get(before["id"])["name"] == before["name"]


def test_an_answer_that_is_something_else_says_nothing_of_the_row() -> None:
    require_changed(AdSet(id="Ad-Set"), "ad-set")
    for answer in (AdSet(), AdSet(id="job-1")):
        with pytest.raises(OutcomeUnknown, match="something else than what was changed"):
            require_changed(answer, "ad-set")
