"""Windows shared by many machines, in Redis or Valkey.

One Lua function does one step over all windows of a message: one round trip, and nobody sees half of it. The server's
``TIME`` is the only clock. Every key has a lifetime, and all keys of a deployment one hash tag, so that a Cluster keeps
them in one slot: no step can take from one window and fail at another.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
from collections.abc import Awaitable
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import anyio
import msgspec

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.stores.messages import Answer, Exchange, PoolView
from spotify_ads_async.governor.stores.pool import Pool
from spotify_ads_async.types import Secret

try:
    import redis.asyncio
    from redis.asyncio.cluster import ClusterNode, RedisCluster
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError
except ImportError as missing:
    raise ConfigurationError(
        "a store in Redis needs the package redis: pip install 'spotify-ads-async[redis]' (or keep windows in memory or in SQLite)"
    ) from missing

__all__ = ["RedisStore"]

_SCRIPT = (importlib.resources.files("spotify_ads_async.governor.stores") / "pool.lua").read_text(encoding="utf-8")
_SCRIPT_NAME = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_DEFAULT_NAMESPACE = "spotify-ads"
_SENTINEL_PORT = 26379
_SERVER_PORT = 6379


class _Client(Protocol):
    """The few calls that are made of any of the three kinds of client."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[bytes]: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[bytes]: ...
    def hkeys(self, name: str) -> Awaitable[list[bytes]]: ...
    def hdel(self, name: str, *keys: bytes) -> Awaitable[int]: ...
    def get(self, name: bytes) -> Awaitable[bytes | None]: ...
    def time(self) -> Awaitable[Any]: ...
    def aclose(self) -> Awaitable[None]: ...


