"""A shared store in virtual time, whose messages take a while and get lost, and the count of what processes sent."""

from __future__ import annotations

import asyncio
import math
import random

import msgspec

from spotify_ads_async.errors import StoreUnavailable
from spotify_ads_async.governor import Limit
from spotify_ads_async.governor.shared.ledger import Surroundings, exchange
from spotify_ads_async.governor.shared.store import Exchange, KeptWindow, Reply, State

TIMEOUT_SECONDS = 1.0


class VirtualServer:
    """What all links lead to: the ledger, on the clock of the loop."""

    def __init__(self, *, ahead_by: float = 0.0) -> None:
        self.kept: dict[str, State] = {}
        self.reachable = True
        self.run = "1"
        self.up_since = -math.inf
        self.lost = 0
        self.ahead_by = ahead_by
        self.exchanges = 0

    def lose_data(self, *, restart: bool = True) -> None:
        """Be empty: started anew, or flushed."""
        self.kept.clear()
        if restart:
            self.run += "1"
            self.up_since = asyncio.get_running_loop().time()
        else:
            self.lost = self.surroundings().now

    def surroundings(self) -> Surroundings:
        clock = asyncio.get_running_loop().time()
        return Surroundings(int((clock + self.ahead_by) * 1e6), self.run, (clock - self.up_since) * 1e6, self.lost)

    def exchange(self, message: Exchange) -> Reply:
        self.exchanges += 1
        return exchange(self.kept, message, self.surroundings())

    def look(self) -> list[KeptWindow]:
        now = self.surroundings().now
        return [KeptWindow(key, state, now) for key, state in sorted(self.kept.items())]


class VirtualStore:
    """One process's link to the server."""

    def __init__(self, server: VirtualServer, rng: random.Random, *, latency: float = 0.002, loss: float = 0.0) -> None:
        self.name = "the virtual store"
        self.server = server
        self.rng = rng
        self.latency = latency
        self.loss = loss

    async def exchange(self, message: Exchange) -> Reply:
        sent = msgspec.msgpack.encode(message)
        await asyncio.sleep(self.rng.uniform(0.0, self.latency))
        if not self.server.reachable or self.rng.random() < self.loss:
            await self._hang()
        answers = msgspec.msgpack.encode(self.server.exchange(msgspec.msgpack.decode(sent, type=Exchange)))
        await asyncio.sleep(self.rng.uniform(0.0, self.latency))
        if self.rng.random() < self.loss:
            await self._hang()
        return msgspec.msgpack.decode(answers, type=Reply)

    async def _hang(self) -> None:
        await asyncio.sleep(TIMEOUT_SECONDS)
        raise StoreUnavailable("the virtual store does not answer")

    async def look(self) -> list[KeptWindow]:
        return self.server.look()

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
                assert fullest(moments, limit.window) <= limit.requests, (
                    f"{owner}: {fullest(moments, limit.window)} of {limit}"
                )


def held(window: KeptWindow) -> int:
    """Tokens of requests that are under way, as far as the store knows."""
    return sum(due > window.now + window.state.cycle for due in window.dues)


def returning(window: KeptWindow) -> int:
    """Tokens that come back with time."""
    return len(window.dues) - held(window)
