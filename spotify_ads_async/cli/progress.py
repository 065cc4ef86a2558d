"""The progress of a bulk run on stderr: done, rate, time left, quota and failures.

Nothing where no terminal listens.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator

import anyio

from spotify_ads_async import bulk
from spotify_ads_async.cli.optimum import seconds_left
from spotify_ads_async.cli.terminal import somebody_watches
from spotify_ads_async.client import AdsClient

__all__ = ["shown"]

_EVERY = 0.1


@contextlib.asynccontextmanager
async def shown(title: str, run: bulk.Run | bulk.WorkbookRun, client: AdsClient) -> AsyncGenerator[None]:
    """Show the progress of ``run`` while the block lasts."""
    if not somebody_watches():
        yield
        return
    from spotify_ads_async.cli.bars import run_bar  # noqa: PLC0415 - only a terminal needs it

    bar = run_bar()
    task = bar.add_task(title, total=run.progress.total, facts="")
    begun = time.monotonic()

    async def draw() -> None:
        while True:
            facts = " · ".join(_facts(run.progress, client, time.monotonic() - begun))
            bar.update(task, completed=run.progress.ended, total=run.progress.total, facts=facts)
            bar.refresh()
            await anyio.sleep(_EVERY)

    with bar:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(draw)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()


def _facts(progress: bulk.Progress, client: AdsClient, elapsed: float) -> list[str]:
    facts: list[str] = []
    if elapsed > 0 and progress.ended:
        facts.append(f"{progress.ended / elapsed:.0f}/s")
    snapshot = client.quota()
    left = progress.total - progress.ended
    if left > 0:
        seconds = max(
            seconds_left(left, snapshot),
            left * elapsed / progress.ended if 0 < progress.ended < left and elapsed > 60 else 0.0,
        )
        facts.append(f"{_clock(seconds)} left")
    tightest = min(snapshot.windows, key=lambda window: window.available / max(1, window.capacity), default=None)
    if tightest is not None:
        facts.append(f"{tightest.limit} {tightest.capacity - tightest.available}/{tightest.capacity}")
    if progress.failed:
        facts.append(f"{progress.failed} failed")
    if progress.conflicts:
        facts.append(f"{progress.conflicts} in conflict")
    if progress.unknown:
        facts.append(f"{progress.unknown} unknown")
    return facts


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
