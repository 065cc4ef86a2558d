"""Requests as they come to the emulator: routed, counted against the windows, and refused or carried out."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Literal, TypeAlias

from aiohttp import web

from spotify_ads_async.core.router import Router
from spotify_ads_async.emulator.domain.answers import Refusal
from spotify_ads_async.emulator.domain.checking import Checker
from spotify_ads_async.emulator.domain.handlers import HANDLERS
from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.server.context import RequestContext, Route
from spotify_ads_async.emulator.server.faults import FaultBook
from spotify_ads_async.emulator.server.hosts import HostPolicy
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.oauth import TokenBook
from spotify_ads_async.emulator.server.performing import PREFIX, Aborted, Performer
from spotify_ads_async.emulator.server.quota import QuotaBook, QuotaDecision
from spotify_ads_async.emulator.server.responses import (
    break_connection,
    refusal_response,
)
from spotify_ads_async.emulator.server.statistics import LatestRequest, Ledger, Statistics
from spotify_ads_async.operation import Repeat
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["PREFIX", "App", "HeaderPolicy", "RetryAfterForm", "SideHandler"]

HeaderPolicy: TypeAlias = Literal["always", "refusals", "never"]
"""Which answers carry the ``X-RateLimit`` headers."""
RetryAfterForm: TypeAlias = Literal["seconds", "date", "absent"]
"""How a 429 says when to come back."""
SideHandler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

logger = logging.getLogger("spotify_ads_async.emulator")


class App:
    """Answers requests. Everything it needs comes in; it owns the counts and nothing else."""

    def __init__(
        self,
        *,
        store: Store,
        tokens: TokenBook,
        quota: QuotaBook,
        faults: FaultBook,
        latency: Latency,
        uplink: Latency,
        hosts: HostPolicy,
        rng: random.Random,
        rate_limit_headers: HeaderPolicy,
        retry_after: RetryAfterForm,
    ) -> None:
        self.store = store
        self.tokens = tokens
        self.quota = quota
        self.faults = faults
        self.latency = latency
        self.uplink = uplink
        self.ledger = Ledger()
        self._hosts = hosts
        self._random = rng
        self._performer = Performer(store, faults, rng)
        self._rate_limit_headers = rate_limit_headers
        self._retry_after = retry_after
        self._side: dict[tuple[str, str], SideHandler] = {}
        self._router: Router[Route] = Router()
        everybodys = quota.limits.keys() - {
            limit for operation in EVERY_OPERATION.values() for limit in operation.limits
        }
        for name, handler in HANDLERS.items():
            operation = EVERY_OPERATION[name]
            spent = tuple(sorted(operation.limits | everybodys))
            route = Route(name, handler, Checker(name), spent, operation.repeat is Repeat.KEYED)
            self._router.add(operation.method, operation.path, route)

    def add_side(self, routes: Mapping[tuple[str, str], SideHandler]) -> None:
        """Serve paths outside of the API, uncounted, by method and path; one ending in ``/`` with all below it."""
        self._side.update(routes)

    def statistics(self) -> Statistics:
        """What was seen since the start, or since :meth:`reset_statistics`."""
        ledger = self.ledger
        return Statistics(
            requests=ledger.requests,
            refused=ledger.refused,
            fullest=self.quota.fullest(),
            statuses=dict(ledger.statuses),
            operations=dict(ledger.operations),
            refreshes=self.tokens.refreshes,
        )

    def reset_statistics(self) -> None:
        """Count from zero again; the windows stay as full as they are."""
        self.ledger = Ledger()
        self.quota.forget_fullest()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        host = request.headers.get("Host", "")
        if not self._hosts.admits(host):
            return self._refusal(
                Refusal(
                    421,
                    "MISDIRECTED_REQUEST",
                    f"Host: {host!r} is not this emulator; allow the name, or use an address",
                ),
                {},
            )
        try:
            api = path.startswith(PREFIX + "/")
            response = await (self._api(request, path[len(PREFIX) :], query) if api else self._beside(request, path))
        except Aborted:
            break_connection(request.transport)
            return web.Response()
        except Exception:
            logger.exception("%s %s failed", request.method, path)
            return self._refusal(Refusal(500, "INTERNAL_ERROR", "the emulator failed; its log says why"), {})
        if self.store.clock.skew and not response.prepared:
            response.headers["Date"] = format_datetime(self.store.clock.now(), usegmt=True)
        return response

    async def _beside(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        handler = self._side.get((request.method, path)) or self._side.get(
            (request.method, path[: path.rfind("/", 0, -1) + 1])
        )
        if handler is None:
            return self._refusal(Refusal(404, "NOT_FOUND", f"{request.method} {path}: there is nothing here"), {})
        return await handler(request)

    async def _api(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if not self.uplink.none:
            await asyncio.sleep(self.uplink.draw(self._random))
        arrived = time.monotonic()
        client_id = self.tokens.client_of(request.headers.get("Authorization"), arrived)
        found = self._router.find(request.method, path)
        if isinstance(found, frozenset):
            refusal = self._unrouted(found, request.method, path)
            self._show(request, "", client_id, refusal, arrived)
            return refusal
        route, values = found
        verdict = self._count(request, route, client_id, arrived)
        context = RequestContext(
            request=request,
            route=route,
            path=values,
            query=query,
            client_id=client_id,
            headers=self._quota_headers(verdict),
        )
        answer: web.StreamResponse | None = None
        try:
            answer = await (
                self._refuse(verdict, context) if verdict.wait > 0.0 else self._performer.perform(context, self.latency)
            )
            return answer
        finally:
            self.ledger.statuses[0 if answer is None else answer.status] += 1
            self.ledger.operations[route.operation] += 1
            self._show(request, route.operation, client_id, answer, arrived)

    def _count(self, request: web.BaseRequest, route: Route, client_id: str | None, now: float) -> QuotaDecision:
        address = request.remote or ""
        keys = {
            name: address if name.startswith("ip") else client_id or f"nobody at {address}" for name in route.limits
        }
        verdict = self.quota.admit(keys, now)
        self.ledger.count(int(time.time()), refused=verdict.wait > 0.0)
        return verdict

    def _show(
        self,
        request: web.BaseRequest,
        operation: str,
        client_id: str | None,
        answer: web.StreamResponse | None,
        arrived: float,
    ) -> None:
        """Remember a request for the web page; no answer is a connection that was broken on purpose."""
        self.ledger.latest.append(
            LatestRequest(
                at=time.time(),
                method=request.method,
                path=request.raw_path.removeprefix(PREFIX),
                operation=operation,
                client_id=client_id or "",
                status=0 if answer is None else answer.status,
                seconds=time.monotonic() - arrived,
                message="the connection was broken" if answer is None else getattr(answer, "message", ""),
            )
        )

    def _unrouted(self, methods: frozenset[str], method: str, path: str) -> web.Response:
        if methods:
            allow = {"Allow": ", ".join(sorted(methods))}
            return self._refusal(
                Refusal(405, "METHOD_NOT_ALLOWED", f"{path} does not take {method}", headers=allow), {}
            )
        return self._refusal(Refusal(404, "NOT_FOUND", f"the API has no path {path}"), {})

    def _quota_headers(self, verdict: QuotaDecision) -> dict[str, str]:
        wanted = self._rate_limit_headers == "always" or (self._rate_limit_headers == "refusals" and verdict.wait > 0.0)
        if not wanted or not verdict.limit:
            return {}
        return {
            "X-RateLimit-Limit": str(verdict.requests),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(math.ceil(verdict.reset)),
        }

    async def _refuse(self, verdict: QuotaDecision, context: RequestContext) -> web.Response:
        seconds = math.ceil(verdict.wait)
        match self._retry_after:
            case "seconds":
                context.headers["Retry-After"] = str(seconds)
            case "date":
                context.headers["Retry-After"] = format_datetime(self.store.clock.ahead(seconds), usegmt=True)
            case _:
                pass
        await asyncio.sleep(self.latency.draw(self._random))
        return self._refusal(Refusal(429, "RATE_LIMITED", f"the {verdict.limit} window is full"), context.headers)

    def _refusal(self, refusal: Refusal, headers: Mapping[str, str]) -> web.Response:
        return refusal_response(refusal, self.store.new_id(), headers)
