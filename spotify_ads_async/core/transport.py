"""One HTTP exchange with the API: connections, time limits, size limits. The only file that talks HTTP to the API."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp
import anyio
import msgspec
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict
from yarl import URL

from spotify_ads_async.auth.token_endpoint import header_safe
from spotify_ads_async.core.wire import BARE_HEADERS, SHORTEST_SECRET, HttpRequest, Part, masked
from spotify_ads_async.errors import ConfigurationError, ConnectionFailed, InvalidAnswer, SpotifyAdsError
from spotify_ads_async.network.connections import Connections, TimeLimit, open_http
from spotify_ads_async.network.options import Proxy, TransportOptions
from spotify_ads_async.network.problems import (
    by_way_of,
    explained_connection_error,
    explained_proxy_error,
    is_of_proxy,
    never_left,
    without_frames,
)
from spotify_ads_async.types import Secret

__all__ = ["Departure", "HttpResponse", "Progress", "Transport", "open_session"]

_JSON = "application/json"
_NO_LIMIT = contextlib.nullcontext()
_PIECE = 32 * 1024
"""Bytes of a body written at once. With its headers below aiohttp's 64 KiB, above which a write also waits."""
_NO_CONTENT_TYPE = frozenset({"Content-Type"})


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer that was read to its end.

    Its body may hold secrets, so no repr shows it; that of an error shows no token.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    token: Secret
    """What the request was signed with."""

    def content_type(self) -> str:
        """The header, as far as it can be shown."""
        told, token = self.headers.get("Content-Type", ""), self.token.reveal()
        return told.replace(token, "***") if len(token) >= SHORTEST_SECRET else told

    def __repr__(self) -> str:
        return f"HttpResponse(status={self.status}, body=<{len(self.body)} bytes>)"


class Departure(Protocol):
    """Who is told how a departure went: the governor's admission."""

    def answered(self, *, status: int, headers: Mapping[str, str]) -> object:
        """The answer's headers arrived."""
        ...

    def not_sent(self) -> None:
        """No byte of the request left: no server can have counted it."""
        ...


class Progress(Protocol):
    """Who is told how far an exchange came."""

    def leaving(self) -> None:
        """A connection is free: the request is about to leave."""
        ...

    def left(self) -> None:
        """The last byte of a request that may change something is on its way."""
        ...


class Transport:
    """Exchanges over pooled connections, which are opened with the first of them.

    Args:
        options: how the network is used.
        on_fork: called once in a forked child that opens connections of its own.

    Raises:
        ConfigurationError: certificates would not be verified, or an address or a file of the options is unfit.
    """

    def __init__(self, options: TransportOptions, *, on_fork: Callable[[], None]) -> None:
        self.options = options = options.checked()
        # Without a limit of its own, an exchange ends after so long a silence.
        self._limited = aiohttp.ClientTimeout(connect=options.connect_timeout)
        self._endless = aiohttp.ClientTimeout(connect=options.connect_timeout, sock_read=options.read_timeout)
        self._signature: tuple[Secret | None, Mapping[str, str]] = None, {}
        self._connections = Connections(options, headers=BARE_HEADERS, response_class=_Response, on_fork=on_fork)
        self.pool = self._connections.pool
        """The connections of the running loop; credentials ask for their tokens over its aiohttp session."""

    async def aclose(self) -> None:
        """Close the connections; later exchanges are refused."""
        await self._connections.aclose()

    async def exchange(
        self,
        url: URL,
        request: HttpRequest,
        *,
        token: Secret,
        timeout: float | None,  # noqa: ASYNC109 (of one part of it)
        departure: Departure,
        progress: Progress,
    ) -> HttpResponse:
        """Send ``request`` once and read its answer, whatever its status. Redirects are answers too.

        Raises:
            ConnectionFailed: no whole answer; ``may_have_taken_effect`` tells whether the request left completely.
            InvalidAnswer: the answer is larger than allowed, or no HTTP.
            ConfigurationError: the access token holds characters that no header may hold.
        """
        content = await _form(request.body) if isinstance(request.body, tuple) else (request.body or b"", _JSON)
        body = None if request.method == "GET" else _Body(*content, progress.left)
        slots, slot_taken = self._connections.slots, False
        try:
            try:
                slots.acquire_nowait()
            except anyio.WouldBlock:
                await slots.acquire()
            slot_taken = True
            pool = self.pool()
            if self._signature[0] is not token:
                self._sign(token)
            progress.leaving()
            with TimeLimit(pool.limits, timeout) if timeout else _NO_LIMIT:
                response = await pool.http.request(
                    request.method,
                    url,
                    headers={**request.headers, **self._signature[1]} if request.headers else self._signature[1],
                    data=body,
                    timeout=self._limited if timeout else self._endless,
                    allow_redirects=False,
                    skip_auto_headers=None if body is None or body.size else _NO_CONTENT_TYPE,  # nothing has no type
                )
                try:
                    status, headers, content = response.status, response.headers, response.content
                    departure.answered(status=status, headers=headers)
                    whole = (content.read_nowait() if content.is_eof() else b"") or await self._read(content)
                    return HttpResponse(status, headers, whole if status < 300 else masked(whole, token), token)
                finally:
                    if response.connection is not None:  # it was not read to its end
                        response.release()
        except (TimeoutError, aiohttp.ClientError, OSError, RuntimeError) as problem:
            if _unsent(problem, body):
                departure.not_sent()
            failure = _explained(problem, body, timeout, token=token, proxy=self.options.proxy_for(url))
        except BaseException as problem:  # noqa: BLE001 (raised again)
            if not slot_taken or (body is not None and not body.begun) or isinstance(problem, ConfigurationError):
                departure.not_sent()
            raise without_frames(problem) from None
        finally:
            if slot_taken:
                slots.release()
        raise failure  # outside of the handler, for the same reason

    def _sign(self, token: Secret) -> None:
        """Make the header that signs a request; it is kept, for most calls have the same token.

        No name of a frame stands for it: a traceback may show those.
        """
        if not header_safe(token.reveal()):
            raise _UnsafeTokenError
        self._signature = token, CIMultiDict(Authorization=f"Bearer {token.reveal()}")

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        """The rest of a body. Most came with their headers: at most what was read from the connection at once."""
        largest = self.options.largest_answer
        chunks: list[bytes] = []
        size = 0
        # A compressed answer comes in pieces of bounded size too.
        async for chunk in content.iter_any():
            size += len(chunk)
            if size > largest:
                raise _TooLargeError(largest)
            chunks.append(chunk)
        return b"".join(chunks)


