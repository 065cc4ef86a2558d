"""A small Ads API in a thread of its own, for dlt extracts on a loop of its own.

What it answers is what a test put into it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass
class AdsServer:
    """``rows`` are those of reports and ``entities`` those of lists, by account.

    ``refuses`` is status by account, metric or first day. The first ``answers`` of all requests are answered, and
    others as soon as it is more. ``before_answer`` is called with each request.
    """

    currencies: dict[str, str]
    rows: dict[str, list[Json]] = field(default_factory=dict)
    entities: dict[str, dict[str, list[Json]]] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)
    answers: float = math.inf
    before_answer: Callable[[web.Request], None] = lambda _request: None
    base_url: str = ""

    def reports_asked(self, account: str) -> list[tuple[str, str]]:
        """First and last day of each report that was asked for."""
        reports = [one for one in self.asked if one.path.endswith(f"{account}/aggregate_reports")]
        return [
            (one.query["report_start"][:10], one.query["report_end"][:10])
            for one in reports
            if "report_start" in one.query
        ]

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.before_answer(request)
        while len(self.asked) > self.answers:  # noqa: ASYNC110 (a test sets it in another thread)
            await asyncio.sleep(0.01)
        parts = request.path.removeprefix("/ads/v3/").split("/")
        account = parts[1] if len(parts) > 1 else ""
        said = [account, *request.query.getall("fields", []), request.query.get("report_start", "")[:10]]
        status = max(self.refuses.get(name, 0) for name in said)
        if status and len(parts) > 2:
            return web.json_response({"messages": ["refused"], "sp_trace_id": "t"}, status=status)
        if parts[0] == "businesses":
            listed = (
                {"ad_accounts": [{"id": name} for name in self.currencies]}
                if len(parts) > 2
                else {"businesses": [{"id": "99999999-9999-4999-8999-999999999999"}]}
            )
            return web.json_response(listed)
        if len(parts) == 2:
            return web.json_response({"id": account, "currency_code": self.currencies[account]})
        if parts[2] == "aggregate_reports":
            first, last = request.query["report_start"], request.query["report_end"]
            wanted, kind = set(request.query.getall("fields")), request.query["entity_type"]
            rows = [row for row in self.rows.get(account, []) if first[:10] <= row["start_time"][:10] <= last[:10]]
            told = [[one for one in row["stats"] if one["field_type"] in wanted] for row in rows]
            every = [{**row, "entity_type": kind, "stats": stats} for row, stats in zip(rows, told, strict=True)]
            return web.json_response({"rows": every})
        items = self.entities.get(parts[2], {}).get(account, [])
        offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit", 50))
        paging = {"page_size": limit, "total_results": len(items), "offset": offset}
        return web.json_response({parts[2]: items[offset : offset + limit], "paging": paging})


def row(day: str, entity: str = "c1c1c1c1-c1c1-41c1-81c1-c1c1c1c1c1c1", **metrics: float) -> Json:
    """One row of a report by day, its metrics as the API writes them."""
    stats = [{"field_type": name.upper(), "field_value": value} for name, value in metrics.items()]
    return {
        "entity_id": entity,
        "entity_name": "Autumn",
        "entity_status": "ACTIVE",
        "start_time": f"{day}T00:00:00Z",
        "stats": stats,
    }


@contextmanager
def ads_server(currencies: dict[str, str]) -> Iterator[AdsServer]:
    """A server with these accounts."""
    server = AdsServer(currencies)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(server.answer))  # type: ignore[arg-type]
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/ads/v3"
        ended = asyncio.Event()
        server.end = lambda: loop.call_soon_threadsafe(ended.set)  # type: ignore[attr-defined]
        ready.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        server.end()  # type: ignore[attr-defined]
        thread.join()
        loop.close()
