"""Signing in: the authorization-code flow with PKCE, through the user's browser and a server on loopback.

Source: Spotify's Authorization guide (``/authorize``, ``/api/token``, PKCE with S256), RFC 7636 and RFC 8252. The redirect
address must be among those registered for the app: ``http://127.0.0.1:8080/callback`` unless told otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from urllib.parse import urlencode

import aiohttp
import anyio
import anyio.to_thread
import msgspec
from aiohttp import web

from spotify_ads_async.auth.credentials import ACCOUNTS_URL, RefreshToken, TokenStore, require_secure, token_request
from spotify_ads_async.errors import AuthenticationError, ConfigurationError
from spotify_ads_async.types import Secret

__all__ = ["CALLBACK_PORT", "Attempt", "SignIn", "begin", "exchange", "sign_in"]

CALLBACK_PORT = 8080
_PATIENCE_SECONDS = 300.0
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'"}


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in leaves behind: all that :class:`RefreshToken` needs. ``client_secret`` is empty with PKCE alone."""

    client_id: str
    client_secret: Secret
    refresh_token: Secret
    token_url: str = f"{ACCOUNTS_URL}/api/token"

    def credentials(self, store: TokenStore | None = None) -> RefreshToken:
        """Credentials for a client; ``store`` keeps a refresh token that replaces this one."""
        return RefreshToken(self.client_id, self.client_secret, self.refresh_token, token_url=self.token_url, store=store)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has begun. Send the user to ``address``; what comes back must carry ``state``."""

    address: str
    redirect_uri: str
    state: Secret
    verifier: Secret


def begin(client_id: str, *, redirect_uri: str, scopes: Sequence[str] = (), accounts_url: str = ACCOUNTS_URL) -> Attempt:
    """Make the address of the consent page, with a new state and a new PKCE verifier.

    Raises:
        ConfigurationError: no client ID, or an address that would carry secrets in the clear.
    """
    require_secure(accounts_url)
    require_secure(redirect_uri)
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


async def exchange(attempt: Attempt, code: Secret, *, client_id: str, client_secret: Secret, accounts_url: str = ACCOUNTS_URL) -> SignIn:
    """Trade the code that came back for tokens.

    Raises:
        AuthenticationError: the code or the client was refused, or no refresh token came.
        ConnectionFailed, ServerError, InvalidAnswer: the endpoint cannot be reached, fails, or answers something else.
    """
    token_url = f"{accounts_url.rstrip('/')}/api/token"
    require_secure(token_url)
    form: dict[str, str | Secret] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": attempt.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        answer = await token_request(http, token_url, form, client_id=client_id, client_secret=client_secret)
    if answer.refresh_token is None:
        raise AuthenticationError("the sign-in gave no refresh token: check the app's settings in the developer dashboard")
    return SignIn(client_id=client_id, client_secret=client_secret, refresh_token=answer.refresh_token, token_url=token_url)


async def sign_in(
    client_id: str,
    client_secret: str | Secret = "",
    *,
    visit: Callable[[str], object],
    port: int = CALLBACK_PORT,
    scopes: Sequence[str] = (),
    accounts_url: str = ACCOUNTS_URL,
    patience: float = _PATIENCE_SECONDS,
) -> SignIn:
    """Let the user sign in with a browser on this machine.

    Args:
        client_id: the app's client ID.
        client_secret: its secret; empty for PKCE alone.
        visit: called in a worker thread with the address to open, for example :func:`webbrowser.open`.
        port: where to listen on 127.0.0.1; ``http://127.0.0.1:{port}/callback`` must be registered for the app.
        scopes: OAuth scopes; the Ads API names none.
        accounts_url: the accounts service; the emulator has its own.
        patience: seconds to wait for the user.

    Raises:
        ConfigurationError: no client ID, or the port is taken.
        AuthenticationError: the user declined, nobody signed in, or the code was refused.
        ConnectionFailed, ServerError, InvalidAnswer: the accounts service cannot be reached, fails, or answers something else.
    """
    client_secret = client_secret if isinstance(client_secret, Secret) else Secret(client_secret)
    attempt = begin(client_id, redirect_uri=f"http://127.0.0.1:{port}/callback", scopes=scopes, accounts_url=accounts_url)
    callback = _Callback(attempt.state)
    code: Secret | None = None
    async with callback.listening(port):
        with anyio.move_on_after(patience):
            await anyio.to_thread.run_sync(visit, attempt.address, abandon_on_cancel=True)
            code = await callback.code()
    if code is None:
        raise AuthenticationError(f"nobody signed in within {patience:g} s: start again")
    return await exchange(attempt, code, client_id=client_id, client_secret=client_secret, accounts_url=accounts_url)


class _Callback:
    """The server that the consent page sends the browser back to."""

    def __init__(self, state: Secret) -> None:
        self._state = state
        self._outcome: asyncio.Future[Secret | AuthenticationError] = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncGenerator[None]:
        """Listen on 127.0.0.1 alone.

        Raises:
            ConfigurationError: the port is taken.
        """
        app = web.Application()
        app.router.add_get("/callback", self._answer)
        # No access log: its lines would hold the code.
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError as problem:
                raise ConfigurationError(
                    f"port {port} of 127.0.0.1 is taken ({problem.strerror}): end what uses it, or choose another port and register "
                    f"http://127.0.0.1:PORT/callback for the app"
                ) from None
            yield
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

    async def _answer(self, request: web.Request) -> web.Response:
        given = request.query.get("state", "")
        if not hmac.compare_digest(given.encode(), self._state.reveal().encode()):
            # Whoever sent this does not know the state: the real answer may still come.
            return _page(400, "This is not the answer to the sign-in that is under way. Start again from the terminal.")
        code, refusal = request.query.get("code"), request.query.get("error")
        if self._outcome.done():
            return _page(409, "This sign-in is over. You can close this window.")
        if refusal is not None or not code:
            reason = refusal if refusal is not None and refusal.isidentifier() else "no code came"
            self._outcome.set_result(AuthenticationError(f"the sign-in was declined ({reason}): start again and agree to it"))
            return _page(403, "You have not signed in. You can close this window.")
        self._outcome.set_result(Secret(code))
        return _page(200, "You have signed in. You can close this window and go back to the terminal.")


def _page(status: int, text: str) -> web.Response:
    """A page that says nothing of what was sent."""
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>spotify-ads</title><p>{text}</p></html>"
    return web.Response(status=status, text=body, content_type="text/html", headers=_HEADERS)
