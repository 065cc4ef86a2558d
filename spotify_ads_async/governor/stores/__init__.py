"""Where windows are shared: by the processes of a machine in SQLite, by many machines in Redis or Valkey."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.stores.messages import Answer, Exchange, PoolView

__all__ = ["Store", "open_store"]

_REDIS_SCHEMES = frozenset(
    kind + suffix for kind in ("redis", "rediss", "valkey", "valkeys") for suffix in ("", "+sentinel", "+cluster")
) | {"unix"}


class Store(Protocol):
    """A place outside of the process that keeps windows. Its methods raise ``StoreUnavailable``.

    Attributes:
        name: which store this is, for people: nothing secret.
    """

    name: str

    async def exchange(self, message: Exchange) -> list[Answer]:
        """One atomic step over all windows of ``message``, in one round trip."""
        ...

    async def look(self) -> list[PoolView]:
        """Every window that the store keeps."""
        ...

    async def aclose(self) -> None:
        """Close the connection; another call opens it anew."""
        ...


def open_store(url: str, *, timeout: float) -> Store | None:
    """The store behind ``url``, None for ``memory``. Nothing is connected yet.

    Args:
        url: ``memory``; ``sqlite:///path``, absolute or a bare file name; ``redis://``, ``rediss://``, ``unix://``,
            ``redis+sentinel://`` or ``redis+cluster://``, and the same with ``valkey``.
        timeout: seconds after which one exchange has failed.

    Raises:
        ConfigurationError: another form, or a package is missing.
    """
    if url == "memory":
        return None
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        from spotify_ads_async.governor.stores.sqlite import SqliteStore  # noqa: PLC0415 (who keeps windows in memory needs none)

        return SqliteStore(url, timeout=timeout)
    if scheme in _REDIS_SCHEMES:
        from spotify_ads_async.governor.stores.redis import RedisStore  # noqa: PLC0415 (the extra is imported where it is used)

        return RedisStore(url, timeout=timeout)
    raise ConfigurationError(
        f"store is memory, sqlite:///path, redis://host, redis+sentinel://host/service or redis+cluster://host; not {scheme!r}"
    )
