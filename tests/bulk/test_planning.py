"""Plans: what a file or a selection comes down to.

Read by few requests, with bad rows refused before anything leaves.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from spotify_ads_async import bulk, errors
from spotify_ads_async.bulk.plan.cells import to_cell
from spotify_ads_async.bulk.plan.state import leaf, writable_state
from spotify_ads_async.money import format_micros

from .conftest import QUICK, Json, MakeWorld, World, check_totals, outcomes_of, rows_of

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def refused(world: World, changes: Path, **options: Json) -> bulk.BadChanges:
    with pytest.raises(bulk.BadChanges) as caught:
        await world.plan(changes, **options)
    assert not (world.folder / "changes.plan").exists()
    return caught.value


async def test_a_plan_says_what_every_row_comes_down_to(world: World) -> None:
    one, two, three = world.ad_sets[:3]
    changes = world.write(
        "changes.csv",
        ["ad_set_id", "name", "budget.amount", "delivery"],
        [[one["id"], "New name", "", ""], [two["id"], "", "77.50", "OFF"], [three["id"], three["name"], "", "ON"]],
    )
    first, second, third = rows_of(await world.plan(changes))
    assert (first.before, first.after) == ({"name": one["name"]}, {"name": "New name"})
    assert [list(body) for body in second.bodies] == [["delivery"], ["budget"]]
    assert second.after["budget"] == {"micro_amount": 77_500_000, "type": two["budget"]["type"]}
    assert (third.decision, third.outcome, third.bodies) == ("unchanged", "unchanged", ())


async def test_bad_rows_are_refused_before_any_request(world: World) -> None:
    changes = world.write("changes.csv", ["ad_set_id", "name"], [["nothing", "Fine"], [world.ad_sets[0]["id"], "x"]])
    problems = (await refused(world, changes)).problems
    assert [(problem.file, problem.line, problem.column) for problem in problems] == [
        (str(changes), 2, "ad_set_id"),
        (str(changes), 3, "name"),
    ]
    assert world.server.statistics().requests == 0


async def test_other_rows_go_on_when_asked(world: World) -> None:
    good = world.ad_sets[0]["id"]
    changes = world.write(
        "changes.csv", ["ad_set_id", "name"], [["nothing", "Fine"], [good, "Renamed"], [NOWHERE, "Renamed"]]
    )
    rows = rows_of(await world.plan(changes, skip_bad_rows=True))
    assert [(row.line, row.decision) for row in rows] == [(2, "refused"), (3, "planned"), (4, "refused")]
    assert "there is no ad set" in rows[2].reason
    outcomes, _ = await world.apply(world.folder / "changes.plan")
    assert [row.entity_id for row in outcomes] == [good]


async def test_an_unknown_id_is_a_bad_row(world: World) -> None:
    changes = world.write("changes.csv", ["ad_set_id", "name"], [[NOWHERE, "Renamed"]])
    assert f"changes.csv:2: ad_set_id: there is no ad set {NOWHERE}" in str(await refused(world, changes))


async def test_a_row_for_an_id_that_has_one_already(world: World) -> None:
    one = world.ad_sets[0]["id"]
    rows = [[one, "First", ""], [one, "First", ""], [one, "Second", ""], [one.upper(), "", "12.50"]]
    changes = world.write("changes.csv", ["ad_set_id", "name", "bid_amount"], rows)
    said = str(await refused(world, changes)).splitlines()
    assert [line.partition("changes.csv")[2] for line in said] == [
        ':4: name: contradicts line 2, which sets it to "First"',
        ":5: is the second row for this id, after line 2: put the changes of one id into one row",
    ]


async def test_rules_that_need_the_present_state_are_checked_too(world: World) -> None:
    changes = world.write(
        "changes.csv",
        ["ad_set_id", "start_time", "end_time"],
        [[world.ad_sets[0]["id"], "2031-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]],
    )
    assert "end_time" in str(await refused(world, changes))


async def test_many_problems_are_counted_and_the_first_shown(world: World) -> None:
    changes = world.write("changes.csv", ["ad_set_id", "name"], [["nothing", "Fine"]] * 30)
    problem = await refused(world, changes)
    assert problem.total == 30
    assert len(problem.problems) == 20
    assert str(problem).endswith("and 10 more")


@pytest.mark.parametrize(("rows", "requests"), [(1, 1), (2, 2), (3, 4), (19, 20), (100, 21), (1000, 21)])
async def test_the_present_state_is_read_by_few_requests(worlds: MakeWorld, rows: int, requests: int) -> None:
    async with worlds(ad_sets=1000) as world:
        await world.plan(world.names(rows))
        # Besides, the catalogue of ad products is read, and which products the campaigns are of, fifty at once.
        assert world.server.statistics().requests <= requests + 1 + 1


async def test_campaigns_are_read_by_their_ids(worlds: MakeWorld) -> None:
    async with worlds(ad_sets=200, campaigns=200) as world:
        campaigns = list(world.account.campaigns)[:120]
        changes = world.write(
            "changes.csv", ["campaign_id", "name"], [[row["id"], f"{row['name']} new"] for row in campaigns]
        )
        plan = await world.plan(changes)
        assert world.server.statistics().operations == {"getCampaigns": 3, "getAdProductCatalog": 1}
        assert len(rows_of(plan)) == 120


async def test_what_was_read_already_is_not_read_again(world: World) -> None:
    present = await world.ads.ad_account(world.server.ad_account_id).ad_sets.list().collect()
    before = world.server.statistics().requests
    await world.plan(world.names(50), present=present)
    # The rules of ad products are read for every plan.
    assert world.server.statistics().requests == before + 1


async def test_a_plan_is_never_overwritten(world: World) -> None:
    changes = world.names(1)
    plan = await world.plan(changes)
    content = plan.read_bytes()
    with pytest.raises(FileExistsError):
        await world.plan(changes)
    assert plan.read_bytes() == content


async def test_a_plan_that_cannot_be_finished_goes_away(world: World) -> None:
    world.server.add_fault("error", operation="getAdSetsByAdAccountId", status=403)
    with pytest.raises(errors.PermissionDenied):
        await world.plan(world.names(50))
    assert [path.name for path in world.folder.iterdir()] == ["changes.csv"]


async def test_an_export_that_comes_back_changes_nothing(world: World) -> None:
    for plural, listed in (
        ("ad sets", world.account.ad_sets),
        ("campaigns", world.account.campaigns),
        ("ads", world.account.ads),
    ):
        entity = bulk.ENTITIES[plural]
        columns = [column.name for column in entity.export_columns(micros=True)]
        rows: list[list[str]] = []
        for row in listed:
            answer = await world.ads.call(
                entity.get, path={"ad_account_id": world.server.ad_account_id, entity.id_column: row["id"]}
            )
            state = writable_state(entity, answer)
            rows.append([row["id"], *(to_cell(leaf(state, name.split("."))) for name in columns)])
        plan = await world.plan(world.write("export.csv", [entity.id_column, *columns], rows), f"{plural}.plan")
        assert {row.decision for row in rows_of(plan)} == {"unchanged"}


async def test_a_selection_and_settings(world: World) -> None:
    plan = world.folder / "raise.plan"
    await bulk.plan_selection(
        world.ads,
        world.server.ad_account_id,
        bulk.ENTITIES["ad sets"],
        plan,
        where=["budget.type=DAILY", "bid_amount>=10.00"],
        settings=["budget.amount=+10%", "name=Raised"],
    )
    wanted = {
        row["id"]: row
        for row in world.ad_sets
        if row["budget"]["type"] == "DAILY" and row["bid_micro_amount"] >= 10_000_000
    }
    rows = rows_of(plan)
    assert {row.entity_id for row in rows} == wanted.keys()
    for row in rows:
        assert row.after["budget"] == {
            "micro_amount": wanted[row.entity_id]["budget"]["micro_amount"] * 11 // 10,
            "type": "DAILY",
        }
    with bulk.PlanFile.open(plan) as file:
        totals = bulk.plan_totals(file)
    before = sum(row["budget"]["micro_amount"] for row in wanted.values())
    assert totals.budget_before == {"DAILY": before}
    assert totals.budget_after == {"DAILY": before * 11 // 10}
    assert totals.fields == {"budget": len(wanted), "name": len(wanted)}


async def test_what_stays_off_by_its_status_counts_no_whole_budget(world: World) -> None:
    paused = world.ad_sets[0]
    paused.update(status="PAUSED", delivery="OFF", budget={"micro_amount": 20_000_000, "type": "DAILY"})
    row = [paused["id"], "ON", "25.00"]
    changes = world.write("changes.csv", ["ad_set_id", "delivery", "budget.amount"], [row])
    plan = world.folder / "changes.plan"
    totals = await bulk.plan_changes(world.ads, world.server.ad_account_id, changes, plan)
    assert totals is not None
    assert (totals.planned, totals.budget_growth) == (1, 5_000_000)
    check_totals(plan, totals)


@pytest.mark.parametrize(
    ("where", "reason"),
    [([], "is not set, so it cannot become"), (["name=Nobody's"], "name=Nobody's: there is nothing to change")],
)
async def test_a_selection_that_cannot_be_changed_so(world: World, where: list[str], reason: str) -> None:
    with pytest.raises(bulk.BadChanges, match=reason):
        await bulk.plan_selection(
            world.ads,
            world.server.ad_account_id,
            bulk.ENTITIES["ad sets"],
            world.folder / "x.plan",
            where=where,
            settings=["base_rate_micro_amount=+10%"],
        )
    assert not (world.folder / "x.plan").exists()


async def test_a_file_without_rows_makes_no_plan(world: World) -> None:
    problem = await refused(world, world.write("changes.csv", ["ad_set_id", "name"], []), skip_bad_rows=True)
    assert str(problem).endswith("changes.csv: there is nothing to change")


async def test_what_others_changed_since_the_export_is_a_conflict(world: World) -> None:
    one, two, three = world.ad_sets[:3]
    header = ["ad_set_id", "name", "bid_micro_amount"]
    base = world.write(
        "base.csv", header, [[row["id"], row["name"], str(row["bid_micro_amount"])] for row in (one, two, three)]
    )
    edited = [
        [one["id"], "Mine", str(one["bid_micro_amount"])],
        [two["id"], two["name"], "33000000"],
        [three["id"], "Mine", ""],
    ]
    changes = world.write("changes.csv", header, edited)
    for row in (one, two):
        world.account.ad_sets.put({**row, "bid_micro_amount": 44_000_000})
    plan = await world.plan(changes, base=base)
    assert outcomes_of(plan) == {"waiting": 2, "conflict": 1}
    was = f"bid_amount was {format_micros(two['bid_micro_amount'])}, is 44.00 now, and shall become 33.00"
    for _ in range(2):  # as it is planned, and as it is found again
        rows = rows_of(plan)
        assert [row.after for row in rows] == [{"name": "Mine"}, {"bid_micro_amount": 33_000_000}, {"name": "Mine"}]
        assert rows[1].reason == f"somebody changed it since: {was}"
        await world.resume(plan, msgspec.structs.replace(QUICK, retry_failed=True))
        assert outcomes_of(plan) == {"done": 2, "conflict": 1}
    assert world.account.ad_sets.get(two["id"])["bid_micro_amount"] == 44_000_000
    await world.resume(plan, msgspec.structs.replace(QUICK, force=True))
    assert world.account.ad_sets.get(two["id"])["bid_micro_amount"] == 33_000_000
    overwritten = await world.plan(changes, "forced.plan", base=base, force=True)
    assert outcomes_of(overwritten) == {"unchanged": 3}


async def test_an_export_of_something_else_is_no_base(world: World) -> None:
    base = world.write("base.csv", ["campaign_id", "name"], [])
    assert "is about campaigns, not ad sets" in str(await refused(world, world.names(1), base=base))


async def test_differences_show_parts(world: World) -> None:
    one = world.ad_sets[0]
    changes = world.write(
        "changes.csv", ["ad_set_id", "budget.amount", "targets.genders"], [[one["id"], "99.50", '["MALE"]']]
    )
    (row,) = rows_of(await world.plan(changes))
    assert [(difference.field, difference.before, difference.after) for difference in bulk.differences(row)] == [
        ("budget.micro_amount", one["budget"]["micro_amount"], 99_500_000),
        ("targets.genders", one["targets"]["genders"], ["MALE"]),
    ]
