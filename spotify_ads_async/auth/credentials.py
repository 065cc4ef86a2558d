"""From credentials to access tokens.

Source: Spotify's Authorization guide: tokens live 3600 s; ``/api/token`` takes HTTP Basic with client ID and secret;
a refresh may answer with a new refresh token, which then replaces the old one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable
from urllib.parse import SplitResult, urlsplit

import aiohttp
import anyio
import msgspec

from spotify_ads_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    ErrorCode,
    InvalidAnswer,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.types import Secret, decode_hook

__all__ = [
    "ACCOUNTS_URL",
    "AccessToken",
    "Credentials",
    "RefreshToken",
    "SupportsFinish",
    "TokenAnswer",
    "TokenStore",
    "header_safe",
    "require_secure",
    "token_request",
]

logger = logging.getLogger("spotify_ads_async")

ACCOUNTS_URL = "https://accounts.spotify.com"

_REFRESH_EARLY_SECONDS = 60.0
_SUSPICIOUS_SECONDS = 60.0
_USUAL_LIFETIME = 3600.0
_ATTEMPTS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_LARGEST_ANSWER = 64 * 1024
_FINAL = {"invalid_grant", "invalid_client", "unauthorized_client"}
"""OAuth's codes (RFC 6749, 5.2) after which asking again with the same credentials cannot help."""


class Credentials(Protocol):
    """What a client signs its requests with."""

    @property
    def client_id(self) -> str | None:
        """The app's client ID, where it is known: it names the quota that is shared."""
        ...

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        """A valid access token, fetched or refreshed if need be."""
        ...

    def invalidate(self, token: Secret) -> bool:
        """The server refused ``token``. Answers whether asking again can give another one."""
        ...


@runtime_checkable
class SupportsFinish(Protocol):
    """Credentials that may have work under way which must not be cut off when the client closes."""

    async def finish(self) -> None:
        """Wait for it."""
        ...


class TokenStore(Protocol):
    """Where a refresh token is kept between runs: a profile, a database row, a secret manager."""

    async def load(self) -> Secret | None:
        """The refresh token as last saved, None where there is none."""
        ...

    async def save(self, refresh_token: Secret) -> None:
        """Replace the refresh token, all or nothing: from now on the old one may be void."""
        ...


