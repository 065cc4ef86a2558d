"""What becomes of a request that the windows admit: it is read, delayed, befallen by a fault, and carried out."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from aiohttp import web

from spotify_ads_async.emulator.domain.answers import Refusal, Response
from spotify_ads_async.emulator.domain.bodies import checked_body
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.store import Store
from spotify_ads_async.emulator.server.context import RequestContext
from spotify_ads_async.emulator.server.faults import Fault, FaultBook, altered, refusal_of
from spotify_ads_async.emulator.server.forms import read_form
from spotify_ads_async.emulator.server.idempotency import KeyBook, KeyEntry
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.responses import JSON, RowEncoder, encode, json_response, refusal_response
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["PREFIX", "Aborted", "Performer"]

PREFIX = "/ads/v3"
_STRICT_QUERIES = frozenset(
    name for name, operation in EVERY_OPERATION.items() if operation.path.startswith("/targets/")
)
"""Lookups that refuse parameters they do not know."""


class Aborted(Exception):
    """The connection is to be broken instead of answered."""


class Performer:
    """Carries requests out, against the keys that were used, unless a fault is in the way."""

    def __init__(self, store: Store, faults: FaultBook, rng: random.Random) -> None:
        self._store = store
        self._faults = faults
        self._random = rng
        self._keys = KeyBook()
        self._encoder = RowEncoder()

    async def perform(self, context: RequestContext, latency: Latency) -> web.StreamResponse:
        """Do what the request asks, somewhere within its latency, unless a fault is in the way."""
        delay, end = 0.0, None
        if self._faults:
            delay, end, context.changes = self._faults.strike(
                context.route.operation, context.path, parse_qs(context.query)
            )
        delay += latency.draw(self._random)
        before = delay * self._random.random()
        try:
            body = await self._read(context)
            entry = self._enter(context, body)
        except Refusal as refusal:
            await _wait(delay)
            return self._refusal(refusal, context)
        await _wait(before)
        answer = self._answer(context, body, end, entry)
        await _wait(delay - before)
        if entry is not None and entry.state == "running":
            entry.state = "done"
        if isinstance(answer, Refusal):
            return self._refusal(answer, context)
        if end is not None:
            return await self._ending(context, answer, end)
        content = None if answer.content is None else self._encoder.encode(answer)
        if context.changes and content is not None:
            content = encode(altered(msgspec.json.decode(content), context.changes))
        return json_response(answer.status, content, {**context.headers, **answer.headers})

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
        return self._keys.begin(context.client_id or "", key, context.route.operation, path, body)

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
                self._keys.forget(context.client_id or "", context.request.headers["Idempotency-Key"])
            return refusal
        except Aborted:
            if entry is not None:
                self._keys.forget(context.client_id or "", context.request.headers["Idempotency-Key"])
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
            store=self._store,
            path=checker.path(path),
            query=checker.query(context.query, strict=route.operation in _STRICT_QUERIES),
            body=checker.form(body)
            if isinstance(body, dict)
            else checked_body(self._store, checker, route.operation, path, body),
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
                raise Aborted
            case "garbage":
                return json_response(
                    answer.status if answer.status != 204 else 200, b'{"id": \xff\xfe garbage', context.headers
                )
            case "indeterminate":
                return refusal_response(
                    Refusal(500, "INTERNAL_ERROR", "the server failed"), self._store.new_id(), context.headers
                )
            case _:
                raise Aborted

    def _refusal(self, refusal: Refusal, context: RequestContext) -> web.Response:
        statuses, camel_case = context.route.checker.statuses, "camel_case" in context.changes
        return refusal_response(
            refusal, self._store.new_id(), context.headers, statuses=statuses, camel_case=camel_case
        )


def _prevent(fault: Fault) -> None:
    """End a request before it takes effect, where the fault is of that kind."""
    if fault.kind == "reset":
        raise Aborted
    refusal = refusal_of(fault)
    if refusal is not None:
        raise refusal


async def _wait(seconds: float) -> None:
    if seconds > 0.0:
        await asyncio.sleep(seconds)
