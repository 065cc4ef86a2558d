"""A request's context through the emulator: route, count, delay, fault, handler, answer."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, unquote

import msgspec
from aiohttp import web

from spotify_ads_async.core.router import Router
from spotify_ads_async.emulator.domain.answers import Refusal, Response
from spotify_ads_async.emulator.domain.bodies import checked_body
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.checking import Checker
from spotify_ads_async.emulator.domain.handlers import HANDLERS
from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.server.context import RequestContext, Route
from spotify_ads_async.emulator.server.faults import Fault, FaultBook, altered, refusal_of
from spotify_ads_async.emulator.server.forms import read_form
from spotify_ads_async.emulator.server.hosts import HostPolicy
from spotify_ads_async.emulator.server.idempotency import KeyBook, KeyEntry
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.oauth import TokenBook
from spotify_ads_async.emulator.server.quota import QuotaBook, QuotaDecision
from spotify_ads_async.emulator.server.responses import (
    JSON,
    break_connection,
    encode,
    json_response,
    refusal_response,
)
from spotify_ads_async.emulator.server.statistics import LatestRequest, Ledger, Statistics
from spotify_ads_async.operation import Repeat
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["PREFIX", "App", "HeaderPolicy", "RetryAfterForm", "SideHandler"]

PREFIX = "/ads/v3"
HeaderPolicy: TypeAlias = Literal["always", "refusals", "never"]
"""Which answers carry the ``X-RateLimit`` headers."""
RetryAfterForm: TypeAlias = Literal["seconds", "date", "absent"]
"""How a 429 says when to come back."""
SideHandler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

logger = logging.getLogger("spotify_ads_async.emulator")
_STRICT_QUERIES = frozenset(
    name for name, operation in EVERY_OPERATION.items() if operation.path.startswith("/targets/")
)
"""Lookups that refuse parameters they do not know."""


class _Aborted(Exception):
    """The connection is to be broken instead of answered."""


class App:
    """Answers requests. Everything it needs comes in; it owns the counts, the keys and nothing else."""

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
        self.keys = KeyBook()
        self._hosts = hosts
        self._random = rng
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
        except _Aborted:
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
            answer = await (self._refuse(verdict, context) if verdict.wait > 0.0 else self._perform(context))
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

    async def _perform(self, context: RequestContext) -> web.StreamResponse:
        """Do what the request asks, somewhere within its latency, unless a fault is in the way."""
        delay, end = 0.0, None
        if self.faults:
            delay, end, context.changes = self.faults.strike(
                context.route.operation, context.path, parse_qs(context.query)
            )
        delay += self.latency.draw(self._random)
        before = delay * self._random.random()
        try:
            body = await self._read(context)
            entry = self._enter(context, body)
        except Refusal as refusal:
            await _wait(delay)
            return self._refusal(refusal, context.headers, context)
        await _wait(before)
        answer = self._answer(context, body, end, entry)
        await _wait(delay - before)
        if entry is not None and entry.state == "running":
            entry.state = "done"
        if isinstance(answer, Refusal):
            return self._refusal(answer, context.headers, context)
        if end is not None:
            return await self._ending(context, answer, end)
        content = answer.content
        if context.changes:
            content = altered(msgspec.json.decode(encode(content)) if content is not None else None, context.changes)
        return json_response(
            answer.status, None if content is None else encode(content), {**context.headers, **answer.headers}
        )

    async def _read(self, context: RequestContext) -> bytes | dict[str, Any]:
        """The request's body: bytes, or the fields of a form."""
        if context.client_id is None:
            raise Refusal(401, "UNAUTHORIZED", "the access token is missing, unknown or expired")
        checker = context.route.checker
        if not checker.takes_body:
            return b""
        if checker.multipart:
            return await read_form(context.request)
        content = await context.request.read()
        if content and context.request.content_type != JSON:
            raise Refusal(400, "BAD_REQUEST", f"Content-Type: {context.request.content_type} is not {JSON}")
        return content

    def _enter(self, context: RequestContext, body: bytes | dict[str, Any]) -> KeyEntry | None:
        key = context.request.headers.get("Idempotency-Key") if context.route.keyed else None
        if key is None or isinstance(body, dict):
            return None
        path = context.request.raw_path.partition("?")[0]
        return self.keys.begin(context.client_id or "", key, context.route.operation, path, body)

    def _answer(
        self, context: RequestContext, body: bytes | dict[str, Any], end: Fault | None, entry: KeyEntry | None
    ) -> Response | Refusal:
        """Let the handler work, or the fault that keeps it from working."""
        try:
            if end is not None:
                _prevent(end)
            answer = self._handled(context, body)
        except Refusal as refusal:
            if entry is not None:
                self.keys.forget(context.client_id or "", context.request.headers["Idempotency-Key"])
            return refusal
        except _Aborted:
            if entry is not None:
                self.keys.forget(context.client_id or "", context.request.headers["Idempotency-Key"])
            raise
        if entry is not None:
            entry.resource_uri = self._resource(context, entry.path, answer)
            if end is not None and end.kind == "indeterminate":
                entry.state = "unknown"
        return answer

    def _handled(self, context: RequestContext, body: bytes | dict[str, Any]) -> Response:
        route, path = context.route, context.path
        for name, value in path.items():
            if "%" in value:
                path[name] = unquote(value)
        checker = route.checker
        call = Call(
            operation=route.operation,
            store=self.store,
            path=checker.path(path),
            query=checker.query(context.query, strict=route.operation in _STRICT_QUERIES),
            body=checker.form(body)
            if isinstance(body, dict)
            else checked_body(self.store, checker, route.operation, path, body),
            client_id=context.client_id or "",
            origin=context.origin,
        )
        return route.handler(call)

    @staticmethod
    def _resource(context: RequestContext, path: str, answer: Response) -> str:
        """Where the result of a create can be read: the list it was posted to, with its id."""
        collection = path.removeprefix(PREFIX)
        if context.route.operation.startswith("createDraftFrom"):
            account, _, kind = collection.removesuffix("/drafts").rpartition("/")[0].rpartition("/")
            collection = f"{account}/drafts/{kind}"
        return f"{context.origin}{PREFIX}{collection}/{answer.content['id']}"

    async def _ending(self, context: RequestContext, answer: Response, end: Fault) -> web.StreamResponse:
        """The end that a fault makes of a request that took effect."""
        match end.kind:
            case "truncated":
                content = b"" if answer.content is None else encode(answer.content)
                response = web.StreamResponse(status=answer.status, headers={**context.headers, "Content-Type": JSON})
                response.content_length = max(2, len(content))
                await response.prepare(context.request)
                await response.write(content[: max(1, len(content) // 2)] or b"{")
                raise _Aborted
            case "garbage":
                return json_response(
                    answer.status if answer.status != 204 else 200, b'{"id": \xff\xfe garbage', context.headers
                )
            case "indeterminate":
                return self._refusal(Refusal(500, "INTERNAL_ERROR", "the server failed"), context.headers)
            case _:
                raise _Aborted

    def _refusal(
        self, refusal: Refusal, headers: Mapping[str, str], context: RequestContext | None = None
    ) -> web.Response:
        trace_id = self.store.new_id()
        if context is None:
            return refusal_response(refusal, trace_id, headers)
        statuses, camel_case = context.route.checker.statuses, "camel_case" in context.changes
        return refusal_response(refusal, trace_id, headers, statuses=statuses, camel_case=camel_case)


def _prevent(fault: Fault) -> None:
    """End a request before it takes effect, where the fault is of that kind."""
    if fault.kind == "reset":
        raise _Aborted
    refusal = refusal_of(fault)
    if refusal is not None:
        raise refusal


async def _wait(seconds: float) -> None:
    if seconds > 0.0:
        await asyncio.sleep(seconds)
