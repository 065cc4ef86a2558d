"""Responses of the emulator: JSON, refusals in the API's form, a proxy's error page, a connection that breaks."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

import msgspec
from aiohttp import web

from spotify_ads_async.emulator.domain.answers import Refusal, Response

__all__ = ["JSON", "RefusalResponse", "RowEncoder", "break_connection", "encode", "json_response", "refusal_response"]

JSON = "application/json"
encode = msgspec.json.Encoder().encode
_MOST_ROWS = 4096
_PROXY_PAGE = b"<html><head><title>Error</title></head><body><h1>Error: Server Error</h1></body></html>"
_UNDECLARED = "IDEMPOTENCY_"
"""How the codes begin that keep their status though the document declares it nowhere."""


class RowEncoder:
    """Encodes answers, and keeps the JSON of rows: they are never changed in place, so it stays true of them."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[object, msgspec.Raw]] = {}

    def encode(self, answer: Response) -> bytes:
        """The JSON of an answer's content."""
        content = answer.content
        if answer.rows_in:
            content = {**content, answer.rows_in: [self._encoded(row) for row in content[answer.rows_in]]}
        return encode(content)

    def _encoded(self, row: object) -> msgspec.Raw:
        kept = self._kept.get(id(row))
        if kept is None:
            if len(self._kept) >= _MOST_ROWS:
                del self._kept[next(iter(self._kept))]
            # The row is kept too, so that no other one gets its identity.
            kept = self._kept[id(row)] = row, msgspec.Raw(encode(row))
        return kept[1]


def _declared(status: int, statuses: frozenset[int]) -> int:
    """``status``, or the declared one that comes nearest."""
    for candidate in (status, 400, 404, 409, 403):
        if candidate in statuses:
            return candidate
    return status


class RefusalResponse(web.Response):
    """A refusal that remembers why, for the web page."""

    message = ""


def refusal_response(
    refusal: Refusal,
    trace_id: str,
    headers: Mapping[str, str],
    *,
    statuses: frozenset[int] | None = None,
    camel_case: bool = False,
) -> RefusalResponse:
    """A refusal's answer: with a status that the document declares for the operation, where it declares any.

    Args:
        refusal: what is refused, and why.
        trace_id: the identifier in its body.
        headers: further headers.
        statuses: what the document declares, None for what is no operation.
        camel_case: whether the body says ``errorCodes``.
    """
    status = refusal.status
    adapts = status in {400, 403, 404, 409, 422} and not refusal.exact and not refusal.code.startswith(_UNDECLARED)
    if statuses is not None and adapts:
        status = _declared(status, statuses)
    headers = {**headers, **refusal.headers}
    if refusal.code == "HTML":
        page = RefusalResponse(status=status, body=_PROXY_PAGE, content_type="text/html", headers=headers)
        page.message = "an error page of a proxy"
        return page
    content = refusal.content(trace_id)
    if camel_case:
        content["errorCodes"] = content.pop("error_codes")
    response = RefusalResponse(status=status, body=encode(content), content_type=JSON, headers=headers)
    response.message = "; ".join(refusal.messages)
    return response


def json_response(status: int, content: bytes | None, headers: Mapping[str, str]) -> web.Response:
    """An answer of JSON that is encoded already, None for one without a body."""
    if content is None:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, body=content, content_type=JSON, headers=headers)


def break_connection(transport: asyncio.Transport | None) -> None:
    """End a connection the hard way: with a reset, not with an orderly close."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
