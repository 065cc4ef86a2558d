"""Prove that processes share one quota: exactness, shares, cost, and what happens when processes or stores fail.

``python -m benchmarks shared-quota [SCENARIO …] [--seconds 60]``; ``--list`` names the scenarios. Figures go to
``docs/benchmarks/shared_quota.json`` and two charts. Every server is started here, on loopback. The peers are what
people do without a store: a governor in each process, and a quota divided by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from benchmarks import charts
from benchmarks._harness import RESULTS, Report, write
from benchmarks.counting_server import read_limits
from tests.support import redis_servers
from tests.support.slow_link import SlowLink

SECONDS = 60.0
AT_ONCE = 2
LIMITS = "client_id=1500/30,ip=500/10"
EXACT = ("log", "fixed", "bucket")
QUIET_SECONDS = (3.0, 5.0)
Trouble = Callable[["Fleet"], Awaitable[None]]
Figures = dict[str, Any]


class Fleet:
    """Four workers and the origin that counts what they send."""

    def __init__(
        self, store: str, *, ips: Sequence[str] = "aaaa", seconds: float = 60.0, options: Sequence[str] = ()
    ) -> None:
        self.store = store
        self.ips = ips
        self.seconds = seconds
        self.options = options
        self.clock_offsets = [0.0] * len(ips)
        self.workers: list[asyncio.subprocess.Process] = []
        self.away: tuple[float, float] | None = None

    @contextlib.asynccontextmanager
    async def origin(self) -> AsyncIterator[str]:
        """The counting server's address."""
        process = await _part("origin", stdin=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            port = int(await process.stdout.readline())
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            await process.wait()

    async def run(self, trouble: Trouble | None = None) -> Figures:
        """Run all workers to their end, and make trouble meanwhile."""
        async with self.origin() as origin:
            self.address = origin
            start_at = time.time() + 1.5
            for ip, offset in zip(self.ips, self.clock_offsets, strict=True):
                given = ("--store", self.store, "--origin", origin, "--ip", ip, "--seconds", str(self.seconds))
                timing = ("--start-at", str(start_at), f"--clock-offset={offset}")
                self.workers.append(await _part("worker", *given, *timing, *self.options))
            await asyncio.sleep(start_at - time.time())
            self.started_at = time.monotonic()
            async with asyncio.TaskGroup() as group:
                if trouble is not None:
                    group.create_task(trouble(self))
                outputs = [group.create_task(worker.communicate()) for worker in self.workers]
            counted = await _statistics(origin)
        told = [json.loads(output.result()[0]) for output in outputs if output.result()[0]]
        return self._figures(told, counted)

    async def at(self, seconds: float) -> None:
        """Wait until so many seconds after the start."""
        await asyncio.sleep(self.started_at + seconds - time.monotonic())

    async def between_bursts(self) -> None:
        """Wait until a few seconds after the last requests, when the next ones are still to come."""
        quiet_for = 0.0
        while not QUIET_SECONDS[0] < quiet_for < QUIET_SECONDS[1]:
            await asyncio.sleep(0.5)
            counted = await _statistics(self.address)
            quiet_for = time.monotonic() - counted["arrivals"][-1][1]

    def _figures(self, told: list[Figures], counted: Figures) -> Figures:
        calls = [len(one["departures"]) for one in told]
        arrivals = [(target.strip("/"), at) for target, at in counted["arrivals"]]
        failures: Counter[str] = Counter()
        for one in told:
            failures.update(one["failures"])
        return {
            "requests": len(arrivals),
            "would_refuse": {name: counted["would_refuse"][name] for name in EXACT},
            "fullest": _fullest(arrivals),
            "used_percent": round(100 * _used(arrivals, self.started_at, self.seconds), 2),
            "longest_silence_seconds": round(_longest_gap([at for _, at in arrivals]), 2),
            "share_of_mean": [round(count / statistics.mean(calls), 3) for count in calls],
            "exchanges_per_call": round(sum(one["exchanges"] for one in told) / max(1, sum(calls)), 3),
            "failures": dict(failures),
            **self._while_away(arrivals),
            "last_waiter_late_by_seconds": round(max(one["late"] for one in told), 3),
        }

    def _while_away(self, arrivals: Sequence[tuple[str, float]]) -> Figures:
        """Requests that arrived while the store was away, but for its first moment, in which leases are used up."""
        if self.away is None:
            return {}
        began, ended = self.away
        return {"arrived_while_the_store_was_away": sum(1 for _, at in arrivals if began + 0.5 < at < ended)}


def _fullest(arrivals: Sequence[tuple[str, float]]) -> dict[str, str]:
    """The most requests that any window held, against its limit."""
    found: dict[str, str] = {}
    for limit in read_limits(LIMITS):
        groups = sorted({ip for ip, _ in arrivals}) if limit.name == "ip" else [""]
        most = 0
        for group in groups:
            inside: deque[float] = deque()
            for ip, at in arrivals:
                if group in {"", ip}:
                    inside.append(at)
                    while inside[0] <= at - limit.window:
                        inside.popleft()
                    most = max(most, len(inside))
        found[limit.name] = f"{most}/{limit.requests}"
    return found


def _used(arrivals: Sequence[tuple[str, float]], started_at: float, seconds: float) -> float:
    """Share of what the binding window allows in whole windows.

    The client's where every process has its own address.
    """
    binding = min(read_limits(LIMITS), key=lambda limit: limit.requests / limit.window)
    one_ip = len({ip for ip, _ in arrivals}) == 1
    limit = next(limit for limit in read_limits(LIMITS) if limit.name == ("ip" if one_ip else "client_id")) or binding
    windows = max(1, math.floor(seconds / limit.window))
    within = sum(1 for _, at in arrivals if at < started_at + windows * limit.window)
    return within / (windows * limit.requests)


def _longest_gap(moments: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0)


async def _part(*arguments: str, stdin: int | None = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks._shared_quota_parts",
        *arguments,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )


async def _statistics(origin: str) -> Figures:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]), limit=2**26)
    writer.write(b"GET /_statistics HTTP/1.1\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    return json.loads(body)


# The scenarios. Each takes the seconds to run and answers figures.


def _program() -> redis_servers.Program:
    found = redis_servers.programs()
    if not found:
        sys.exit(redis_servers.MISSING)
    return found[0]


async def saturated_sqlite(seconds: float) -> Figures:
    """Four processes on one address, in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        return await Fleet(f"sqlite://{folder}/quota.db", seconds=seconds).run()


async def saturated_redis(seconds: float) -> Figures:
    """Four processes on one address, in Redis."""
    with redis_servers.server(_program()) as server:
        return await Fleet(server.url, seconds=seconds).run()


async def saturated_redis_four_addresses(seconds: float) -> Figures:
    """Four processes of one client ID on four pretended addresses, in Redis."""
    with redis_servers.server(_program()) as server:
        return await Fleet(server.url, ips="abcd", seconds=seconds).run()


async def saturated_valkey_cluster(seconds: float) -> Figures:
    """Four processes on one address, in a Cluster of three nodes."""
    with redis_servers.cluster(redis_servers.programs()[-1]) as cluster:
        return await Fleet(cluster.url, seconds=seconds).run()


async def unshared(seconds: float) -> Figures:
    """Four processes on one address, each with a governor in its memory: nothing is shared."""
    return await Fleet("memory", seconds=seconds).run()


async def divided_by_hand(seconds: float) -> Figures:
    """One process alone, with the fourth of the quota that it would have if the quota were divided by hand."""
    return await Fleet("memory", ips="a", seconds=seconds, options=("--limits", "client_id=375/30,ip=125/10")).run()


async def alone_redis(seconds: float) -> Figures:
    """One process alone may use everything."""
    with redis_servers.server(_program()) as server:
        return await Fleet(server.url, ips="a", seconds=seconds, options=("--concurrency", "120")).run()


async def clocks_apart(seconds: float) -> Figures:
    """Two processes whose clocks are 5 s apart."""
    with redis_servers.server(_program()) as server:
        fleet = Fleet(server.url, ips="aa", seconds=seconds)
        fleet.clock_offsets = [0.0, 5.0]
        return await fleet.run()


async def clocks_apart_sqlite(seconds: float) -> Figures:
    """The same in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(f"sqlite://{folder}/quota.db", ips="aa", seconds=seconds)
        fleet.clock_offsets = [0.0, 5.0]
        return await fleet.run()


async def killed(seconds: float) -> Figures:
    """Kill -9 of one of four in mid-flight."""

    async def trouble(fleet: Fleet) -> None:
        await fleet.at(seconds / 3)
        fleet.workers[1].kill()

    with redis_servers.server(_program()) as server:
        return await Fleet(server.url, seconds=seconds).run(trouble)


async def killed_sqlite(seconds: float) -> Figures:
    """The same in SQLite."""

    async def trouble(fleet: Fleet) -> None:
        await fleet.at(seconds / 3)
        fleet.workers[1].kill()

    with tempfile.TemporaryDirectory() as folder:
        return await Fleet(f"sqlite://{folder}/quota.db", seconds=seconds).run(trouble)


async def script_flush(seconds: float) -> Figures:
    """SCRIPT FLUSH every second."""
    with redis_servers.server(_program()) as server:

        async def trouble(fleet: Fleet) -> None:
            with server.client() as client:
                for second in range(1, int(seconds)):
                    await fleet.at(second)
                    client.script_flush()

        return await Fleet(server.url, seconds=seconds).run(trouble)


async def restart_with_data(seconds: float) -> Figures:
    """Restart of the server with its data."""
    with redis_servers.server(_program(), "--appendonly", "yes", "--appendfsync", "always") as server:

        async def trouble(fleet: Fleet) -> None:
            await fleet.at(seconds / 3)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.start)

        return await Fleet(server.url, seconds=seconds).run(trouble)


