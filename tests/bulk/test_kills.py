"""Killed at any moment and resumed: every row's effect is there exactly once, and the journal agrees with the server.

The rows are carried out by processes of the command line, which are killed with SIGKILL; the emulator lives in this
one.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from spotify_ads_async import bulk
from spotify_ads_async.governor import Limit

from .conftest import Json, MakeWorld, World, outcomes_of, rows_of
from .test_undoing import state, undone

SHORT = (Limit("client_id", requests=1500, window=1.5), Limit("ip", requests=500, window=0.5))
FAULTS: dict[str, Json] = {"lost_answer": 0.02, "reset": 0.01, "error": 0.01, "truncated": 0.01}


COLD = (sys.executable, "-m", "spotify_ads_async.cli")
"""From its very start, for who kills it."""


async def start(world: World, *arguments: str, program: Sequence[str | Path] = COLD) -> asyncio.subprocess.Process:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPOTIFY_ADS_")},
        "SPOTIFY_ADS_BASE_URL": world.server.base_url,
        "SPOTIFY_ADS_ACCESS_TOKEN": "token",
        "SPOTIFY_ADS_LIMITS": "client_id=1500/1.5,ip=500/0.5",
        "XDG_STATE_HOME": str(world.folder / "state"),
    }
    return await asyncio.create_subprocess_exec(
        *program,
        "bulk",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


def in_flight(plan: Path) -> int:
    with bulk.PlanFile.open(plan) as file:
        return len(file.lost())


async def killed_and_resumed(
    world: World, plan: Path, kills: int, rng: random.Random, *options: str, last: Sequence[str | Path] = COLD
) -> int:
    """Kill ``kills`` processes at random moments of their work, let the last one finish, which may start warm.

    How many requests were in flight.
    """
    total, lost = len(rows_of(plan)), 0
    for number in range(kills + 1):
        program = COLD if number < kills else last
        process = await start(world, "resume", str(plan), "--yes", *options, program=program)
        before = world.effects.total()
        if number < kills:
            # So many more effects, and then a moment: somewhere in the work, whatever the machine's speed.
            wanted = before + rng.randint(1, max(2, (total - before) // (kills - number + 1) * 2))
            moment = [asyncio.ensure_future(world.effects_reach(wanted)), asyncio.ensure_future(process.wait())]
            _, late = await asyncio.wait(moment, return_when=asyncio.FIRST_COMPLETED)
            for one in late:
                one.cancel()
            await asyncio.sleep(rng.random() * 0.05)
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        _, said = await process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, said.decode()
        lost += in_flight(plan) if number < kills else 0
    return lost


def agrees(world: World, plan: Path) -> None:
    for row in rows_of(plan):
        assert row.outcome is bulk.RowOutcome.DONE, row
        there = world.account.ad_sets.get(row.entity_id)
        assert {field: there[field] for field in row.after} == row.after
        assert world.effects[row.entity_id] == 1, row


async def proof(
    worlds: MakeWorld, *, rows: int, kills: int, faults: dict[str, Json], seed: int, looks: tuple[str, ...] = ()
) -> None:
    async with worlds(ad_sets=rows, limits=SHORT, latency=(0.02, 0.12)) as world:
        before = state(world)
        present = await world.ads.ad_account(world.server.ad_account_id).ad_sets.list().collect()
        plan = await world.plan(world.names(rows), present=present)
        for kind, share in faults.items():
            for operation in ("updateAdSet", *looks):
                world.server.add_fault(kind, operation=operation, share=share)
        world.server.reset_statistics()
        lost = await killed_and_resumed(world, plan, kills, random.Random(seed))  # noqa: S311 - to be replayed
        world.server.clear_faults()
        assert outcomes_of(plan) == {"done": rows}
        agrees(world, plan)
        harmed = sum(count for status, count in world.server.statistics().statuses.items() if status != 200)
        assert world.server.statistics().operations["updateAdSet"] - rows <= lost + harmed
        theirs = world.ad_sets[7]
        world.account.ad_sets.put({**theirs, "name": "Theirs"})
        undo = await undone(world, plan)
        after = state(world)
        assert [row.entity_id for row in rows_of(undo) if row.outcome is bulk.RowOutcome.CONFLICT] == [theirs["id"]]
        assert after.pop(theirs["id"])["name"] == "Theirs"
        before.pop(theirs["id"])
        assert after == before


async def test_killed_and_resumed_with_faults(worlds: MakeWorld) -> None:
    await proof(worlds, rows=300, kills=2, faults=FAULTS, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize(("rows", "kills"), [(3000, 8), (10_000, 25)])
@pytest.mark.parametrize("faults", [{}, FAULTS], ids=["well", "with faults"])
async def test_thousands_of_rows_and_many_kills(
    worlds: MakeWorld, faults: dict[str, Json], rows: int, kills: int
) -> None:
    await proof(worlds, rows=rows, kills=kills, faults=faults, seed=2)


@pytest.mark.soak
@pytest.mark.parametrize("fault", ["lost_answer", "truncated", "garbage", "reset", "indeterminate", "html", "error"])
async def test_every_fault_of_changes_and_of_looks_with_kills(worlds: MakeWorld, fault: str) -> None:
    # A read that is answered with garbage ends a run: nothing is sent on what cannot be read.
    looks = () if fault == "garbage" else ("getAdSetsByAdAccountId", "getAdSetById")
    await proof(worlds, rows=300, kills=3, faults={fault: 0.15}, seed=3, looks=looks)
