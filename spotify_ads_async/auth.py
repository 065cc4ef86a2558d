"""From credentials to access tokens.

Source: Spotify's Authorization guide: tokens live 3600 s; ``/api/token`` takes HTTP Basic with client ID and secret;
a refresh may answer with a new refresh token, which then replaces the old one.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec

from spotify_ads_async.errors import AuthenticationError, ConfigurationError, ConnectionFailed, ServerError, SpotifyAdsError
from spotify_ads_async.types import Secret

__all__ = ["ACCOUNTS_URL", "AccessToken", "Credentials", "RefreshToken", "TokenAnswer", "require_secure", "token_request"]

ACCOUNTS_URL = "https://accounts.spotify.com"

_REFRESH_EARLY_SECONDS = 60.0
_ATTEMPTS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_LARGEST_ANSWER = 64 * 1024


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


class AccessToken:
    """A token that somebody else keeps fresh.

    Args:
        token: the bearer token.
        client_id: the app's client ID, so that programs of the same app share their quota.
    """

    def __init__(self, token: str, *, client_id: str | None = None) -> None:
        self._token = Secret(_header_safe(token, "access token"))
        self._client_id = client_id

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
    """What ``/api/token`` answers."""

    access_token: str
    expires_in: float = 3600.0
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"TokenAnswer('***', expires_in={self.expires_in})"


class RefreshToken:
    """Access tokens from a refresh token, refreshed a minute before they expire, once however many calls wait.

    Args:
        client_id: the app's client ID.
        client_secret: its secret; empty for an app that signed in with PKCE alone.
        refresh_token: from ``spotify-ads login`` or your own sign-in.
        token_url: the endpoint; the emulator has its own.
        on_rotation: called with a new refresh token before it is used, so that it can be stored.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        token_url: str = f"{ACCOUNTS_URL}/api/token",
        on_rotation: Callable[[Secret], Awaitable[None]] | None = None,
    ) -> None:
        require_secure(token_url)
        self._client_id = client_id
        self._client_secret = Secret(client_secret)
        self._refresh_token = Secret(refresh_token)
        self._token_url = token_url
        self._on_rotation = on_rotation
        self._lock = anyio.Lock()
        self._token: Secret | None = None
        self._stale_at = 0.0
        self._refreshes = 0
        self._failure: SpotifyAdsError | None = None

    @property
    def client_id(self) -> str | None:
        """The app's client ID."""
        return self._client_id

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        """A token with at least a minute to live.

        Raises:
            AuthenticationError: the refresh was refused; every call that waited for it gets this.
            ConnectionFailed, ServerError: the token endpoint cannot be reached or fails.
        """
        if self._token is not None and time.monotonic() < self._stale_at:
            return self._token
        seen = self._refreshes
        async with self._lock:
            if self._token is not None and time.monotonic() < self._stale_at:
                return self._token
            refused_for_good = isinstance(self._failure, AuthenticationError)
            if self._failure is not None and (refused_for_good or self._refreshes != seen):
                raise _again(self._failure)
            try:
                self._token = await self._refresh(http)
                self._failure = None
            except SpotifyAdsError as failure:
                self._failure = failure
                raise
            finally:
                self._refreshes += 1
            return self._token

    def invalidate(self, token: Secret) -> bool:
        """Forget ``token``, unless another one took its place meanwhile."""
        if self._token == token:
            self._token = None
        return True

    async def _refresh(self, http: aiohttp.ClientSession) -> Secret:
        asked_at = time.monotonic()
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token.reveal()}
        answer = await token_request(http, self._token_url, form, client_id=self._client_id, client_secret=self._client_secret)
        if answer.refresh_token and answer.refresh_token != self._refresh_token.reveal():
            rotated = Secret(answer.refresh_token)
            self._refresh_token = rotated
            if self._on_rotation is not None:
                # The old token may be void already: a cancellation must not lose the new one.
                with anyio.CancelScope(shield=True):
                    await self._on_rotation(rotated)
        self._stale_at = asked_at + answer.expires_in - min(_REFRESH_EARLY_SECONDS, answer.expires_in / 2)
        return Secret(answer.access_token)

    def __repr__(self) -> str:
        return f"RefreshToken(client_id={self._client_id!r}, client_secret='***', refresh_token='***')"


async def token_request(
    http: aiohttp.ClientSession, url: str, form: Mapping[str, str], *, client_id: str, client_secret: Secret
) -> TokenAnswer:
    """Ask the token endpoint; transport errors and 5xx are tried again, a refusal is not.

    Raises:
        AuthenticationError: the endpoint refused (4xx), with what to do.
        ConnectionFailed, ServerError: it cannot be reached or fails.
    """
    headers: dict[str, str] = {}
    if client_secret.reveal():
        headers["Authorization"] = aiohttp.encode_basic_auth(client_id, client_secret.reveal())
    else:
        form = {**form, "client_id": client_id}
    failure: SpotifyAdsError = ConnectionFailed("the token endpoint was not asked")
    for attempt in range(_ATTEMPTS):
        try:
            async with http.post(url, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False) as response:
                status = response.status
                body = await response.content.read(_LARGEST_ANSWER)
        except (aiohttp.ClientError, TimeoutError) as cause:
            failure = ConnectionFailed(
                f"the token endpoint cannot be reached ({type(cause).__name__}); check the network and try again"
            )
        else:
            if 200 <= status < 300:
                return _token_answer(body, status)
            if status < 500 and status != 429:
                raise _refused(body, status)
            failure = ServerError("the token endpoint failed; try again later", status=status)
        if attempt + 1 < _ATTEMPTS:
            await anyio.sleep(0.2 * 2**attempt)
    raise failure


def _token_answer(body: bytes, status: int) -> TokenAnswer:
    try:
        answer = msgspec.json.decode(body, type=TokenAnswer)
        _header_safe(answer.access_token, "access token")
    except (msgspec.DecodeError, ConfigurationError):
        # The body holds a token: it is shown to nobody.
        raise AuthenticationError("the token endpoint answered without a usable access token", status=status) from None
    return answer


class _Refusal(msgspec.Struct):
    error: str = ""
    error_description: str = ""


def _refused(body: bytes, status: int) -> AuthenticationError:
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        refusal = _Refusal()
    advice = {
        "invalid_grant": "the refresh token is void: sign in again, for example with `spotify-ads login`",
        "invalid_client": "client ID and client secret do not fit together: check both",
    }.get(refusal.error, "check client ID, client secret and refresh token, or sign in again")
    return AuthenticationError(f"the token refresh was refused ({refusal.error or status}): {advice}", status=status)


def _again(failure: SpotifyAdsError) -> SpotifyAdsError:
    """The same failure for another waiter: an exception object carries one traceback only."""
    return type(failure)(failure.message, status=failure.status)


def _header_safe(token: str, what: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(f"the {what} is empty or holds characters that no header may hold")
    return token


def require_secure(url: str) -> None:
    """Refuse an address that would send secrets in the clear: HTTPS, or plain HTTP to this machine.

    Raises:
        ConfigurationError: the scheme is wrong for the host.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ConfigurationError(
            f"{parts.scheme}://{parts.hostname} would carry the access token in the clear: use https (plain http is for loopback)"
        )
    if parts.username or parts.password:
        raise ConfigurationError("an address with credentials in it ends up in logs: leave them out")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
