"""Reverse proxy: each request waits for leave, goes on once, and its answer streams back unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import io
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Self

import aiohttp
import anyio
import msgspec
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from spotify_ads_async.auth.credentials import Credentials, SupportsAccepted, finish
from spotify_ads_async.core.transport import open_session
from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, RateLimited, SpotifyAdsError, StoreUnavailable
from spotify_ads_async.governor import Admission, Governor, Scope
from spotify_ads_async.network.addresses import is_loopback, require_secure
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.network.problems import never_left
from spotify_ads_async.proxy import requests
from spotify_ads_async.proxy.metrics import CONTENT_TYPE_LATEST, Metrics
from spotify_ads_async.proxy.requests import MADE_HERE, Refusal, end_to_end, has_key
from spotify_ads_async.settings import BASE_URL
from spotify_ads_async.types import Secret

__all__ = ["QuotaProxy"]

logger = logging.getLogger("spotify_ads_async.proxy")

_LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of one request: the API takes uploads of 20 MB at most."""
_LARGEST_BODIES = 512 * 1024 * 1024
"""Bytes of all requests that wait or are under way."""
_STALL_SECONDS = 60.0
"""A program that sends or takes nothing for so long is given up."""
_IDLE_SECONDS = 120.0
"""A connection without a request is closed."""
_MOST_CLIENT_IDS = 1_000
"""Each has windows of its own in memory."""


