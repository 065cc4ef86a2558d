"""From credentials to access tokens: refreshed in time, once for everybody who shares a sign-in.

Source: Spotify's Authorization guide: tokens live 3600 s, and a refresh may answer with a new refresh token, which then
replaces the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from contextvars import Context
from typing import Any, cast

import aiohttp
import msgspec

from spotify_ads_async.auth.credentials import NotCopied, secret_of
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL, FINAL_CODES, TokenAnswer, token_request
from spotify_ads_async.auth.token_stores import KeptTokens, SharedTokenStore, Tokens, TokenStore
from spotify_ads_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    InvalidAnswer,
    SpotifyAdsError,
)
from spotify_ads_async.forks import LEFT_TO_THE_PARENT, when_forked
from spotify_ads_async.loops import LoopAway, on_loop
from spotify_ads_async.network.addresses import require_secure
from spotify_ads_async.types import Secret

__all__ = ["RefreshToken"]

logger = logging.getLogger("spotify_ads_async")

_REFRESH_EARLY_SECONDS = 60.0
_YOUNG_SECONDS = 60.0
_LONGEST_REFUSAL_SECONDS = 60.0
_CLOCK_TOLERANCE_SECONDS = 60.0
_SILENT_SECONDS = 3.0


class _Access(msgspec.Struct, frozen=True):
    """An access token in use.

    It is stale when either clock says so: one stands still while the machine sleeps, the other may be set.
    """

    token: Secret
    since: float
    stale_at: float
    stale_at_posix: float

    @classmethod
    def shared(cls, kept: Tokens, clock: float) -> _Access | None:
        """The access token that a store keeps, where it has a while to live; the monotonic clock's time."""
        now = time.time()
        early = min(_REFRESH_EARLY_SECONDS, (kept.expires_at - kept.issued_at) / 2)
        stale_at_posix = kept.expires_at - early
        if kept.access_token is None or not kept.issued_at - _CLOCK_TOLERANCE_SECONDS <= now < stale_at_posix:
            return None
        return cls(kept.access_token, clock, clock + stale_at_posix - now, stale_at_posix)

    def fresh(self, now: float) -> bool:
        return now < self.stale_at and time.time() < self.stale_at_posix


