"""Growth: cost of a walked row, an admission out of a line, and a planned row.

At 100, 10,000 and 1,000,000 of each.
Run: ``python -m benchmarks growth [rows] [waiters] [clients] [plans]``; without names, all. Each cost stands beside a
peer's of that run that does the least that can be done: a bare loop over pages, an ``asyncio.Semaphore``, and ``csv``
with ``sqlite3``. A million tasks that wait take 3 GB of memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import functools
import gc
import itertools
import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec

from benchmarks import charts
from benchmarks._harness import RESULTS, Report, compare_async, processor_seconds, show
from benchmarks._same_answer import AD_SET
from benchmarks.governor_cost import handed_on
from benchmarks.memory import untyped_rows
from benchmarks.walking import ad_sets, serve
from spotify_ads_async import AdsClient, Governor, Limit, Priority, bulk
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.governor import Scope
from spotify_ads_async.models import AdSet
from tests.support import redis_servers

SIZES = {100: 7, 10_000: 3, 1_000_000: 1}
"""Sizes to rounds."""
CLIENTS = {1: 1, 10: 1, 100: 1, 1_000: 1}
PASSES = 5_000

Found = Mapping[int, Mapping[str, object]]
Measure = Callable[[int, int], Awaitable[Mapping[str, object]]]


async def walked(base_url: str, rows: int, rounds: int) -> Mapping[str, object]:
    """CPU of one row of a walk, typed and governed, against a bare loop over the same pages."""
    repeats = max(1, 1000 // rows)
    async with AdsClient("token", base_url=base_url, governor=Governor(())) as ads, aiohttp.ClientSession() as client:

        async def ours() -> None:
            count = 0
            async for _ in ad_sets(ads, rows, 0):
                count += 1
            assert count == rows

        async def bare() -> None:
            assert await untyped_rows(client, base_url, rows) == rows

        async def cost(work: Callable[[], Awaitable[None]]) -> float:
            gc.collect()
            began = time.process_time()
            for _ in range(repeats):
                await work()
            return (time.process_time() - began) / rows / repeats * 1e6

        if rounds == 1:  # too long for a round that only warms up
            await ad_sets(ads, 1000, 0).collect()
            await untyped_rows(client, base_url, 1000)
        cases = {"bare loop over pages": lambda: cost(bare), "spotify-ads-async": lambda: cost(ours)}
        return await compare_async(cases, base="bare loop over pages", rounds=rounds, warm_up=rounds > 1)


async def handed_on_by_semaphore(size: int) -> float:
    """One slot passes through a crowd that stays as large as it is."""
    slot, tasks, done = asyncio.Semaphore(1), list[asyncio.Task[None]](), asyncio.Event()
    await slot.acquire()

    async def one() -> None:
        async with slot:
            pass

    async def passing(left: int) -> None:
        async with slot:
            if left > 0:
                tasks.append(asyncio.create_task(passing(left - 1)))
                await asyncio.sleep(0)
            else:
                done.set()

    tasks += [asyncio.create_task(one()) for _ in range(size)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(passing(PASSES)))
    await asyncio.sleep(0)
    began = time.process_time()
    slot.release()
    await done.wait()
    cost = (time.process_time() - began) / (PASSES + size) * 1e6
    await asyncio.gather(*tasks)
    return cost


async def admitted(size: int, rounds: int) -> Mapping[str, object]:
    """CPU of handing one admission on through a line of ``size``, against a semaphore that hands one slot on."""
    cases = {
        "asyncio.Semaphore": lambda: handed_on_by_semaphore(size),
        "governor": lambda: handed_on(size, Priority.INTERACTIVE, None),
    }
    return await compare_async(cases, base="asyncio.Semaphore", rounds=rounds, warm_up=rounds > 1)


def write_changes(changes: Path, present: Sequence[AdSet]) -> None:
    """A CSV that renames every ad set and changes every other bid."""
    with changes.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ad_set_id", "name", "bid_micro_amount"))
        writer.writerows(
            (row.id, f"Renamed {number}", "31250000" if number % 2 else "") for number, row in enumerate(present)
        )


def move_rows(changes: Path, present: Sequence[AdSet], file: Path) -> None:
    """Move the CSV's rows into SQLite, each beside its present state."""
    by_id = {row.id: row for row in present}
    encode = msgspec.json.encode
    with (
        contextlib.closing(sqlite3.connect(file)) as database,
        database,
        changes.open(encoding="utf-8", newline="") as text,
    ):
        database.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, before BLOB, after BLOB)")
        rows = ((row["ad_set_id"], encode(by_id[row["ad_set_id"]]), encode(row)) for row in csv.DictReader(text))
        database.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)


