"""RedisStore: windows shared by many machines, in Redis or Valkey.

One Lua function does one step over all windows of a message: one round trip, and nobody sees half of it. The server's
``TIME`` is the only clock. Every key has a lifetime, and all keys of a deployment one hash tag, so that a Cluster keeps
them in one slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.resources
import os
from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State
from spotify_ads_async.network.problems import without_frames
from spotify_ads_async.types import Secret

try:
    from redis.exceptions import NoScriptError, RedisClusterException, RedisError

    from spotify_ads_async.network.redis_clients import RedisAddress
except ImportError as missing:
    raise ConfigurationError(
        "a store in Redis needs the package redis: pip install 'spotify-ads-async[redis]' (or keep windows in memory "
        "or in SQLite)"
    ) from missing

__all__ = ["RedisStore"]

_LEDGER = (importlib.resources.files("spotify_ads_async.governor.shared") / "ledger.lua").read_text(encoding="utf-8")
_INDEX = "return redis.call('HKEYS', KEYS[1])"
_LOOK = """
local time, state = redis.call('TIME'), redis.call('GET', KEYS[3])
if not state then redis.call('HDEL', KEYS[1], ARGV[1]) end
return {time[1] * 1000000 + time[2], state, redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')}
"""
_FIRST_PATIENCE = 4.0
"""The first exchange is several trips: to connect, to greet, to send the script."""
_GOODBYE_SECONDS = 0.5


class _Client(Protocol):
    """What is called of any of the three kinds of client."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[Any]: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[Any]: ...
    def aclose(self) -> Awaitable[None]: ...


class RedisStore:
    """Shares windows through a Redis or Valkey server, a Sentinel's service, or a Cluster.

    Args:
        url: ``redis://user:password@host:port/db`` (``rediss://`` with TLS, ``unix://`` for a socket),
            ``redis+sentinel://user:password@host:port,host:port/service/db``, or ``redis+cluster://host:port``.
            ``?namespace=name`` keeps deployments apart; redis-py's own options may follow.
        timeout: seconds after which an exchange has failed; the first on a connection may take longer.

    Raises:
        ConfigurationError: the URL cannot be read.
    """

    def __init__(self, url: str | Secret, *, timeout: float) -> None:
        self._address = RedisAddress.read(url if isinstance(url, Secret) else Secret(url))
        self._address.options()
        self.name = self._address.name
        self._timeout = timeout
        self._prefix = f"{{{self._address.namespace}}}:"
        self._index = f"{self._prefix}2:windows"
        self._clients: list[_Client] = []
        self._reached = False
        self._belongs_to: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._forked_from: list[_Client] = []

    async def exchange(self, message: Exchange) -> Reply:
        """One call of the function."""
        keys = [f"{self._prefix}2:memory", self._index]
        for report in message.windows:
            keys += self._keys(report.key)
        answer = await self._run(_LEDGER, keys, msgspec.msgpack.encode(message), self._prefix)
        return msgspec.msgpack.decode(answer, type=Reply)

    async def look(self) -> list[KeptWindow]:
        """Every window of the namespace, one after the other: the server has other work too."""
        found: list[KeptWindow] = []
        for key in sorted(name.decode() for name in await self._run(_INDEX, [self._index])):
            now, state, tokens = await self._run(_LOOK, [self._index, *self._keys(key)], key)
            if state is not None:
                dues = [int(due) for due in tokens[1::2] if int(due) > now]
                found.append(KeptWindow(key, msgspec.msgpack.decode(state, type=State), dues, now))
        return found

    async def aclose(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await client.aclose()

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}2:tokens:{key}", f"{self._prefix}2:state:{key}"]

    async def _run(self, script: str, keys: list[str], *values: str | bytes) -> Any:  # noqa: ANN401 (what it returns)
        """Run a script within the time for it. redis-py's own limit is off: on Python 3.11 it loses cancellations."""
        loop = asyncio.get_running_loop()
        if self._belongs_to != (os.getpid(), loop):
            if self._belongs_to is not None and self._belongs_to[0] != os.getpid():
                self._forked_from += self._clients  # freed here, they might take the parent's sockets out of its poll
            self._clients, self._reached, self._belongs_to = [], False, (os.getpid(), loop)
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
            reason = f"no answer within {patience:g} s" if isinstance(problem, TimeoutError) else _reason(problem)
            raise StoreUnavailable(
                f"{self.name} cannot be reached: {reason}. Look whether it runs and whether the URL is right"
            ) from without_frames(problem)
        self._reached = True
        return result


def _reason(problem: Exception) -> str:
    """Why, in the system's words where it was the network: without numbers and addresses in Python's form."""
    cause = problem if isinstance(problem, OSError) else problem.__context__
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    return str(problem).rstrip(". ")


@functools.cache
def _name(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
