"""Plain HTTP clients of emulators: no SDK in between."""

from __future__ import annotations

from typing import Any, TypeAlias

import aiohttp

from spotify_ads_async.emulator import Emulator

Json: TypeAlias = Any
TOKEN = "test-token"


class Api:
    """A client of one emulator."""

    def __init__(self, server: Emulator, client: aiohttp.ClientSession) -> None:
        self.server = server
        self.client = client
        self.account = f"/ad_accounts/{server.ad_account_id}"
        self.business = f"/businesses/{server.business_id}"

    async def send(self, method: str, path: str, **details: Json) -> tuple[int, Json, Json]:
        url = path if path.startswith("http") else self.server.base_url + path
        async with self.client.request(method, url, allow_redirects=False, **details) as answer:
            content = await answer.read()
            is_json = answer.content_type == "application/json" and content
            return answer.status, (await answer.json() if is_json else content), answer.headers

    async def expect(self, status: int, method: str, path: str, **details: Json) -> Json:
        got, content, _ = await self.send(method, path, **details)
        assert got == status, content
        if status >= 400:
            assert content["sp_trace_id"]
            assert content["messages"]
            assert content["error_codes"][0]["code"]
        return content

    async def get(self, path: str, **query: Json) -> Json:
        params = [
            (name, str(item))
            for name, value in query.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        return await self.expect(200, "GET", path, params=params)

    async def first(self, kind: str, **query: Json) -> Json:
        return (await self.get(f"{self.account}/{kind}", **query))[kind][0]


class Apis:
    """Starts emulators; all of them end with the test."""

    def __init__(self) -> None:
        self.open: list[Json] = []

    async def start(self, *, token: str = TOKEN, **options: Json) -> Api:
        server = Emulator(**({"ad_sets": 60, "latency": 0.0, "limits": None} | options))
        await server.__aenter__()
        self.open.append(server)
        client = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        self.open.append(client)
        return Api(server, client)

    async def close(self) -> None:
        while self.open:
            one = self.open.pop()
            await (one.close() if isinstance(one, aiohttp.ClientSession) else one.__aexit__(None, None, None))
