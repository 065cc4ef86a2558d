from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.emulated import Api, Apis


@pytest.fixture
async def apis() -> AsyncIterator[Apis]:
    made = Apis()
    yield made
    for one in reversed(made.open):
        await (one.close() if isinstance(one, aiohttp.ClientSession) else one.__aexit__(None, None, None))


@pytest.fixture
async def api(apis: Apis) -> Api:
    return await apis.start()
