"""Every writable column, on a server that replaces objects and on one that merges them: nothing else differs.

The server is a real one on the loopback; its entities have names and enum values at random depths that no model knows.
Rows are carried out by processes of the command line, which are killed and resumed, and undo restores everything.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, get_args

import pytest
from support.effort import left_to_soak

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.columns import Column, Kind, unannotated
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS
from spotify_ads_async.types import OpenEnum

from .conftest import Json, MakeWorld, World, outcomes_of, rows_of
from .test_kills import killed_and_resumed

ID = "3f0c0de0-0000-4000-8000-00000000000{}"
CAP = {"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}
CARD = {"clickthrough_url": "https://example.com/card", "tagline": "Look at this"}
ITEMS = [{"position": number, "asset_id": ID.format(number), **CARD} for number in (1, 2)]
CELLS: Mapping[str, Json] = {
    "status": "PAUSED",
    "end_time": "2040-06-30T00:00:00Z",
    "frequency_caps": [CAP],
    "cost_modifiers": [{"id": ID.format(1), "name": "Mood", "rate": 1.5}],
    "category": "ADV_1_2",
    "bid_strategy": "AUTOBID",
    "budget": {"micro_amount": 300_000_000, "type": "DAILY"},
    "budget.type": "LIFETIME",
    "targets": {
        "age_ranges": [{"min": 25, "max": 54}],
        "placements": ["PODCAST"],
        "genders": ["MALE"],
        "platforms": ["IOS"],
        "geo_targets": {"country_code": "US"},
    },
    "targets.placements": ["PODCAST"],
    "targets.age_ranges": [{"min": 21, "max": 34}, {"min": 45, "max": 54}],
    "targets.geo_targets": {"country_code": "US", "city_ids": ["5128581"]},
    "targets.geo_targets.country_code": "CA",
    "targets.sensitive_topic_exclusions": {"topics": [{"id": "drugs", "filter_option": "STANDARD"}]},
    "targets.sensitive_topic_exclusions.topics": [{"id": "weapons", "filter_option": "STANDARD"}],
    "targets.language": "de",
    "targets.podcast_episode_topic_ids": ["pets"],
    "delivery": "OFF",
    "targets.user_day_parts": [{"day_of_week": ["MONDAY"]}],
    "third_party_tracking": [{"measurement_partner": "IAS", "url": "https://example.com/pixel"}],
    "catalog": {"name": "Cards", "catalog_items": ITEMS},
    "catalog.catalog_items": ITEMS,
    "call_to_action": {"key": "SHOP_NOW", "language": "ENGLISH", "clickthrough_url": "https://example.com/new"},
    "call_to_action.clickthrough_url": "https://example.com/other",
}
"""What cells say, where the column's type alone does not tell."""


def assets_of(world: World, row: Mapping[str, Json]) -> dict[str, Json]:
    """Other assets for an ad, of the types that it has."""
    by_type: dict[str, list[str]] = {}
    for asset in world.account.assets:
        by_type.setdefault(asset["asset_type"], []).append(asset["id"])
    kind = world.account.assets.get(row["assets"]["asset_id"])["asset_type"]
    chosen = {"asset_id": by_type[kind][-1]} | dict.fromkeys(
        ("companion_asset_id", "logo_asset_id", "canvas_asset_id"), by_type["IMAGE"][-1]
    )
    return {"assets": chosen, **{f"assets.{name}": one for name, one in chosen.items()}}


