"""``spotify-ads demo``: the main job against an emulator in this process, with the published windows."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.effects import reached
from spotify_ads_async.bulk.plan.state import writable_state
from spotify_ads_async.cli.optimum import optimal_seconds
from spotify_ads_async.cli.output import show
from spotify_ads_async.cli.progress import doing, progress_told, running
from spotify_ads_async.cli.run import DONE, FAILED, INTERRUPTED, run, say
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.client import AdAccount, AdsClient
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.governor import PUBLISHED_LIMITS, Governor, Limit

__all__ = ["changes_file", "demo"]

_AD_SETS = 2000
_LATENCY = (0.02, 0.12)
_FASTER = 10
_CONCURRENCY = 128
_READ_AHEAD = 40


class Report(msgspec.Struct, kw_only=True):
    """What the demo did.

    Attributes:
        walked: ad sets that the walk gave.
        rows: rows of the changes file.
        updated: rows that were applied.
        failed: rows that were not.
        waiting: rows that were not sent, because somebody interrupted the demo.
        read_back_equal: updated ad sets that read back as they were wanted.
        requests: requests of the walk and the updates, as the server counted them.
        refused: requests that it refused (429), those of reading back too.
        seconds: from the walk's first request to the last update's answer.
        optimal_seconds: the shortest time in which the windows let so many requests leave.
        read_back_seconds: how long reading everything again took after that.
        windows: per limit the most requests that the server saw in one window, and how many are allowed.
    """

    walked: int = 0
    rows: int = 0
    updated: int = 0
    failed: int = 0
    waiting: int = 0
    read_back_equal: int = 0
    requests: int = 0
    refused: int = 0
    seconds: float = 0.0
    optimal_seconds: float = 0.0
    read_back_seconds: float = 0.0
    windows: dict[str, dict[str, int]] = {}

    @property
    def good(self) -> bool:
        """Whether every row was applied and read back, and no window was exceeded.

        How long it took depends on the machine, too.
        """
        kept = all(window["fullest"] <= window["allowed"] for window in self.windows.values())
        complete = 0 < self.rows == self.updated == self.read_back_equal
        return kept and complete and not self.refused


def demo(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Windows ten times shorter.")] = False,
) -> None:
    """Walk 2,000 ad sets of an emulator, change over 700 from a CSV file, and read them back.

    At the published limits.
    """
    run(lambda: _Demo(fast=fast).show(as_json=as_json))


def changes_file() -> Path:
    """The demo's changes: inside an installed package, or in the examples of a checkout.

    Raises:
        FileNotFoundError: in neither.
    """
    here = Path(__file__).resolve()
    for path in (here.with_name("ad_set_changes.csv"), here.parents[2] / "examples" / "ad_set_changes.csv"):
        if path.exists():
            return path
    raise FileNotFoundError("the demo's file of changes, ad_set_changes.csv, is missing from this installation")


class _Demo:
    def __init__(self, *, fast: bool) -> None:
        self._limits = tuple(
            Limit(one.name, requests=one.requests, window=one.window / (_FASTER if fast else 1))
            for one in PUBLISHED_LIMITS
        )
        self._report = Report()
        self._interrupted = False
        self._run: bulk.Run | None = None

    async def show(self, *, as_json: bool) -> int:
        """Run the demo and say how it went."""
        with anyio.CancelScope() as scope:
            async with on_interrupt(lambda: self._end_early(scope)):
                await self._serve()
        if as_json:
            show(msgspec.to_builtins(self._report))
        else:
            self._tell()
        if self._interrupted:
            return INTERRUPTED
        return DONE if self._report.good else FAILED

    def _end_early(self, scope: anyio.CancelScope) -> None:
        """Ctrl-C: let the requests under way end, or end at once where none is."""
        self._interrupted = True
        if self._run is not None:
            self._run.stop("interrupted")
        else:
            scope.cancel()

    async def _serve(self) -> None:
        with tempfile.TemporaryDirectory(prefix="spotify-ads-demo-") as folder:
            async with (
                Emulator(ad_sets=_AD_SETS, limits=self._limits, latency=_LATENCY) as server,
                AdsClient("demo", base_url=server.base_url, governor=Governor(self._limits)) as client,
                progress_told(client),
            ):
                account, plan = client.ad_account(server.ad_account_id), Path(folder, "demo.plan")
                begun = time.monotonic()
                try:
                    await self._work(client, account, plan)
                finally:
                    self._count(server, time.monotonic() - begun)
                if not self._interrupted:
                    with doing("reading everything back"):
                        await self._read_back(account, plan)
                    self._judge_windows(server)

    async def _work(self, client: AdsClient, account: AdAccount, plan: Path) -> None:
        looked_at = time.monotonic()
        keeping = client.with_options(keep_json=True).ad_account(account.id)
        with doing("reading ad sets"):
            ad_sets = await keeping.ad_sets.list().reading_ahead(_READ_AHEAD).collect()
        self._report.walked = len(ad_sets)
        await bulk.plan_changes(client, account.id, changes_file(), plan, present=ad_sets)
        await self._apply(client, plan, looked_at)

    async def _apply(self, client: AdsClient, plan: Path, looked_at: float) -> None:
        # The amounts are made up: what is unusual about some of them is meant.
        options = bulk.Options(
            concurrency=_CONCURRENCY, survives_power_cut=False, grace=0.4, allow_unusual=True, looked_at=looked_at
        )
        self._run = bulk.apply(client, plan, options)
        try:
            async with self._run as run:
                self._report.rows = run.progress.total
                with running("ad sets", run, client):
                    async for _ in run:
                        pass
        finally:
            progress = self._run.progress
            self._run = None
            self._report.updated = progress.done
            self._report.failed = progress.failed + progress.unknown
            self._report.waiting = self._report.rows - progress.ended

    async def _read_back(self, account: AdAccount, plan: Path) -> None:
        """Read everything again and compare it with what the rows wanted."""
        begun = time.monotonic()
        found = {ad_set.id: ad_set for ad_set in await account.ad_sets.list().reading_ahead(_READ_AHEAD).collect()}
        self._report.read_back_seconds = round(time.monotonic() - begun, 3)
        with bulk.PlanFile.open(plan) as file:
            for row in file.rows():
                state = writable_state(bulk.ENTITIES["ad sets"], found[row.entity_id])
                self._report.read_back_equal += all(
                    reached(value, state.get(field)) for field, value in row.after.items()
                )

    def _count(self, server: Emulator, seconds: float) -> None:
        """Take down how long the job took, and what the windows would have allowed."""
        self._judge_windows(server)
        report = self._report
        report.seconds, report.requests = round(seconds, 3), server.statistics().requests
        report.optimal_seconds = optimal_seconds(
            report.requests, [limit for limit in self._limits if limit.name in report.windows]
        )

    def _judge_windows(self, server: Emulator) -> None:
        seen = server.statistics()
        self._report.refused = seen.refused
        self._report.windows = {
            limit.name: {"fullest": seen.fullest[limit.name], "allowed": limit.requests}
            for limit in self._limits
            if seen.fullest.get(limit.name)
        }

    def _tell(self) -> None:
        report = self._report
        if self._interrupted:
            say(
                f"interrupted: {report.walked} ad sets walked, {report.updated} of {report.rows} rows applied, "
                f"{report.waiting} not sent or without an answer; the emulator and its data are gone"
            )
            return
        lines = [
            f"walked    {report.walked} ad sets",
            f"updated   {report.updated} of {report.rows} rows",
            (
                f"took      {report.seconds:.2f} s for {report.requests} requests; the windows need"
                f" {report.optimal_seconds:.2f} s at least"
            ),
            f"read back {report.read_back_equal} rows as they were wanted, in {report.read_back_seconds:.2f} s",
            f"refused   {report.refused} requests",
            *(
                f"{name:<9} {one['fullest']} of {one['allowed']} in the fullest window"
                for name, one in report.windows.items()
            ),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
