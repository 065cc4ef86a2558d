"""Time limits: each block ends at its own, by one timer, and a cancellation of somebody else's stays one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from support.virtual_time import VirtualTimeLoop, run_virtually

from spotify_ads_async.network.connections import TimeLimit
from spotify_ads_async.network.time_limits import TimeLimits


def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize(
    ("limits", "after_5_s", "expected"),
    [
        (
            [30.0, 2.0, 60.0, 2.5, 200.0],
            len,
            ["30 TimeoutError", "2 TimeoutError", "60 TimeoutError", "2.5 TimeoutError", "100 NoneType"],
        ),
        ([30.0, 5.0, 4.0], cancel, ["5 CancelledError", "5 CancelledError", "4 TimeoutError"]),
    ],
)
def test_each_block_ends_at_its_own_limit(
    limits: list[float], after_5_s: Callable[[list[asyncio.Task[None]]], object], expected: list[str]
) -> None:
    async def program(loop: VirtualTimeLoop) -> list[str]:
        kept = TimeLimits(loop)

        async def block(seconds: float) -> None:
            with TimeLimit(kept, seconds):
                await asyncio.sleep(100.0)

        async def ended(task: asyncio.Task[None]) -> str:
            (result,) = await asyncio.gather(task, return_exceptions=True)
            return f"{loop.time():g} {type(result).__name__}"

        tasks = [asyncio.create_task(block(seconds)) for seconds in limits]
        loop.call_later(5.0, after_5_s, tasks)
        return await asyncio.gather(*map(ended, tasks))

    assert run_virtually(program) == expected


def test_a_task_goes_on_after_its_timeouts() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        limits = TimeLimits(loop)
        for _ in range(3):
            with pytest.raises(TimeoutError), TimeLimit(limits, 1.0):
                await asyncio.sleep(9.0)
            with TimeLimit(limits, 9.0):
                await asyncio.sleep(1.0)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        assert loop.time() == 6.0

    run_virtually(program)
