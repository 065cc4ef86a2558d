"""Signing in: the authorization-code flow with PKCE, through the user's browser and a server on loopback.

Source: Spotify's Authorization guide (``/authorize``, ``/api/token``, PKCE with S256), RFC 7636 and RFC 8252. The
redirect address must be among those registered for the app: ``http://127.0.0.1:8080/callback`` unless told otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import msgspec
from aiohttp import web

from spotify_ads_async.auth.refresh_token import RefreshToken
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL, token_request
from spotify_ads_async.auth.token_stores import SharedTokenStore, TokenStore
from spotify_ads_async.errors import AuthenticationError, ConfigurationError
from spotify_ads_async.network.addresses import require_secure
from spotify_ads_async.network.connections import open_http
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.types import Secret

__all__ = ["CALLBACK_PORT", "Attempt", "SignIn", "begin", "exchange", "sign_in"]

CALLBACK_PORT = 8080
_PATIENCE_SECONDS = 300.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'",
}


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in leaves behind: all that :class:`RefreshToken` needs.

    ``client_secret`` is empty with PKCE alone.
    """

    client_id: str
    client_secret: Secret
    refresh_token: Secret
    token_url: str = f"{ACCOUNTS_URL}/api/token"

    def credentials(
        self, store: TokenStore | SharedTokenStore | None = None, *, allow_http: Collection[str] = ()
    ) -> RefreshToken:
        """Credentials for a client; ``store`` keeps tokens that replace these."""
        return RefreshToken(
            self.client_id,
            self.client_secret,
            self.refresh_token,
            token_url=self.token_url,
            store=store,
            allow_http=allow_http,
        )


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has begun. Send the user to ``address``; what comes back must carry ``state``."""

    address: str
    redirect_uri: str
    state: Secret
    verifier: Secret


def begin(
    client_id: str,
    *,
    redirect_uri: str,
    scopes: Sequence[str] = (),
    accounts_url: str = ACCOUNTS_URL,
    allow_http: Collection[str] = (),
) -> Attempt:
    """Make the address of the consent page, with a new state and a new PKCE verifier.

    Raises:
        ConfigurationError: no client ID, an address that would carry secrets in the clear, or a redirect that Spotify
            refuses.
    """
    # Plain, neither must stay in this frame while one is refused: a traceback may show it.
    addresses, accounts_url, redirect_uri = (Secret(accounts_url), Secret(redirect_uri)), "", ""
    accounts_url, redirect_uri = require_secure(addresses[0], allow_http), require_secure(addresses[1])
    if urlsplit(redirect_uri).hostname == "localhost":
        raise ConfigurationError(
            "Spotify takes no redirect to localhost: name the address, as in http://127.0.0.1:8080/callback"
        )
    if not client_id:
        raise ConfigurationError("a sign-in needs the app's client ID, from its page in Spotify's developer dashboard")
    state, verifier = Secret(secrets.token_urlsafe(32)), Secret(secrets.token_urlsafe(64))
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state.reveal(),
        "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }
    if scopes:
        query["scope"] = " ".join(scopes)
    address = f"{accounts_url.rstrip('/')}/authorize?{urlencode(query)}"
    return Attempt(address=address, redirect_uri=redirect_uri, state=state, verifier=verifier)


async def exchange(
    attempt: Attempt,
    code: Secret,
    *,
    client_id: str,
    client_secret: Secret,
    accounts_url: str = ACCOUNTS_URL,
    transport: TransportOptions | None = None,
) -> SignIn:
    """Trade the code that came back for tokens.

    Raises:
        AuthenticationError: the code or the client was refused, or no refresh token came.
        ConnectionFailed, ServerError, InvalidAnswer: the endpoint cannot be reached, fails, or answers something else.
    """
    transport = transport or TransportOptions()
    address, accounts_url = Secret(f"{accounts_url.rstrip('/')}/api/token"), ""  # as in `begin`
    token_url = require_secure(address, transport.allow_http)
    form: dict[str, str | Secret] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": attempt.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    async with open_http(transport) as http:
        answer = await token_request(http, token_url, form, client_id=client_id, client_secret=client_secret)
    if answer.refresh_token is None:
        raise AuthenticationError(
            "the sign-in gave no refresh token: check the app's settings in the developer dashboard"
        )
    return SignIn(
        client_id=client_id, client_secret=client_secret, refresh_token=answer.refresh_token, token_url=token_url
    )


async def sign_in(
    client_id: str,
    client_secret: str | Secret = "",
    *,
    visit: Callable[[str], object],
    paste: Callable[[str | None], Awaitable[Secret]] | None = None,
    port: int = CALLBACK_PORT,
    scopes: Sequence[str] = (),
    accounts_url: str = ACCOUNTS_URL,
    patience: float = _PATIENCE_SECONDS,
    transport: TransportOptions | None = None,
) -> SignIn:
    """Let the user sign in with a browser, on this machine or on another one.

    Args:
        client_id: the app's client ID.
        client_secret: its secret; empty for PKCE alone.
        visit: called in a thread of its own with the address to open, for example :func:`webbrowser.open`.
        paste: asks for the address that the browser ended at, where the browser runs elsewhere and cannot reach this
            machine. It is asked beside listening, with what is wrong: None at first, unless the port is taken, and
            later that the answer was no such address.
        port: where to listen on 127.0.0.1; ``http://127.0.0.1:{port}/callback`` must be registered for the app.
        scopes: OAuth scopes; the Ads API names none.
        accounts_url: the accounts service; the emulator has its own.
        patience: seconds to wait for the user.
        transport: how the network is used.

    Raises:
        ConfigurationError: no client ID, or the port is taken and nothing can be pasted.
        AuthenticationError: the user declined, nobody signed in, or the code was refused.
        ConnectionFailed, ServerError, InvalidAnswer: the accounts service cannot be reached, fails, or answers
        something else.
    """
    transport = transport or TransportOptions()
    address, accounts_url = Secret(accounts_url), ""  # as in `begin`
    accounts_url = require_secure(address, transport.allow_http)
    client_secret = client_secret if isinstance(client_secret, Secret) else Secret(client_secret)
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    attempt = begin(
        client_id, redirect_uri=redirect_uri, scopes=scopes, accounts_url=accounts_url, allow_http=transport.allow_http
    )
    callback = _Callback(attempt.state)
    code: Secret | None = None
    async with callback.listening(port) as taken:
        if taken is not None and paste is None:
            raise ConfigurationError(taken)
        # A daemon: some browsers run in the terminal until they are left, and must not keep the time, or this program,
        # with them.
        threading.Thread(target=visit, args=(attempt.address,), name="browser", daemon=True).start()
        with anyio.move_on_after(patience):
            code = await (callback.code() if paste is None else _first_of(callback, paste, taken))
    if code is None:
        raise AuthenticationError(
            f"nobody signed in within {patience:g} s: start again. Where Spotify's page says INVALID_CLIENT, the client"
            f" ID is not that of an app, or {redirect_uri} is not registered for it letter by letter"
        )
    return await exchange(
        attempt, code, client_id=client_id, client_secret=client_secret, accounts_url=accounts_url, transport=transport
    )


async def _first_of(callback: _Callback, paste: Callable[[str | None], Awaitable[Secret]], taken: str | None) -> Secret:
    """The code that the browser brings, or that somebody pastes, who is told first where the port is taken."""

    async def ask() -> None:
        problem = taken and f"{taken}. Or paste here the address that the browser ends at"
        while (problem := callback.take_pasted(await paste(problem))) is not None:
            pass

    asking = asyncio.ensure_future(ask())
    asking.add_done_callback(callback.failed)
    try:
        return await callback.code()
    finally:
        asking.cancel()
        await asyncio.wait([asking])


class _Callback:
    """The server that the consent page sends the browser back to."""

    def __init__(self, state: Secret) -> None:
        self._state = state
        self._outcome: asyncio.Future[Secret | AuthenticationError] = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncGenerator[str | None]:
        """Listen on 127.0.0.1 alone. Yields why that cannot be, and what to do, where the port is taken."""
        app = web.Application()
        app.router.add_get("/callback", self._answer)
        # No log: its lines would hold the code, also those about requests that cannot be read.
        silent = logging.Logger("callback", logging.CRITICAL + 1)  # noqa: LOG001 (one of nobody else's)
        runner = web.AppRunner(app, access_log=None, logger=silent)
        await runner.setup()
        taken: str | None = None
        try:
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError as problem:
                taken = (
                    f"port {port} of 127.0.0.1 is taken ({problem.strerror}): end what uses it, or choose another port"
                    " and register http://127.0.0.1:PORT/callback for the app"
                )
            yield taken
        finally:
            await runner.cleanup()

    async def code(self) -> Secret:
        """The code, once the browser has brought it.

        Raises:
            AuthenticationError: the user declined.
        """
        outcome = await self._outcome
        if isinstance(outcome, AuthenticationError):
            raise outcome
        return outcome

    def take_pasted(self, address: Secret) -> str | None:
        """Take the address that the browser ended at.

        Answers what is wrong with it, where it is not the answer to this sign-in.
        """
        # Not urlsplit, which takes no broken address, and whose errors show it.
        query = dict(parse_qsl(address.reveal().strip().partition("?")[2].partition("#")[0]))
        if not self._is_ours(query):
            return "that is not where this sign-in ended: copy the whole address that the browser shows at the end"
        if not self._outcome.done():
            self._take(query)
        return None

    def failed(self, asking: asyncio.Future[None]) -> None:
        """Asking for the address came to an end without one."""
        if not asking.cancelled() and (problem := asking.exception()) is not None and not self._outcome.done():
            self._outcome.set_exception(problem)

    def _is_ours(self, query: Mapping[str, str]) -> bool:
        """Whether the consent page ended this sign-in so. The address to sign in at has the state too, and no end."""
        state = query.get("state", "") if "code" in query or "error" in query else ""
        return hmac.compare_digest(state.encode(), self._state.reveal().encode())

    def _take(self, query: Mapping[str, str]) -> bool:
        """Take the answer of the consent page: whether the user agreed."""
        code, refusal = query.get("code"), query.get("error")
        if refusal is None and code:
            self._outcome.set_result(Secret(code))
            return True
        reason = refusal if refusal is not None and refusal.isidentifier() else "no code came"
        advice = _DECLINED.get(reason, "start again and agree to it")
        self._outcome.set_result(AuthenticationError(f"the sign-in was declined ({reason}): {advice}"))
        return False

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._is_ours(request.query):
            # Whoever sent this does not know the state: the real answer may still come.
            return _page(400, "This is not the answer to the sign-in that is under way. Start again from the terminal.")
        if self._outcome.done():
            return _page(409, "This sign-in is over. You can close this window.")
        if not self._take(request.query):
            return _page(403, "You have not signed in. You can close this window.")
        return _page(200, "You have signed in. You can close this window and go back to the terminal.")


_DECLINED = {
    "unauthorized_client": "the app may not sign in this way; check its settings in the developer dashboard",
    "invalid_scope": "the app may not have these scopes; leave them out, the Ads API names none",
    "server_error": "the accounts service failed; start again later",
    "temporarily_unavailable": "the accounts service is busy; start again later",
}


def _page(status: int, text: str) -> web.Response:
    """A page that says nothing of what was sent."""
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>spotify-ads</title><p>{text}</p></html>"
    return web.Response(status=status, text=body, content_type="text/html", headers=_HEADERS)
