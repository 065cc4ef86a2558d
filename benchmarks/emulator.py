"""The emulator.

Requests per second against a bare aiohttp server that answers the same bytes; time and memory of 100,000 seeded ad
sets.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request

from benchmarks import charts
from benchmarks._harness import Report

PEER = "a bare aiohttp server that answers the same bytes"
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

PEER_SERVER = """
import asyncio, sys
from aiohttp import web

body = sys.stdin.buffer.read()


async def answer(request):
    return web.Response(body=body, content_type="application/json")


async def serve():
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
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


def _peer_rate(body: bytes) -> float:
    """Requests per second of an aiohttp server that reads nothing and answers ``body`` to all."""
    command = [sys.executable, "-c", PEER_SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - the text above
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(body)
            process.stdin.close()
            return asyncio.run(_rate(f"http://127.0.0.1:{int(process.stdout.readline())}/ads/v3", "/"))
        finally:
            process.kill()


def _body(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": "Bearer benchmark"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
        content: bytes = answer.read()
    return content


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
            peers = {name: _peer_rate(_body(facts["url"] + path)) for name, path in paths.items()}
        finally:
            process.kill()
    print(
        f"{AD_SETS:,} ad sets seeded in {facts['seconds']:.2f} s; the process holds {facts['mebibytes']:.0f} MiB (goal:"
        " 3 s, 300 MB)"
    )
    shares = {name: rate / peers[name] for name, rate in rates.items()}
    for name, rate in rates.items():
        print(f"{name:20} {rate:8,.0f} requests per second on one core, {shares[name]:.3f} of {PEER} (goal: 0.6)")
    figures = {
        "ad_sets": AD_SETS,
        "seed_seconds": round(facts["seconds"], 2),
        "mebibytes": round(facts["mebibytes"], 1),
        "requests_per_second": {name: round(rate) for name, rate in rates.items()},
        "peer_requests_per_second": {name: round(rate) for name, rate in peers.items()},
        "share_of_peer": {name: round(share, 3) for name, share in shares.items()},
    }
    rates |= {f"{name}, {PEER}": rate for name, rate in peers.items()}
    chart = charts.bars("The emulator, one core", rates, unit="requests per second, more is better")
    return Report(figures, {"emulator": chart})


if __name__ == "__main__":
    main()
