"""Progress: one line on stderr, where a terminal listens, that says what goes on while nothing else is written."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING

from spotify_ads_async.cli.optimum import seconds_left
from spotify_ads_async.cli.terminal import progress_line, somebody_watches
from spotify_ads_async.client import AdsClient
from spotify_ads_async.events import Event, RequestAnswered
from spotify_ads_async.governor.snapshot import Snapshot, WindowSnapshot

if TYPE_CHECKING:  # lists shall not wait for them
    from spotify_ads_async import bulk
    from spotify_ads_async.uploads import UploadProgress

__all__ = ["counting", "doing", "progress_told", "running", "uploading", "waiting_text"]

_EVERY_SECONDS = 0.2
_QUIET_SECONDS = 0.5
_SHORTEST_WAIT_SECONDS = 1.0
_BAR_WIDTH = 20
_LONG_RUN_SECONDS = 60
_MEGABYTE = 1_000_000

_activities: list[Callable[[], str]] = []
"""What goes on, the innermost last: each says it in a few words."""


@contextlib.contextmanager
def _activity(text: Callable[[], str]) -> Generator[None]:
    _activities.append(text)
    try:
        yield
    finally:
        _activities.remove(text)


@contextlib.contextmanager
def doing(what: str) -> Generator[None]:
    """Say ``what`` while the block lasts."""
    with _activity(lambda: what):
        yield


@contextlib.contextmanager
def counting(what: str, total: int | None = None) -> Generator[Callable[[], None]]:
    """Say how many there are, of ``total`` if that is known; call what is given for each."""
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    with _activity(lambda: f"{what}: {count}" if total is None else f"{what}: {count} of {total}"):
        yield one_more


@contextlib.contextmanager
def uploading(name: str) -> Generator[Callable[[UploadProgress], None]]:
    """Say how much of a file has been sent; call what is given with every step."""
    last: UploadProgress | None = None

    def note(event: UploadProgress) -> None:
        nonlocal last
        last = event

    def text() -> str:
        if last is None:
            return f"{name}: beginning"
        sent, size = last.sent / _MEGABYTE, last.size / _MEGABYTE
        return f"{name}: {last.phase} {_bar(sent, size)} {sent:.1f} of {size:.1f} MB"

    with _activity(text):
        yield note


@contextlib.contextmanager
def running(title: str, run: bulk.Run | bulk.WorkbookRun, client: AdsClient) -> Generator[None]:
    """Say how far a bulk run is: done, rate, time left, quota and failures."""
    begun = time.monotonic()

    def text() -> str:
        progress = run.progress
        done = f"{title} {_bar(progress.ended, progress.total)} {progress.ended}/{progress.total}"
        return " · ".join([done, *_facts(progress, client, time.monotonic() - begun)])

    with _activity(text):
        yield


@contextlib.asynccontextmanager
async def progress_told(client: AdsClient) -> AsyncGenerator[None]:
    """Say what goes on whenever half a second passes without output, where a terminal listens."""
    if not somebody_watches():
        yield
        return
    answered, begun = 0, time.monotonic()

    def hear(event: Event) -> None:
        nonlocal answered
        answered += isinstance(event, RequestAnswered)

    async def draw() -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            if progress_line.quiet_seconds() < _QUIET_SECONDS:
                continue
            what = _activities[-1]() if _activities else "working"
            since = f"{answered} request{'' if answered == 1 else 's'} answered · {time.monotonic() - begun:.0f} s"
            progress_line.show(" · ".join([what, waiting_text(client.quota()) or since]))

    remove = client.subscribe(hear)
    drawing = asyncio.create_task(draw())
    try:
        yield
    finally:
        remove()
        drawing.cancel()
        await asyncio.wait([drawing])
        progress_line.clear()


def waiting_text(snapshot: Snapshot) -> str | None:
    """What is waited for, or None where nothing is, or not for long."""
    if not snapshot.waiting or not snapshot.windows:
        return None
    window = max(snapshot.windows, key=_seconds)
    seconds = _seconds(window)
    if seconds < _SHORTEST_WAIT_SECONDS or not math.isfinite(seconds):
        return None
    why = f", paused: {window.pause_cause}" if window.paused_for > 0.0 and window.pause_cause else ""
    return f"waiting {math.ceil(seconds)} s for quota: {window.limit} window{why}"


def _seconds(window: WindowSnapshot) -> float:
    """Until whoever waits first may leave, as far as this window goes."""
    returns = window.predicted_wait if window.next_return is None else min(window.predicted_wait, window.next_return)
    return max(returns, window.paused_for)


def _bar(done: float, total: float) -> str:
    filled = round(_BAR_WIDTH * done / total) if total else 0
    return "━" * filled + "╌" * (_BAR_WIDTH - filled)


def _facts(progress: bulk.Progress, client: AdsClient, elapsed: float) -> list[str]:
    facts: list[str] = []
    if elapsed > 0 and progress.ended:
        facts.append(f"{progress.ended / elapsed:.0f}/s")
    snapshot = client.quota()
    left = progress.total - progress.ended
    if progress.processing:
        facts.append(f"waiting until {progress.processing} media files are processed")
    elif left > 0:
        long = 0 < progress.ended < left and elapsed > _LONG_RUN_SECONDS
        seconds = max(seconds_left(left, snapshot), left * elapsed / progress.ended if long else 0.0)
        minutes, rest = divmod(round(seconds), 60)
        facts.append(f"{minutes}:{rest:02} left")
    counts = {"failed": progress.failed, "in conflict": progress.conflicts, "unknown": progress.unknown}
    facts += [f"{count} {what}" for what, count in counts.items() if count]
    tightest = min(snapshot.windows, key=lambda window: window.available / max(1, window.capacity), default=None)
    if tightest is not None:
        facts.append(f"{tightest.limit} {tightest.capacity - tightest.available}/{tightest.capacity}")
    return facts
