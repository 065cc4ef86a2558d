"""Requests on their way through the emulator: what their operation says, and what they bring."""

from __future__ import annotations

import msgspec
from aiohttp import web

from spotify_ads_async.emulator.domain.call import Handler
from spotify_ads_async.emulator.domain.checking import Checker
from spotify_ads_async.emulator.server.faults import FaultKind

__all__ = ["RequestContext", "Route"]


class Route(msgspec.Struct, frozen=True):
    """What is known of an operation before a request comes."""

    operation: str
    handler: Handler
    checker: Checker
    limits: tuple[str, ...]
    keyed: bool


class RequestContext(msgspec.Struct, kw_only=True):
    """One request on its way."""

    request: web.BaseRequest
    route: Route
    path: dict[str, str]
    query: str
    client_id: str | None
    headers: dict[str, str]
    changes: frozenset[FaultKind] = frozenset()

    @property
    def origin(self) -> str:
        """Where the request came to, for the links of its answer."""
        return f"{self.request.scheme}://{self.request.host}"
