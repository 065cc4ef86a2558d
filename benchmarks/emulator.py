"""The emulator.

Requests per second against a server that only answers, and time and memory of 100,000 seeded ad sets.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import sys
import time

from benchmarks import charts
from benchmarks._harness import Report
from benchmarks._same_answer import serve

PEER = "a server that answers the same bytes to all"
AD_SETS = 100_000
CONNECTIONS = 16
REQUESTS = 1_000

SERVER = """
import asyncio, json, resource, sys, time
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.governor import Limit

limits = [Limit("client_id", requests=10**9, window=30.0), Limit("ip", requests=10**9, window=10.0)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
server = Emulator(ad_sets=int(sys.argv[1]), latency=0.0, limits=limits)
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def serve():
    async with server:
        ad_set = next(iter(server.store.account(server.ad_account_id).ad_sets.rows))
        facts = {"url": server.base_url, "account": server.ad_account_id, "ad_set": ad_set}
        print(json.dumps({**facts, "seconds": seconds, "mebibytes": after / 1024, "before": before / 1024}), flush=True)
        await asyncio.Event().wait()


asyncio.run(serve())
"""


async def _connection(host: str, port: int, request: bytes, count: int) -> None:
    """Send one request after the other over one connection, reading no more of the answers than their lengths."""
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(count):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head[:16]:
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


async def _rate(url: str, path: str) -> float:
    """Requests per second of wall-clock time, with the server's core busy."""
    authority = url.split("/")[2]
    host, port = authority.rsplit(":", 1)
    request = f"GET /ads/v3{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer benchmark\r\n\r\n".encode()
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_connection(host, int(port), request, REQUESTS))
    return CONNECTIONS * REQUESTS / (time.perf_counter() - start)


def _peer_rate() -> float:
    """Requests per second of a server that reads nothing and answers the same ad set to all.

    The most that a Python loop can do.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        return asyncio.run(_rate(f"http://127.0.0.1:{ours.recv()}/ads/v3", "/businesses"))
    finally:
        server.terminate()
        server.join()


def main() -> Report:
    """Measure, print and chart."""
    command = [sys.executable, "-c", SERVER, str(AD_SETS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - the text above
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            account = f"/ad_accounts/{facts['account']}"
            paths = {
                "one ad set": f"{account}/ad_sets/{facts['ad_set']}",
                "businesses": "/businesses",
                "a page of 50": f"{account}/ad_sets",
            }
            rates = {name: asyncio.run(_rate(facts["url"], path)) for name, path in paths.items()}
        finally:
            process.kill()
    rates[PEER] = _peer_rate()
    print(
        f"{AD_SETS:,} ad sets seeded in {facts['seconds']:.2f} s; the process holds {facts['mebibytes']:.0f} MiB (goal:"
        " 3 s, 300 MB)"
    )
    for name, rate in rates.items():
        print(f"{name:44} {rate:8,.0f} requests per second on one core, {rate / rates[PEER]:.3f} of the last")
    figures = {
        "ad_sets": AD_SETS,
        "seed_seconds": round(facts["seconds"], 2),
        "mebibytes": round(facts["mebibytes"], 1),
        "requests_per_second": {name: round(rate) for name, rate in rates.items()},
        "share_of_peer": {name: round(rate / rates[PEER], 3) for name, rate in rates.items() if name != PEER},
    }
    chart = charts.bars("The emulator, one core", rates, unit="requests per second, more is better")
    return Report(figures, {"emulator": chart})


if __name__ == "__main__":
    main()
