"""Memory of walking a list.

Growth of the process at 10,000 to 1,000,000 rows, against keeping every row of an untyped walk.
Run: ``python -m benchmarks memory``. Each walk has a process of its own, and the server another.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Coroutine
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks import charts
from benchmarks._harness import Report
from benchmarks._same_answer import ACCOUNT_ID
from benchmarks.walking import ad_sets, serve
from spotify_ads_async import AdsClient, Governor

LENGTHS = (10_000, 100_000, 1_000_000)
KEPT = 100_000
AT_MOST_MB = 30
PAGE = 50

Walk = Callable[[str, int], Coroutine[Any, Any, float]]


def resident_mb() -> float:
    """This process's memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


async def typed_walk(base_url: str, rows: int) -> float:
    """Walk with the package, keeping no row; megabytes by which the process grew at most."""
    async with AdsClient("token", base_url=base_url, governor=Governor(())) as ads:
        await ad_sets(ads, 1000, 0).collect()  # models load and buffers find their size before the count starts
        before = most = resident_mb()
        number = 0
        async for _ in ad_sets(ads, rows, 0):
            number += 1
            if number % 5000 == 0:
                most = max(most, resident_mb())
        assert number == rows
        return most - before


async def untyped_rows(
    client: aiohttp.ClientSession, base_url: str, rows: int, kept: list[object] | None = None
) -> int:
    """Read every page with bare aiohttp and msgspec, as a loop over offsets does.

    ``kept`` holds the rows where it is given.
    """
    account, decoder, seen = f"{rows:08}-0000-4000-8000-{ACCOUNT_ID[-12:]}", msgspec.json.Decoder(), 0
    headers = {"Authorization": "Bearer token", "Accept": "application/json"}
    for offset in itertools.count(0, PAGE):
        if offset >= rows:
            return seen
        async with client.get(
            f"{base_url}/ad_accounts/{account}/ad_sets?limit={PAGE}&offset={offset}", headers=headers
        ) as answer:
            page = decoder.decode(await answer.read())
        seen += len(page["ad_sets"])
        if kept is not None:
            kept += page["ad_sets"]
    raise AssertionError


async def kept_walk(base_url: str, rows: int) -> float:
    """Read every page without the package and keep every row; megabytes by which the process grew."""
    async with aiohttp.ClientSession() as client:
        await untyped_rows(client, base_url, 1000)
        before = resident_mb()
        kept: list[object] = []
        assert await untyped_rows(client, base_url, rows, kept) == rows
        return resident_mb() - before


def in_own_process(walk: Walk, base_url: str, rows: int) -> float:
    """Run one walk where no other one left memory behind."""
    with Pool(1, context=multiprocessing.get_context("spawn")) as pool:
        return pool.apply(_walked, (walk, base_url, rows))


def _walked(walk: Walk, base_url: str, rows: int) -> float:
    return asyncio.run(walk(base_url, rows))


def main() -> Report:
    """Measure, print and chart."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    grown: dict[str, float] = {}
    began = time.perf_counter()
    try:
        base_url = f"http://127.0.0.1:{ours.recv()}/ads/v3"
        for rows in LENGTHS:
            grown[f"walking {rows:,} rows"] = round(in_own_process(typed_walk, base_url, rows), 2)
        kept = f"keeping {KEPT:,} untyped rows"
        grown[kept] = round(in_own_process(kept_walk, base_url, KEPT), 2)
    finally:
        server.terminate()
        server.join()
    for name, megabytes in grown.items():
        print(f"{name:34} {megabytes:8.1f} MB of growth")
    share = grown[f"walking {LENGTHS[-1]:,} rows"] / (grown[kept] * LENGTHS[-1] / KEPT)
    print(
        f"walking {LENGTHS[-1]:,} rows holds {share:.4f} of what as many untyped rows would; goal: under"
        f" {AT_MOST_MB} MB"
    )
    print(f"{time.perf_counter() - began:.0f} s")
    unit = "megabytes by which the process grows at most, less is better"
    chart = charts.bars("Memory of walking a list", grown, unit=unit, goal=AT_MOST_MB, goal_says="goal: under")
    figures = {
        "unit": "megabytes of growth",
        "growth": grown,
        "share_of_keeping_all": round(share, 5),
        "goal_megabytes": AT_MOST_MB,
    }
    return Report(figures, {"memory": chart})


if __name__ == "__main__":
    main()
