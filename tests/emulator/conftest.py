from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.emulated import Api, Apis


@pytest.fixture
async def apis() -> AsyncIterator[Apis]:
    made = Apis()
    yield made
    await made.close()


@pytest.fixture
async def api(apis: Apis) -> Api:
    return await apis.start()
