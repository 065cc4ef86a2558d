"""Minutes of calls against a server of which one answer in five is a fault. ``SOAK_SECONDS`` changes how many (600)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from support import calls, faults
from support.calls import client
from support.raw_server import Behaviour, Connection, RawServer, answer

from spotify_ads_async import OutcomeUnknown, RetryPolicy, SpotifyAdsError, TransportOptions
from spotify_ads_async.events import CallFailed, CallSucceeded, Event, RequestAnswered, RequestLost, RequestSent

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="counts the sockets in /proc")]

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
WORKERS = 30
FAULTS: tuple[Behaviour, ...] = tuple(fault.behaviour for name, fault in faults.EVERY.items() if "key" not in name)
POLICY = RetryPolicy(first_delay=0.001, longest_delay=0.02)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_soak(recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="spotify_ads_async")  # pytest would keep every line
    chances = random.Random(7)  # noqa: S311 (faults, no secrets)
    answers = {call.operation.method + call.operation.path.rpartition("/")[2]: call for call in calls.EVERY.values()}
    told: Counter[type[Event]] = Counter()
    fates: Counter[str] = Counter()
    started = 0

    async def spotify(connection: Connection) -> None:
        assert connection.request is not None
        if chances.random() < 0.2:
            await chances.choice(FAULTS)(connection)
            return
        last = connection.request.target.rpartition("/")[2]
        call = answers.get(connection.request.method + last)
        await answer(200 if call is None else call.status, calls.READ.answer if call is None else call.answer)(
            connection
        )

    async with RawServer(otherwise=spotify) as server:
        options = TransportOptions(connections=WORKERS, largest_answer=faults.LARGEST_ANSWER)
        async with client(server.base_url, policy=POLICY, timeout=1.0, deadline=10.0, transport=options) as ads:
            ads.subscribe(lambda event: told.update([type(event)]))

            async def work(until: float) -> None:
                nonlocal started
                kinds = [call for name, call in calls.EVERY.items() if name != "read by POST"]
                while time.monotonic() < until:
                    started += 1
                    try:
                        await chances.choice(kinds).by(ads)
                        fates["done"] += 1
                    except OutcomeUnknown:
                        fates["unknown"] += 1
                    except SpotifyAdsError:
                        fates["failed"] += 1

            async def spell(seconds: float) -> tuple[int, int]:
                until = time.monotonic() + seconds
                async with asyncio.TaskGroup() as group:
                    for _ in range(WORKERS):
                        group.create_task(work(until))
                server.received.clear()
                caplog.clear()
                gc.collect()
                return open_files(), tracemalloc.get_traced_memory()[0]

            tracemalloc.start()
            await spell(SECONDS * 0.1)
            _, memory_before = await spell(SECONDS * 0.1)
            files, memory = await spell(SECONDS * 0.8)
            tracemalloc.stop()
    assert sum(fates.values()) == started == told[CallSucceeded] + told[CallFailed]
    assert told[RequestSent] == told[RequestAnswered] + told[RequestLost]
    assert fates["done"] > started / 4
    assert memory < memory_before * 1.1 + 500_000
    await asyncio.sleep(0.1)
    assert files <= open_files() + 2 * WORKERS + 5
    assert not [warning for warning in recwarn if "nclosed" in str(warning.message) or "never" in str(warning.message)]
    assert not [
        record
        for record in caplog.records
        if "never retrieved" in record.getMessage() or "nclosed" in record.getMessage()
    ]
