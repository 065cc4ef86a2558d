from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from support.emulated import Api, Apis, Json

from spotify_ads_async.governor.limits import Limit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LIMITS = [Limit("ip", requests=5, window=60.0), Limit("client_id", requests=20, window=60.0)]


class Page:
    """One page of a headless browser, over its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.number = 0

    async def evaluate(self, expression: str) -> Json:
        """The value of an expression; None while the page is still on its way."""
        self.number += 1
        parameters = {"expression": expression, "returnByValue": True}
        await self.socket.send_json({"id": self.number, "method": "Runtime.evaluate", "params": parameters})
        while True:
            answer = await self.socket.receive_json(timeout=20)
            if answer.get("id") == self.number:
                return answer.get("result", {}).get("result", {}).get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression holds in the page."""
        async with asyncio.timeout(15):
            while await self.evaluate(condition) is not True:  # noqa: ASYNC110 - only the page knows
                await asyncio.sleep(0.02)


@asynccontextmanager
async def browser(url: str, profile: Path) -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}")
    process = await asyncio.create_subprocess_exec(CHROMIUM, *flags, "about:blank", stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async for line in process.stderr:
            if b"DevTools listening on" in line:
                break
        host = line.decode().split("ws://")[1].split("/")[0]
        drain = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as client:
            async with client.put(f"http://{host}/json/new?{url}") as answer:
                address = msgspec.json.decode(await answer.read())["webSocketDebuggerUrl"]
            async with client.ws_connect(address) as socket:
                yield Page(socket)
    finally:
        process.kill()
        await process.wait()
    await drain


async def requests(api: Api, count: int) -> None:
    for _ in range(count):
        await api.send("GET", "/businesses")


async def test_the_page_shows_windows_refusals_and_requests_live(apis: Apis, tmp_path: Path) -> None:
    api = await apis.start(limits=LIMITS)
    async with browser(f"{api.server.origin}/", tmp_path / "profile") as page:
        await page.until("document.getElementById('state')?.textContent === 'live'")
        await requests(api, 3)
        await page.until("document.getElementById('requests').textContent === '3'")
        assert await page.evaluate("[...document.querySelectorAll('.window output')].map((one) => one.textContent)") == ["3 / 20", "3 / 5"]
        assert await page.evaluate("document.querySelectorAll('.bar i.full').length") == 0
        await requests(api, 4)
        await page.until("document.getElementById('refused').textContent === '2'")
        assert await page.evaluate("[...document.querySelectorAll('.bar i')].map((one) => one.className)") == ["", "full"]
        rows = await page.evaluate("[...document.querySelectorAll('#latest tr')].map((row) => row.cells[3].textContent)")
        assert rows == ["429", "429", "200", "200", "200", "200", "200"]
        assert not await page.evaluate("document.body.innerHTML.includes('test-token')")
        lit = "document.getElementById('chart').getContext('2d').getImageData(0, 0, 1200, 220).data.some((one) => one > 0)"
        await page.until(lit)


async def test_the_feed_speaks_without_a_browser(apis: Apis) -> None:
    api = await apis.start(limits=LIMITS)
    await requests(api, 2)
    async with api.client.get(f"{api.server.origin}/_emulator/events") as feed:
        assert feed.content_type == "text/event-stream"
        line = await feed.content.readline()
    snapshot = msgspec.json.decode(line.removeprefix(b"data: "))
    assert (snapshot["requests"], snapshot["refused"]) == (2, 0)
    assert [(one["limit"], one["requests"], one["most"]) for one in snapshot["windows"]] == [("client_id", 2, 20), ("ip", 2, 5)]
