"""Token stores: where a sign-in's tokens are kept between runs, and shared by processes."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import anyio
import msgspec

from spotify_ads_async.errors import ConfigurationError, SpotifyAdsError
from spotify_ads_async.forks import when_forked
from spotify_ads_async.types import Secret

__all__ = ["KeptTokens", "SharedTokenStore", "TokenStore", "Tokens"]

logger = logging.getLogger("spotify_ads_async")

_POLL_SECONDS, _PATIENCE_SECONDS = 0.02, 3.0
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a sign-in. Times are POSIX seconds, so that other processes can read them.

    ``refreshing_since`` is when a refresh began whose end was not kept: whoever began it is still at it, or was ended
    in between. ``client_secret`` is the app's, where the store has it: a new one comes with a new sign-in.
    """

    refresh_token: Secret
    access_token: Secret | None = None
    issued_at: float = 0.0
    expires_at: float = 0.0
    refreshing_since: float | None = None
    client_secret: Secret | None = None


class TokenStore(Protocol):
    """Where a refresh token is kept between runs: a profile, a database row, a secret manager."""

    async def load(self) -> Secret | None:
        """The refresh token as last saved, None where there is none."""
        ...

    async def save(self, refresh_token: Secret) -> None:
        """Replace the refresh token, all or nothing: from now on the old one may be void."""
        ...


@runtime_checkable
class SharedTokenStore(Protocol):
    """Where the tokens of a sign-in are shared by processes: one of them refreshes, and all use what it got."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Be the only one that reads and writes, among all processes, until the block ends or the process dies."""
        ...

    async def read(self) -> Tokens | None:
        """The tokens as last written, None where there are none."""
        ...

    async def write(self, tokens: Tokens) -> None:
        """Replace the tokens, all or nothing, durably once this returns."""
        ...


class KeptTokens:
    """What a credential keeps in its store: in turns, and with what goes wrong there said in words of ours.

    Args:
        store: where the tokens are kept; one without turns gives each process a turn with itself alone.
    """

    def __init__(self, store: TokenStore | SharedTokenStore | None) -> None:
        self.elsewhere = store is not None
        """Whether another run can read them."""
        self._store = store if isinstance(store, SharedTokenStore) else _RefreshTokenAlone(store)
        self._lock = threading.Lock()
        when_forked(self.begin_anew)

    def begin_anew(self) -> None:
        """This process is a fork: whoever held the lock in the parent will never give it back here."""
        self._lock = threading.Lock()

    @contextlib.asynccontextmanager
    async def turn(self, late: Callable[[], object]) -> AsyncGenerator[None]:
        """Be the only one who refreshes: among the loops of this process, and among those who share the store.

        Whoever waits for another loop calls ``late`` again and again once that takes long.
        """
        lock, patient_until = self._lock, time.monotonic() + _PATIENCE_SECONDS
        while not lock.acquire(blocking=False):
            if time.monotonic() > patient_until:
                late()
            await anyio.sleep(_POLL_SECONDS)  # no event of one loop wakes another
        try:
            async with self._store.turn():
                yield
        finally:
            lock.release()

    async def read(self) -> Tokens | None:
        """The tokens as last written, None where there are none.

        Raises:
            ConfigurationError: the store fails.
        """
        try:
            return await self._store.read()
        except SpotifyAdsError:
            raise
        except Exception as problem:  # noqa: BLE001 (somebody else's code)
            failure = ConfigurationError(f"the token store cannot be read ({type(problem).__name__})")
        raise failure

    async def note(self, tokens: Tokens, *, rotates: bool) -> None:
        """Keep that a refresh begins. ``rotates``: its answer voids the token that is kept for certain.

        Raises:
            ConfigurationError: that fails, and would with the answer, which is not to be lost. Where nothing may ever
                be written, such as on a read-only mount, what does not rotate is asked for all the same.
        """
        try:
            await self._store.write(tokens)
        except Exception as problem:  # noqa: BLE001 (somebody else's code)
            if not rotates and getattr(problem.__cause__ or problem, "errno", None) in _READ_ONLY:
                return
            reason = _reason(problem)
        else:
            return
        raise ConfigurationError(
            f"no access token was asked for: the refresh token that may come with it could not be kept ({reason})"
        )

    async def write(self, tokens: Tokens, *, rotated: bool) -> None:
        """Keep what a refresh gave; the log says where that fails. ``rotated``: the refresh token is a new one."""
        if not self.elsewhere:
            if rotated:
                logger.warning(
                    "the refresh token was replaced, and no store keeps the new one: the next run, and processes that"
                    " were forked before, may have to sign in again"
                )
            return
        try:
            await self._store.write(tokens)
        except Exception as problem:  # noqa: BLE001 (somebody else's code; this run goes on with what it holds)
            if rotated:
                logger.error(  # noqa: TRY400 (a traceback may show the token)
                    "the new refresh token could not be stored (%s): sign in again before the next run",
                    _reason(problem),
                )
            else:
                logger.warning(
                    "the access token could not be shared (%s): each process refreshes for itself",
                    _reason(problem),
                )


def _reason(problem: Exception) -> str:
    """Why a store failed: in its own words where they are of this package, which show no secret."""
    return str(problem) if isinstance(problem, SpotifyAdsError) else type(problem).__name__


class _RefreshTokenAlone:
    """A store that keeps a refresh token and nothing else, or, without a store, nothing at all."""

    def __init__(self, store: TokenStore | None) -> None:
        self._store = store
        self._known: Secret | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        yield

    async def read(self) -> Tokens | None:
        self._known = None if self._store is None else await self._store.load()
        return None if self._known is None else Tokens(refresh_token=self._known)

    async def write(self, tokens: Tokens) -> None:
        if self._store is not None and tokens.refreshing_since is None and tokens.refresh_token != self._known:
            await self._store.save(tokens.refresh_token)
            self._known = tokens.refresh_token
