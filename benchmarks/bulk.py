"""Bulk changes.

Memory of planning many rows, and seconds for 700 changes against one call after the other and the windows' least.
Run: ``python -m benchmarks bulk [rows]``; another number of rows is printed and not kept. The emulator and the command
line are processes of their own.
"""

from __future__ import annotations

import asyncio
import csv
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import charts
from benchmarks._harness import Report
from spotify_ads_async import AdsClient, Governor, bulk
from spotify_ads_async.cli.optimum import optimal_seconds
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.governor import PUBLISHED_LIMITS
from spotify_ads_async.models import AdSetUpdate

ROWS = 100_000
CHANGES = 700
AD_SETS = 2000
LIMITS = tuple(limit for limit in PUBLISHED_LIMITS if limit.name != "reporting")
COLUMNS = ("ad_set_id", "name", "bid_amount", "budget.amount", "delivery")


@contextmanager
def emulator(*arguments: str) -> Iterator[dict[str, str]]:
    """An emulator in a process of its own; yields the environment in which the command line finds it."""
    command = [sys.executable, "-m", "spotify_ads_async.cli", "emulate", "--port", "0", *arguments]
    with subprocess.Popen(  # noqa: S603 - this package itself
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            base_url, ad_account = process.stdout.readline().strip(), process.stdout.readline().split()[-1]
            yield {
                **os.environ,
                "SPOTIFY_ADS_BASE_URL": base_url,
                "SPOTIFY_ADS_AD_ACCOUNT_ID": ad_account,
                "SPOTIFY_ADS_ACCESS_TOKEN": "token",
                "SPOTIFY_ADS_STORE": "memory",
            }
        finally:
            process.terminate()


def made(path: Path, ad_sets: int, rows: int) -> None:
    """Make a file of changes, in a process of its own.

    What this one has in memory would count for those that it starts.
    """
    process = multiprocessing.get_context("spawn").Process(target=write_changes, args=(path, ad_sets, rows))
    process.start()
    process.join()


def write_changes(path: Path, ad_sets: int, rows: int) -> None:
    """Changes for the first ``rows`` of the emulator's ad sets: names, bids, budgets and some deliveries."""
    server = Emulator(ad_sets=ad_sets)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, row in enumerate(server.store.account(server.ad_account_id).ad_sets):
            if number < rows:
                changes = [f"Renamed {number}", "31.25" if number % 2 else "", "77.50" if number % 3 else "", ""]
                writer.writerow([row["id"], *changes])


def measured(environment: dict[str, str], *arguments: str) -> tuple[float, float, float]:
    """Run the command line: seconds, seconds of CPU, and megabytes at the most."""
    command = [sys.executable, "-m", "spotify_ads_async.cli", "bulk", *arguments]
    begun = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - this package itself
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said)
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def plan_many(folder: Path, rows: int) -> dict[str, float]:
    """Plan ``rows`` rows without windows or latency, so that nothing but work is measured."""
    changes, plan = folder / f"{rows}.csv", folder / f"{rows}.plan"
    made(changes, rows, rows)
    with emulator("--ad-sets", str(rows), "--limits", "off", "--latency", "0") as environment:
        environment["SPOTIFY_ADS_LIMITS"] = "off"
        seconds, cpu, megabytes = measured(environment, "plan", str(changes), "--plan", str(plan), "-o", "csv")
    return {"rows": rows, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "megabytes": round(megabytes, 1)}


def change_some(folder: Path) -> dict[str, float]:
    """Plan 700 changes of 2,000 ad sets; once the windows are empty again, apply them, at 20 to 120 ms.

    The same without bulk.
    """
    made(folder / "some.csv", AD_SETS, CHANGES)
    with emulator("--ad-sets", str(AD_SETS)) as environment:
        seconds, requests = asyncio.run(seconds_to_apply(environment, folder))
    with emulator("--ad-sets", str(AD_SETS)) as environment:
        in_a_row = asyncio.run(seconds_in_a_row(environment, folder / "some.csv"))
    least = optimal_seconds(requests, LIMITS)
    return {
        "changes": CHANGES,
        "seconds": round(seconds, 3),
        "optimal_seconds": least,
        "ratio": round(seconds / least, 4),
        "seconds_one_call_after_the_other": round(in_a_row, 3),
        "one_after_the_other_to_bulk": round(in_a_row / seconds, 2),
    }


async def seconds_in_a_row(environment: dict[str, str], changes: Path) -> float:
    """Seconds for the same changes as one call after the other, which is how a script does it."""
    with changes.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    async with AdsClient("token", base_url=environment["SPOTIFY_ADS_BASE_URL"], governor=Governor(LIMITS)) as ads:
        account = ads.ad_account(environment["SPOTIFY_ADS_AD_ACCOUNT_ID"])
        begun = time.perf_counter()
        for row in rows:
            await account.ad_sets.update(row["ad_set_id"], AdSetUpdate(name=row["name"]))
        return time.perf_counter() - begun


async def seconds_to_apply(environment: dict[str, str], folder: Path) -> tuple[float, int]:
    """Seconds from the first request of applying to the last answer, and how many requests there were."""
    plan = folder / "some.plan"
    async with AdsClient("token", base_url=environment["SPOTIFY_ADS_BASE_URL"], governor=Governor(LIMITS)) as ads:
        await bulk.plan_changes(ads, environment["SPOTIFY_ADS_AD_ACCOUNT_ID"], folder / "some.csv", plan)
        await asyncio.sleep(max(limit.window for limit in LIMITS) + 1)
        begun = time.perf_counter()
        async with bulk.apply(ads, plan, bulk.Options(allow_unusual=True)) as run:
            async for row in run:
                assert row.outcome is bulk.RowOutcome.DONE, row
        return time.perf_counter() - begun, run.progress.requests


def main() -> Report | None:
    """Measure, print and report."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-bulk-") as folder:
        for name, size in (("plan_of_few", rows // 100), ("plan", rows)):
            figures[name] = planned = plan_many(Path(folder), size)
            print(f"{name}: {json.dumps(planned)}", flush=True)
        applied = change_some(Path(folder))
        print(f"apply: {json.dumps(applied)}", flush=True)
    if len(sys.argv) > 1:
        return None
    seconds = {
        "the least that the windows allow": applied["optimal_seconds"],
        "bulk apply": applied["seconds"],
        "one call after the other": applied["seconds_one_call_after_the_other"],
    }
    title = f"{CHANGES} changes of ad sets, answers after 20 to 120 ms"
    return Report({**figures, "apply": applied}, {"bulk": charts.bars(title, seconds, unit="seconds, less is better")})


if __name__ == "__main__":
    main()
