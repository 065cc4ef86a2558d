"""Walking a list: read ahead and collected against page by page, at 20, 100 and 300 ms, in the same run.

Run: ``python -m benchmarks walking [rows] [--base-url URL --ad-account ID]``. The server is a process of its own and
answers ad sets by offset, each answer after a given latency. All walks are under the published windows. ``--base-url``
names another server: the API itself, the emulator, one of yours; its token is in ``SPOTIFY_ADS_ACCESS_TOKEN``. Only a
run without arguments is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import sys
import time
from multiprocessing.connection import Connection

from benchmarks import charts
from benchmarks._harness import Report
from benchmarks._same_answer import ACCOUNT_ID, AD_SET
from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.models import AdSet
from spotify_ads_async.pagination import READ_AHEAD, ListCall

LATENCIES_MS = (20, 100, 300)
ROWS = 10_000

_QUERY = re.compile(rb"[?&](limit|offset)=(\d+)")


class _Lists(asyncio.Protocol):
    """Answers every request with a page.

    The ad account's id holds the list's length and the latency in milliseconds.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._row = json.dumps(AD_SET | {"id": "00000000-0000-4000-8000-%012d"}).encode()

    def data_received(self, data: bytes) -> None:
        length, latency_ms = re.findall(rb"/ad_accounts/(\d{8})-(\d{4})", data)[0]
        asked = {name: int(value) for name, value in _QUERY.findall(data)}
        offset, total = asked.get(b"offset", 0), int(length)
        last = min(total, offset + asked.get(b"limit", 50))
        rows = b",".join(self._row % number for number in range(offset, last))
        body = b'{"paging":{"total_results":%d,"offset":%d},"ad_sets":[%b]}' % (total, offset, rows)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        asyncio.get_running_loop().call_later(int(latency_ms) / 1000, self._transport.write, answer)


def serve(port: Connection) -> None:
    """Answer until terminated."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Lists, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ad_sets(ads: AdsClient, rows: int, latency_ms: int) -> ListCall[AdSet]:
    """A list of so many rows, each page of which takes so long."""
    return ads.ad_account(f"{rows:08}-{latency_ms:04}-4000-8000-{ACCOUNT_ID[-12:]}").ad_sets.list()


async def seconds_to_walk(base_url: str, call_of: tuple[int, int], read_ahead: int) -> float:
    """Seconds for every row of one list, under the published windows."""
    rows, latency_ms = call_of
    async with AdsClient("token", base_url=base_url, governor=Governor()) as ads:
        await ad_sets(ads, 1, 0)  # models load and the connection opens before the clock starts
        began = time.perf_counter()
        count = 0
        async for _ in ad_sets(ads, rows, latency_ms).reading_ahead(read_ahead):
            count += 1
        assert count == rows
        return time.perf_counter() - began


async def seconds_to_collect(base_url: str, call_of: tuple[int, int]) -> float:
    """The same with ``collect()``, which reads far ahead from its second page on."""
    rows, latency_ms = call_of
    async with AdsClient("token", base_url=base_url, governor=Governor()) as ads:
        await ad_sets(ads, 1, 0)
        began = time.perf_counter()
        assert len(await ad_sets(ads, rows, latency_ms).collect()) == rows
        return time.perf_counter() - began


def timed(rows: int, alone: float, ahead: float, collected: float) -> dict[str, object]:
    """Times of one list and their ratios."""
    return {
        "rows": rows,
        "seconds": {"page by page": round(alone, 2), "read ahead": round(ahead, 2), "collected": round(collected, 2)},
        "page_by_page_to_read_ahead": round(alone / ahead, 2),
        "page_by_page_to_collected": round(alone / collected, 2),
    }


async def against(base_url: str, ad_account_id: str) -> None:
    """Walk the ad sets of an account of some server in all three ways, under one governor, and print."""
    token = os.environ.get("SPOTIFY_ADS_ACCESS_TOKEN", "token")
    async with AdsClient(token, base_url=base_url, governor=Governor()) as ads:
        listed = ads.ad_account(ad_account_id).ad_sets
        rows = (await listed.list(limit=1)).total
        seconds: list[float] = []
        for walk in (listed.list().reading_ahead(0), listed.list(), None):
            began = time.perf_counter()
            if walk is None:
                await listed.list().collect()
            else:
                async for _ in walk:
                    pass
            seconds.append(time.perf_counter() - began)
    alone, ahead, collected = seconds
    print(json.dumps(timed(rows, alone, ahead, collected), indent=1))


def main() -> Report | None:
    """Print and report times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("rows", nargs="?", type=int, default=ROWS)
    parser.add_argument("--base-url", help="a server of yours")
    parser.add_argument("--ad-account", default=ACCOUNT_ID)
    chosen = parser.parse_args()
    if chosen.base_url:
        asyncio.run(against(chosen.base_url, chosen.ad_account))
        return None
    rows, figures, seconds = chosen.rows, dict[str, object](), dict[str, float]()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        base_url = f"http://127.0.0.1:{ours.recv()}/ads/v3"
        for latency_ms in LATENCIES_MS:
            ahead = asyncio.run(seconds_to_walk(base_url, (rows, latency_ms), READ_AHEAD))
            collected = asyncio.run(seconds_to_collect(base_url, (rows, latency_ms)))
            alone = asyncio.run(seconds_to_walk(base_url, (rows, latency_ms), 0))
            times = {"page by page": alone, "read ahead": ahead, "collected": collected}
            seconds |= {f"{name}, {latency_ms} ms": value for name, value in times.items()}
            figures[f"{latency_ms} ms"] = timed(rows, alone, ahead, collected)
            print(
                f"{rows:,} rows at {latency_ms} ms: {alone:.2f} s page by page, {ahead:.2f} s read ahead (ratio"
                f" {alone / ahead:.1f}), {collected:.2f} s collected (ratio {alone / collected:.1f})",
                flush=True,
            )
    finally:
        server.terminate()
        server.join()
    if len(sys.argv) > 1:
        return None
    title = f"Walking {rows:,} rows under the published windows, by the latency of an answer"
    return Report(figures, {"walking": charts.bars(title, seconds, unit="seconds, less is better")})


if __name__ == "__main__":
    main()