async def restart_without_data(seconds: float) -> Figures:
    """Kill -9 of the server, and a new one without its data."""
    with redis_servers.server(_program()) as server:

        async def trouble(fleet: Fleet) -> None:
            await fleet.at(seconds / 3)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.start)

        return await Fleet(server.url, seconds=seconds).run(trouble)


async def failover(seconds: float) -> Figures:
    """Kill -9 of the Cluster's node that keeps the windows; its replica takes over."""
    with redis_servers.cluster(_program(), replicas=1) as cluster:

        async def trouble(fleet: Fleet) -> None:
            await fleet.at(seconds / 3)
            await asyncio.to_thread(cluster.owner_of("{spotify-ads}:2:windows").kill)

        return await Fleet(cluster.url, seconds=seconds).run(trouble)


async def slow_store(seconds: float) -> Figures:
    """A store 300 ms away."""
    with redis_servers.server(_program()) as server:
        async with SlowLink(server.port, delay=0.15) as link:
            return await Fleet(f"redis://127.0.0.1:{link.port}", seconds=seconds).run()


def _unreachable(policy: str, *, frozen: bool) -> Callable[[float], Awaitable[Figures]]:
    async def scenario(seconds: float) -> Figures:
        with redis_servers.server(_program()) as server:
            async with SlowLink(server.port) as link:

                async def trouble(fleet: Fleet) -> None:
                    await fleet.at(seconds / 5)
                    await fleet.between_bursts()
                    await (link.freeze() if frozen else link.cut())
                    began = time.monotonic()
                    await asyncio.sleep(10.0)
                    fleet.away = (began, time.monotonic())
                    await link.mend()

                options = ("--on-store-failure", policy)
                return await Fleet(f"redis://127.0.0.1:{link.port}", seconds=seconds, options=options).run(trouble)

    scenario.__doc__ = (
        f"The store {'answers nothing' if frozen else 'refuses connections'} for 10 s under the policy {policy}."
    )
    return scenario