class _InVain:
    """Access tokens that the API refused as soon as they were issued: how many, and when the next may be asked for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._next_at = 0.0

    def refused(self, *, stood: bool) -> bool:
        """A token was refused, which ``stood`` before or did not: whether the next may be asked for at once."""
        self._count = 1 if stood else self._count + 1
        wait = 0.0 if self._count < 2 else min(_LONGEST_REFUSAL_SECONDS, 2.0 ** min(self._count - 2, 10))
        self._next_at = self._clock() + wait
        return wait == 0.0

    def require_patience(self) -> None:
        """Refuse while the next token must not be asked for yet."""
        wait = self._next_at - self._clock() if self._count else 0.0
        if wait > 0.0:
            raise AuthenticationError(
                f"the API refused {self._count} access tokens as soon as they were issued, and the next is asked for"
                f" in {wait:.0f} s: check that token endpoint and API belong together, and that the app may use the"
                " Ads API",
                status=401,
            )


class RefreshToken(NotCopied):
    """Access tokens from a refresh token, refreshed a minute before they expire.

    Once, however many calls, loops and processes wait.

    Args:
        client_id: the app's client ID.
        client_secret: its secret; empty for an app that signed in with PKCE alone.
        refresh_token: from ``spotify-ads login`` or your own sign-in. A token that ``store`` holds goes before it.
        token_url: the endpoint; the emulator has its own.
        store: keeps a refresh token that replaces this one. It is read before every refresh: another process may have
            replaced the token. A :class:`~spotify_ads_async.auth.token_stores.SharedTokenStore`, such as a profile's,
            also shares access tokens, and lets one process at a time refresh. Without a store, a forked process has a
            copy of the token, which is void once the other one has replaced it.
        allow_http: hosts that plain http may go to, for a test server on a network of your own.
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
        store: TokenStore | SharedTokenStore | None = None,
        allow_http: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret = secret_of(client_secret)
        self._refresh_token = refresh_token = secret_of(refresh_token)
        # Plain, none of them must stay in this frame: a traceback may show it.
        address, token_url = Secret(token_url), ""
        self._token_url = require_secure(address, allow_http)
        self._kept = KeptTokens(store)
        self._clock = clock
        self._access: _Access | None = None
        self._worked: Secret | None = None
        self._refused: Secret | None = None
        self._in_vain = _InVain(clock)
        self._replaced: Secret | None = None
        self._refreshing: dict[asyncio.AbstractEventLoop, asyncio.Task[Secret]] = {}
        self._refusal: AuthenticationError | None = None
        self._waiting, self._asking, self._forked = 0, False, False
        when_forked(self._begin_anew)

    @property
    def client_id(self) -> str | None:
        """The app's client ID."""
        return self._client_id

    @property
    def token_url(self) -> str:
        """The endpoint that gives access tokens."""
        return self._token_url

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        """A token with at least a minute to live, if the endpoint gives such.

        Raises:
            AuthenticationError: the refresh was refused; every call that waited for it gets this, and so does each
                later one. Or the API refused the tokens that were just issued.
            ConnectionFailed, ServerError, InvalidAnswer: the token endpoint cannot be reached, fails, or answers
            something else.
        """
        access = self._access
        if access is not None and access.fresh(self._clock()):
            return access.token
        if self._refusal is not None and not self._kept.elsewhere:
            raise _again(self._refusal)
        self._in_vain.require_patience()
        loop = asyncio.get_running_loop()
        refreshing = self._refreshing.get(loop)
        if refreshing is None or refreshing.cancelling():
            # A task and context of its own: the call that needs it first may be cancelled, and the answer may hold the
            # only refresh token that is valid from now on. `finish` waits for it.
            refreshing = loop.create_task(self._refresh(http), name="refresh of an access token", context=Context())
            _abandon(self._refreshing, lambda one: one.is_closed())
            self._refreshing[loop] = refreshing
            refreshing.add_done_callback(lambda task: self._ended(loop, task))
        self._waiting += 1
        try:
            await asyncio.wait([refreshing])
        finally:
            self._waiting -= 1
        failure = None if refreshing.cancelled() else refreshing.exception()
        if refreshing.cancelled() or (refreshing.cancelling() and isinstance(failure, RuntimeError)):
            raise ConnectionFailed("the token refresh was cut off: the event loop is closing, or stood still")
        if isinstance(failure, SpotifyAdsError):
            raise _again(failure)
        return refreshing.result()

    def accepted(self, token: Secret) -> None:
        """The API took ``token``: should it be refused later, it was revoked, and another one will help."""
        if self._access is not None and self._access.token is token:
            self._worked = token

    def invalidate(self, token: Secret) -> bool:
        """Forget ``token``, unless another one took its place meanwhile.

        Answers false where tokens are refused as soon as they are issued: after the second, the next is asked for a
        second later, then two, four and so on up to a minute, and no request is sent with a token that is known to be
        bad.
        """
        access = self._access
        if access is None or access.token != token:
            return True
        self._access, self._refused = None, token
        stood = self._worked == token or self._clock() - access.since >= _YOUNG_SECONDS
        return self._in_vain.refused(stood=stood)

    async def finish(self) -> None:
        """Wait for a refresh under way, so that a new refresh token is stored. One that has not begun is given up."""
        for loop, refreshing in list(self._refreshing.items()):
            with contextlib.suppress(LoopAway):
                await on_loop(loop, functools.partial(self._finish, refreshing))

    async def _finish(self, refreshing: asyncio.Task[Secret]) -> None:
        if not self._asking and not self._waiting:
            refreshing.cancel()  # another process is at it, or a keyring asks for somebody
        _, late = await asyncio.wait([refreshing], timeout=_SILENT_SECONDS)
        if late:
            logger.warning("waiting 15 s at most for the token endpoint, whose answer may replace the refresh token")
            await asyncio.wait(late)

    def _ended(self, loop: asyncio.AbstractEventLoop, refreshing: asyncio.Task[Secret]) -> None:
        if self._refreshing.get(loop) is refreshing:
            del self._refreshing[loop]
        if not refreshing.cancelled():
            refreshing.exception()  # whoever waits is told; where nobody does any more, nobody misses it

    async def _refresh(self, http: aiohttp.ClientSession) -> Secret:
        async with self._kept.turn(lambda: _abandon(self._refreshing, lambda one: not one.is_running())):
            if self._access is not None and self._access.fresh(self._clock()):
                return self._access.token  # another loop was faster
            kept = await self._kept.read()
            shared = None if kept is None else _Access.shared(kept, self._clock())
            if shared is not None and shared.token != self._refused:
                self._access = shared
                return shared.token
            changed = self._take_up(kept)
            if self._refusal is not None and not changed:
                raise _again(self._refusal)
            self._refusal = None
            self._asking = True
            try:
                return await self._asked(http, Tokens(refresh_token=self._refresh_token) if kept is None else kept)
            finally:
                self._asking = False

    async def _asked(self, http: aiohttp.ClientSession, begun: Tokens) -> Secret:
        """Ask and keep the answer, which nothing may come between."""
        asked_with = self._refresh_token
        # Spotify replaces the refresh tokens of apps that signed in with PKCE alone.
        await self._kept.note(
            msgspec.structs.replace(begun, refreshing_since=time.time()), rotates=not self._client_secret.reveal()
        )
        try:
            asked_at, answer = await self._ask(http)
        except AuthenticationError as refusal:
            if self._refresh_token == asked_with:  # else the store has another one by now
                with contextlib.suppress(ConfigurationError):
                    await self._kept.note(begun, rotates=False)
            if FINAL_CODES & {entry.code for entry in refusal.error_codes}:
                self._refusal = refusal
            if self._forked and not self._kept.elsewhere:
                refusal.add_note(
                    "this process was forked with a refresh token that no store keeps: where Spotify replaces it,"
                    " the first of the processes that refreshes voids the others' copies. Keep the sign-in in a"
                    " profile, which they share"
                )
            _note_what_was_cut_off(refusal, begun)
            raise
        return await self._take(asked_at, answer, begun)

    async def _ask(self, http: aiohttp.ClientSession) -> tuple[float, TokenAnswer]:
        """When was asked, and the answer. A store without turns may hold another token by now."""
        while True:
            asked_at = self._clock()
            form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
            try:
                return asked_at, await token_request(
                    http,
                    self._token_url,
                    form,
                    client_id=self._client_id,
                    client_secret=self._client_secret,
                    wanted=lambda: self._waiting > 0,
                )
            except AuthenticationError:
                if not self._kept.elsewhere or not self._take_up(await self._kept.read()):
                    raise

    async def _take(self, asked_at: float, answer: TokenAnswer, begun: Tokens) -> Secret:
        lifetime = answer.expires_in
        early = min(_REFRESH_EARLY_SECONDS, lifetime / 2)
        now = time.time()
        rotated = answer.refresh_token is not None and answer.refresh_token != self._refresh_token
        if answer.refresh_token is not None and rotated:
            self._replaced, self._refresh_token = self._refresh_token, answer.refresh_token
        if answer.access_token is None:
            replaced = ""
            if rotated:
                tokens = msgspec.structs.replace(begun, refresh_token=self._refresh_token, refreshing_since=None)
                await self._kept.write(tokens, rotated=True)
                replaced = "with a new refresh token, which takes the old one's place, and "
            raise InvalidAnswer(
                f"the token endpoint answered {replaced}without a usable access token: check its address, and try again"
            )
        self._access = _Access(answer.access_token, self._clock(), asked_at + lifetime - early, now + lifetime - early)
        tokens = Tokens(
            refresh_token=self._refresh_token,
            access_token=answer.access_token,
            issued_at=now,
            expires_at=now + lifetime,
        )
        await self._kept.write(tokens, rotated=rotated)
        return answer.access_token

    def _take_up(self, kept: Tokens | None) -> bool:
        """Go on with the store's refresh token, unless it was replaced here and the new one could not be kept.

        And with the app's secret that came with it. Answers whether that is another sign-in than before.
        """
        if kept is None or kept.refresh_token == self._replaced:
            return False
        before = self._refresh_token, self._client_secret
        self._refresh_token, self._client_secret = kept.refresh_token, kept.client_secret or self._client_secret
        return before != (self._refresh_token, self._client_secret)

    def _begin_anew(self) -> None:
        """This process is a fork: what is under way, and whoever waits for it, is the parent's."""
        LEFT_TO_THE_PARENT.append(self._refreshing)
        self._refreshing, self._waiting, self._asking, self._forked = {}, 0, False, True

    def __repr__(self) -> str:
        return f"RefreshToken(client_id={self._client_id!r}, client_secret='***', refresh_token='***')"


