"""Files behind signed URLs: storage that is not the API, so no access token and no header of ours goes there.

A signed URL is a secret: no message, repr or log shows it. Downloads go on where they broke (``Range``). Uploads begin
with Google Cloud Storage's resumable protocol, which Spotify's own tooling uses, and fall back to one plain PUT.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import anyio
from yarl import URL

from spotify_ads_async.core.retry import RetryPolicy, backoff
from spotify_ads_async.core.unpacking import PackingError, Unpacking
from spotify_ads_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidAnswer,
    RequestRejected,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.network.addresses import require_secure
from spotify_ads_async.network.connections import open_http
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.network.problems import explained_connection_error
from spotify_ads_async.network.ratelimit_headers import retry_after
from spotify_ads_async.types import Secret

__all__ = ["Address", "Storage"]

Address: TypeAlias = Callable[[], Awaitable[Secret]]
"""Asks for a signed URL: once at first, and again where the one in hand has expired."""

_PIECE = 256 * 1024
_MIB = 1024 * 1024
_PASSING = frozenset({408, 425, 429})
_DONE = frozenset({200, 201, 204})
_GOES_ON = 308
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.IGNORECASE)
_RECEIVED = re.compile(r"bytes=0-(\d+)")
_NO_HEADERS = ("User-Agent", "Content-Type", "Accept")


class _BrokenError(Exception):
    """An exchange failed in a way that passes.

    Worth another attempt, after ``delay`` seconds where the server named them.
    """

    def __init__(self, what: str, delay: float = 0.0, *, by_server: bool = False) -> None:
        super().__init__(what)
        self.delay = delay
        self.by_server = by_server


class _RefusedError(Exception):
    """The storage refused: the signed URL may have expired."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Storage:
    """Fetches and puts files; use it as ``async with``.

    Args:
        options: how the network is used.
        policy: how often and how fast an exchange that failed is made again. ``attempts`` bounds those in a row that
            bring nothing; ten times as many, and one per MiB, all of them.
    """

    def __init__(self, options: TransportOptions, policy: RetryPolicy) -> None:
        self._options = options
        self._policy = policy
        self._client: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        options = self._options
        self._client = open_http(
            options,
            skip_auto_headers=_NO_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, connect=options.connect_timeout, sock_read=options.read_timeout),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def _session_url(self, location: str) -> URL:
        """Where the storage wants the file."""
        try:
            return self._url(Secret(location))
        except (ConfigurationError, ValueError):
            raise InvalidAnswer(
                "the storage answers an upload session at an address that is none, or not encrypted"
            ) from None

    def _url(self, address: Secret) -> URL:
        require_secure(_place_of(address), self._options.allow_http)
        return URL(address.reveal(), encoded=True)

    def _why(self, problem: BaseException, url: URL) -> str:
        return explained_connection_error(problem, self._options.proxy_for(url))

    async def download(self, address: Address) -> AsyncGenerator[bytes]:
        """The file's bytes, piece by piece, each once, however often the connection breaks.

        Raises:
            ConfigurationError: the URL would send a secret in the clear.
            RequestRejected: the storage refuses, and a fresh URL does not help.
            ConnectionFailed: the connection breaks again and again.
            ServerError: the storage fails again and again.
            InvalidAnswer: the file changed while it was read.
        """
        fetch = _Fetch()
        attempts = _Attempts(self._policy)
        url, fresh = self._url(await address()), True
        while not fetch.done:
            try:
                async for piece in self._pieces(url, fetch):
                    fresh = False
                    yield piece
            except _BrokenError as broken:
                await attempts.pause(broken, fetch.received)
            except _RefusedError as refused:
                if fresh:
                    raise _rejected("the storage refuses the download", refused.status) from None
                url, fresh = self._url(await address()), True

    async def _pieces(self, url: URL, fetch: _Fetch) -> AsyncGenerator[bytes]:
        """What one exchange brings that did not come before."""
        try:
            async with self._client.get(
                url, headers=fetch.headers(), allow_redirects=False, auto_decompress=False
            ) as response:
                _judge(response, fetch.received)
                unpacking = Unpacking(response.headers.get("Content-Encoding", ""))
                fetch.begin(response, packed=unpacking.packed)
                async for piece in response.content.iter_any():
                    for part in unpacking.feed(piece):
                        new = fetch.take(part)
                        if new:
                            yield new
                unpacking.end()
        except PackingError as problem:
            raise _BrokenError(f"the download broke after {fetch.received} bytes ({problem})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise _BrokenError(f"the download broke after {fetch.received} bytes ({self._why(problem, url)})") from None
        fetch.end()

    async def put(self, address: Secret, file: Path, *, content_type: str) -> None:
        """Put the file at ``address``, and go on where the storage has got to when the connection breaks.

        Raises:
            ConfigurationError: the URL would send a secret in the clear.
            RequestRejected: the storage refuses.
            ConnectionFailed: the connection breaks again and again.
            ServerError: the storage fails again and again.
            InvalidAnswer: the storage says what cannot be.
        """
        url = self._url(address)
        size = (await anyio.Path(file).stat()).st_size
        session = await self._begin(url, content_type)
        # The session knows the type already; a plain PUT names it, for the signature may cover it.
        plain = {} if session is not None else {"Content-Type": content_type}
        attempts = _Attempts(self._policy)
        received = most_sent = 0
        async with await anyio.open_file(file, "rb") as content:
            while True:
                await content.seek(received)
                try:
                    return await self._send(session or url, content, received, size, plain)
                except _BrokenError as broken:
                    await attempts.pause(broken, received)
                except _RefusedError as refused:
                    raise _rejected("the storage refuses the upload", refused.status) from None
                most_sent = max(most_sent, await content.tell())
                found = await self._ask(session, size, attempts) if session is not None else 0
                received = size if found is None else found
                if received > most_sent:
                    raise InvalidAnswer(
                        f"the storage says that it has {received} bytes, and was sent {most_sent}: begin anew"
                    )
                if found is None:
                    return None

    async def _begin(self, url: URL, content_type: str) -> URL | None:
        """Where to put the file piece by piece, None where the storage takes it in one only."""
        attempts = _Attempts(self._policy)
        headers = {"x-goog-resumable": "start", "Content-Type": content_type, "Content-Length": "0"}
        while True:
            try:
                async with self._client.post(url, headers=headers, allow_redirects=False) as response:
                    if response.status in _DONE:
                        location = response.headers.get("Location")
                        return None if location is None else self._session_url(location)
                    if response.status < 500 and response.status not in _PASSING:
                        return None
                    broken = _BrokenError(
                        f"the storage failed (HTTP {response.status})", _asked(response.headers), by_server=True
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                broken = _BrokenError(f"the storage cannot be reached ({self._why(problem, url)})")
            await attempts.pause(broken, 0)

    async def _send(
        self, url: URL, content: anyio.AsyncFile[bytes], start: int, size: int, further: Mapping[str, str]
    ) -> None:
        """Send what follows the place in the file, which is ``start``."""
        headers = {"Content-Length": str(size - start), **further}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}" if start < size else f"bytes */{size}"
        try:
            async with self._client.put(
                url, data=_pieces_of(content), headers=headers, allow_redirects=False
            ) as response:
                if response.status == _GOES_ON:
                    raise _BrokenError("the storage has only a part of the file")
                _judge(response, 0)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise _BrokenError(f"the upload broke ({self._why(problem, url)})") from None
        if (sent := await content.tell()) < size:
            raise _BrokenError(f"the storage answered after {sent} of {size} bytes", by_server=True)

    async def _ask(self, session: URL, size: int, attempts: _Attempts) -> int | None:
        """How many bytes the storage has, None for all of them."""
        headers = {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
        while True:
            try:
                async with self._client.put(session, headers=headers, allow_redirects=False) as response:
                    if response.status == _GOES_ON:
                        return _received(response.headers.get("Range"), size)
                    _judge(response, 0)
                    return None
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                broken = _BrokenError(f"the storage cannot be reached ({self._why(problem, session)})")
            except _BrokenError as problem:
                broken = problem
            except _RefusedError as refused:
                raise _rejected("the storage has forgotten the upload: begin anew", refused.status) from None
            await attempts.pause(broken, 0)


class _Fetch:
    """How far a download came."""

    def __init__(self) -> None:
        self.received = 0
        self.total: int | None = None
        self.done = False
        self._tag: str | None = None
        self._strong: str | None = None
        # How many bytes that come next came before; the digests of all that came, and of what comes again from the
        # beginning.
        self._again = 0
        self._digest = hashlib.blake2b()
        self._repeated: hashlib.blake2b | None = None

    def headers(self) -> dict[str, str]:
        """What to ask for next."""
        asked = {"Accept-Encoding": "identity"}
        if self.received and self._strong:
            asked |= {"Range": f"bytes={self.received}-", "If-Range": self._strong}
        return asked

    def begin(self, response: aiohttp.ClientResponse, *, packed: bool) -> None:
        """Take an answer's head; of one that is packed nobody knows how long it is."""
        if response.status == 416:
            self.done = self.total is not None and self.received >= self.total
            if not self.done:
                raise self._changed()
            return
        tag, self._tag = self._tag, response.headers.get("ETag") or response.headers.get("Last-Modified") or self._tag
        # Without a strong tag the rest may be another file's: then all of it is read again, and compared.
        self._strong = self._tag if not packed and self._tag is not None and self._tag.startswith('"') else None
        start, total = 0, None if packed else response.content_length
        if response.status == 206:
            ranged = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            start = int(ranged[1]) if ranged else self.received + 1
            total = self.total if ranged is None or ranged[2] == "*" else int(ranged[2])
            if start > self.received or total is None:
                raise InvalidAnswer("the storage answers a part of the file, and not the one that was asked for")
        elif response.content_length is None and "Transfer-Encoding" not in response.headers:
            raise InvalidAnswer(
                "the storage does not say where the file ends, so that nobody knows whether it is whole"
            )
        changed = (tag is not None and self._tag != tag) or (None not in {self.total, total} and self.total != total)
        if self.received and changed:
            raise self._changed()
        self.total = self.total if total is None else total
        self._again, self._repeated = self.received - start, None if start else hashlib.blake2b()

    def take(self, piece: bytes) -> bytes:
        """What of the next bytes did not come before."""
        before, new = piece[: self._again], piece[self._again :]
        self._again -= len(before)
        if self._repeated is not None and before:
            self._repeated.update(before)
            if not self._again and self._repeated.digest() != self._digest.digest():
                raise self._changed()
        self._digest.update(new)
        self.received += len(new)
        return new

    def end(self) -> None:
        """An answer's body ended."""
        if self.total is not None and self.received < self.total:
            raise _BrokenError(f"the download ended after {self.received} of {self.total} bytes")
        if self._again:
            raise self._changed()
        self.done = True

    def _changed(self) -> InvalidAnswer:
        return InvalidAnswer(f"the file changed after {self.received} bytes of it were read: begin anew")


class _Attempts:
    """Counts failures, and waits between them."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._in_vain = 0
        self._received = 0

    async def pause(self, broken: _BrokenError, received: int) -> None:
        """Wait before another attempt, or raise where there were enough."""
        policy = self._policy
        self._failures += 1
        self._in_vain = self._in_vain + 1 if received <= self._received else 1
        self._received = received
        exhausted = self._in_vain >= policy.attempts or self._failures >= 10 * policy.attempts + received // _MIB
        if exhausted or broken.delay > policy.retry_after_cap:
            kind: type[SpotifyAdsError] = ServerError if broken.by_server else ConnectionFailed
            raise kind(f"{broken}, {self._failures} times: try again later") from None
        await anyio.sleep(max(broken.delay, backoff(policy, self._in_vain, random.random)))


def _place_of(address: Secret) -> Secret:
    """An address without what signs it."""
    parts = urlsplit(address.reveal())
    return Secret(f"{parts.scheme}://{parts.netloc}")


def _received(ranges: str | None, size: int) -> int:
    """How many bytes the storage says that it has of ``size``; without a Range it has none."""
    if not ranges:
        return 0
    found = _RECEIVED.fullmatch(ranges.strip())
    if found is None or int(found[1]) >= size:
        raise InvalidAnswer(
            f"the storage says that it has {ranges[:40]!r} of a file of {size} bytes, which cannot be: begin the upload"
            " anew",
            status=_GOES_ON,
        )
    return int(found[1]) + 1


def _judge(response: aiohttp.ClientResponse, received: int) -> None:
    """Raise unless the answer is one to go on with."""
    status = response.status
    if status in _DONE or status == 206 or (status == 416 and received):
        return
    if status >= 500 or status in _PASSING:
        raise _BrokenError(f"the storage failed (HTTP {status})", _asked(response.headers), by_server=True)
    if 300 <= status < 400:
        raise InvalidAnswer("the storage redirects; a signed URL is not followed anywhere else", status=status)
    raise _RefusedError(status)


def _asked(headers: Mapping[str, str]) -> float:
    return retry_after(headers, datetime.now(UTC)) or 0.0


def _rejected(what: str, status: int) -> RequestRejected:
    return RequestRejected(f"{what}: the signed URL may have expired, or is for something else", status=status)


async def _pieces_of(content: anyio.AsyncFile[bytes]) -> AsyncIterator[bytes]:
    while piece := await content.read(_PIECE):
        yield piece
