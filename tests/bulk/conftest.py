"""An emulator without windows and latency, a client of it, and what bulk tests do with them."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from spotify_ads_async import AdsClient, Governor, bulk
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.events import Event, RequestSent

Json = Any
QUICK = bulk.Options(settle_after=0.02, grace=0.1, allow_unusual=True)


class World:
    """One emulator, one client, and the files of a test."""

    def __init__(self, server: Emulator, ads: AdsClient, folder: Path) -> None:
        self.server = server
        self.ads = ads
        self.folder = folder
        self.account = server.store.account(server.ad_account_id)
        self.effects: Counter[str] = Counter()
        self._awaited: list[tuple[int, anyio.Event]] = []
        server.store.listeners.append(self._seen)

    def _seen(self, table: str, identifier: str, row: Mapping[str, Json] | None) -> None:
        del row
        if table.endswith(("/ad_sets", "/campaigns", "/ads")):
            self.effects[identifier] += 1
            total = self.effects.total()
            for count, reached in self._awaited:
                if total >= count:
                    reached.set()

    async def effects_reach(self, count: int) -> None:
        """Wait until so many changes have taken effect."""
        reached = anyio.Event()
        self._awaited.append((count, reached))
        if self.effects.total() < count:
            await reached.wait()

    @property
    def ad_sets(self) -> list[dict[str, Json]]:
        return list(self.account.ad_sets)

    def write(self, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    def names(self, count: int, *, suffix: str = "") -> Path:
        return self.write(
            "changes.csv",
            ["ad_set_id", "name"],
            [[row["id"], f"Renamed {row['name']}{suffix}"] for row in self.ad_sets[:count]],
        )

    async def plan(self, changes: Path, name: str = "changes.plan", **options: Json) -> Path:
        plan, given = self.folder / name, options.keys() & set(bulk.Reading.__struct_fields__)
        reading = bulk.Reading(**{option: options.pop(option) for option in given})
        account = self.server.ad_account_id
        totals = await bulk.plan_changes(self.ads, account, changes, plan, reading=reading, **options)
        if totals is not None:
            check_totals(plan, totals)
        return plan

    async def apply(self, plan: Path, options: bulk.Options = QUICK) -> tuple[list[bulk.PlannedRow], bulk.Progress]:
        return await collected(bulk.apply(self.ads, plan, options))

    async def resume(self, plan: Path, options: bulk.Options = QUICK) -> tuple[list[bulk.PlannedRow], bulk.Progress]:
        return await collected(bulk.resume(self.ads, plan, options))


def check_totals(plan: Path, totals: bulk.PlanTotals) -> None:
    """What planning says that a plan comes to is what its rows come to."""
    with bulk.PlanFile.open(plan) as file:
        counted = bulk.PlanTotals(now=totals.now)
        for row in file.changes():
            counted.add(row)
        assert totals == counted


async def collected(run: bulk.Run) -> tuple[list[bulk.PlannedRow], bulk.Progress]:
    async with run:
        return [row async for row in run], run.progress


def rows_of(plan: Path) -> list[bulk.PlannedRow]:
    with bulk.PlanFile.open(plan) as file:
        return list(file.rows())


def outcomes_of(plan: Path) -> dict[str, int]:
    with bulk.PlanFile.open(plan) as file:
        return {fate.value: count for fate, count in file.outcomes().items() if count}


def on(world: World, operation: str, act: Callable[[], object]) -> None:
    """Act the first time a request of this operation leaves."""
    acted: list[object] = []

    def hear(event: Event) -> None:
        if isinstance(event, RequestSent) and event.operation == operation and not acted:
            acted.append(True)
            act()

    world.ads.subscribe(hear)


MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWorld:
    # Runs that were killed left locks in the usual folder, perhaps for an emulator at the same port.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    @contextlib.asynccontextmanager
    async def make(**options: Json) -> AsyncIterator[World]:
        chosen = {"ad_sets": 120, "limits": None, "latency": 0.0} | options
        async with (
            Emulator(**chosen) as server,
            AdsClient("token", base_url=server.base_url, governor=Governor([])) as ads,
        ):
            yield World(server, ads, tmp_path)

    return make


@pytest.fixture
async def world(worlds: MakeWorld) -> AsyncIterator[World]:
    async with worlds() as made:
        yield made
