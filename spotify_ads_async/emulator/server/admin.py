"""The emulator's own endpoints, below ``/_emulator``.

Statistics, faults, settings and the live feed of the web page.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Annotated, Any, get_args
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from spotify_ads_async.api.facts import FILE
from spotify_ads_async.emulator.domain.clock import CENTURY_SECONDS
from spotify_ads_async.emulator.domain.data import exported
from spotify_ads_async.emulator.domain.handlers.ad_sets import add_ad_sets
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.emulator.server.app import App, SideHandler
from spotify_ads_async.emulator.server.faults import ArmedFault, Fault, FaultKind
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.statistics import LatestRequest, Second
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["Admin"]

FEED_SECONDS = 0.25
"""How often the live feed speaks."""


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """What can be set while the emulator runs; ``latency`` as text, ``clock_skew`` in seconds."""

    latency: str | None = None
    clock_skew: Annotated[float, msgspec.Meta(ge=-CENTURY_SECONDS, le=CENTURY_SECONDS)] | None = None


class Window(msgspec.Struct, frozen=True):
    """One window as the page draws it."""

    limit: str
    key: str
    requests: int
    most: int


class Snapshot(msgspec.Struct, frozen=True):
    """One message of the live feed."""

    at: float
    requests: int
    refused: int
    windows: list[Window]
    seconds: list[Second]
    latest: list[LatestRequest]
    faults: list[Any]
    changes: int


class Admin:
    """Serves an emulator's own endpoints and its web page."""

    def __init__(self, app: App, ad_account_id: str) -> None:
        self._app = app
        self._store = app.store
        self._ad_account_id = ad_account_id
        self._changes = 0
        app.store.listeners.append(self._changed)

    def _changed(self, _table: str, _identifier: str, _row: Row | None) -> None:
        """Let pages know that what they show of the data is old."""
        self._changes += 1

    def routes(self) -> Mapping[tuple[str, str], SideHandler]:
        """What is served, by method and path."""
        json = self._json
        return {
            ("GET", "/api.json"): self._document,
            ("GET", "/"): self._page,
            ("GET", "/_emulator/events"): self._events,
            ("GET", "/_emulator/statistics"): json(self._statistics),
            ("DELETE", "/_emulator/statistics"): json(self._reset),
            ("GET", "/_emulator/data"): json(self._data),
            ("GET", "/_emulator/about"): json(self._about),
            ("GET", "/_emulator/rows/"): json(self._rows),
            ("GET", "/_emulator/faults"): json(self._faults),
            ("POST", "/_emulator/faults"): json(self._add_fault),
            ("DELETE", "/_emulator/faults"): json(self._clear_faults),
            ("DELETE", "/_emulator/faults/"): json(self._remove_fault),
            ("PATCH", "/_emulator/settings"): json(self._set),
            ("POST", "/_emulator/tokens/revocation"): json(self._revoke),
            ("POST", "/_emulator/ad_sets"): json(self._add_ad_sets),
        }

    @staticmethod
    def _json(answer: Callable[[web.BaseRequest], Awaitable[Any]]) -> SideHandler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            # A page of another origin could send a form, but never JSON without being asked first.
            if request.method != "GET" and request.can_read_body and request.content_type != "application/json":
                return web.Response(status=415, text="Content-Type must be application/json")
            try:
                content = await answer(request)
            except (ValueError, LookupError) as error:
                return web.Response(status=400, text=str(error))
            if content is None:
                return web.Response(status=204)
            return web.Response(body=msgspec.json.encode(content), content_type="application/json")

        return handle

    async def _document(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=FILE.read_bytes(), content_type="application/json")

    async def _page(self, _request: web.BaseRequest) -> web.StreamResponse:
        content = resources.files("spotify_ads_async.emulator.server").joinpath("page.html").read_bytes()
        return web.Response(body=content, content_type="text/html", charset="utf-8")

    async def _statistics(self, _request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        return self._app.statistics()

    async def _reset(self, _request: web.BaseRequest) -> None:
        self._app.reset_statistics()

    async def _data(self, _request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        return exported(self._store)

    async def _about(self, _request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        """What the page offers to choose from."""
        return {
            "ad_accounts": [{"id": row["id"], "name": row["name"]} for row in self._store.account_rows],
            "fault_kinds": get_args(FaultKind),
            "operations": sorted(EVERY_OPERATION),
        }

    async def _rows(self, request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        """One page of a table of an ad account, the newest rows first: those whose name or id holds the search text."""
        path, _, query = request.raw_path.partition("?")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        kind, search = path.rsplit("/", 1)[-1], asked.get("search", "").lower()
        account = self._store.accounts.get(asked.get("ad_account_id", self._ad_account_id))
        if account is None or kind not in account.tables:
            raise LookupError(f"there is no such ad account, or it has no {kind}")
        offset, limit = max(0, int(asked.get("offset", "0"))), max(0, int(asked.get("limit", "20")))
        rows = [
            row
            for row in reversed(account.tables[kind].rows.values())
            if search in str(row.get("name", "")).lower() or search in str(row.get("id", ""))
        ]
        return {"total": len(rows), "rows": list(itertools.islice(rows, offset, offset + limit))}

    async def _faults(self, _request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        return {"faults": [_shown(armed) for armed in self._app.faults]}

    async def _add_fault(self, request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        return _shown(self._app.faults.add(msgspec.json.decode(await request.read(), type=Fault)))

    async def _clear_faults(self, _request: web.BaseRequest) -> None:
        self._app.faults.clear()

    async def _remove_fault(self, request: web.BaseRequest) -> None:
        number = int(request.path.rsplit("/", 1)[-1])
        next_one = next((armed for armed in self._app.faults if armed.number == number), None)
        if next_one is None:
            raise LookupError(f"no fault has the number {number}")
        next_one.remove()

    async def _set(self, request: web.BaseRequest) -> None:
        settings = msgspec.json.decode(await request.read(), type=Settings)
        if settings.latency is not None:
            self._app.latency = Latency.of(settings.latency)
        if settings.clock_skew is not None:
            self._store.clock.skew = settings.clock_skew

    async def _revoke(self, _request: web.BaseRequest) -> None:
        self._app.tokens.revoke()

    async def _add_ad_sets(self, request: web.BaseRequest) -> Any:  # noqa: ANN401 - any JSON
        count = msgspec.json.decode(await request.read(), type=dict[str, int]).get("count", 1)
        return {"ids": add_ad_sets(self._store.account(self._ad_account_id), count)}

    def _snapshot(self) -> Snapshot:
        ledger, now = self._app.ledger, time.monotonic()
        return Snapshot(
            at=time.time(),
            requests=ledger.requests,
            refused=ledger.refused,
            windows=[Window(*one) for one in sorted(self._app.quota.filling(now))],
            seconds=list(ledger.seconds),
            latest=list(ledger.latest)[-20:],
            faults=[_shown(armed) for armed in self._app.faults],
            changes=self._changes,
        )

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        """The live feed: server-sent events until the listener leaves."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"data: " + msgspec.json.encode(self._snapshot()) + b"\n\n")
            await asyncio.sleep(FEED_SECONDS)
        return response


def _shown(armed: ArmedFault) -> dict[str, Any]:
    return {"number": armed.number, "seen": armed.seen, "hits": armed.hits, "fault": armed.fault}
