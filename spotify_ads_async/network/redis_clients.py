"""Redis addresses: from a URL with its login to a client of a server, of a Sentinel's service, or of a Cluster.

Needs the package redis.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec
import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.network.addresses import split_login, with_login
from spotify_ads_async.network.problems import without_frames
from spotify_ads_async.types import Secret

__all__ = ["RedisAddress"]

_DEFAULT_NAMESPACE = "spotify-ads"


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