async def planned(rows: int, rounds: int) -> Mapping[str, object]:
    """CPU of planning one row of a CSV against a present state at hand, and of merely moving the row into SQLite."""
    one = msgspec.convert(AD_SET, AdSet)
    present = [msgspec.structs.replace(one, id=f"00000000-0000-4000-8000-{number:012}") for number in range(rows)]
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="benchmark-growth-") as folder:
        changes = Path(folder, "changes.csv")
        write_changes(changes, present)

        async def ours(server: Emulator, plan: Path) -> None:
            async with AdsClient("token", base_url=server.base_url, governor=Governor(())) as ads:
                await bulk.plan_changes(ads, server.ad_account_id, changes, plan, present=present)

        async def bare(file: Path) -> None:
            move_rows(changes, present, file)

        async def cost(work: Callable[[Path], Awaitable[None]]) -> float:
            gc.collect()
            began = processor_seconds()
            await work(Path(folder, f"{next(numbers)}.plan"))
            return (processor_seconds() - began) / rows * 1e6

        async with Emulator(ad_sets=0) as server:  # each plan asks it once, for the account's currency
            cases = {
                "csv and sqlite3 alone": lambda: cost(bare),
                "bulk plan": lambda: cost(functools.partial(ours, server)),
            }
            return await compare_async(cases, base="csv and sqlite3 alone", rounds=rounds, warm_up=rounds > 1)


async def grow(name: str, sizes: Mapping[int, int], measure: Measure) -> Found:
    """Measure at each size."""
    found: dict[int, Mapping[str, object]] = {}
    for size, rounds in sizes.items():
        found[size] = await measure(size, rounds)
        show(f"{name}: {size:,}", found[size])
    return found


def measured_rows() -> Found:
    """Walk lists of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        base_url = f"http://127.0.0.1:{ours.recv()}/ads/v3"
        return asyncio.run(grow("one row of a walk", SIZES, lambda rows, rounds: walked(base_url, rows, rounds)))
    finally:
        server.terminate()
        server.join()


async def many_clients(store: str, clients: int) -> float:
    """CPU of one admission of so many client IDs that share a governor and a store, each of which sends 20 requests."""
    async with Governor(
        [Limit("client_id", requests=1500, window=30.0)], store=store, on_store_failure="pause"
    ) as governor:

        async def one(scope: Scope) -> None:
            for _ in range(20):
                async with scope.admit({"client_id"}):
                    pass

        scopes = [governor.scope(client_id=f"client {number}") for number in range(clients)]
        began = time.process_time()
        await asyncio.gather(*(one(scope) for scope in scopes))
        return (time.process_time() - began) / clients / 20 * 1e6


def measured_clients() -> Found:
    """One governor for many client IDs: in memory, in SQLite, in Redis."""
    with tempfile.TemporaryDirectory() as folder, redis_servers.server(redis_servers.programs()[0]) as server:
        stores = {"memory": "memory", "SQLite": f"sqlite://{folder}/quota.db", "Redis": server.url}

        async def by_store(clients: int, rounds: int) -> Mapping[str, object]:
            cases = {name: lambda url=url: many_clients(url, clients) for name, url in stores.items()}
            return await compare_async(cases, base="memory", rounds=rounds, warm_up=False)

        return asyncio.run(grow("one admission, client IDs", CLIENTS, by_store))


MEASURED: Mapping[str, tuple[str, str, Callable[[], Found]]] = {
    "rows": ("Walking a list: cost of a row", "rows of the list", measured_rows),
    "waiters": (
        "The governor's line: cost of an admission handed on",
        "requests that wait",
        lambda: asyncio.run(grow("one admission handed on, waiters", SIZES, admitted)),
    ),
    "clients": ("One governor for many client IDs: cost of an admission", "client IDs", measured_clients),
    "plans": (
        "A bulk plan: cost of a row",
        "rows of the plan",
        lambda: asyncio.run(grow("one row of a plan", SIZES, planned)),
    ),
}


def main() -> Report:
    """Measure what was named, or all; what was not named keeps its figures."""
    file = RESULTS / "growth.json"
    known: dict[str, object] = json.loads(file.read_text()) if len(sys.argv) > 1 and file.exists() else {}
    figures = {name: known[name] for name in MEASURED if name in known}
    drawn: dict[str, str] = {}
    for name in sys.argv[1:] or MEASURED:
        title, across, measure = MEASURED[name]
        found = measure()
        figures[name] = {str(size): comparison for size, comparison in found.items()}
        series: dict[str, dict[float, float]] = {}
        for size, comparison in found.items():
            medians: dict[str, float] = comparison["medians"]  # pyright: ignore[reportAssignmentType]
            for case, median in medians.items():
                series.setdefault(case, {})[size] = median
        drawn[f"growth-{name}"] = charts.lines(title, series, across=across, up="microseconds of CPU, flat is better")
    return Report(figures, drawn)


if __name__ == "__main__":
    main()
