"""Nothing else differs.

What no model knows survives a bulk change, on servers that replace objects, merge them, or lose unknown names.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import examples

from spotify_ads_async import bulk
from spotify_ads_async.bulk.entities import AD_SETS
from spotify_ads_async.bulk.plan.effects import Effect, effect
from spotify_ads_async.emulator.domain.patching import PatchMode, combined

from .conftest import QUICK, Json, MakeWorld, World, outcomes_of, rows_of
from .test_effects import NOW, STATE

COUNT = 40
NEWER: dict[str, Any] = {"weather": ["RAIN"], "income": {"ranges": [{"from": 1, "to": None}], "currency": "USD"}}


def modernise(world: World) -> None:
    """Give ad sets what no model knows: at the top, in objects, in lists of objects; and values that no enum lists."""
    for number, row in enumerate(world.ad_sets):
        targets = {
            **row["targets"],
            "language": "en",
            "genders": ["FEMALE"],
            **copy.deepcopy(NEWER),
            "platforms": ["IOS", "SMART_FRIDGE"],
        }
        targets["geo_targets"] = {
            **targets.get("geo_targets", {"country_code": "US"}),
            "dma_ids": ["503"],
            "radius": {"km": number},
        }
        caps = [{**cap, "scope": "HOUSEHOLD"} for cap in row["frequency_caps"]]
        world.account.ad_sets.put(
            {
                **row,
                "zeal": {"level": number},
                "budget": {**row["budget"], "ceiling": 1.5},
                "targets": targets,
                "frequency_caps": caps,
            }
        )


def everything(world: World) -> dict[str, str]:
    """Every ad set byte by byte, in one order, but for the time of its last change."""
    return {
        row["id"]: json.dumps({name: value for name, value in row.items() if name != "updated_at"}, sort_keys=True)
        for row in world.ad_sets
    }


def wanted(world: World, number: int, row: Json) -> dict[str, Any]:
    """What a row of the test changes: one kind of field each."""
    kinds: list[dict[str, Any]] = [
        {"name": f"Renamed {number}"},
        {"budget.amount": "77.50"},
        {"targets.genders": '["MALE"]'},
        {"bid_amount": "33.25", "targets.language": "de"},
        {"frequency_caps": json.dumps([{**row["frequency_caps"][0], "max_impressions": 1}])},
    ]
    del world
    return kinds[number % len(kinds)]


async def changed(world: World, options: bulk.Options = QUICK) -> Json:
    header = [
        "ad_set_id",
        "name",
        "budget.amount",
        "bid_amount",
        "targets.genders",
        "targets.language",
        "frequency_caps",
    ]
    rows = [
        [row["id"], *(wanted(world, number, row).get(name, "") for name in header[1:])]
        for number, row in enumerate(world.ad_sets[:COUNT])
    ]
    plan = await world.plan(world.write("changes.csv", header, rows))
    told, progress = await world.apply(plan, options)
    return plan, told, progress


def as_planned(before: dict[str, str], plan: Json) -> dict[str, Any]:
    """The state before with nothing but what the rows say changed."""
    expected = {identifier: json.loads(text) for identifier, text in before.items()}
    for row in rows_of(plan):
        for difference in bulk.differences(row):
            holder = expected[row.entity_id]
            *outer, last = difference.field.split(".")
            for name in outer:
                holder = holder[name]
            holder[last] = difference.after
    return expected


@pytest.mark.parametrize("patch", ["merge", "replace"])
async def test_nothing_else_differs_and_undo_restores_every_byte(worlds: MakeWorld, patch: str) -> None:
    async with worlds(ad_sets=COUNT + 20, patch=patch) as world:
        modernise(world)
        before = everything(world)
        plan, _, progress = await changed(world)
        assert (outcomes_of(plan), progress.stopped) == ({"done": COUNT}, ""), rows_of(plan)[0].reason
        after = {identifier: json.loads(text) for identifier, text in everything(world).items()}
        assert after == as_planned(before, plan)
        undo = world.folder / "undo.plan"
        await bulk.plan_undo(world.ads, plan, undo)
        await world.apply(undo)
        assert everything(world) == before


@pytest.mark.parametrize("patch", ["merge", "replace"])
async def test_nor_does_it_through_drafts(worlds: MakeWorld, patch: str) -> None:
    async with worlds(ad_sets=COUNT + 20, patch=patch) as world:
        modernise(world)
        before = everything(world)
        plan, _, progress = await changed(world, bulk.Options(settle_after=0.02, publish=True, allow_unusual=True))
        assert (outcomes_of(plan), progress.stopped) == ({"done": COUNT}, ""), rows_of(plan)[0].reason
        after = {identifier: json.loads(text) for identifier, text in everything(world).items()}
        assert after == as_planned(before, plan)


async def test_a_server_that_loses_what_it_does_not_know_loses_it_of_one_row(worlds: MakeWorld) -> None:
    async with worlds(ad_sets=COUNT, patch="replace-known") as world:
        modernise(world)
        before = everything(world)
        changes = world.write(
            "changes.csv", ["ad_set_id", "targets.genders"], [[row["id"], '["MALE"]'] for row in world.ad_sets]
        )
        plan = await world.plan(changes)
        told, progress = await world.apply(plan)
        (row,) = told
        assert [identifier for identifier, text in everything(world).items() if text != before[identifier]] == [
            row.entity_id
        ]
        for said in (row.name, row.entity_id, "targets.weather", "targets.income", "is gone", f"bulk undo {plan}"):
            assert said in progress.stopped
        assert outcomes_of(plan) == {"done": 1, "waiting": COUNT - 1}


@pytest.mark.parametrize("mixed", ["fields", "unknown names"])
async def test_it_loses_it_of_one_row_too_where_the_first_rows_show_nothing_of_it(
    worlds: MakeWorld, mixed: str
) -> None:
    """A row goes alone until answers have shown what the server makes of every name in its request."""
    async with worlds(ad_sets=COUNT, patch="replace-known") as world:
        modernise(world)
        rows = world.ad_sets
        for number, row in enumerate(rows):
            if mixed == "unknown names" and number % 3 != 1:
                world.account.ad_sets.put({**row, "targets": {"placements": ["MUSIC"], "genders": ["FEMALE"]}})
        others = ["", '["MALE"]'] if mixed == "unknown names" else ["Renamed", ""]
        changes = [[row["id"], *(others if number % 3 != 1 else ["", '["MALE"]'])] for number, row in enumerate(rows)]
        before = everything(world)
        plan = await world.plan(world.write("changes.csv", ["ad_set_id", "name", "targets.genders"], changes))
        _, progress = await world.apply(plan)
        live = {row["id"]: json.dumps(row) for row in world.ad_sets}
        lost = [one for one, text in before.items() if '"weather"' in text and '"weather"' not in live[one]]
        assert len(lost) == 1
        assert lost[0] in progress.stopped


async def test_publishing_loses_it_of_one_campaign_where_the_first_shows_nothing_of_it(worlds: MakeWorld) -> None:
    async with worlds(ad_sets=COUNT, campaigns=10, patch="replace-known") as world:
        first = min(one["id"] for one in world.account.campaigns)
        for row in world.ad_sets:
            if row["campaign_id"] != first:
                world.account.ad_sets.put({**row, "targets": {**row["targets"], "weather": ["RAIN"]}})
        _, progress = await world.apply(await world.plan(world.names(COUNT)), bulk.Options(publish=True))
        lost = [row for row in world.ad_sets if row["campaign_id"] != first and "weather" not in row["targets"]]
        assert len({row["campaign_id"] for row in lost}) == 1
        assert any(row["id"] in progress.stopped for row in lost)


async def test_it_is_passed_over_by_those_who_know_why(worlds: MakeWorld) -> None:
    async with worlds(ad_sets=6, patch="replace-known") as world:
        modernise(world)
        changes = world.write(
            "changes.csv", ["ad_set_id", "targets.genders"], [[row["id"], '["MALE"]'] for row in world.ad_sets]
        )
        plan = await world.plan(changes)
        await world.apply(plan, bulk.Options(keep_going=True))
        assert outcomes_of(plan) == {"done": 6}


async def test_an_export_with_values_that_are_newer_changes_nothing(world: World) -> None:
    modernise(world)
    one = world.ad_sets[0]
    world.account.ad_sets.put({**one, "delivery": "NEW_ON"})
    one = world.ad_sets[0]
    header = ["ad_set_id", "delivery", "targets", "frequency_caps"]
    cells = [one["id"], "NEW_ON", json.dumps(one["targets"]), json.dumps(one["frequency_caps"])]
    (row,) = rows_of(await world.plan(world.write("same.csv", header, [cells]), "same.plan"))
    assert row.outcome is bulk.RowOutcome.UNCHANGED
    edited = json.dumps({**one["targets"], "genders": ["MALE"]})
    (row,) = rows_of(
        await world.plan(world.write("edited.csv", header, [[one["id"], "NEW_ON", edited, ""]]), "edited.plan")
    )
    assert [difference.field for difference in bulk.differences(row)] == ["targets.genders"]
    with pytest.raises(bulk.BadChanges, match="none of ON, OFF"):
        await world.plan(world.write("other.csv", header, [[one["id"], "NEWER_ON", "", ""]]), "other.plan")


EXTRA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
EXTRAS = st.dictionaries(st.sampled_from(["zeal", "weather", "radius", "x"]), EXTRA, max_size=3)


@given(
    EXTRAS, EXTRAS, EXTRAS, st.sampled_from(["targets.genders", "targets.language", "targets.geo_targets.country_code"])
)
@settings(max_examples=examples(150))
def test_random_extra_names_survive_at_any_depth(top: Json, inside: Json, deeper: Json, column: str) -> None:
    targets = {**inside, **STATE["targets"], "geo_targets": {**STATE["targets"]["geo_targets"], **deeper}}
    state = {**top, **STATE, "targets": targets}
    value: Json = ["NON_BINARY"] if column.endswith("genders") else "FR" if column.endswith("code") else "de"
    found = effect(AD_SETS, state, {column: value}, now=NOW)
    assert isinstance(found, Effect)
    expected = copy.deepcopy(state)
    *outer, last = column.split(".")
    holder = expected
    for name in outer:
        holder = holder[name]
    holder[last] = value
    for mode in (PatchMode.REPLACE, PatchMode.MERGE):
        after = dict(state)
        for step in found.steps:
            after.update((name, combined(mode, state.get(name), one)) for name, one in step.items())
        assert json.dumps(after) == json.dumps(expected)
