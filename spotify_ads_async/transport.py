"""One HTTP exchange with the API: connections, time limits, size limits. The only file that talks HTTP to the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp
import anyio
import msgspec
from yarl import URL

from spotify_ads_async.errors import ConfigurationError, ConnectionFailed, InvalidAnswer, SpotifyAdsError
from spotify_ads_async.wire import Part, Request

__all__ = ["Answer", "Departure", "Transport", "TransportOptions"]

_KNOWN_SMALL = 1024 * 1024


class TransportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the network is used: connections at once, seconds to connect, and the largest answer in bytes."""

    connections: int = 100
    connect_timeout: float = 10.0
    largest_answer: int = 64 * 1024 * 1024


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Departure(Protocol):
    """Who is told how a departure went: the governor's admission."""

    def answered(self, *, status: int, headers: Mapping[str, str]) -> object:
        """The answer's headers arrived."""
        ...

    def not_sent(self) -> None:
        """The request did not leave, or not completely: no server can have counted it."""
        ...


class Transport:
    """Pooled connections, opened with the first exchange.

    Args:
        options: how the network is used.
    """

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._slots = anyio.Semaphore(options.connections, fast_acquire=True)
        self._closed = False
        self._client: aiohttp.ClientSession | None = None

    def client(self) -> aiohttp.ClientSession:
        """The aiohttp session behind it; credentials ask for their tokens over it.

        Raises:
            ConfigurationError: the transport is closed.
        """
        if self._closed:
            raise ConfigurationError("the client is closed: make a new one, or keep `async with` open around its calls")
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # The slots bound the connections, so that waiting for one is no part of an attempt's time.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # aiohttp would silently send a GET again on a stale connection: two requests on one token of the quota.
            self._client._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return self._client

    async def aclose(self) -> None:
        """Close the connections; later exchanges are refused."""
        self._closed = True
        if self._client is not None:
            await self._client.close()

    async def exchange(
        self,
        url: str,
        request: Request,
        *,
        token: str,
        timeout: float | None,  # noqa: ASYNC109 (aiohttp's own timer covers connecting and reading apart)
        departure: Departure,
        leaving: Callable[[], None],
    ) -> Answer:
        """Send ``request`` once and read its answer, whatever its status. Redirects are answers too.

        Raises:
            ConnectionFailed: no whole answer; ``may_have_taken_effect`` tells whether the request left completely.
            InvalidAnswer: the answer is larger than allowed, or its compression is broken.
        """
        client = self.client()
        try:
            await self._slots.acquire()
        except BaseException:
            departure.not_sent()
            raise
        failure: SpotifyAdsError
        try:
            leaving()
            async with client.request(
                request.method,
                URL(url, encoded=True),
                headers={**request.headers, "Authorization": f"Bearer {token}"},
                data=_form(request.body) if isinstance(request.body, tuple) else request.body,
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=self._options.connect_timeout),
                allow_redirects=False,
            ) as response:
                departure.answered(status=response.status, headers=response.headers)
                body = await self._read(response)
                return Answer(status=response.status, headers=response.headers, body=body)
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            left = not _surely_incomplete(problem)
            if not left:
                departure.not_sent()
            failure = _explained(problem, timeout, left=left)
        finally:
            self._slots.release()
        # Raised outside of the handler: the original's frames hold the token.
        raise failure

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None and length <= _KNOWN_SMALL and aiohttp.hdrs.CONTENT_ENCODING not in response.headers:
            return await response.read()
        largest = self._options.largest_answer
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > largest:
                response.close()
                raise _TooLargeError(largest)
            chunks.append(chunk)
        return b"".join(chunks)


class _TooLargeError(aiohttp.ClientPayloadError):
    def __init__(self, largest: int) -> None:
        super().__init__(f"the answer is larger than {largest} bytes")


def _form(parts: tuple[Part, ...]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for part in parts:
        if part.filename is None:
            form.add_field(part.name, part.content)
        else:
            form.add_field(part.name, part.content, filename=part.filename, content_type="application/octet-stream")
    return form


def _surely_incomplete(problem: BaseException) -> bool:
    """Whether the failure came before the request's last byte was handed over."""
    if isinstance(problem, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return True
    link: BaseException | None = problem
    while link is not None:
        # aiohttp says this where it could not write; "Connection lost" may come after the last byte.
        if isinstance(link, aiohttp.ClientConnectionResetError) and "closing transport" in str(link):
            return True
        link = link.__cause__
    return False


def _explained(problem: BaseException, timeout: float | None, *, left: bool) -> SpotifyAdsError:
    if isinstance(problem, _TooLargeError):
        return InvalidAnswer(f"{problem}: ask for less, or raise TransportOptions(largest_answer=…)", may_have_taken_effect=True)
    if isinstance(problem, aiohttp.ClientResponseError):
        # The answer's head cannot be parsed; the message never holds request headers.
        return InvalidAnswer(f"the answer is no HTTP: {problem.message}", may_have_taken_effect=True)
    if isinstance(problem, TimeoutError) and not isinstance(problem, aiohttp.ConnectionTimeoutError):
        text = f"no whole answer within {timeout} s"
    else:
        text = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    where = "the connection failed after the request left" if left else "the request could not be sent"
    return ConnectionFailed(f"{where} ({text})", may_have_taken_effect=left)
