"""The governor and its peers against the counting server.

Arrivals in any window, refusals, quota used, a job of 400, cost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from benchmarks._harness import Report

Pace = Literal["burst", "smooth", "auto"]

HERE = Path(__file__).parent
SECONDS = 60.0
CONNECTIONS = 100
JOB = 400
COST_CALLS = 20_000
LATENCIES = {"20-120 ms": (0.02, 0.12), "50-400 ms": (0.05, 0.4)}
Heard = Callable[[int, dict[str, str]], None]
Leave = Callable[[], AbstractAsyncContextManager[Heard]]


def ours(pace: Pace, scale: float, *, wide: bool = False) -> Leave:
    """The governor, over both windows."""
    from spotify_ads_async import Governor, Limit  # noqa: PLC0415 (a peer's process need not load it)

    many = 100_000 if wide else 1
    limits = [
        Limit("client_id", requests=int(1500 * scale) * many, window=30 * scale),
        Limit("ip", requests=int(500 * scale) * many, window=10 * scale),
    ]
    scope = Governor(limits, pace=pace).scope(origin="http://127.0.0.1")
    names = frozenset({"client_id", "ip"})

    @contextlib.asynccontextmanager
    async def leave() -> AsyncGenerator[Heard]:
        async with scope.admit(names) as admission:
            yield lambda status, headers: admission.answered(status=status, headers=headers)

    return leave


def acquiring(*acquire: Callable[[], Awaitable[object]]) -> Leave:
    """Limiters that are asked once, before the request."""

    @contextlib.asynccontextmanager
    async def leave() -> AsyncGenerator[Heard]:
        for one in acquire:
            await one()
        yield lambda _status, _headers: None

    return leave


def nested(scale: float, *, wide: bool = False) -> Leave:
    """aiolimiter, a limiter for each window."""
    from aiolimiter import AsyncLimiter  # noqa: PLC0415 (each case loads what it measures)

    many = 100_000 if wide else 1
    return acquiring(
        AsyncLimiter(1500 * scale * many, 30 * scale).acquire, AsyncLimiter(500 * scale * many, 10 * scale).acquire
    )


def safe(scale: float, *, wide: bool = False) -> Leave:
    """The limiter of aiolimiter with burst + rate x (window + jitter) within the limit."""
    from aiolimiter import AsyncLimiter  # noqa: PLC0415 (the same)

    many = 100_000 if wide else 1
    burst = 20
    rate = (500 * scale - burst) / (10 * scale + 0.1)
    return acquiring(AsyncLimiter(burst * many, burst / rate).acquire)


def paced(scale: float, *, wide: bool = False) -> Leave:
    """The limiter of asynciolimiter at the limits' common rate."""
    del scale
    from asynciolimiter import Limiter  # noqa: PLC0415 (the same)

    return acquiring(Limiter(1e9 if wide else 50.0).wait)


def pyrate(scale: float, *, wide: bool = False) -> Leave:
    """pyrate-limiter with both rates in one limiter."""
    from pyrate_limiter import Limiter, Rate  # noqa: PLC0415 (the same)

    many = 100_000 if wide else 1
    limiter = Limiter(
        [Rate(int(500 * scale) * many, int(10_000 * scale)), Rate(int(1500 * scale) * many, int(30_000 * scale))]
    )
    return acquiring(limiter.try_acquire_async)


def throttled(scale: float, *, wide: bool = False) -> Leave:
    """throttled-py, a limiter for each window."""
    from throttled.asyncio import Throttled, per_duration  # noqa: PLC0415 (the same)

    many = 100_000 if wide else 1

    def limiter(requests: float, window: float) -> Callable[[], Awaitable[object]]:
        count = int(requests * scale) * many
        one = Throttled(
            key="k", quota=per_duration(timedelta(seconds=window * scale), count, burst=count), timeout=3600.0
        )
        return one.limit

    return acquiring(limiter(1500, 30), limiter(500, 10))


class Peer(Protocol):
    """Makes a limiter; ``wide`` is one that never fills, for the cost."""

    def __call__(self, scale: float, *, wide: bool = False) -> Leave:
        """Make one."""
        ...


