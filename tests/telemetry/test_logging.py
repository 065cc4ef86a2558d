"""The logger ``spotify_ads_async``: silent at INFO while all is well."""

from __future__ import annotations

import logging
import re

import pytest
from support.calls import ACCOUNT, READ, WRITE, client
from support.raw_server import RawServer, answer, reset

from spotify_ads_async import Governor, Limit, NotFound, OutcomeUnknown


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    return [(record.getMessage(), record.levelno) for record in caplog.records if record.name == "spotify_ads_async"]


async def test_it_says_nothing_while_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    governor = Governor([Limit("ip", requests=2, window=0.05)])
    script = [answer(200, {}), answer(404, {})]
    async with (
        RawServer(script=script, otherwise=answer(200, {"ad_sets": []})) as server,
        client(server.base_url, governor=governor) as ads,
    ):
        await READ.by(ads)
        with pytest.raises(NotFound):
            await READ.by(ads)
        await ads.ad_account(ACCOUNT).ad_sets.list().collect()
    assert said(caplog) == []


async def test_a_repeat_is_worth_an_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with RawServer(script=[answer(503, {})]) as server, client(server.base_url) as ads:
        await READ.by(ads)
    ((message, level),) = said(caplog)
    assert level == logging.INFO
    assert message.startswith("attempt 1 failed, again in ")
    assert "getAdSetById" in message


async def test_an_unknown_outcome_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with RawServer(script=[reset]) as server, client(server.base_url) as ads:
        with pytest.raises(OutcomeUnknown):
            await WRITE.by(ads)
    ((message, level),) = said(caplog)
    assert level == logging.WARNING
    assert message.startswith("updateAdSet: the request left and nothing tells whether it took effect")


async def test_a_pause_is_a_warning_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    governor = Governor([Limit("ip", requests=5, window=0.2)])
    refused = answer(429, {}, headers={"Retry-After": "0"})
    async with RawServer(script=[refused]) as server, client(server.base_url, governor=governor) as ads:
        await READ.by(ads)
    spaced, paused = [message for message, _ in said(caplog)]
    assert spaced.startswith("the server refused what the window ip of ")
    assert re.search(r"^the window ip of .+ is paused for 0\.\d{3} s: 429 with Retry-After", paused)
