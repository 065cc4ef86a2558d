"""The emulator: requests per second on one core for simple gets, and time and memory of 100,000 seeded ad sets."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time

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


def main() -> None:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
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
    if chosen.json:
        found = {"seed_seconds": facts["seconds"], "mebibytes": facts["mebibytes"], "requests_per_second": rates}
        print(json.dumps(found | {"cores": os.cpu_count(), "python": sys.version.split()[0]}))
        return
    print(f"{AD_SETS:,} ad sets seeded in {facts['seconds']:.2f} s; the process holds {facts['mebibytes']:.0f} MiB (goal: 3 s, 300 MB)")
    for name, rate in rates.items():
        print(f"{name:14} {rate:8,.0f} requests per second on one core")


if __name__ == "__main__":
    main()
