"""A shared store in virtual time, whose messages take a while and get lost, and the count of what processes sent."""

from __future__ import annotations

import asyncio
import math
import random

import msgspec

from spotify_ads_async.errors import StoreUnavailable
from spotify_ads_async.governor import Limit
from spotify_ads_async.governor.stores.messages import Answer, Exchange, PoolView
from spotify_ads_async.governor.stores.pool import Pool, exchange

TIMEOUT_SECONDS = 1.0


class VirtualServer:
    """What all links lead to: the pools, on the clock of the loop."""

    def __init__(self, *, ahead_by: float = 0.0) -> None:
        self.pools: dict[str, Pool] = {}
        self.reachable = True
        self.run = "1"
        self.up_since = -math.inf
        self.ahead_by = ahead_by
        self.exchanges = 0

    def lose_data(self) -> None:
        """Start anew, empty."""
        self.pools.clear()
        self.run += "1"
        self.up_since = asyncio.get_running_loop().time()

    def exchange(self, message: Exchange) -> list[Answer]:
        self.exchanges += 1
        clock = asyncio.get_running_loop().time()
        now = int((clock + self.ahead_by) * 1e6)
        up_for = (clock - self.up_since) * 1e6 if message.fresh else math.inf
        for report in message.windows:
            if report.key not in self.pools:
                self.pools[report.key] = Pool.new(report, now, run=self.run)
        answers = exchange([self.pools[report.key] for report in message.windows], message, now, self.run, up_for)
        for report in message.windows:
            self.check(self.pools[report.key])
        return answers

    @staticmethod
    def check(pool: Pool) -> None:
        """Every token is somewhere: free, on its way back, or with a process."""
        assert pool.out == sum(pool.ring) + sum(member.held for member in pool.members.values())
        assert min(pool.ring) >= 0
        assert all(member.held >= 0 for member in pool.members.values())


class VirtualStore:
    """One process's link to the server."""

    def __init__(self, server: VirtualServer, rng: random.Random, *, latency: float = 0.002, loss: float = 0.0) -> None:
        self.name = "the virtual store"
        self.server = server
        self.rng = rng
        self.latency = latency
        self.loss = loss

    async def exchange(self, message: Exchange) -> list[Answer]:
        sent = msgspec.msgpack.encode(message)
        await asyncio.sleep(self.rng.uniform(0.0, self.latency))
        if not self.server.reachable or self.rng.random() < self.loss:
            await self._hang()
        answers = self.server.exchange(msgspec.msgpack.decode(sent, type=Exchange))
        await asyncio.sleep(self.rng.uniform(0.0, self.latency))
        if self.rng.random() < self.loss:
            await self._hang()
        return answers

    async def _hang(self) -> None:
        await asyncio.sleep(TIMEOUT_SECONDS)
        raise StoreUnavailable("the virtual store does not answer")

    async def look(self) -> list[PoolView]:
        now = int((asyncio.get_running_loop().time() + self.server.ahead_by) * 1e6)
        return [pool.view(key, now) for key, pool in self.server.pools.items()]

    async def aclose(self) -> None:
        pass


def fullest(arrivals: list[float], window: float) -> int:
    """The most arrivals in any window."""
    moments = sorted(arrivals)
    most = start = 0
    for end, moment in enumerate(moments):
        while moments[start] <= moment - window:
            start += 1
        most = max(most, end - start + 1)
    return most


def assert_kept(arrivals: dict[str, list[float]], limits: list[Limit]) -> None:
    for limit in limits:
        for owner, moments in arrivals.items():
            if owner.startswith(limit.name):
                assert fullest(moments, limit.window) <= limit.requests, f"{owner}: {fullest(moments, limit.window)} of {limit}"
