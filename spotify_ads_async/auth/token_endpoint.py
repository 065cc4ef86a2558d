"""Token endpoint: what is asked of ``/api/token``, and what its answers mean.

Source: Spotify's Authorization guide: tokens live 3600 s; ``/api/token`` takes HTTP Basic with client ID and secret; a
refresh may answer with a new refresh token, which then replaces the old one. RFC 6749 (5.2) has the codes of refusals.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

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
from spotify_ads_async.network.connections import proxy_on_the_way
from spotify_ads_async.network.problems import explained_connection_error, never_left, without_frames
from spotify_ads_async.types import Secret, decode_hook

__all__ = ["ACCOUNTS_URL", "FINAL_CODES", "TokenAnswer", "header_safe", "token_request"]

ACCOUNTS_URL = "https://accounts.spotify.com"
FINAL_CODES = frozenset({"invalid_grant", "invalid_client", "unauthorized_client"})
"""OAuth's codes after which asking again with the same credentials cannot help."""

FieldsT = TypeVar("FieldsT")

_USUAL_LIFETIME = 3600.0
_LONGEST_LIFETIME = 1e9
_ATTEMPTS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_LARGEST_ANSWER = 64 * 1024


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``/api/token`` answers. ``expires_in`` is seconds.

    ``access_token`` is None where it cannot be used: a refresh token that came with it may have voided the one before.
    """

    access_token: Secret | None
    expires_in: float = _USUAL_LIFETIME
    refresh_token: Secret | None = None


async def token_request(
    http: aiohttp.ClientSession,
    url: str,
    form: Mapping[str, str | Secret],
    *,
    client_id: str,
    client_secret: Secret,
    wanted: Callable[[], bool] = lambda: True,
) -> TokenAnswer:
    """Ask the token endpoint; transport errors, 429 and 5xx are tried again while it is wanted, a refusal is not.

    Raises:
        AuthenticationError: the endpoint refused (4xx), with what to do; ``error_codes`` holds OAuth's code where it
            named one.
        ConfigurationError: what would be sent is no text that can be.
        ConnectionFailed, ServerError, InvalidAnswer: it cannot be reached, fails, or answers something else.
    """
    if not _can_be_sent(form, client_id, client_secret):
        raise ConfigurationError(
            "client ID, client secret or token hold characters that cannot be sent: copy them again, for example from"
            " the developer dashboard"
        )
    failure: SpotifyAdsError = ConnectionFailed("the token endpoint was not asked")
    unheard = False
    for attempt in range(_ATTEMPTS):
        if attempt:
            await anyio.sleep(0.2 * 2**attempt * random.random())  # noqa: S311 (no secret)
        outcome = await _ask_once(http, url, form, client_id, client_secret)
        if isinstance(outcome, TokenAnswer):
            return outcome
        if isinstance(outcome, AuthenticationError) and unheard:
            outcome.add_note("an attempt before this one got no answer, and that answer may have replaced the token")
        failure = outcome
        unheard = unheard or (isinstance(failure, ConnectionFailed) and failure.may_have_taken_effect)
        if not isinstance(failure, ConnectionFailed | ServerError) or not wanted():
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
        return ConnectionFailed(
            "the token endpoint cannot be reached"
            f" ({explained_connection_error(cause, proxy_on_the_way(http, url))}): check the network and try again",
            may_have_taken_effect=not never_left(cause),
        )
    except BaseException as cause:  # noqa: BLE001 (raised again)
        raise without_frames(cause) from None
    return _outcome(status, body)


def _can_be_sent(form: Mapping[str, str | Secret], client_id: str, client_secret: Secret) -> bool:
    sent = (client_id, client_secret.reveal(), *_revealed(form, client_id, client_secret).values())
    return ":" not in client_id and all(one.isprintable() for one in sent)


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


class _Access(msgspec.Struct):
    access_token: Secret
    expires_in: Any = None


class _Replacement(msgspec.Struct):
    refresh_token: Secret


class _Refusal(msgspec.Struct):
    error: str = ""


def _outcome(status: int, body: bytes) -> TokenAnswer | SpotifyAdsError:
    if 200 <= status < 300:
        return _granted(status, body)
    if status >= 500 or status == 429:
        return ServerError(f"the token endpoint failed (HTTP {status}): try again later", status=status)
    if status < 300:
        return InvalidAnswer("the token endpoint gives no whole answer: check its address", status=status)
    if status < 400:
        return InvalidAnswer(
            "the token endpoint redirects, and secrets do not follow: check its address", status=status
        )
    refusal = _decoded(body, _Refusal)
    code = "" if refusal is None else refusal.error
    if not re.fullmatch(r"[a-z_]{1,40}", code):
        code = ""
    return AuthenticationError(
        f"the token request was refused ({code or f'HTTP {status}'}): {_ADVICE.get(code, _GENERAL_ADVICE)}",
        status=status,
        error_codes=[ErrorCode(code=code)] if code else [],
    )


_ADVICE = {
    "invalid_grant": "the refresh token or code is void: sign in again, for example with `spotify-ads login`",
    "invalid_client": (
        "client ID and client secret do not fit together, or the app is gone: check both in the developer dashboard"
    ),
    "unauthorized_client": "the app may not sign in this way: check its settings in the developer dashboard",
    "invalid_request": (
        "a part of the request is wrong, often the redirect address: register it for the app letter by letter"
    ),
}
_GENERAL_ADVICE = "check client ID, client secret and refresh token, or sign in again"


def _granted(status: int, body: bytes) -> TokenAnswer | SpotifyAdsError:
    access, replacement = _decoded(body, _Access), _decoded(body, _Replacement)
    access_token = access.access_token if access and header_safe(access.access_token.reveal()) else None
    replaced = replacement.refresh_token if replacement and _is_token(replacement.refresh_token) else None
    if access_token is None and replaced is None:
        # Nothing of the body is shown: it may hold a token.
        return InvalidAnswer(
            "the token endpoint answered without a usable access token: check its address", status=status
        )
    seconds = None if access is None else access.expires_in
    lifetime = _USUAL_LIFETIME
    if isinstance(seconds, int | float) and 0 <= seconds <= _LONGEST_LIFETIME:
        lifetime = float(seconds)
    return TokenAnswer(access_token=access_token, expires_in=lifetime, refresh_token=replaced)


def _decoded(body: bytes, kind: type[FieldsT]) -> FieldsT | None:
    """What of an answer can be read by itself: one token that cannot does not take the other with it."""
    try:
        return msgspec.json.decode(body, type=kind, dec_hook=decode_hook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_token(given: Secret) -> bool:
    """Whether it can be sent again: an empty one is none, and must not take the place of the one that is kept."""
    return given.reveal().isprintable() and given.reveal().strip() != ""


def header_safe(token: str) -> bool:
    """Whether a header may hold ``token``: printable ASCII without spaces, and not empty."""
    return token.isascii() and token.isprintable() and " " not in token and token != ""
