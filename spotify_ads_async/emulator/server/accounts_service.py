"""The accounts service's two endpoints: ``/authorize`` and ``/api/token``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from spotify_ads_async.emulator.server.app import SideHandler
from spotify_ads_async.emulator.server.oauth import OAuthError, TokenBook

__all__ = ["AccountsService"]

_FORM = "application/x-www-form-urlencoded"
_UNCACHED = {"Cache-Control": "no-store"}


class AccountsService:
    """Serves a token book."""

    def __init__(self, tokens: TokenBook) -> None:
        self._tokens = tokens

    def routes(self) -> Mapping[tuple[str, str], SideHandler]:
        """What is served, by method and path."""
        return {("GET", "/authorize"): self._authorize, ("POST", "/api/token"): self._token}

    async def _authorize(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            location = self._tokens.authorize(dict(parse_qsl(request.query_string, keep_blank_values=True)))
        except OAuthError as error:
            return _refusal(error)
        return web.Response(status=302, headers={"Location": location})

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            text = await request.text()
            form = dict(parse_qsl(text, keep_blank_values=True)) if request.content_type == _FORM else {}
            answer = self._tokens.token(form, request.headers.get("Authorization"), time.monotonic())
        except OAuthError as error:
            return _refusal(error)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json", headers=_UNCACHED)


def _refusal(error: OAuthError) -> web.Response:
    return web.Response(
        status=error.status,
        body=msgspec.json.encode(error.content()),
        content_type="application/json",
        headers=_UNCACHED,
    )