def open_session(options: TransportOptions, *, auto_decompress: bool = True) -> aiohttp.ClientSession:
    """An aiohttp session as ``options`` say; it sends nothing twice and keeps no cookies."""
    return open_http(options, response_class=_Response, auto_decompress=auto_decompress)


class _TooLargeError(aiohttp.ClientPayloadError):
    def __init__(self, largest: int) -> None:
        super().__init__(f"the answer is larger than {largest} bytes")


class _UnsafeTokenError(aiohttp.ClientError):
    def __init__(self) -> None:
        super().__init__("the access token is empty or holds characters that no header may hold")


class _ConnectionLostError(aiohttp.ClientConnectionError):
    """A connection failed under a request."""


class _Response(aiohttp.ClientResponse):
    """Hides from aiohttp the two errors on which it sends an idempotent request again.

    Two requests on one token of the quota.
    """

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as problem:
            raise _ConnectionLostError from problem


class _Body(Payload):
    """Bytes that know how far they came.

    ``begun`` once any may have left, and a call to ``left`` once the last may have.
    """

    def __init__(self, content: bytes, content_type: str, left: Callable[[], None] | None = None) -> None:
        super().__init__(content, content_type=content_type)
        self._content = content
        self._size = len(content)
        self._tell = left
        self.begun = False
        self.left = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._content.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        del encoding, errors
        return self._content

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        del content_length
        content = self._content
        if len(content) <= _PIECE:
            # Headers and body in one write, which raises where the connection is gone and else has all of it.
            await writer.write(content)
            self._leaves()
            return
        self.begun = True
        view = memoryview(content)
        for start in range(0, len(content), _PIECE):
            if start + _PIECE >= len(content):
                self._leaves()
            await writer.write(view[start : start + _PIECE])

    def _leaves(self) -> None:
        self.begun = self.left = True
        if self._tell is not None:
            self._tell()


async def _form(parts: tuple[Part, ...]) -> tuple[bytes, str]:
    with aiohttp.MultipartWriter("form-data") as form:
        for part in parts:
            _append(form, part)
    return await form.as_bytes(), form.content_type


def _append(form: aiohttp.MultipartWriter, part: Part) -> None:
    kind = "text/plain; charset=utf-8" if part.filename is None else "application/octet-stream"
    payload = form.append_payload(_Body(part.content, kind))
    if part.filename is None:
        payload.set_content_disposition("form-data", name=part.name)
    else:
        payload.set_content_disposition("form-data", name=part.name, filename=part.filename)


def _unsent(problem: BaseException, body: _Body | None) -> bool:
    """Whether no byte left. Part of a request is enough for a server to count it."""
    if isinstance(problem, _UnsafeTokenError) or never_left(problem):
        return True
    if body is not None:
        return not body.begun
    # Without a body, the head is all there is to write, and aiohttp says this where it could not.
    return isinstance(problem, aiohttp.ClientConnectionResetError)


def _left(problem: BaseException, body: _Body | None) -> bool:
    """Whether the last byte of the request may have left."""
    return not _unsent(problem, body) if body is None else body.left


def _explained(
    problem: BaseException, body: _Body | None, timeout: float | None, *, token: Secret, proxy: Proxy | None
) -> SpotifyAdsError:
    if isinstance(problem, _UnsafeTokenError):
        return ConfigurationError(str(problem))
    if isinstance(problem, _TooLargeError):
        return InvalidAnswer(
            f"{problem}: ask for less, or raise TransportOptions(largest_answer=…)", may_have_taken_effect=True
        )
    if is_of_proxy(problem):
        return ConnectionFailed(explained_proxy_error(problem, proxy))
    if isinstance(problem, aiohttp.ClientResponseError):
        # The answer's head cannot be parsed; the message shows bytes of it.
        text = " ".join(problem.message.split())[:200]
        return InvalidAnswer(
            f"the answer is no HTTP: {text.replace(token.reveal(), '***')}", may_have_taken_effect=True
        )
    if isinstance(problem, TimeoutError) and not isinstance(problem, aiohttp.ServerTimeoutError):
        text = f"no whole answer within {timeout} s{by_way_of(proxy)}"
    else:
        text = explained_connection_error(problem, proxy)
    left = _left(problem, body)
    where = "the connection failed after the request left" if left else "the request could not be sent"
    return ConnectionFailed(f"{where}: {text.replace(token.reveal(), '***')}", may_have_taken_effect=left)
