"""The processes of the shared-quota proofs.

``origin`` counts arrivals, ``worker`` sends requests under a shared governor.
The origin counts with the algorithms of ``counting_server``, the client window over all requests and an IP window for
each pretended address (the request's path). Nothing in it knows the package.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

import aiohttp

from benchmarks.counting_server import ALGORITHMS, Book, read_limits
from spotify_ads_async import QuotaTimeout, SpotifyAdsError
from spotify_ads_async.governor import Governor, Limit


class Origin(asyncio.Protocol):
    """One connection to the origin; what is counted is shared by all."""

    def __init__(self, count: Counts, latency: tuple[float, float], rng: random.Random) -> None:
        self.count = count
        self.latency = latency
        self.rng = rng
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the writing end."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count each request after a part of its latency, and answer after the rest. Requests have no body."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            target = self.received.split(b" ", 2)[1].decode()
            self.received = self.received[end + 4 :]
            if target == "/_statistics":
                self.reply(json.dumps(self.count.statistics()).encode())
                continue
            latency = self.rng.uniform(*self.latency)
            before = latency * self.rng.random()
            asyncio.get_running_loop().call_later(before, self.arrive, target, latency - before)

    def arrive(self, target: str, rest: float) -> None:
        """The request reaches the limiter."""
        self.count.arrive(target, time.monotonic())
        asyncio.get_running_loop().call_later(rest, self.reply, b"{}")

    def reply(self, body: bytes) -> None:
        """Answer, if somebody is there."""
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


class Counts:
    """Every arrival, in a book for each window and algorithm."""

    def __init__(self, limits: str, rng: random.Random) -> None:
        self.limits = read_limits(limits)
        self.rng = rng
        self.books: dict[str, dict[str, Book]] = {}
        self.arrivals: list[tuple[str, float]] = []

    def arrive(self, target: str, now: float) -> None:
        """Count one request in the windows that it spends."""
        self.arrivals.append((target, now))
        for limit in self.limits:
            window = f"{limit.name}{target}" if limit.name == "ip" else limit.name
            if window not in self.books:
                self.books[window] = {name: Book(name, [limit], self.rng) for name in ALGORITHMS}
            for book in self.books[window].values():
                book.arrive(now)

    def statistics(self) -> dict[str, object]:
        """What was counted: refusals by algorithm, over all windows, and the arrivals."""
        refused = {name: sum(books[name].refused for books in self.books.values()) for name in ALGORITHMS}
        return {"would_refuse": refused, "arrivals": self.arrivals}


async def origin(options: argparse.Namespace) -> None:
    """Serve until standard input ends; the port is the first line."""
    rng = random.Random()
    counts = Counts(options.limits, rng)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Origin(counts, tuple(options.latency), rng), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


async def worker(options: argparse.Namespace) -> None:
    """Send as much as the governor lets go for some seconds, then tell how it went."""
    limits = [Limit(limit.name, requests=limit.requests, window=limit.window) for limit in read_limits(options.limits)]
    offset = options.clock_offset
    governor = Governor(
        limits,
        store=options.store,
        on_store_failure=options.on_store_failure,
        client_id="one client",
        ip=options.ip,
        clock=lambda: time.monotonic() + offset,
    )
    names = {limit.name for limit in limits}
    failures: Counter[str] = Counter()
    departures: list[float] = []
    await asyncio.sleep(max(0.0, options.start_at - time.time()))
    ends_at = time.monotonic() + options.seconds

    async def send(session: aiohttp.ClientSession) -> None:
        while (left := ends_at - time.monotonic()) > 0:
            try:
                async with governor.admit(names, max_wait=left) as admission:
                    departures.append(time.monotonic())
                    async with session.post(
                        f"{options.origin}/{options.ip}", skip_auto_headers=("Content-Type",)
                    ) as answer:
                        admission.answered(status=answer.status, headers=answer.headers)
                        await answer.read()
            except SpotifyAdsError as problem:
                failures[type(problem).__name__] += 1
                # Whoever cannot be served in the time that is left asks a few times more, not twice a second.
                hopeless = isinstance(problem, QuotaTimeout)
                left = ends_at - time.monotonic()
                await asyncio.sleep(max(random.uniform(0.25, 0.75), left / 3 if hopeless else 0.0))

    async with governor, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with asyncio.TaskGroup() as group:
            for _ in range(options.concurrency):
                group.create_task(send(session))
        late = time.monotonic() - ends_at
    print(
        json.dumps(
            {
                "ip": options.ip,
                "departures": departures,
                "exchanges": governor.exchanges,
                "failures": failures,
                "late": late,
            }
        ),
        flush=True,
    )


async def latency(options: argparse.Namespace) -> None:
    """Measure admissions that need not wait: one at a time, far below the limits, in bursts of a few."""
    limits = [Limit(limit.name, requests=limit.requests, window=limit.window) for limit in read_limits(options.limits)]
    waits: list[float] = []
    names = frozenset(limit.name for limit in limits)
    async with Governor(limits, store=options.store) as governor:
        rng = random.Random(1)
        ends_at = time.monotonic() + options.seconds
        while time.monotonic() < ends_at:
            began = time.perf_counter()
            async with governor.admit(names):
                waits.append(time.perf_counter() - began)
            await asyncio.sleep(rng.expovariate(25.0))
        print(json.dumps({"waits": waits, "exchanges": governor.exchanges}), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Read the command line and be one of the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("origin", "worker", "latency"))
    parser.add_argument("--limits", default="client_id=1500/30,ip=500/10")
    parser.add_argument("--latency", type=float, nargs=2, default=(0.02, 0.12))
    parser.add_argument("--origin")
    parser.add_argument("--store")
    parser.add_argument("--ip", default="a")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--concurrency", type=int, default=60)
    parser.add_argument("--start-at", type=float, default=0.0)
    parser.add_argument("--clock-offset", type=float, default=0.0)
    parser.add_argument("--on-store-failure", default="pause")
    options = parser.parse_args(arguments)
    part = {"origin": origin, "worker": worker, "latency": latency}[options.part]
    asyncio.run(part(options))


if __name__ == "__main__":
    main(sys.argv[1:])
