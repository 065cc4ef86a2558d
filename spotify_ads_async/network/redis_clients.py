"""Redis: from a URL with its login to scripts that a server, a Sentinel's service or a Cluster runs.

Needs the package redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec
import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.network.addresses import split_login, with_login
from spotify_ads_async.network.problems import without_frames
from spotify_ads_async.types import Secret

__all__ = ["RedisAddress", "RedisScripts"]

_DEFAULT_NAMESPACE = "spotify-ads"
_FIRST_PATIENCE = 4.0
"""The first exchange is several trips: to connect, to greet, to send the script."""
_GOODBYE_SECONDS = 0.5


class RedisAddress(msgspec.Struct, frozen=True):
    """A store's URL, taken apart.

    ``plain`` is what redis-py reads: scheme, credentials, the first host, options; ``name`` can be shown.
    """

    kind: str
    plain: Secret
    hosts: tuple[tuple[str, int], ...]
    service: str
    namespace: str
    name: str

    @classmethod
    def read(cls, url: Secret) -> RedisAddress:
        """Take a URL apart.

        Raises:
            ConfigurationError: it cannot be read.
        """
        try:
            return cls._taken_apart(url)
        except ConfigurationError as problem:
            raise without_frames(problem) from None  # a query may hold the password

    @classmethod
    def _taken_apart(cls, url: Secret) -> RedisAddress:
        plain, username, password = split_login(url)
        try:
            parts = urlsplit(plain)
        except ValueError:
            raise ConfigurationError("store: the URL cannot be read: it is redis://:password@host:port") from None
        scheme, _, kind = parts.scheme.replace("valkey", "redis").partition("+")
        hosts = tuple(_host(address, 26379 if kind == "sentinel" else 6379) for address in parts.netloc.split(","))
        service, path = "", parts.path
        if kind == "sentinel":
            service, _, database = parts.path.strip("/").partition("/")
            path = f"/{database or 0}"
            if not service:
                raise ConfigurationError(
                    "store: a Sentinel's URL names the service: redis+sentinel://host:26379/service"
                )
        options = dict(parse_qsl(parts.query))
        namespace = options.pop("namespace", _DEFAULT_NAMESPACE)
        if not namespace or set(namespace) & set("{}| "):
            raise ConfigurationError(
                f"store: namespace {namespace!r} is empty or has one of the characters {{ }} | and space"
            )
        # Not `urlunsplit`: it leaves out the slashes of unix://, which has no host.
        bare = (
            f"{scheme}://{_shown(hosts[0]) if kind else parts.netloc}{path}{'?' if options else ''}{urlencode(options)}"
        )
        where = parts.path if scheme == "unix" else ",".join(_shown(host) for host in hosts)
        complete = with_login(bare, username, password)
        return cls(kind, complete, hosts, unquote(service), namespace, f"the store {parts.scheme}://{where}")

    def options(self) -> dict[str, Any]:
        """What redis-py reads in the URL.

        Raises:
            ConfigurationError: it can read nothing there.
        """
        with contextlib.suppress(ValueError, TypeError):
            return _known_options(self.plain)
        raise ConfigurationError(
            "store: the URL cannot be read: it is redis://, rediss:// or unix://, and its options are those of redis-py"
        )

    def clients(self) -> list[Any]:
        """A client that tries a command once, for whether to repeat is decided elsewhere.

        After it others that it needs.
        """
        options: dict[str, Any] = {**self.options(), "socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
        if self.kind:
            for unused in ("host", "port"):
                options.pop(unused, None)
            if options.pop("connection_class", None) is not None:
                options["ssl"] = True
        if self.kind == "sentinel":
            kept = {name: value for name, value in options.items() if name.startswith(("ssl", "socket"))}
            sentinel: Any = Sentinel(list(self.hosts), sentinel_kwargs=kept, **options)
            return [sentinel.master_for(self.service), *sentinel.sentinels]
        if self.kind == "cluster":
            options.pop("db", None)
            options["retry"] = Retry(NoBackoff(), 1)
            nodes = [ClusterNode(host, port) for host, port in self.hosts]
            return [RedisCluster(startup_nodes=nodes, **options)]
        return [redis.asyncio.Redis.from_pool(redis.asyncio.ConnectionPool(**options))]


class RedisScripts:
    """Has scripts run at one address, each within ``timeout`` seconds; the first on a connection may take longer.

    It connects when it is used, anew in each forked process and on each event loop.
    """

    def __init__(self, address: RedisAddress, *, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._clients: list[Any] = []
        self._reached = False
        self._belongs_to: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._forked_from: list[Any] = []

    async def run(self, script: str, keys: list[str], *values: str | bytes) -> Any:  # noqa: ANN401 (what it returns)
        """Run a script once. redis-py's own limit of time is off: on Python 3.11 it loses cancellations.

        Raises:
            StoreUnavailable: no answer came.
        """
        loop = asyncio.get_running_loop()
        if self._belongs_to != (os.getpid(), loop):
            if self._belongs_to is not None and self._belongs_to[0] != os.getpid():
                self._forked_from += self._clients  # freed here, they might take the parent's sockets out of its poll
            self._clients, self._belongs_to = [], (os.getpid(), loop)
        if not self._clients:
            self._clients, self._reached = self._address.clients(), False
        patience = self._timeout if self._reached else self._timeout * _FIRST_PATIENCE
        try:
            async with asyncio.timeout(patience):
                client, arguments = self._clients[0], (len(keys), *keys, *values)
                try:
                    result = await client.evalsha(_name(script), *arguments)
                except NoScriptError:  # a fresh server, a flush or a failover: it keeps the text that it is sent
                    result = await client.eval(script, *arguments)
        except (RedisError, RedisClusterException, OSError, TimeoutError) as problem:
            if isinstance(problem, TimeoutError):
                await self.aclose()  # what comes on this connection now is the answer to another question
            self._reached = False
            reason = f"no answer within {patience:g} s" if isinstance(problem, TimeoutError) else self._reason(problem)
            raise StoreUnavailable(
                f"{self._address.name} cannot be reached: {reason}. Look whether it runs and whether the URL is right"
            ) from without_frames(problem)
        self._reached = True
        return result

    def _reason(self, problem: Exception) -> str:
        """Why, in the system's words where it was the network: without numbers and addresses in Python's form.

        Servers older than Redis 6, and proxies, repeat the login that they do not know what to do with.
        """
        cause = problem if isinstance(problem, OSError) else problem.__context__
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
        password = self._address.options().get("password") or "***"
        said = str(problem).partition(", with args")[0].replace(password, "***").rstrip(". ")
        problem.args = (said,)
        return said

    async def aclose(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await client.aclose()


@functools.cache
def _name(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _known_options(address: Secret) -> dict[str, Any]:
    options: dict[str, Any] = {**parse_url(address.reveal())}
    redis.asyncio.ConnectionPool(**options).make_connection()  # refuses those that it does not know
    return options


def _host(address: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"store: {address!r} is no host:port") from None
    return parts.hostname or "localhost", default_port if port is None else port


def _shown(host: tuple[str, int]) -> str:
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
