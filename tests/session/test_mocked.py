"""The client under aioresponses, as programs that use it may test themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from support import calls
from support.calls import client

from spotify_ads_async import NotFound

URL = re.compile(r"https://api-partner\.spotify\.com/ads/v3/.*")


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses with what it lacks on aiohttp 3.14: https://github.com/pnuckowski/aioresponses/issues/289."""
    monkeypatch.setattr(
        "aioresponses.core.ClientResponse", partial(aiohttp.ClientResponse, stream_writer=Mock(output_size=0))
    )
    with aioresponses() as mock:
        yield mock


async def test_a_call_under_aioresponses(mocked: aioresponses) -> None:
    mocked.get(URL, payload=calls.READ.answer | {"name": "Autumn"})
    mocked.get(URL, status=404, payload={"messages": ["gone"]})
    async with client("https://api-partner.spotify.com/ads/v3") as ads:
        assert (await calls.READ.by(ads)).name == "Autumn"
        with pytest.raises(NotFound, match="gone"):
            await calls.READ.by(ads)
