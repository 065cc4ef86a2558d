"""A server that answers one ad set to every request, and the CPU that a client spends on a call to it.

It is a process of its own, so that only the client's CPU counts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

CONCURRENT = 32
ACCOUNT_ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
AD_SET_IDS = [str(uuid.UUID(int=number << 64 | 7 << 60, version=4)) for number in range(1, 2001)]
"""As many as a large account has. Both sides keep the addresses of so many."""

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