PEERS: dict[str, Peer] = {
    "governor, burst": partial(ours, "burst"),
    "governor, smooth": partial(ours, "smooth"),
    "governor, auto": partial(ours, "auto"),
    "aiolimiter, nested": nested,
    "aiolimiter, safe": safe,
    "asynciolimiter": paced,
    "pyrate-limiter": pyrate,
    "throttled-py": throttled,
}


class Server:
    """A counting server in a process of its own, and connections to it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    @classmethod
    async def start(cls, scale: float, *options: str) -> Server:
        """Start one."""
        limits = f"client_id={int(1500 * scale)}/{30 * scale},ip={int(500 * scale)}/{10 * scale}"
        arguments = [str(HERE / "counting_server.py"), "--limits", limits, *options]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        return cls(process, int(await process.stdout.readline()))

    async def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()

    async def ask(self, target: str, **fields: object) -> dict[str, Any]:
        """One of the requests that count for nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        _, _, body = await exchange(reader, writer, target, json.dumps(fields).encode())
        writer.close()
        return json.loads(body)


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request and its answer."""
    writer.write(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers, await reader.readexactly(int(headers["Content-Length"]))


async def load(server: Server, leave: Leave, *, until: float | None = None, requests: int | None = None) -> float:
    """Send over all connections until a moment of the monotonic clock, or so many; answers the seconds it took."""
    left = requests

    async def worker() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while left is None or left > 0:
                    left = left if left is None else left - 1
                    async with leave() as heard:
                        status, headers, _ = await exchange(reader, writer, "/")
                        heard(status, headers)
        writer.close()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(worker())
    return time.monotonic() - began


async def microseconds(leave: Leave) -> float:
    """CPU time of one uncontended pass."""
    costs: list[float] = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(COST_CALLS // 5):
            async with leave() as heard:
                heard(200, {})
        costs.append((time.process_time() - began) / (COST_CALLS // 5) * 1e6)
    return statistics.median(costs)


def in_windows(arrivals: list[float], window: float, start: float, end: float) -> list[tuple[float, int]]:
    """How many arrived in the window that ends at each of many moments."""
    steps = 600
    moments = [start + (end - start) * step / steps for step in range(steps + 1)]
    return [(moment, bisect_right(arrivals, moment) - bisect_right(arrivals, moment - window)) for moment in moments]


def fullest(arrivals: list[float], window: float) -> int:
    """The most arrivals within any window."""
    return max(
        (number + 1 - bisect_right(arrivals, moment - window) for number, moment in enumerate(arrivals)), default=0
    )


async def saturate(name: str, seconds: float, latency: tuple[float, float], scale: float) -> dict[str, Any]:
    """One limiter: the job of 400, then saturation for so long, then its cost."""
    server = await Server.start(scale, "--latency", "0.05", "0.05")
    try:
        job = await load(server, PEERS[name](scale), requests=JOB)
        await server.ask("/_control", latency=latency)
        await server.ask("/_forget")
        began = time.monotonic()
        await load(server, PEERS[name](scale), until=began + seconds)
        counted = await server.ask("/_statistics")
    finally:
        await server.stop()
    arrivals = sorted(counted["arrivals"])
    window, requests = 10.0 * scale, int(500 * scale)
    trailing = in_windows(arrivals, window, began, began + seconds)
    steady = [count for moment, count in trailing if moment >= began + min(window, seconds / 2)]
    return {
        "fullest_10_s": fullest(arrivals, window),
        "fullest_30_s": fullest(arrivals, 3 * window),
        "limit_10_s": requests,
        "would_refuse": counted["would_refuse"],
        "arrived": len(arrivals),
        "quota_of_run_used": len(arrivals) / (requests * seconds / window),
        "steady_use": statistics.fmean(steady) / requests,
        "seconds_for_400": job,
        "microseconds_per_acquire": await microseconds(PEERS[name](scale, wide=True)),
        "trailing": [(round(moment - began, 2), count) for moment, count in trailing[::2]],
    }


async def enforced(pace: Pace, seconds: float, scale: float, *options: str) -> dict[str, Any]:
    """The governor against a server that refuses: when, and how much was taken."""
    server = await Server.start(scale, *options)
    try:
        began = time.monotonic()
        await load(server, ours(pace, scale), until=began + seconds)
        counted = await server.ask("/_statistics")
    finally:
        await server.stop()
    refusals = [moment - began for moment in counted["refusals"]]
    third = [moment for moment in refusals if moment > seconds * 2 / 3]
    taken = len([moment for moment in counted["arrivals"] if moment - began > seconds * 2 / 3]) - len(third)
    return {
        "refusals": len(refusals),
        "first": refusals[0] if refusals else None,
        "last": refusals[-1] if refusals else None,
        "refusals_in_the_last_third": len(third),
        "taken_per_second_in_the_last_third": taken / (seconds / 3),
    }


async def latency_drop() -> dict[str, Any]:
    """500 requests that take 250 ms, then 500 that take 50 ms, as soon as leave comes."""
    server = await Server.start(1.0, "--latency", "0.25", "0.25")
    leave = ours("auto", 1.0)
    try:
        await load(server, leave, requests=500)
        await server.ask("/_control", latency=(0.05, 0.05))
        await load(server, leave, requests=500)
        counted = await server.ask("/_statistics")
    finally:
        await server.stop()
    return {"would_refuse": counted["would_refuse"], "fullest_10_s": fullest(sorted(counted["arrivals"]), 10.0)}


async def case(options: argparse.Namespace) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    random.seed(1)
    logging.getLogger("spotify_ads_async").setLevel(logging.ERROR)
    if options.case == "latency drop":
        return await latency_drop()
    if options.case == "weighted server":
        return await enforced("auto", options.seconds, options.scale, "--enforce", "weighted", "--seed", "1")
    if options.case.startswith("another program"):
        headers = ["--headers"] if options.case.endswith("headers") else []
        return await enforced(
            "auto", options.seconds, options.scale, "--enforce", "log", "--others", "25", "--seed", "1", *headers
        )
    return await saturate(options.case, options.seconds, tuple(options.latency), options.scale)


async def started(name: str, seconds: float, scale: float, latency: tuple[float, float]) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    arguments = ["--case", name, "--seconds", str(seconds), "--scale", str(scale), "--latency", *map(str, latency)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.governor", *arguments, cwd=HERE.parent, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{name} failed")
    return json.loads(output)


async def everything(seconds: float, scale: float) -> dict[str, Any]:
    """All at once: each case is idle nearly all the time."""
    fast, slow = LATENCIES.values()
    jobs = {name: started(name, seconds, scale, fast) for name in PEERS}
    jobs |= {f"{name}, 50-400 ms": started(name, seconds, scale, slow) for name in PEERS if name.startswith("governor")}
    jobs["latency drop"] = started("latency drop", seconds, 1.0, fast)
    jobs["weighted server"] = started("weighted server", seconds, scale, fast)
    for name in ("another program", "another program, headers"):
        # Three times as long: what counts is the last minute.
        jobs[name] = started(name, 3 * seconds, scale, fast)
    return dict(zip(jobs, await asyncio.gather(*jobs.values()), strict=True))


def chart(found: dict[str, Any], seconds: float) -> str:
    """Arrivals in the trailing window over time, one panel for each limiter, against the limit."""
    across, tall, left, top = 350, 128, 46, 64
    parts: list[str] = []
    for number, name in enumerate(PEERS):
        one = found[name]
        x, y = 16 + number % 2 * (across + 20), top + number // 2 * (tall + 54)
        scale = (tall - 8) / (2.1 * one["limit_10_s"])
        mood = "bad" if one["fullest_10_s"] > one["limit_10_s"] else "good"
        told = f"at most {one['fullest_10_s']} in 10 s, {one['would_refuse']['log']} refusals"
        points = " ".join(
            f"{x + left + at / seconds * (across - left):.1f},{y + tall - count * scale:.1f}"
            for at, count in one["trailing"]
        )
        line = y + tall - one["limit_10_s"] * scale
        parts += [
            f'<text class="name" x="{x}" y="{y - 6}">{name}</text>',
            f'<text class="{mood}" x="{x + across}" y="{y - 6}" text-anchor="end">{told}</text>',
            f'<rect class="panel" x="{x + left}" y="{y}" width="{across - left}" height="{tall}"/>',
            f'<polyline class="{mood}" points="{points}"/>',
            f'<line class="limit" x1="{x + left}" y1="{line:.1f}" x2="{x + across}" y2="{line:.1f}"/>',
            f'<text class="quiet" x="{x + left - 6}" y="{line + 4:.1f}" text-anchor="end">{one["limit_10_s"]}</text>',
            f'<text class="quiet" x="{x + left}" y="{y + tall + 15}">0 s</text>',
            f'<text class="quiet" x="{x + across}" y="{y + tall + 15}" text-anchor="end">{seconds:g} s</text>',
        ]
    width, height = 2 * across + 52, top + (len(PEERS) + 1) // 2 * (tall + 54) - 20
    style = (
        "svg{font:12px system-ui,sans-serif}.page{fill:#fff}text{fill:#222}.title{font-size:15px;font-weight:600}"
        ".name{font-weight:600}.quiet{fill:#666}.panel{fill:#8881}polyline{fill:none;stroke-width:1.6}"
        "polyline.good{stroke:#0072b2}polyline.bad{stroke:#d55e00}text.bad{fill:#b34700}text.good{fill:#0067a3}"
        ".limit{stroke:#c00;stroke-dasharray:5 4}@media(prefers-color-scheme:dark){.page{fill:#16181d}text{fill:#eee}"
        ".quiet{fill:#aaa}text.bad{fill:#ff9955}text.good{fill:#6bbcf5}polyline.good{stroke:#6bbcf5}"
        "polyline.bad{stroke:#ff9955}.limit{stroke:#f77}}"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img"><title>Requests that the server counted in the last 10 seconds, limiter by'
        f' limiter</title><style>{style}</style><rect class="page" width="{width}" height="{height}" rx="6"/><text'
        ' class="title" x="16" y="26">Requests that the server counted in the last 10 seconds; dashed: the'
        " limit</text>"
    )
    return head + "".join(parts) + "</svg>\n"


def show(found: dict[str, Any]) -> None:
    """A table."""
    print(f"{'':28} {'in 10 s':>8} {'in 30 s':>8} {'log':>5} {'fixed':>5} {'bucket':>6} {'weighted':>8}", end=" ")
    print(f"{'of run':>7} {'steady':>7} {'400':>7} {'cost':>9}")
    for name, one in found.items():
        if "would_refuse" in one and "steady_use" in one:
            refused = one["would_refuse"]
            print(
                f"{name:28} {one['fullest_10_s']:8} {one['fullest_30_s']:8} {refused['log']:5} {refused['fixed']:5}"
                f" {refused['bucket']:6} {refused['weighted']:8} {one['quota_of_run_used']:7.1%}"
                f" {one['steady_use']:7.1%} {one['seconds_for_400']:5.2f} s {one['microseconds_per_acquire']:6.2f} µs"
            )
        else:
            print(f"{name:28} {one}")


def main() -> Report | None:
    """Measure, print, and keep figures and chart in docs/benchmarks.

    ``--scale 0.2 --seconds 12`` is a quick look that keeps nothing.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--latency", type=float, nargs=2, default=LATENCIES["20-120 ms"])
    parser.add_argument("--case")
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(asyncio.run(case(options))))
        return None
    found = asyncio.run(everything(options.seconds, options.scale))
    show(found)
    if (options.scale, options.seconds) != (1.0, SECONDS):
        return None
    drawn = chart(found, options.seconds)
    for one in found.values():
        one.pop("trailing", None)
    return Report({"seconds": options.seconds, "found": found}, {"governor": drawn})


if __name__ == "__main__":
    main()
