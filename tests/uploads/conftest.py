"""An emulator whose uploads are processed at once, and an ad account of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.calls import client

from spotify_ads_async import AdAccount
from spotify_ads_async.emulator import Emulator


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=1, latency=0.0, limits=None, processing=0.0) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)