class _WithoutContent(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's words about requests that cannot be read, without what stood in them: that may be a token."""

    def exception(self, msg: object, *args: object, exc_info: object = None, **_: object) -> None:
        self.warning(f"{msg}: %s", *args, type(exc_info).__name__)


class QuotaProxy:
    """Serves one API on this machine, within its limits, to programs in any language.

    It queues instead of refusing: a request waits for leave under ``governor``, goes to ``upstream`` once, and its
    answer streams back unchanged. Use it as ``async with``; programs point at :attr:`base_url`.

    Args:
        governor: decides when a request may leave; shared by every program behind the proxy.
        upstream: the API's base URL.
        credentials: sign requests that bring no ``Authorization`` of their own; None answers those with 401. Requests
            that name no client ID spend the windows of theirs.
        host: the address to listen on. Beyond loopback, ``key`` is needed.
        port: the port to listen on; 0 takes a free one.
        key: what programs must send as ``X-Quota-Proxy-Key``.
        longest_wait: seconds that a request waits for quota at most; a request may ask for less.
        most_waiting: how many requests wait at most; more are refused at once.
        transport: connections to upstream, and their time limits.

    Raises:
        ConfigurationError: ``upstream`` would get tokens in the clear, or ``host`` is not loopback and has no key.
    """

    def __init__(
        self,
        governor: Governor,
        *,
        upstream: str = BASE_URL,
        credentials: Credentials | None = None,
        host: str = "127.0.0.1",
        port: int = 8791,
        key: Secret | None = None,
        longest_wait: float = 60.0,
        most_waiting: int = 10_000,
        transport: TransportOptions | None = None,
    ) -> None:
        # Plain, it must not stay in this frame while it is refused: a traceback may show it.
        address, upstream = Secret(upstream), ""
        upstream = require_secure(address, () if transport is None else transport.allow_http)
        if not is_loopback(host) and key is None:
            raise ConfigurationError(
                f"{host} is reached from other machines: give a key for programs, or use 127.0.0.1"
            )
        self._governor = governor
        self._upstream = URL(upstream.rstrip("/"))
        self._credentials, self._key = credentials, key
        self._host, self._port, self._most_waiting, self._longest_wait = host, port, most_waiting, longest_wait
        self._transport = options = transport or TransportOptions(connections=1_000)
        self._patience = aiohttp.ClientTimeout(connect=options.connect_timeout, sock_read=options.read_timeout)
        self._scopes: dict[str | None, Scope] = {}
        self._metrics = Metrics(governor.snapshot)
        self._waiting = self._buffered = 0
        self._own: Mapping[str, Callable[[], web.StreamResponse]] = {
            "/-/": self._page,
            "/-/health": self._health,
            "/-/windows": self._windows,
            "/-/metrics": self._exposition,
        }

    @property
    def origin(self) -> str:
        """Where the proxy listens, without a path."""
        return str(URL.build(scheme="http", host=self._host, port=self._port).origin())

    @property
    def base_url(self) -> str:
        """What programs use in place of the API's base URL."""
        return self.origin + self._upstream.raw_path

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(open_session(self._transport, auto_decompress=False))
            if self._credentials is not None:
                stack.push_async_callback(finish, self._credentials)
            about: dict[str, Any] = {"auto_decompress": False, "keepalive_timeout": _IDLE_SECONDS, "access_log": None}
            about |= {"logger": _WithoutContent(logger, None), "handler_cancellation": True, "max_line_size": 65_536}
            runner = web.ServerRunner(web.Server(self._serve, **about), shutdown_timeout=10.0)  # type: ignore[arg-type]
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, self._host, self._port, backlog=1024)
            await site.start()
            self._port = runner.addresses[0][1]
            names = {"127.0.0.1", "localhost", "[::1]", self._host} if is_loopback(self._host) else set[str]()
            self._hosts = frozenset(f"{name}:{self._port}" for name in names)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):  # as where a task was cancelled once: nothing is left half closed
            await self._stack.aclose()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refusal as refusal:
            self._metrics.refused.inc()
            return _own_answer(refusal.status, {"error": str(refusal)}, refusal.headers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not requests.allowed_sender(request.headers, hosts=self._hosts, origin=self.origin):
            raise Refusal(403, "the proxy serves programs, not pages of other sites: Host or Origin is not its own")
        own = self._own.get(request.path)
        if own is not None:
            if own != self._health and not has_key(request.headers, self._key, in_browser=True):
                raise Refusal(401, "the proxy's key is missing", {"WWW-Authenticate": 'Basic realm="quota proxy"'})
            return own()
        if not has_key(request.headers, self._key):
            raise Refusal(407, "the proxy's key is missing or wrong: send it as X-Quota-Proxy-Key")
        if request.method == "TRACE":  # whose answer would show how the request is signed
            raise Refusal(405, "the proxy passes no TRACE on")
        asked = requests.wish(request.raw_path, request.headers, base_path=self._upstream.raw_path)
        async with self._body(request) as body:
            return await self._forward(request, asked, body)

    @contextlib.asynccontextmanager
    async def _body(self, request: web.BaseRequest) -> AsyncGenerator[io.BytesIO]:
        """The request's body, whole before its turn comes: a program that sends slowly must not hold quota."""
        announced = int(request.headers.get("Content-Length", "0"))
        body, size = io.BytesIO(), 0
        if request.headers.get("Expect", "").lower() == "100-continue" and announced <= _LARGEST_BODY:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            while True:
                if max(size, announced) > _LARGEST_BODY:
                    raise Refusal(413, f"the body is larger than {_LARGEST_BODY} bytes", {"Connection": "close"})
                if self._buffered > _LARGEST_BODIES:
                    raise Refusal(503, "too many large requests wait", {"Retry-After": "5", "Connection": "close"})
                async with asyncio.timeout(_STALL_SECONDS):
                    chunk = await request.content.readany()
                if not chunk:
                    break
                size += body.write(chunk)
                self._buffered += len(chunk)
            body.seek(0)
            yield body
        except TimeoutError:
            raise Refusal(408, f"nothing of the body came for {_STALL_SECONDS:g} s", {"Connection": "close"}) from None
        finally:
            self._buffered -= size

    async def _forward(self, request: web.BaseRequest, asked: requests.Wish, body: io.BytesIO) -> web.StreamResponse:
        headers = end_to_end(request.headers.items())
        headers.popall("Content-Length", None)
        client_id = asked.client_id or (self._credentials.client_id if self._credentials else None)
        signature = None
        if "Authorization" not in headers:
            signature = await self._signature()
            headers["Authorization"] = f"Bearer {signature.reveal()}"
        admission = self._scope(client_id).admit(
            requests.limits_spent(request.method, asked.path),
            priority=asked.priority,
            max_wait=min(asked.max_wait, self._longest_wait) if self._waiting < self._most_waiting else 0.0,
        )
        came = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            self._waiting += 1
            try:
                with self._metrics.waiting.track_inprogress(), _refused_by_governor():
                    await stack.enter_async_context(admission)
            finally:
                self._waiting -= 1
            self._metrics.waited.observe(time.monotonic() - came)
            response = await self._exchange(request, asked.path, headers, body, admission)
        if signature is not None:
            self._signed(signature, response.status)
        return response

    def _scope(self, client_id: str | None) -> Scope:
        scope = self._scopes.get(client_id)
        if scope is None:
            if len(self._scopes) >= _MOST_CLIENT_IDS:
                raise Refusal(400, f"more than {_MOST_CLIENT_IDS} client IDs were named since the proxy started")
            scope = self._governor.scope(origin=str(self._upstream.origin()), client_id=client_id)
            self._scopes[client_id] = scope
        return scope

    async def _signature(self) -> Secret:
        if self._credentials is None:
            raise Refusal(401, "no Authorization came, and the proxy has no sign-in of its own: `spotify-ads login`")
        try:
            return await self._credentials.token(self._session)
        except SpotifyAdsError as problem:
            raise Refusal(502, f"the proxy's own sign-in gave no token: {problem}") from None

    def _signed(self, signature: Secret, status: int) -> None:
        """Tell the sign-in what the API made of its token: where it was refused, the next request asks for another."""
        if status == 401 and self._credentials is not None:
            self._credentials.invalidate(signature)
        elif 200 <= status < 300 and isinstance(self._credentials, SupportsAccepted):
            self._credentials.accepted(signature)

    async def _exchange(
        self, request: web.BaseRequest, path: str, headers: CIMultiDict[str], body: io.BytesIO, admission: Admission
    ) -> web.StreamResponse:
        """One request upstream, and its answer back as it comes."""
        with self._metrics.under_way.track_inprogress(), _refused_by_governor():
            try:
                answer = await self._session.request(
                    request.method,
                    URL(f"{self._upstream}{path}", encoded=True),
                    headers=headers,
                    data=body if body.getbuffer().nbytes else None,
                    allow_redirects=False,
                    skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                    timeout=self._patience,
                )
            except (aiohttp.ClientError, OSError) as problem:
                if never_left(problem):
                    admission.not_sent()
                    raise Refusal(502, "the API cannot be reached; the request was not sent") from None
                raise _unanswered(problem) from None
            async with answer:
                admission.answered(status=answer.status, headers=answer.headers)
                if answer.status < 200:
                    raise Refusal(502, "the API answered with another protocol; the request may have taken effect")
                self._metrics.forwarded.inc()
                logger.debug("%s %s → %d", request.method, path.partition("?")[0], answer.status)
                return await _streamed(request, answer)

    def counts(self) -> dict[str, int]:
        """How many requests wait and are under way now, and were forwarded and refused since the start."""
        return self._metrics.counts()

    def _health(self) -> web.Response:
        counts = self.counts()
        return _own_answer(200, {"status": "ok", **{name: counts[name] for name in ("waiting", "under_way")}})

    def _windows(self) -> web.Response:
        return _own_answer(200, {"counts": self.counts(), "governor": msgspec.to_builtins(self._governor.snapshot())})

    def _exposition(self) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST, MADE_HERE: "metrics"}
        return web.Response(body=self._metrics.exposition(), headers=headers)

    def _page(self) -> web.Response:
        page = importlib.resources.files("spotify_ads_async.proxy").joinpath("page.html").read_bytes()
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers={MADE_HERE: "page"})


