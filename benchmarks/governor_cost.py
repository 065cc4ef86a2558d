"""CPU cost of the governor.

Uncontended against two nested AsyncLimiters in the same run, and with 10 to 10,000 requests waiting.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from aiolimiter import AsyncLimiter

from benchmarks import charts
from benchmarks._harness import Report
from spotify_ads_async.governor import Governor, Limit, Priority

ROUNDS = 15
CALLS = 20_000
WAITERS = (10, 1_000, 10_000)
NAMES = frozenset({"client_id", "ip", "reporting"})


async def microseconds_per(calls: int, work: Callable[[int], Awaitable[None]]) -> float:
    """CPU time of one of ``calls`` repetitions."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        await work(calls)
        return (time.process_time() - began) / calls * 1e6
    finally:
        gc.enable()


def wide(window: float) -> Governor:
    """Three windows that never fill; a short window lets tokens come back while they are measured."""
    return Governor([Limit(name, requests=10_000_000, window=window) for name in sorted(NAMES)], pace="auto")


async def governed(governor: Governor, calls: int) -> None:
    """Admit and settle, over three buckets."""
    scope = governor.scope(origin="https://api.example", client_id="a")
    for _ in range(calls):
        async with scope.admit(NAMES) as admission:
            admission.answered(status=200)


async def nested(limiters: tuple[AsyncLimiter, AsyncLimiter], calls: int) -> None:
    """Two limiters, one after the other."""
    first, second = limiters
    for _ in range(calls):
        await first.acquire()
        await second.acquire()