class AccessToken:
    """A token that somebody else keeps fresh.

    Args:
        token: the bearer token.
        client_id: the app's client ID, so that programs of the same app share their quota.

    Raises:
        ConfigurationError: the token holds characters that no header may hold.
    """

    def __init__(self, token: str | Secret, *, client_id: str | None = None) -> None:
        self._token = token = _secret(token)
        self._client_id = client_id
        if not header_safe(token.reveal()):
            raise ConfigurationError("the access token is empty or holds characters that no header may hold")

    @property
    def client_id(self) -> str | None:
        """The app's client ID, where it was given."""
        return self._client_id

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        """The token as given."""
        del http
        return self._token

    def invalidate(self, token: Secret) -> bool:
        """A refused token stays refused."""
        del token
        return False

    def __repr__(self) -> str:
        return "AccessToken('***')"


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``/api/token`` answers. ``expires_in`` is seconds."""

    access_token: Secret
    expires_in: float = _USUAL_LIFETIME
    refresh_token: Secret | None = None


class RefreshToken:
    """Access tokens from a refresh token, refreshed a minute before they expire, once however many calls wait.

    Args:
        client_id: the app's client ID.
        client_secret: its secret; empty for an app that signed in with PKCE alone.
        refresh_token: from ``spotify-ads login`` or your own sign-in. A token that ``store`` holds goes before it.
        token_url: the endpoint; the emulator has its own.
        store: keeps a refresh token that replaces this one. It is asked first, and again when a token was refused:
            another process may have replaced it.
        clock: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: the endpoint's address would carry secrets in the clear.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | Secret,
        refresh_token: str | Secret,
        *,
        token_url: str = f"{ACCOUNTS_URL}/api/token",
        store: TokenStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret = _secret(client_secret)
        self._refresh_token = refresh_token = _secret(refresh_token)
        require_secure(token_url)
        self._token_url = token_url
        self._store = store
        self._clock = clock
        self._store_asked = False
        self._access_token: Secret | None = None
        self._fetched_at = 0.0
        self._stale_at = 0.0
        self._follows_refusal = False
        self._refreshing: asyncio.Task[Secret] | None = None
        self._refusal: AuthenticationError | None = None

    @property
    def client_id(self) -> str | None:
        """The app's client ID."""
        return self._client_id

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        """A token with at least a minute to live, if the endpoint gives such.

        Raises:
            AuthenticationError: the refresh was refused; every call that waited for it gets this, and so does each later one.
            ConnectionFailed, ServerError, InvalidAnswer: the token endpoint cannot be reached, fails, or answers something else.
        """
        if self._access_token is not None and self._clock() < self._stale_at:
            return self._access_token
        if self._refusal is not None:
            raise _again(self._refusal)
        refreshing = self._refreshing
        if refreshing is None:
            # A task of its own: the call that needs it first may be cancelled, and the answer may hold the only refresh token
            # that is valid from now on. `finish` waits for it.
            refreshing = self._refreshing = asyncio.create_task(self._refresh(http), name="refresh of an access token")
            refreshing.add_done_callback(self._refreshed)
        await asyncio.wait([refreshing])
        if refreshing.cancelled():
            raise ConnectionFailed("the token refresh was cut off: the event loop is closing")
        failure = refreshing.exception()
        if isinstance(failure, SpotifyAdsError):
            raise _again(failure)
        return refreshing.result()

    def invalidate(self, token: Secret) -> bool:
        """Forget ``token``, unless another one took its place meanwhile.

        Answers false where ``token`` is new and replaced one that was refused as well: yet another will not help.
        """
        if self._access_token != token:
            return True
        if self._follows_refusal and self._clock() - self._fetched_at < _SUSPICIOUS_SECONDS:
            return False
        self._access_token = None
        self._follows_refusal = True
        return True

    async def finish(self) -> None:
        """Wait for a refresh under way, so that a new refresh token is stored."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def _refreshed(self, refreshing: asyncio.Task[Secret]) -> None:
        self._refreshing = None
        if not refreshing.cancelled():
            failure = refreshing.exception()
            if isinstance(failure, AuthenticationError) and _FINAL & {entry.code for entry in failure.error_codes}:
                self._refusal = failure

    async def _refresh(self, http: aiohttp.ClientSession) -> Secret:
        if not self._store_asked:
            self._refresh_token = await self._stored() or self._refresh_token
            self._store_asked = True
        asked_at = self._clock()
        try:
            answer = await self._ask(http)
        except AuthenticationError:
            stored = await self._stored()
            if stored is None or stored == self._refresh_token:
                raise
            self._refresh_token = stored
            answer = await self._ask(http)
        if answer.refresh_token is not None and answer.refresh_token != self._refresh_token:
            await self._rotate(answer.refresh_token)
        self._fetched_at = self._clock()
        self._stale_at = asked_at + answer.expires_in - min(_REFRESH_EARLY_SECONDS, answer.expires_in / 2)
        self._access_token = answer.access_token
        return answer.access_token

    async def _stored(self) -> Secret | None:
        if self._store is None:
            return None
        try:
            return await self._store.load()
        except Exception as problem:  # noqa: BLE001 (somebody else's code)
            failure = ConfigurationError(f"the token store cannot be read ({type(problem).__name__})")
        raise failure

    async def _rotate(self, refresh_token: Secret) -> None:
        self._refresh_token = refresh_token
        if self._store is None:
            return
        try:
            await self._store.save(refresh_token)
        except Exception as problem:  # noqa: BLE001 (the same; this run goes on with what it holds)
            logger.error(  # noqa: TRY400 (a traceback may show the token)
                "the new refresh token could not be stored (%s): sign in again before the next run", type(problem).__name__
            )

    async def _ask(self, http: aiohttp.ClientSession) -> TokenAnswer:
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        return await token_request(http, self._token_url, form, client_id=self._client_id, client_secret=self._client_secret)

    def __repr__(self) -> str:
        return f"RefreshToken(client_id={self._client_id!r}, client_secret='***', refresh_token='***')"


async def token_request(
    http: aiohttp.ClientSession, url: str, form: Mapping[str, str | Secret], *, client_id: str, client_secret: Secret
) -> TokenAnswer:
    """Ask the token endpoint; transport errors, 429 and 5xx are tried again, a refusal is not.

    Raises:
        AuthenticationError: the endpoint refused (4xx), with what to do; ``error_codes`` holds OAuth's code where it named one.
        ConnectionFailed, ServerError, InvalidAnswer: it cannot be reached, fails, or answers something else.
    """
    failure: SpotifyAdsError = ConnectionFailed("the token endpoint was not asked")
    for attempt in range(_ATTEMPTS):
        if attempt:
            await anyio.sleep(0.2 * 2**attempt * random.random())  # noqa: S311 (no secret)
        outcome = await _ask_once(http, url, form, client_id, client_secret)
        if isinstance(outcome, TokenAnswer):
            return outcome
        failure = outcome
        if not isinstance(failure, ConnectionFailed | ServerError):
            break
    raise failure


async def _ask_once(
    http: aiohttp.ClientSession, url: str, form: Mapping[str, str | Secret], client_id: str, client_secret: Secret
) -> TokenAnswer | SpotifyAdsError:
    """One request. What fails is returned, or loses its frames: those of aiohttp hold the secrets."""
    try:
        async with http.post(
            url,
            data=_revealed(form, client_id, client_secret),
            headers=_headers(client_id, client_secret),
            timeout=_TIMEOUT,
            allow_redirects=False,
        ) as response:
            status, body = response.status, await _read(response)
    except (aiohttp.ClientError, OSError, RuntimeError) as cause:
        # RuntimeError: the client was closed meanwhile.
        return ConnectionFailed(f"the token endpoint cannot be reached ({type(cause).__name__}): check the network and try again")
    except BaseException as cause:  # noqa: BLE001 (raised again)
        raise cause.with_traceback(None) from None
    return _outcome(status, body)


def _revealed(form: Mapping[str, str | Secret], client_id: str, client_secret: Secret) -> dict[str, str]:
    fields = {name: value.reveal() if isinstance(value, Secret) else value for name, value in form.items()}
    return fields if client_secret.reveal() else {**fields, "client_id": client_id}


def _headers(client_id: str, client_secret: Secret) -> dict[str, str]:
    if not client_secret.reveal():
        return {"Accept": "application/json"}
    return {"Accept": "application/json", "Authorization": aiohttp.encode_basic_auth(client_id, client_secret.reveal())}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            response.close()
            return b""
    return bytes(body)


class _Fields(msgspec.Struct):
    access_token: Secret
    expires_in: Any = None
    refresh_token: Secret | None = None


class _Refusal(msgspec.Struct):
    error: str = ""


def _outcome(status: int, body: bytes) -> TokenAnswer | SpotifyAdsError:
    if 200 <= status < 300:
        return _granted(status, body)
    if status >= 500 or status == 429:
        return ServerError(f"the token endpoint failed (HTTP {status}): try again later", status=status)
    if status < 400:
        return InvalidAnswer("the token endpoint redirects, and secrets do not follow: check its address", status=status)
    try:
        code = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        code = ""
    if not re.fullmatch(r"[a-z_]{1,40}", code):
        code = ""
    return AuthenticationError(
        f"the token request was refused ({code or f'HTTP {status}'}): {_ADVICE.get(code, _GENERAL_ADVICE)}",
        status=status,
        error_codes=[ErrorCode(code=code)] if code else [],
    )


_ADVICE = {
    "invalid_grant": "the refresh token or code is void: sign in again, for example with `spotify-ads login`",
    "invalid_client": "client ID and client secret do not fit together: check both",
}
_GENERAL_ADVICE = "check client ID, client secret and refresh token, or sign in again"


def _granted(status: int, body: bytes) -> TokenAnswer | SpotifyAdsError:
    try:
        fields = msgspec.json.decode(body, type=_Fields, dec_hook=decode_hook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None
    if fields is None or not header_safe(fields.access_token.reveal()):
        # Nothing of the body is shown: it may hold a token.
        return InvalidAnswer("the token endpoint answered without a usable access token: check its address", status=status)
    seconds = fields.expires_in
    lifetime = float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else _USUAL_LIFETIME
    return TokenAnswer(access_token=fields.access_token, expires_in=lifetime, refresh_token=fields.refresh_token)


def _again(failure: SpotifyAdsError) -> SpotifyAdsError:
    """The same failure for another waiter: an exception object carries one traceback only."""
    return type(failure)(failure.message, status=failure.status, error_codes=failure.error_codes)


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def header_safe(token: str) -> bool:
    """Whether a header may hold ``token``: printable ASCII without spaces, and not empty."""
    return token.isascii() and token.isprintable() and " " not in token and token != ""


def require_secure(url: str) -> None:
    """Refuse an address that would send secrets in the clear: HTTPS, or plain HTTP to this machine.

    Raises:
        ConfigurationError: the scheme is wrong for the host, or it is no plain address.
    """
    parts = _split(url)
    if parts is None or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError("an address is https://host/path, without query and fragment")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("an address with credentials in it ends up in logs: leave them out")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"{parts.scheme}://{parts.hostname} would carry secrets in the clear: use https (plain http is for loopback)"
        )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