def _abandon(
    under_way: dict[asyncio.AbstractEventLoop, asyncio.Task[Secret]], gone: Callable[[asyncio.AbstractEventLoop], bool]
) -> None:
    """What is under way on such loops will never go on: it gives back its turn, for which others wait."""
    left = [under_way.pop(loop, None) for loop in list(under_way) if gone(loop)]
    for refreshing in filter(None, left):  # another thread may see to it, too
        # Where the loop goes on after all, whoever waits there is told. How the rest of it fails is nobody's concern.
        for end in (cast("Coroutine[Any, Any, Secret]", refreshing.get_coro()).close, refreshing.cancel):
            with contextlib.suppress(Exception):
                end()


def _note_what_was_cut_off(refusal: AuthenticationError, begun: Tokens) -> None:
    if begun.refreshing_since is not None:
        ago = max(0.0, time.time() - begun.refreshing_since)
        refusal.add_note(f"a refresh that began {ago:.0f} s ago was cut off, and may have replaced the token")


def _again(failure: SpotifyAdsError) -> SpotifyAdsError:
    """The same failure for another waiter: an exception object carries one traceback only."""
    again = type(failure)(failure.message, status=failure.status, error_codes=failure.error_codes)
    for note in getattr(failure, "__notes__", ()):
        again.add_note(note)
    return again