@contextlib.contextmanager
def _refused_by_governor() -> Generator[None]:
    """What the governor refuses, as the proxy's answers: nothing of it left."""
    try:
        yield
    except QuotaTimeout as refused:
        headers = {"Retry-After": _whole(refused.predicted_wait)}
        raise Refusal(429, f"no quota within the longest wait: {refused.message}", headers) from None
    except RateLimited as refused:
        headers = {"Retry-After": _whole(refused.retry_after or 1.0)}
        raise Refusal(429, "the API asked for a long pause", headers) from None
    except StoreUnavailable as problem:
        raise Refusal(503, f"the shared quota cannot be read: {problem}", {"Retry-After": "1"}) from None
    except ConfigurationError:
        raise Refusal(503, "the proxy is stopping", {"Retry-After": "1"}) from None


def _unanswered(problem: aiohttp.ClientError | OSError) -> Refusal:
    """What is said where a request left, and no answer came."""
    if isinstance(problem, TimeoutError):
        return Refusal(504, "the API did not answer in time; the request may have taken effect")
    return Refusal(502, "the connection to the API broke; the request may have taken effect")


class _Passed(web.StreamResponse):
    """An answer whose head goes on as it came."""

    async def _write_headers(self) -> None:
        request = self._req
        head = None
        if request is not None and request.transport is not None:
            version = f"HTTP/{request.version.major}.{request.version.minor}"
            head = requests.odd_head(f"{version} {self.status} {self.reason}", self.headers)
            if head is not None:
                request.transport.write(head)
        if head is None:
            await super()._write_headers()


async def _streamed(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = end_to_end(answer.headers.items())
    response = _Passed(status=answer.status, reason=answer.reason, headers=headers)
    try:
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            async with asyncio.timeout(_STALL_SECONDS):
                await response.write(chunk)
        async with asyncio.timeout(_STALL_SECONDS):
            await response.write_eof()
    except (TimeoutError, aiohttp.ClientError, OSError):
        # Part of the answer is out: breaking the connection is the only way to say that the rest will not come.
        if request.transport is not None:
            request.transport.abort()
    return response


def _own_answer(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    told = {**(headers or {}), MADE_HERE: "refused" if status >= 400 else "answered"}
    return web.json_response(content, status=status, headers=told)


def _whole(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))