def cell_of(column: Column, number: int, more: Mapping[str, Json]) -> Json:
    """A legal value of a column."""
    if (known := more.get(column.name, CELLS.get(column.name))) is not None:
        return known
    bare = unannotated(column.type)
    (inner,) = get_args(bare) or (bare,)
    if column.name == "start_time":
        return (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    if column.kind is Kind.AMOUNT:
        return f"{70 + number % 20}.50"
    is_id = '{"format": "uuid"}' in json.dumps([getattr(one, "extra_json_schema", None) for one in get_args(inner)[1:]])
    is_id = is_id or column.name.endswith("_id") or column.name == "catalog.id"
    if isinstance(inner, type) and issubclass(inner, OpenEnum):
        value: Json = next(one.value for one in inner if one.value not in inner.answer_only)
    else:
        value = ID.format(number % 10) if is_id else f"New {number}"
    return [value] if column.kind is Kind.JSON else value


def grown(rng: random.Random, value: Json, depth: int = 0) -> Json:
    """A value with what no model knows at random places in it."""
    if isinstance(value, dict):
        found = {name: grown(rng, one, depth + 1) for name, one in value.items()}
        if rng.random() < 0.5:
            found[rng.choice(["weather", "zeal", "x"])] = anything(rng)
        return found
    if isinstance(value, list):
        found = [grown(rng, one, depth + 1) for one in value]
        return (
            [*found, "NEWER"] if found and rng.random() < 0.2 and all(isinstance(one, str) for one in found) else found
        )
    return value


def anything(rng: random.Random, depth: int = 0) -> Json:
    """Any JSON."""
    kinds: list[Any] = [None, True, rng.randint(-9, 10**17), rng.random(), "ünï", [], {}]
    if depth > 2 or rng.random() < 0.5:
        return rng.choice(kinds)
    if rng.random() < 0.5:
        return [anything(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {name: anything(rng, depth + 1) for name in "abc"[: rng.randint(0, 3)]}


DERIVED = frozenset({"updated_at", "status", "is_paused", "pause_reason", "text"})
"""What the server makes of the rest."""


def everything(world: World) -> dict[str, Json]:
    """Every entity as it stands, without what the server makes of the rest.

    What is empty is as good as none to the API.
    """
    tables = (world.account.campaigns, world.account.ad_sets, world.account.ads)
    return {row["id"]: plain(row) for table in tables for row in table}


def plain(value: Json) -> Json:
    if isinstance(value, dict):
        found = {name: plain(one) for name, one in value.items() if name not in DERIVED}
        return {name: one for name, one in found.items() if one not in (None, [], {})}
    return [plain(one) for one in value] if isinstance(value, list) else value


def as_planned(before: Mapping[str, Json], plans: Sequence[Path]) -> dict[str, Json]:
    """The state before with what the rows say changed, and nothing else."""
    expected = copy.deepcopy(dict(before))
    for plan in plans:
        for row in rows_of(plan):
            for difference in bulk.differences(row):
                holder = expected[row.entity_id]
                *outer, last = difference.field.split(".")
                for name in outer:
                    holder = holder.setdefault(name, {})
                holder[last] = difference.after
    return {one: plain(row) for one, row in expected.items()}


def changes_of(world: World, entity: bulk.Entity, rows: int, fields: frozenset[str]) -> Path:
    """JSON Lines with one column of these fields a row, every column in turn."""
    columns = [one for one in entity.columns.values() if one.kind is not Kind.MONEY and one.path[0] in fields]
    table = getattr(world.account, entity.plural.replace(" ", "_"))
    path = world.folder / f"{entity.plural}.jsonl"
    lines = []
    for number, row in enumerate(list(table)[:rows]):
        column = columns[number % len(columns)]
        more = assets_of(world, row) if entity.plural == "ads" else {}
        lines.append({entity.id_column: row["id"], column.name: cell_of(column, number, more)})
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def differing(found: Mapping[str, Json], expected: Mapping[str, Json], without: Container[str] = ()) -> str:
    """What is not as it should be, in words; the order of names does not count."""
    return "\n".join(
        f"{one}: {name}: {texts[0]}\n  and not {texts[1]}"
        for one in expected
        for name in {**expected[one], **found[one]}
        if (texts := [json.dumps(row[one].get(name), sort_keys=True) for row in (found, expected)])[0] != texts[1]
        and one not in without
    )


async def undone(world: World, plans: Sequence[Path]) -> set[str]:
    """Take plans back; what says of itself that it could not be taken back whole."""
    named: set[str] = set()
    for plan in reversed(plans):
        undo = plan.with_suffix(".undo")
        await bulk.plan_undo(world.ads, plan, undo)
        await world.apply(undo)
        rows = rows_of(undo)
        assert {row.outcome for row in rows} <= {bulk.RowOutcome.DONE, bulk.RowOutcome.REFUSED, bulk.RowOutcome.FAILED}
        for row in rows:
            if row.reason:
                assert re.match("was not set before|the server answered, and did not do|cannot be restored", row.reason)
                named.add(row.entity_id)
    return named


class Proof:
    """A server whose entities have more than any model knows, and ways to change them."""

    def __init__(self, world: World, programs: Path, *, rows: int, kills: int, seed: int) -> None:
        self.world = world
        self.last = [programs / "spotify-ads"]
        self.rows = rows
        self.kills = kills
        self.rng = random.Random(seed)  # noqa: S311 - to be replayed
        for table in (world.account.campaigns, world.account.ad_sets, world.account.ads):
            for row in list(table):
                table.put({**grown(self.rng, row), "id": row["id"]})

    async def by_files(self, *options: str) -> list[Path]:
        """Every column of every kind of entity, by a file each, killed and resumed."""
        plans: list[Path] = []
        for entity in bulk.ENTITIES.values():
            fields = DRAFT_KINDS[entity.plural].fields if "--publish" in options else entity.fields
            changes = changes_of(self.world, entity, self.rows, fields - UNANSWERED)
            plan = await self.world.plan(changes, f"{entity.plural.replace(' ', '-')}{'-'.join(options)}.plan")
            words = ("--allow-unusual", *options)
            await killed_and_resumed(self.world, plan, self.kills, self.rng, *words, last=self.last)
            plans.append(plan)
        return plans

    async def by_selections(self) -> list[Path]:
        """Several columns of everything at once."""
        plans: list[Path] = []
        for name, settings in SETTINGS.items():
            plan = self.world.folder / f"all {name}.plan"
            account, entity = self.world.server.ad_account_id, bulk.ENTITIES[name]
            await bulk.plan_selection(self.world.ads, account, entity, plan, settings=settings, skip_bad_rows=True)
            await self.world.apply(plan)
            plans.append(plan)
        return plans


UNANSWERED = frozenset({"dv_client_code"})
"""What the server takes and never answers."""
SETTINGS = {
    "campaigns": ["purchase_order=All"],
    "ad sets": ["budget.amount=+10%", 'targets.genders=["FEMALE"]', "bid_amount=+1.00", "end_time=+7d"],
    "ads": ["tagline=All of it", "call_to_action.key=SHOP_NOW"],
}


@contextlib.asynccontextmanager
async def _proving(worlds: MakeWorld, programs: Path, patch: str, **size: int) -> AsyncIterator[Proof]:
    async with worlds(ad_sets=size.pop("ad_sets"), patch=patch, latency=(0.0, 0.01)) as world:
        yield Proof(world, programs, **size)


Proving: TypeAlias = Callable[..., AbstractAsyncContextManager[Proof]]


@pytest.fixture
def proving(worlds: MakeWorld, warm_programs: Path) -> Proving:
    return functools.partial(_proving, worlds, warm_programs)


SMALL = {"ad_sets": 90, "rows": 45, "kills": 0, "seed": 1}
LARGE = {"ad_sets": 4000, "rows": 2000, "kills": 3, "seed": 2}
SIZES = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large", marks=pytest.mark.soak)]


@pytest.mark.parametrize("patch", ["replace", left_to_soak("merge")])
@pytest.mark.parametrize("size", SIZES)
async def test_every_column_changes_and_nothing_else_does(proving: Proving, patch: str, size: dict[str, int]) -> None:
    async with proving(patch, **size) as proof:
        for change in (proof.by_files, proof.by_selections):
            before = everything(proof.world)
            plans = await change()
            assert {outcome for plan in plans for outcome in outcomes_of(plan)} <= {"done", "unchanged"}
            assert differing(everything(proof.world), as_planned(before, plans)) == ""
            named = await undone(proof.world, plans)
            assert differing(everything(proof.world), before, named) == ""
            assert len(named) < proof.rows


@pytest.mark.parametrize("patch", ["merge", left_to_soak("replace")])
@pytest.mark.parametrize("size", SIZES)
async def test_nor_does_it_by_drafts(proving: Proving, patch: str, size: dict[str, int]) -> None:
    async with proving(patch, **size) as proof:
        before = everything(proof.world)
        plans = await proof.by_files("--publish")
        assert {outcome for plan in plans for outcome in outcomes_of(plan)} <= {"done", "unchanged"}
        assert differing(everything(proof.world), as_planned(before, plans)) == ""
