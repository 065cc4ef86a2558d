"""What others change between plan, apply, kill and resume is never lost.

It stays, or is a conflict with its three values.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from spotify_ads_async import bulk
from spotify_ads_async.events import Event, RequestSent

from .conftest import QUICK, Json, MakeWorld, World, on, outcomes_of, rows_of

COUNT = 30


def edit(world: World, number: int, **fields: object) -> str:
    row = world.ad_sets[number]
    world.account.ad_sets.put({**row, **fields})
    return row["id"]


async def test_the_row_goes_on_top_of_what_others_changed_beside_it(world: World) -> None:
    rows = [[row["id"], '["MALE"]'] for row in world.ad_sets[:COUNT]]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "targets.genders"], rows))
    for number in range(0, COUNT, 3):
        targets = world.ad_sets[number]["targets"]
        edit(world, number, name="Theirs", targets={**targets, "language": "sv", "weather": ["RAIN"]})
    await world.apply(plan)
    assert outcomes_of(plan) == {"done": COUNT}
    for number in range(0, COUNT, 3):
        row = world.ad_sets[number]
        assert (row["name"], row["targets"]["language"], row["targets"]["weather"]) == ("Theirs", "sv", ["RAIN"])
        assert row["targets"]["genders"] == ["MALE"]
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert {world.ad_sets[number]["targets"]["language"] for number in range(0, COUNT, 3)} == {"sv"}


async def test_a_value_that_others_changed_too_is_a_conflict_and_the_other_rows_are_done(
    world: World, tmp_path: Path
) -> None:
    plan = await world.plan(world.names(COUNT))
    before = world.ad_sets[3]["name"]
    theirs = {edit(world, number, name="Theirs") for number in range(0, COUNT, 3)}
    told, progress = await world.apply(plan)
    assert outcomes_of(plan) == {"done": COUNT - len(theirs), "conflict": len(theirs)}
    assert progress.conflicts == len(theirs)
    conflicts = [row for row in told if row.outcome is bulk.RowOutcome.CONFLICT]
    assert {row.entity_id for row in conflicts} == theirs
    assert all(world.account.ad_sets.get(one)["name"] == "Theirs" for one in theirs)
    with bulk.PlanFile.open(plan) as file:
        bulk.write_results(file.rows(), tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as text:
        row = next(one for one in csv.DictReader(text) if one["id"] == world.ad_sets[3]["id"])
    assert (row["outcome"], row["planned_from"], row["found"], row["wanted"]) == (
        "conflict",
        f'name="{before}"',
        'name="Theirs"',
        f'name="Renamed {before}"',
    )
    await world.resume(plan)
    assert outcomes_of(plan)["conflict"] == len(theirs)
    await world.resume(plan, msgspec.structs.replace(QUICK, force=True))
    assert outcomes_of(plan) == {"done": COUNT}
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert all(
        world.account.ad_sets.get(one)["name"] == "Theirs" for one in theirs
    )  # as it was at the moment of writing


async def test_edits_between_a_stop_and_resume_are_kept_as_well(worlds: MakeWorld) -> None:
    async with worlds(latency=(0.01, 0.03)) as world:
        plan = await world.plan(world.names(COUNT))
        async with bulk.apply(world.ads, plan, msgspec.structs.replace(QUICK, concurrency=2)) as run:
            async for _ in run:
                run.stop("enough")
        waiting = [row.entity_id for row in rows_of(plan) if row.outcome is bulk.RowOutcome.WAITING]
        assert len(waiting) > 3
        world.account.ad_sets.put({**world.account.ad_sets.get(waiting[0]), "name": "Theirs"})
        world.account.ad_sets.put({**world.account.ad_sets.get(waiting[1]), "category": "ADV_2_2"})
        await world.resume(plan)
        assert outcomes_of(plan) == {"done": COUNT - 1, "conflict": 1}
        assert world.account.ad_sets.get(waiting[0])["name"] == "Theirs"
        assert world.account.ad_sets.get(waiting[1])["category"] == "ADV_2_2"


async def test_what_is_gone_archived_or_moved_is_refused_with_the_reason(world: World) -> None:
    plan = await world.plan(world.names(6))
    archived = edit(world, 0, status="ARCHIVED")
    moved = edit(world, 1, campaign_id=world.account.ad_sets.get(world.ad_sets[-1]["id"])["campaign_id"])
    gone = world.ad_sets[2]["id"]
    world.account.ad_sets.remove(gone)
    told, _ = await world.apply(plan)
    reasons = {row.entity_id: row.reason for row in told if row.outcome is bulk.RowOutcome.REFUSED}
    assert reasons.keys() == {archived, moved, gone}
    assert ("archived" in reasons[archived], "moved" in reasons[moved], "not there" in reasons[gone]) == (
        True,
        True,
        True,
    )


async def test_an_old_plan_on_an_unchanged_account_sends_what_it_shows(world: World) -> None:
    plan = await world.plan(world.names(5))
    bodies = [row.bodies for row in rows_of(plan)]
    await world.apply(plan)
    assert [row.bodies for row in rows_of(plan)] == bodies


@pytest.mark.parametrize(("rows", "most"), [(1, 1), (2, 2), (120, 21), (1000, 25)])
async def test_looking_again_costs_few_requests(worlds: MakeWorld, rows: int, most: int) -> None:
    async with worlds(ad_sets=1000) as world:
        plan = await world.plan(world.names(rows))
        world.server.reset_statistics()
        await world.apply(plan)
        assert world.server.statistics().requests - rows <= most


async def lost(world: World, header: list[str], values: list[str]) -> Path:
    """A plan of the first ad set, the rest of ten beside it, whose first request took effect and was not read back."""
    rows = [[row["id"], *values] for row in world.ad_sets[:1]]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", *header], rows))
    world.server.add_fault("lost_answer", operation="updateAdSet", times=1)
    unread = world.server.add_fault("error", operation="getAdSetById", status=403, skip=1)
    await world.apply(plan)
    assert outcomes_of(plan) == {"unknown": 1}
    unread.remove()
    return plan


async def taken_back(world: World, plan: Path) -> bulk.PlannedRow:
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    return rows_of(undo)[0]


async def test_what_others_add_before_a_lost_request_is_settled_stays_at_undo(world: World) -> None:
    before = world.ad_sets[0]["targets"]
    plan = await lost(world, ["targets.genders"], ['["FEMALE"]'])
    theirs = {"language": "sv", "weather": ["RAIN"]}
    edit(world, 0, targets={**world.ad_sets[0]["targets"], **theirs})
    await world.resume(plan)
    assert outcomes_of(plan) == {"done": 1}
    assert (await taken_back(world, plan)).outcome is bulk.RowOutcome.DONE
    assert world.ad_sets[0]["targets"] == {**before, **theirs}


@pytest.mark.parametrize("number", [0, 1])
async def test_a_second_request_goes_on_top_of_what_was_found_after_a_lost_first_one(
    worlds: MakeWorld, number: int
) -> None:
    """The request of that number takes no effect, and a colleague works on the ad set until it is made again."""
    async with worlds(patch="replace") as world:
        before = world.ad_sets[0]
        rows = [[before["id"], '["FEMALE"]', "OFF"]]
        header = ["ad_set_id", "targets.genders", "delivery"]
        plan = await world.plan(world.write("changes.csv", header, rows))
        world.server.add_fault("reset", operation="updateAdSet", times=1, skip=number)
        sent: list[Event] = []

        def meddle(event: Event) -> None:
            if isinstance(event, RequestSent) and event.operation == "updateAdSet":
                sent.append(event)
                if len(sent) == number + 1:
                    present = world.ad_sets[0]
                    targets = {**present["targets"], "weather": ["RAIN"]}
                    edit(world, 0, targets=targets)

        world.ads.subscribe(meddle)
        await world.apply(plan)
        assert (outcomes_of(plan), len(sent)) == ({"done": 1}, 3)
        now = world.ad_sets[0]
        assert (now["targets"]["genders"], now["targets"]["weather"], now["delivery"]) == (["FEMALE"], ["RAIN"], "OFF")
        assert (await taken_back(world, plan)).outcome is bulk.RowOutcome.DONE
        now = world.ad_sets[0]
        assert (now["targets"], now["delivery"]) == ({**before["targets"], "weather": ["RAIN"]}, before["delivery"])


@pytest.mark.parametrize(
    "theirs", [{"language": "es"}, {"artist_ids": ["4Z8W4fKeB5YxbusRsdQVPb"]}, {"newer": {"a": 1}}]
)
async def test_what_others_put_beside_a_change_just_before_its_request_stays_at_undo(
    world: World, theirs: dict[str, Json]
) -> None:
    one = world.ad_sets[0]
    plan = await world.plan(world.write("c.csv", ["ad_set_id", "targets.genders"], [[one["id"], '["FEMALE"]']]))

    def put(**targets: Json) -> None:
        live = world.account.ad_sets.get(one["id"])
        world.account.ad_sets.put({**live, "targets": {**live["targets"], **targets}})

    on(world, "updateAdSet", lambda: put(**theirs))
    await world.apply(plan)
    assert outcomes_of(plan) == {"done": 1}
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    (row,) = rows_of(undo)
    named = f"targets.{next(iter(theirs))}"
    assert (row.outcome, row.reason.startswith(named)) == (bulk.RowOutcome.DONE, True)
    assert row.reason.endswith("came in beside it when it was written, and stays")
    assert world.account.ad_sets.get(one["id"])["targets"] == {**one["targets"], **theirs}


async def test_what_others_change_beside_a_lost_request_is_no_surprise_and_stays_at_undo(world: World) -> None:
    plan = await world.plan(world.names(1))
    before = world.ad_sets[0]
    world.server.add_fault("lost_answer", operation="updateAdSet", times=1)

    async def meddle() -> None:
        await world.effects_reach(1)
        edit(world, 0, category="ADV_2_2")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meddle)
        _, progress = await world.apply(plan, msgspec.structs.replace(QUICK, settle_after=0.2))
    assert (outcomes_of(plan), progress.stopped) == ({"done": 1}, "")
    await taken_back(world, plan)
    assert (world.ad_sets[0]["name"], world.ad_sets[0]["category"]) == (before["name"], "ADV_2_2")


async def test_what_others_put_where_a_lost_request_emptied_stays_at_undo(world: World) -> None:
    plan = await lost(world, ["frequency_caps"], ["<clear>"])
    theirs = [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 9}]
    edit(world, 0, frequency_caps=theirs)
    await world.resume(plan)
    assert (await taken_back(world, plan)).outcome is bulk.RowOutcome.CONFLICT
    assert world.ad_sets[0]["frequency_caps"] == theirs


async def test_what_stays_unknown_keeps_nothing_from_being_undone(world: World) -> None:
    before = world.ad_sets[0]
    plan = await lost(world, ["name", "category"], ["Ours", "ADV_2_2"])
    edit(world, 0, name="Theirs")
    await world.resume(plan)
    assert outcomes_of(plan) == {"unknown": 1}
    assert (await taken_back(world, plan)).conflicts[0].found == "Theirs"
    edit(world, 0, name="Ours")
    (world.folder / "undo.plan").unlink()
    assert (await taken_back(world, plan)).outcome is bulk.RowOutcome.DONE
    assert (world.ad_sets[0]["name"], world.ad_sets[0]["category"]) == (before["name"], before["category"])


async def test_what_a_lost_request_dropped_ends_the_next_run_and_is_put_back(worlds: MakeWorld) -> None:
    async with worlds(patch="replace-known") as world:
        before = {**world.ad_sets[0]["targets"], "weather": ["RAIN"]}
        edit(world, 0, targets=before)
        plan = await lost(world, ["targets.genders"], ['["FEMALE"]'])
        now = world.ad_sets[0]
        world.account.ad_sets.put({name: value for name, value in now.items() if name != "category"})
        _, progress = await world.resume(plan)
        assert 'targets.weather was ["RAIN"] and is gone' in progress.stopped
        undo = world.folder / "undo.plan"
        await bulk.plan_undo(world.ads, plan, undo)
        assert rows_of(undo)[0].after == {"targets": before, "category": "ADV_1_1"}


async def test_a_part_that_others_did_leaves_the_row_done(world: World) -> None:
    rows = [[world.ad_sets[0]["id"], "Ours", "OFF"]]
    plan = await world.plan(world.write("changes.csv", ["ad_set_id", "name", "delivery"], rows))
    world.server.add_fault("error", operation="updateAdSet", status=403, times=1, skip=1)
    await world.apply(plan)
    assert outcomes_of(plan) == {"failed": 1}
    edit(world, 0, name="Ours")
    await world.resume(plan, msgspec.structs.replace(QUICK, retry_failed=True))
    (row,) = rows_of(plan)
    assert (row.outcome, row.reason) == (bulk.RowOutcome.DONE, "")


async def test_a_gone_ad_whose_read_is_a_bad_request_is_refused(world: World) -> None:
    """All that the document declares for a single read beside 200 is 400 and 500."""
    rows = [[row["id"], "Ours"] for row in list(world.account.ads)[:2]]
    plan = await world.plan(world.write("changes.csv", ["ad_id", "name"], rows))
    world.server.add_fault("error", operation="getAd", status=400, times=1)
    await world.apply(plan)
    assert outcomes_of(plan) == {"refused": 1, "done": 1}


async def test_an_ad_that_is_gone_when_a_lost_request_is_read_back_failed(world: World) -> None:
    rows = [[row["id"], "Ours"] for row in list(world.account.ads)[:1]]
    plan = await world.plan(world.write("changes.csv", ["ad_id", "name"], rows))
    world.server.add_fault("lost_answer", operation="updateAd", times=1)
    world.server.add_fault("error", operation="getAd", status=400, skip=1)
    await world.apply(plan)
    assert outcomes_of(plan) == {"failed": 1}


@pytest.mark.parametrize("field", ["category", "frequency_caps", "end_time"])
async def test_a_field_that_the_server_dropped_is_put_back(world: World, field: str) -> None:
    plan = await world.plan(world.names(2))
    before = world.ad_sets[0]

    def drop(table: str, identifier: str, row: dict[str, Any] | None) -> None:
        del identifier
        if row is not None and table.endswith("/ad_sets") and row["name"] == "Renamed " + before["name"]:
            row.pop(field, None)

    world.server.store.listeners.append(drop)
    _, progress = await world.apply(plan)
    world.server.store.listeners.remove(drop)
    assert f"{field} was " in progress.stopped
    await taken_back(world, plan)
    after = world.account.ad_sets.get(before["id"])
    assert (after["name"], after[field]) == (before["name"], before[field])
