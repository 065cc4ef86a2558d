"""How far a reader has to follow one call through the package: functions called, and files that they are in."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import pytest
from support.calls import ACCOUNT, THING, client
from support.raw_server import RawServer, answer
from support.virtual_time import on_a_patient_clock

import spotify_ads_async
from spotify_ads_async import AdAccount, Governor
from spotify_ads_async.models import AdSetUpdate, FrequencyCap, FrequencyUnit, GeoTargets, Targets

PACKAGE = str(Path(spotify_ads_async.__file__).parent)
UPDATE = AdSetUpdate(
    name="Autumn",
    bid_micro_amount=15_000_000,
    end_time=datetime(2099, 2, 1, tzinfo=UTC),
    frequency_caps=[FrequencyCap(frequency_unit=FrequencyUnit.DAY, frequency_period=1, max_impressions=3)],
    targets=Targets(geo_targets=GeoTargets(country_code="US", city_ids=["5128581"])),
)


async def get(account: AdAccount) -> None:
    await account.ad_sets.get(THING)


async def update(account: AdAccount) -> None:
    await account.ad_sets.update(THING, UPDATE)


@pytest.mark.parametrize("call", [get, update])
@on_a_patient_clock
async def test_one_call_passes_few_functions_in_few_files(call: Callable[[AdAccount], Awaitable[None]]) -> None:
    passed: list[FrameType] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        # A coroutine that goes on is the same frame.
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE) and frame not in passed:
            passed.append(frame)

    async with (
        RawServer(otherwise=answer(200, {"id": THING})) as server,
        client(server.base_url, governor=Governor(clock=time.monotonic)) as ads,
    ):
        account = ads.ad_account(ACCOUNT)
        await call(account)  # the first opens connections and compiles checks
        sys.setprofile(note)
        try:
            await call(account)
        finally:
            sys.setprofile(None)
    functions = [frame.f_code.co_qualname for frame in passed]
    files = {frame.f_code.co_filename for frame in passed}
    assert len(functions) <= 50, functions
    assert len(files) <= 14, files