async def _latency(store: str, seconds: float) -> Figures:
    process = await _part("latency", "--store", store, "--seconds", str(seconds / 2))
    output, _ = await process.communicate()
    told = json.loads(output)
    waits = sorted(told["waits"])
    at = {
        name: waits[min(len(waits) - 1, int(len(waits) * share))] * 1000
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    shown = {f"{name}_ms": round(value, 3) for name, value in at.items()}
    return {
        "admissions": len(waits),
        **shown,
        "slowest_ms": round(waits[-1] * 1000, 3),
        "first_ms": round(told["waits"][0] * 1000, 3),
    }


async def latency_redis(seconds: float) -> Figures:
    """Added latency of admissions that need not wait, in Redis."""
    with redis_servers.server(_program()) as server:
        return await _latency(server.url, seconds)


async def latency_sqlite(seconds: float) -> Figures:
    """Added latency of admissions that need not wait, in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        return await _latency(f"sqlite://{folder}/quota.db", seconds)


SCENARIOS: dict[str, Callable[[float], Awaitable[Figures]]] = {
    "saturated-sqlite": saturated_sqlite,
    "saturated-redis": saturated_redis,
    "saturated-redis-four-addresses": saturated_redis_four_addresses,
    "saturated-valkey-cluster": saturated_valkey_cluster,
    "alone-redis": alone_redis,
    "latency-redis": latency_redis,
    "latency-sqlite": latency_sqlite,
    "killed": killed,
    "killed-sqlite": killed_sqlite,
    "script-flush": script_flush,
    "restart-with-data": restart_with_data,
    "restart-without-data": restart_without_data,
    "failover": failover,
    "slow-store": slow_store,
    **{
        f"unreachable-{kind}-{policy}": _unreachable(policy, frozen=kind == "silent")
        for kind in ("refusing", "silent")
        for policy in ("fail", "pause")
    },
    "clocks-apart": clocks_apart,
    "clocks-apart-sqlite": clocks_apart_sqlite,
}


PEERS: dict[str, Callable[[float], Awaitable[Figures]]] = {"unshared": unshared, "divided-by-hand": divided_by_hand}
"""What people do without a store; the first exceeds the limits."""
MEASURED = SCENARIOS | PEERS

COMPARED = {
    "unshared": "four, nothing shared",
    "saturated-sqlite": "four, SQLite",
    "saturated-redis": "four, Redis",
    "saturated-valkey-cluster": "four, Cluster",
    "saturated-redis-four-addresses": "four addresses, Redis",
    "divided-by-hand": "one of four, divided by hand",
    "alone-redis": "one of four, Redis",
}
TROUBLED = {
    "killed": "one of four killed",
    "killed-sqlite": "the same, SQLite",
    "script-flush": "scripts flushed every second",
    "slow-store": "a store 300 ms away",
    "clocks-apart": "clocks 5 s apart",
    "failover": "failover of a Cluster",
    "restart-with-data": "restart with data",
    "unreachable-refusing-pause": "store away 10 s, pause",
    "restart-without-data": "restart without data",
}


def drawn(scenarios: Mapping[str, Figures]) -> dict[str, str]:
    """Charts of what is known.

    How much of the quota was used, and how often a server would have refused, in either window.
    """

    def chart(title: str, names: Mapping[str, str]) -> str:
        used: dict[str, float] = {}
        for key, name in names.items():
            if key in scenarios:
                refusals = scenarios[key]["would_refuse"]["log"]
                used[f"{name} ({refusals:,} refusals)" if refusals else name] = scenarios[key]["used_percent"]
        unit = "per cent of the quota used in the whole windows of 60 s; no refusals but where they are named"
        return charts.bars(title, used, unit=unit, goal=100.0, goal_says="limit:")

    return {
        "shared_quota": chart("One quota for many processes", COMPARED),
        "shared_quota_trouble": chart("The same while something fails", TROUBLED),
    }


async def run_some(names: Sequence[str], seconds: float, found: Callable[[str, Figures], None]) -> list[str]:
    """Run scenarios, ``AT_ONCE`` at a time: they idle nearly all the time. Latencies are measured alone.

    Answers what failed.
    """
    failed: list[str] = []
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with turn:
            try:
                # A loop of its own: starting servers blocks, and what others time must not wait for it.
                found(name, await asyncio.to_thread(lambda: asyncio.run(MEASURED[name](seconds))))
            except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, a missing server included, the other scenarios go on
                traceback.print_exc()
                failed.append(name)

    for name in names:
        if name.startswith("latency"):
            await one(name)
    async with asyncio.TaskGroup() as group:
        for name in names:
            if not name.startswith("latency"):
                group.create_task(one(name))
    return failed


def main() -> Report | None:
    """Run the scenarios named, or all; what was not run keeps its figures. Other seconds are printed and not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all of them without a name")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, scenario in MEASURED.items():
            print(f"{name:32} {scenario.__doc__}")
        return None
    if unknown := set(options.scenarios) - set(MEASURED):
        parser.error(f"no scenario is called {' or '.join(sorted(unknown))}; --list names them")
    file = RESULTS / "shared_quota.json"
    scenarios: dict[str, Figures] = json.loads(file.read_text())["scenarios"] if file.exists() else {}

    def found(name: str, figures: Figures) -> None:
        print(f"{name:32} {json.dumps(figures)}", flush=True)
        scenarios[name] = {"what": MEASURED[name].__doc__, "seconds": options.seconds, **figures}
        if options.seconds == SECONDS:
            write("shared_quota", Report({"limits": LIMITS, "scenarios": scenarios}, drawn(scenarios)))

    failed = asyncio.run(run_some(options.scenarios or list(MEASURED), options.seconds, found))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    return Report({"limits": LIMITS, "scenarios": scenarios}, drawn(scenarios)) if options.seconds == SECONDS else None


if __name__ == "__main__":
    main()
