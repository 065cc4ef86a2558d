"""Token stores: where a sign-in's tokens are kept between runs, and shared by processes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import msgspec

from spotify_ads_async.types import Secret

__all__ = ["SharedTokenStore", "TokenStore", "Tokens", "as_shared"]


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a sign-in. Times are POSIX seconds, so that other processes can read them.

    ``refreshing_since`` is when a refresh began whose end was not kept: whoever began it is still at it, or was ended
    in between.
    """

    refresh_token: Secret
    access_token: Secret | None = None
    issued_at: float = 0.0
    expires_at: float = 0.0
    refreshing_since: float | None = None


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


def as_shared(store: TokenStore | SharedTokenStore | None) -> SharedTokenStore:
    """The store with the methods of a shared one; where it has none, every process takes turns with itself alone."""
    return store if isinstance(store, SharedTokenStore) else _RefreshTokenAlone(store)


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
