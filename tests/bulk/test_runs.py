"""Runs: every row once, whatever happens to requests, answers, the process or the network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from spotify_ads_async import AdsClient, Governor, Limit, bulk
from spotify_ads_async.events import Event, RowApplied

from .conftest import QUICK, Json, MakeWorld, World, outcomes_of, rows_of

COUNT = 60


def agrees(world: World, plan: Path) -> None:
    """Every row is done, its effect is there exactly once, and the server has what the plan wanted."""
    assert outcomes_of(plan) == {"done": COUNT}
    for row in rows_of(plan):
        assert world.account.ad_sets.get(row.entity_id)["name"] == row.after["name"]
        assert world.effects[row.entity_id] == 1


def tasks_of_ours() -> set[asyncio.Task[Any]]:
    """Tasks but for the emulator's, which serve connections that stay open."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}


async def test_every_row_is_applied_and_told(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    told, progress = await world.apply(plan)
    agrees(world, plan)
    assert sorted(row.number for row in told) == list(range(1, COUNT + 1))
    assert {row.outcome for row in told} == {bulk.RowOutcome.DONE}
    assert (progress.total, progress.done, progress.requests, progress.under_way, progress.stopped) == (
        COUNT,
        COUNT,
        COUNT,
        0,
        "",
    )


async def test_listeners_hear_of_every_row(world: World) -> None:
    plan = await world.plan(world.names(3))
    heard: list[Event] = []
    world.ads.subscribe(heard.append)
    told, _ = await world.apply(plan)
    rows = [event for event in heard if isinstance(event, RowApplied)]
    assert [(event.entity, event.entity_id, event.outcome) for event in rows] == [
        ("ad set", row.entity_id, "done") for row in told
    ]


async def test_delivery_goes_in_a_request_of_its_own(world: World) -> None:
    header = ["ad_set_id", "name", "delivery"]
    plan = await world.plan(
        world.write("changes.csv", header, [[row["id"], "Paused", "OFF"] for row in world.ad_sets[:5]])
    )
    _, progress = await world.apply(plan)
    assert progress.requests == 10
    assert outcomes_of(plan) == {"done": 5}
    assert [(row["name"], row["delivery"]) for row in world.ad_sets[:5]] == [("Paused", "OFF")] * 5


@pytest.mark.parametrize("fault", ["lost_answer", "truncated", "garbage", "reset", "indeterminate", "html", "error"])
async def test_faults_leave_no_row_undone_or_done_twice(world: World, fault: Json) -> None:
    plan = await world.plan(world.names(COUNT))
    world.server.add_fault(fault, operation="updateAdSet", share=0.3)
    await world.apply(plan)
    world.server.clear_faults()
    await world.resume(plan)
    agrees(world, plan)


async def test_a_lost_answer_is_settled_by_reading_back_not_by_sending_again(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    world.server.add_fault("lost_answer", operation="updateAdSet", times=10)
    world.server.reset_statistics()
    await world.apply(plan)
    assert world.server.statistics().operations["updateAdSet"] == COUNT
    assert world.server.statistics().operations["getAdSetById"] == 10
    agrees(world, plan)


async def test_a_request_that_took_no_effect_is_made_again(world: World) -> None:
    plan = await world.plan(world.names(1))
    world.server.add_fault("reset", operation="updateAdSet", times=1)
    (row,), _ = await world.apply(plan)
    assert row.outcome is bulk.RowOutcome.DONE
    assert world.effects[row.entity_id] == 1


async def test_what_cannot_be_read_back_is_unknown_until_the_next_run(world: World) -> None:
    plan = await world.plan(world.names(1))
    world.server.add_fault("lost_answer", operation="updateAdSet", times=1)
    gone = world.server.add_fault("error", operation="getAdSetById", status=403, skip=1)
    (row,), progress = await world.apply(plan)
    assert row.outcome is bulk.RowOutcome.UNKNOWN
    assert "reading back failed" in row.reason
    assert progress.unknown == 1
    gone.remove()
    (row,), _ = await world.resume(plan)
    assert row.outcome is bulk.RowOutcome.DONE
    assert world.effects[row.entity_id] == 1


async def test_what_somebody_else_changed_meanwhile_stays_unknown(world: World) -> None:
    plan = await world.plan(world.names(1))
    (planned,) = rows_of(plan)
    world.server.add_fault("lost_answer", operation="updateAdSet", times=1)

    async def meddle() -> None:
        await world.effects_reach(1)
        world.account.ad_sets.put({**world.account.ad_sets.get(planned.entity_id), "name": "Theirs"})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meddle)
        (row,), _ = await world.apply(plan, msgspec.structs.replace(QUICK, settle_after=0.2))
    assert row.outcome is bulk.RowOutcome.UNKNOWN
    assert "somebody else" in row.reason
    assert world.account.ad_sets.get(planned.entity_id)["name"] == "Theirs"


async def test_a_row_whose_entity_was_archived_since_is_refused_unsent(world: World) -> None:
    plan = await world.plan(world.names(3))
    second = rows_of(plan)[1]
    world.account.ad_sets.put({**world.account.ad_sets.get(second.entity_id), "status": "ARCHIVED"})
    world.server.reset_statistics()
    told, progress = await world.apply(plan)
    (refused,) = [row for row in told if row.outcome is bulk.RowOutcome.REFUSED]
    assert refused.entity_id == second.entity_id
    assert "was archived since it was planned" in refused.reason
    assert (progress.done, progress.refused) == (2, 1)
    assert world.server.statistics().operations["updateAdSet"] == 2


async def test_a_row_that_the_server_refuses_fails_with_its_reason_and_trace(world: World) -> None:
    plan = await world.plan(world.names(3))
    world.server.add_fault("error", operation="updateAdSet", status=400, skip=1, times=1)
    told, progress = await world.apply(plan)
    (failed,) = [row for row in told if row.outcome is bulk.RowOutcome.FAILED]
    assert (failed.status, bool(failed.trace_id)) == (400, True)
    assert (progress.done, progress.failed) == (2, 1)
    world.server.add_fault("error", operation="updateAdSet", status=400)
    assert (await world.resume(plan))[0] == []
    retried, _ = await world.resume(plan, msgspec.structs.replace(QUICK, retry_failed=True))
    assert [row.outcome for row in retried] == [bulk.RowOutcome.FAILED]


async def test_a_row_whose_first_request_fails_makes_no_second(world: World) -> None:
    header = ["ad_set_id", "name", "delivery"]
    plan = await world.plan(world.write("changes.csv", header, [[world.ad_sets[0]["id"], "Paused", "OFF"]]))
    world.server.add_fault("error", operation="updateAdSet", status=400)
    (row,), progress = await world.apply(plan)
    assert (row.outcome, progress.requests) == (bulk.RowOutcome.FAILED, 1)


async def test_too_many_failures_stop_the_run(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    world.server.add_fault("error", operation="updateAdSet", status=400)
    _, progress = await world.apply(plan, msgspec.structs.replace(QUICK, max_failures=2, concurrency=1))
    assert progress.stopped == "more than 2 rows failed"
    assert 3 <= progress.failed <= 5
    assert outcomes_of(plan)["waiting"] >= COUNT - 5


async def test_refused_credentials_stop_the_run(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    world.server.add_fault("unauthorized", operation="updateAdSet")
    _, progress = await world.apply(plan)
    assert progress.stopped.startswith("the credentials were refused")
    world.server.clear_faults()
    await world.resume(plan)
    agrees(world, plan)


async def test_a_run_without_a_network_stops_and_is_resumed(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    options = msgspec.structs.replace(QUICK, unreachable_after=5, concurrency=4, attempts=1)
    world.server.add_fault("reset")
    _, progress = await world.apply(plan, options)
    assert progress.stopped.startswith("the API cannot be reached")
    assert progress.ended < COUNT
    world.server.clear_faults()
    await world.resume(plan)
    agrees(world, plan)


async def test_a_run_that_is_left_early_leaves_nothing_behind(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    before = tasks_of_ours()
    async with bulk.apply(world.ads, plan, QUICK) as run:
        async for _ in run:
            break
    assert run.progress.stopped == "the run was left early"
    assert tasks_of_ours() == before
    assert not list(world.folder.glob("*-wal"))
    await world.resume(plan)
    agrees(world, plan)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06])
async def test_a_cancelled_run_is_resumed(worlds: MakeWorld, delay: float) -> None:
    async with worlds(latency=(0.0, 0.03)) as world:
        plan = await world.plan(world.names(COUNT))
        with anyio.move_on_after(delay):
            await world.apply(plan)
        await world.resume(plan)
        agrees(world, plan)


async def test_stopping_lets_what_is_under_way_end(worlds: MakeWorld) -> None:
    async with worlds(latency=(0.02, 0.05)) as world:
        plan = await world.plan(world.names(COUNT))
        told: list[bulk.PlannedRow] = []
        async with bulk.apply(world.ads, plan, msgspec.structs.replace(QUICK, concurrency=8, grace=5.0)) as run:
            async for row in run:
                told.append(row)
                run.stop("enough")
        assert run.progress.stopped == "enough"
        assert len(told) == sum(world.effects.values()) < COUNT
        assert outcomes_of(plan) == {"done": len(told), "waiting": COUNT - len(told)}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_still_waits_for_quota_when_a_run_ends_is_not_in_doubt(world: World, cancelled: Json) -> None:
    plan = await world.plan(world.names(COUNT))
    limits = [Limit("ip", requests=9, window=600.0)]
    told = 0
    async with AdsClient("token", base_url=world.server.base_url, governor=Governor(limits)) as ads:
        with anyio.CancelScope() as scope:
            async with bulk.apply(ads, plan, QUICK) as run:
                async for _ in run:
                    told += 1
                    if told == world.effects.total() >= 4:
                        scope.cancel() if cancelled else run.stop("enough")
    done = world.effects.total()
    assert outcomes_of(plan) == {"done": done, "waiting": COUNT - done}
    assert {row.requests for row in rows_of(plan) if row.outcome is bulk.RowOutcome.WAITING} == {0}
    await world.resume(plan)
    agrees(world, plan)


async def test_a_plan_that_has_begun_is_not_applied_again(world: World) -> None:
    plan = await world.plan(world.names(2))
    await world.apply(plan)
    with pytest.raises(bulk.WrongPlan, match="resume it"):
        await world.apply(plan)
    assert await world.resume(plan) == ([], bulk.Progress())


async def test_a_plan_belongs_to_one_address(worlds: MakeWorld) -> None:
    async with worlds() as one, worlds() as other:
        plan = await one.plan(one.names(2))
        with pytest.raises(bulk.WrongPlan, match="was made for"):
            await other.apply(plan)


async def test_a_second_process_refuses(world: World) -> None:
    plan = await world.plan(world.names(COUNT))
    program = f"from pathlib import Path; from spotify_ads_async import bulk; bulk.PlanFile.open(Path({str(plan)!r}))"
    async with bulk.apply(world.ads, plan, QUICK) as run:
        second = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert "PlanInUse: another process works on" in second.stderr
        with pytest.raises(bulk.PlanInUse):
            await world.resume(plan)
        async for _ in run:
            pass
    agrees(world, plan)


async def test_an_emptied_list_that_reads_back_as_the_defaults_is_done(world: World) -> None:
    one = world.ad_sets[0]
    world.account.ad_sets.put(
        {**one, "frequency_caps": one["frequency_caps"][:1], "targets": {**one["targets"], "platforms": ["IOS"]}}
    )
    plan = await world.plan(
        world.write("changes.csv", ["ad_set_id", "frequency_caps", "targets.platforms"], [[one["id"], "<clear>", "[]"]])
    )
    world.server.add_fault("lost_answer", operation="updateAdSet", times=1)
    (row,), progress = await world.apply(plan)
    assert (row.outcome, row.reason, progress.requests) == (bulk.RowOutcome.DONE, "", 1)
    assert row.applied["targets"]["platforms"] == ["ANDROID", "DESKTOP", "IOS"]
    assert len(row.applied["frequency_caps"]) == 3


async def test_results_are_in_the_order_of_the_file(world: World) -> None:
    changes = world.write(
        "changes.csv",
        ["ad_set_id", "name"],
        [["nothing", "=Fine"], [world.ad_sets[5]["id"], "Renamed"], [world.ad_sets[1]["id"], world.ad_sets[1]["name"]]],
    )
    plan = await world.plan(changes, skip_bad_rows=True)
    await world.apply(plan)
    with bulk.PlanFile.open(plan) as file:
        bulk.write_results(file.rows(), world.folder / "results.csv")
        bulk.write_results(file.rows(), world.folder / "results.jsonl")
    lines = (world.folder / "results.csv").read_text().splitlines()
    assert [[*line.split(",")[-2:], line.split(",")[1]] for line in lines[1:]] == [
        ["2", "nothing", "refused"],
        ["3", world.ad_sets[5]["id"], "done"],
        ["4", world.ad_sets[1]["id"], "unchanged"],
    ]
    decoded = [msgspec.json.decode(line) for line in (world.folder / "results.jsonl").read_bytes().splitlines()]
    assert [row["outcome"] for row in decoded] == ["refused", "done", "unchanged"]


async def test_campaigns_and_ads_too(world: World) -> None:
    campaigns = world.write(
        "campaigns.csv",
        ["campaign_id", "status"],
        [[row["id"], "PAUSED"] for row in world.account.campaigns if row["status"] == "ACTIVE"],
    )
    ads = world.write(
        "ads.csv",
        ["ad_id", "call_to_action.key", "delivery"],
        [[row["id"], "SHOP_NOW", "OFF"] for row in world.account.ads],
    )
    for changes in (campaigns, ads):
        plan = await world.plan(changes, f"{changes.stem}.plan")
        told, _ = await world.apply(plan)
        assert {row.outcome for row in told} == {bulk.RowOutcome.DONE}
    assert {row["status"] for row in world.account.campaigns} == {"PAUSED"}
    assert {(row["call_to_action"]["key"], row["delivery"]) for row in world.account.ads} == {("SHOP_NOW", "OFF")}


async def test_results_never_take_the_place_of_what_is_no_file(world: World, tmp_path: Path) -> None:
    plan = await world.plan(world.names(3))
    await world.apply(plan)
    device = tmp_path / "pipe"
    os.mkfifo(device)
    reading = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with bulk.PlanFile.open(plan) as file:
            bulk.write_results(file.rows(), device)
        assert device.is_fifo()
        assert os.read(reading, 1 << 16).decode("utf-8-sig").startswith("name,outcome")
    finally:
        os.close(reading)