class RedisStore:
    """Shares windows through a Redis or Valkey server, a Sentinel's service, or a Cluster.

    Args:
        url: ``redis://user:password@host:port/db`` (``rediss://`` with TLS, ``unix://`` for a socket),
            ``redis+sentinel://user:password@host:port,host:port/service/db``, or ``redis+cluster://host:port,host:port``.
            ``?namespace=name`` keeps deployments apart; redis-py's own options may follow.
        timeout: seconds after which an exchange has failed; the very first may take twice as long, to connect.

    Raises:
        ConfigurationError: the URL cannot be read.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._address = _Address.read(url)
        self.name = self._address.name
        self._timeout = timeout
        self._reached = False
        self._prefix = f"{{{self._address.namespace}}}:"
        self._index = f"{self._prefix}windows"
        self._client: _Client | None = None
        self._others: list[_Client] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def exchange(self, message: Exchange) -> list[Answer]:
        """One call of the function."""
        keys = [f"{self._prefix}{report.key}" for report in message.windows]
        values = [*keys, self._index, msgspec.msgpack.encode(message), self._prefix]
        try:
            with anyio.fail_after(self._timeout if self._reached else 2 * self._timeout):
                client = self._connected()
                try:
                    answer = await client.evalsha(_SCRIPT_NAME, len(keys) + 1, *values)
                except NoScriptError:  # a fresh server, a flush or a failover: send the text, which the server then keeps
                    answer = await client.eval(_SCRIPT, len(keys) + 1, *values)
        except (RedisError, OSError, TimeoutError) as problem:
            raise self._unavailable(problem) from problem
        self._reached = True
        return msgspec.msgpack.decode(answer, type=list[Answer])

    async def look(self) -> list[PoolView]:
        """Every window of the namespace."""
        found: list[tuple[str, Pool]] = []
        try:
            with anyio.fail_after(self._timeout):
                client = self._connected()
                for key in sorted(await client.hkeys(self._index)):
                    data = await client.get(self._prefix.encode() + key)
                    if data is None:
                        await client.hdel(self._index, key)
                    else:
                        found.append((key.decode(), Pool.decode(data)))
                now = await self._now(client)
        except (RedisError, OSError, TimeoutError) as problem:
            raise self._unavailable(problem) from problem
        return [pool.view(key, now) for key, pool in found]

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        others, self._others = self._others, []
        for opened in (*others, *(() if client is None else (client,))):
            await opened.aclose()

    async def _now(self, client: _Client) -> int:
        """The server's time, in microseconds: from the node that has the windows."""
        seconds, microseconds = cast("list[bytes]", await client.eval("return redis.call('TIME')", 1, self._index))
        return int(seconds) * 1_000_000 + int(microseconds)

    def _connected(self) -> _Client:
        """A client of the running loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._others = self._address.client(self._timeout)
            self._loop = loop
        return self._client

    def _unavailable(self, problem: BaseException) -> StoreUnavailable:
        reason = f"no answer within {self._timeout:g} s" if isinstance(problem, TimeoutError) else str(problem).rstrip(". ")
        return StoreUnavailable(f"{self.name} cannot be reached: {reason}. Look whether it runs and whether the URL is right")


class _Address(msgspec.Struct, frozen=True):
    """A store's URL, taken apart. ``plain`` is what redis-py reads: scheme, credentials, the first host, options."""

    kind: str
    plain: Secret
    hosts: tuple[tuple[str, int], ...]
    service: str
    namespace: str
    name: str

    @classmethod
    def read(cls, url: str) -> _Address:
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.replace("valkey", "redis").partition("+")
        options = dict(parse_qsl(parts.query))
        namespace = options.pop("namespace", _DEFAULT_NAMESPACE)
        if not namespace or set(namespace) & set("{}| "):
            raise ConfigurationError(f"store: namespace {namespace!r} is empty or has one of the characters {{ }} | and space")
        credentials, at, addresses = parts.netloc.rpartition("@")
        hosts = tuple(_host(address, _SENTINEL_PORT if kind == "sentinel" else _SERVER_PORT) for address in addresses.split(","))
        service, path = "", parts.path
        if kind == "sentinel":
            service, _, database = parts.path.strip("/").partition("/")
            path = f"/{database or 0}"
            if not service:
                raise ConfigurationError("store: a Sentinel's URL names the service: redis+sentinel://host:26379/service")
        netloc = parts.netloc if not kind else f"{credentials}{at}{_shown(hosts[0])}"
        plain = urlunsplit((scheme, netloc, path, urlencode(options), ""))
        where = parts.path if scheme == "unix" else ",".join(_shown(host) for host in hosts)
        return cls(kind, Secret(plain), hosts, unquote(service), namespace, f"the store {parts.scheme}://{where}")

    def client(self, timeout: float) -> tuple[_Client, list[_Client]]:
        """A client that tries a command once, for whether to repeat is decided elsewhere; and others that it needs."""
        try:
            options: dict[str, Any] = {
                **parse_url(self.plain.reveal()),
                "socket_timeout": timeout,
                "socket_connect_timeout": timeout,
                "retry": Retry(NoBackoff(), 0),
            }
        except ValueError as problem:
            raise ConfigurationError(f"store: the URL cannot be read: {problem}") from None
        if self.kind == "sentinel":
            return self._sentinel(options)
        if self.kind == "cluster":
            for unused in ("host", "port", "db"):
                options.pop(unused, None)
            if options.pop("connection_class", None) is not None:
                options["ssl"] = True
            options["retry"] = Retry(NoBackoff(), 1)
            nodes = [ClusterNode(host, port) for host, port in self.hosts]
            return cast("_Client", RedisCluster(startup_nodes=nodes, **options)), []
        pool = redis.asyncio.ConnectionPool(**options)
        return cast("_Client", redis.asyncio.Redis.from_pool(pool)), []

    def _sentinel(self, options: dict[str, Any]) -> tuple[_Client, list[_Client]]:
        for unused in ("host", "port"):
            options.pop(unused, None)
        if options.pop("connection_class", None) is not None:
            options["ssl"] = True
        kept = {name: value for name, value in options.items() if name.startswith(("ssl", "socket"))}
        sentinel: Any = Sentinel(list(self.hosts), sentinel_kwargs=kept, **options)
        return cast("_Client", sentinel.master_for(self.service)), cast("list[_Client]", list(sentinel.sentinels))


def _host(address: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"store: {address!r} is no host:port") from None
    return parts.hostname or "localhost", default_port if port is None else port


def _shown(host: tuple[str, int]) -> str:
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