async def uncontended() -> dict[str, float]:
    """Microseconds of CPU, medians over rounds that take turns."""
    limiters = AsyncLimiter(10_000_000, 30.0), AsyncLimiter(10_000_000, 10.0)
    resting, returning = wide(30.0), wide(0.02)
    cases: dict[str, Callable[[int], Awaitable[None]]] = {
        "two nested AsyncLimiter.acquire()": lambda calls: nested(limiters, calls),
        "admit + settle over three buckets": lambda calls: governed(resting, calls),
        "the same, tokens coming back meanwhile": lambda calls: governed(returning, calls),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(ROUNDS + 1):
        for name, work in cases.items():
            cost = await microseconds_per(CALLS, work)
            if round_number > 0:
                times[name].append(cost)
    return {name: statistics.median(costs) for name, costs in times.items()}


async def crowd(
    governor: Governor, size: int, *, max_wait: float | None, priority: Priority
) -> list[asyncio.Task[None]]:
    """``size`` tasks that wait for leave, and give it back as soon as they have it."""

    async def one() -> None:
        async with governor.admit({"client_id", "ip"}, max_wait=max_wait, priority=priority) as admission:
            admission.not_sent()

    tasks = [asyncio.create_task(one()) for _ in range(size)]
    await asyncio.sleep(0)
    assert governor.snapshot().waiting == size
    return tasks


async def drop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel what is left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def handed_on(size: int, priority: Priority, max_wait: float | None) -> float:
    """One token passes through a crowd that stays as large as it is: joining, being granted, waking."""
    governor = Governor([Limit("client_id", requests=1, window=3600.0), Limit("ip", requests=1, window=3600.0)])
    holding = governor.admit({"client_id", "ip"})
    await holding.__aenter__()
    tasks = await crowd(governor, size, max_wait=max_wait, priority=priority)
    passes = 5_000
    done = asyncio.Event()

    async def passing(left: int) -> None:
        async with governor.admit({"client_id", "ip"}, max_wait=max_wait, priority=priority) as admission:
            if left > 0:
                tasks.append(asyncio.create_task(passing(left - 1)))
                await asyncio.sleep(0)
            else:
                done.set()
            admission.not_sent()

    async def work(_: int) -> None:
        tasks.append(asyncio.create_task(passing(passes)))
        await asyncio.sleep(0)
        holding.not_sent()
        await done.wait()

    # Every pass waits for the whole crowd before it, so the crowd leaves once, then one by one.
    cost = await microseconds_per(passes + size, work)
    await drop(tasks)
    return cost


async def returning(size: int) -> float:
    """Tokens come back with time, and the timer wakes the next of the crowd."""
    governor = Governor(
        [Limit("client_id", requests=60, window=0.03), Limit("ip", requests=20, window=0.01)], pace="burst"
    )
    admitted = 0

    async def one() -> None:
        nonlocal admitted
        while True:
            async with governor.admit({"client_id", "ip"}) as admission:
                admission.answered(status=200)
                admitted += 1

    tasks = [asyncio.create_task(one()) for _ in range(size)]
    await asyncio.sleep(0.5)
    before = admitted
    began = time.process_time()
    await asyncio.sleep(2.0)
    cost = (time.process_time() - began) / (admitted - before) * 1e6
    await drop(tasks)
    return cost


async def cancelled(size: int) -> float:
    """One of the crowd gives up."""
    governor = Governor([Limit("client_id", requests=1, window=3600.0), Limit("ip", requests=1, window=3600.0)])
    holding = governor.admit({"client_id", "ip"})
    await holding.__aenter__()
    tasks = await crowd(governor, size, max_wait=1e9, priority=Priority.INTERACTIVE)
    cost = await microseconds_per(size, lambda _: drop(tasks))
    holding.not_sent()
    return cost


async def snapshots(size: int) -> float:
    """One snapshot while so many wait."""
    governor = Governor()
    scope = governor.scope(origin="https://api.example", client_id="a")
    for _ in range(150):
        await scope.admit(NAMES).__aenter__()
    tasks: list[asyncio.Task[None]] = []

    async def wait() -> None:
        async with scope.admit(NAMES):
            raise AssertionError

    tasks = [asyncio.create_task(wait()) for _ in range(size)]
    await asyncio.sleep(0)

    async def work(calls: int) -> None:
        for _ in range(calls):
            governor.snapshot()

    cost = await microseconds_per(2_000, work)
    await drop(tasks)
    return cost


async def measure() -> dict[str, object]:
    """Everything."""
    found: dict[str, object] = {"uncontended_microseconds": await uncontended()}
    crowds: dict[str, dict[int, float]] = {}
    for size in WAITERS:
        crowds.setdefault("handed on by its holder", {})[size] = await handed_on(size, Priority.INTERACTIVE, None)
        crowds.setdefault("handed on, bulk", {})[size] = await handed_on(size, Priority.BULK, None)
        crowds.setdefault("handed on, with max_wait", {})[size] = await handed_on(size, Priority.INTERACTIVE, 1e9)
        crowds.setdefault("come back with time", {})[size] = await returning(size)
        crowds.setdefault("cancelled while waiting", {})[size] = await cancelled(size)
        crowds.setdefault("snapshot", {})[size] = await snapshots(size)
    found["microseconds_by_waiters"] = crowds
    return found


def main() -> Report:
    """Print and report the figures; ``--json`` prints them for programs."""
    found = asyncio.run(measure())
    if "--json" in sys.argv:
        print(json.dumps(found))
        return Report(found, {})
    costs: dict[str, float] = found["uncontended_microseconds"]  # pyright: ignore[reportAssignmentType]
    base = costs["two nested AsyncLimiter.acquire()"]
    for name, cost in costs.items():
        print(f"{name:45} {cost:6.2f} µs   {cost / base:5.2f} times the first")
    crowds: dict[str, dict[int, float]] = found["microseconds_by_waiters"]  # pyright: ignore[reportAssignmentType]
    print(f"\n{'CPU of one admission, so many waiting':45} " + " ".join(f"{size:>9,}" for size in WAITERS))
    for name, by_size in crowds.items():
        print(f"{name:45} " + " ".join(f"{cost:6.1f} µs" for cost in by_size.values()))
    drawn = {
        "governor-cost": charts.bars(
            "One admission that need not wait", costs, unit="microseconds of CPU, less is better"
        ),
        "governor-cost-waiters": charts.lines(
            "One admission, by how many wait",
            crowds,
            across="requests that wait",
            up="microseconds of CPU, flat is better",
        ),
    }
    return Report(found, drawn)


if __name__ == "__main__":
    main()
