"""RedisStore: windows shared by many machines, in Redis or Valkey.

One Lua function does one step over all windows of a message: one round trip, and nobody sees half of it. The server's
``TIME`` is the only clock. Every key has a lifetime, and all keys of a deployment one hash tag, so that a Cluster keeps
them in one slot.
"""

from __future__ import annotations

import importlib.resources

import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State
from spotify_ads_async.types import Secret

try:
    from spotify_ads_async.network.redis_clients import RedisAddress, RedisScripts
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


class RedisStore:
    """Shares windows through a Redis or Valkey server, a Sentinel's service, or a Cluster.

    Raises:
        ConfigurationError: the address cannot be read.
    """

    def __init__(self, url: Secret, *, timeout: float) -> None:
        address = RedisAddress.read(url)
        address.options()
        self.name = address.name
        self._scripts = RedisScripts(address, timeout=timeout)
        self._prefix = f"{{{address.namespace}}}:"
        self._index = f"{self._prefix}2:windows"

    async def exchange(self, message: Exchange) -> Reply:
        """One call of the function."""
        keys = [f"{self._prefix}2:memory", self._index]
        for report in message.windows:
            keys += self._keys(report.key)
        answer = await self._scripts.run(_LEDGER, keys, msgspec.msgpack.encode(message), self._prefix)
        return msgspec.msgpack.decode(answer, type=Reply)

    async def look(self) -> list[KeptWindow]:
        """Every window of the namespace, one after the other: the server has other work too."""
        found: list[KeptWindow] = []
        for key in sorted(name.decode() for name in await self._scripts.run(_INDEX, [self._index])):
            now, state, tokens = await self._scripts.run(_LOOK, [self._index, *self._keys(key)], key)
            if state is not None:
                kept = msgspec.msgpack.decode(state, type=State)
                kept.tokens = {token.decode(): int(due) for token, due in zip(tokens[::2], tokens[1::2], strict=True)}
                found.append(KeptWindow(key, kept, now))
        return found

    async def aclose(self) -> None:
        """Close the connections."""
        await self._scripts.aclose()

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}2:tokens:{key}", f"{self._prefix}2:state:{key}"]
