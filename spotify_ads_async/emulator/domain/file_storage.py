"""The storage behind signed URLs: customer lists go up, report files come down; a bearer token is refused there.

As Google Cloud Storage does: files go up in one PUT, or by a session (``x-goog-resumable: start``) that can be asked
how much it has; files come down whole or from a byte on (``Range``).
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from spotify_ads_async.emulator.domain.clock import Clock

__all__ = ["Storage"]

_UPLOADS = "/storage/audiences/"
_REPORTS = "/storage/reports/"
_SESSIONS = "/storage/sessions/"
_CONTENT_RANGE = re.compile(r"bytes (?:\*|(\d+)-\d+)/(\d+)")
_FROM = re.compile(r"bytes=(\d+)-")
_LIFETIME_SECONDS = 3600


class Upload(msgspec.Struct):
    """A place for a customer list: whose it is, and how many rows came."""

    account_id: str
    rows: int = 0
    content: bytes = b""


class Storage:
    """Signed URLs and what lies behind them."""

    def __init__(self, clock: Clock, rng: random.Random, secret: bytes) -> None:
        self._clock = clock
        self._random = rng
        self._secret = secret
        self._uploads: dict[str, Upload] = {}
        self._reports: dict[str, bytes] = {}
        self._sessions: dict[str, str] = {}
        self._received: Callable[[str, str, int], None] | None = None

    def routes(self) -> Mapping[tuple[str, str], Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]]:
        """What is served, by method and path."""
        return {
            ("PUT", _UPLOADS): self._put,
            ("POST", _UPLOADS): self._begin,
            ("PUT", _SESSIONS): self._continue,
            ("GET", _REPORTS): self._get,
        }

    def on_upload(self, received: Callable[[str, str, int], None]) -> None:
        """Call ``received`` with ad account id, audience id and number of rows when a list has come."""
        self._received = received

    def upload_url(self, origin: str, account_id: str, identifier: str) -> str:
        """A signed URL that takes one customer list."""
        self._uploads.setdefault(identifier, Upload(account_id))
        return self._signed(origin, _UPLOADS + identifier)

    def report_url(self, origin: str, identifier: str, content: Callable[[], bytes]) -> str:
        """A signed URL that gives one report's file."""
        if identifier not in self._reports:
            self._reports[identifier] = content()
        return self._signed(origin, _REPORTS + identifier)

    def knows(self, account_id: str, identifier: str) -> bool:
        """Whether a URL was given out for this audience id in this ad account."""
        upload = self._uploads.get(identifier)
        return upload is not None and upload.account_id == account_id

    def rows(self, identifier: str) -> int:
        """How many rows came for this audience id so far."""
        return self._uploads[identifier].rows

    def _signature(self, path: str, expires: str) -> str:
        return hmac.digest(self._secret, f"{path}?{expires}".encode(), "sha256").hex()

    def _signed(self, origin: str, path: str) -> str:
        expires = str(int(self._clock.now().timestamp()) + _LIFETIME_SECONDS)
        return f"{origin}{path}?X-Goog-Expires={expires}&X-Goog-Signature={self._signature(path, expires)}"

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        """What speaks against a request, None where nothing does."""
        path, _, query = request.raw_path.partition("?")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        expires, signature = given.get("X-Goog-Expires", ""), given.get("X-Goog-Signature", "")
        if "Authorization" in request.headers:
            return _error(400, "InvalidArgument", "a signed URL takes no Authorization header")
        if not hmac.compare_digest(signature, self._signature(path, expires)):
            return _error(403, "SignatureDoesNotMatch", "the signature does not match")
        if float(expires) < self._clock.now().timestamp():
            return _error(400, "ExpiredToken", "the URL has expired")
        if path.removeprefix(_UPLOADS) not in self._uploads and path.removeprefix(_REPORTS) not in self._reports:
            return _error(404, "NoSuchKey", "the emulator that signed the URL has ended")
        return None

    async def _put(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        content = await request.read()
        if refusal is not None:
            return refusal
        self._received_all(request.path.removeprefix(_UPLOADS), content)
        return web.Response()

    def _received_all(self, identifier: str, content: bytes) -> None:
        upload = self._uploads[identifier]
        upload.content = b""
        upload.rows = sum(1 for line in content.splitlines() if line.strip())
        if self._received is not None:
            self._received(upload.account_id, identifier, upload.rows)

    async def _begin(self, request: web.BaseRequest) -> web.StreamResponse:
        """Open a session: its address is a secret of its own."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.headers.get("x-goog-resumable") != "start":
            return _error(400, "InvalidArgument", "a POST begins with x-goog-resumable: start")
        identifier = request.path.removeprefix(_UPLOADS)
        session = self._random.randbytes(16).hex()
        self._sessions[session] = identifier
        self._uploads[identifier].content = b""
        return web.Response(status=201, headers={"Location": f"{request.scheme}://{request.host}{_SESSIONS}{session}"})

    async def _continue(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take the rest of a file, or say how much of it is there."""
        identifier = self._sessions.get(request.path.removeprefix(_SESSIONS))
        if identifier is None or "Authorization" in request.headers:
            return _error(404 if identifier is None else 400, "NotFound", "there is no such session")
        upload = self._uploads[identifier]
        asked = _CONTENT_RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if asked is None:
            # The whole file; what comes before a break is kept.
            upload.content = b""
            total = request.content_length or 0
        else:
            total = int(asked[2])
            if asked[1] is not None and int(asked[1]) != len(upload.content):
                return _error(400, "InvalidArgument", f"the session is at byte {len(upload.content)}")
        async for piece in request.content.iter_any():
            upload.content += piece
        if len(upload.content) < total:
            return web.Response(
                status=308, headers={"Range": f"bytes=0-{len(upload.content) - 1}"} if upload.content else {}
            )
        self._received_all(identifier, upload.content)
        return web.Response()

    async def _get(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        content = self._reports[request.path.removeprefix(_REPORTS)]
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"Accept-Ranges": "bytes", "ETag": tag, "Content-Type": "text/csv; charset=utf-8"}
        asked = _FROM.fullmatch(request.headers.get("Range", ""))
        if asked is None or request.headers.get("If-Range", tag) != tag:
            return web.Response(body=content, headers=headers)
        start, size = int(asked[1]), len(content)
        if start >= size:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        return web.Response(
            status=206, body=content[start:], headers={**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
        )


def _error(status: int, code: str, message: str) -> web.Response:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
