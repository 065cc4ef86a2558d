"""The storage behind signed URLs: customer lists go up, report files come down; a bearer token is refused there."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from spotify_ads_async.emulator.app import App
    from spotify_ads_async.emulator.store import Store

__all__ = ["Storage"]

_UPLOADS = "/storage/audiences/"
_REPORTS = "/storage/reports/"
_LIFETIME_SECONDS = 3600


class Upload(msgspec.Struct):
    """A place for a customer list: whose it is, and how many rows came."""

    account_id: str
    rows: int = 0


class Storage:
    """Signed URLs and what lies behind them."""

    def __init__(self, store: Store) -> None:
        self.origin = ""
        self._store = store
        self._uploads: dict[str, Upload] = {}
        self._reports: dict[str, Callable[[], bytes]] = {}
        self._received: Callable[[str, str, int], None] | None = None

    def serve(self, app: App) -> None:
        """Add the storage's paths to the server."""
        for method in ("PUT", "POST"):
            app.add_side(method, _UPLOADS, self._put)
        app.add_side("GET", _REPORTS, self._get)

    def on_upload(self, received: Callable[[str, str, int], None]) -> None:
        """Call ``received`` with ad account id, audience id and number of rows when a list has come."""
        self._received = received

    def upload_url(self, account_id: str, identifier: str) -> str:
        """A signed URL that takes one customer list."""
        self._uploads.setdefault(identifier, Upload(account_id))
        return self._signed(_UPLOADS + identifier)

    def report_url(self, identifier: str, content: Callable[[], bytes]) -> str:
        """A signed URL that gives one report's file."""
        self._reports[identifier] = content
        return self._signed(_REPORTS + identifier)

    def knows(self, account_id: str, identifier: str) -> bool:
        """Whether a URL was given out for this audience id in this ad account."""
        upload = self._uploads.get(identifier)
        return upload is not None and upload.account_id == account_id

    def rows(self, identifier: str) -> int:
        """How many rows came for this audience id so far."""
        return self._uploads[identifier].rows

    def _signature(self, path: str, expires: str) -> str:
        return hmac.digest(self._store.secret, f"{path}?{expires}".encode(), "sha256").hex()

    def _signed(self, path: str) -> str:
        expires = str(int(self._store.clock.now().timestamp()) + _LIFETIME_SECONDS)
        return f"{self.origin}{path}?X-Goog-Expires={expires}&X-Goog-Signature={self._signature(path, expires)}"

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        """What speaks against a request, None where nothing does."""
        path, _, query = request.raw_path.partition("?")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        expires, signature = given.get("X-Goog-Expires", ""), given.get("X-Goog-Signature", "")
        if "Authorization" in request.headers:
            return _error(400, "InvalidArgument", "a signed URL takes no Authorization header")
        if not hmac.compare_digest(signature, self._signature(path, expires)):
            return _error(403, "SignatureDoesNotMatch", "the signature does not match")
        if float(expires) < self._store.clock.now().timestamp():
            return _error(400, "ExpiredToken", "the URL has expired")
        return None

    async def _put(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        content = await request.read()
        if refusal is not None:
            return refusal
        identifier = request.path.removeprefix(_UPLOADS)
        upload = self._uploads[identifier]
        upload.rows = sum(1 for line in content.splitlines() if line.strip())
        if self._received is not None:
            self._received(upload.account_id, identifier, upload.rows)
        return web.Response()

    async def _get(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        content = self._reports[request.path.removeprefix(_REPORTS)]()
        return web.Response(body=content, content_type="text/csv", charset="utf-8")


def _error(status: int, code: str, message: str) -> web.Response:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
