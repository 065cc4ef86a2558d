"""What a client signs its requests with: access tokens, and whoever keeps them fresh."""

from __future__ import annotations

from typing import NoReturn, Protocol, runtime_checkable

import aiohttp
import anyio

from spotify_ads_async.auth.token_endpoint import header_safe
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.types import Secret

__all__ = ["AccessToken", "Credentials", "NotCopied", "SupportsAccepted", "SupportsFinish", "finish", "secret_of"]


@runtime_checkable
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
class SupportsAccepted(Protocol):
    """Credentials that want to know which token worked."""

    def accepted(self, token: Secret) -> None:
        """The server took ``token``; told after every such call."""
        ...


@runtime_checkable
class SupportsFinish(Protocol):
    """Credentials that may have work under way which must not be cut off when the client closes."""

    async def finish(self) -> None:
        """Wait for it."""
        ...


class NotCopied:
    """Credentials stay where they are.

    No pickle and no copy holds a secret, or a token that a refresh here makes void there.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is not pickled and not copied: it holds secrets, and a refresh in one place would"
            " make the other's token void. Pass the object itself, or make it anew where it is needed"
            " (AdsClient.from_env(), or a profile's credentials)"
        )


class AccessToken(NotCopied):
    """A token that somebody else keeps fresh.

    Args:
        token: the bearer token; a line break at its end is no part of it.
        client_id: the app's client ID, so that programs of the same app share their quota.

    Raises:
        ConfigurationError: the token holds characters that no header may hold.
    """

    def __init__(self, token: str | Secret, *, client_id: str | None = None) -> None:
        self._token = token = secret_of(token)
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


async def finish(credentials: Credentials) -> None:
    """Wait for what they have under way, before the connections that it needs are closed.

    A cancelled scope of anyio cancels each wait in it, the one for a new refresh token too: this one it does not reach.
    """
    if isinstance(credentials, SupportsFinish):
        with anyio.CancelScope(shield=True):
            await credentials.finish()


def secret_of(value: str | Secret) -> Secret:
    """The secret without the line break that files and ``$(cat …)`` leave at its end."""
    return Secret((value.reveal() if isinstance(value, Secret) else value).rstrip("\r\n"))
