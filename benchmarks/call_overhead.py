"""CPU of one governed, typed call against bare aiohttp with untyped msgspec, in the same run.

Run: ``python -m benchmarks.call_overhead [calls per round]``. The server is a process of its own, so only the client's CPU counts.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import multiprocessing
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
import msgspec

from spotify_ads_async import AccessToken, Governor
from spotify_ads_async.events import Listeners
from spotify_ads_async.operations import GET_AD_SET_BY_ID
from spotify_ads_async.retry import RetryPolicy
from spotify_ads_async.session import CallOptions, Session
from spotify_ads_async.transport import TransportOptions

CONCURRENT = 32
ROUNDS = 9
WARM_UP_ROUNDS = 2
ACCOUNT_ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
AD_SET_IDS = [str(uuid.UUID(int=number << 64 | 7 << 60, version=4)) for number in range(1, 5001)]

AD_SET = {
    "id": AD_SET_IDS[0],
    "name": "Autumn, listeners who like jazz",
    "campaign_id": "0b6a0f0e-8e0e-4f0f-9f6a-6f6de0f2a111",
    "ad_account_id": ACCOUNT_ID,
    "start_time": "2030-01-01T00:00:00Z",
    "end_time": "2030-02-01T00:00:00Z",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-02T00:00:00Z",
    "budget": {"micro_amount": 2_000_000_000, "type": "LIFETIME", "currency": "USD"},
    "bid_micro_amount": 15_000_000,
    "bid_strategy": "MAX_BID",
    "category": "ADV_1_1",
    "asset_format": "AUDIO",
    "delivery": "ON",
    "status": "ACTIVE",
    "pacing": "PACING_EVEN",
    "frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3}],
    "targets": {
        "age_ranges": [{"min": 18, "max": 34}],
        "genders": ["MALE", "FEMALE"],
        "geo_targets": {"country_code": "US", "city_ids": ["5128581", "5368361"]},
        "platforms": ["ANDROID", "IOS", "DESKTOP"],
        "interest_ids": ["37ad7ef5-1d02-4c4b-8f8a-1d4d1c2a0a01"],
    },
}
BODY = json.dumps(AD_SET).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))


def serve(port: Connection) -> None:
    """Answer every request with the same ad set."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def cpu_per_call(call: Callable[[], Awaitable[object]], calls: int) -> float:
    """Microseconds of this process's CPU for one call, ``CONCURRENT`` at a time."""
    left = calls

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    gc.collect()
    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENT):
            group.create_task(worker())
    return (time.process_time() - began) / calls * 1e6


async def compare(base_url: str, calls: int) -> tuple[list[float], list[float]]:
    """Microseconds per call, bare and ours, round by round."""
    session = Session(
        AccessToken("a-token"),
        base_url=base_url,
        # Windows so wide that nothing waits: the cost of asking is what counts here.
        governor=Governor([]) if "--no-limits" in sys.argv else _wide_governor(),
        options=CallOptions(),
        policy=RetryPolicy(),
        transport=TransportOptions(),
        listeners=Listeners(),
    )
    # Every call is about another ad set, as in life: no cache of addresses helps either side.
    ids = itertools.cycle(AD_SET_IDS)
    headers = {"Authorization": "Bearer a-token", "Accept": "application/json"}
    decoder = msgspec.json.Decoder()
    bare_times: list[float] = []
    our_times: list[float] = []
    async with aiohttp.ClientSession() as bare:

        async def bare_call() -> object:
            async with bare.get(f"{base_url}/ad_accounts/{ACCOUNT_ID}/ad_sets/{next(ids)}", headers=headers) as response:
                return decoder.decode(await response.read())

        async def our_call() -> object:
            return await session.call(GET_AD_SET_BY_ID, path={"ad_account_id": ACCOUNT_ID, "ad_set_id": next(ids)})

        for number in range(ROUNDS + WARM_UP_ROUNDS):
            pair = (bare_call, bare_times), (our_call, our_times)
            for call, times in pair if number % 2 else pair[::-1]:
                times.append(await cpu_per_call(call, calls))
    await session.aclose()
    return bare_times[WARM_UP_ROUNDS:], our_times[WARM_UP_ROUNDS:]


def _wide_governor() -> Governor:
    from spotify_ads_async import Limit  # noqa: PLC0415

    return Governor([Limit("client_id", requests=10_000_000, window=30.0), Limit("ip", requests=10_000_000, window=10.0)])


def main() -> None:
    """Print both costs and their ratio."""
    calls = next((int(argument) for argument in sys.argv[1:] if argument.isdigit()), 3000)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        bare, governed = asyncio.run(compare(f"http://127.0.0.1:{ours.recv()}/ads/v3", calls))
    finally:
        server.terminate()
        server.join()
    ratio = statistics.median(mine / other for mine, other in zip(governed, bare, strict=True))
    print(f"bare aiohttp + msgspec: {statistics.median(bare):.1f} µs of CPU a call")
    print(f"governed, typed call:   {statistics.median(governed):.1f} µs of CPU a call")
    print(f"ratio: {ratio:.3f}")


if __name__ == "__main__":
    main()
